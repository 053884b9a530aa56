"""Groups of settings, and values that follow the run's progress: schedules."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator


class Settings(BaseModel):
    """A group of settings: unknown names refused, types strict, numbers finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Ramp(Settings):
    """A value that moves from one number to another over a part of the run, and is held before and after."""

    start: float = Field(alias="from")
    end: float = Field(alias="to")
    over: list[int | float] = [0.0, 1.0]
    """Shares of the run, or two whole numbers: steps."""
    shape: Literal["linear", "cosine", "exponential"] = "linear"

    @model_validator(mode="after")
    def _order(self) -> "Ramp":
        if len(self.over) != 2 or not 0 <= self.over[0] < self.over[1]:
            raise ValueError("`over` is [start, end] with 0 <= start < end")
        if not self.in_steps and self.over[1] > 1:
            raise ValueError("`over` is two shares between 0.0 and 1.0, or two whole numbers of steps")
        if self.shape == "exponential" and not (self.start > 0 < self.end or self.start < 0 > self.end):
            raise ValueError("an exponential ramp needs both ends on the same side of 0")
        return self

    @property
    def in_steps(self) -> bool:
        """Whether `over` counts steps; shares otherwise."""
        return all(isinstance(edge, int) for edge in self.over)

    def value(self, step: int, steps: int) -> float:
        """The value at a step of a run of `steps`; exactly `from` before and exactly `to` after."""
        first, last = (edge if self.in_steps else edge * steps for edge in self.over)
        share = min(max((step - first) / (last - first), 0.0), 1.0) if last > first else 1.0
        if self.shape == "exponential":
            size = abs(self.start) ** (1 - share) * abs(self.end) ** share
            return math.copysign(size, self.end)
        if self.shape == "cosine":
            share = 0.5 - 0.5 * math.cos(math.pi * share)
        return self.start * (1 - share) + self.end * share


DECAY = Ramp.model_validate({"from": 1.0, "to": 0.0, "over": [0.5, 1.0]})
"""Held for half of the run, then evenly to 0."""
FORMS = ("number", "ramp", "product")
"""What a schedule may be written as."""


def _form_of_part(value: Any) -> str:
    return "ramp" if isinstance(value, Ramp | Mapping) else "number"


def _form(value: Any) -> str:
    return "product" if isinstance(value, list) else _form_of_part(value)


# The forms are told apart before they are judged, so that a mistake in a ramp is told as one in a ramp.
_Number = Annotated[float, Tag("number")]
_Ramp = Annotated[Ramp, Tag("ramp")]
_Product = Annotated[list[Annotated[_Number | _Ramp, Discriminator(_form_of_part)]], Tag("product")]
Schedule = Annotated[_Number | _Ramp | _Product, Discriminator(_form)]


def at(schedule: Schedule, step: int, steps: int) -> float:
    """A schedule's value: a number stands for itself, the parts of a list are multiplied."""
    if isinstance(schedule, Ramp):
        return schedule.value(step, steps)
    if isinstance(schedule, list):
        return math.prod(at(part, step, steps) for part in schedule)
    return schedule


def _ends(schedule: Schedule) -> list[float]:
    """Every number that a schedule or one of its parts begins or ends with."""
    parts = schedule if isinstance(schedule, list) else [schedule]
    return [end for part in parts for end in ((part.start, part.end) if isinstance(part, Ramp) else (part,))]


def _never_negative(schedule: Schedule) -> Schedule:
    ends = _ends(schedule)
    if not ends or min(ends) < 0:
        raise ValueError("it is 0 or more, everywhere")
    return schedule


def _below_one(schedule: Schedule) -> Schedule:
    ends = _ends(schedule)
    if not ends or not 0 <= min(ends) <= max(ends) < 1:
        raise ValueError("it is 0 or more and less than 1, everywhere")
    return schedule


Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[Schedule, AfterValidator(_below_one)]
Betas = Annotated[tuple[Beta, Decay], Field(strict=False)]
"""TOML has lists only, and a strict tuple would refuse one."""
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[Schedule, AfterValidator(_never_negative)]
