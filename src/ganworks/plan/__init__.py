"""What a training will be, before it begins."""

from ganworks.plan.choices import (
    DEFAULT,
    Choice,
    Precision,
    budget,
    choose,
    default_steps,
    faster,
    halves,
    pace,
    steps_in,
    threads,
)

__all__ = [
    "DEFAULT",
    "Choice",
    "Precision",
    "budget",
    "choose",
    "default_steps",
    "faster",
    "halves",
    "pace",
    "steps_in",
    "threads",
]
