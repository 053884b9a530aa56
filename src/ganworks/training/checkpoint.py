"""Checkpoints: everything in one commit, or nothing. Hashes tell whether what is read is what was written.

A commit is a folder: state.safetensors and manifest.json, written under another name, synced, read back, renamed, and
the parent synced. Whoever looks at any moment sees whole checkpoints only. Two whole ones are kept: the last, and the
last that was due by schedule, which a rollback returns to; the two last where these are one.
"""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from ganworks.errors import GanworksError, error
from ganworks.training import disk

FORMAT = 2
"""1 had no settings."""
_KEPT = 2
_REPLACED = ".replaced"
"""Ends the name of one that another of its step is to replace; it counts until the other one is there."""
_Whole = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Checkpoint:
    """One that has been read back whole."""

    step: int
    until: int
    """The step the run was to reach when it was saved."""
    tensors: dict[str, Tensor]
    settings: dict[str, Any] | None = None
    """Those of the run, as `save` was given them."""
    notes: tuple[str, ...] = ()
    """What a person should know: which newer ones were passed over, and why."""


class _Numbered(BaseModel):
    format: int


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: int
    step: _Whole
    until: _Whole
    bytes: _Whole
    sha256: str
    """Of state.safetensors."""
    settings: dict[str, Any] | None = None
    seal: str = ""
    """SHA-256 of the other fields: a flipped bit in `until` would be followed otherwise."""

    def sealed(self) -> "_Manifest":
        others = self.model_dump(exclude={"seal"}, exclude_none=True)
        digest = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
        return self.model_copy(update={"seal": digest})


class _Damaged(Exception):
    """Why a checkpoint cannot be trusted."""


def save(
    folder: Path,
    step: int,
    until: int,
    tensors: dict[str, Tensor],
    settings: Mapping[str, Any] | None = None,
    due: int | None = None,
) -> Path:
    """Commit a checkpoint and drop all but one other. One that holds this very state already stays.

    Args:
        folder: The run's `checkpoints/`.
        step: Rounds done.
        until: The step the run is to reach.
        tensors: As `Engine.state` gives them.
        settings: Of the run, nested, as JSON has them: a second copy, which nobody edits by hand.
        due: The last step that a checkpoint was due at: that one is kept beside it, else the newest other.
    Raises: ResourceError if the disk is full or refuses; the older checkpoints are untouched, nothing is left over.
    """
    content = safetensors.torch.save(tensors)
    digest = hashlib.sha256(content).hexdigest()
    own = None if settings is None else dict(settings)
    manifest = _Manifest(
        format=FORMAT, step=step, until=until, bytes=len(content), sha256=digest, settings=own
    ).sealed()
    target = folder / f"{step:06d}"
    partial = folder / f".{target.name}.partial"
    try:
        folder.mkdir(exist_ok=True)
        if not _holds(target, digest):
            _commit(partial, target, content, manifest)
        elif _read(target)[0] != manifest:
            _replace_manifest(partial, target, manifest)
    except OSError as caught:
        raise disk.refusal(caught, target, _standing(folder)) from caught
    finally:
        disk.discard(partial)
    _drop_old(folder, target, due)
    return target


def drop_after(folder: Path, step: int) -> None:
    """Drop what was saved after a step: the run goes another way from there."""
    for each in _newest_first(folder):
        if _step(each) > step:
            disk.discard(each)


def _commit(partial: Path, target: Path, content: bytes, manifest: _Manifest) -> None:
    disk.discard(partial)
    partial.mkdir()
    disk.write_synced(partial / "state.safetensors", content)
    disk.write_synced(partial / "manifest.json", _text(manifest))
    disk.sync_folder(partial)
    if (partial / "state.safetensors").read_bytes() != content:
        raise OSError(errno.EIO, "it gives back other bytes than were written")
    aside = target.with_name(f".{target.name}{_REPLACED}")
    if os.path.lexists(target):  # a broken one, or one from before a rollback
        disk.discard(aside)
        target.rename(aside)
    partial.rename(target)
    disk.sync_folder(target.parent)
    disk.discard(aside)


def _replace_manifest(partial: Path, target: Path, manifest: _Manifest) -> None:
    """The same state is to reach another step: the manifest is exchanged, old or new at any moment."""
    disk.discard(partial)
    disk.write_synced(partial, _text(manifest))
    partial.replace(target / "manifest.json")
    disk.sync_folder(target)


