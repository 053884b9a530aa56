"""Small convolutional networks for CPU minutes: a smooth start, and every convolution cheap where it stands.

Twice the size has half the channels, so every level of a picture costs about the same.

Letters: B batch, Z latent, C channels, H, W size.
"""

from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.errors import error
from ganworks.networks import mlp
from ganworks.networks.pair import Pair, Sizes

_FEWEST = 8
"""Channels of a level: fewer cost as much on a CPU."""


def doublings(height: int, width: int) -> int:
    """How often the smallest level of a picture is doubled: twice below 48 px, else from 6 px or more.

    Raises: UsageError where a side does not divide by 4.
    """
    if height % 4 or width % 4:
        raise error("E-SET-02", reason=f"small networks need sizes that divide by 4, not {height} x {width}", system="")
    h, w, count = height // 4, width // 4, 2
    while h % 2 == w % 2 == 0 and min(h, w) >= 12:
        h, w, count = h // 2, w // 2, count + 1
    return count


def large(shape: tuple[int, ...]) -> bool:
    """Whether pictures (C, H, W) have more levels than two."""
    return doublings(*shape[1:]) > 2


def up(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Twice as large, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """A smooth picture from the smallest level, detail from each larger one, and fine detail in the pixels.

    picture = tanh(up(up(smooth) + middle) + fine), with a middle for every level between: at the start the fine layer
    is close to zero, so samples are smooth from step 0 and detail is learnt, like progressive growing without stages.
    """

    def __init__(self, latent: int, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        c, h, w = shape
        levels = doublings(h, w)
        h, w = h >> levels, w >> levels
        self.start = (h, w, width)
        fewest = max(min(_FEWEST, width // 2), 1)
        widths = [max(width >> level, fewest) for level in range(levels)]
        self.latent = nn.Linear(latent, 4 * width)
        self.project = nn.Linear(4 * width, width * h * w)
        # Where there are two levels only, the larger one is so close to the pixels that `fine` does for it.
        refined = widths if large(shape) else widths[:1]
        self.refines = nn.ModuleList(nn.Conv2d(inner, inner, 3, 1, 1) for inner in refined)
        self.widens = nn.ModuleList(nn.Conv2d(inner, 4 * outer, 1) for inner, outer in pairwise(widths))
        self.pictures = nn.ModuleList(nn.Conv2d(inner, c, 1) for inner in widths)
        self.fine = nn.Conv2d(widths[-1], 4 * c, 3, 1, 1)
        mlp.he(self)
        # Else every level would be twice as loud as the one below it, and the samples noise.
        mlp.he(self.refines[1:], 0.1)
        for level, picture in enumerate(self.pictures):
            mlp.he(picture, 0.5 ** max(level, 1))
        mlp.he(self.fine, 0.1)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b c h w"]:
        x = F.leaky_relu(self.project(F.leaky_relu(self.latent(z), 0.2)), 0.2)
        # Read as (B, H, W, C): the channels-last layout without a copy.
        x = x.view(-1, *self.start).permute(0, 3, 1, 2)
        x = x + F.leaky_relu(self.refines[0](x), 0.2)
        picture = self.pictures[0](x)
        for level, widen in enumerate(self.widens, 1):
            x = F.leaky_relu(F.pixel_shuffle(widen(x), 2), 0.2)
            if level < len(self.refines):
                x = x + F.leaky_relu(self.refines[level](x), 0.2)
            picture = up(picture) + self.pictures[level](x)
        return F.tanh(up(picture) + F.pixel_shuffle(self.fine(x), 2))


class Discriminator(nn.Module):
    """Four pixels to one position, strides of 2 with a residual convolution between, two linear layers; logits (B,).

    Large pictures are looked at without a stride first. `width` channels are those at a quarter of the size, or at four
    times the last level of large pictures.
    """

    def __init__(self, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        c, h, w = shape
        halvings = doublings(h, w)
        if large(shape):
            widths = [max(4 * width >> level, _FEWEST) for level in reversed(range(halvings + 1))]
            self.look = nn.Conv2d(4 * c, widths[0], 3, 1, 1)
        else:
            widths = [4 * c, width, 2 * width]
        self.first = nn.Conv2d(widths[0], widths[1], 3, 2, 1)
        self.refines = nn.ModuleList(nn.Conv2d(inner, inner, 3, 1, 1) for inner in widths[1:-1])
        self.downs = nn.ModuleList(nn.Conv2d(inner, outer, 3, 2, 1) for inner, outer in pairwise(widths[1:]))
        # Each stride of 2 rounds up: 28 px are 14, then 7, then 4 positions wide.
        positions = -(-h >> halvings + 1) * -(-w >> halvings + 1)
        self.judge = nn.Linear(widths[-1] * positions, 4 * width)
        self.head = nn.Linear(4 * width, 1)
        mlp.he(self)
        mlp.he(self.head, 0.5)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        x = F.pixel_unshuffle(x, 2)
        if hasattr(self, "look"):
            x = F.leaky_relu(self.look(x), 0.2)
        x = F.leaky_relu(self.first(x), 0.2)
        for refine, down in zip(self.refines, self.downs, strict=True):
            x = x + F.leaky_relu(refine(x), 0.2)
            x = F.leaky_relu(down(x), 0.2)
        return F.leaky_relu(self.judge(x.flatten(1)), 0.2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


def pair(sizes: Sizes) -> Pair:
    """Both, with their initial weights."""
    generator = Generator(sizes.latent, sizes.generator, sizes.sample)
    return generator, Discriminator(sizes.discriminator, sizes.judged)
