"""Networks that make a picture of a picture, and the discriminators that judge it patch by patch.

`UNet` is pix2pix's generator (Isola et al. 2016, arXiv:1611.07004, section 6.1.1), `ResNet` that of CycleGAN and, told
a domain, of StarGAN (Zhu et al. 2017, arXiv:1703.10593, section 7.2; after Johnson et al. 2016), `Patches` the PatchGAN
of both. Their sizes for 256 px are the papers'; smaller pictures have fewer levels and smaller patches, in the same
share.

No network holds a batch norm: with one picture a batch, as the papers train, it is an instance norm, which is what
stands here; so a picture is translated the same alone and among others, in training and after it.

Letters: B batch, C channels, H, W height and width.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.random import shared

Pictures = Float[Tensor, "b c h w"]
Made = Float[Tensor, "b c2 h2 w2"]
Source = Float[Tensor, "b s h w"]
Edges = Literal["reflect", "zeros"]
_FULL = 256
"""The side that the papers' sizes are for."""
_LEVELS = 8
"""Halvings of the U-Net there."""
_COARSER, _PASSES = 3, 4
"""Halvings at which paint is evened out, and averagings at full size."""
_DARK = 1e-3
"""Light that is always there: something must be averaged where there is none else."""
_INKED = 2.0
"""Logit of ink's share at the beginning: lines divide from the first round on."""


def padded(x: Pictures, step: int) -> Made:
    """A picture whose sides are multiples of `step`, its edges repeated at the right and at the bottom."""
    h, w = x.shape[2:]
    return F.pad(x, (0, -w % step, 0, -h % step), mode="replicate") if h % step or w % step else x


