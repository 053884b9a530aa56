"""Loss curves of several runs beside each other, on one scale. Needs the optional package matplotlib."""

import io
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec

_POINTS = 2_000
"""Of a curve, about; more would not be seen."""
# Okabe and Ito's colours: told apart from each other by every kind of colour vision.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

Losses = tuple[int, Mapping[str, float]]
"""A step, and each player's loss."""


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def picture(runs: Sequence[tuple[str, Iterable[Losses]]]) -> bytes:
    """A PNG with a frame for each run, under its name: each player's loss over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * len(runs), 4), layout="constrained")
    frames = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    color: dict[str, str] = {}
    for frame, (name, records) in zip(frames, runs, strict=True):
        for player, (steps, values) in _by_player(records).items():
            each = color.setdefault(player, _COLORS[len(color) % len(_COLORS)])
            frame.plot(steps, values, color=each, linewidth=0.8, label=player)
        frame.set_title(name, parse_math=False)
        frame.set_xlabel("step")
        frame.grid(alpha=0.3)
        if frame.lines:
            frame.legend()
    frames[0].set_ylabel("loss")
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=100)
    return encoded.getvalue()


def _by_player(records: Iterable[Losses]) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and losses of each player, thinned."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for step, losses in records:
        for player, value in losses.items():
            steps, values = curves.setdefault(player, ([], []))
            steps.append(step)
            values.append(value)
    thinned = {}
    for player, (steps, values) in curves.items():
        every = max(1, len(steps) // _POINTS)
        thinned[player] = steps[::every], values[::every]
    return thinned
