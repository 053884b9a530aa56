"""A model as files: config.json, model.safetensors and a README. Loading one reads data and runs no code of it."""

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from pydantic import ValidationError
from torch import Tensor

from ganworks import systems
from ganworks.data.spec import DataSpec
from ganworks.errors import GanworksError, error
from ganworks.game import System
from ganworks.settings import GameSettings, RunSettings, build, read
from ganworks.training import checkpoint
from ganworks.training.average import Average
from ganworks.training.folder import RunFolder

FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A trained system with what it takes to sample from it or to name its origin."""

    system: System
    average: Average
    run: RunSettings
    step: int


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A settings file's values: those of the run, those of the system."""
    own = RunSettings.model_fields
    return {k: v for k, v in values.items() if k in own}, {k: v for k, v in values.items() if k not in own}


def save(model: Model, folder: Path) -> None:
    """Write a model folder; it appears whole or not at all.

    Raises: UsageError if the folder is there already; OSError as the disk gives it.
    """
    if folder.exists():
        raise error("E-USE-03", path=folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        checkpoint.write_synced(partial / "model.safetensors", safetensors.torch.save(_tensors(model)))
        config = {
            "format": FORMAT,
            "ganworks": version("ganworks"),
            "step": model.step,
            "run": model.run.model_dump(mode="json", by_alias=True),
            "settings": model.system.settings.model_dump(mode="json", by_alias=True),
            "data": model.system.data.model_dump(mode="json"),
        }
        checkpoint.write_synced(partial / "config.json", (json.dumps(config, indent=1) + "\n").encode())
        (partial / "README.md").write_text(_card(model))
        checkpoint.sync_folder(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _tensors(model: Model) -> dict[str, Tensor]:
    named = {f"system/{name}": tensor for name, tensor in model.system.state_dict().items()}
    named |= {f"average/{name}": tensor for name, tensor in model.average.state().items()}
    return {name: tensor.detach().contiguous() for name, tensor in named.items()}


def _card(model: Model) -> str:
    spec, run = model.system.data, model.run
    return f"""# {model.system.name} on {spec.name or run.data}

{model.system.paper}

Trained with ganworks {version("ganworks")} on {spec.count} {spec.kind} of shape {"×".join(map(str, spec.shape))}
(SHA-256 {spec.fingerprint or "unknown"}), {model.step} steps, seed {run.seed}.

    ganworks sample {"FOLDER"} -n 64 --out samples

or in Python:

    gan = ganworks.GAN.load("FOLDER")
    gan.sample(64, seed=0)

It draws what the data holds, with the data's gaps and mistakes, and has been scored on nothing else.
"""


def load(path: Path) -> Model:
    """A model from its folder, or from a run's newest whole checkpoint.

    Raises: UsageError if the path is neither; ModelError if its content is broken or not ours.
    """
    if (path / "config.json").is_file():
        return _from_model(path)
    return from_run(RunFolder.existing(path))


def _from_model(path: Path) -> Model:
    try:
        config = json.loads((path / "config.json").read_text())
        if config["format"] != FORMAT:
            raise error("E-MODEL-02", path=path, reason=f"it has format {config['format']}, this version reads {FORMAT}")
        run, settings, step = RunSettings.model_validate(config["run"]), config["settings"], int(config["step"])
        spec = DataSpec.model_validate(config["data"])
        tensors = safetensors.torch.load((path / "model.safetensors").read_bytes())
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as caught:
        if isinstance(caught, GanworksError):
            raise
        raise error("E-MODEL-01", path=path, details=_first_lines(caught)) from None
    return restored(path, run, settings, spec, tensors, step)


def from_run(run: RunFolder) -> Model:
    """The newest whole checkpoint of a run, as a model."""
    settings, system_values = split(read(run.path / "config.toml"))
    spec = spec_of(run)
    found = checkpoint.latest(run.checkpoints)
    if found is None:
        raise error("E-MODEL-01", path=run.path, details=["it has no checkpoint yet"])
    given = build(RunSettings, settings, where=str(run.path / "config.toml"))
    return restored(run.path, given, system_values, spec, found.tensors, found.step)


def spec_of(run: RunFolder) -> DataSpec:
    """What a run wrote down about its data."""
    try:
        return DataSpec.model_validate_json((run.path / "data.json").read_text())
    except (OSError, ValidationError) as caught:
        raise error("E-MODEL-01", path=run.path / "data.json", details=_first_lines(caught)) from None


def restored(
    path: Path, run: RunSettings, settings: Mapping[str, Any], spec: DataSpec, tensors: dict[str, Tensor], step: int
) -> Model:
    """A system built from its settings, with its weights and averages put in."""
    made = systems.get(run.system)
    system = made(build(made.Settings, settings, system=run.system, where=str(path)), spec)
    average = Average(system, system.settings.average)
    try:
        system.load_state_dict(_group(tensors, "system/"))
        averaged = _group(tensors, "average/")
        for name, tensor in average.state().items():
            tensor.copy_(averaged[name])
    except (RuntimeError, KeyError) as caught:
        raise error("E-MODEL-02", path=path, reason="other weights than they ask for", details=_first_lines(caught)) from None
    return Model(system, average, run, step)


def _group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _first_lines(caught: BaseException) -> list[str]:
    return [line.strip() for line in f"{type(caught).__name__}: {caught}".splitlines()[:3]]


__all__ = ["FORMAT", "GameSettings", "Model", "from_run", "load", "restored", "save", "spec_of", "split"]
