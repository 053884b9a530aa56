"""What is done wrong in each failure, and by how much the remedy is held to mend it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ganworks.diagnosis.verdict import Name


@dataclass(frozen=True)
class Failure:
    """A training that ends in one verdict, within 15 CPU seconds.

    Attributes:
        shows: What goes wrong, and why.
        data: A built-in data set, or `few digits`: 64 of them, with 500 held out.
        settings: Of run and system by dotted key, over the system's defaults.
        measure: The number in metrics.jsonl that the verdict's evidence and the remedy are judged by.
        better: Which way it is to go.
        factor: By how much the remedy improves it, at least.
    """

    name: Name
    shows: str
    data: str
    system: str
    steps: int
    settings: Mapping[str, Any]
    measure: str
    better: Literal["more", "less"]
    factor: float


def _both(**values: Any) -> dict[str, Any]:
    """A setting for both players."""
    return {f"{player}.{key}": value for key, value in values.items() for player in ("generator", "discriminator")}


_LATE = {"from": 0.0, "to": 10.0, "over": [0.4, 0.45]}
_HURRY = {"from": 1e-3, "to": 1e-2, "over": [0.4, 0.45]}
_SMOOTH = {"objective.r1": 0.1, "objective.r2": 0.1}
GALLERY: tuple[Failure, ...] = (
    Failure(
        "mode_collapse",
        "D moves three times as often as G, five times as fast and without a penalty: G settles on one mode.",
        "ring", "gan", 1000,
        {"generator.lr": 2e-4, "discriminator.lr": 1e-3, "turns.discriminator": 3},
        "probe.kinds", "more", 3.0,
    ),
    Failure(
        "vanishing_gradient",
        "The game of the paper's equation 1 against a D that is nearly perfect: G's loss is flat where G is.",
        "ring", "gan", 1000,
        {"objective.loss": "minimax", "generator.lr": 1e-4, "discriminator.lr": 1e-3, "turns.discriminator": 3},
        "gradient.generator", "more", 100.0,
    ),
    Failure(
        "discriminator_overfitting",
        "64 pictures: D learns them by heart, and takes other real ones for samples.",
        "few digits", "r3gan", 800, _both(width=16), "probe.memory", "less", 1.5,
    ),
    Failure(
        "weak_discriminator",
        "So much noise on what D sees that nothing is left to see.",
        "ring", "gan", 1000, {**_both(lr=1e-3), **_SMOOTH, "view.noise": 10.0}, "probe.distance_online", "less", 2.0,
    ),
    Failure(
        "oscillation",
        "Both players move at once, with much momentum, in the game of clipped weights: they run past each other.",
        "ring", "gan", 1000,
        {
            **_both(lr=1e-3, betas=[0.95, 0.999]), "turns.simultaneous": True,
            "objective.loss": "wasserstein", "objective.clip": 0.1,
        },
        "probe.distance_online", "less", 1.5,
    ),
    Failure(
        "divergence",
        "A Wasserstein critic without any bound on its slope, and a high learning rate: the logits explode.",
        "ring", "gan", 600,
        {**_both(lr=0.1, betas=[0.9, 0.99]), "turns.simultaneous": True, "objective.loss": "wasserstein"},
        "gradient.discriminator", "less", 100.0,
    ),
    Failure(
        "not_finite",
        "A learning rate of 2e4 where 2e-4 was meant: numbers overflow within a few steps.",
        "ring", "gan", 1000, {**_both(lr=2e4), **_SMOOTH}, "step", "more", 50.0,
    ),
    Failure(
        "frozen",
        "The generator's learning rate is 0: only D learns.",
        "ring", "gan", 600, {"generator.lr": 0.0, "discriminator.lr": 1e-3, **_SMOOTH}, "probe.spread", "more", 3.0,
    ),
    Failure(
        "ignored_condition",
        "D is not told the label, so G has no reason to heed it.",
        "ring", "conditional", 800, {"projection": 0.0}, "probe.label", "more", 3.0,
    ),
    Failure(
        "overtrained",
        "From two fifths on D sees little but noise, and G is in a hurry: it learns from junk, and forgets.",
        "ring", "gan", 2000,
        {"discriminator.lr": 1e-3, "generator.lr": _HURRY, **_SMOOTH, "view.noise": _LATE},
        "probe.distance_online", "less", 1.5,
    ),
)  # fmt: skip


def named(name: str) -> Failure | None:
    """A failure by its verdict's name."""
    return next((failure for failure in GALLERY if failure.name == name), None)
