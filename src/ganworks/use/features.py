"""What a trained system knows of samples, as rows of numbers for other models to go on from; and how much that is.

Of the discriminator: what its last layer judges. Of the encoder: the latents. Of the generator: what its last layer
makes a sample of, on the way back from the encoder's latents.

Letters: N rows, F features.
"""

import inspect
import io
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ganworks import systems
from ganworks.data.dataset import DataSet
from ganworks.errors import error
from ganworks.game import System
from ganworks.metrics import linear
from ganworks.metrics.interval import interval, share
from ganworks.networks.pair import Featured
from ganworks.random import generator, key
from ganworks.training import disk
from ganworks.training.building import laid_out

Side = Literal["discriminator", "encoder", "generator"]
Rows = Float[Tensor, "n ..."]
Kept = Float[Tensor, "n f"]
Known = Int64[Tensor, " n"]
_AT_ONCE = 250
_LEVEL = 0.95
_FEWEST = 20
"""Labels of a probe: a fifth of them chooses its penalty."""


@runtime_checkable
class Encoder(Protocol):
    """A system that leads from samples to latents and back."""

    def encode(self, x: Tensor) -> Tensor: ...

    def decode(self, z: Tensor) -> Tensor: ...


@torch.no_grad()
def of(system: System, x: Rows, side: Side = "discriminator", label: Known | None = None) -> Kept:
    """Features of samples in the data's units: one row each, in their order.

    Args:
        system: In evaluation, as `for_sampling` returns it.
        label: (N,), for a discriminator that judges a sample as one of its label.
    Raises: UsageError where the system has no such network, or it is not made to look at a sample alone.
    """
    look = {"discriminator": _judges, "encoder": _encodes, "generator": _makes}[side](system, label is not None)
    if not len(x):
        raise error("E-ARG-01", reason="features of no rows were asked for")
    parts = torch.split(x, _AT_ONCE), torch.split(torch.zeros(len(x)) if label is None else label, _AT_ONCE)
    return torch.cat([look(*part).flatten(1).float() for part in zip(*parts, strict=True)])


Look = Callable[[Tensor, Tensor], Tensor]


def _judges(system: System, labelled: bool) -> Look:
    network = getattr(system, "discriminator", None)
    if not isinstance(network, Featured):
        raise _none(system, "discriminator", "discriminator")
    if (pack := system.settings.view.pack) > 1:
        reason = f"this discriminator judges packs of {pack} samples, and has no features of a single one"
        raise error("E-SET-02", reason=reason, system=system.name)
    asked = inspect.signature(network.features).parameters
    if "source" in asked:
        raise error(
            "E-SET-02", reason="this discriminator judges pairs, and has no features of one", system=system.name
        )
    if "label" in asked and not labelled:
        reason = f"the discriminator of {system.name} judges samples with their labels, and there are none"
        raise error("E-SET-02", reason=reason, system=system.name)

    def look(x: Tensor, label: Tensor) -> Tensor:
        given = {"x": system.data.encode(x)}
        if "label" in asked:
            given["label"] = label
        if "z" in asked:  # it judges pairs: of a sample the one with its latent
            assert isinstance(system, Encoder)
            given["z"] = system.encode(x)
        return network.features(**given)

    return look


def _encodes(system: System, labelled: bool) -> Look:
    if not isinstance(system, Encoder):
        raise _none(system, "encoder", "encode")
    return lambda x, label: system.encode(x)


def _makes(system: System, labelled: bool) -> Look:
    if not isinstance(system, Encoder):
        raise _none(system, "encoder, which would lead to its generator's features", "encode")
    network = getattr(system, "generator", None)
    if not isinstance(network, Featured):
        reason = f"this generator of {system.name} has no features: its last layer is not the only one that draws"
        raise error("E-SET-02", reason=reason, system=system.name)
    return lambda x, label: network.features(system.encode(x))


def _none(system: System, what: str, name: str) -> Exception:
    able = [each for each in systems.names() if hasattr(systems.get(each), name)] if name == "encode" else []
    details = [f"systems that have one: {', '.join(able)}"] if able else []
    return error("E-SET-02", reason=f"{system.name} has no {what}", system=system.name, details=details)


