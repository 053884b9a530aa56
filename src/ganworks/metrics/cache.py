"""Features that were computed before, kept in the user's cache folder.

An entry holds the features of one part of a data set. Its name is the SHA-256 of all they depend on: the pictures
themselves as the space gets them (so another file, order, size or decoder is another entry), the space with its
weights, and what torch computes with (so kept features have the bits that computing them anew would give). It begins
with the SHA-256 of its name and content: a file that is cut off, damaged or foreign is no entry, and is computed anew.

    GANWORKS_CACHE=FOLDER      keep them there
    GANWORKS_CACHE=off         keep nothing
"""

import contextlib
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor

from ganworks.metrics.spaces import FeatureSpace
from ganworks.telling import Tell

MOST = 2 << 30
"""Bytes of all entries; beyond them those go first that were not used for the longest time."""
_VARIABLE = "GANWORKS_CACHE"
_HASH = 32
_UNFINISHED = ".partial"
_STALE = 3600.0
"""Seconds after which an unfinished entry is one that nobody writes any more."""


def folder() -> Path | None:
    """Where entries are kept; None: nowhere."""
    chosen = os.environ.get(_VARIABLE)
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen).expanduser().absolute() / "features"
    with contextlib.suppress(RuntimeError):  # no home
        return _usual() / "ganworks" / "features"
    return None


def _usual() -> Path:
    """The platform's folder for what can be made again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return chosen if chosen.is_absolute() else Path.home() / ".cache"


class Cache:
    """Features from the cache folder, or computed and put there. Where the disk refuses, it goes on without.

    Args:
        tell: Called with a message, once, where entries cannot be kept.
        place: The folder; None: nothing is kept.
    """

    def __init__(self, tell: Tell | None = None, place: Path | None = None) -> None:
        self._tell, self._place = tell, place
        self._refused = False

    def features(self, space: FeatureSpace, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """What `space(x)` gives."""
        if self._place is None or not space.identity:
            return space(x)
        name = _name(space, x)
        found = _read(self._place / name, name)
        if found is None or len(found) != len(x):
            found = space(x)
            self._keep(self._place, name, found)
        return found

    def _keep(self, place: Path, name: str, features: Tensor) -> None:
        if self._refused:
            return
        body = safetensors.torch.save({"features": features.contiguous()})
        partial = place / f"{name[:16]}-{secrets.token_hex(4)}{_UNFINISHED}"
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(_seal(name, body))
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place / name)
        except OSError as caught:
            self._refused = True
            with contextlib.suppress(OSError):
                partial.unlink()
            if self._tell is not None:
                self._tell({"message": f"features are not kept for the next time: {caught.strerror or caught}"})

    def trim(self, most: int = MOST) -> None:
        """Remove what was not used for the longest time, until no more than `most` bytes are left."""
        if self._place is None:
            return
        entries = sorted(_entries(self._place), key=lambda entry: entry.used)
        too_many = sum(entry.size for entry in entries) - most
        for entry in entries:
            stale = entry.path.name.endswith(_UNFINISHED) and time.time() - entry.used > _STALE
            if too_many > 0 or stale:
                with contextlib.suppress(OSError):
                    entry.path.unlink()
                    too_many -= entry.size


def size() -> int:
    """Bytes of all entries."""
    place = folder()
    return 0 if place is None else sum(entry.size for entry in _entries(place))


class _Entry(NamedTuple):
    path: Path
    size: int
    used: float


def _entries(place: Path) -> Iterator[_Entry]:
    """The files that this module wrote, and no others."""
    with contextlib.suppress(OSError), os.scandir(place) as found:
        for each in found:
            ours = each.name.endswith(_UNFINISHED) or (len(each.name) == 64 and "." not in each.name)
            with contextlib.suppress(OSError):  # another process has removed it
                if ours and each.is_file(follow_symlinks=False):
                    about = each.stat(follow_symlinks=False)
                    yield _Entry(Path(each.path), about.st_size, about.st_mtime)


def _name(space: FeatureSpace, x: Tensor) -> str:
    """SHA-256 of whatever the features depend on."""
    computing = [torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()]
    about = [space.name, space.identity, str(x.dtype), tuple(x.shape), *computing]
    hashed = hashlib.sha256(f"1 {about}\n".encode())
    hashed.update(x.detach().cpu().contiguous().numpy().data)
    return hashed.hexdigest()


def _seal(name: str, body: bytes) -> bytes:
    return hashlib.sha256(name.encode() + body).digest()


def _read(path: Path, name: str) -> Tensor | None:
    """The features of a whole entry; None where there is none."""
    try:
        if not path.is_file():
            return None
        content = path.read_bytes()
        seal, body = content[:_HASH], content[_HASH:]
        if seal != _seal(name, body):
            return None
        features = safetensors.torch.load(body)["features"]
    except (OSError, KeyError, safetensors.SafetensorError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return features
