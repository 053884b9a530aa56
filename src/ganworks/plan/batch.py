"""How many samples an update takes, where nobody says: what fits into memory, and what still pays."""

import math
from collections.abc import Callable

import torch

from ganworks import machine
from ganworks.plan.trial import Watermark, cost, cycle, kept, midway, untraced
from ganworks.training.engine import Engine

_LEAST, _MOST = 8, 512
_ROOM = 0.8
"""The part of the available memory that a step may take."""
_BESIDE = 2
"""A step's memory over what waits for the backward pass: gradients and what kernels need while they work."""
_PAYS = 0.95
"""A batch pays as long as it gets so much of the best number of samples in a CPU second."""
_SECONDS = 10.0
"""CPU seconds of the search for the best one."""

Make = Callable[[int], Engine]
"""Builds an engine with a batch, on the run's data and seed, that may be thrown away."""


def fitting(make: Make, usual: int, pack: int) -> tuple[int, str]:
    """The system's own batch, or half of it and so on where its step would not fit into memory, and why.

    Args:
        usual: The system's batch.
        pack: A batch is a multiple of it.
    """
    sample = pack * math.ceil(min(_LEAST, usual) / pack)
    each = kept(make(sample)) * _BESIDE / sample
    room = machine.memory()[1] * _ROOM
    batch = usual
    while batch * each > room and batch % (2 * pack) == 0:
        batch //= 2
    if batch == usual:
        return usual, ""
    needed, there = machine.sized(usual * each), machine.sized(room)
    return batch, f"batch {batch}, because {usual} would need {needed} of memory and {there} is there"


def paying(make: Make, rows: int, pack: int) -> tuple[int, str]:
    """The largest power of two whose step fits into memory and still pays, and what was measured, in a sentence.

    Steps are really played, on engines that are thrown away; a batch is tried as long as twice the step before fits.

    Args:
        rows: Of the data.
        pack: A batch is a multiple of it.
    """
    rates: dict[int, float] = {}
    left = _SECONDS * torch.get_num_threads()
    why = ""
    for batch in _candidates(rows, pack):
        room, mark = machine.memory()[1], Watermark()
        try:
            spent, rates[batch] = _rate(make(batch), batch)
        except Exception as caught:
            if not rates or not machine.ran_out(caught):
                raise
            why = f"{batch} does not fit into memory"
            break
        left -= spent
        if 2 * mark.risen > _ROOM * room:
            why = f"{2 * batch} would need {machine.sized(2 * mark.risen)} of memory and {machine.sized(room)} is there"
            break
        if 2 * spent > left or all(rate < _PAYS * max(rates.values()) for rate in list(rates.values())[-2:]):
            break
    best = max(rates.values())
    chosen = max(batch for batch, rate in rates.items() if rate >= _PAYS * best)
    table = ", ".join(f"{rate:,.{0 if rate >= 100 else 1}f} with {batch}" for batch, rate in rates.items())
    return chosen, f"batch {chosen}: samples in a CPU second are {table}{f'; {why}' if why else ''}"


def _candidates(rows: int, pack: int) -> list[int]:
    """Powers of two, or the nearest multiples of a pack, up to the size of the data."""
    found = [math.lcm(1 << power, pack) for power in range(3, 10)]
    return [batch for batch in found if _LEAST <= batch <= min(_MOST, rows)] or found[:1]


def _rate(engine: Engine, batch: int) -> tuple[float, float]:
    """CPU seconds that were spent, and samples in a second of a usual round; the first round warms up."""
    engine = midway(engine)
    rounds = cycle(engine)
    with untraced():
        first = cost(engine, rounds)
        usual = cost(engine, rounds)
    return (first + usual) * rounds, batch / usual
