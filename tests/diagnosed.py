"""Records as a run leaves them, made by hand: what each verdict is to be read from."""

from collections.abc import Callable, Sequence
from typing import Any

from ganworks.diagnosis.series import Record, Series

EVERY = 100
"""Steps between two looks; between them stands a record without one."""
SETTINGS: dict[str, Any] = {"steps": 1200, "objective": {"loss": "non_saturating"}}
MINIMAX: dict[str, Any] = {**SETTINGS, "objective": {"loss": "minimax"}}
HEALTHY: dict[str, float] = {
    "logit.real": 0.5, "logit.fake": -0.5, "gradient.generator": 1.0, "gradient.discriminator": 1.0,
    "generator.lr": 1e-3, "discriminator.lr": 1e-3,
    "probe.accuracy": 0.72, "probe.accuracy_trained": 0.74, "probe.memory": 0.1, "probe.saturation": 0.4,
    "probe.distance": 0.3, "probe.distance_online": 0.3, "probe.distance_floor": 0.1, "probe.told_apart": 0.7,
    "probe.spread": 1.0, "probe.rank": 1.0, "probe.kinds": 0.95, "probe.mean.1": 0.1, "probe.mean.2": -0.1,
    "probe.label": 0.9, "probe.label_floor": 0.95, "probe.label_chance": 0.125, "probe.condition": 0.8,
    "probe.moved.generator": 1e-3, "probe.moved.discriminator": 1e-3,
}  # fmt: skip
Column = float | None | Sequence[float | None] | Callable[[int], float | None]
"""A number of all records and looks; or of each look, and of the record before it; None: it is not there."""
Columns = dict[str, Column]


