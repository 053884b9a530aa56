"""The standard game: one generator against one discriminator, without conditions.

Most named GANs differ from it in networks, loss, penalties and settings only; their files say just that. A system with
other players or other losses starts from `game.System` instead.
"""

from typing import Any

from torch import Tensor, nn

from ganworks.data.spec import Batch
from ganworks.game import Player, Round, System, Terms, latent
from ganworks.objective import Objective
from ganworks.random import Streams


class Adversarial(System):
    """Two players and one objective. A subclass's `__init__` sets the three attributes.

    Attributes:
        generator: From latents (B, Z) to samples (B, *shape).
        discriminator: From samples to logits (B,), or to patches; has `features`.
        objective: Loss, penalties, view.
        shared_fakes: G's turn judges the fakes that D has just seen, so that a round draws them once. Off where the
            paper draws new latents for every update.
    """

    generator: nn.Module
    discriminator: nn.Module
    objective: Objective
    shared_fakes = True

    def players(self) -> tuple[Player, ...]:
        """D moves first, as in Goodfellow et al. 2014, algorithm 1."""
        settings = self.settings
        return (
            Player(
                "discriminator", ("discriminator",), self.discriminator_loss, settings.discriminator, self.discriminated
            ),
            Player("generator", ("generator",), self.generator_loss, settings.generator),
        )

    def fake(self, round: Round) -> dict[str, Tensor]:
        """Samples with their graph to G."""

        def make() -> Tensor:
            x: Tensor = self.generator(latent(self.settings.latent, round.random))
            return x

        return {"x": round.once("fake", make, uses=("generator",)) if self.shared_fakes else make()}

    def discriminator_loss(self, round: Round) -> Terms:
        """D's terms, with G held constant."""
        fake = {"x": round.hold(self.fake(round)["x"])}
        return self.objective.discriminator(self.discriminator, {"x": round.real["x"]}, fake, round)

    def generator_loss(self, round: Round) -> Terms:
        """G's terms; real samples are read only where the loss compares with them."""
        fake = self.fake(round)
        return self.objective.generator(self.discriminator, fake, round, real=lambda: {"x": round.real["x"]})

    def discriminated(self, round: Round) -> None:
        """After D's update."""
        self.objective.after(round, self.discriminator)

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Samples from fresh latents."""
        return Batch({"x": self.generator(latent(self.settings.latent, random))})
