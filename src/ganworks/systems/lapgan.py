"""LAPGAN: one GAN for each level of a Laplacian pyramid (Denton et al. 2015).

The coarsest level K is an ordinary game over small pictures. At each finer level k, D_k judges and G_k makes the detail
h_k = I_k - up(I_{k+1}) that goes with l_k = up(I_{k+1}) (equation 2 for each level; networks/pyramid.py):

    min over G_k, max over D_k:  E log D_k(h_k, l_k) + E log(1 - D_k(G_k(z_k, l_k), l_k))

l_k comes from *real* pictures in training, so levels learn apart from each other. Samples are a cascade: G_K makes Ĩ_K,
then Ĩ_k = up(Ĩ_{k+1}) + G_k(z_k, up(Ĩ_{k+1})) from what the level below has *generated* (equation 5).

D_k adds l_k to h_k before its first layer, as in the paper: what it sees is a picture of level k. z_k is a plane of
noise beside l_k; noise is uniform in [-1, 1). G_K and D_K are fully connected, two hidden layers of 1,200 and 600,
dropout in D_K; the others have three and two convolutions (section 4.1, CIFAR-10).

All levels are one player's networks on each side, and every round is a round of each level: no gradient crosses from
one to another, so it is as if each were trained alone for as many rounds. A player's terms are sums over levels.

Departures: sizes are halved exactly, 32 → 16 → 8, where the paper has 28 → 14 → 8 cropped from 32. Momentum, 0.5 rising
to 0.8, stands in the learning rate: 0.02 / (1 - momentum), the length of a steady step; its decay by 1 + 4e-5 an epoch
is left out. Kernels and channels of the convolutions are ours. G_K ends in tanh; samples are clamped to [-1, 1] at each
level, as real pictures are in that range; they come from an average of G's weights. From 128 px on Adam trains the
paper's networks. Below, `suited` has what learns in CPU minutes: small networks, Adam, r3gan's paired loss with R1 and
R2, where the two of a pair are a real picture and one made from its coarse one; D's that look for texture; and finer
pictures that are corrected to have the coarse one inside.

Letters: B batch, Z latent, C channels, H, W height and width, K the coarsest level.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Round, Terms, latent
from ganworks.networks import pyramid
from ganworks.objective import Objective, full
from ganworks.random import Streams
from ganworks.settings import Count, GameSettings, LatentSettings, PlayerSettings, Ramp, Share

_LARGE = 128
"""From this side on the paper's networks are the default."""
_MOMENTUM = Ramp.model_validate({"from": 0.04, "to": 0.1})
_DECAY = Ramp.model_validate({"from": 1.0, "to": 0.02, "over": [0.5, 1.0]})
_PER_PENALTY = 100_000
"""Numbers in a picture for each unit of `r1` and `r2`. With ten times the weight G's detail at strong edges of
photographs grew to twice what real ones have: one seed (2026-11-26)."""


class LAPGANSettings(GameSettings):
    """Section 4.1, CIFAR-10."""

    batch: int = Field(128, ge=1, description="samples of one update")
    coarsest: Count = Field(7, description="pixels that the shorter side of the coarsest level has at least")
    units: Count = Field(1200, description="units of the hidden layers of the coarsest G; D has half as many")
    dropout: Share = Field(0.5, description="share of the coarsest D's hidden units that is left out in an update")
    reach: Count = Field(2, description="pixels to each side that the finer levels' kernels see; 2: they are 5 x 5")
    texture: bool = Field(False, description="finer D's hear detail apart and judge means over all places")
    corrections: int = Field(
        0, ge=0, description="times a finer picture is corrected by the coarse one it was made from"
    )
    fold: bool = Field(False, description="finer levels see squares of four pixels as channels: a quarter of the cost")
    latent: LatentSettings = LatentSettings(size=100, prior="uniform")
    generator: PlayerSettings = PlayerSettings(optimizer="sgd", lr=_MOMENTUM)
    discriminator: PlayerSettings = PlayerSettings(optimizer="sgd", lr=_MOMENTUM)