class Noise(nn.Module):
    """Dropout that is always on: pix2pix has no other noise, neither in training nor after it (section 3.1)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Pictures) -> Pictures:
        if not self.p:
            return x
        keep = shared(lambda count: torch.rand((count, *x.shape[1:])), len(x)) >= self.p
        return x * keep.to(x.device) / (1 - self.p)


def norm(channels: int) -> nn.Module:
    """Every channel of a picture to mean 0 and deviation 1, then a learned scale and shift."""
    return nn.InstanceNorm2d(channels, affine=True)


def _doubled(inner: int, outer: int, *, resized: bool) -> nn.Module:
    """A layer that doubles a picture."""
    if resized:
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inner, outer, 3, 1, 1))
    return nn.ConvTranspose2d(inner, outer, 4, 2, 1)


def evened(x: Pictures, light: Float[Tensor, "b 1 h w"], coarser: int, passes: int = _PASSES) -> Pictures:
    """Pictures whose neighbouring pixels are averaged again and again, each as much as there is light on it: what no
    dark line divides becomes one. Wide areas are evened out on halves, which are as light as their darkest pixel. A
    slanting line divides from two pixels' width on: between those of a thinner one neighbours meet at corners.

    Args:
        coarser: How many times the pictures are halved; their sides must allow it.
        passes: Averagings at full size; each half has twice as many.
    """
    light = light.clamp(min=_DARK)
    if coarser:
        half = -F.max_pool2d(-light, 2)
        inside = evened(F.avg_pool2d(light * x, 2) / F.avg_pool2d(light, 2), half, coarser - 1, 2 * passes)
        x = torch.lerp(x, *(F.interpolate(each, scale_factor=2.0) for each in (inside, half)))
    total = F.avg_pool2d(light, 3, 1, 1)
    for _ in range(passes):
        x = F.avg_pool2d(light * x, 3, 1, 1) / total
    return x


class _Down(nn.Sequential):
    def __init__(self, inner: int, outer: int, *, first: bool, normal: bool) -> None:
        parts: list[nn.Module] = [] if first else [nn.LeakyReLU(0.2)]
        parts.append(nn.Conv2d(inner, outer, 4, 2, 1))
        super().__init__(*parts, *([norm(outer)] if normal else []))


class _Up(nn.Sequential):
    def __init__(self, inner: int, outer: int, dropout: float, *, resized: bool) -> None:
        super().__init__(nn.ReLU(), _doubled(inner, outer, resized=resized), norm(outer), Noise(dropout))


class UNet(nn.Module):
    """Halved and doubled again, each level beside the one of its size on the way down; samples in (-1, 1).

    Args:
        inner, outer: Channels of what comes in, and of what is made.
        width: Channels of the first level; they double to eight times as many.
        side: Of the pictures that are learnt, the shorter one: it is halved to one pixel, eight times at most. There is
            no norm at the bottom, where it would leave nothing.
        dropout: Of the first three levels on the way up.
        inked: The paper's network sees halves of the source at best, and in small pictures a line is one pixel wide.
            Here the source stands beside the last level at its full size, and what is made lies beneath it as paint
            beneath ink: a pixel is as light as the product of the two. Two shares are made besides for each pixel: how
            much of the source's darkness is ink, and how far the paint is `evened` out between the ink's lines. So
            lines stay, and paint may be flat below them. Needs sources of one channel, or of as many as are made.
        resized: A picture is doubled by repeating pixels, and convolved then. A transposed convolution gives neighbours
            different weights, and what should be flat comes out grained (Odena et al. 2016, Deconvolution and
            Checkerboard Artifacts, doi:10.23915/distill.00003).
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        width: int,
        side: int,
        dropout: float,
        *,
        inked: bool = False,
        resized: bool = False,
    ) -> None:
        super().__init__()
        levels = max(2, min(_LEVELS, int(math.log2(side))))
        widths = [width * 2 ** min(level, 3) for level in range(levels)]
        self.step = 2**levels
        """Sides are padded to multiples of it."""
        self.down = nn.ModuleList(
            _Down(inner if not level else widths[level - 1], each, first=not level, normal=0 < level < levels - 1)
            for level, each in enumerate(widths)
        )
        self.up = nn.ModuleList(
            _Up(
                widths[level] * (1 if level == levels - 1 else 2),
                widths[level - 1],
                dropout if levels - 1 - level < 3 else 0.0,
                resized=resized,
            )
            for level in reversed(range(1, levels))
        )
        if inked:
            self.whole = nn.Conv2d(2 * widths[0] + inner, width, 3, 1, 1)
            self.ink, self.even = (nn.Conv2d(width + inner, 1, 3, 1, 1) for _ in range(2))
            self.last: nn.Module = nn.Conv2d(width, outer, 3, 1, 1)
        else:
            self.last = _doubled(2 * widths[0], outer, resized=resized)
        self.inked = inked
        weights(self)
        if inked and self.ink.bias is not None:
            nn.init.constant_(self.ink.bias, _INKED)

    def features(self, x: Pictures) -> Made:
        """What the last layer makes a picture of."""
        source, seen = x, []
        for layer in self.down:
            x = layer(x)
            seen.append(x)
        x = seen.pop()
        for layer in self.up:
            x = torch.cat([layer(x), seen.pop()], 1)
        x = F.relu(x)
        if self.inked:
            x = F.relu(self.whole(torch.cat([F.interpolate(x, scale_factor=2.0), source], 1)))
        return x

    def forward(self, x: Pictures) -> Made:
        h, w = x.shape[2:]
        x = padded(x, self.step)
        features = self.features(x)
        made = torch.tanh(self.last(features))
        if self.inked:
            made = self._beneath(x, made, torch.cat([features, x], 1))
        return made[:, :, :h, :w]

    def _beneath(self, x: Pictures, paint: Made, features: Float[Tensor, "b f h w"]) -> Made:
        """Paint under the ink of a source."""
        light = 1 - torch.sigmoid(self.ink(features)) * (1 - x) / 2
        even = evened(paint, light.amin(1, keepdim=True) ** 2, min(_COARSER, len(self.down)))
        paint = torch.lerp(paint, even, torch.sigmoid(self.even(features)))
        return light * (paint + 1) - 1


