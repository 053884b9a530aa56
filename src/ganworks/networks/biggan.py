"""The residual networks of BigGAN (Brock et al. 2018, appendix B), for pictures of any size that can be halved.

Every block doubles or halves the picture's side. G's blocks are told the class and a part of z of their own; D's are
told nothing, the label meets its features in a projection. Both have self-attention at one size.

Letters: B batch, C channels, H, W size, Z latent, K classes, E numbers of a class's code, F features, T numbers that a
block is told.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ganworks.networks.convolutional import pyramid

_GENERATOR = {
    3: (4, 4, 4, 4),
    4: (16, 16, 8, 4, 2),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
    7: (16, 16, 8, 8, 4, 2, 1, 1),
}
_DISCRIMINATOR = {
    3: (4, 4, 4, 4),
    4: (1, 2, 4, 8, 16),
    5: (1, 2, 4, 8, 16, 16),
    6: (1, 2, 4, 8, 8, 16, 16),
    7: (1, 1, 2, 4, 8, 8, 16, 16),
}
"""Channels over the width, by the number of doublings from 4 px: 3 is the paper's CIFAR-10 at 32 px, 5 to 7 its
ImageNet at 128 to 512 (tables 4 to 6), 4 the authors' code for 64."""
_KEPT = 2
"""D's last blocks that do not halve, where the picture is no larger than CIFAR's; else one. The authors' code."""


def levels(shape: tuple[int, ...]) -> int:
    """How often G doubles its smallest picture: the number of its blocks."""
    return pyramid(*shape[1:])[2]


def _widths(channels: int, doublings: int, table: dict[int, tuple[int, ...]], falling: bool) -> list[int]:
    """Channels of every size, in the order in which a network meets them; twice as many for half the size elsewhere."""
    rest = [2**level for level in range(doublings + 1)]
    return [channels * times for times in table.get(doublings, rest[::-1] if falling else rest)]


