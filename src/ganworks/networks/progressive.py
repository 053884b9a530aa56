"""Generator and discriminator of Karras et al. 2017, table 2: every level is built at once, and added one by one.

Level 0 is the smallest picture, each further one twice as large. A level that is being added is faded in: with α from
0 to 1 its output is mixed with that of the level below. Blocks above the current level are not computed.

Letters: B batch, Z latent, C channels, H, W height and width, L levels.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.networks.convolutional import pyramid
from ganworks.networks.equalized import HE, EqualConv2d, EqualLinear, PixelNorm, minibatch_std, scaled

Pictures = Float[Tensor, "b c h w"]
Resized = Float[Tensor, "b c h2 w2"]


def up(x: Pictures, times: int = 2) -> Resized:
    """So many times as large: every pixel becomes a square of equal ones."""
    return x if times == 1 else F.interpolate(x, scale_factor=times, mode="nearest")


def down(x: Pictures, times: int = 2) -> Resized:
    """So many times as small: every square of pixels becomes its mean."""
    return x if times == 1 else F.avg_pool2d(x, times)


def active(x: Tensor) -> Tensor:
    """LeakyReLU of 0.2."""
    return F.leaky_relu(x, 0.2)


class Growth(nn.Module):
    """How far a network has grown: what it computes depends on it, so a model file carries it.

    Args:
        top: The last level.
        level: Where it begins.
    """

    level: Tensor
    alpha: Tensor

    def __init__(self, top: int, level: int) -> None:
        super().__init__()
        self.top = top
        self.register_buffer("level", torch.tensor(level))
        self.register_buffer("alpha", torch.tensor(1.0))

    def reach(self, level: int, alpha: float) -> None:
        """Write how far it is."""
        self.level.fill_(level)
        self.alpha.fill_(alpha)

    @property
    def now(self) -> tuple[int, float]:
        """The level, and α: how much of it there is."""
        return int(self.level), float(self.alpha)

    @property
    def shrunk(self) -> int:
        """How many times as large as the current level the whole picture is."""
        return int(2 ** (self.top - int(self.level)))

    def faded(self, x: Pictures) -> Resized:
        """Whole real pictures as D sees them now: shrunk to the level, and new detail only as far as α goes.

        Source: section 2; G's pictures are mixed in the same way while a level is new.
        """
        level, alpha = self.now
        x = down(x, self.shrunk)
        return torch.lerp(up(down(x)), x, alpha) if level and alpha < 1 else x


def widths(shape: tuple[int, ...], width: int, taper: int) -> list[int]:
    """Channels of each level: `width`, or fewer where the longer side times the channels would exceed `taper`."""
    h, w, doublings = pyramid(*shape[1:])
    return [max(min(width, taper // (max(h, w) << level)), 1) for level in range(doublings + 1)]


class UpConvolution(EqualConv2d):
    """Twice as large, then a convolution of 3 × 3; computed as one transposed convolution of 4 × 4, stride 2.

    Each of its weights is the sum of those 3 × 3 ones that meet the same pixel of the smaller picture: 4 products for
    an output instead of 9, and the same numbers.
    """

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        weight = overlaid(scaled(self, self.equal)).flip(2, 3).transpose(0, 1)
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class DownConvolution(EqualConv2d):
    """A convolution of 3 × 3, then half the size; computed as one of 4 × 4, stride 2: 4 products instead of 9."""

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        return F.conv2d(x, overlaid(scaled(self, self.equal)) / 4, self.bias, stride=2, padding=1)


def overlaid(weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "o i 4 4"]:
    """A kernel laid four times over itself, each time a pixel further."""
    padded = F.pad(weight, (1, 1, 1, 1))
    return padded[:, :, 1:, 1:] + padded[:, :, :-1, 1:] + padded[:, :, 1:, :-1] + padded[:, :, :-1, :-1]


class Up(nn.Module):
    """G's block of a level: twice as large, two convolutions, each with LeakyReLU and then pixel norm."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(UpConvolution(inner, outer, 3), EqualConv2d(outer, outer, 3))
        self.norm = PixelNorm()

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        for convolution in self.convolutions:
            x = self.norm(active(convolution(x)))
        return x


