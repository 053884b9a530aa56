"""What a metric takes: arrays or tensors, one row a sample, checked once and turned into float64."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.errors import error

Samples = Tensor | npt.NDArray[Any]
"""(N, D), numbers of any type. The shapes are checked here and not by annotation, so that the user gets our message."""
Labels = Tensor | npt.NDArray[Any] | Sequence[int]
"""(N,) whole numbers."""


def rows(metric: str, name: str, values: Samples, least: int = 2) -> Float64[Tensor, "n d"]:
    """One set of samples as a float64 tensor on the CPU.

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
    tensor = tensor.detach().to("cpu", torch.float64)
    finite = tensor.isfinite().all(1)
    if not finite.all():
        broken = int((~finite).sum())
        raise error("E-METRIC-02", metric=metric, got=f"{broken} of {len(tensor)} samples in {name}")
    return tensor


def pair(metric: str, real: Samples, fake: Samples, least: int = 2) -> tuple[Tensor, Tensor]:
    """Two sets with the same numbers per sample, checked as in `rows`: (N, D) and (M, D)."""
    checked = rows(metric, "real", real, least), rows(metric, "fake", fake, least)
    if checked[0].shape[1] != checked[1].shape[1]:
        widths = " and ".join(str(part.shape[1]) for part in checked)
        raise unfit(metric, "real and fake with equally many numbers per sample", widths)
    return checked


def unfit(metric: str, needed: str, got: object) -> Exception:
    """The error for what a metric cannot take."""
    return error("E-METRIC-01", metric=metric, needed=needed, got=got)