class Doubling(nn.Conv2d):
    """A convolution of 3 × 3 on a picture enlarged to twice the size, each pixel four times.

    Of the nine pixels under its kernel many are the same: it is a transposed convolution of 4 × 4 and stride 2, less
    than half the work, with the same numbers.
    """

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 3, padding=1)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        weight = _spread(self.weight).flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class Halving(nn.Conv2d):
    """A convolution of 3 × 3, then the mean of every four pixels: one of 4 × 4 and stride 2, as in `Doubling`."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, 3, padding=1)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        weight = (_spread(self.weight) / 4).contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, stride=2, padding=1)


def _spread(weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "o i 4 4"]:
    """The sum of a kernel's four places in one that is a pixel larger."""
    return torch.stack([F.pad(weight, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]).sum(0)


class Attention(nn.Module):
    """x + γ · o(softmax(θ(x)ᵀ φ(x)) g(x)): every place looks at all others. γ begins at 0: first it changes nothing.

    Source: Zhang et al. 2018, section 3; keys and values of every four pixels together, as in the code of both papers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 8, 1)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, max(channels // 2, 1), 1, bias=False)
        self.out = nn.Conv2d(max(channels // 2, 1), channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        query = self.query(x).flatten(2)
        key, value = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))
        weights = torch.softmax(query.transpose(1, 2) @ key, 2)
        seen = (value @ weights.transpose(1, 2)).view(len(x), -1, *x.shape[2:])
        return x + self.gamma * self.out(seen)


class ClassNorm(nn.Module):
    """Batch norm whose gain and bias are linear in what it is told: (1 + Gh) · x̂ + Bh."""

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(told, channels, bias=False)
        self.bias = nn.Linear(told, channels, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"], told: Float[Tensor, "b t"]) -> Float[Tensor, "b c h w"]:
        gain, bias = (layer(told)[:, :, None, None] for layer in (self.gain, self.bias))
        return torch.addcmul(bias, self.norm(x), 1 + gain)


class UpBlock(nn.Module):
    """G's residual block, to twice the size."""

    def __init__(self, inner: int, outer: int, told: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([ClassNorm(inner, told), ClassNorm(outer, told)])
        self.up, self.conv = Doubling(inner, outer), nn.Conv2d(outer, outer, 3, padding=1)
        self.skip = nn.Conv2d(inner, outer, 1)

    def forward(self, x: Float[Tensor, "b i h w"], told: Float[Tensor, "b t"]) -> Float[Tensor, "b o h2 w2"]:
        first, second = self.norms
        y = self.conv(F.relu(second(self.up(F.relu(first(x, told))), told)))
        # Pixels repeated after a 1 × 1 convolution instead of before: the same numbers from a quarter of the work.
        return y + F.interpolate(self.skip(x), scale_factor=2)


class DownBlock(nn.Module):
    """D's residual block, to half the size or as it is.

    Args:
        first: Of the network: it reads pixels, without a ReLU before it.
        halve: To half the size.
    """

    def __init__(self, inner: int, outer: int, *, first: bool, halve: bool) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.conv = nn.Conv2d(inner, outer, 3, padding=1)
        self.down = Halving(outer, outer) if halve else nn.Conv2d(outer, outer, 3, padding=1)
        self.skip = nn.Conv2d(inner, outer, 1) if first or halve or inner != outer else None

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        y = self.down(F.relu(self.conv(x if self.first else F.relu(x))))
        kept = F.avg_pool2d(x, 2) if self.halve else x
        return y + (kept if self.skip is None else self.skip(kept))


class Trunk(nn.Module):
    """G without its class codes: from latents (B, Z) and codes (B, E) to pictures in [-1, 1].

    z is cut in equal parts: the first makes the smallest picture, each other one goes to a block, beside the code. What
    does not divide goes to the first.
    """

    def __init__(self, latent: int, code: int, channels: int, shape: tuple[int, ...], attention: int) -> None:
        super().__init__()
        h, w, blocks = pyramid(*shape[1:])
        part = latent // (blocks + 1)
        self.parts = [latent - blocks * part, *[part] * blocks]
        widths = _widths(channels, blocks, _GENERATOR, falling=True)
        self.start = (h, w, widths[0])
        self.project = nn.Linear(self.parts[0], widths[0] * h * w)
        self.blocks = nn.ModuleList([UpBlock(inner, outer, code + part) for inner, outer in pairwise(widths)])
        sizes = [min(h, w) << level for level in range(1, blocks + 1)]
        self.attention = nn.ModuleDict(
            {str(at): Attention(widths[at + 1]) for at, size in enumerate(sizes) if size == attention}
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.picture = nn.Conv2d(widths[-1], shape[0], 3, padding=1)

    def forward(self, z: Float[Tensor, "b z"], code: Float[Tensor, "b e"]) -> Float[Tensor, "b c h w"]:
        first, *others = torch.split(z, self.parts, 1)
        x = self.project(first).view(-1, *self.start).permute(0, 3, 1, 2)
        for at, (block, part) in enumerate(zip(self.blocks, others, strict=True)):
            x = block(x, torch.cat([code, part], 1))
            if str(at) in self.attention:
                x = self.attention[str(at)](x)
        return torch.tanh(self.picture(F.relu(self.norm(x))))


class Generator(nn.Module):
    """G(z, y): a table of class codes that all blocks share, and the trunk that is told them.

    Args:
        latent, classes, code: Z, K, E.
        channels: Of the width 1 in the paper's tables.
        shape: (C, H, W).
        attention: The size, in pixels of the shorter side, that has self-attention; 0: none.
    """

    def __init__(
        self, latent: int, classes: int, code: int, channels: int, shape: tuple[int, ...], attention: int
    ) -> None:
        super().__init__()
        # No embedding layer: the authors normalise every layer of G but this one.
        self.codes = nn.Parameter(nn.init.orthogonal_(torch.empty(classes, code)))
        self.trunk = Trunk(latent, code, channels, shape, attention)

    def forward(self, z: Float[Tensor, "b z"], label: Int64[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        return self.trunk(z, self.codes[label])


class Discriminator(nn.Module):
    """From pictures to features (B, F), a sum over all places, and from them to logits (B,) by a linear head."""

    def __init__(self, channels: int, shape: tuple[int, ...], attention: int) -> None:
        super().__init__()
        h, w, halvings = pyramid(*shape[1:])
        widths = _widths(channels, halvings, _DISCRIMINATOR, falling=False)
        halved = len(widths) - (_KEPT if halvings == len(_GENERATOR[3]) - 1 else 1)
        size, layers = min(h, w) << halvings, list[nn.Module]()
        for at, (inner, outer) in enumerate(pairwise([shape[0], *widths])):
            layers.append(DownBlock(inner, outer, first=at == 0, halve=at < halved))
            size //= 2 if at < halved else 1
            if size == attention and at < halved:
                layers.append(Attention(outer))
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], 1)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        return F.relu(self.blocks(x)).sum((2, 3))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


def orthogonal(network: nn.Module) -> None:
    """Orthogonal weights, and biases of 0. Source: section 3 and the authors' code."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            nn.init.orthogonal_(layer.weight)
            if not isinstance(layer, nn.Embedding) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
