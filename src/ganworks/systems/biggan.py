"""BigGAN: large class-conditional residual networks, and truncation (Brock et al. 2018).

What the paper puts together (section 3, appendix B and C):

    L_D = E relu(1 - f(x, y)) + E relu(1 + f(G(z, y), y))      L_G = -E f(G(z, y), y) + β R(G)      the hinge
    f(x, y) = head(φ(x)) + ⟨e(y), φ(x)⟩                        the projection of Miyato and Koyama 2018
    R(W) = ½ ‖WWᵀ∘(1 - I)‖²                                     filters that differ in direction, β = 1e-4 (equation 3)

- the networks of networks/biggan.py. Both are spectrally normalised, and their weights begin orthogonal;
- one table of class codes for all of G: a block's batch norm has gain and bias linear in the code and in a part of z of
  the block's own (hierarchical latents);
- two updates of D a round, Adam with β = (0, 0.999), 2e-4 for D and 5e-5 for G, batches of 2,048, samples from an
  average of G's weights with a memory of 0.9999, and batch norm's statistics measured for it on 16 batches of samples
  ("standing statistics"), as for every system here;
- truncation: samples from latents within ±t only. Here every z of the prior has its place in the shorter interval,
  z' = Φ⁻¹(Φ(-t) + Φ(z)(Φ(t) - Φ(-t))), so a sample changes smoothly with t. The paper draws again what falls outside,
  which has the same distribution.

Departures: R sees weights as the layers use them, divided by σ, where the authors' code sees them before, and it leaves
the table of codes out, as theirs does; the fakes of an update have the labels of its real batch, so they are those of
the data. Below 64 px, for CPU minutes: 14 times fewer channels and more (docs/systems/biggan.md), no attention, equal
learning rates and turns.

Letters: B batch, Z latent, K classes, F features.
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from ganworks import penalties
from ganworks.adversarial import ClassConditional
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Round, Terms, latent
from ganworks.networks import biggan
from ganworks.networks.projection import Projection
from ganworks.random import Streams
from ganworks.settings import (
    AverageSettings,
    Count,
    GameSettings,
    LatentSettings,
    ObjectiveSettings,
    PlayerSettings,
    Ramp,
    Rate,
    TurnSettings,
)

_MEMORY = 0.9999
_SMALL = 48
"""Below so many pixels: settings for CPU minutes."""


class BigGANSettings(GameSettings):
    """The paper's, for ImageNet at 128 px."""

    batch: int = Field(2048, ge=1, description="samples of one update")
    code: Count = Field(128, description="numbers of a class's code in G, which all blocks share")
    attention: int = Field(64, ge=0, description="size in pixels at which both networks have self-attention; 0: none")
    orthogonal: Rate = Field(1e-4, description="β: weight of ½|WWᵀ∘(1 - I)|² over G's weights but its class codes")
    latent: LatentSettings = LatentSettings(size=120)
    objective: ObjectiveSettings = ObjectiveSettings(loss="hinge")
    turns: TurnSettings = TurnSettings(discriminator=2)
    average: AverageSettings = AverageSettings(half_life=round(2048 * math.log(0.5) / math.log(_MEMORY), -3))
    generator: PlayerSettings = PlayerSettings(lr=5e-5, betas=(0.0, 0.999), width=96, spectral_norm=True)
    discriminator: PlayerSettings = PlayerSettings(lr=2e-4, betas=(0.0, 0.999), width=96, spectral_norm=True)


class BigGAN(ClassConditional):
    """The hinge game for each class at once, with the paper's networks."""

    name = "biggan"
    paper = "Brock et al. 2018, Large Scale GAN Training for High Fidelity Natural Image Synthesis, arXiv:1809.11096"
    accepts = ("images",)
    gives = "images"
    Settings = BigGANSettings
    settings: BigGANSettings
    conditions: tuple[str, ...] = ("label", "truncation")
    generator: biggan.Generator

    def __init__(self, settings: BigGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        sizes, classes, attention = self.sizes(), len(data.classes), settings.attention
        blocks = biggan.levels(data.shape)
        if sizes.latent <= blocks:
            reason = f"z is shared out to the first layer and {blocks} blocks: set latent.size > {blocks}"
            raise error("E-SET-02", reason=reason, system=self.name)
        if settings.latent.prior != "normal":
            self.conditions = ("label",)
        generator = biggan.Generator(sizes.latent, classes, settings.code, sizes.generator, sizes.sample, attention)
        judge = biggan.Discriminator(sizes.discriminator, sizes.judged, attention)
        discriminator = Projection(judge, classes, settings.view.pack)
        for network in (generator, discriminator):
            biggan.orthogonal(network)
        self.set_up(generator, discriminator)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Settings for CPU minutes on small pictures; docs/systems/biggan.md has the measurements."""
        if data.kind != "images" or min(data.shape[1:]) >= _SMALL:
            return {}
        decay = Ramp.model_validate({"from": 1.0, "to": 0.02, "over": [0.667, 1.0]})
        player = {"width": 16, "betas": (0.0, 0.99)}
        return {
            "batch": 32,
            "code": 32,
            "attention": 0,
            "latent": {"size": 60},
            "turns": {"discriminator": 1},
            "average": {"half_life": 500_000.0},
            "generator": {**player, "lr": [1e-3, decay]},
            "discriminator": {**player, "lr": [1e-3, decay]},
        }

    def generator_loss(self, round: Round) -> Terms:
        """G's terms, and the regularisation of its weights."""
        terms, weight = super().generator_loss(round), round.at(self.settings.orthogonal)
        if weight:
            terms |= {"orthogonal": weight * penalties.orthogonal(self.generator.trunk)}
        return terms

    def generate(
        self,
        count: int,
        random: Streams,
        label: Int64[Tensor, " b"] | None = None,
        truncation: Float[Tensor, " b"] | None = None,
        **given: Any,
    ) -> Batch:
        """Samples of the labels, drawn where none are given, from latents within ± the truncation."""
        label = self.labels(random) if label is None else label
        z = latent(self.settings.latent, random)
        if truncation is not None:
            z = truncated(z, truncation)
        return Batch({"x": self.generator(z, label), "label": label})


def truncated(z: Float[Tensor, "b z"], t: Float[Tensor, " b"]) -> Float[Tensor, "b z"]:
    """Φ⁻¹(Φ(-t) + Φ(z)(Φ(t) - Φ(-t))): of N(0, 1) numbers, those of a normal distribution cut off at ±t, in order.

    Args:
        t: Above 0, one for each row.
    """
    # In double precision, and in the lower half, where Φ of a far number is small and not nearly 1.
    bound = t.double()[:, None]
    below = _phi(-bound)
    inside = torch.special.ndtri(below + _phi(-z.double().abs()) * (_phi(bound) - below))
    return (z.sign() * torch.minimum(-inside, bound)).to(z)


def _phi(x: Float[Tensor, "b z"]) -> Float[Tensor, "b z"]:
    """Φ(x), exact far below 0, where PyTorch's takes a small number from 1."""
    return torch.erfc(-x / math.sqrt(2)) / 2
