"""WGAN-GP: the Wasserstein game with a gradient penalty (Gulrajani et al. 2017).

The critic minimises E f(G) - E f(x) + λ E (‖∇f(x̂)‖ - 1)² with x̂ on the line between a real and a fake sample; G
minimises -E f(G). λ = 10 and five critic updates a round on pictures, Adam 1e-4 with β = (0.5, 0.9), batch 64
(algorithm 1). On points: λ = 0.1, three layers of 512 ReLU, batch 256 (the authors' toy experiment).

No batch norm in the critic: a batch's statistics tie its samples together, but the penalty is on each sample's slope.

Departures: samples come from an average of G's weights. On points Adam 1e-3 with β = (0, 0.99), decaying to 0, and
layers of 64 units with LeakyReLU in the critic: seconds instead of the published 100,000 steps.
"""

from typing import Any

from pydantic import Field

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.networks import convolutional, mlp
from ganworks.settings import GameSettings, LatentSettings, ObjectiveSettings, PlayerSettings, TurnSettings


class WGANGPSettings(GameSettings):
    """Algorithm 1."""

    batch: int = Field(64, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=128)
    objective: ObjectiveSettings = ObjectiveSettings(loss="wasserstein", gradient_penalty=10.0)
    turns: TurnSettings = TurnSettings(discriminator=5)
    generator: PlayerSettings = PlayerSettings(lr=1e-4, betas=(0.5, 0.9))
    discriminator: PlayerSettings = PlayerSettings(lr=1e-4, betas=(0.5, 0.9))


class WGANGP(Adversarial):
    """A critic that is kept 1-Lipschitz by a penalty, and a generator that follows its slope."""

    name = "wgan_gp"
    paper = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"
    accepts = ("points", "images")
    gives = "images"
    Settings = WGANGPSettings
    shared_fakes = False

    def __init__(self, settings: WGANGPSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        make = mlp.pair if data.kind == "points" else convolutional.pair
        self.set_up(*make(self.sizes()))

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """The toy experiment's penalty for points, on smaller and faster networks."""
        if data.kind != "points":
            return {}
        decay = {"from": 1e-3, "to": 0.0}
        player = {"width": 64, "lr": decay, "betas": (0.0, 0.99)}
        return {
            "batch": 128,
            "latent": {"size": 16},
            "objective": {"gradient_penalty": 0.1},
            "generator": player,
            "discriminator": player,
        }