def _text(manifest: _Manifest) -> bytes:
    return (manifest.model_dump_json(indent=1, exclude_none=True) + "\n").encode()


def _holds(target: Path, digest: str) -> bool:
    try:
        return _read(target)[0].sha256 == digest
    except (_Damaged, GanworksError):
        return False


def _standing(folder: Path) -> list[str]:
    """What is left after a refused save, for the message."""
    try:
        whole = next((_step(each) for each in _newest_first(folder) if _is_whole(each)), None)
    except OSError:
        return []
    return [f"the checkpoint of step {whole} is untouched" if whole is not None else "there is no checkpoint yet"]


def _drop_old(folder: Path, newest: Path, due: int | None) -> None:
    """Keep the newest and one other whole one. Broken ones of any age are dropped: their steps are made again."""
    kept = 0
    with contextlib.suppress(OSError):  # the state is safe; the next save tries again
        for each in sorted(_newest_first(folder), key=lambda each: (each != newest, _step(each) != due)):
            if kept < _KEPT and (each == newest or _is_whole(each)):
                kept += 1
            else:
                disk.discard(each)


def _newest_first(folder: Path) -> list[Path]:
    found = list(folder.iterdir()) if folder.is_dir() else []
    whole = {each.name for each in found if each.name.isdecimal()}
    taken = [each for each in found if each.name in whole or (_is_replaced(each) and _name(each) not in whole)]
    return sorted(taken, key=_step, reverse=True)


def _is_replaced(path: Path) -> bool:
    return path.name == f".{_name(path)}{_REPLACED}" and _name(path).isdecimal()


def _name(path: Path) -> str:
    return path.name.removeprefix(".").removesuffix(_REPLACED)


def _step(checkpoint: Path) -> int:
    return int(_name(checkpoint))


def clear_partial(folder: Path) -> None:
    """Remove what a killed save has left, and put back what it was to replace; the run is ours alone."""
    if folder.is_dir():
        for left in folder.glob(".*.partial"):
            disk.discard(left)
        for left in filter(_is_replaced, list(folder.iterdir())):
            target = left.with_name(_name(left))
            if os.path.lexists(target):
                disk.discard(left)
            else:
                with contextlib.suppress(OSError):  # it counts under this name too
                    left.rename(target)


def _is_whole(checkpoint: Path) -> bool:
    try:
        _read(checkpoint)
    except _Damaged:
        return False
    except GanworksError:
        return True  # a later version's, and not ours to drop
    return True


def _read(checkpoint: Path) -> tuple[_Manifest, bytes]:
    """A checkpoint's manifest and state.

    Raises: _Damaged if it cannot be trusted; ModelError if a later version of ganworks has written it.
    """
    try:
        text = (checkpoint / "manifest.json").read_bytes()
        if (found := _Numbered.model_validate_json(text).format) > FORMAT:
            raise error("E-MODEL-03", path=checkpoint, found=found, known=FORMAT)
        manifest = _Manifest.model_validate_json(text)
        content = (checkpoint / "state.safetensors").read_bytes()
    except OSError as caught:
        raise _Damaged(f"cannot be read: {caught.strerror}") from None
    except ValidationError:
        raise _Damaged("has no readable manifest") from None
    if manifest.sealed() != manifest or not 1 <= manifest.format <= FORMAT:
        raise _Damaged("is damaged: its manifest is not what was written")
    if len(content) != manifest.bytes or hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise _Damaged("is damaged: its hash does not agree")
    if manifest.step != _step(checkpoint):
        raise _Damaged(f"is that of step {manifest.step}")
    return manifest, content


def latest(folder: Path, every: int = 1) -> Checkpoint | None:
    """The newest checkpoint whose hash agrees; None where none was ever saved.

    Args:
        every: Steps between two that are due: these come before those that a stop has left, however new.
    Raises: ModelError if there are some and none can be trusted, or a later version has written the newest.
    """
    problems: list[str] = []
    for checkpoint in sorted(_newest_first(folder), key=lambda each: _step(each) % every > 0):
        try:
            manifest, content = _read(checkpoint)
            tensors = safetensors.torch.load(content)
        except (_Damaged, safetensors.SafetensorError) as caught:
            problems.append(f"checkpoint {_name(checkpoint)} {caught}")
            continue
        notes = tuple(f"{problem}; an older one is taken" for problem in problems)
        return Checkpoint(manifest.step, manifest.until, tensors, manifest.settings, notes)
    if problems:
        raise error("E-MODEL-01", path=folder, details=problems)
    return None
