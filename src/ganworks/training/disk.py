"""The disk: writes that are still there after a power cut, and refusals in words."""

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ganworks.errors import GanworksError, error

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SYNCS_BY_ITSELF = {errno.EINVAL, errno.ENOTSUP}
_HERE, _EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux, see rename(2)."""


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows a folder's names; where a system cannot sync folders there is nothing to wait for."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as caught:
        if caught.errno not in _SYNCS_BY_ITSELF:
            raise
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Remove a file or a folder of ours as far as it goes; what stays is hidden and removed at the next chance."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def put(new: Path, place: Path) -> None:
    """Rename a folder to a place where another may be: a reader finds the old one or the new one.

    Linux exchanges the two names at once: `new` is the old folder then. Elsewhere that is moved aside first, and for a
    moment none is there.
    """
    if not os.path.lexists(place):
        new.rename(place)
    elif not _exchange(new, place):
        place.rename(new.with_name(f"{new.name}.old"))
        new.rename(place)


def _exchange(a: Path, b: Path) -> bool:
    """Whether the system has exchanged two names."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return call is not None and call(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0


def check_out(out: Path) -> None:
    """Refuse a folder that holds something already: nothing is ever overwritten.

    Raises: UsageError.
    """
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise error("E-USE-03", path=out)


@contextlib.contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A folder to write into, under another name: it becomes `out` when all went well, else nothing is left of it.

    Raises: UsageError as `check_out`; ResourceError if the disk is full or refuses.
    """
    check_out(out)
    whole = out.resolve()
    partial = whole.with_name(f".{whole.name}.{secrets.token_hex(4)}")
    try:
        whole.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        yield partial
        partial.replace(whole)
    except OSError as caught:
        raise refusal(caught, out) from caught
    finally:
        discard(partial)


def refusal(caught: OSError, path: Path, details: Iterable[str] = ()) -> GanworksError:
    """What the system would not do, as an error of ours: a full disk, or the reason that it gives."""
    if caught.errno in _FULL:
        return error("E-ENV-01", path=path, details=details)
    return error("E-ENV-02", path=path, reason=caught.strerror or str(caught), details=details)