class _Residual(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), edges mirrored or zero."""

    def __init__(self, width: int, mode: Edges) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(width, width, 3, 1, 1, padding_mode=mode), norm(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, 1, 1, padding_mode=mode), norm(width)),
        )

    def forward(self, x: Pictures) -> Pictures:
        return x + self.body(x)


class ResNet(nn.Module):
    """Halved, residual blocks, doubled again; samples in [-1, 1].

    Args:
        inner, outer: Channels of what comes in, and of what is made.
        width: Channels of the first layer; they double at each halving.
        blocks: Residual blocks.
        mirrored: Edges are mirrored, as CycleGAN has it; else zeros stand around a picture. Planes of a constant, such
            as StarGAN's domains, need zeros: where they are mirrored an instance norm takes a constant away, and with
            it all that a first layer says of it.
        halvings: Of the picture before the blocks, doubled again after them; the papers' 2.
        masked: There is one more channel, after a sigmoid the share of each pixel that is made: the rest is what came
            in, its first channels. Norms take away how bright a picture is, and here it is kept.
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        width: int,
        blocks: int,
        *,
        mirrored: bool,
        halvings: int = 2,
        masked: bool = False,
    ) -> None:
        super().__init__()
        mode: Edges = "reflect" if mirrored else "zeros"
        widths = [width * 2**level for level in range(halvings + 1)]
        self.step = 2**halvings
        """Sides are padded to multiples of it."""
        parts: list[nn.Module] = [nn.Conv2d(inner, width, 7, 1, 3, padding_mode=mode), norm(width), nn.ReLU()]
        for level in range(halvings):
            outside, inside = widths[level : level + 2]
            parts += [nn.Conv2d(outside, inside, 3, 2, 1), norm(inside), nn.ReLU()]
        parts += [_Residual(widths[-1], mode) for _ in range(blocks)]
        for level in reversed(range(halvings)):
            outside, inside = widths[level : level + 2]
            parts += [nn.ConvTranspose2d(inside, outside, 3, 2, 1, 1), norm(outside), nn.ReLU()]
        self.body = nn.Sequential(*parts)
        self.masked = masked
        self.last = nn.Conv2d(width, outer + masked, 7, 1, 3, padding_mode=mode)
        weights(self)

    def features(self, x: Pictures) -> Made:
        """What the last layer makes a picture of."""
        return self.body(x)

    def forward(self, x: Pictures) -> Made:
        h, w = x.shape[2:]
        x = padded(x, self.step)
        made = self.last(self.features(x))
        if not self.masked:
            return torch.tanh(made)[:, :, :h, :w]
        made, share = torch.tanh(made[:, :-1]), torch.sigmoid(made[:, -1:])
        return torch.lerp(x[:, : made.shape[1]], made, share)[:, :, :h, :w]


class Moved(nn.Module):
    """Points, each moved by what a network says of it: like a residual block, it begins near the identity.

    Args:
        network: From points (B, D) to as many.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return x + self.network(x)


class Patches(nn.Module):
    """A logit for each patch of a picture (B, H', W'): real or not, there.

    Args:
        inner: Channels of all that is judged together.
        width: Channels of the first layer; they double to eight times as many.
        layers: With stride 2: 3 make patches of 70 px, 2 of 34, 1 of 16.
    """

    def __init__(self, inner: int, width: int, layers: int) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(inner, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        sizes = [width * 2 ** min(level, 3) for level in range(layers + 1)]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            parts += [nn.Conv2d(sizes[level - 1], sizes[level], 4, stride, 1), norm(sizes[level]), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*parts)
        self.head = nn.Conv2d(sizes[-1], 1, 4, 1, 1)
        weights(self)

    def features(self, x: Pictures, source: Source | None = None) -> Float[Tensor, "b f"]:
        """What the last layer judges, averaged over places."""
        return self.body(_beside(x, source)).mean((2, 3))

    def forward(self, x: Pictures, source: Source | None = None) -> Float[Tensor, "b h2 w2"]:
        """source: What the picture was made from, where D is shown it: the first channels of what is judged."""
        return self.head(self.body(_beside(x, source))).squeeze(1)


def _beside(x: Pictures, source: Source | None) -> Made:
    return x if source is None else torch.cat([source, x], 1)


def patch_layers(side: int) -> int:
    """Layers with which a patch is about as large a part of a picture as 70 of 256 px."""
    return max(1, min(3, round(math.log2(side / _FULL)) + 3))


def weights(network: nn.Module) -> None:
    """N(0, 0.02) for every convolution, biases 0: the initial weights of both papers."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
