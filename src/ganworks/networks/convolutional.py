"""Strided convolutions as DCGAN draws them (Radford et al. 2015, figure 1). Letters: B batch, C channels, H, W size.

Written for the channels-last layout: linear layers read and write (H, W, C), so that no tensor is reordered on the way.
Activations work in place, for no layer before them needs its own output again.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.errors import error
from ganworks.networks.pair import Pair, Sizes


def pyramid(height: int, width: int) -> tuple[int, int, int]:
    """(h, w, n): the smallest picture, above 3 px, from which n doublings lead to (height, width).

    Raises: UsageError where not even one halving is possible.
    """
    h, w, doublings = height, width, 0
    while h % 2 == w % 2 == 0 and min(h, w) >= 8:
        h, w, doublings = h // 2, w // 2, doublings + 1
    if not doublings:
        reason = f"pictures of {height} x {width} px cannot be halved; sizes are even and at least 8 px"
        raise error("E-SET-02", reason=reason, system="dcgan")
    return h, w, doublings


class ToPixels(nn.ConvTranspose2d):
    """A transposed convolution of 4 × 4, stride 2, padding 1, to few channels: pictures before their bound.

    The kernel of 4 × 4 is one of 2 × 2 that gives blocks of 2 × 2 pixels. They are computed as channels, because a CPU
    computes 16 at a time however few are asked for: half the time of this layer, and the same numbers.
    """

    def __init__(self, inner: int, channels: int) -> None:
        super().__init__(inner, channels, 4, 2, 1)

    def forward(self, x: Float[Tensor, "b i h w"], output_size: list[int] | None = None) -> Float[Tensor, "b c h2 w2"]:
        assert self.bias is not None
        weight = F.pixel_unshuffle(self.weight, 2).contiguous(memory_format=torch.channels_last)
        blocks = F.conv_transpose2d(x, weight, self.bias.repeat_interleave(4))
        return F.pixel_shuffle(blocks, 2)[:, :, 1:-1, 1:-1]


class Generator(nn.Module):
    """From latents (B, Z) to pictures in [-1, 1]: a first layer to the smallest size, then 4 × 4 strides of 2.

    Batch norm and ReLU after every layer but the last. No bias before a batch norm, which would take it away again.
    """

    def __init__(self, latent: int, channels: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        h, w, doublings = pyramid(*shape[1:])
        widths = [channels * 2**level for level in reversed(range(doublings))]
        self.start = (h, w, widths[0])
        # A transposed convolution of a 1 × 1 picture is a linear map; as one it is several times faster on a CPU.
        self.project = nn.Linear(latent, widths[0] * h * w, bias=False)
        self.first = nn.Sequential(nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        ups: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            ups += [nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
        self.ups = nn.Sequential(*ups, ToPixels(widths[-1], shape[0]), nn.Tanh())

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b c h w"]:
        return self.ups(self.first(self.project(z).view(-1, *self.start).permute(0, 3, 1, 2)))


class Discriminator(nn.Module):
    """From pictures to logits (B,): 4 × 4 strides of 2 down to the smallest size, LeakyReLU 0.2, one linear layer.

    Args:
        norm: Batch norm after every convolution but the first; off for critics whose gradient is penalised, because a
            batch's statistics tie its samples together.
    """

    def __init__(self, channels: int, shape: tuple[int, ...], *, norm: bool) -> None:
        super().__init__()
        h, w, halvings = pyramid(*shape[1:])
        widths = [channels * 2**level for level in range(halvings)]
        downs: list[nn.Module] = [nn.Conv2d(shape[0], widths[0], 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for inner, outer in pairwise(widths):
            downs.append(nn.Conv2d(inner, outer, 4, 2, 1, bias=not norm))
            downs += [nn.BatchNorm2d(outer)] if norm else []
            downs.append(nn.LeakyReLU(0.2, inplace=True))
        self.downs = nn.Sequential(*downs)
        self.head = nn.Linear(widths[-1] * h * w, 1)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        return self.downs(x).permute(0, 2, 3, 1).flatten(1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


def pair(sizes: Sizes, *, norm: bool = False) -> Pair:
    """Both, with their initial weights. `norm`: batch norm in D, as in `Discriminator`; G always has it."""
    generator = Generator(sizes.latent, sizes.generator, sizes.sample)
    discriminator = Discriminator(sizes.discriminator, sizes.judged, norm=norm)
    initialize(generator)
    initialize(discriminator)
    return generator, discriminator


def initialize(module: nn.Module) -> None:
    """Weights N(0, 0.02), batch norm's scale N(1, 0.02), biases 0. Source: Radford et al. 2015, section 4; its code."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, float(isinstance(layer, nn.BatchNorm2d)), 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
