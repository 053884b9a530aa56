"""Conditional GAN: both players are told the class (Mirza and Osindero 2014).

D judges whether x is real as one of class y, G makes an x of class y from a latent: min over G, max over D of
E log D(x|y) + E log(1 - D(G(z|y)|y)) (equation 2).

The paper joins y with the inputs of fully connected maxout layers and trains by SGD with momentum. A D can leave such
an input aside. Here it cannot: D is the projection of Miyato and Koyama 2018 (arXiv:1802.05637),
f(x, y) = head(φ(x)) + ⟨e(y), φ(x)⟩. G gets y as the paper has it, one-hot beside z.

Departures, all for CPU minutes: the projection; the networks (networks/compact.py) and Adam of r3gan; its loss, which
judges real and fake in pairs, with both penalties on D's slope: a pair has one label. The fakes of an update take the
labels of the real batch that it compares them with, so they are those of the data.

Letters: B batch, Z latent, K classes.
"""

from typing import Any

import torch
from jaxtyping import Int64
from pydantic import Field
from torch import Tensor, nn

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Round, latent
from ganworks.networks import compact, mlp
from ganworks.networks.projection import Labelled, Projection
from ganworks.objective import Objective, OnePass
from ganworks.random import Streams
from ganworks.settings import (
    AverageSettings,
    GameSettings,
    LatentSettings,
    ObjectiveSettings,
    PlayerSettings,
    Ramp,
    TurnSettings,
)

_WARM_UP = Ramp.model_validate({"from": 0.0, "to": 1.0, "over": [0, 100]})
_DECAY = Ramp.model_validate({"from": 1.0, "to": 0.02, "over": [0.667, 1.0]})


class ConditionalSettings(GameSettings):
    """Those of the default, r3gan."""

    batch: int = Field(32, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=64)
    objective: ObjectiveSettings = ObjectiveSettings(loss="relativistic_paired", r1=0.1, r2=0.1, every=8)
    turns: TurnSettings = TurnSettings(simultaneous=True)
    average: AverageSettings = AverageSettings(half_life=500_000.0, rampup=0.05)
    generator: PlayerSettings = PlayerSettings(lr=[5e-3, _WARM_UP, _DECAY], betas=(0.0, 0.99), width=32)
    discriminator: PlayerSettings = PlayerSettings(lr=[5e-3, _WARM_UP, _DECAY], betas=(0.0, 0.99), width=32)


class Conditional(Adversarial):
    """The game for each class at once: the label reaches both players."""

    name = "conditional"
    paper = "Mirza and Osindero 2014, Conditional Generative Adversarial Nets, arXiv:1411.1784"
    accepts = ("points", "images")
    gives = "images"
    conditions = ("label",)
    Settings = ConditionalSettings

    def __init__(self, settings: ConditionalSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if not data.classes:
            raise error("E-SET-02", reason="conditional needs data with labels", system="conditional")
        classes, shape = len(data.classes), data.shape
        z, widths = settings.latent.size + classes, (settings.generator.width, settings.discriminator.width)
        if data.kind == "points":
            generator: nn.Module = mlp.Generator(z, widths[0], 3, shape, nn.ReLU, nn.Identity())
            discriminator: nn.Module = mlp.Discriminator(self.packed(), widths[1], 3)
        else:
            generator = compact.Generator(z, widths[0], shape)
            discriminator = compact.Discriminator(widths[1], self.packed())
        # Players who move at once share a batch and its labels; in turns each update has its own, and fakes of its own.
        self.shared_fakes = settings.turns.simultaneous
        one_pass = settings.turns.simultaneous and OnePass.allows(settings.objective, settings.view)
        self.set_up(
            Labelled(generator, classes),
            Projection(discriminator, classes, settings.view.pack),
            objective=OnePass if one_pass else Objective,
        )

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small fully connected networks for points, in alternating turns, with penalties on every update."""
        if data.kind != "points":
            return {}
        player = {"width": 128, "lr": {"from": 1e-3, "to": 0.0}}
        return {
            "batch": 128,
            "latent": {"size": 16},
            "objective": {"every": 1},
            "turns": {"simultaneous": False},
            "generator": player,
            "discriminator": player,
        }

    def row(self) -> dict[str, Tensor]:
        """One row of D's inputs: a sample and its label."""
        return {**super().row(), "label": torch.zeros((), dtype=torch.int64)}

    def real(self, round: Round) -> dict[str, Tensor]:
        """What D sees of the data."""
        return {"x": round.real["x"], "label": round.real["label"]}

    def fake(self, round: Round) -> dict[str, Tensor]:
        """Samples of the labels of the real batch, row by row."""
        label = round.real["label"]

        def make() -> Tensor:
            x: Tensor = self.generator(latent(self.settings.latent, round.random), label)
            return x.float() if x.dtype == torch.bfloat16 else x

        return {"x": round.once("fake", make, uses=("generator",)) if self.shared_fakes else make(), "label": label}

    def generate(self, count: int, random: Streams, label: Int64[Tensor, " b"] | None = None, **given: Any) -> Batch:
        """Samples of the labels; where none are given they are drawn as the data has them."""
        if label is None:
            label = drawn(self.data.class_weights, random)
        return Batch({"x": self.generator(latent(self.settings.latent, random), label), "label": label})


def drawn(weights: tuple[float, ...], random: Streams) -> Int64[Tensor, " b"]:
    """Labels from the shares of the classes."""
    reached = torch.tensor(weights, dtype=torch.float64).cumsum(0)
    return torch.searchsorted(reached / reached[-1], random.uniform("label").double(), right=True)
