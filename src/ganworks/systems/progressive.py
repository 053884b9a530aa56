"""Progressive GAN: both networks grow, from pictures of 4 × 4 px to the full size (Karras et al. 2017).

The critic minimises E f(G) - E f(x) + λ E (‖∇f(x̂)‖ - 1)² + ε E f(x)², λ = 10, x̂ on the line between a real and a fake
sample, and ε = 0.001 so that f does not drift away; G minimises -E f(G). One update each, Adam 1e-3 with β = (0, 0.99),
batch 16 (appendix A.1). One phase at the smallest size; then for each further one a phase in which its layers are faded
in, for G's pictures and for real ones, and one with them. With a level α there, G's picture is
(1 - α) · up(picture of the level below) + α · picture of the level, up: nearest neighbour. Real pictures are mixed
alike, and D's two ways in (figure 2). Adam's moments start anew in every phase, as in the authors' code.

Equalised learning rates, pixel norm in G, minibatch standard deviation in D (networks/equalized.py); the networks of
table 2 (networks/progressive.py).

Departures: ‖∇f‖ is taken at the pictures of a level; the authors' code takes it at those enlarged to the full size,
where it is s times as small if the level is, and a critic that may be s times as steep learnt digits of 7 px worse
(docs/systems/progressive.md). Lengths of phases are shares of the run, equal ones as in the paper; sizes may begin at 4
to 7 px (7, 14, 28) and need not be squares; one batch size for all levels, where the paper has smaller ones from 256 px
on for memory's sake; groups of the standard deviation are neighbours in a batch. Samples are clamped to [-1, 1] and,
before the last level, enlarged to the full size. Below 128 px the defaults are small ones for CPU minutes.

Letters: B batch, Z latent, C channels, H, W height and width.
"""

import math
from dataclasses import replace
from typing import Any

from pydantic import Field
from torch import Tensor

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Phase, Round, Terms, latent
from ganworks.networks import progressive
from ganworks.objective import Objective, _Judged
from ganworks.random import Streams
from ganworks.settings import (
    AverageSettings,
    Count,
    GameSettings,
    LatentSettings,
    ObjectiveSettings,
    PlayerSettings,
    Share,
    Weight,
)

_LARGE = 128
"""From this side on the paper's sizes are the default."""
_SMALL = 32 * 32
"""Numbers in a picture below which a CPU has time for few channels only."""


class Penalties(ObjectiveSettings):
    """Every adversarial system's, and the drift term of appendix A.1."""

    drift: Weight = Field(0.001, description="weight of E f(x)² on real samples, which keeps D's logits near 0")


class ProgressiveSettings(GameSettings):
    """Appendix A.1 and table 2."""

    batch: int = Field(16, ge=1, description="samples of one update")
    growing: Share = Field(
        0.67, description="part of the run after which the last level is there; 0: all levels from the start"
    )
    taper: Count = Field(16_384, description="channels of a level times its side, at most")
    group: Count = Field(4, description="samples whose standard deviation D hears; 1: it hears nothing")
    latent: LatentSettings = LatentSettings(size=512)
    objective: Penalties = Penalties(loss="wasserstein", gradient_penalty=10.0)
    # 0.999 an update of 16 samples.
    average: AverageSettings = AverageSettings(half_life=11_000.0, rampup=0.0)
    generator: PlayerSettings = PlayerSettings(lr=1e-3, betas=(0.0, 0.99), width=512)
    discriminator: PlayerSettings = PlayerSettings(lr=1e-3, betas=(0.0, 0.99), width=512)


class Drifting(Objective):
    """The objective with the drift term."""

    settings: Penalties

    def _others(self, judged: _Judged) -> Terms:
        drift = self.settings.drift
        own = {"drift": drift * judged.real_logits.square().mean()} if drift else {}
        return super()._others(judged) | own


class Progressive(Adversarial):
    """WGAN-GP whose networks grow."""

    name = "progressive"
    paper = (
        "Karras et al. 2017, Progressive Growing of GANs for Improved Quality, Stability, and Variation, "
        "arXiv:1710.10196"
    )
    accepts = ("images",)
    gives = "images"
    Settings = ProgressiveSettings
    settings: ProgressiveSettings
    shared_fakes = False
    generator: progressive.Generator
    discriminator: progressive.Discriminator

    def __init__(self, settings: ProgressiveSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if settings.view.replay and settings.growing:
            reason = "view.replay keeps old fakes of one size, and these grow: set view.replay=0 or growing=0"
            raise error("E-SET-02", reason=reason, system=self.name)
        sizes = self.sizes()
        g_widths, d_widths = (
            progressive.widths(data.shape, width, settings.taper) for width in (sizes.generator, sizes.discriminator)
        )
        self.top = len(g_widths) - 1
        level = 0 if settings.growing else self.top
        self.set_up(
            progressive.Generator(sizes.latent, g_widths, sizes.sample, level),
            progressive.Discriminator(d_widths, sizes.judged, level, settings.group),
            joint=False,  # a group of the standard deviation must not hold reals and fakes
            objective=Drifting,
        )

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small networks for CPU minutes below 128 px."""
        if max(data.shape[-2:]) >= _LARGE:
            return {}
        # Channels of the smallest and of the last level.
        first, last = (32, 4) if math.prod(data.shape) < _SMALL else (64, 16)
        player = {"width": first, "lr": 4e-3}
        return {
            "growing": 0.15,
            "taper": last * max(data.shape[-2:]),
            "latent": {"size": 64},
            "average": {"half_life": 20_000.0, "rampup": 0.05},
            "generator": player,
            "discriminator": player,
        }

    def phases(self) -> tuple[Phase, ...]:
        """One phase at the smallest size, a fade and a phase at each further one; the last takes what is left."""
        (game,) = super().phases()
        if not self.settings.growing:
            return (game,)
        share, both = self.settings.growing / (2 * self.top), ("discriminator", "generator")
        phases = [replace(game, name="level 0", share=share)]
        for level in range(1, self.top + 1):
            phases.append(replace(game, name=f"fade {level}", share=share, fresh=both))
            phases.append(replace(game, name=f"level {level}", share=share if level < self.top else None, fresh=both))
        return tuple(phases)

    def begin(self, round: Round) -> None:
        """Write level and α."""
        if not self.settings.growing:
            return
        kind, level = round.phase.split()
        for network in (self.generator, self.discriminator):
            network.growth.reach(int(level), round.phase_progress if kind == "fade" else 1.0)

    def real(self, round: Round) -> dict[str, Tensor]:
        """Real pictures as the level has them."""
        return {"x": self.discriminator.growth.faded(round.real["x"])}

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Samples from fresh latents, of the full size whatever the level, in [-1, 1]."""
        x = self.generator(latent(self.settings.latent, random))
        return Batch({"x": progressive.up(x, self.generator.growth.shrunk).clamp(-1, 1)})
