"""Laplacian pyramids of pictures (Burt and Adelson 1983), and the networks of one GAN for each of their levels.

Level 0 is the finest: I_0 the picture, I_{k+1} = down(I_k), h_k = I_k - up(I_{k+1}), and h_K = I_K. The kernels of down
and up are a fixed pair, [1 1] / 2 and [1 3 3 1] / 4 along each axis, with the same centre; whatever the pair, the
pyramid gives the picture back, because what up(down(I)) has lost is in h.

Letters: B batch, Z latent, C channels, H, W height and width, K the coarsest level.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.errors import error
from ganworks.networks import mlp
from ganworks.networks.pair import Featured

Pictures = Float[Tensor, "b c h w"]
Other = Float[Tensor, "b c h2 w2"]
"""Of another size than those a function is given."""
Levels = list[Float[Tensor, "b c _ _"]]
"""Pictures of each level, the finest first."""
_LOUD = 4.0
"""How much louder than in the picture D hears detail, which is a fraction of it."""


def down(x: Pictures) -> Other:
    """Half the size: the mean of each square of four pixels."""
    return F.avg_pool2d(x, 2)


def up(x: Pictures) -> Other:
    """Twice the size, bilinear; at the edges the edge is repeated."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def shrunk(x: Pictures, levels: int) -> Levels:
    """I_0, …, I_K for K = levels."""
    found = [x]
    for _ in range(levels):
        found.append(down(found[-1]))
    return found


def decompose(x: Pictures, levels: int) -> Levels:
    """h_0, …, h_{K-1}, I_K for K = levels."""
    pictures = shrunk(x, levels)
    return [*(finer - up(coarser) for finer, coarser in pairwise(pictures)), pictures[-1]]


def reconstruct(bands: Levels) -> Pictures:
    """The picture whose pyramid it is: I_k = up(I_{k+1}) + h_k, from the coarsest level on."""
    *finer, x = bands
    for band in reversed(finer):
        x = up(x) + band
    return x


def shapes(shape: tuple[int, ...], coarsest: int) -> list[tuple[int, ...]]:
    """Shapes of I_0, …, I_K: halved while sides are even and the shorter one stays at `coarsest` or above.

    Raises: UsageError where not even one halving is possible.
    """
    c, h, w = shape
    found: list[tuple[int, ...]] = [(c, h, w)]
    while h % 2 == w % 2 == 0 and min(h, w) // 2 >= coarsest:
        h, w = h // 2, w // 2
        found.append((c, h, w))
    if len(found) == 1:
        reason = f"pictures of {h} x {w} px have no level below them: sides are even and at least twice `coarsest`"
        raise error("E-SET-02", reason=reason, system="lapgan")
    return found


