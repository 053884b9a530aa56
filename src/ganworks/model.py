"""A model as files: config.json, model.safetensors and a README. Loading one reads data and runs no code of it."""

import hashlib
import json
import math
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

import safetensors.torch
import torch
from jaxtyping import Float, Int64
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from ganworks import systems
from ganworks.data.excerpt import part_of
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import UsageError, error
from ganworks.explicit import Likelihood
from ganworks.game import Rows, System
from ganworks.metrics.inputs import Labels
from ganworks.random import Streams
from ganworks.settings import RunSettings, build, read
from ganworks.training import building, checkpoint, disk, stored
from ganworks.training.average import CHUNK, Average, for_sampling, sample
from ganworks.training.folder import RunFolder
from ganworks.use import features, translate
from ganworks.use.features import Encoder

FORMAT = 1
_LONGEST_CONFIG = 8 << 20

Label = int | Labels | None
"""What samples are asked for: one class, one for each sample, or as the data has them."""


@dataclass
class Model:
    """A trained system with what it takes to sample from it or to name its origin."""

    system: System
    average: Average
    run: RunSettings
    step: int
    rows: Rows | None = None
    """What a translator is given where nobody gives it anything: rows that it has not seen, if there are any."""

    @property
    def most(self) -> int:
        """Samples that are worth drawing: of a translator as many as it has rows to make them of."""
        translates = "source" in self.system.conditions and self.rows is not None
        return len(self.rows) if translates and self.rows is not None else sys.maxsize

    @cached_property
    def still(self) -> System:
        """The system in evaluation, with the averaged weights."""
        return for_sampling(self.system, self.average, self.run.seed)

    def sample(
        self, count: int, seed: int = 0, label: Label = None, truncation: float | None = None, code: Label = None
    ) -> Tensor:
        """Samples in the data's units: points (N, D), pictures (N, C, H, W) in [-1, 1].

        Sample i depends on the seed, on i, on its label or code and on the truncation alone.
        """
        return self.draw(count, seed, label, truncation, code)["x"]

    def draw(
        self,
        count: int,
        seed: int = 0,
        label: Label = None,
        truncation: float | None = None,
        code: Label = None,
        done: Callable[[int], None] = lambda rows: None,
    ) -> Batch:
        """The same samples as `x`, and the `label` or `code` of each where the system takes one.

        Args:
            label: One class, or one for each sample, as numbers; None: drawn as the data has them.
            truncation: How far from the middle latents may lie, more than 0, as the system defines it; None: anywhere.
            code: A value of the code that the system has found, or one for each sample; None: drawn.
            done: Called now and then with the samples that are there.
        Raises: UsageError if the system takes no such condition, or for a class that the data did not have.
        """
        spec = self.system.data
        given = {} if label is None else {"label": labels(self.system, count, label)}
        if truncation is not None:
            given["truncation"] = _truncations(self.system, count, truncation)
        if code is not None:
            given["code"] = codes(self.system, count, code)
        given |= self._sources(count)
        drawn = sample(self.still, count, seed, done, 0, **given) or {"x": torch.empty(0, *spec.shape), **given}
        return Batch({**drawn, "x": spec.decode(drawn["x"])})

    def at_once(self, count: int, seed: int, label: Label = None) -> Tensor:
        """Samples in the data's units from a single call of the generator: other ones than `sample` has, and sooner.

        Which they are depends on how many are asked for.
        """
        given = {} if label is None else {"label": labels(self.system, count, label)}
        given |= self._sources(count)
        random = Streams((seed, "at once"), count)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(random.key())
            return self.system.data.decode(self.still.generate(count, random, **given)["x"])

    def parts(self, count: int, seed: int = 0) -> Iterator[Tensor]:
        """The samples of `sample`, some at a time: the rest of them is not drawn yet."""
        size = max(CHUNK, part_of(self.system.data.shape) // CHUNK * CHUNK)
        for start in range(0, count, size):
            upto = min(count, start + size)
            drawn = sample(self.still, upto, seed, lambda rows: None, start, **self._sources(upto, start))
            yield self.system.data.decode(drawn["x"])

    def _sources(self, count: int, start: int = 0) -> dict[str, Tensor]:
        """What a translator makes samples `start` to `count` of, its rows in turn; nothing for other systems.

        Raises: UsageError where a translator has no rows.
        """
        if "source" not in self.system.conditions:
            return {}
        if self.rows is None:
            reason = (
                f"{self.system.name} makes samples of others: give it some, with gan.translate or ganworks translate"
            )
            raise error("E-SET-02", reason=reason, system=self.system.name)
        return self.system.given(self.rows.rows(torch.arange(start, count) % len(self.rows)))

    def classify(self, x: Tensor) -> Tensor:
        """Logits (N, K) of samples in the data's units, by the averaged weights.

        Raises: UsageError if the system learns no classes.
        """
        if not isinstance(self.still, Classifier):
            raise error("E-SET-02", reason=f"{self.system.name} does not classify", system=self.system.name)
        return self.still.classify(x)

    def features(self, x: Tensor, of: features.Side = "discriminator", label: Labels | None = None) -> Tensor:
        """Features (N, F) of samples in the data's units, by the weights that samples are drawn with.

        Args:
            of: The network: what D's last layer judges, E's latents, or what G's last layer makes a sample of.
            label: (N,), where the discriminator judges a sample as one of its label.
        Raises: UsageError if the system has no such network.
        """
        return features.of(self.still, x, of, None if label is None else torch.as_tensor(label))

    def translate(self, x: Tensor, to: int | str | None = None, seed: int = 0) -> Tensor:
        """What a translator makes of samples in the data's units, by the averaged weights.

        Args:
            x: Points (N, D), or pictures (N, C, H, W) in [-1, 1] of any height and width.
            to: Name or number of the domain they are to be of, where there are several.
            seed: Of a translator's noise.
        Raises: UsageError if the system translates nothing, for an unknown domain, or for samples of another shape.
        """
        return translate.of(self.still, x, to, seed)

    def encode(self, x: Tensor) -> Tensor:
        """Latents (N, Z) of samples in the data's units, by the averaged weights.

        Raises: UsageError if the system has no encoder.
        """
        return self._encoder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """The samples of latents (N, Z), in the data's units, by the averaged weights.

        Raises: UsageError if the system has no encoder, or if the latents have another size.
        """
        size = self.system.settings.latent.size
        if z.dim() != 2 or z.shape[1] != size:
            raise error("E-SHAPE-01", function="decode", needed=f"latents (N, {size})", got=tuple(z.shape))
        return self._encoder.decode(z)

    @property
    def _encoder(self) -> "Encoder":
        if not isinstance(self.still, Encoder):
            raise error("E-SET-02", reason=f"{self.system.name} has no encoder", system=self.system.name)
        return self.still

    @property
    def likelihood(self) -> Likelihood | None:
        """The system with the averaged weights, where it has a density."""
        return self.still if isinstance(self.still, Likelihood) else None

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x), or a lower bound, in nats: (N,), of samples in the data's units, by the averaged weights.

        Raises: UsageError if the system has no density.
        """
        if self.likelihood is None:
            raise error("E-SET-02", reason=f"{self.system.name} has no density", system=self.system.name)
        return self.likelihood.log_likelihood(x)


@runtime_checkable
class Classifier(Protocol):
    """A system that learns classes."""

    def classify(self, x: Tensor) -> Tensor: ...


@runtime_checkable
class Coded(Protocol):
    """A system that has found values of a code."""

    codes: int


def _truncations(system: System, count: int, truncation: float) -> Float[Tensor, " n"]:
    """One number for each sample. Raises: UsageError if the system truncates nothing, or for a number of 0 or less."""
    _must_take(system, "truncation")
    if not 0 < truncation < math.inf:
        raise error("E-ARG-01", reason=f"truncation is a number above 0, not {truncation}")
    return torch.full((count,), truncation)


def _must_take(system: System, condition: str) -> None:
    if condition not in system.conditions:
        able = [name for name in systems.names() if condition in systems.get(name).conditions]
        details = [f"systems that take one: {', '.join(able)}"]
        raise error("E-SET-02", reason=f"{system.name} takes no {condition}", system=system.name, details=details)


def _whole(system: System, condition: str, count: int, values: int | Labels) -> Tensor:
    """One whole number, or one for each sample. Raises: UsageError if the system takes none, or for anything else."""
    _must_take(system, condition)
    given = torch.as_tensor(values)
    if given.dtype == torch.bool or given.is_floating_point() or given.shape not in ((), (count,)):
        raise error("E-ARG-01", reason=f"`{condition}` is one whole number, or one for each of {count} samples")
    return given


def codes(system: System, count: int, code: int | Labels) -> Int64[Tensor, " n"]:
    """One value of the code for each sample.

    Raises: UsageError if the system takes none, for another number of them, or for a value that the code does not have.
    """
    given = _whole(system, "code", count, code)
    assert isinstance(system, Coded)
    if given.numel() and not 0 <= int(given.min()) <= int(given.max()) < system.codes:
        raise error("E-ARG-01", reason=f"the code has the values 0 to {system.codes - 1}")
    return given.to(torch.int64).expand(count)


def labels(system: System, count: int, label: int | Labels) -> Int64[Tensor, " n"]:
    """One label for each sample.

    Raises: UsageError if the system takes none, for another number of them, or for a class that the data did not have.
    """
    given = _whole(system, "label", count, label)
    known = {number: name for number, name in enumerate(system.data.classes) if system.data.class_weights[number]}
    strange = [number for number in given.reshape(-1).tolist() if number not in known]
    if strange:
        raise error("E-NAME-07", name=strange[0], classes=", ".join(list(known.values())[:20]))
    return given.to(torch.int64).expand(count)


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A settings file's values: those of the run, those of the system."""
    own = RunSettings.model_fields
    return {k: v for k, v in values.items() if k in own}, {k: v for k, v in values.items() if k not in own}


