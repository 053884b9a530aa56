"""What a training will be, before it begins: steps, precision, how often to save, threads."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganworks.data.spec import DataSpec
from ganworks.settings import RunSettings
from ganworks.training.engine import Engine
from ganworks.training.loop import Pace

_SMALL = 32 * 32
"""Pictures up to so many pixels gain nothing from a second thread."""

_BUDGETS = {"ring": 35.0, "swissroll": 35.0, "grid": 180.0, "digits": 120.0}
_POINTS, _PICTURES = 30.0, 600.0
"""CPU seconds of training where nobody says how long: less than promised, for a slower laptop's sake."""

_PER_KERNEL, _PER_FLOP = 6e-6, 1 / 50e9
"""Seconds a call of a small kernel takes, and one floating-point operation in small convolutions (measured
2026-11-24 on one core of a Zen 4 server). They turn a budget into a step count that is the same on every machine."""


Precision = Literal["float32", "bf16"]
_COMPARED = 2.0
"""CPU seconds of a comparison of precisions."""
_WORTH = 0.9
"""Part of the time under which fewer digits pay; small networks lose as much to casts as they gain."""


def budget(spec: DataSpec) -> float:
    """CPU seconds that the default training on this data is meant to take."""
    name = spec.name.split(":")[0]
    return _BUDGETS.get(name, _POINTS if spec.kind == "points" else _PICTURES)


def default_steps(make: Callable[[], Engine], spec: DataSpec) -> int:
    """Rounds for the default budget: from the operations of one round, not from a clock, so it is the same anywhere.

    Args:
        make: Builds an engine that may be thrown away.
    """
    engine = _midway(make())
    with _untraced():
        rounds = _cycle(engine)
        with _Work() as work:
            for _ in range(rounds):
                engine.round()
    seconds = (work.flops * _PER_FLOP + work.kernels * _PER_KERNEL) / rounds
    steps = budget(spec) / seconds
    digits = 10 ** max(len(str(int(steps))) - 2, 0)
    return max(int(steps / digits + 0.5) * digits, 1)


class _Work(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives its hooks no types
    """Counts the kernels that are called, and the operations of those whose count is known."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels = self.flops = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = function(*args, **(kwargs or {}))
        self.kernels += 1
        if count := flop_registry.get(function.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        return out


class _untraced:
    """Whatever is measured inside leaves the default generator as it was."""

    def __enter__(self) -> None:
        self._state = torch.default_generator.get_state()

    def __exit__(self, *_: object) -> None:
        torch.default_generator.set_state(self._state)


def _midway(engine: Engine) -> Engine:
    """In the middle of its run, where a round is what most rounds are: the first ones may be longer (`wgan`)."""
    engine.step = engine.steps // 2 + 1
    return engine


def _cycle(engine: Engine) -> int:
    """Rounds after which lazy penalties have been due once."""
    return int(engine.system.settings.objective.every)


def steps_in(seconds: float, make: Callable[[], Engine]) -> int:
    """How many steps fit into a budget of training time, measured once on an engine that is thrown away.

    The cost is the median over cycles of lazy penalties, in process CPU time ÷ threads, from at most 2 s or 5 % of the
    budget.
    """
    engine = _midway(make())
    cycle, threads = _cycle(engine), torch.get_num_threads()
    costs: list[float] = []
    with _untraced():
        end = time.process_time() + min(2.0, 0.05 * seconds) * threads
        while not costs or time.process_time() < end:
            costs.append(_cost(engine, cycle) / threads)
    return max(int(seconds / _usual(costs)), 1)


def _cost(engine: Engine, rounds: int) -> float:
    """Process CPU seconds of a round."""
    begun = time.process_time()
    for _ in range(rounds):
        engine.round()
    return (time.process_time() - begun) / rounds


def _usual(costs: list[float]) -> float:
    """The median. The first cycle warms caches up and allocates; it counts only where there is no other."""
    return statistics.median(costs[1:] or costs)


def halves() -> bool:
    """Whether this processor multiplies bfloat16 numbers itself; elsewhere they are converted, which never pays."""
    # Not every torch that ganworks works with can be asked.
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(yes for name, yes in able.items() if name.endswith("bf16"))


def faster(make: Callable[[Precision], Engine]) -> tuple[Precision, str]:
    """The precision in which this game costs less here, and why in a sentence.

    Two engines that are thrown away play cycles of lazy penalties, in turns, and their process CPU time is compared.

    Args:
        make: Builds an engine with a precision, on the run's data and seed.
    """
    if not halves():
        return "float32", "precision float32: this processor has no bf16"
    engines = _midway(make("float32")), _midway(make("bf16"))
    cycle, threads = _cycle(engines[0]), torch.get_num_threads()
    costs: tuple[list[float], ...] = ([], [])
    with _untraced():
        end = time.process_time() + _COMPARED * threads
        while not costs[0] or time.process_time() < end:
            for engine, spent in zip(engines, costs, strict=True):
                spent.append(_cost(engine, cycle) / threads)
    whole, half = (1e3 * _usual(spent) for spent in costs)
    chosen: Precision = "bf16" if half < _WORTH * whole else "float32"
    return chosen, f"precision {chosen}: a step takes {whole:.3g} ms in float32 and {half:.3g} ms with bf16"


def pace(settings: RunSettings, steps: int) -> Pace:
    """How often to record, sample and save, where the settings leave it open."""
    return Pace(
        record=settings.record.every or max(steps // 2000, 1),
        sample=settings.sample.every or max(steps // 20, 1),
        checkpoint=settings.checkpoint.every or max(steps // 20, 100),
    )


def threads(spec: DataSpec) -> int:
    """Threads of a new run: what OMP_NUM_THREADS says, else one for points and small pictures, else all cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    small = spec.kind == "points" or (spec.kind == "images" and spec.shape[-1] * spec.shape[-2] <= _SMALL)
    return 1 if small else os.cpu_count() or 1