class Detail(nn.Module):
    """G_k: from l_k = up(I_{k+1}) and a plane of noise to h_k, by three convolutions. The noise is one more channel.

    Args:
        channels: C.
        width: Channels between.
        kernel: Side of the kernels, odd.
        fold: Squares of so many pixels a side are channels to the convolutions.
    """

    def __init__(self, channels: int, width: int, kernel: int, fold: int) -> None:
        super().__init__()
        self.fold = fold
        sizes = [(channels + 1) * fold**2, width, width]
        layers: list[nn.Module] = []
        for inner, outer in pairwise(sizes):
            layers += [nn.Conv2d(inner, outer, kernel, 1, kernel // 2), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(width, channels * fold**2, kernel, 1, kernel // 2)
        mlp.he(self, slope=0.0)
        mlp.he(self.head, 0.1)  # samples begin as what up alone gives

    def forward(self, low: Pictures, z: Float[Tensor, "b 1 h w"]) -> Pictures:
        x = F.pixel_unshuffle(torch.cat([low, z], 1), self.fold)
        return F.pixel_shuffle(self.head(self.body(x)), self.fold)


class Generator(nn.Module):
    """G_0, …, G_K: `details` are those of the finer levels, `coarsest` makes I_K from latents (B, Z).

    Args:
        latent: Z.
        width: Channels of a detail network.
        units: Of the two hidden layers of G_K.
        shapes: From `shapes`.
        kernel, fold: As in `Detail`.
        corrections: Times that a finer picture is corrected by what it lacks, shrunk, of the coarse one.
    """

    def __init__(
        self,
        latent: int,
        width: int,
        units: int,
        shapes: Sequence[tuple[int, ...]],
        kernel: int,
        fold: int,
        corrections: int = 0,
    ) -> None:
        super().__init__()
        self.corrections = corrections
        self.coarsest = mlp.Generator(latent, units, 2, shapes[-1], nn.ReLU, nn.Tanh())
        self.details = nn.ModuleList(Detail(shape[0], width, kernel, fold) for shape in shapes[:-1])

    def finer(self, level: int, coarse: Other, z: Float[Tensor, "b 1 h w"]) -> Pictures:
        """A picture of a level from one of the level below it: l + G(z, l), l = up(coarse), perhaps corrected.

        Source of the corrections: Irani and Peleg 1991, back-projection.
        """
        low = up(coarse)
        x = low + self.details[level](low, z)
        for _ in range(self.corrections):
            x = x + up(coarse - down(x))
        return x


class Judge(nn.Module):
    """D_k: two convolutions with strides of 2 and a linear layer, from h_k + l_k to logits (B,).

    Args:
        shape: Of a picture, or a pack of them.
        width, kernel, fold: As in `Discriminator`.
        texture: Detail has channels of its own beside the picture, there is a third convolution, and the means of its
            channels are judged: texture is the same everywhere, and a weight for each place would learn it at each.
    """

    def __init__(self, shape: tuple[int, ...], width: int, kernel: int, fold: int, texture: bool = False) -> None:
        super().__init__()
        c, h, w = shape
        self.fold, self.texture = fold, texture
        inner = (2 if texture else 1) * c * fold**2
        layers = [nn.Conv2d(inner, width, kernel, 2, kernel // 2), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(width, 2 * width, kernel, 2, kernel // 2), nn.LeakyReLU(0.2)]
        if texture:
            layers += [nn.Conv2d(2 * width, 2 * width, kernel, 1, kernel // 2), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers)
        # Each stride of 2 rounds up.
        positions = 1 if texture else -(-h // (4 * fold)) * -(-w // (4 * fold))
        self.head = nn.Linear(2 * width * positions, 1)
        mlp.he(self)

    def features(self, x: Pictures) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        if self.texture:
            x = torch.cat([x, _LOUD * (x - up(down(x)))], 1)
        seen = self.body(F.pixel_unshuffle(x, self.fold))
        return seen.mean((2, 3)) if self.texture else seen.permute(0, 2, 3, 1).flatten(1)

    def forward(self, x: Pictures) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


class CoarsestJudge(nn.Module):
    """D_K: two hidden layers with dropout, from I_K to logits (B,)."""

    def __init__(self, shape: tuple[int, ...], units: int, dropout: float) -> None:
        super().__init__()
        network = mlp.Discriminator(shape, units, 2)
        layers: list[nn.Module] = []
        for layer in network.body:
            layers += [layer, mlp.Dropout(dropout)] if dropout and not isinstance(layer, nn.Linear) else [layer]
        self.body, self.head = nn.Sequential(*layers), network.head

    def features(self, x: Pictures) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        return self.body(x.flatten(1))

    def forward(self, x: Pictures) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


class Discriminator(nn.Module):
    """D_0, …, D_K, from a picture of each level to logits (B, K + 1), one a level.

    D_k adds l_k to h_k before its first layer, so it is given the sum: a picture of level k. Of a whole picture alone
    those of the coarser levels are the shrunk ones.

    Args:
        shapes: From `shapes`; with packing those of packs.
        width: Channels of a finer level's network; twice as many in its second layer.
        units: Of the hidden layers of D_K.
        dropout: Share of those that is left out.
        kernel, fold: As in `Detail`.
        texture: As in `Judge`.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        width: int,
        units: int,
        dropout: float,
        kernel: int,
        fold: int,
        texture: bool = False,
    ) -> None:
        super().__init__()
        finer = [Judge(shape, width, kernel, fold, texture) for shape in shapes[:-1]]
        self.levels = nn.ModuleList([*finer, CoarsestJudge(shapes[-1], units, dropout)])

    def _pictures(self, x: Pictures, coarser: dict[str, Tensor]) -> Levels:
        if coarser:
            return [x, *(coarser[name(level)] for level in range(1, len(self.levels)))]
        return shrunk(x, len(self.levels) - 1)

    def features(self, x: Pictures, **coarser: Tensor) -> Float[Tensor, "b f"]:
        """What the last layers judge, level by level."""
        seen = self._pictures(x, coarser)
        judges = (cast(Featured, judge) for judge in self.levels)
        return torch.cat([judge.features(each) for judge, each in zip(judges, seen, strict=True)], 1)

    def forward(self, x: Pictures, **coarser: Tensor) -> Float[Tensor, "b k"]:
        seen = self._pictures(x, coarser)
        return torch.stack([judge(each) for judge, each in zip(self.levels, seen, strict=True)], 1)


def name(level: int) -> str:
    """What the picture of a level is called among D's inputs: x, x1, x2, …"""
    return f"x{level}" if level else "x"
