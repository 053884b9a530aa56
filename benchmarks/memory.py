"""Claim: a run does not grow. Memory's slope is under 1 MB per 1,000 steps over 20,000 steps of the ring.

The real command in this process: records, sample grids and checkpoints at their usual pace. Resident memory is read
after each record; the slope is a least-squares line through the second half, when every buffer and cache is there.

    python -m benchmarks.memory [--steps 20000]
"""

import argparse
import mmap
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.record import OURS, Arm, Record
from ganworks.gan import Order, train

BAR = 1.0
"""MB per 1,000 steps."""


def resident_megabytes() -> float:
    """What the process holds now, not its peak."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def slope(steps: int, *, leak: int = 0) -> Arm:
    """MB per 1,000 steps of a run. `leak` bytes are kept at each record, to show that the measurement sees them."""
    seen: list[tuple[int, float]] = []
    kept: list[mmap.mmap] = []

    def watch(record: Mapping[str, Any]) -> None:
        if "step" in record:
            if leak:  # in pages of its own: memory that something has freed before would not show
                kept.append(mmap.mmap(-1, leak))
                kept[-1].write(b"x" * leak)
            seen.append((int(record["step"]), resident_megabytes()))

    with tempfile.TemporaryDirectory() as folder:
        train(Order(data="ring", steps=steps, run=Path(folder) / "run"), watchers=[watch])
    late = np.array(seen[len(seen) // 2 :])
    rise, _ = np.polyfit(late[:, 0], late[:, 1], 1)
    return {"steps": steps, "records": len(seen), "slope": float(1000 * rise), "megabytes": float(late[-1, 1])}


def main(words: list[str], folder: Path = Path(__file__).parent / "results") -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    steps = parser.parse_args(words).steps
    record = Record("memory", str(__doc__).splitlines()[0], (*OURS, "benchmarks/memory.py"), {"steps": steps}, folder)
    found = record.arm("ring", lambda: slope(steps))
    record.bar("MB per 1,000 steps", found["slope"], "<=", BAR)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
