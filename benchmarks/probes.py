"""What the probes cost: their share of the CPU time of a default training.

It plays what `ganworks train DATA` plays, asks the probes at the steps at which they are due, and takes the time of
both, in one process. What the first look prepares and the pre-flight count with the probes; reading the data, grids and
checkpoints count nowhere. Process CPU time, one thread.

Bar: at most 0.05 for all of them, `optimum` and the examination of the diagnosis, on the ring and on digits.

    python -m benchmarks.probes
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from experiments.record import Record
from ganworks import plan
from ganworks.session import Order, session_of
from ganworks.session.conduct import ready

BAR = 0.05
DATA = ("ring", "digits")
SOURCES = (
    "src/ganworks/diagnosis",
    "src/ganworks/metrics",
    "src/ganworks/optimum",
    "src/ganworks/session/prepared.py",
    "src/ganworks/training",
    "benchmarks/probes.py",
)


def seconds(do: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    begun = time.process_time()
    do()
    return time.process_time() - begun


def share(data: str, steps: int | None = None, system: str | None = None, **settings: object) -> dict[str, float]:
    """The probes' time over that of the training, and the seconds that it is made of.

    Args:
        steps: Of the training; None: as many as suit the data.
    """
    order = Order(data=data, system=system, steps=steps, overrides=settings)
    session = session_of(order)
    with ready(session, order, ()) as (engine, _, _):
        every = plan.pace(session.run, engine.steps).sample
        at, preflight = session.early
        played, first = 0.0, seconds(session.probes)
        probes = session.probes()
        spent = {"preflight": 0.0} | dict.fromkeys((type(probe).__name__ for probe in probes), 0.0)
        while engine.step < engine.steps:
            played += seconds(engine.round)
            if engine.step == at:
                spent["preflight"] += seconds(partial(preflight, at))
            if engine.step % every == 0 or engine.step == engine.steps:
                for probe in probes:
                    spent[type(probe).__name__] += seconds(partial(probe, engine.step))
    parts = {f"{name}_seconds": value for name, value in ({"prepared": first} | spent).items()}
    return {"share": sum(parts.values()) / played, "steps": engine.steps, "training_seconds": played} | parts


def main(words: list[str], folder: Path = Path(__file__).parent / "results") -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.probes", description=__doc__)
    parser.parse_args(words)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    record = Record("probes", str(__doc__).splitlines()[0], SOURCES, {}, folder)
    for data in DATA:
        found = record.arm(data, partial(share, data))
        record.bar(f"{data}, CPU time of all probes over that of the training", found["share"], "<=", BAR)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
