"""Claim: `ganworks train grid` finds all 25 modes, with their weights and their quality, in four minutes.

Ours: the defaults, three seeds, one core.
Bars: every seed 25 modes, high quality >= 0.90, reverse KL <= 0.01, std ratio >= 0.4, <= 240 CPU s for the command.
Floor: fresh draws of the density: high quality 0.989, reverse KL about 0.0012 at 10,000 points.

    python -m experiments.grid [--seeds 3] [--smoke]
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from ganworks.theory import grid

from .record import RESULTS, TRAIN, Record
from .ring import fresh, measure, numbers

_OURS = ("systems/r3gan.py", "metrics/modes.py")
SOURCES = (
    *TRAIN,
    *(f"src/ganworks/{name}" for name in _OURS),
    *(f"experiments/{name}.py" for name in ("grid", "ring", "processes")),
)
GRID = grid()


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.grid", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="one seed and twenty steps: does it run?")
    options = parser.parse_args(words)
    seeds, length = (1, ("--steps", "20")) if options.smoke else (options.seeds, ())
    name = "grid-smoke" if options.smoke else "grid"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"seeds": seeds}, folder)
    record.floor("fresh draws", partial(fresh, GRID))
    arms = [record.arm(f"default, seed {s}", partial(measure, "grid", GRID, s, (), length)) for s in range(seeds)]
    record.bar("modes, fewest", min(numbers(arms, "modes")), "==", 25)
    record.bar("high quality, lowest", min(numbers(arms, "high_quality")), ">=", 0.90)
    record.bar("reverse KL, highest", max(numbers(arms, "reverse_kl")), "<=", 0.01)
    record.bar("std ratio, lowest", min(numbers(arms, "std_ratio")), ">=", 0.4)
    record.bar("CPU seconds of the command, most", max(numbers(arms, "command_seconds")), "<=", 240)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
