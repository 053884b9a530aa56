"""Two runs or models beside each other: what differs between them, and which scores better. It needs no torch."""

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganworks import aims, history
from ganworks.errors import error
from ganworks.training import disk
from ganworks.use import curves
from ganworks.use.beside import beside

_PICTURES, _POINTS = 64, 2_500
_LARGEST_GRID = 64 << 20
"""Pixels of a picture that is taken for a sample grid."""
_OF_THE_DATA = ("name", "kind", "shape", "count", "classes", "fingerprint")
_OF_THE_MOMENT = ("started", "command")


@dataclass(frozen=True)
class Side:
    """A run or a model, as far as its files tell without loading it."""

    path: Path
    kind: str
    """`run` or `model`."""
    step: int
    steps: int
    """What it is or was to reach."""
    seconds: float | None
    """Training time; a model does not know it."""
    settings: Mapping[str, Any]
    """By dotted key."""
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    """Versions, processor, threads."""
    scored: history.Scored | None = None

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def as_dict(self) -> dict[str, Any]:
        """What it is and how far it got."""
        known = {key: getattr(self, key) for key in ("name", "path", "kind", "step", "steps", "seconds")}
        return known | {"path": str(self.path), "scored_at": self.scored.step if self.scored else None}


@dataclass(frozen=True)
class Difference:
    """A key whose values differ; None where a side has no such key."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True)
class ScorePair:
    """One metric of both sides."""

    metric: str
    a: Mapping[str, Any] | None
    b: Mapping[str, Any] | None
    better: str | None = None
    """`a` or `b` where the intervals do not overlap."""
    remark: str = ""
    """Why none is called better."""


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds."""

    a: Side
    b: Side
    settings: list[Difference] = field(default_factory=list)
    data: list[Difference] = field(default_factory=list)
    environment: list[Difference] = field(default_factory=list)
    scores: list[ScorePair] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON has it."""
        lists = {name: [asdict(each) for each in getattr(self, name)] for name in ("settings", "data", "environment")}
        return {"a": self.a.as_dict(), "b": self.b.as_dict(), **lists, "scores": [asdict(each) for each in self.scores]}


def side(path: Path) -> Side:
    """A run folder or a model folder.

    Raises: UsageError if it is neither; ModelError if it is one of them and cannot be read.
    """
    reason = "there is no such folder"
    with contextlib.suppress(OSError):  # a name that is too long, or may not be looked at
        if (path / "config.json").is_file():
            return _model(path)
        if history.is_run(path):
            return _run(path)
        if path.is_dir():
            reason = "it is no model either"
    raise error("E-RUN-02", path=path, reason=reason)


def _run(path: Path) -> Side:
    run = history.read(path)
    if run.state == "broken":
        raise error("E-MODEL-01", path=path, details=[run.reason])
    return Side(
        path=path,
        kind="run",
        step=run.step,
        steps=run.steps,
        seconds=run.seconds,
        settings=_flat(history.configured(path)),
        data=history.described(path / "data.json"),
        environment=_lasting(history.described(path / "environment.json")),
        scored=run.scored,
    )


def _model(path: Path) -> Side:
    config = history.described(path / "config.json")
    parts = [config.get(key) for key in ("run", "settings", "data")]
    step = config.get("step")
    if not isinstance(step, int) or not all(isinstance(part, dict) for part in parts):
        raise error("E-MODEL-01", path=path, details=["its config.json is not that of a model"])
    run, settings, data = (dict(part) for part in parts if isinstance(part, dict))
    planned = run.get("steps")
    return Side(
        path=path,
        kind="model",
        step=step,
        steps=max(step, planned if isinstance(planned, int) else 0),
        seconds=None,
        settings=_flat(run | settings),
        data=data,
        environment={"ganworks": config.get("ganworks")},
    )


def _lasting(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in environment.items() if key not in _OF_THE_MOMENT}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key. A schedule is one value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and "from" not in value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def compare(a: Side, b: Side) -> Comparison:
    """What differs between two sides, and how their scores relate."""
    told = [{key: each.data.get(key) for key in _OF_THE_DATA if key in each.data} for each in (a, b)]
    # A model knows no more than the version that wrote it.
    around = set(a.environment) & set(b.environment) if "model" in (a.kind, b.kind) else None
    return Comparison(
        a=a,
        b=b,
        settings=_differences(a.settings, b.settings),
        data=_differences(*told),
        environment=[d for d in _differences(a.environment, b.environment) if around is None or d.key in around],
        scores=list(_scores(a, b)),
    )


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    keys = [*a, *(key for key in b if key not in a)]
    return [Difference(key, a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)]


def _scores(a: Side, b: Side) -> Iterator[ScorePair]:
    found = [_by_metric(each.scored.scores if each.scored else []) for each in (a, b)]
    reference = _reference(a)
    same_data = reference is not None and reference == _reference(b)
    for metric in [*found[0], *(name for name in found[1] if name not in found[0])]:
        ours, theirs = (each.get(metric) for each in found)
        if ours is None or theirs is None:
            yield ScorePair(metric, ours, theirs, remark="only one has it")
        elif not same_data:
            yield ScorePair(metric, ours, theirs, remark="against other data: not compared")
        else:
            verdict = aims.better(ours, theirs)
            yield ScorePair(metric, ours, theirs, verdict.better, verdict.remark)


def _reference(side: Side) -> tuple[Any, ...] | None:
    """What the scores of a side are against; None where that is not known."""
    fingerprint = side.data.get("fingerprint")
    return (fingerprint, side.data.get("shape"), side.settings.get("held_out", "")) if fingerprint else None


def _by_metric(scores: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {score["metric"]: score for score in scores}


def write(found: Comparison, out: Path) -> tuple[list[Path], list[str]]:
    """Write `comparison.json` and pictures of both sides into a new folder; it appears whole or not at all.

    Returns: The files, and what a person should know of what is missing.
    Raises: UsageError if the folder holds something; ResourceError if the disk is full or refuses; ModelError for a
        model that cannot be loaded.
    """
    files, notes, sides = ["comparison.json"], [], (found.a, found.b)
    with disk.appearing(out) as folder:
        (folder / files[0]).write_text(json.dumps(found.as_dict(), indent=2) + "\n")
        grids = [(side.name, last_grid(side)) for side in sides]
        notes += [f"{name} has no sample grid that can be read" for name, grid in grids if grid is None]
        if shown := [(name, grid) for name, grid in grids if grid is not None]:
            sheet = Image.fromarray(beside([grid for _, grid in shown], [name for name, _ in shown]))
            encoded = io.BytesIO()  # an encoder that writes to the file itself hides why the disk refused
            sheet.save(encoded, "PNG")
            (folder / "grids.png").write_bytes(encoded.getbuffer())
            files.append("grids.png")
        runs = [(side.name, history.loss_curves(side.path)) for side in sides if side.kind == "run"]
        if runs:
            (folder / "curves.png").write_bytes(curves.picture(runs))
            files.append("curves.png")
    return [out / name for name in files], notes


def last_grid(side: Side) -> UInt8[np.ndarray, "h w 3"] | None:
    """The last sample grid of a run; of a model, which keeps none, one that is drawn now. None where there is none.

    Raises: ModelError for a model that cannot be loaded.
    """
    if side.kind == "model":
        return _drawn(side.path)
    path = history.newest_grid(side.path)
    if path is None:
        return None
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.width * picture.height > _LARGEST_GRID:
                return None
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow says of a broken file
        return None


def _drawn(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    from ganworks import model  # only here: a run's grid is read, and torch takes a second to import
    from ganworks.data import pictures

    loaded = model.load(path)
    if loaded.system.data.pictures:
        grid = pictures.grid(loaded.sample(_PICTURES), columns=8)
        return np.ascontiguousarray(np.broadcast_to(grid, (*grid.shape[:2], 3)))
    return pictures.points_picture(loaded.sample(_POINTS))
