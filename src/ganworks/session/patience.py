"""When to stop: one score at every sample grid, the model of the best one kept, and how long none has been better.

Which look was best, and how many have passed since, follow from metrics.jsonl alone: a resume counts on.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ganworks import history, model, scoring
from ganworks.data import excerpt
from ganworks.data.dataset import DataSet
from ganworks.errors import error
from ganworks.metrics import features, frechet, sliced
from ganworks.metrics.interval import GROUPS, Estimate, interval
from ganworks.model import Model
from ganworks.optimum import DRAWS, Distance
from ganworks.training import disk
from ganworks.training.folder import RunFolder

NAME = "best"
"""The folder in a run."""
_LEVEL = 0.95
_SEED = 1
"""Of the latents; samples of other seeds score the model that was chosen by these."""
_REAL_SEED = 3
"""Of real draws where a density is known; the scores at the end use others."""
_LINES = 128
"""Directions of the sliced distance, the same at each look."""


class _Way(NamedTuple):
    """By which metric, from how many samples, against how many real rows."""

    metric: str
    samples: int
    real: int


_DENSITY = _Way("jsd", 1_500, DRAWS)
_WAYS = {
    "points": _Way("sliced_wasserstein", 1_000, 1_000),
    "pixels": _Way("sliced_wasserstein", 500, 500),
    "digits": _Way("frechet_distance", 400, 1_600),
    "effnet-lite0": _Way("frechet_distance", 200, 400),
}
"""By feature space. As many samples as cost at most a twentieth of a default training (measured, 2026-11-26).

Each is 0 only for the law of the data, as far as its space shows it: the moments of points would not do, for a ring of
every second mode has those of the whole ring.
"""


class Standing(NamedTuple):
    """The best look, the last one, and how many have come since the best."""

    best: history.Look
    last: history.Look
    waited: int


def standing(run: Path) -> Standing | None:
    """Where a run stands by its records; None where it has no looks.

    A look is better where its whole interval lies below the best value. Both are measured with the same latents and the
    same real rows, so most of their noise is common, and one interval is more than that of the difference.
    """
    looks = history.looks(run)
    if not looks:
        return None
    best, waited = looks[0], 0
    for look in looks[1:]:
        best, waited = (look, 0) if look.high < best.value else (best, waited + 1)
    return Standing(best, looks[-1], waited)


def judge(data: DataSet) -> None:
    """Refuse data that have too few rows to compare with.

    Raises: UsageError.
    """
    rows = data.held_out or data
    if data.density is None and len(rows) < GROUPS:
        reason = f"--patience needs {GROUPS} rows to compare with, and {data.name} has {len(rows)} of them"
        raise error("E-USE-01", verb="train", reason=reason)


class Watch:
    """The probe `score`: called with a step, it gives `score.METRIC` with `.low` and `.high`; the less, the better.

    Args:
        current: The model of the step.
        data: Whose held-out rows are compared with; all of them where nothing is held out.
        distance: Of a known density of one or two dimensions.
    """

    def __init__(self, current: Callable[[], Model], data: DataSet, distance: Distance | None = None) -> None:
        self.current, self.data, self.distance = current, data, distance
        self.space = features.own(scoring.space_for(data.spec))
        self.way = _WAYS[self.space.name] if distance is None else _DENSITY

    @cached_property
    def _real(self) -> Tensor:
        """Features of the real rows."""
        data, count = self.data, self.way.real
        if data.density is not None:
            rows = data.fresh(count, _REAL_SEED)["x"]
        else:
            rows = excerpt.spread(data.held_out or data, count).rows()
        return self.space(data.spec.encode(rows))

    def _estimate(self, samples: Tensor) -> Estimate:
        if self.distance is not None:
            return self.distance.estimate(samples)
        fake = self.space(self.data.spec.encode(samples))
        if self.way.metric == "frechet_distance":
            return frechet.estimates(self._real, fake, GROUPS)[self.way.metric]
        return sliced.estimates(self._real, fake, GROUPS, _LINES)[self.way.metric]

    def __call__(self, step: int) -> dict[str, float]:
        """What is recorded of a step."""
        found = self._estimate(self.current().sample(self.way.samples, _SEED))
        low, high = interval(found, _LEVEL)
        name = f"score.{self.way.metric}"
        return {name: found.value, f"{name}.low": max(0.0, low), f"{name}.high": high}

    @property
    def note(self) -> str:
        """What is looked at, in a sentence."""
        way, data = self.way, self.data
        real = "the density" if self.distance is not None else "held-out rows" if data.held_out else "training rows"
        where = "" if not data.spec.pictures else f" in {self.space.name}"
        return f"the score of --patience is {way.metric}{where} of {way.samples} samples against {real}, at each grid"


class Keeper:
    """Keeps `best/` of a run and counts looks.

    Args:
        current: The model of the step.
        patience: Looks without a better one after which it is enough.
    """

    def __init__(self, run: RunFolder, current: Callable[[], Model], patience: int) -> None:
        self.run, self.current, self.patience = run, current, patience

    def enough(self, save: Callable[[], None]) -> bool:
        """To be asked once a look has been recorded.

        Args:
            save: Makes a checkpoint, before `best/` is replaced: no kill then leaves it ahead of the records.
        """
        now = standing(self.run.path)
        if now is None:
            return False
        if now.waited == 0 and now.last.step == self.current().step:
            save()
            self._keep()
        return now.waited >= self.patience

    def mend(self) -> None:
        """After a kill between a checkpoint and its `best/`: the model is the one at hand."""
        now = standing(self.run.path)
        if now and now.best.step == self.current().step != held(self.run.path):
            self._keep()

    def _keep(self) -> None:
        shop = self.run.path / f".{NAME}"
        with self.run.writing(NAME):
            disk.discard(shop)
            model.save(self.current(), shop / "new")
            disk.put(shop / "new", self.run.path / NAME)
            disk.sync_folder(self.run.path)
            disk.discard(shop)


def held(run: Path) -> int | None:
    """The step whose model stands in `best/`."""
    step = history.described(run / NAME / "config.json").get("step")
    return step if isinstance(step, int) else None


def kept(run: Path) -> Standing | None:
    """Where a run stands, if `best/` holds the model of its best look."""
    now = standing(run)
    return now if now and held(run) == now.best.step else None
