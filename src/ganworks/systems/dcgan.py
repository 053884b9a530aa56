"""DCGAN: strided convolutions and batch norm (Radford, Metz and Chintala 2015).

The game is the original one in its non-saturating form; what the paper adds are networks that train: no pooling, no
hidden dense layers, batch norm everywhere but G's output and D's input, ReLU in G, LeakyReLU 0.2 in D, Adam 2e-4
with β₁ = 0.5, weights N(0, 0.02), batch 64 (section 4).

Departures: latents are normal, as in the authors' code, instead of uniform as in the text; sizes other than 64 px get
as many strides as they allow; G's samples serve D's and G's turn of a round, as in that code; samples come from an
average of G's weights; and a D whose slope is penalised has no batch norm.
"""

from pydantic import Field

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.networks import convolutional
from ganworks.settings import GameSettings, LatentSettings


class DCGANSettings(GameSettings):
    """The paper's section 4; its widths are 64 to 512."""

    batch: int = Field(64, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=100)


class DCGAN(Adversarial):
    """The original game between two convolutional networks."""

    name = "dcgan"
    paper = "Radford, Metz and Chintala 2015, Unsupervised Representation Learning with DCGANs, arXiv:1511.06434"
    accepts = ("images",)
    gives = "images"
    Settings = DCGANSettings

    def __init__(self, settings: DCGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        norm = not settings.objective.penalised
        # Batch statistics of reals and fakes must not mix: two forward passes, as in the authors' code.
        self.set_up(*convolutional.pair(self.sizes(), norm=norm), joint=False)
