"""SNGAN: spectral normalisation of D (Miyato et al. 2018).

Every weight of D is divided by its largest singular value, which one step of power iteration a training forward keeps
track of (algorithm 1): each linear layer is then 1-Lipschitz, and so is D as far as its convolutions agree with their
flattened matrices. The loss is the hinge: D minimises E relu(1 - f(x)) + E relu(1 + f(G)), G minimises -E f(G)
(equations 16 and 17).

Adam 2e-4 with β = (0, 0.9), decaying to 0 over the run, five updates of D a round, batch 64 (section 4, appendix C).

Departures: the strided convolutions of DCGAN instead of a ResNet, without batch norm in D; batches of G are as large as
D's; samples come from an average of G's weights. On points a 1-Lipschitz D cannot tell a mode's width of 0.02 from 0:
D sees them magnified (`gain`), and Adam takes 1e-3 on small networks.
"""

from typing import Any

from pydantic import Field

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.networks import convolutional, mlp
from ganworks.settings import (
    GameSettings,
    LatentSettings,
    ObjectiveSettings,
    PlayerSettings,
    Ramp,
    TurnSettings,
)


def _decay(lr: float) -> Ramp:
    return Ramp.model_validate({"from": lr, "to": 0.0})


class SNGANSettings(GameSettings):
    """The paper's choice for CIFAR-10."""

    batch: int = Field(64, ge=1, description="samples of one update")
    gain: float = Field(
        1.0, gt=0, description="on points: D sees them so many times larger, and may be as much steeper"
    )
    latent: LatentSettings = LatentSettings(size=128)
    objective: ObjectiveSettings = ObjectiveSettings(loss="hinge")
    turns: TurnSettings = TurnSettings(discriminator=5)
    generator: PlayerSettings = PlayerSettings(lr=_decay(2e-4), betas=(0.0, 0.9))
    discriminator: PlayerSettings = PlayerSettings(lr=_decay(2e-4), betas=(0.0, 0.9), spectral_norm=True)


class SNGAN(Adversarial):
    """A discriminator that cannot be steep, by the form of its weights."""

    name = "sngan"
    paper = "Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, arXiv:1802.05957"
    accepts = ("points", "images")
    gives = "images"
    Settings = SNGANSettings
    shared_fakes = False

    def __init__(self, settings: SNGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        sizes = self.sizes()
        points = data.kind == "points"
        self.set_up(*(mlp.pair(sizes, scale=settings.gain) if points else convolutional.pair(sizes)))

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """A magnifying glass and faster steps for points."""
        if data.kind != "points":
            return {}
        player = {"lr": {"from": 1e-3, "to": 0.0}, "betas": (0.0, 0.99)}
        return {
            "batch": 128,
            "gain": 5.0,
            "latent": {"size": 16},
            "turns": {"discriminator": 1},
            "generator": player,
            "discriminator": player,
        }
