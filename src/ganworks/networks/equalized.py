"""Layers of Karras et al. 2017 (arXiv:1710.10196): equalised learning rates, pixel norm, minibatch deviation.

Weights begin as N(0, 1) and are scaled where they are used, by gain / √fan_in. He's initial weights have the same size,
but Adam moves every weight by about its learning rate, so that layers of small weights learn faster. Here all weights
have one size, and all layers one speed (section 4.1). What reads raw weights (`objective.clip`) sees them before this
scale; an average of weights is the same either way.

Letters: B batch, C channels, H, W height and width.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

HE = math.sqrt(2)
"""The gain of a layer before a ReLU or LeakyReLU."""
_SMALL = 1e-8
"""Added under every root, as in the authors' code."""


class EqualLinear(nn.Linear):
    """A linear layer of N(0, 1) weights, used as gain / √fan_in · W.

    Args:
        inner, outer: Numbers in and out.
        gain: √2 before a LeakyReLU, 1 where nothing follows.
        lr_multiplier: Weight and bias learn so much as fast as others: they are stored divided by it and used times it.
            Source: Karras et al. 2018, appendix C: 0.01 in a mapping network.
    """

    def __init__(self, inner: int, outer: int, *, gain: float = HE, lr_multiplier: float = 1.0) -> None:
        super().__init__(inner, outer)
        self.lr_multiplier = lr_multiplier
        self.equal = gain * lr_multiplier / math.sqrt(inner)
        _draw(self, lr_multiplier)

    def forward(self, x: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        return F.linear(x, scaled(self, self.equal), self.bias * self.lr_multiplier)


class EqualConv2d(nn.Conv2d):
    """A convolution of N(0, 1) weights, used as gain / √fan_in · W; edges padded with zeros so that sizes stay.

    Args:
        inner, outer: Channels in and out.
        kernel_size: An odd side of the kernel.
        gain: √2 before a LeakyReLU, 1 where nothing follows.
        lr_multiplier: As of `EqualLinear`.
    """

    def __init__(
        self, inner: int, outer: int, kernel_size: int, *, gain: float = HE, lr_multiplier: float = 1.0
    ) -> None:
        super().__init__(inner, outer, kernel_size, padding=kernel_size // 2)
        self.lr_multiplier = lr_multiplier
        self.equal = gain * lr_multiplier / math.sqrt(inner * kernel_size**2)
        _draw(self, lr_multiplier)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        assert self.bias is not None
        return F.conv2d(x, scaled(self, self.equal), self.bias * self.lr_multiplier, padding=self.padding)


def _draw(layer: nn.Linear | nn.Conv2d, lr_multiplier: float) -> None:
    assert layer.bias is not None
    nn.init.normal_(layer.weight, 0.0, 1 / lr_multiplier)
    nn.init.zeros_(layer.bias)


def scaled(layer: nn.Linear | nn.Conv2d, scale: float) -> Tensor:
    """A layer's weight as it is used. Under spectral normalisation it is W / σ, which has a size of its own."""
    return layer.weight if parametrize.is_parametrized(layer, "weight") else layer.weight * scale


class PixelNorm(nn.Module):
    """x / √(mean over c of x_c²): every pixel's channels, or every latent, to a mean square of 1 (section 4.2)."""

    def forward(self, x: Float[Tensor, "b c ..."]) -> Float[Tensor, "b c ..."]:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + _SMALL)


def minibatch_std(x: Float[Tensor, "b c h w"], group: int) -> Float[Tensor, "b c1 h w"]:
    """One more channel: how much the samples of a group differ, so that D sees a G that repeats itself.

    The standard deviation (over n, not n - 1) of each number over the samples of a group, its mean over channels and
    pixels, written to every pixel of every sample of that group. Source: section 3; groups are the authors' code's.

    A group is `group` *neighbouring* rows; what is left over at the end is a smaller group. Rows of a batch are
    independent, so neighbours are as good as any; but parts of a batch that hold whole groups see what the whole does,
    and no group holds reals and fakes where each side of a joined batch is a multiple of `group`. D should judge them
    apart (`set_up(..., joint=False)`) where that is not sure.

    Returns: x with the channel appended last.
    """
    whole = len(x) // group * group
    parts = [x[:whole].reshape(-1, group, *x.shape[1:])] if whole else []
    parts += [x[whole:][None]] if whole < len(x) else []
    apart = [each - each.mean(1, keepdim=True) for each in parts]  # `var` takes ten times as long over this axis
    deviations = [(each.square().mean(1) + _SMALL).sqrt().mean((1, 2, 3)) for each in apart]
    rows = [each.repeat_interleave(part.shape[1]) for each, part in zip(deviations, parts, strict=True)]
    channel = torch.cat(rows)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, channel.to(x)], 1)
