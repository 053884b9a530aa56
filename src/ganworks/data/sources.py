"""`open`: from a name, a path or arrays to a data set, with the rule for what is held out."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from ganworks.data import builtin
from ganworks.data.arrays import from_array, from_columns
from ganworks.data.dataset import Content, DataSet, build, hold_out
from ganworks.data.files import READABLE, from_path
from ganworks.data.split import split
from ganworks.errors import error
from ganworks.registry import suggestion

_ARRAY = "the given array"


def open(source: object, held_out: object = None) -> DataSet:
    """Make a data set of whatever holds the data.

    Rows are held out for scoring as the source itself says (`digits`; a folder with `train-*` and `t10k-*` IDX files),
    else by a hash of their index: a tenth, between 100 and 5,000, nothing of fewer than 200. Densities hold nothing
    out: `fresh` draws more.

    Args:
        source: A built-in name (a folder of that name is `./ring`), a path, a NumPy array, a torch tensor, a mapping
            of them with `x` and `label`, or a data set, which is returned as it is.
        held_out: Another source that is held out instead, its own held-out part where it says so itself.
    Raises: UsageError for a name that is neither built in nor a path, DataError for data that are not there or cannot
        be used.
    """
    if isinstance(source, DataSet):
        data = source
        if held_out is not None:
            data = DataSet(source.spec, source.columns, source.density, note=source.note)
    elif isinstance(source, str) and builtin.is_density(source):
        data = builtin.density(source)
    else:
        whole, own = _read(source)
        data = _divided(whole, own) if held_out is None else build(whole)
    if held_out is not None:
        hold_out(data, _for_scoring(held_out))
    return data


def _divided(whole: Content, own: Content | None) -> DataSet:
    if own is not None:
        data = build(whole)
        hold_out(data, own)
        return data
    train, held = split(len(whole))
    if not len(held):
        return build(whole)
    data = build(whole, rows=train)
    hold_out(data, whole.take(held))
    return data


def _for_scoring(source: object) -> Content:
    if isinstance(source, DataSet):
        data = source.held_out or source
        return Content(data.name, data.spec.kind, data.columns, data.spec.classes)
    if isinstance(source, str) and builtin.is_density(source):
        return _for_scoring(builtin.density(source))
    whole, own = _read(source)
    return whole if own is None else own


def _read(source: object) -> tuple[Content, Content | None]:
    if isinstance(source, str) and builtin.is_digits(source):
        return builtin.digits(source)
    if isinstance(source, str | os.PathLike):
        return from_path(_path(os.fspath(source), isinstance(source, str)))
    if isinstance(source, Mapping):
        return from_columns(source, "arrays", _ARRAY), None
    if isinstance(source, np.ndarray | Tensor):
        return from_array(source, None, "array", _ARRAY), None
    raise error("E-DATA-02", what=f"objects of type {type(source).__name__}", details=READABLE)


def _path(text: str, may_be_name: bool) -> Path:
    """A word without separator or ending that is no file either was meant as a name."""
    path = Path(text).expanduser()
    try:
        there = bool(text) and path.exists()
    except PermissionError:
        there = True
    except (OSError, ValueError):  # too long, or a null byte
        there = False
    if there:
        return path
    if may_be_name and not path.suffix and "/" not in text and os.sep not in text and text not in (".", "..", "~"):
        known = [row.name for row in builtin.names()]
        details = suggestion(text, known) or [f"built in: {', '.join(known)}"]
        if text.startswith("digits:"):
            details = ["one digit is digits:0 to digits:9"]
        raise error("E-NAME-02", name=text, details=details)
    raise error("E-DATA-01", path=text)
