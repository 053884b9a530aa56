"""pix2pix: a picture made of another one, learnt from pairs (Isola et al. 2016).

D judges pairs (s, x) of a source and a picture, patch by patch; G makes x of s and keeps near to the target besides:

    L_D = E sp(-f(s, x)) + E sp(f(s, G(s)))                  sp(t) = log(1 + e^t)
    L_G = E sp(-f(s, G(s))) + λ E |x - G(s)|,  λ = 100       equations 1 to 4, non-saturating

|·| is a mean over pixels and channels of numbers in [-1, 1]. With the L1 term alone G gives the median of all answers
that fit, a blur where they differ; D makes it choose one. What chooses is dropout, G's only noise (section 3.1), so
it is on when a picture is translated too.

- networks/translation.py: U-Net and PatchGAN; Adam 2e-4 with β = (0.5, 0.999), one pair a batch, G and D in turn;
- the paper halves D's loss; Adam does not notice.

Departures: instance norms for batch norms, which are the same with one picture a batch; the learning rate falls to 0
over the second half, as in the authors' later code; no jitter (`mirror`, `view.shift` are there). Pictures smaller than
256 px have smaller patches in the same share. Below 128 px `suited` has small networks for CPU minutes, which paint
below the source's ink, a rate that stays, and a longer average.

Letters: B batch, C channels, H, W height and width.
"""

from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Round, Terms
from ganworks.networks import translation
from ganworks.random import Streams
from ganworks.schedules import DECAY
from ganworks.settings import GameSettings, PlayerSettings, Share, Weight

_LARGE = 128
"""From this side on the paper's networks are the default."""


class Pix2PixSettings(GameSettings):
    """Section 6.2."""

    batch: int = Field(1, ge=1, description="pairs of one update")
    adversarial: Weight = Field(1.0, description="weight of the game in G's loss; 0: the L1 term alone")
    l1: Weight = Field(100.0, description="λ, the weight of E |x - G(s)| in G's loss")
    dropout: Share = Field(0.5, description="share of G's numbers, in three layers, that is left out: its noise")
    inked: bool = Field(False, description="G makes paint, which lies under the source as under ink")
    resized: bool = Field(False, description="G doubles a picture by repeating pixels, not by transposed convolutions")
    generator: PlayerSettings = PlayerSettings(lr=[2e-4, DECAY], betas=(0.5, 0.999), width=64)
    discriminator: PlayerSettings = PlayerSettings(lr=[2e-4, DECAY], betas=(0.5, 0.999), width=64)


class Pix2Pix(Adversarial):
    """The game on pairs, and a term that keeps G near to the target."""

    name = "pix2pix"
    paper = "Isola et al. 2016, Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004"
    accepts = ("pairs",)
    gives = "images"
    Settings = Pix2PixSettings
    settings: Pix2PixSettings
    conditions: tuple[str, ...] = ("source",)

    def __init__(self, settings: Pix2PixSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        (inner, *sides), outer = data.source, data.shape[0]
        if settings.inked and inner not in (1, outer):
            reason = f"inked lays a source over a picture, and one of {inner} channels does not fit one of {outer}"
            raise error("E-SET-02", reason=reason, system=self.name)
        side, pack = min(sides), settings.view.pack
        # In turns each update has a batch of its own, and translations of its own sources.
        self.shared_fakes = settings.turns.simultaneous
        self.set_up(
            translation.UNet(
                *(inner, outer, settings.generator.width, side, settings.dropout),
                inked=settings.inked,
                resized=settings.resized,
            ),
            translation.Patches(pack * (inner + outer), settings.discriminator.width, translation.patch_layers(side)),
        )

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small networks for CPU minutes below 128 px; docs/systems/pix2pix.md has the measurements."""
        if max(data.shape[1:]) >= _LARGE:
            return {}
        player = {"width": 24, "lr": 1e-3}
        inked = (data.source or data.shape)[0] in (1, data.shape[0])
        network = {"inked": inked, "resized": True, "dropout": 0.2, "generator": player, "discriminator": player}
        # A long average does more than a falling rate: with that one G goes back to what L1 alone makes.
        return {"batch": 8, "l1": 10.0, "average": {"rampup": 0.2}, **network}

    def row(self) -> dict[str, Tensor]:
        """One row of D's inputs: a picture and its source."""
        return super().row() | {"source": torch.empty(self.data.source)}

    def real(self, round: Round) -> dict[str, Tensor]:
        """What D sees of the data."""
        return {"x": round.real["target"], "source": round.real["source"]}

    def fake(self, round: Round) -> dict[str, Tensor]:
        """What G makes of the same sources."""
        source = round.real["source"]
        return {"x": self.drawn(round, source), "source": source}

    def latents(self, random: Streams) -> tuple[Tensor, ...]:
        """None: G's noise is its dropout."""
        return ()

    def generator_loss(self, round: Round) -> Terms:
        """G's terms, and how far its pictures are from the targets."""
        fake, terms = self.fake(round), dict[str, Tensor]()
        if weight := round.at(self.settings.adversarial):
            played = self.objective.generator(self.discriminator, fake, round, real=lambda: self.real(round))
            terms |= {name: weight * term for name, term in played.items()}
        if weight := round.at(self.settings.l1):
            terms |= {"l1": weight * (fake["x"] - round.real["target"]).abs().mean()}
        return terms

    def given(self, rows: Batch) -> dict[str, Tensor]:
        """The rows' sources."""
        return {"source": rows["source"]}

    def generate(self, count: int, random: Streams, source: Tensor | None = None, **given: Any) -> Batch:
        """Translations of sources (B, C, H, W)."""
        assert source is not None, "it makes pictures of pictures"
        return Batch({"x": self.translate(source)})

    def translate(self, x: Float[Tensor, "b c h w"], to: Tensor | None = None) -> Float[Tensor, "b c2 h w"]:
        """What G makes of pictures of any size. There is one direction, and no `to`."""
        return self.generator(x)
