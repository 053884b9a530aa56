"""Where a training starts from: the weights of a model, or of another run."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganworks import model
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.settings import RunSettings
from ganworks.training.engine import Engine

_STRUCTURE = (("latent", "size"), ("generator", "width"), ("discriminator", "width"), ("view", "pack"),
              ("autoencoder", "width"))  # fmt: skip
"""Settings that decide about shapes, beside the data."""


@dataclass(frozen=True)
class Origin:
    """A trained model, as far as a new run may take it over.

    Attributes:
        system: Its name.
        settings: Of the system, nested: what the new run has unless somebody names others.
        tensors: Weights and averages as a checkpoint names them: `system/…`, `average/…`.
        sha256: Of these.
    """

    path: Path
    system: str
    step: int
    settings: Mapping[str, Any]
    spec: DataSpec
    tensors: Mapping[str, Tensor]
    sha256: str

    @property
    def size(self) -> int:
        """The side of its pictures, which picture files are brought to; 0 where they have none."""
        return self.spec.shape[1] if self.spec.pictures and self.spec.shape[1] == self.spec.shape[2] else 0

    def start(self, engine: Engine) -> list[str]:
        """Give a fresh engine these weights and averages, tensor by tensor; gives what to tell about it.

        What belongs to no player's networks stays fresh: the objective's running means, old fakes.

        Raises: ModelError if no weight fits; UsageError for a system that trains no weights.
        """
        if not engine.players:
            reason = f"{engine.system.name} is fitted anew each time and takes nothing over: leave --from out"
            raise error("E-USE-01", verb="train", reason=reason)
        owned = {network for player in engine.players.values() for network in player.networks}
        here = {name: each for name, each in engine.system.state_dict().items() if name.split(".")[0] in owned}
        there = {name: self.tensors[f"system/{name}"] for name in here if f"system/{name}" in self.tensors}
        fitting = {name: tensor for name, tensor in there.items() if _form(tensor) == _form(here[name])}
        others = [f"{name}: {_form(there.get(name))} there, {_form(here[name])} here" for name in here.keys() - fitting]
        reasons = self._reasons(engine)
        if not any(tensor.ndim > 1 for tensor in fitting.values()):
            reason = "; ".join(reasons) or "its networks are others"
            raise error("E-MODEL-05", path=self.path, reason=reason, details=sorted(others)[:9])
        engine.system.load_state_dict(fitting, strict=False)
        averaged = self._averages(engine)
        count = sum(tensor.numel() for tensor in fitting.values())
        networks = _listed(sorted({name.split(".")[0] for name in fitting}))
        average = f", and the average of {_listed(averaged)}" if averaged else ""
        told = [
            f"taken over from {self.path}, {self.system} after {self.step} steps: the weights of {networks}"
            f" ({len(fitting)} tensors, {count:,} numbers){average}"
        ]
        because = f" ({'; '.join(reasons)})" if reasons else ""
        fresh = f"; and {'; '.join(sorted(others))}{because}" if others else ""
        return [*told, f"starts afresh: optimizers, schedules and counters{fresh}", *self._renamed(engine.system.data)]

    def _averages(self, engine: Engine) -> list[str]:
        """Averages that fit are taken over, others begin at the weights; gives the networks of the former."""
        weights = dict(engine.system.named_parameters())
        networks = set()
        with torch.no_grad():
            for name, kept in engine.average.state().items():
                theirs = self.tensors.get(f"average/{name}")
                fits = theirs is not None and _form(theirs) == _form(kept)
                kept.copy_(theirs if theirs is not None and fits else weights[name])
                networks |= {name.split(".")[0]} if fits else set()
        return sorted(networks)

    def _reasons(self, engine: Engine) -> list[str]:
        """Why shapes differ, as far as data and settings tell."""
        one, two = self.spec, engine.system.data
        found = []
        if (one.kind, one.shape) != (two.kind, two.shape):
            found.append(f"{one.kind} of {_times(one.shape)} there, {two.kind} of {_times(two.shape)} here")
        if len(one.classes) != len(two.classes):
            found.append(f"{len(one.classes)} classes there, {len(two.classes)} here")
        now = engine.system.settings.model_dump(by_alias=True)
        for group, name in _STRUCTURE:
            before, after = (each.get(group, {}).get(name) for each in (self.settings, now))
            if before != after:
                found.append(f"{group}.{name} is {before} there, {after} here")
        return found

    def _renamed(self, spec: DataSpec) -> list[str]:
        """Classes are taken over by their number."""
        one, two = self.spec.classes, spec.classes
        if one == two or len(one) != len(two):
            return []
        changed = [f"{a} is {b} now" for a, b in zip(one, two, strict=True) if a != b]
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        return [f"classes are taken over by their number: {', '.join(changed[:5])}{more}"]


def origin_of(run: RunSettings, where: str) -> Origin:
    """The model or run that these settings start from.

    Args:
        where: The settings file, for messages.
    Raises: UsageError if it is neither, or of another system; ModelError if it is broken, or not what it was.
    """
    path = Path(run.start_from)
    found = model.load(path)
    if run.system and run.system != found.run.system:
        raise error("E-RUN-05", path=path, found=found.run.system, asked=run.system)
    tensors = {f"system/{name}": tensor for name, tensor in found.system.state_dict().items()}
    tensors |= {f"average/{name}": tensor for name, tensor in found.average.state().items()}
    sha256 = _digest(tensors)
    if run.start_from_sha256 not in ("", sha256):
        raise error("E-MODEL-04", path=path, config=Path(where))
    settings = found.system.settings.model_dump(mode="json", by_alias=True)
    return Origin(path, found.run.system, found.step, settings, found.system.data, tensors, sha256)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and numbers: the same whether they come from a model or a checkpoint."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name}\0{_form(tensor)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _form(tensor: Tensor | None) -> str:
    if tensor is None:
        return "nothing"
    kind = "" if tensor.dtype == torch.float32 else f"{str(tensor.dtype).removeprefix('torch.')} "
    return kind + (_times(tensor.shape) if tensor.ndim else "one number")


def _times(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
