"""Every error that leaves the command: in three parts, with its exit code."""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import (
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from ganworks.cli.candidates import options_of
from ganworks.cli.output import clean, to_json
from ganworks.errors import GanworksError, error
from ganworks.machine import ran_out
from ganworks.registry import suggestion

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG}


def _usage(caught: CycloptsError, verb: str) -> GanworksError:
    """A parser's complaint in our words: what is wrong in a sentence, then what else helps."""
    verb = " ".join(caught.command_chain or [verb])
    reason, details = _told(caught, verb)
    found = error("E-USE-01", verb=verb, reason=reason, details=details)
    found.remedy = " ".join(found.remedy.split())  # there may be no verb
    return found


def _told(caught: CycloptsError, verb: str) -> tuple[str, list[str]]:
    if isinstance(caught, UnusedCliTokensError):
        words = " ".join(caught.unused_tokens or ())
        return f"more words than '{verb}' takes: {words}" if verb else f"no verb before {words}", []
    if isinstance(caught, UnknownOptionError):
        name = (caught.token.keyword or caught.token.value).partition("=")[0]
        known = {name for argument in caught.argument_collection for name in options_of(argument)} | {"--help"}
        if not verb and caught.app:
            known |= set(caught.app)  # -train
        return f"unknown option '{name}'", suggestion(name, known)
    if isinstance(caught, MissingArgumentError) and caught.argument is not None:
        argument = caught.argument
        if argument.name.startswith("-"):
            return f"{caught.keyword or argument.name} needs a value", []
        described = caught.app.assemble_argument_collection(parse_docstring=True) if caught.app else ()
        meaning = [f"{each.name}: {each.parameter.help}" for each in described if each.name == argument.name]
        return f"'{verb}' needs {argument.name}", meaning
    if isinstance(caught, RepeatArgumentError):
        return f"{caught.token.keyword} is given more than once", []
    first, *rest = [line.strip() for line in str(caught).splitlines() if line.strip()]
    return first.rstrip("."), rest


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


def as_ours(caught: BaseException, verb: str) -> GanworksError:
    """Whatever was raised, as an error with a code."""
    if isinstance(caught, GanworksError):
        return caught
    if isinstance(caught, CycloptsError):
        return _usage(caught, verb)
    if ran_out(caught):
        reason = str(caught).splitlines()[0] if str(caught) else "none is left"
        return error("E-ENV-03", reason=reason, instead="ask for fewer at once, or free some memory")
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
