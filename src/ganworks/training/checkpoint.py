"""Checkpoints: everything in one commit, or nothing. A hash tells whether what is read is what was written.

A commit is a folder: state.safetensors and manifest.json, written under another name, synced, renamed, and the parent
synced. Whoever looks at any moment sees whole checkpoints only. The last two are kept.
"""

import errno
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from ganworks.errors import GanworksError, error

FORMAT = 1
_KEPT = 2
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Checkpoint:
    """One that has been read back whole."""

    step: int
    until: int
    """The step the run was to reach when it was saved."""
    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()
    """What a person should know: which newer ones were passed over, and why."""


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
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save(folder: Path, step: int, until: int, tensors: dict[str, Tensor]) -> Path:
    """Commit a checkpoint and drop all but the last two.

    Args:
        folder: The run's `checkpoints/`.
        step: Rounds done.
        until: The step the run is to reach.
        tensors: As `Engine.state` gives them.
    Raises: ResourceError if the disk is full or refuses; older checkpoints are untouched then, and nothing is left over.
    """
    target, partial = folder / f"{step:06d}", folder / f".{step:06d}.partial"
    try:
        folder.mkdir(exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        content = safetensors.torch.save(tensors)
        digest = hashlib.sha256(content).hexdigest()
        write_synced(partial / "state.safetensors", content)
        manifest = {"format": FORMAT, "step": step, "until": until, "bytes": len(content), "sha256": digest}
        write_synced(partial / "manifest.json", json.dumps(manifest, indent=1).encode())
        sync_folder(partial)
        if target.exists():
            shutil.rmtree(target)  # a broken one: a whole one of this step holds the same bits and is not saved again
        partial.rename(target)
        sync_folder(folder)
    except OSError as caught:
        shutil.rmtree(partial, ignore_errors=True)
        raise _refused(caught, target, folder) from caught
    if _problem(target) is None:
        for old in _newest_first(folder)[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
    return target


def _refused(caught: OSError, target: Path, folder: Path) -> GanworksError:
    whole = next((each.name for each in _newest_first(folder) if _problem(each) is None), None)
    standing = [f"the checkpoint of step {int(whole)} is untouched" if whole else "there is no checkpoint yet"]
    if caught.errno in _FULL:
        return error("E-ENV-01", path=target, details=standing)
    return error("E-ENV-02", path=target, reason=caught.strerror or str(caught), details=standing)


def _newest_first(folder: Path) -> list[Path]:
    found = [each for each in folder.iterdir() if each.name.isdecimal()] if folder.is_dir() else []
    return sorted(found, key=lambda each: int(each.name), reverse=True)


def clear_partial(folder: Path) -> None:
    """Remove what a killed save has left; the run is ours alone."""
    if folder.is_dir():
        for left in folder.glob(".*.partial"):
            shutil.rmtree(left, ignore_errors=True)


def _problem(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be trusted, or None."""
    try:
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        content = (checkpoint / "state.safetensors").read_bytes()
        if manifest["format"] != FORMAT:
            return f"has format {manifest['format']}, this version reads {FORMAT}"
        if hashlib.sha256(content).hexdigest() != manifest["sha256"]:
            return "is damaged: its hash does not agree"
        return None if int(manifest["step"]) == int(checkpoint.name) and manifest["until"] >= 0 else "is misnamed"
    except OSError as caught:
        return f"cannot be read: {caught.strerror}"
    except (ValueError, KeyError, TypeError):
        return "has no readable manifest"


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose hash agrees; None where none was ever saved.

    Raises: ModelError if there are some and none can be trusted.
    """
    problems: list[str] = []
    for checkpoint in _newest_first(folder):
        problem = _problem(checkpoint)
        if problem is None:
            return _read(checkpoint, tuple(problems))
        problems.append(f"checkpoint {checkpoint.name} {problem}; an older one is taken")
    if problems:
        details = [text.removesuffix("; an older one is taken") for text in problems]
        raise error("E-MODEL-01", path=folder, details=details)
    return None


def _read(checkpoint: Path, notes: tuple[str, ...]) -> Checkpoint:
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    try:
        tensors = safetensors.torch.load((checkpoint / "state.safetensors").read_bytes())
    except safetensors.SafetensorError as caught:
        raise error("E-MODEL-01", path=checkpoint, details=[str(caught)]) from None
    return Checkpoint(int(manifest["step"]), int(manifest["until"]), tensors, notes)
