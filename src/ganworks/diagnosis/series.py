"""The records of a run as series: each number with the step and the line of metrics.jsonl where it stands."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

Record = tuple[int, Mapping[str, Any]]
"""A line's number, from 1, and what stands in it."""
Measure = Callable[[Mapping[str, Any]], float | None]
_EARLY = 100
"""Steps whose median later gradients are compared with."""
_FIRST = 10


@dataclass(frozen=True)
class Series:
    """What there is of a run.

    Args:
        records: In their order.
        settings: Of the run and its system, nested.
        steps: It is planned to have.
        failed: The error that ended it; empty where none did.
    """

    records: Sequence[Record]
    settings: Mapping[str, Any]
    steps: int
    failed: str = ""

    @cached_property
    def looks(self) -> list[Record]:
        """The records in which the diagnosis has measured something."""
        return [each for each in self.records if "probe.distance_floor" in each[1] or "probe.accuracy" in each[1]]

    def look(self, name: str) -> list[float | None]:
        """A number at each look."""
        return [number(record, name) for _, record in self.looks]

    def step(self, look: int) -> int:
        """The step of a look."""
        return int(self.looks[look][1]["step"])

    def lines(self, since: int) -> tuple[int, int]:
        """The first and last line of the looks from one on."""
        return self.looks[since][0], self.looks[-1][0]

    def setting(self, key: str, default: Any = None) -> Any:
        """A setting by its dotted key."""
        found: Any = self.settings
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                return default
            found = found[part]
        return found

    @property
    def players(self) -> list[str]:
        """Who has a learning rate in the settings; a game's two come first."""
        found = [name for name, group in self.settings.items() if isinstance(group, Mapping) and "lr" in group]
        return ["generator", "discriminator", *(name for name in found if name not in ("generator", "discriminator"))]

    def early(self, name: str) -> float | None:
        """The median of a recorded number over the first 100 steps."""
        return middle(number(record, name) for _, record in self.records if record["step"] <= _EARLY)

    def first(self, of: Measure) -> list[float]:
        """Something of each record of the first ten steps."""
        return [value for _, record in self.records if record["step"] <= _FIRST and (value := of(record)) is not None]

    def last(self, of: Measure) -> list[float]:
        """The same of the last tenth of the records, at least three."""
        few = max(3, len(self.records) // 10)
        return [value for _, record in self.records[-few:] if (value := of(record)) is not None]


def number(record: Mapping[str, Any], name: str) -> float | None:
    """A number of a record; None where it has none by that name, or one that no float holds."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what is there; None where nothing is."""
    there = [value for value in values if value is not None]
    return median(there) if there else None