@dataclass(frozen=True)
class Table:
    """Features of every row of a data set: its training part first, then what it holds out, each in its own order."""

    features: Kept
    label: Known | None
    held_out: int
    """How many rows at the end are held out."""

    def write(self, out: Path, classes: tuple[str, ...] = ()) -> None:
        """Write an archive of arrays; it appears whole or not at all.

        `features` (N, F) float32, `row` (N,) the number of a row in its part, `held_out` (N,) whether that is the
        held-out one; where there are labels, `label` (N,) and `classes`, their names.

        Raises: UsageError as `check_file`; ResourceError if the disk is full or refuses.
        """
        check_file(out)
        count = len(self.features)
        first = count - self.held_out
        arrays: dict[str, Any] = {
            "features": self.features.numpy(),
            "row": np.concatenate([np.arange(first), np.arange(self.held_out)]),
            "held_out": np.arange(count) >= first,
        }
        if self.label is not None:
            arrays |= {"label": self.label.numpy(), "classes": np.array(classes)}
        packed = io.BytesIO()  # NumPy's own way into a file hides why the disk refused
        np.savez(packed, **arrays)
        partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(packed.getbuffer())
            partial.replace(out)
        except OSError as caught:
            raise disk.refusal(caught, out) from caught
        finally:
            partial.unlink(missing_ok=True)


def check_file(out: Path) -> None:
    """Refuse a file that is there already, or whose name would not be read as what it is.

    Raises: UsageError.
    """
    if out.suffix != ".npz":
        raise error("E-USE-01", verb="features", reason=f"--out names an .npz file, and {out} is none")
    if os.path.lexists(out):
        raise error("E-USE-01", verb="features", reason=f"{out} is there already: give --out a new name")


def table(
    system: System, data: DataSet, side: Side = "discriminator", done: Callable[[int, int], None] | None = None
) -> Table:
    """Features of every row. `done` is called now and then with the rows that are finished, and how many there are."""
    parts = [data, *([] if data.held_out is None else [data.held_out])]
    whole = sum(map(len, parts))
    found: list[Tensor] = []
    labels: list[Tensor] = []
    for part in parts:
        for rows in torch.split(torch.arange(len(part)), 4 * _AT_ONCE):
            batch = part.rows(rows)
            found.append(of(system, batch.made, side, batch.get("label")))
            labels += [batch["label"]] if "label" in batch else []
            if done is not None:
                done(sum(map(len, found)), whole)
    label = torch.cat(labels) if labels else None
    return Table(torch.cat(found), label, 0 if data.held_out is None else len(data.held_out))


@dataclass(frozen=True)
class Probed:
    """What a linear probe of some features got right of the held-out rows."""

    name: str
    features: int
    accuracy: float
    low: float
    high: float
    """Wilson's interval: other held-out rows might have given this."""
    labels: int
    tested: int
    penalty: float
    right: Tensor
    """(M,), which of the held-out rows."""

    def as_dict(self) -> dict[str, Any]:
        """Without `right`."""
        return {name: value for name, value in asdict(self).items() if name != "right"}


def probes(system: System, data: DataSet, labels: int, side: Side = "discriminator", seed: int = 0) -> list[Probed]:
    """Linear probes of the same labelled rows: of trained features, of those of fresh weights, and of the raw samples.

    Args:
        data: With labels and a held-out part.
        labels: N, so many rows of the training part.
        seed: Of which rows they are, and of the fresh weights.
    Raises: UsageError where that cannot be done.
    """
    held = data.held_out
    if not data.spec.classes or held is None:
        lacking = "labels" if not data.spec.classes else "a held-out part, to be tested on"
        raise error("E-ARG-01", reason=f"a probe needs data with {lacking}, and {data.name} has none")
    if not _FEWEST <= labels <= len(data):
        reason = f"a probe takes from {_FEWEST} labels to the {len(data)} of the training part, not {labels}"
        raise error("E-ARG-01", reason=reason)
    chosen = torch.randperm(len(data), generator=generator(seed, "probe"))[:labels]
    known, asked = data.rows(chosen), held.rows(torch.arange(len(held)))
    spaces = {f"{side}, trained": system, f"{side}, fresh weights": fresh(system, seed), "the samples themselves": None}
    found = []
    for name, made in spaces.items():
        x, other = (
            part["x"].flatten(1) if made is None else of(made, part["x"], side, part["label"])
            for part in (known, asked)
        )
        probe = linear.linear_probe(x, known["label"], other, len(data.spec.classes))
        right = probe.predicted == asked["label"]
        estimate = share(right.double().mean().item(), len(right))
        low, high = interval(estimate, _LEVEL)
        found.append(Probed(name, x.shape[1], estimate.value, low, high, labels, len(right), probe.penalty, right))
    return found


def fresh(system: System, seed: int) -> System:
    """The same system before any training."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "init"))
        made = laid_out(type(system)(system.settings, system.data))
    assert isinstance(made, nn.Module)
    return made.eval()