class Down(nn.Module):
    """D's block of a level: two convolutions, the second to half the size, each with LeakyReLU. D has no norm."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(EqualConv2d(inner, inner, 3), DownConvolution(inner, outer, 3))

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        for convolution in self.convolutions:
            x = active(convolution(x))
        return x


class Generator(nn.Module):
    """From latents (B, Z) to pictures of the current level, unbounded.

    Args:
        latent: Numbers in z, which is brought to the sphere of radius √Z first.
        channels: Of each level, from `widths`.
        shape: Of a whole picture.
        level: Where it begins.
    """

    def __init__(self, latent: int, channels: list[int], shape: tuple[int, ...], level: int) -> None:
        super().__init__()
        h, w, top = pyramid(*shape[1:])
        self.start = (h, w, channels[0])
        self.growth = Growth(top, level)
        self.norm = PixelNorm()
        # A quarter of the usual gain, as in the authors' code.
        self.project = EqualLinear(latent, h * w * channels[0], gain=HE / 4)
        self.first = EqualConv2d(channels[0], channels[0], 3)
        self.blocks = nn.ModuleList(Up(inner, outer) for inner, outer in pairwise(channels))
        self.to_pixels = nn.ModuleList(EqualConv2d(inner, shape[0], 1, gain=1.0) for inner in channels)

    def forward(self, z: Float[Tensor, "b z"]) -> Pictures:
        level, alpha = self.growth.now
        x = self.project(self.norm(z)).view(-1, *self.start).permute(0, 3, 1, 2)
        x = self.norm(active(x))
        below = x = self.norm(active(self.first(x)))
        for block in self.blocks[:level]:
            below, x = x, block(x)
        picture: Tensor = self.to_pixels[level](x)
        if level and alpha < 1:
            picture = torch.lerp(up(self.to_pixels[level - 1](below)), picture, alpha)
        return picture


class Discriminator(nn.Module):
    """The same the other way, from pictures of the current level, or whole ones, to logits (B,).

    At the smallest level it hears how much the samples of a group differ, and no norm hides how loud anything is.

    Args:
        channels: Of each level.
        shape: Of a whole picture, or a pack of them.
        level: Where it begins.
        group: Samples that are compared with each other.
    """

    def __init__(self, channels: list[int], shape: tuple[int, ...], level: int, group: int) -> None:
        super().__init__()
        h, w, top = pyramid(*shape[1:])
        self.sides, self.group = (h, w), group
        self.growth = Growth(top, level)
        self.from_pixels = nn.ModuleList(EqualConv2d(shape[0], outer, 1) for outer in channels)
        self.blocks = nn.ModuleList(Down(inner, outer) for outer, inner in pairwise(channels))
        self.last = EqualConv2d(channels[0] + 1, channels[0], 3)
        self.dense = EqualLinear(h * w * channels[0], channels[0])
        self.head = EqualLinear(channels[0], 1, gain=1.0)

    def features(self, x: Pictures) -> Float[Tensor, "b f"]:
        """What the last layer judges. Whole pictures are shrunk to the level first."""
        level, alpha = self.growth.now
        x = down(x, x.shape[2] // (self.sides[0] << level))
        y = active(self.from_pixels[level](x))
        for above in range(level, 0, -1):
            y = self.blocks[above - 1](y)
            if above == level and alpha < 1:
                y = torch.lerp(active(self.from_pixels[level - 1](down(x))), y, alpha)
        y = active(self.last(minibatch_std(y, self.group)))
        return active(self.dense(y.permute(0, 2, 3, 1).flatten(1)))

    def forward(self, x: Pictures) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)
