"""Arrays and tensors to content: what is points, what is pictures, which range, which labels.

Letters: N rows, D columns, C channels (1 or 3), H and W height and width, K classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from ganworks.data.dataset import Content
from ganworks.data.spec import Kind
from ganworks.errors import error

SAMPLES = ("x", "samples", "images", "data", "arr_0")
LABELS = ("label", "labels", "y")
_ROUNDING = 1e-5
"""How far a float picture may lie outside its range: resizing filters leave such crumbs."""


def from_columns(columns: Mapping[str, object], name: str, where: str) -> Content:
    """Read a mapping of arrays: samples under one of `SAMPLES`, labels, if any, under one of `LABELS`.

    Raises: DataError if there are no samples, or if they or the labels cannot be used.
    """
    known = [key for key in SAMPLES if key in columns]
    if not known:
        found = ", ".join(map(str, columns)) or "nothing"
        raise error("E-DATA-02", what=f"arrays named {found}", where=where, details=[f"samples: {', '.join(SAMPLES)}"])
    label = next((key for key in LABELS if key in columns), None)
    content = from_array(columns[known[0]], None if label is None else columns[label], name, where)
    unused = [str(key) for key in columns if key not in (known[0], label)]
    if unused:
        content.note.append(f"not used: {', '.join(unused)}")
    return content


def from_array(array: object, label: object | None, name: str, where: str) -> Content:
    """Read one array or tensor: (N, D) is points; (N, H, W), (N, C, H, W) or (N, H, W, C) is pictures.

    Args:
        array: Points of any real type; pictures as uint8, or as floats in [-1, 1] or [0, 1].
        label: (N,) whole numbers or strings, or None.
        where: What errors call the source.
    Raises: DataError if the type, the shape, the range or a value cannot be used, or for fewer than two rows.
    """
    values = _numbers(array, where)
    if values.ndim not in (2, 3, 4) or 0 in values.shape[1:]:
        raise error("E-DATA-07", shape=tuple(values.shape), where=where)
    if len(values) < 2:
        raise error("E-DATA-09", count=len(values), where=where)
    note: list[str] = []
    kind: Kind = "points" if values.ndim == 2 else "images"
    columns = {"x": _finite(values.float(), where) if kind == "points" else _pictures(values, note, where)}
    classes: tuple[str, ...] = ()
    if label is not None:
        columns["label"], classes = _labels(label, len(values), where)
    return Content(name, kind, columns, classes, note)


def _numbers(array: object, where: str) -> Tensor:
    """A CPU tensor of a real type, in its own memory: what the user does to the array later does not reach it."""
    if isinstance(array, Tensor):
        if array.is_complex() or array.is_quantized or array.layout != torch.strided:
            raise error("E-DATA-02", what=f"tensors of type {array.dtype}, {array.layout}", where=where)
        plain = array.detach().cpu().clone(memory_format=torch.contiguous_format)
        return plain.float() if plain.dtype == torch.bool else plain
    if not isinstance(array, np.ndarray):
        raise error("E-DATA-02", what=f"objects of type {type(array).__name__}", where=where)
    if array.dtype.hasobject:
        raise error("E-DATA-04", where=where)
    if array.dtype.kind not in "biuf":
        raise error("E-DATA-02", what=f"arrays of type {array.dtype}", where=where)
    kept = {"b": np.float32, "f": np.float32, "i": np.int64, "u": np.int64}[array.dtype.kind]
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused as such
        return torch.from_numpy(np.array(array, array.dtype if array.dtype == np.uint8 else kept, order="C"))


def _finite(values: Float[Tensor, "n ..."], where: str) -> Tensor:
    bad = ~values.isfinite()
    if bad.any():
        row = int(bad.flatten(1).any(1).nonzero()[0])
        raise error("E-DATA-05", count=int(bad.sum()), where=where, details=[f"the first is in row {row}"])
    return values


def _pictures(values: Tensor, note: list[str], where: str) -> Tensor:
    """Pictures as (N, C, H, W): uint8 as they are, floats in [-1, 1]."""
    values = _channels_first(values, note, where)
    if values.dtype == torch.uint8:
        return values
    if not values.is_floating_point():
        raise error("E-DATA-06", what=f"numbers of type {str(values.dtype).removeprefix('torch.')}", where=where)
    values = _finite(values.float(), where)
    low, high = float(values.min()), float(values.max())
    if low < -1 - _ROUNDING or high > 1 + _ROUNDING:
        raise error("E-DATA-06", what=f"values between {low:g} and {high:g}", where=where)
    if low >= -_ROUNDING:
        note.append("pixels lie in [0, 1] and were taken so: 0 is black, 1 is white")
        return values.mul_(2).sub_(1).clamp_(-1, 1)
    note.append("pixels lie in [-1, 1] and were taken so: -1 is black, 1 is white")
    return values.clamp_(-1, 1)


def _channels_first(values: Tensor, note: list[str], where: str) -> Tensor:
    if values.ndim == 3:
        return values.unsqueeze(1)
    first, last = values.shape[1] in (1, 3), values.shape[3] in (1, 3)
    if not first and not last:
        raise error("E-DATA-07", shape=tuple(values.shape), where=where)
    if first and last:
        note.append(f"both ends of {tuple(values.shape)} could be channels: the first was taken")
    return values if first else values.permute(0, 3, 1, 2).contiguous()


def _labels(label: object, count: int, where: str) -> tuple[Int64[Tensor, "n"], tuple[str, ...]]:
    """Labels as numbers 0 ... K-1 in the order of their values, and the values as names."""
    if isinstance(label, Tensor):
        label = label.detach().cpu()
        label = (label.double() if label.is_floating_point() else label).numpy()
    try:
        values = np.asarray(label)
    except ValueError as problem:  # lists of different lengths
        raise error("E-DATA-08", reason=str(problem), where=where) from problem
    if values.shape not in ((count,), (count, 1)):
        reason = f"their shape is {values.shape}, and there are {count} samples"
        raise error("E-DATA-08", reason=reason, where=where)
    names, codes = np.unique(_names(values.reshape(count), where), return_inverse=True)
    return torch.from_numpy(codes.astype(np.int64)), tuple(map(str, names.tolist()))


def _names(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Labels as whole numbers or strings, whose order is that of the classes."""
    kind = values.dtype.kind
    if kind == "b" or (kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all()):
        return values.astype(np.int64)
    if kind == "U" or (kind == "O" and all(isinstance(value, str) for value in values)):
        return values.astype(str)
    if kind not in "iu":
        raise error("E-DATA-08", reason="they are neither whole numbers nor strings", where=where)
    return values
