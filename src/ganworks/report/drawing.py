"""Panels as one picture, with the steps since which something was wrong."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ganworks.report.panels import Panel
from ganworks.use.curves import COLORS, drawing, encoded

_COLUMNS = 3
_WIDTH, _HEIGHT = 4.2, 3.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.65, 0.15, 0.75, 0.45
"""Inches of a panel and of its edges, 100 pixels each. To have a layout found takes as long as all the rest."""
_FEW = 60
"""Points of a curve below which each gets a dot: a line through one point is not seen."""
_LETTERS = 32
"""Of a legend that fits in one line of three."""
_LINES = 6
"""Of a panel, at most: there are as many colours."""
_SMALLEST = 1e-30
"""Size of a value that is told from 0."""
_UNEVEN = 1_000.0
"""Largest over median size of a panel's values from which on a linear scale would show a line at 0 and a spike."""


def picture(shown: Sequence[Panel], since: Mapping[str, int]) -> bytes:
    """A PNG with a frame for each panel.

    Args:
        shown: What to draw; where there is nothing the picture says so.
        since: The first step of each finding by its name; a thin line in every frame.
    """
    columns = min(_COLUMNS, max(1, len(shown)))
    rows = math.ceil(max(1, len(shown)) / columns)
    with drawing():
        from matplotlib.figure import Figure

        width, height = _WIDTH * columns, _HEIGHT * rows
        figure = Figure(figsize=(width, height))
        inner = (_WIDTH - _LEFT - _RIGHT) / width, (_HEIGHT - _TOP - _BOTTOM) / height
        steps = [each for panel in shown for line in panel.lines for each in line.curve.steps]
        for place, panel in enumerate(shown):
            row, column = divmod(place, columns)
            corner = (column * _WIDTH + _LEFT) / width, 1 - ((row + 1) * _HEIGHT - _BOTTOM) / height
            frame = figure.add_axes((*corner, *inner))
            _draw(frame, panel)
            space = (max(steps) - min(steps)) / 25 or 1  # one scale of steps in all frames
            first, last = frame.set_xlim(min(steps) - space, max(steps) + space)
            _mark(frame, {name: step for name, step in since.items() if first <= step <= last})
        if not shown:
            figure.text(0.5, 0.5, "nothing was recorded yet", ha="center", va="center")
        return encoded(figure)


def _draw(frame: Any, panel: Panel) -> None:
    for line, color in zip(panel.lines, COLORS[:_LINES], strict=False):
        few = len(line.curve.steps) <= _FEW
        style = {"linestyle": "--", "color": "#666666"} if line.floor else {"color": color}
        dots = {"marker": "o", "markersize": 2.5} if few and not line.floor else {}
        frame.plot(line.curve.steps, line.curve.values, linewidth=1.0, label=_word(line.name), **style, **dots)
        if line.band:
            low, high = line.band
            frame.fill_between(low.steps, low.values, high.values, color=color, alpha=0.2, linewidth=0)
    if panel.level:
        frame.axhline(panel.level[0], color="#666666", linewidth=0.8, linestyle=":", label=panel.level[1])
    _scale(frame, panel)
    left = len(panel.lines) - _LINES
    more = f", {left} more not shown" if left > 0 else ""
    frame.set_xlabel("step", fontsize=8)
    frame.tick_params(labelsize=8)
    frame.grid(alpha=0.25)
    labels = frame.get_legend_handles_labels()[1]
    columns = 3 if sum(map(len, labels)) <= _LETTERS else 2
    frame.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, fontsize=8, frameon=False, borderpad=0.1,
        handlelength=1.4, columnspacing=1.0, labelspacing=0.2,
    )  # fmt: skip
    rows = math.ceil(len(labels) / columns)
    frame.set_title(_word(panel.title) + more, loc="left", fontsize=10, pad=5 + 11 * rows)


def _scale(frame: Any, panel: Panel) -> None:
    sizes = sorted(abs(each) for line in panel.lines for each in line.curve.values if each)
    middle = max(sizes[len(sizes) // 2], _SMALLEST) if sizes else 0.0
    positive = any(each > 0 for line in panel.lines for each in line.curve.values)
    low, high = panel.span
    if panel.log and positive:
        frame.set_yscale("log")
    elif sizes and sizes[-1] > _UNEVEN * middle:
        frame.set_yscale("symlog", linthresh=middle)
        values = [each for line in panel.lines for each in line.curve.values]
        frame.set_yticks([each for each in _tens(middle, sizes[-1]) if min(values) <= each <= max(values)])
    elif (low, high) != (None, None):
        frame.set_ylim(low, high)


def _tens(middle: float, largest: float) -> list[float]:
    """Three powers of ten of either sign, and 0: matplotlib's own ticks lie on each other near 0."""
    top = math.floor(math.log10(largest))
    every = max(1, math.ceil((top - math.log10(middle)) / 3))
    tens = [10.0 ** (top - every * place) for place in range(3)]
    return [*(-each for each in tens), 0.0, *tens]


def _mark(frame: Any, since: Mapping[str, int]) -> None:
    names: dict[int, list[str]] = {}
    for name, step in since.items():
        names.setdefault(step, []).append(_word(name))
    for step, each in names.items():
        frame.axvline(step, color="black", linewidth=0.8, alpha=0.6)
        frame.annotate(
            ", ".join(each), (step, 0.98), xycoords=("data", "axes fraction"), xytext=(2, 0), rotation=90,
            textcoords="offset points", fontsize=6.5, va="top",
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
        )  # fmt: skip


def _word(text: str) -> str:
    """A name as the picture's font can write it, of bearable length, and nothing that matplotlib reads otherwise.

    Two dollar signs would be mathematics, and a name that begins with _ is left out of a legend.
    """
    plain = "".join(letter if letter.isprintable() and letter < "\u0180" and letter != "$" else "?" for letter in text)
    plain = plain.lstrip("_") or "?"
    return plain if len(plain) <= 60 else f"{plain[:57]}..."
