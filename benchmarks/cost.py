"""CPU time and memory of one call in a process of its own; for any environment, so it needs the standard library only.

CPU seconds are those of the process, its threads and its children. Memory is the peak above what the process held when
everything was imported and nothing made: so the matrices count, and the interpreter does not.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""What the environment of such a process must say."""


def cpu_seconds() -> float:
    """Of this process and its children so far."""
    return sum(os.times()[:4])


def megabytes(what: str) -> float:
    """`VmRSS`, what the process holds, or `VmHWM`, the most it held: getrusage would count its parent's peak too."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024 / 1e6


def cost(make: Callable[[], tuple[Any, ...]], run: Callable[..., Any]) -> dict[str, Any]:
    """Make the inputs, then measure `run` on them; what is imported late counts, so import first."""
    held = megabytes("VmRSS")
    inputs = make()
    begun = cpu_seconds()
    value = run(*inputs)
    return {"cpu_seconds": cpu_seconds() - begun, "megabytes": megabytes("VmHWM") - held, "value": value}
