"""Every error that leaves the command: in three parts, with its exit code."""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import CycloptsError, UnusedCliTokensError

from ganworks.cli.output import clean, to_json
from ganworks.errors import GanworksError, error

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG}
_NO_MEMORY = ("can't allocate memory", "out of memory")


def _usage(caught: CycloptsError, verb: str) -> GanworksError:
    """A parser's complaint as an error of ours: its first sentence, then what else it says."""
    if isinstance(caught, UnusedCliTokensError):
        return error(
            "E-USE-01", verb=verb, reason=f"more words than '{verb}' takes: {' '.join(caught.unused_tokens or ())}"
        )
    first, *rest = [line for line in str(caught).strip().splitlines() if line.strip()]
    reason = first.strip().rstrip(".")
    found = error("E-USE-01", verb=verb, reason=reason, details=[line.strip() for line in rest])
    found.remedy = " ".join(found.remedy.split())  # there may be no verb
    return found


def _surroundings(caught: OSError) -> GanworksError | None:
    """Disk and rights, as errors of ours; None for what should have been answered further in."""
    path = caught.filename or "the output"
    if caught.errno in _DISK_FULL:
        return error("E-ENV-01", path=path)
    if caught.errno in _REFUSED:
        return error("E-ENV-02", path=path, reason=caught.strerror)
    return None


def _bug(caught: BaseException) -> GanworksError:
    frames = traceback.extract_tb(caught.__traceback__)
    frame = next((f for f in reversed(frames) if f"{os.sep}ganworks{os.sep}" in f.filename), frames[-1])
    reason = f"{type(caught).__name__}: {caught}".splitlines()[0]
    return error("E-BUG-01", reason=reason, details=[f"{os.path.basename(frame.filename)}, line {frame.lineno}"])


def explain(caught: BaseException, verb: str) -> GanworksError:
    """Whatever was raised, as an error with a code."""
    if isinstance(caught, GanworksError):
        return caught
    if isinstance(caught, CycloptsError):
        return _usage(caught, verb)
    if isinstance(caught, MemoryError) or any(words in str(caught) for words in _NO_MEMORY):
        return error("E-ENV-03", reason=str(caught).splitlines()[0] if str(caught) else "none is left")
    known = _surroundings(caught) if isinstance(caught, OSError) else None
    return known or _bug(caught)


def complain(problem: GanworksError, tokens: Sequence[str]) -> int:
    """Print an error on standard error, and with --json as an object on standard output too."""
    with contextlib.suppress(OSError):  # nobody listens: the exit code still speaks
        if "--debug" in tokens:
            traceback.print_exc()
        print(clean(str(problem)), file=sys.stderr, flush=True)
    if "--json" in tokens:
        parts = {"code": problem.code, "what": problem.what, "where": problem.where}
        print(to_json({"error": parts | {"details": problem.details, "do": problem.remedy}}))
    return problem.exit_code
