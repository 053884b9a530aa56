"""R3GAN: the regularised relativistic GAN (Huang et al. 2024). The default system.

D minimises E sp(f(G) - f(x)) + γ/2 E‖∇f(x)‖² + γ/2 E‖∇f(G)‖², G minimises E sp(f(x) - f(G)): real and fake are judged
in pairs, and D's slope is penalised at both ends (equation 2 and section 2). No normalisation, no other trick.

This file has the small networks of the default, made for CPU minutes; docs/systems/r3gan.md says what mattered.
The generator starts from a smooth picture and learns detail on top; every convolution is cheap where it stands.

Departures: penalties on every 8th update with weight × 8 instead of on every one; on pictures both players
move at once, from one backward pass through D (`OnePass`), which gives the gradients of the simultaneous update; a
constant learning rate with warm-up and a linear decay at the end instead of cosine schedules; no augmentation.

Letters: B batch, Z latent, C channels, H, W size.
"""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.networks import mlp
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


class Turns(TurnSettings):
    """Who moves, and how often."""

    simultaneous: bool = Field(True, description="gradients of both at the same weights, then both updates")
    one_pass: bool = Field(
        True, description="where simultaneous and relativistic_paired: both gradients from one backward pass through D"
    )


class R3GANSettings(GameSettings):
    """The small default for pictures."""

    batch: int = Field(32, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=64)
    objective: ObjectiveSettings = ObjectiveSettings(loss="relativistic_paired", r1=0.1, r2=0.1, every=8)
    turns: Turns = Turns()
    average: AverageSettings = AverageSettings(half_life=500_000.0, rampup=0.05)
    generator: PlayerSettings = PlayerSettings(lr=[5e-3, _WARM_UP, _DECAY], betas=(0.0, 0.99), width=32)
    discriminator: PlayerSettings = PlayerSettings(lr=[5e-3, _WARM_UP, _DECAY], betas=(0.0, 0.99), width=32)


def up(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Twice as large, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """A smooth picture from a quarter of the size, detail from half of it, and fine detail in the pixels.

    picture = tanh(up(up(smooth) + middle) + fine): at the start the fine layer is close to zero, so samples are smooth
    from step 0 and detail is learnt, like progressive growing without stages.
    """

    def __init__(self, latent: int, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        c, h, w = shape
        self.start = (h // 4, w // 4, width)
        self.latent = nn.Linear(latent, 4 * width)
        self.project = nn.Linear(4 * width, width * (h // 4) * (w // 4))
        self.refine = nn.Conv2d(width, width, 3, 1, 1)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.smooth = nn.Conv2d(width, c, 1)
        self.middle = nn.Conv2d(width // 2, c, 1)
        self.fine = nn.Conv2d(width // 2, 4 * c, 3, 1, 1)
        mlp.he(self)
        mlp.he(self.smooth, 0.5)
        mlp.he(self.middle, 0.5)
        mlp.he(self.fine, 0.1)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b c h w"]:
        x = F.leaky_relu(self.project(F.leaky_relu(self.latent(z), 0.2)), 0.2)
        # Read as (B, H, W, C): the channels-last layout without a copy.
        x = x.view(-1, *self.start).permute(0, 3, 1, 2)
        x = x + F.leaky_relu(self.refine(x), 0.2)
        y = F.leaky_relu(F.pixel_shuffle(self.widen(x), 2), 0.2)
        return F.tanh(up(up(self.smooth(x)) + self.middle(y)) + F.pixel_shuffle(self.fine(y), 2))


class Discriminator(nn.Module):
    """Four pixels to one position, three convolutions, two linear layers; logits (B,)."""

    def __init__(self, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        c, h, w = shape
        self.first = nn.Conv2d(4 * c, width, 3, 2, 1)
        self.second = nn.Conv2d(width, width, 3, 1, 1)
        self.third = nn.Conv2d(width, 2 * width, 3, 2, 1)
        # Each stride of 2 rounds up: 28 px are 14, then 7, then 4 positions wide.
        positions = (-(-h // 8)) * (-(-w // 8))
        self.judge = nn.Linear(2 * width * positions, 4 * width)
        self.head = nn.Linear(4 * width, 1)
        mlp.he(self)
        mlp.he(self.head, 0.5)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        x = F.leaky_relu(self.first(F.pixel_unshuffle(x, 2)), 0.2)
        x = x + F.leaky_relu(self.second(x), 0.2)
        x = F.leaky_relu(self.third(x), 0.2)
        return F.leaky_relu(self.judge(x.flatten(1)), 0.2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


class R3GAN(Adversarial):
    """The paired relativistic loss with both penalties."""

    name = "r3gan"
    paper = "Huang et al. 2024, The GAN is dead; long live the GAN! A Modern GAN Baseline, arXiv:2501.05441"
    accepts = ("points", "images")
    gives = "images"
    Settings = R3GANSettings

    def __init__(self, settings: R3GANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        z, shape = settings.latent.size, data.shape
        packed = (settings.view.pack * shape[0], *shape[1:])
        if data.kind == "points":
            self.generator = mlp.Generator(z, settings.generator.width, 3, shape, nn.ReLU, nn.Identity())
            self.discriminator = mlp.Discriminator(packed, settings.discriminator.width, 3)
        else:
            if shape[1] % 4 or shape[2] % 4:
                reason = f"r3gan needs picture sizes that divide by 4, not {shape[1]} x {shape[2]}"
                raise error("E-SET-02", reason=reason, system="r3gan")
            self.generator = Generator(z, settings.generator.width, shape)
            self.discriminator = Discriminator(settings.discriminator.width, packed)
        turns = settings.turns
        if turns.one_pass and turns.simultaneous and settings.objective.loss == "relativistic_paired":
            self.objective: Objective = OnePass(settings.objective, settings.view)
        else:
            self.objective = Objective(settings.objective, settings.view, joint=True)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small fully connected networks for points, in alternating turns, with penalties on every update.

        Moving at once saved a tenth of the time, but one seed in five lost the weights of the ring's modes.
        """
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
