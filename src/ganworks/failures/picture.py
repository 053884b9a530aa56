"""A failure and its remedy as one picture: samples of both trainings, and the number that tells them apart."""

import io
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganworks import data as datasets
from ganworks import history, model
from ganworks.data import pictures
from ganworks.diagnosis.series import number
from ganworks.failures.staging import Staged, Training
from ganworks.session.patience import NAME, kept
from ganworks.session.scene import POINTS
from ganworks.use.beside import beside
from ganworks.use.curves import COLORS, drawing, encoded

_SIZE = 400
"""Pixels of a side."""
_SIDE = 13
"""Pictures in a row, and rows: of digits as wide as points are shown."""
_HEIGHT = 2.2
"""Inches of the curves, 100 pixels each."""
_FEW = 60
"""Points of a curve up to which each gets a dot: a line through one point is not seen."""
_STRAY = 0.05
"""Share of samples outside the frame that is said."""
_UNEVEN = 50.0
"""Largest over smallest value from which on the scale is one of ratios."""


def before_after(staged: Staged) -> UInt8[np.ndarray, "_h _w 3"]:
    """Left what the failing training draws, right what the mended one does, in one frame; below, both curves.

    A run shows its last model that was saved, or the best where that was kept.
    """
    real = _points(staged)
    sheets, names = [], []
    for training, name in zip(staged.runs, (staged.failure.name, "with the remedy"), strict=False):
        found = model.load(training.run / NAME if kept(training.run) else training.run)
        sheet, said = _samples(found, real)
        sheets.append(sheet)
        names.append(f"{name}, step {found.step}: {said}")
    upper = beside(sheets, names)
    return np.concatenate([upper, _curves(staged, upper.shape[1])])


def _points(staged: Staged) -> Tensor | None:
    """Real rows, where they are points."""
    data = datasets.open(str(history.configured(staged.failing.run)["data"]))
    return data.rows(torch.arange(min(POINTS, len(data))))["x"] if not data.spec.pictures else None


def _samples(found: model.Model, real: Tensor | None) -> tuple[NDArray[np.uint8], str]:
    """What a model draws, and what that is in words."""
    if real is None:
        return pictures.grid(found.sample(_SIDE * _SIDE), columns=_SIDE), "samples"
    drawn = found.draw(POINTS)
    limits = pictures.limits_of(real)
    sheet = pictures.points_picture(drawn["x"], real, _SIZE, limits, drawn.get("label"))
    low, high = torch.tensor(limits).reshape(2, 2).T
    outside = float(((drawn["x"] < low) | (drawn["x"] > high)).any(1).double().mean())
    said = f"samples{' by label' if 'label' in drawn else ''} over data (grey)"
    return sheet, f"{said}; {outside:.0%} outside" if outside > _STRAY else said


def _curves(staged: Staged, width: int) -> UInt8[np.ndarray, "_h _w 3"]:
    """What the failure is measured by, of both trainings on one scale; D's loss where that is how far it came."""
    measure = staged.failure.measure
    counted = measure == "step"
    read = partial(_told, measure="discriminator" if counted else measure, loss=counted)
    lines = [list(read(training)) for training in staged.runs]
    values = [value for line in lines for _, value in line if value > 0]
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=((width + 0.5) / 100, _HEIGHT), layout="constrained")
        frame = figure.subplots()
        for line, name, color in zip(lines, ("failing", "with the remedy"), (COLORS[1], COLORS[0]), strict=False):
            dot = "o" if len(line) <= _FEW else ""
            steps = [step for step, _ in line]
            frame.plot(
                steps, [value for _, value in line], color=color, linewidth=1.2, label=name, marker=dot, markersize=3
            )
        if counted:
            last = staged.failing.value or 0.0
            frame.axvline(last, color=COLORS[1], linewidth=1.2, linestyle=":", label=f"its end at step {last:.0f}")
        elif values and max(values) > _UNEVEN * min(values):
            frame.set_yscale("log")
        said = "loss of the discriminator" if counted else f"{measure}: the {staged.failure.better} the better"
        frame.set_title(said, loc="left", fontsize=10)
        frame.set_xlabel("step", fontsize=8)
        frame.tick_params(labelsize=8)
        frame.grid(alpha=0.25)
        frame.legend(fontsize=8)
        content = encoded(figure)
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return np.ascontiguousarray(picture[:, :width])  # the half pixel is for whole numbers that floats fall short of


def _told(training: Training, measure: str, loss: bool) -> Iterator[tuple[int, float]]:
    """Steps and values of a number in a training's records, or of a player's loss."""
    for record in history.records(training.run):
        value = history.losses(record).get(measure) if loss else number(record, measure)
        if value is not None and np.isfinite(value):
            yield record["step"], value
