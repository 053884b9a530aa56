"""A failure on the stage: the training that fails, its verdicts, and the same training with the remedy of the first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np

from ganworks import data as datasets
from ganworks import history
from ganworks.data import excerpt, pictures
from ganworks.diagnosis import remedies, ward
from ganworks.diagnosis.rules import Judge, window
from ganworks.diagnosis.series import Series, number
from ganworks.diagnosis.verdict import Verdict
from ganworks.errors import TrainingError, error
from ganworks.failures.recipes import Failure
from ganworks.session import Order, Result, conduct, session_of
from ganworks.session.conduct import teller
from ganworks.session.patience import kept
from ganworks.training import disk
from ganworks.training.loop import Watcher

FEW = "few digits"
_FEW, _HELD_OUT = 64, 500
_FILES = ("few.npy", "held_out.npy")
FAILING, MENDED = "failing", "mended"


@dataclass(frozen=True)
class Training:
    """One of the two trainings."""

    run: Path
    verdicts: list[Verdict]
    value: float | None
    """What the failure is measured by: over the last third of the looks, or at the best one. None: not recorded."""
    cut_short: Result | None = None
    """How it ended, if by a signal or a request."""


@dataclass(frozen=True)
class Staged:
    """A failure beside the training that has the remedy; without one where nothing was found, or a stop came first."""

    failure: Failure
    failing: Training
    mended: Training | None = None

    @property
    def runs(self) -> tuple[Training, ...]:
        """The trainings that there are."""
        return (self.failing,) if self.mended is None else (self.failing, self.mended)

    @property
    def cut_short(self) -> Result | None:
        """How the last of them ended, if by a signal or a request."""
        return self.runs[-1].cut_short

    @property
    def factor(self) -> float | None:
        """By how much the remedy has improved the measure: 1 is not at all. None where that cannot be said."""
        if self.mended is None or self.failing.value is None or self.mended.value is None:
            return None
        parts = self.mended.value, self.failing.value
        above, below = parts if self.failure.better == "more" else parts[::-1]
        if above < 0 or below < 0 or not math.isfinite(above + below):
            return None
        return above / below if below else math.inf if above else 1.0

    @property
    def held(self) -> bool:
        """Whether the remedy has improved it by the factor that is claimed."""
        return self.factor is not None and self.factor >= self.failure.factor


def vacant(failure: Failure, folder: Path) -> Path:
    """The folder of a failure below another one.

    Raises: UsageError if it is there already.
    """
    place = folder / failure.name
    if place.is_symlink() or place.exists():
        raise error("E-RUN-06", path=place, name=failure.name, other=_free(folder, failure.name))
    return place


def _free(folder: Path, name: str) -> Path:
    """A folder of a like name that does not hold this failure."""
    others = (folder.parent / f"{folder.name or 'failures'}-{place}" for place in count(2))
    return next(other for other in others if not (other / name).exists())


def stage(failure: Failure, folder: Path = Path("failures"), seed: int = 0, watchers: Sequence[Watcher] = ()) -> Staged:
    """Train a failure, judge it, and train it again, from the same seed, as the first verdict's remedy says.

    The runs are FOLDER/NAME/failing and FOLDER/NAME/mended.

    Args:
        watchers: Called with the records of both trainings.
    Raises: UsageError if FOLDER/NAME is there already; ResourceError if the disk is full or refuses.
    """
    tell = teller(watchers)
    tell({"message": f"1 of 2, to fail: {failure.shows}"})
    failing = fail(failure, folder, seed, watchers)
    if failing.cut_short or not failing.verdicts or not failing.verdicts[0].remedy:
        return Staged(failure, failing)
    tell({"message": f"2 of 2, with the remedy: {failing.verdicts[0].remedy}"})
    mended = _trained(failure, remedied(failing.run, failing.run.with_name(MENDED)), watchers)
    return Staged(failure, failing, mended)


def fail(failure: Failure, folder: Path, seed: int = 0, watchers: Sequence[Watcher] = ()) -> Training:
    """The failing one of the two trainings.

    Raises: as `stage`.
    """
    place = vacant(failure, folder)
    order = ordered(failure, place, seed)
    session_of(order)  # what cannot be meant is said before there is a folder
    with disk.appearing(place) as shop:
        if failure.data == FEW:
            _write_few(shop)
    try:
        return _trained(failure, order, watchers)
    finally:
        if not history.is_run(place / FAILING):
            disk.discard(place)


def remedied(run: Path, other: Path) -> Order:
    """The order that the remedy of a run's first verdict types, with a folder of its own for the new run."""
    told = _series(run)
    first = ward.of_run(run)[0].name
    finding = next(each for each in Judge(told).findings() if each.name == first)
    shape = history.described(run / "data.json").get("shape", [])
    changed = dict(remedies.changes(finding, told, math.prod(shape)))
    patience = changed.pop("patience", None)
    return Order(config=run / "config.toml", run=other, patience=patience, overrides=changed)


def ordered(failure: Failure, place: Path, seed: int) -> Order:
    """The failing training, to be made in a folder that holds its data where these are its own."""
    few, held_out = (str(place / name) for name in _FILES)
    own = failure.data == FEW
    return Order(
        data=few if own else failure.data,
        held_out=held_out if own else None,
        system=failure.system,
        steps=failure.steps,
        seed=seed,
        run=place / FAILING,
        overrides=failure.settings,
    )


def _write_few(place: Path) -> None:
    """A few of the training digits, and held-out ones that were never among them."""
    digits = datasets.open("digits")
    assert digits.held_out is not None
    for name, part, rows in zip(_FILES, (digits, digits.held_out), (_FEW, _HELD_OUT), strict=True):
        np.save(place / name, pictures.pixels(excerpt.spread(part, rows).rows()), allow_pickle=False)


def _trained(failure: Failure, order: Order, watchers: Sequence[Watcher]) -> Training:
    """A training to its end, which may be that its numbers are no longer finite."""
    assert order.run is not None
    cut_short = None
    try:
        result = conduct(session_of(order), order, watchers)
        cut_short = result if result.stopped in ("signal", "request") else None
    except TrainingError:
        if not history.is_run(order.run):
            raise
    return Training(order.run, ward.of_run(order.run), measured(order.run, failure.measure), cut_short)


def measured(run: Path, measure: str) -> float | None:
    """What a run has come to: the median of a recorded number over the last third of its looks.

    Of a run that has kept the model of its best look, the number there; of `step`, the last one. None: not recorded.
    """
    told = _series(run)
    if measure == "step":
        return float(told.records[-1][1]["step"]) if told.records else None
    best = kept(run)
    looks = told.looks if best is None else [each for each in told.looks if each[1]["step"] == best.best.step]
    values = [number(record, measure) for _, record in looks[-window(len(told.looks)) :]]
    there = [value for value in values if value is not None and math.isfinite(value)]
    return median(there) if there else None


def _series(run: Path) -> Series:
    found = history.read(run)
    return ward.series(run, list(history.numbered(run)), found.reason if found.state == "failed" else "")
