"""What every feature space is, the two without a network, and the way pictures get into those with one."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

BATCH = 32
"""Pictures that a network sees at once. With 250 the activations leave the processor's cache: twice the time."""


@runtime_checkable
class FeatureSpace(Protocol):
    """A named function from pictures or points to features."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int | None:
        """F; None where it is as large as the sample."""

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float32[Tensor, "n f"]:
        """Features of N pictures (N, C, H, W) in [-1, 1] or N points (N, D); no gradient."""


class Points:
    """The coordinates themselves, in the units of the data."""

    name = "points"
    dimensions = None

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float32[Tensor, "n f"]:
        """(N, D) as they are."""
        return x.detach().float().flatten(1)


class Pixels:
    """Every pixel of every channel, from 0 to 1."""

    name = "pixels"
    dimensions = None

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float32[Tensor, "n f"]:
        """(N, C, H, W) in [-1, 1] to (N, C*H*W)."""
        return (bytes_of(x) / 255).flatten(1)


def bytes_of(x: Float[Tensor, "n ..."]) -> Float32[Tensor, "n ..."]:
    """Pictures in [-1, 1] as the whole numbers 0 to 255 that saving them would leave, still float32."""
    return (x.detach().float() * 127.5 + 127.5).round().clamp(0, 255)


def in_batches(network: Callable[[Tensor], Tensor], x: Float[Tensor, "n ..."]) -> Float32[Tensor, "n f"]:
    """Run a frozen network over many pictures, `BATCH` at a time."""
    with torch.no_grad():
        return torch.cat([network(x[start : start + BATCH]) for start in range(0, max(1, len(x)), BATCH)])


def frozen(network: nn.Module) -> nn.Module:
    """A network that only measures: eval mode, no gradients."""
    return network.eval().requires_grad_(False)
