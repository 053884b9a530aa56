"""Curves over the steps of a run, and each player's loss of several runs beside each other, on one scale."""

import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import matplotlib.figure

_POINTS = 2_000
"""Of a curve, at least, where it has more; twice as many would not be seen."""
# Okabe and Ito's colours: told apart from each other by every kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

Losses = tuple[int, Mapping[str, float]]
"""A step, and each player's loss."""


@dataclass
class Curve:
    """A curve that stays short however long the run is: every n-th of its points, up to 4,000 of them."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def add(self, step: int, value: float) -> None:
        if self._seen % self._every == 0:
            self.steps.append(step)
            self.values.append(value)
        self._seen += 1
        if len(self.steps) > 2 * _POINTS:
            del self.steps[1::2], self.values[1::2]
            self._every *= 2


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib as it comes: without a person's own style, and without a word about where it keeps its fonts."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            yield
    finally:
        log.setLevel(level)


def encoded(figure: "matplotlib.figure.Figure") -> bytes:
    """A figure as PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def picture(runs: Sequence[tuple[str, Iterable[Losses]]]) -> bytes:
    """A PNG with a frame for each run, under its name: each player's loss over the steps."""
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6 * len(runs), 4), layout="constrained")
        frames = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
        color: dict[str, str] = {}
        for frame, (name, records) in zip(frames, runs, strict=True):
            for player, curve in _by_player(records).items():
                each = color.setdefault(player, COLORS[len(color) % len(COLORS)])
                frame.plot(curve.steps, curve.values, color=each, linewidth=0.8, label=player)
            frame.set_title(name, parse_math=False)
            frame.set_xlabel("step")
            frame.grid(alpha=0.3)
            if frame.lines:
                frame.legend()
        frames[0].set_ylabel("loss")
        return encoded(figure)


def _by_player(records: Iterable[Losses]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for step, losses in records:
        for player, value in losses.items():
            curves.setdefault(player, Curve()).add(step, value)
    return curves