def save(model: Model, folder: Path) -> None:
    """Write a model folder; it appears whole or not at all.

    Raises: UsageError if the folder is there already; ResourceError if the disk is full or refuses.
    """
    if os.path.lexists(folder):
        raise error("E-USE-03", path=folder)
    content = safetensors.torch.save(_tensors(model))
    config = {
        "format": FORMAT,
        "ganworks": version("ganworks"),
        "step": model.step,
        "sha256": hashlib.sha256(content).hexdigest(),
        "run": model.run.model_dump(mode="json", by_alias=True),
        "settings": model.system.settings.model_dump(mode="json", by_alias=True),
        "data": model.system.data.model_dump(mode="json"),
    }
    partial = folder.parent / f".model-{secrets.token_hex(4)}.partial"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        disk.write_synced(partial / "model.safetensors", content)
        disk.write_synced(partial / "config.json", (json.dumps(config, indent=1) + "\n").encode())
        disk.write_synced(partial / "README.md", _card(model).encode(errors="backslashreplace"))
        disk.sync_folder(partial)
        partial.rename(folder)
        disk.sync_folder(folder.parent)
    except OSError as caught:
        raise disk.refusal(caught, folder) from caught
    finally:
        disk.discard(partial)


def _tensors(model: Model) -> dict[str, Tensor]:
    named = {f"system/{name}": tensor for name, tensor in model.system.state_dict().items()}
    named |= {f"average/{name}": tensor for name, tensor in model.average.state().items()}
    return {name: tensor.detach().contiguous() for name, tensor in named.items()}


