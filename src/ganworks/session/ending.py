"""What a training leaves beside its model: scores, pictures of real data and of closest rows, and the report."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ganworks import evaluation, history, report, scoring, systems
from ganworks.data import excerpt, pictures
from ganworks.data.dataset import DataSet
from ganworks.data.spec import Batch
from ganworks.errors import GanworksError, in_a_shell
from ganworks.metrics.nearest import nearest
from ganworks.metrics.score import Score
from ganworks.session import patience
from ganworks.session.prepared import COLUMNS, ROWS, Session
from ganworks.session.scene import POINTS, Scene
from ganworks.training.folder import RunFolder
from ganworks.training.loop import Loop, Stopped

DONE = ("steps", "patience")
"""What ends a run that is scored then."""
QUICK = 20.0
"""Seconds of training under which what comes at the end is kept short too."""
_SEARCHED = 2.0
"""Seconds in which all training pictures must have been compared with samples."""
_SAMPLES, _PAIRS = 256, 16
"""Samples that are compared, and how many of them are shown."""
_REAL = 21
"""Seed of real points that no score and no probe uses."""


_FEW = 20
"""Records below which no report is written by itself: it would take a third of the time of such a run."""


def scores(session: Session, loop: Loop) -> list[Score]:
    """The scores of what a training has made."""
    assert session.data is not None
    quick = loop.seconds < QUICK and bool(loop.engine.players)  # what has no steps is no short training
    count = min(scoring.usual_samples(session.data.spec, quick=quick), session.model.most)
    known = session.model.likelihood
    return scoring.evaluate(session.model.parts, session.data, count, trained_on=True, likelihood=known, tell=loop.tell)


def draw(session: Session, run: RunFolder, seconds: float) -> None:
    """Write `real.png`, and `closest.png` where the training took its time.

    Args:
        seconds: Of training.
    Raises: ResourceError if the disk refuses.
    """
    drawn = {"real.png": real(session)}
    closest = _closest(session) if seconds >= QUICK else None
    drawn |= {} if closest is None else {"closest.png": closest}
    for name, picture in drawn.items():
        with run.writing(name):
            pictures.write_png(run.path / name, picture)


def real(session: Session) -> UInt8[np.ndarray, "h w c"]:
    """Real data as samples are drawn: rows that training never saw, as far as there are any."""
    data, engine = session.data, session.engine
    assert data is not None
    assert engine is not None
    source = data.held_out or data
    if not data.spec.pictures:
        rows = data.fresh(POINTS, _REAL) if data.density is not None else source.rows(_spread(source, POINTS))
        labelled = "label" in engine.system.conditions
        return Scene(data).real_picture(Batch({key: rows[key] for key in rows if key == "x" or labelled}))
    if "label" in engine.system.conditions:
        classes = torch.tensor(data.spec.class_weights).nonzero()[:COLUMNS, 0]
        return pictures.grid(_by_class(source, data, classes), columns=len(classes))
    return pictures.grid(source.rows(_spread(source, 64)).made, columns=8)


def _spread(data: DataSet, count: int) -> Tensor:
    ((_, index),) = excerpt.spread(data, count).chosen
    return index


def _by_class(source: DataSet, data: DataSet, classes: Tensor) -> Tensor:
    """The rows of a grid with a picture of each class; of a class that has none held out, trained ones."""
    columns = []
    for each in classes.tolist():
        for one in (source, data):
            if len(found := (one.labels == each).nonzero()[:, 0]):
                columns.append(one.rows(found[torch.arange(ROWS) % len(found)]).made)
                break
    return torch.stack(columns, 1).flatten(0, 1)


def _closest(session: Session) -> UInt8[np.ndarray, "h w 3"] | None:
    """The samples nearest to a training picture, above it; None for points, and where looking at all takes too long."""
    data = session.data
    assert data is not None
    if not data.spec.pictures:
        return None
    space = session.examination.space
    fakes = session.model.sample(_SAMPLES)
    seen = space(fakes).double()
    if not seen.isfinite().all():
        return None
    distance, number = torch.full((len(fakes),), math.inf, dtype=torch.float64), torch.zeros(len(fakes)).long()
    begun, done = time.monotonic(), 0
    for part in excerpt.spread(data, len(data)).parts():
        near, which = (each[:, 0] for each in nearest(seen, space(part).double(), 1))
        closer = near < distance
        distance, number = torch.where(closer, near, distance), torch.where(closer, which + done, number)
        done += len(part)
        if (time.monotonic() - begun) * len(data) > _SEARCHED * done:
            return None  # only all of them show that none is copied
    chosen = distance.argsort(stable=True)[:_PAIRS]
    names = f"samples above the training pictures of {data.name} they are closest to"
    return evaluation.pairs(fakes[chosen], data.rows(number[chosen]).made, names)


def page(run: Path, tell: Callable[[Mapping[str, Any]], None]) -> Path | None:
    """Write the report of a run that nobody plays any more; None where its records are too few to look at.

    Whatever hinders it is said, and takes nothing away from the training.
    """
    if sum(1 for _ in history.records(run)) < _FEW:
        return None
    try:
        return report.write(run, run, judged=True)[1]
    except Exception as caught:
        why = caught.what if isinstance(caught, GanworksError) else f"{type(caught).__name__}: {caught}"
        tell({"message": f"the report is not written, the run is complete: {why}"})
        return None


def following(session: Session, run: Path, step: int, stopped: Stopped) -> list[str]:
    """Three commands to paste."""
    assert session.data is not None
    typed, out, data = (in_a_shell(Path(each)) for each in (run, f"samples-{run.name}", session.run.data))
    best = run / patience.NAME if patience.kept(run) else run
    translator = "source" in session.made.conditions
    verb = f"translate {in_a_shell(best)} PICTURES" if translator else f"sample {in_a_shell(best)} -n 64"
    sample = f"ganworks {verb} --out {out}"
    if stopped not in DONE:
        return [f"ganworks resume {typed}", sample, f"ganworks diagnose {typed}"]
    kind, others = session.data.spec.kind, (name for name in systems.names() if name != session.made.name)
    other = next((name for name in others if kind in systems.get(name).accepts), "")
    further = "--set patience=0" if stopped == "patience" else f"--steps {2 * step}"
    played = session.engine is None or session.engine.players
    again = f"ganworks resume {typed} {further}" if played else f"ganworks eval {typed}"
    derived = f" --set derive={session.run.derive}" if session.run.derive else ""
    last = f"ganworks train {data} --system {other}{derived}" if other else f"ganworks eval {typed}"
    return [sample, again, last]
