"""Twice as large and half as large through a low-pass filter, so that no grid of pixels shows in what networks learn.

The filter is [1, 3, 3, 1] along each axis, its sum 1. Twice as large: zeros between the pixels, then four times the
filter; half as large: the filter, then every second pixel. Outside a picture there are zeros, so its edges fade, as in
the authors' code. Source: Karras et al. 2018 (arXiv:1812.04948), section 2; Karras et al. 2019, appendix B; Zhang 2019.

Letters: B batch, C channels, H, W height and width, I, O channels in and out.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

TAPS = (1.0, 3.0, 3.0, 1.0)
"""Along one axis, not yet divided by their sum."""


def filtered(
    x: Float[Tensor, "b c h w"], padding: int, gain: float = 1.0, stride: int = 1
) -> Float[Tensor, "b c h2 w2"]:
    """Every channel through the filter times `gain`, with so many zeros around it, at every `stride`-th pixel."""
    taps = x.new_tensor(TAPS)
    kernel = torch.outer(taps, taps) * (gain / taps.sum().square())
    return F.conv2d(x, kernel.expand(x.shape[1], 1, 4, 4), stride=stride, padding=padding, groups=x.shape[1])


def upsample(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Twice as large. A row of pixels a, b, … becomes … (a + 3b)/4, (3b + c)/4, …: bilinear, with zeros outside."""
    taps = x.new_tensor(TAPS)
    kernel = torch.outer(taps, taps) * (4 / taps.sum().square())
    return F.conv_transpose2d(x, kernel.expand(x.shape[1], 1, 4, 4), stride=2, padding=1, groups=x.shape[1])


def downsample(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Half as large, of even sides."""
    return filtered(x, padding=1, stride=2)


def up_convolution(x: Float[Tensor, "b i h w"], weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "b o h2 w2"]:
    """Zeros between the pixels, a convolution of 3 × 3, four times the filter: 2H × 2W.

    The filter comes after the convolution, and both leave as much of a picture's edge as fits.
    """
    spread = F.conv_transpose2d(x, weight.flip(2, 3).transpose(0, 1), stride=2)
    return filtered(spread, padding=1, gain=4.0)


def down_convolution(x: Float[Tensor, "b i h w"], weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "b o h2 w2"]:
    """The filter, then a convolution of 3 × 3 with stride 2: H/2 × W/2, of even sides."""
    return F.conv2d(filtered(x, padding=2), weight, stride=2)
