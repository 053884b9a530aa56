"""LSGAN: least squares instead of cross entropy (Mao et al. 2016).

D minimises ½E(f(x) - 1)² + ½E f(G)², G minimises ½E(f(G) - 1)² (equation 9): a sample that D takes for real, but that
lies far from its decision, is still pulled. f is a number without bounds; there is no sigmoid anywhere.

Adam 1e-3 with β₁ = 0.5, batch 64 (section 4.1). On points Adam 1e-3 as well, on small networks.

Departures: the networks are those of DCGAN (networks/convolutional.py) instead of the paper's for 112 px, and latents
have 128 numbers instead of 1,024; samples come from an average of G's weights.
"""

from typing import Any

from pydantic import Field

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.networks import convolutional, mlp
from ganworks.settings import GameSettings, LatentSettings, ObjectiveSettings, PlayerSettings


class LSGANSettings(GameSettings):
    """Section 4.1."""

    batch: int = Field(64, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=128)
    objective: ObjectiveSettings = ObjectiveSettings(loss="least_squares")
    generator: PlayerSettings = PlayerSettings(lr=1e-3)
    discriminator: PlayerSettings = PlayerSettings(lr=1e-3)


class LSGAN(Adversarial):
    """A game of squared distances to targets."""

    name = "lsgan"
    paper = "Mao et al. 2016, Least Squares Generative Adversarial Networks, arXiv:1611.04076"
    accepts = ("points", "images")
    gives = "images"
    Settings = LSGANSettings

    def __init__(self, settings: LSGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if data.kind == "points":
            self.set_up(*mlp.pair(self.sizes()))
        else:
            norm = not settings.objective.penalised
            self.set_up(*convolutional.pair(self.sizes(), norm=norm), joint=False)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Smaller latents for points."""
        return {"batch": 128, "latent": {"size": 16}} if data.kind == "points" else {}