def _card(model: Model) -> str:
    spec, run = model.system.data, model.run
    translates = "source" in model.system.conditions
    to = ', to="' + spec.classes[-1] + '"' if translates and spec.classes else ""
    command = (
        f"translate FOLDER PICTURES{' --to ' + spec.classes[-1] if to else ''}" if translates else "sample FOLDER -n 64"
    )
    call = f"translate(pictures{to})  # (N, C, H, W) in [-1, 1]" if translates else "sample(64, seed=0)"
    return f"""# {model.system.name} on {spec.name or run.data}

{model.system.paper}

Trained with ganworks {version("ganworks")} on {spec.count} {spec.kind} of shape {"×".join(map(str, spec.shape))}
(SHA-256 {spec.fingerprint or "unknown"}), {model.step} steps, seed {run.seed}.

    ganworks {command} --out {"translated" if translates else "samples"}

or in Python:

    gan = ganworks.GAN.load("FOLDER")
    gan.{call}

It draws what the data holds, with the data's gaps and mistakes, and has been scored on nothing else.
"""


def load(path: Path) -> Model:
    """A model from its folder, or from a run's newest whole checkpoint.

    Raises: UsageError if the path is neither; ModelError if its content is broken or not ours.
    """
    if (path / "config.json").is_file():
        return _from_model(path)
    return from_run(RunFolder.existing(path))


