"""What a training will be, before it begins: system, steps, precision, how often to save, threads."""

import os
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch

from ganworks import machine
from ganworks.data.spec import DataSpec
from ganworks.plan.trial import cost, cycle, midway, untraced, usual, work
from ganworks.settings import RunSettings
from ganworks.training.engine import Engine
from ganworks.training.loop import Pace

_SMALL = 32 * 32
"""Pictures up to so many pixels gain nothing from a second thread."""

_BUDGETS = {"ring": 35.0, "swissroll": 35.0, "grid": 180.0, "digits": 120.0}
_POINTS, _PICTURES = 30.0, 600.0
"""CPU seconds of training where nobody says how long: less than promised, for a slower laptop's sake."""

Precision = Literal["float32", "bf16"]
_COMPARED = 2.0
"""CPU seconds of a comparison of precisions."""
_WORTH = 0.9
"""Part of the time under which fewer digits pay; small networks lose as much to casts as they gain."""


DEFAULT = "r3gan"
"""The system, until the data are known."""
_CLASSES = (2, 100)
_PICTURES_EACH = 50
"""From how many classes to how many, and from how many pictures of each, a system that is told the class pays."""


class Choice(NamedTuple):
    """A system, and the one that nearly was it.

    Attributes:
        why: As it stands behind "because".
        runner_up: Empty where there is none.
        but: What speaks for the runner-up, or against the system.
    """

    system: str
    why: str
    runner_up: str
    but: str


def choose(spec: DataSpec, pictures: Sequence[int], *, built_in: bool) -> Choice:
    """The system that suits the data, where nobody names one.

    Args:
        pictures: How many there are of each class.
        built_in: The data come with ganworks: they have the default, with or without classes.
    """
    if spec.kind == "pairs":
        return Choice("pix2pix", "it is made for pairs", "", "")
    if spec.kind == "domains":
        two = Choice("cyclegan", "these are two domains", "stargan", "stargan has one network for all domains")
        return two if len(spec.classes) == 2 else Choice("stargan", f"these are {len(spec.classes)} domains", *two[2:])
    if not spec.pictures:
        return Choice(DEFAULT, f"it is the default for {spec.kind}", "sngan", "sngan comes second on the ring")
    few, many = _CLASSES
    if len(pictures) < few:
        return Choice(DEFAULT, "there are no classes", "dcgan", "dcgan is the classic")
    asks = "conditional draws the class that you ask for"
    if built_in:
        return Choice(DEFAULT, "it is the default", "conditional", asks)
    if len(pictures) > many:
        why = f"{len(pictures)} classes are more than conditional can tell apart"
        return Choice(DEFAULT, why, "conditional", asks)
    if min(pictures) < _PICTURES_EACH:
        least = min(range(len(pictures)), key=pictures.__getitem__)
        why = f"class '{spec.classes[least]}' has {min(pictures)} pictures, and conditional wants {_PICTURES_EACH}"
        return Choice(DEFAULT, why, "conditional", asks)
    why = f"there are {len(pictures)} classes of {min(pictures)} pictures or more"
    return Choice("conditional", why, "r3gan", "r3gan ignores them")


def budget(spec: DataSpec) -> float:
    """CPU seconds that the default training on this data is meant to take."""
    name = spec.name.split(":")[0]
    return _BUDGETS.get(name, _POINTS if not spec.pictures else _PICTURES)


def default_steps(make: Callable[[], Engine], spec: DataSpec) -> int:
    """Rounds for the default budget: from the operations of one round, not from a clock, so it is the same anywhere.

    Args:
        make: Builds an engine that may be thrown away.
    """
    steps = budget(spec) / work(make())
    digits = 10 ** max(len(str(int(steps))) - 2, 0)
    return max(int(steps / digits + 0.5) * digits, 1)


def steps_in(seconds: float, make: Callable[[], Engine]) -> int:
    """How many steps fit into a budget of training time, measured once on an engine that is thrown away.

    The cost is the median over cycles of lazy penalties, in process CPU time ÷ threads, from at most 2 s or 5 % of the
    budget.
    """
    engine = midway(make())
    rounds, threads = cycle(engine), torch.get_num_threads()
    costs: list[float] = []
    with untraced():
        end = machine.work(engine.device) + min(2.0, 0.05 * seconds) * threads
        while not costs or machine.work(engine.device) < end:
            costs.append(cost(engine, rounds) / threads)
    return max(int(seconds / usual(costs)), 1)


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
    engines = midway(make("float32")), midway(make("bf16"))
    device = engines[0].device
    if device == "cpu" and not halves():
        return "float32", "precision float32: this processor has no bf16"
    rounds, threads = cycle(engines[0]), torch.get_num_threads()
    costs: tuple[list[float], ...] = ([], [])
    with untraced():
        end = machine.work(device) + _COMPARED * threads
        while not costs[0] or machine.work(device) < end:
            for engine, spent in zip(engines, costs, strict=True):
                spent.append(cost(engine, rounds) / threads)
    whole, half = (1e3 * usual(spent) for spent in costs)
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
    small = not spec.pictures or spec.shape[-1] * spec.shape[-2] <= _SMALL
    return 1 if small else os.cpu_count() or 1