def told(
    columns: dict[str, Column] | None = None, looks: int = 12, settings: Any = SETTINGS, failed: str = ""
) -> Series:
    """A run that is healthy but for some columns. The first three records, of steps 1, 5 and 10, have no look."""
    columns = columns or {}
    records: list[Record] = []

    def add(step: int, look: int | None, probed: bool) -> None:
        numbers = {"step": step, **{name: value(name, look) for name in {**HEALTHY, **columns}}}
        there = {name: one for name, one in numbers.items() if one is not None and (probed or "probe." not in name)}
        records.append((len(records) + 1, there))

    def value(name: str, look: int | None) -> float | None:
        column = columns.get(name, HEALTHY.get(name))
        if callable(column):
            return HEALTHY.get(name) if look is None else column(look)
        if isinstance(column, Sequence):
            return HEALTHY.get(name) if look is None else column[look]
        return column

    for step in (1, 5, 10):
        add(step, None, probed=False)
    for look in range(looks):
        add(EVERY * look + EVERY // 2, look, probed=False)
        add(EVERY * (look + 1), look, probed=True)
    return Series(records, settings, settings.get("steps", 0), failed)


def late(value: float, since: int = 4, before: float | None = None) -> Callable[[int], float | None]:
    """A number that is there from a look on."""
    return lambda look: value if look >= since else before


def swing(size: float) -> Column:
    """There and back, by so many standard deviations from look to look."""
    return lambda look: size / 2 * (-1) ** look


PLAIN: dict[str, tuple[Columns, dict[str, Any]]] = {
    "not_finite": ({"rollbacks": late(1.0)}, SETTINGS),
    "frozen": ({"generator.lr": 0.0, "probe.moved.generator": 0.0}, SETTINGS),
    "divergence": ({"logit.real": late(5000.0), "logit.fake": late(-5000.0)}, SETTINGS),
    "vanishing_gradient": ({"probe.accuracy": late(1.0), "probe.saturation": late(1e-4)}, MINIMAX),
    "ignored_condition": ({"probe.label": 0.13, "probe.condition": 0.0}, SETTINGS),
    "discriminator_overfitting": (
        {"probe.accuracy_trained": late(0.95), "probe.accuracy": late(0.6), "probe.memory": late(0.9)}, SETTINGS
    ),
    "overtrained": ({"probe.distance_online": lambda look: [3.0, 2.0, 1.0, 0.3][min(look, 3)] if look < 6 else 1.2,
                     "probe.accuracy": late(0.5, 6, 0.7)}, SETTINGS),
    "oscillation": ({"probe.mean.1": swing(3.0), "probe.accuracy": lambda look: [0.1, 0.9][look % 2]}, SETTINGS),
    "weak_discriminator": ({"probe.accuracy": late(0.51), "probe.told_apart": late(0.98)}, SETTINGS),
    "mode_collapse": ({"probe.kinds": late(0.15), "probe.spread": late(0.2)}, SETTINGS),
}  # fmt: skip
"""A verdict, and the least that it is read from."""

EDGES: dict[str, tuple[str, str, Callable[[float], Columns], dict[str, Any]]] = {
    "frozen.moved": ("frozen", "below", lambda at: {"probe.moved.generator": at}, SETTINGS),
    "saturated.accuracy": (
        "vanishing_gradient", "above", lambda at: {"probe.accuracy": at, "probe.saturation": 1e-4}, MINIMAX
    ),
    "vanishing.saturation": (
        "vanishing_gradient", "below", lambda at: {"probe.accuracy": 1.0, "probe.saturation": at}, MINIMAX
    ),
    "vanishing.gradient": (
        "vanishing_gradient", "below",
        lambda at: {"probe.accuracy": 1.0, "gradient.generator": late(at, 1, 1.0)}, SETTINGS,
    ),
    "overfitting.memory": (
        "discriminator_overfitting", "above",
        lambda at: {"probe.accuracy_trained": 0.95, "probe.accuracy": 0.6, "probe.memory": at}, SETTINGS,
    ),
    "overfitting.gap": (
        "discriminator_overfitting", "above",
        lambda at: {"probe.accuracy_trained": 0.8, "probe.accuracy": 0.8 - at, "probe.memory": 0.9}, SETTINGS,
    ),
    "weak.accuracy": (
        "weak_discriminator", "below", lambda at: {"probe.accuracy": at, "probe.told_apart": 0.99}, SETTINGS
    ),
    "weak.told_apart": (
        "weak_discriminator", "above", lambda at: {"probe.accuracy": 0.5, "probe.told_apart": at}, SETTINGS
    ),
    "collapse.kinds": ("mode_collapse", "below", lambda at: {"probe.kinds": at}, SETTINGS),
    "collapse.spread": ("mode_collapse", "below", lambda at: {"probe.spread": at}, SETTINGS),
    "oscillation.path": (
        "oscillation", "above",
        lambda at: {"probe.mean.1": swing(at), "probe.accuracy": lambda look: [0.1, 0.9][look % 2]}, SETTINGS,
    ),
    "oscillation.reach": (
        "oscillation", "above",
        lambda at: {f"probe.mean.{axis}": lambda look: at * (-1) ** look for axis in (1, 2)}, SETTINGS,
    ),
    "oscillation.low": (
        "oscillation", "below",
        lambda at: {"probe.mean.1": swing(1.5), "probe.accuracy": lambda look: [at, 0.95][look % 2]}, SETTINGS,
    ),
    "oscillation.high": (
        "oscillation", "above",
        lambda at: {"probe.mean.1": swing(1.5), "probe.accuracy": lambda look: [0.05, at][look % 2]}, SETTINGS,
    ),
    "divergence.logits": (
        "divergence", "above",
        lambda at: {"logit.real": lambda look: at / 2, "logit.fake": lambda look: -at / 2}, SETTINGS,
    ),
    "divergence.distance": (
        "divergence", "above", lambda at: {"probe.distance_online": late(at, 1, 1.0)}, SETTINGS
    ),
    "overtrained.worse": (
        "overtrained", "above",
        lambda at: {"probe.distance_online": lambda look: [9.0, 5.0, 1.0][min(look, 2)] if look < 6 else at,
                    "probe.accuracy": 0.5}, SETTINGS,
    ),
    "overtrained.learnt": (
        "overtrained", "below",
        lambda at: {"probe.distance_online": lambda look: [1.0, at][min(look, 1)] if look < 4 else 1.0 + at,
                    "probe.accuracy": 0.5}, SETTINGS,
    ),
    "condition.told": (
        "ignored_condition", "below",
        lambda at: {"probe.label": 0.1 + 0.8 * at, "probe.label_floor": 0.9, "probe.label_chance": 0.1}, SETTINGS,
    ),
    "condition.floor": (
        "ignored_condition", "above",
        lambda at: {"probe.label": 0.1, "probe.label_floor": 0.1 + at, "probe.label_chance": 0.1}, SETTINGS,
    ),
}  # fmt: skip
"""A bound: its verdict, on which side the sign is, and a run with a number there."""
