"""What a metric takes: arrays or tensors, one row a sample, checked once and turned into float64."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ganworks.errors import error

Samples = Tensor | npt.NDArray[Any]
"""(N, D), numbers of any type. The shapes are checked here and not by annotation, so that the user gets our message."""
Labels = Tensor | npt.NDArray[Any] | Sequence[int]
"""(N,) whole numbers."""
_AT_ONCE = 64
"""Rows checked at once: what the check needs beside them stays small."""


def rows(metric: str, name: str, values: Samples, least: int = 2) -> Float64[Tensor, "n d"]:
    """One set of samples as a float64 tensor on the CPU: `as_given`, converted."""
    return as_given(metric, name, values, least).double()


def as_given(metric: str, name: str, values: Samples, least: int = 2) -> Float[Tensor, "n d"]:
    """One set of samples on the CPU, not copied where it is float32 or float64 and on the CPU.

    Args:
        metric, name: What the error calls the metric and the argument.
        values: (N, D).
        least: Samples that the metric needs.
    Raises: UsageError E-METRIC-01 if the shape is another or the samples are too few, E-METRIC-02 if a value is NaN or
        infinite.
    """
    tensor = torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values))
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise unfit(metric, f"{name} of shape (samples, numbers)", f"shape {tuple(tensor.shape)}")
    if len(tensor) < least:
        raise unfit(metric, f"at least {least} samples in {name}", len(tensor))
    tensor = tensor.detach().cpu()
    if tensor.dtype != torch.float32:
        tensor = tensor.double()
    if not tensor.sum().isfinite():  # a tenth of the time of looking at each; a finite set's sum may overflow, too
        starts = range(0, len(tensor), _AT_ONCE)
        broken: int = sum([int((~tensor[start : start + _AT_ONCE].isfinite().all(1)).sum()) for start in starts])
        if broken:
            raise error("E-METRIC-02", metric=metric, got=f"{broken} of {len(tensor)} samples in {name}")
    return tensor


def pair(metric: str, real: Samples, fake: Samples, least: int = 2) -> tuple[Tensor, Tensor]:
    """Two sets with the same numbers per sample, checked as in `rows`: (N, D) and (M, D) in float64."""
    real, fake = pair_as_given(metric, real, fake, least)
    return real.double(), fake.double()


def pair_as_given(metric: str, real: Samples, fake: Samples, least: int = 2) -> tuple[Tensor, Tensor]:
    """Two sets with the same numbers per sample, checked as in `as_given`: (N, D) and (M, D)."""
    checked = as_given(metric, "real", real, least), as_given(metric, "fake", fake, least)
    if checked[0].shape[1] != checked[1].shape[1]:
        widths = " and ".join(str(part.shape[1]) for part in checked)
        raise unfit(metric, "real and fake with equally many numbers per sample", widths)
    return checked


def unfit(metric: str, needed: str, got: object) -> Exception:
    """The error for what a metric cannot take."""
    return error("E-METRIC-01", metric=metric, needed=needed, got=got)