class LAPGAN(Adversarial):
    """A game for each level of the pyramid, and samples by a cascade."""

    name = "lapgan"
    paper = (
        "Denton et al. 2015, Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks, "
        "arXiv:1506.05751"
    )
    accepts = ("images",)
    gives = "images"
    Settings = LAPGANSettings
    settings: LAPGANSettings
    generator: pyramid.Generator
    discriminator: pyramid.Discriminator

    def __init__(self, settings: LAPGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if settings.objective.finite_difference and settings.dropout:
            reason = "D's dropout differs between the two points of objective.finite_difference: set dropout=0"
            raise error("E-SET-02", reason=reason, system=self.name)
        self.shapes, sizes = pyramid.shapes(data.shape, settings.coarsest), self.sizes()
        packs = [(settings.view.pack * c, h, w) for c, h, w in self.shapes]
        units, form = settings.units, (2 * settings.reach + 1, 2 if settings.fold else 1)
        # Players who move at once share a batch; in turns each update has its own, and details that go with it.
        self.shared_fakes = settings.turns.simultaneous
        joint = not settings.dropout
        self.set_up(
            pyramid.Generator(sizes.latent, sizes.generator, units, self.shapes, *form, settings.corrections),
            pyramid.Discriminator(
                packs, sizes.discriminator, max(units // 2, 1), settings.dropout, *form, settings.texture
            ),
            joint=joint,
        )
        # A level has its own view and its own running means; those of level 0 are `objective`.
        self.coarser = nn.ModuleList(
            Objective(settings.objective, settings.view, joint=joint, row={"x": torch.empty(shape)})
            for shape in self.shapes[1:]
        )

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small networks for CPU minutes below 128 px; docs/systems/lapgan.md has the measurements.

        From there on Adam: at 256 px the paper's rates, made for 32 px, lost D in its third update (2026-11-26).
        """
        if max(data.shape) >= _LARGE:
            large = {"optimizer": "adam", "lr": 2e-4}
            return {"generator": large, "discriminator": large}
        player: dict[str, Any] = {
            "optimizer": "adam",
            "lr": [1e-3, _DECAY],
            "betas": (0.0, 0.99),
        }
        penalty = math.prod(data.shape) / _PER_PENALTY
        return {
            "batch": 32,
            "units": 256,
            "dropout": 0.0,
            "reach": 1,
            "texture": True,
            "corrections": 2,
            "fold": True,
            "latent": {"size": 64, "prior": "normal"},
            "objective": {"loss": "relativistic_paired", "r1": penalty, "r2": penalty, "every": 8},
            "average": {"half_life": 80_000.0, "rampup": 0.1},
            "generator": player | {"width": 48},
            "discriminator": player | {"width": 64},
        }

    def real(self, round: Round) -> dict[str, Tensor]:
        """I_0, …, I_K, as `x`, `x1`, …"""
        return self._named(pyramid.shrunk(round.real["x"], len(self.coarser)))

    def fake(self, round: Round) -> dict[str, Tensor]:
        """The same of samples: of each level what G_k adds to the real picture of the level below."""

        def make() -> dict[str, Tensor]:
            real = pyramid.shrunk(round.real["x"], len(self.coarser))
            finer = [
                self.generator.finer(level, coarse, self.plane(level, round.random))
                for level, coarse in enumerate(real[1:])
            ]
            drawn = [*finer, self.generator.coarsest(latent(self.settings.latent, round.random))]
            return self._named([full(each) for each in drawn])

        return round.once("fake", make, uses=("generator",)) if self.shared_fakes else make()

    def _named(self, pictures: list[Tensor]) -> dict[str, Tensor]:
        return {pyramid.name(level): each for level, each in enumerate(pictures)}

    def plane(self, level: int, random: Streams) -> Float[Tensor, "b 1 h w"]:
        """z_k: a number for each pixel, as `latent.prior` says."""
        shape, stream = (1, *self.shapes[level][1:]), f"latent.{level}"
        if self.settings.latent.prior == "uniform":
            return random.uniform(stream, *shape) * 2 - 1
        return random.normal(stream, *shape)

    def discriminator_loss(self, round: Round) -> Terms:
        """D's terms of each level, with G held constant, and their sums."""
        real, fake = self.real(round), {name: round.hold(values) for name, values in self.fake(round).items()}
        found, said = [], {"logit.real": list[Tensor](), "logit.fake": list[Tensor]()}
        for level, objective, judge in self._levels(round):
            name = pyramid.name(level)
            found.append(objective.discriminator(judge, {"x": real[name]}, {"x": fake[name]}, round))
            for side, logits in said.items():
                logits.append(round.shown[side].flatten())
        round.shown |= {side: torch.cat(logits) for side, logits in said.items()}
        return _summed(found, "discriminator", round)

    def generator_loss(self, round: Round) -> Terms:
        """G's terms of each level, and their sums."""
        fake, found = self.fake(round), []
        for level, objective, judge in self._levels(round):
            name = pyramid.name(level)
            real = partial(self._real, round, name)
            found.append(objective.generator(judge, {"x": fake[name]}, round, real=real))
        return _summed(found, "generator", round)

    def _real(self, round: Round, name: str) -> dict[str, Tensor]:
        return {"x": self.real(round)[name]}

    def discriminated(self, round: Round) -> None:
        """After D's update, at each level."""
        for _, objective, judge in self._levels(round):
            objective.after(round, judge)

    def _levels(self, round: Round) -> Iterator[tuple[int, Objective, nn.Module]]:
        """Each level with its objective and its D. What they note of a round is kept apart."""
        for level, judge in enumerate(self.discriminator.levels):
            objective = self.coarser[level - 1] if level else self.objective
            assert isinstance(objective, Objective)
            with round.apart(f"level {level}"):
                yield level, objective, judge

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """The cascade: each level adds its detail to what the level below has made."""
        x = self.generator.coarsest(latent(self.settings.latent, random))
        for level in reversed(range(len(self.coarser))):
            x = self.finer(level, x, random)
        return Batch({"x": x})

    def finer(self, level: int, coarse: Float[Tensor, "b c h w"], random: Streams) -> Float[Tensor, "b c h2 w2"]:
        """Pictures of a level from those of the level below, real or generated, in [-1, 1]."""
        return self.generator.finer(level, coarse, self.plane(level, random)).clamp(-1, 1)


def _summed(levels: list[Terms], player: str, round: Round) -> Terms:
    """Sums of terms over levels; each level's own adversarial term is shown beside them."""
    for level, terms in enumerate(levels):
        round.shown[f"level.{level}.{player}"] = terms["adversarial"].detach()
    return {name: torch.stack([terms[name] for terms in levels]).sum() for name in levels[0]}
