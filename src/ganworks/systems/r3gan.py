"""R3GAN: the regularised relativistic GAN (Huang et al. 2024). The default system.

D minimises E sp(f(G) - f(x)) + γ/2 E‖∇f(x)‖² + γ/2 E‖∇f(G)‖², G minimises E sp(f(x) - f(G)): real and fake are judged
in pairs, and D's slope is penalised at both ends (equation 2 and section 2). No normalisation, no other trick.

The default's networks are small ones for CPU minutes (networks/compact.py); docs/systems/r3gan.md says what mattered.
`networks` = paper takes the paper's (networks/residual.py); examples/r3gan-32.toml, -64 and -128 are its whole recipe.

Departures of the default: penalties on every 8th update with weight × 8, not on every one; on pictures below 48 px
both players move at once, from one backward pass through D (`OnePass`), which gives the gradients of the simultaneous
update; a constant learning rate with warm-up and a linear decay at the end instead of cosine schedules; no
augmentation, but from 48 px on shifts of what D sees. Those of the recipes stand in their files.
"""

import math
from typing import Any, Literal

from pydantic import Field

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.networks import compact, mlp, residual
from ganworks.networks.pair import Pair
from ganworks.networks.residual import ResidualSettings
from ganworks.objective import Objective, OnePass
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
_LARGE_LR = 1.5e-3
"""From 48 px: at 4e-3, 64 px, samples were lost for a while, and half of them for good (2026-11-25)."""
_PER_PENALTY = 6000
"""Numbers in a picture for each unit of `r1` and `r2`: 2 at 64 px in colour, where 0.1 let D's logits grow without end
(2026-11-25)."""


class Turns(TurnSettings):
    """Who moves, and how often."""

    simultaneous: bool = Field(True, description="gradients of both at the same weights, then both updates")
    one_pass: bool = Field(
        True, description="where simultaneous and relativistic_paired: both gradients from one backward pass through D"
    )


class R3GANSettings(GameSettings):
    """The small default for pictures."""

    batch: int = Field(32, ge=1, description="samples of one update")
    networks: Literal["small", "paper", "mlp"] = Field(
        "small", description="of pictures: for CPU minutes, the paper's residual ones, or fully connected ones"
    )
    residual: ResidualSettings = ResidualSettings()
    latent: LatentSettings = LatentSettings(size=64)
    objective: ObjectiveSettings = ObjectiveSettings(loss="relativistic_paired", r1=0.1, r2=0.1, every=8)
    turns: Turns = Turns()
    average: AverageSettings = AverageSettings(half_life=500_000.0, rampup=0.05)
    generator: PlayerSettings = PlayerSettings(lr=[5e-3, _WARM_UP, _DECAY], betas=(0.0, 0.99), width=32)
    discriminator: PlayerSettings = PlayerSettings(lr=[5e-3, _WARM_UP, _DECAY], betas=(0.0, 0.99), width=32)


class R3GAN(Adversarial):
    """The paired relativistic loss with both penalties."""

    name = "r3gan"
    paper = "Huang et al. 2024, The GAN is dead; long live the GAN! A Modern GAN Baseline, arXiv:2501.05441"
    accepts = ("points", "images")
    gives = "images"
    Settings = R3GANSettings
    settings: R3GANSettings

    def __init__(self, settings: R3GANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        one_pass = settings.turns.one_pass and settings.turns.simultaneous
        one_pass = one_pass and OnePass.allows(settings.objective, settings.view)
        self.set_up(*self.pair(), objective=OnePass if one_pass else Objective)

    def pair(self) -> Pair:
        """G and D, with their initial weights."""
        settings = self.settings
        if self.data.kind == "points":
            return mlp.pair(self.sizes())
        if settings.networks == "paper":
            return residual.pair(self.sizes(), settings.residual)
        return (mlp.pictures if settings.networks == "mlp" else compact.pair)(self.sizes())

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Settings for points, and for pictures from 48 px; docs/systems/r3gan.md has the measurements.

        Players in alternating turns. On points moving at once saved a tenth of the time, but one seed in five lost the
        weights of the ring's modes; on large pictures turns were better at equal time, as they are on small ones.
        """
        if data.kind == "points":
            player: dict[str, Any] = {"width": 128, "lr": {"from": 1e-3, "to": 0.0}}
            return {
                "batch": 128,
                "latent": {"size": 16},
                "objective": {"every": 1},
                "turns": {"simultaneous": False},
                "generator": player,
                "discriminator": player,
            }
        if any(side % 4 for side in data.shape[1:]) or not compact.large(data.shape):
            return {}
        # D's slope is summed over the numbers of a picture, so a weight for many of them is larger.
        penalty = math.prod(data.shape) / _PER_PENALTY
        lr = [_LARGE_LR, _WARM_UP, _DECAY]
        return {
            "batch": 16,
            "objective": {"r1": penalty, "r2": penalty},
            "view": {"shift": 0.125},
            "turns": {"simultaneous": False},
            "generator": {"width": 48, "lr": lr},
            "discriminator": {"width": 32, "lr": lr},
        }
