"""What this computer has: memory, as far as the system says, and what computes beside the processor."""

import sys
import time
from pathlib import Path

from ganworks.errors import error

UNKNOWN = 1 << 62
"""Bytes, where the system does not say."""
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def memory() -> tuple[int, int]:
    """Bytes of memory in all, and those that can still be had: of the computer, or of the container where it has less.

    A limit of the process (`ulimit -v`) counts too. `UNKNOWN` where the system does not say.
    """
    total, free = _host()
    groups = [(_number(limit), _number(used)) for limit, used in _GROUPS]
    for limit, used in [*groups, _addresses()]:
        if limit is not None and used is not None and limit < total:
            total, free = limit, min(free, max(limit - used, 0))
    return total, free


def _addresses() -> tuple[int | None, int | None]:
    """The process's limit of addresses, and those it has."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, AttributeError, OSError, ValueError, IndexError):
        return None, None
    return (None, None) if limit == resource.RLIM_INFINITY else (limit, pages * resource.getpagesize())


def _host() -> tuple[int, int]:
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(fields[name].split()[0]) << 10 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError, IndexError):
        return UNKNOWN, UNKNOWN
    return total, free


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None


def peak() -> int:
    """Bytes of memory that this process has held at most so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


_SHORT = ("can't allocate", "not enough memory", "out of memory", "bad_alloc", "bad allocation")
"""How torch says that memory has run out, in errors that are no MemoryError."""
_NO_ROOM = "could not create a primitive"
"""All that oneDNN says where a kernel found no room for itself. Where there is no such kernel it says more."""


def ran_out(caught: BaseException) -> bool:
    """Whether something failed because there was not enough memory."""
    said = str(caught)
    return isinstance(caught, MemoryError) or said == _NO_ROOM or any(words in said for words in _SHORT)


def device(name: str) -> str:
    """A device that can be trained on, as torch calls it.

    Raises: ResourceError for one that is not here.
    """
    import torch

    here = ["cpu"]
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if kind is not None:
        here += [kind.type, *(f"{kind.type}:{index}" for index in range(torch.accelerator.device_count()))]
    if name not in here:
        raise error("E-ENV-06", device=name, known=", ".join(here))
    return name


def work(device: str) -> float:
    """Seconds that all threads of this process have worked, from a start of its own. Those that feed a device have
    worked, all of them, as long as it took."""
    if device == "cpu":
        return time.process_time()
    import torch

    return time.perf_counter() * torch.get_num_threads()


def sized(count: float) -> str:
    """Bytes as a person reads them."""
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if count >= size:
            return f"{count / size:.{1 if count < 10 * size else 0}f} {unit}"
    return f"{max(count, 0) / 2**10:.1f} kB"
