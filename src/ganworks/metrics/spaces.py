"""What every feature space is, the two without a network, and the way pictures get into those with one."""

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from ganworks.data.spec import DataSpec
from ganworks.errors import error

_Network = TypeVar("_Network", bound=nn.Module)
BATCH = 32
"""Pictures that a network sees at once. With 250 the activations leave the processor's cache: twice the time."""


@runtime_checkable
class FeatureSpace(Protocol):
    """A named function from pictures or points to features. A class of yours may inherit what it need not change."""

    name: str
    """What scores call it: other weights or another preparation need another name."""
    dimensions: int | None
    """F; None where it is as large as the sample."""
    identity: str = ""
    """Whatever its features depend on (hash of its weights, version of its code, dtype), so that they may be kept on
    disk; empty: they are computed each time.
    """

    def unfit(self, spec: DataSpec) -> str:
        """What it looks at, where that is not this data; empty where it is."""
        return "" if spec.pictures else "pictures"

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """Features of N pictures (N, C, H, W) in [-1, 1] or N points (N, D), on the CPU and without a gradient.

        Those of one row may not depend on the other rows, except by the rounding of float32.
        """


@runtime_checkable
class Classifier(FeatureSpace, Protocol):
    """A feature space that is the inside of a classifier."""

    classes: int
    """K."""

    def classify(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Class logits of features of this space: (N, K)."""


class Points(FeatureSpace):
    """The coordinates themselves, in the units of the data."""

    name = "points"
    dimensions = None

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def unfit(self, spec: DataSpec) -> str:
        """Pictures are."""
        return "" if not spec.pictures else "points"

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """(N, D) as they are."""
        return x.detach().to(self.dtype).flatten(1)


class Pixels(FeatureSpace):
    """Every pixel of every channel, from 0 to 1."""

    name = "pixels"
    dimensions = None

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """(N, C, H, W) in [-1, 1] to (N, C*H*W)."""
        return (bytes_of(x).to(self.dtype) / 255).flatten(1)


def bytes_of(x: Float[Tensor, "n ..."]) -> Float32[Tensor, "n ..."]:
    """Pictures in [-1, 1] as the whole numbers 0 to 255 that saving them would leave, still float32."""
    return (x.detach().float() * 127.5 + 127.5).round().clamp(0, 255)


def in_batches(
    network: Callable[[Tensor], Tensor], x: Float[Tensor, "n ..."], size: int = BATCH
) -> Float[Tensor, "n f"]:
    """Run a frozen network over many pictures, `size` at a time."""
    with torch.no_grad():
        return torch.cat([network(x[start : start + size]) for start in range(0, max(1, len(x)), size)])


def frozen(network: nn.Module) -> nn.Module:
    """A network that only measures: eval mode, no gradients."""
    return network.eval().requires_grad_(False)


def convolving(network: _Network, dtype: torch.dtype) -> _Network:
    """A frozen network of convolutions, laid out as they are fastest on a CPU: in about 4/5 of the time."""
    frozen(network)
    network.to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack the layout
    return network


def color_or_grey(name: str, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n c h w"]:
    """Pictures on the CPU, for the space of that name. Raises: UsageError E-METRIC-01 for other shapes."""
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        needed = "pictures of shape (N, 1 or 3, H, W)"
        raise error("E-METRIC-01", metric=name, needed=needed, got=f"shape {tuple(x.shape)}")
    return x.cpu()
