"""Which curves a run has to show: from the names in its records to panels in plain words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ganworks import history
from ganworks.use.curves import Curve

_FAMILIES = ("logit.", "gradient.", "probe.", "score.", "optimum.")
"""Beginnings of names that are no terms of a player's loss."""
_LARGEST = 1e100
"""In size; beyond it nothing can be drawn, nor was it measured by float32."""
_NAMES = 200
"""Of different numbers, at most: a run has about 50."""


@dataclass(frozen=True)
class Line:
    """A curve of a panel under its name in the legend; a floor is dashed. `band` is its interval: low, high."""

    name: str
    curve: Curve
    floor: bool = False
    band: tuple[Curve, Curve] | None = None


@dataclass(frozen=True)
class Panel:
    """Curves that belong on one scale.

    Attributes:
        title: What the panel shows, in plain words.
        level: A value to compare with, and what it means.
        log: Whether the scale is one of ratios.
        span: The scale's ends where they are known.
    """

    title: str
    lines: tuple[Line, ...]
    level: tuple[float, str] | None = None
    log: bool = False
    span: tuple[float | None, float | None] = (None, None)


def panels(records: Iterable[Mapping[str, Any]]) -> list[Panel]:
    """The panels of a run, those that have numbers. Whatever has another name is left out."""
    curves, players = _curves(records)
    return [panel for panel in _all(curves, players) if panel.lines]


def _curves(records: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Curve], list[str]]:
    """Each number's curve by its name, each player's whole loss by the player's name, and the players."""
    curves: dict[str, Curve] = {}
    players: dict[str, None] = {}
    for record in records:
        kept = {name: _number(value) for name, value in record.items() if name not in ("step", "seconds")}
        numbers = {name: value for name, value in kept.items() if value is not None}
        losses = history.losses({name: value for name, value in numbers.items() if not name.startswith(_FAMILIES)})
        players.update(dict.fromkeys(losses))
        for name, value in (numbers | losses).items():
            if name in curves or len(curves) < _NAMES:
                curves.setdefault(name, Curve()).add(record["step"], value)
    return curves, list(players)


def _number(value: object) -> float | None:
    """A number that can be drawn; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def _all(curves: Mapping[str, Curve], players: Sequence[str]) -> Iterable[Panel]:
    def lines(names: Mapping[str, str], *floors: str) -> tuple[Line, ...]:
        return _told([Line(word, curves[name], name in floors) for name, word in names.items() if name in curves])

    yield Panel("Loss of each player", lines({player: player for player in players}))
    for player in players:
        terms = {name: name.partition(".")[2] for name in curves if name.startswith(f"{player}.")}
        terms.pop(f"{player}.lr", None)
        if len(terms) > 1:
            yield Panel(f"Parts of the {player}'s loss", lines(terms))
    yield Panel(
        "What D says (logits)",
        lines({"logit.real": "of real data", "logit.fake": "of samples"}),
        level=(0.0, "undecided"),
    )
    yield Panel("Size of the gradients", lines(_after("gradient.", curves, players)), log=True)
    yield Panel("Learning rates", lines({f"{player}.lr": player for player in players}), span=(0.0, None))
    yield Panel(
        "How often D tells real from generated",
        lines({"probe.accuracy": "real data held out", "probe.accuracy_trained": "real data trained on"}),
        level=(0.5, "by chance"),
        span=(0.0, 1.02),
    )
    variety = {"probe.spread": "distances", "probe.rank": "directions", "probe.bins": "bins", "probe.kinds": "kinds"}
    yield Panel(
        "Variety of samples, as a share of real data's", lines(variety), level=(1.0, "as real"), span=(0.0, None)
    )
    distance = {
        "probe.distance": "averaged weights",
        "probe.distance_online": "weights as they are",
        "probe.distance_floor": "real data",
    }
    yield Panel("Distance to held-out data", lines(distance, "probe.distance_floor"), span=(0.0, None))
    label = {"probe.label": "samples", "probe.label_floor": "real data", "probe.label_chance": "by chance"}
    yield Panel(
        "Samples of the class that was asked for",
        lines(label, "probe.label_floor", "probe.label_chance"),
        span=(0.0, 1.02),
    )
    optimum = _after("optimum.", curves, ("jsd", "jsd_floor", "discriminator_gap"))
    words = {"jsd": "JSD to the data", "jsd_floor": "JSD of real draws", "discriminator_gap": "D's loss above the best"}
    yield Panel(
        "Beside the best there is", lines({k: words.get(v, v) for k, v in optimum.items()}, "optimum.jsd_floor")
    )
    for name in curves:
        if name.startswith("score.") and not name.endswith((".low", ".high")):
            yield Panel(f"Score: {name.removeprefix('score.')}", (_score(name, curves),))


def _told(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Lines, those that are the same one under the names of all: the last would hide the others."""
    told: list[Line] = []
    for line in lines:
        same = next((place for place, each in enumerate(told) if each.curve == line.curve), None)
        if same is None:
            told.append(line)
        else:
            told[same] = replace(told[same], name=f"{told[same].name}, {line.name}")
    return tuple(told)


def _score(name: str, curves: Mapping[str, Curve]) -> Line:
    """A score, with its interval where every value has one."""
    low, high = curves.get(f"{name}.low"), curves.get(f"{name}.high")
    if low and high and low.steps == high.steps == curves[name].steps:
        return Line("with its interval", curves[name], band=(low, high))
    return Line("value", curves[name])


def _after(beginning: str, curves: Iterable[str], first: Sequence[str]) -> dict[str, str]:
    """The names that begin so, with their rest; some come first, in their order, and so keep their colours."""
    rests = {name: name.removeprefix(beginning) for name in curves if name.startswith(beginning)}
    rank = {rest: place for place, rest in enumerate(first)}
    return dict(sorted(rests.items(), key=lambda pair: (rank.get(pair[1], len(rank)), pair[1])))
