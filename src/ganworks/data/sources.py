"""`open`: from a name, a path or arrays to a data set, with the rule for what is held out."""

import copy
import itertools
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganworks.data import builtin
from ganworks.data.arrays import from_array, from_columns
from ganworks.data.dataset import Content, DataSet, build, hold_out
from ganworks.data.emoji import emoji, is_emoji
from ganworks.data.files import READABLE, from_path
from ganworks.data.folders import Reading, as_domains
from ganworks.data.gallery import OnBad
from ganworks.data.pairing import Derivation, sources_of
from ganworks.data.spec import DataSpec
from ganworks.data.split import split
from ganworks.errors import error
from ganworks.registry import suggestion
from ganworks.telling import Tell
from ganworks.theory import Density

_ARRAY = "the given array"
_LOOKED_AT = 1000
"""Names of a folder that are compared with one that is not there."""


def open(
    source: object,
    held_out: object = None,
    *,
    size: int | tuple[int, int] = 0,
    channels: int = 0,
    mirror: bool = False,
    on_bad: OnBad = "stop",
    tell: Tell | None = None,
    kind: Literal["", "pairs", "domains"] = "",
    derive: Derivation | Literal[""] = "",
) -> DataSet:
    """Make a data set of whatever holds the data.

    Rows are held out for scoring as the source itself says (`digits`; a folder with `train-*` and `t10k-*` IDX files),
    else by a hash of the file's name or the row's number: a tenth, between 100 and 5,000, nothing of fewer than 200.
    Densities hold nothing out: `fresh` draws more.

    Args:
        source: A built-in name (a folder of that name is `./ring`), a path, a NumPy array, a torch tensor, a mapping
            of them with `x` and `label`, a density of `ganworks.theory`, or a data set, which is returned as it is.
        held_out: Another source that is held out instead, its own held-out part where it says so itself.
        size: Side, or (height, width), that picture files are brought to; 0: chosen from them. Other pictures must have
            it already.
        channels: 1 or 3, as `size`; 0: grey where all pictures are grey.
        mirror: Train on every picture twice, the second time with left and right exchanged.
        on_bad: For picture files that cannot be read: `stop`, or `skip` them.
        tell: Called with the progress of what takes long: {"task", "done", "total"}, or {"message"}.
        kind: `pairs` or `domains`, where the data are to be that; empty: what their files' names say.
        derive: How the sources of pairs are made of pictures: `edges`, `grey`, `low`, `mask`; empty: they are there.
    Raises: UsageError for a name that is neither built in nor a path, DataError for data that are not there or cannot
        be used.
    """
    sides = None if size == 0 else (size, size) if isinstance(size, int) else size
    reading = Reading(sides, channels, on_bad, tell, kind, derive)
    if isinstance(source, DataSet):
        data = source if held_out is None else copy.copy(source)
    elif (exact := _density(source)) is not None:
        data = exact
    else:
        whole, own = (None if each is None else _as(each, reading) for each in contents(source, reading))
        assert whole is not None
        data = _divided(whole, own, elsewhere=held_out is not None, mirror=mirror)
    _check(data, reading, mirror=mirror)
    if held_out is not None:
        if data.spec.pictures:
            channels, *shape = data.spec.shape
            reading = replace(reading, size=(shape[0], shape[1]), channels=channels)
        hold_out(data, _for_scoring(held_out, reading))
    return data


def form(spec: DataSpec) -> dict[str, Any]:
    """How `open` is told to read data in the way that others were read: as pairs or domains, sources made or there."""
    kind = spec.kind if spec.kind in ("pairs", "domains") else ""
    return {"kind": kind, "derive": spec.derived}


def _as(content: Content, reading: Reading) -> Content:
    """Labelled rows as domains, and pictures as pairs, where that is wanted and not done yet."""
    if reading.derive and content.kind == "images":
        x = content.columns["x"]
        if isinstance(x, Tensor) and x.dtype != torch.uint8:
            x = ((x + 1) * 127.5).round().to(torch.uint8)
        columns = {"source": sources_of(x, reading.derive), "target": x}
        return replace(content, kind="pairs", columns=columns, classes=(), derived=reading.derive)
    return as_domains(content) if reading.kind == "domains" and content.kind in ("images", "points") else content


def _check(data: DataSet, reading: Reading, *, mirror: bool) -> None:
    """Refuse wishes that only picture files can fulfil."""
    shape = data.spec.shape
    if mirror and not data.spec.pictures:
        raise error("E-DATA-13", name=data.name, got=data.spec.kind, needed="pictures, to mirror them")
    if not data.spec.pictures:
        return
    if (reading.size or shape[1:]) != shape[1:] or (reading.channels or shape[0]) != shape[0]:
        height, width = reading.size or shape[1:]
        needed = f"{_color(reading.channels or shape[0])} of {height} x {width} px"
        got = f"{_color(shape[0])} of {shape[1]} x {shape[2]} px"
        raise error("E-DATA-13", name=data.name, got=got, needed=needed)


def _color(channels: int) -> str:
    return {1: "grey pictures", 3: "colour pictures"}.get(channels, f"pictures with {channels} channels")


def _divided(whole: Content, own: Content | None, *, elsewhere: bool, mirror: bool) -> DataSet:
    """What trains and what is held out of it, unless that comes from `elsewhere`."""
    mirror = mirror and len(whole.made.shape) == 4
    train, held = split(len(whole), whole.keys)
    if elsewhere or own is not None or not len(held):
        data = build(whole, mirror=mirror)
        if own is not None and not elsewhere:
            hold_out(data, own)
        return data
    data = build(whole, rows=train, mirror=mirror)
    hold_out(data, whole.take(held))
    return data


def _density(source: object) -> DataSet | None:
    """The data set of a known density, built in or given; None of anything else."""
    if isinstance(source, Density):
        return builtin.given(source)
    return builtin.density(source) if isinstance(source, str) and builtin.is_density(source) else None


def _for_scoring(source: object, reading: Reading) -> Content:
    if isinstance(source, DataSet):
        data = source.held_out or source
        return Content(data.name, data.spec.kind, data.columns, data.spec.classes, fingerprint=data.spec.fingerprint)
    if (exact := _density(source)) is not None:
        return _for_scoring(exact, reading)
    whole, own = contents(source, reading)
    return whole if own is None else own


def contents(source: object, reading: Reading) -> tuple[Content, Content | None]:
    """All rows of what is no density, and those held out where the source says so itself.

    Raises: as `open`.
    """
    if isinstance(source, str) and builtin.is_digits(source):
        return builtin.digits(source)
    if isinstance(source, str) and is_emoji(source):
        return emoji(source, reading), None
    if isinstance(source, str | os.PathLike):
        return from_path(_path(os.fspath(source), isinstance(source, str)), reading)
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
        details = suggestion(text, [*known, *_beside(path)]) or [f"built in: {', '.join(known)}"]
        if text.startswith("digits:"):
            details = ["one digit is digits:0 to digits:9"]
        raise error("E-NAME-02", name=text, details=details)
    raise error("E-DATA-01", path=text, details=suggestion(path.name, _beside(path)))


def _beside(path: Path) -> list[str]:
    """Names in the folder where a path should be: one of them may be meant."""
    try:
        with os.scandir(path.parent) as found:
            return [each.name for each in itertools.islice(found, _LOOKED_AT)]
    except (OSError, ValueError):
        return []
