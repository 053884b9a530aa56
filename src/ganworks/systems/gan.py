"""The original GAN, with fully connected networks (Goodfellow et al. 2014).

D learns to tell data from samples, G to make D err: min over G, max over D of E log D(x) + E log(1 - D(G(z))). G plays
the non-saturating form of section 3; `objective.loss = "minimax"` gives the equation as it stands.

The networks are those of the paper's MNIST experiment, as published in its code: z uniform of 100, G with two layers of
1,200 ReLU, D with two maxout layers of 240 × 5 and dropout.

Departures: Adam instead of SGD with momentum, whose schedule needs hundreds of epochs; tanh instead of sigmoid, because
pictures lie in [-1, 1]; samples from an average of G's weights; for points three plain layers and no dropout.

Letters: B batch, Z latent.
"""

import math
from typing import Any

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.networks import mlp
from ganworks.networks.pair import Pair, Sizes
from ganworks.settings import GameSettings, LatentSettings, PlayerSettings


class OriginalGANSettings(GameSettings):
    """Published defaults for MNIST."""

    batch: int = Field(100, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=100, prior="uniform")
    generator: PlayerSettings = PlayerSettings(width=1200)
    discriminator: PlayerSettings = PlayerSettings(width=240)


class Maxout(nn.Module):
    """The largest of five linear maps, unit by unit. Source: Goodfellow et al. 2013, equation 2."""

    def __init__(self, inner: int, outer: int, pieces: int = 5) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inner, outer * pieces)

    def forward(self, x: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


class MaxoutDiscriminator(nn.Module):
    """The paper's D: two maxout layers, dropout 0.2 of the input and 0.5 of each layer; logits (B,)."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        inputs = math.prod(shape)
        first, second = Maxout(inputs, width), Maxout(width, width)
        self.body = nn.Sequential(mlp.Dropout(0.2), first, mlp.Dropout(0.5), second, mlp.Dropout(0.5))
        self.head = nn.Linear(width, 1)

    def features(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        return self.body(x.flatten(1))

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


def for_pictures(sizes: Sizes) -> Pair:
    """The paper's networks."""
    generator = mlp.Generator(sizes.latent, sizes.generator, 2, sizes.sample, nn.ReLU, nn.Tanh())
    return generator, MaxoutDiscriminator(sizes.judged, sizes.discriminator)


class OriginalGAN(Adversarial):
    """Two players, one game, alternating."""

    name = "gan"
    paper = "Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661"
    accepts = ("points", "images")
    gives = "images"
    Settings = OriginalGANSettings

    def __init__(self, settings: OriginalGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        points = data.kind == "points"
        if settings.objective.finite_difference and not points:
            reason = "D's dropout differs between the two points of objective.finite_difference"
            raise error("E-SET-02", reason=reason, system=self.name)
        make = mlp.pair if points else for_pictures
        self.set_up(*make(self.sizes()), joint=points)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small networks and a faster optimizer for points."""
        if data.kind != "points":
            return {}
        player = {"width": 64, "lr": 1e-3}
        return {"batch": 128, "latent": {"size": 16, "prior": "normal"}, "generator": player, "discriminator": player}