class _Numbered(BaseModel):
    format: int


class _Config(BaseModel):
    """config.json of a model: numbers and names only, each judged before anything is built from it."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: int
    ganworks: str
    step: Annotated[int, Field(ge=0)]
    sha256: str
    """Of model.safetensors."""
    run: RunSettings
    settings: dict[str, Any]
    data: DataSpec


def _from_model(path: Path) -> Model:
    config = _config(path / "config.json")
    tensors = stored.read(path / "model.safetensors", config.sha256)
    try:
        return restored(path, config.run, config.settings, config.data, tensors, config.step)
    except UsageError as caught:  # a model's settings are not the user's to correct
        raise error("E-MODEL-02", path=path, reason=building.brief(caught.what), details=caught.details) from None


def _config(path: Path) -> _Config:
    try:
        if path.stat().st_size > _LONGEST_CONFIG:
            raise error("E-MODEL-01", path=path, details=["it is far too long"])
        text = path.read_bytes()
        if (found := _Numbered.model_validate_json(text).format) > FORMAT:
            raise error("E-MODEL-03", path=path.parent, found=found, known=FORMAT)
        return _Config.model_validate_json(text)
    except OSError as caught:
        raise disk.refusal(caught, path) from None
    except ValidationError as caught:
        raise error("E-MODEL-01", path=path, details=_problems(caught)) from None


def _problems(caught: ValidationError) -> list[str]:
    found = caught.errors(include_url=False, include_input=False, include_context=False)
    return [building.brief(f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}") for each in found[:3]]


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
    """What a run wrote down about its data.

    Raises: ModelError if it cannot be read.
    """
    path = run.path / "data.json"
    try:
        return DataSpec.model_validate_json(path.read_bytes())
    except OSError as caught:
        raise error("E-MODEL-01", path=path, details=[caught.strerror or str(caught)]) from None
    except ValidationError as caught:
        raise error("E-MODEL-01", path=path, details=_problems(caught)) from None


def restored(
    path: Path, run: RunSettings, settings: Mapping[str, Any], spec: DataSpec, tensors: dict[str, Tensor], step: int
) -> Model:
    """A system built from its settings, with its weights and averages put in.

    Raises: UsageError for settings that cannot be meant; ModelError for weights that are not theirs, or not finite.
    """
    made = systems.get(run.system)
    if spec.kind not in made.accepts:
        raise error("E-MODEL-02", path=path, reason=f"{run.system} takes no {spec.kind}")
    given = build(made.Settings, settings, system=run.system, where=str(path))
    building.check(path, lambda: made(given, spec), tensors)
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and written over
        system = building.laid_out(made(given, spec))
    average = Average(system, system.settings.average)
    system.load_state_dict(_group(tensors, "system/"))
    averaged = _group(tensors, "average/")
    for name, tensor in average.state().items():
        tensor.copy_(averaged[name])
    for name, weight in [*system.named_parameters(), *average.state().items()]:
        if not weight.isfinite().all():
            raise error("E-MODEL-02", path=path, reason=f"the weight {name} is not finite")
    return Model(system, average, run, step)


def _group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


__all__ = ["FORMAT", "Model", "from_run", "load", "restored", "save", "spec_of", "split"]
