"""The networks of Huang et al. 2024: residual blocks without a norm, made for GPUs and any size of picture.

A block is x + W₃ a(W₂ a(W₁ x)): 1 × 1 to twice the channels, 3 × 3 in groups, 1 × 1 back; a is a bias and LeakyReLU 0.2
(section 3.3 and figure 2). A stage is a change of size and some blocks. G starts from a learnt basis, D ends in one.

Nothing keeps the scale of a sum of N blocks but its start, which is Zhang et al.'s (arXiv:1901.09321): W₃ is 0, the
other two are He's times N^(-1/(2·3 - 2)), 3 being the layers of a block and N the blocks of the whole network.

Letters: B batch, Z latent, C channels, H, W size.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ganworks.errors import error
from ganworks.networks import mlp
from ganworks.networks.pair import Pair, Sizes
from ganworks.settings import Count, Settings

EXPANSION = 2
"""A block's inner channels for each outer one."""
_FULL = 4
"""Stages of full width: 4, 8, 16 and 32 px. Each further one has half the channels of the one before."""
Maps = Float[Tensor, "b c h w"]
Other = Float[Tensor, "b c2 h2 w2"]


class ResidualSettings(Settings):
    """The blocks of the paper's networks."""

    blocks: Count = Field(2, description="residual blocks of a stage, in each network")
    group: Count = Field(16, description="channels that a 3 x 3 convolution sees at once; they divide 2 x every width")


def stages(height: int, width: int) -> int:
    """Stages for a picture: its sides are halved as long as both are even and the smaller is 8 or more.

    Raises: UsageError where that leaves more than 7 positions a side.
    """
    h, w, count = height, width, 1
    while h % 2 == w % 2 == 0 and min(h, w) >= 8:
        h, w, count = h // 2, w // 2, count + 1
    if max(h, w) > 7:
        reason = f"the paper's networks need sides of 4 to 7 times a power of 2, not {height} x {width}"
        raise error("E-SET-02", reason=reason, system="")
    return count


def widths(full: int, count: int, settings: ResidualSettings) -> list[int]:
    """Channels of each stage, the smallest picture first.

    Raises: UsageError where the groups do not divide them.
    """
    found = [full >> max(0, stage + 1 - _FULL) for stage in range(count)]
    if any(EXPANSION * width % settings.group or not width for width in found):
        told = ", ".join(map(str, found))
        reason = f"residual.group {settings.group} does not divide twice the width of every stage ({told})"
        raise error("E-SET-02", reason=reason, system="")
    return found


class Resample(nn.Module):
    """To twice or half the size by [1, 2, 1], and to other channels by a 1 × 1 convolution where there are others.

    Up, every second position is the mean of its neighbours; down is the same filter read the other way. Zeros stand
    beyond the edges. The channels change at the smaller size, where it costs less.
    """

    kernel: Tensor

    def __init__(self, inner: int, outer: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        line = torch.tensor([0.5, 1.0, 0.5]) if up else torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)
        self.channels = nn.Identity() if inner == outer else nn.Conv2d(inner, outer, 1, bias=False)
        mlp.he(self, slope=1.0)

    def forward(self, x: Maps) -> Other:
        if not self.up:
            return self.channels(self._filtered(x))
        return self._filtered(self.channels(x))

    def _filtered(self, x: Maps) -> Other:
        kernel = self.kernel.expand(x.shape[1], 1, 3, 3).to(x)
        if self.up:
            return F.conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=1, groups=x.shape[1])
        return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


class Activation(nn.Module):
    """A bias for each channel, then LeakyReLU 0.2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Maps) -> Maps:
        return F.leaky_relu(x + self.bias.view(-1, 1, 1), 0.2)


class Block(nn.Module):
    """x + W₃ a(W₂ a(W₁ x)).

    Args:
        channels: Outer ones.
        group: Channels that a 3 × 3 convolution sees at once.
        blocks: N, of the whole network.
    """

    def __init__(self, channels: int, group: int, blocks: int) -> None:
        super().__init__()
        inner = EXPANSION * channels
        self.widen = nn.Conv2d(channels, inner, 1, bias=False)
        self.look = nn.Conv2d(inner, inner, 3, 1, 1, groups=inner // group, bias=False)
        self.narrow = nn.Conv2d(inner, channels, 1, bias=False)
        self.first, self.second = Activation(inner), Activation(inner)
        mlp.he(self, blocks ** (-1 / (2 * 3 - 2)))
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Maps) -> Maps:
        return x + self.narrow(self.second(self.look(self.first(self.widen(x)))))


class Generator(nn.Module):
    """From latents (B, Z) to pictures (B, C, H, W): unbounded while it learns, cut to [-1, 1] in evaluation."""

    def __init__(self, latent: int, width: int, shape: tuple[int, ...], settings: ResidualSettings) -> None:
        super().__init__()
        c, h, w = shape
        count = stages(h, w)
        channels = widths(width, count, settings)
        self.basis = nn.Parameter(torch.randn(channels[0], h >> count - 1, w >> count - 1))
        self.latent = nn.Linear(latent, channels[0], bias=False)
        mlp.he(self.latent, slope=1.0)
        every = count * settings.blocks
        layers: list[nn.Module] = []
        for place, here in enumerate(channels):
            layers += [Resample(channels[place - 1], here, up=True)] if place else []
            layers += [Block(here, settings.group, every) for _ in range(settings.blocks)]
        self.stages = nn.Sequential(*layers)
        self.picture = nn.Conv2d(channels[-1], c, 1, bias=False)
        mlp.he(self.picture, slope=1.0)

    def forward(self, z: Float[Tensor, "b z"]) -> Maps:
        picture = self.picture(self.stages(self.latent(z)[:, :, None, None] * self.basis))
        return picture if self.training else picture.clamp(-1, 1)


class Discriminator(nn.Module):
    """From pictures (B, C, H, W) to logits (B,): G the other way round."""

    def __init__(self, width: int, shape: tuple[int, ...], settings: ResidualSettings) -> None:
        super().__init__()
        c, h, w = shape
        count = stages(h, w)
        channels = widths(width, count, settings)[::-1]
        self.look = nn.Conv2d(c, channels[0], 1, bias=False)
        mlp.he(self.look, slope=1.0)
        every = count * settings.blocks
        layers: list[nn.Module] = []
        for place, here in enumerate(channels):
            layers += [Resample(channels[place - 1], here, up=False)] if place else []
            layers += [Block(here, settings.group, every) for _ in range(settings.blocks)]
        self.stages = nn.Sequential(*layers)
        last = channels[-1]
        self.basis = nn.Conv2d(last, last, (h >> count - 1, w >> count - 1), groups=last, bias=False)
        self.head = nn.Linear(last, 1, bias=False)
        for layer in (self.basis, self.head):
            mlp.he(layer, slope=1.0)

    def features(self, x: Maps) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        return self.basis(self.stages(self.look(x))).flatten(1)

    def forward(self, x: Maps) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


def pair(sizes: Sizes, settings: ResidualSettings) -> Pair:
    """Both, with their initial weights."""
    generator = Generator(sizes.latent, sizes.generator, sizes.sample, settings)
    return generator, Discriminator(sizes.discriminator, sizes.judged, settings)
