"""The standard game: one generator against one discriminator; and the same game for each class at once.

Most named GANs differ from it in networks, loss, penalties and settings only; their files say just that. A system with
other players or other losses starts from `game.System` instead.
"""

from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Player, Round, System, Terms, latent
from ganworks.networks.pair import Sizes
from ganworks.networks.spectral import spectral_norm
from ganworks.objective import Objective, full
from ganworks.random import Streams
from ganworks.settings import GameSettings


class Adversarial(System):
    """Two players and one objective. A subclass's `__init__` ends with `set_up`.

    Attributes:
        generator: From latents (B, Z) to samples (B, *shape).
        discriminator: From named inputs, `x` among them, to logits (B,) or patches; has `features`.
        objective: Loss, penalties, view.
        shared_fakes: G's turn judges the fakes that D has just seen, so that a round draws them once. Off where the
            paper draws new latents for every update.
    """

    generator: nn.Module
    discriminator: nn.Module
    objective: Objective
    shared_fakes = True

    def set_up(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        joint: bool = True,
        objective: type[Objective] = Objective,
    ) -> None:
        """Take the two networks, as the settings want them, and the objective.

        Args:
            generator, discriminator: With their initial weights.
            joint: D may judge real and fake in one forward pass: it has no batch statistics.
            objective: How the players' terms are made.
        """
        settings = self.settings
        for network, player in ((generator, settings.generator), (discriminator, settings.discriminator)):
            if player.spectral_norm:
                spectral_norm(network)
        self.generator, self.discriminator = generator, discriminator
        self.objective = objective(settings.objective, settings.view, joint=joint, row=self.row())

    def row(self) -> dict[str, Tensor]:
        """One row of D's inputs, for its shapes and types."""
        return {"x": torch.empty(self.data.shape)}

    def sizes(self) -> Sizes:
        """What the networks are built from."""
        settings, shape = self.settings, self.data.shape
        judged = (settings.view.pack * shape[0], *shape[1:])
        return Sizes(settings.latent.size, settings.generator.width, settings.discriminator.width, shape, judged)

    def players(self) -> tuple[Player, ...]:
        """D moves first, as in Goodfellow et al. 2014, algorithm 1."""
        settings = self.settings
        return (
            Player(
                "discriminator", ("discriminator",), self.discriminator_loss, settings.discriminator, self.discriminated
            ),
            Player("generator", ("generator",), self.generator_loss, settings.generator),
        )

    def real(self, round: Round) -> dict[str, Tensor]:
        """What D sees of the data."""
        return {"x": round.real["x"]}

    def fake(self, round: Round) -> dict[str, Tensor]:
        """The same of samples, with their graph to G."""
        return {"x": self.drawn(round)}

    def drawn(self, round: Round, *given: Tensor) -> Tensor:
        """G's samples from fresh latents and what else it is given; where they are shared, once in a round."""

        def make() -> Tensor:
            return full(self.generator(*self.latents(round.random), *given))

        return round.once("fake", make, uses=("generator",)) if self.shared_fakes else make()

    def latents(self, random: Streams) -> tuple[Tensor, ...]:
        """Fresh latents, the first that G is given; nothing where it makes samples of samples alone."""
        return (latent(self.settings.latent, random),)

    def discriminator_loss(self, round: Round) -> Terms:
        """D's terms, with G held constant."""
        fake = {name: round.hold(values) for name, values in self.fake(round).items()}
        return self.objective.discriminator(self.discriminator, self.real(round), fake, round)

    def generator_loss(self, round: Round) -> Terms:
        """G's terms; real samples are read only where the loss compares with them."""
        return self.objective.generator(self.discriminator, self.fake(round), round, real=lambda: self.real(round))

    def discriminated(self, round: Round) -> None:
        """After D's update."""
        self.objective.after(round, self.discriminator)

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Samples from fresh latents."""
        return Batch({"x": self.generator(*self.latents(random))})

    def labels(self, random: Streams) -> Int64[Tensor, " b"]:
        """Labels with the shares of the classes, where the data have any."""
        drawn = random.uniform("label").double()
        reached = drawn.new_tensor(self.data.class_weights).cumsum(0)
        return torch.searchsorted(reached / reached[-1], drawn, right=True)


class ClassConditional(Adversarial):
    """The game for each class at once: G is told a label, D judges a sample as one of its label.

    The fakes of an update take the labels of the real batch that D compares them with, so they are those of the data,
    and a pair differs in nothing but being real. G maps (latents, labels) to samples; D takes `x` and `label`.
    """

    conditions: tuple[str, ...] = ("label",)

    def __init__(self, settings: GameSettings, data: DataSpec) -> None:
        if not data.classes:
            raise error("E-SET-02", reason=f"{self.name} needs data with labels", system=self.name)
        super().__init__(settings, data)
        # Players who move at once share a batch and its labels; in turns each update has its own, and fakes of its own.
        self.shared_fakes = settings.turns.simultaneous

    def row(self) -> dict[str, Tensor]:
        """One row of D's inputs: a sample and its label."""
        return {**super().row(), "label": torch.zeros((), dtype=torch.int64)}

    def real(self, round: Round) -> dict[str, Tensor]:
        """What D sees of the data."""
        return {"x": round.real["x"], "label": round.real["label"]}

    def fake(self, round: Round) -> dict[str, Tensor]:
        """Samples of the labels of the real batch, row by row."""
        label = round.real["label"]
        return {"x": self.drawn(round, label), "label": label}

    def generate(self, count: int, random: Streams, label: Int64[Tensor, " b"] | None = None, **given: Any) -> Batch:
        """Samples of the labels; where none are given they are drawn as the data has them."""
        label = self.labels(random) if label is None else label
        return Batch({"x": self.generator(*self.latents(random), label), "label": label})
