"""A data set: rows kept as they came, a spec that travels with the model, and a part that is held out."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from ganworks.data.gallery import Column, Gallery, Made
from ganworks.data.spec import Batch, DataSpec, Kind
from ganworks.errors import error
from ganworks.random import generator
from ganworks.theory import Density, Mixture


@dataclass(frozen=True)
class Content:
    """Rows as a reader returns them, before anything is held out.

    Args:
        columns: `x`, (N, D) float32 or pictures (N, C, H, W) as uint8 or as float32 in [-1, 1]; `label`, (N,) int64,
            where there are labels. Pairs have `source` and `target` in the place of `x`, and domains `domain` in that
            of `label`. Pictures in files may be a `Gallery`.
        classes: Names of the labels or domains 0 ... K-1.
        note: What was decided while reading, one sentence each.
        keys: A hash of each row's name, which decides what is held out; None: the row's number does.
        fingerprint: SHA-256 of what was read; empty: of the columns.
        shorter: Pixels of picture files' shorter side before they were brought to a size, the median; 0 of other data.
        derived: How the sources of pairs were made of their targets; empty: they were there.
    """

    name: str
    kind: Kind
    columns: Mapping[str, Column]
    classes: tuple[str, ...] = ()
    note: list[str] = field(default_factory=list)
    keys: NDArray[np.uint64] | None = None
    fingerprint: str = ""
    shorter: float = 0.0
    derived: str = ""

    def __len__(self) -> int:
        return len(self.made)

    @property
    def made(self) -> Column:
        """The column that a system learns to make."""
        return self.columns["target" if self.kind == "pairs" else "x"]

    @property
    def labels(self) -> Tensor | None:
        """The class or domain of each row, where there are any."""
        found = self.columns.get("domain", self.columns.get("label"))
        assert found is None or isinstance(found, Tensor)
        return found

    def take(self, indices: Int64[Tensor, "n"]) -> "Content":
        """A copy of some rows."""
        columns = {key: column[indices] for key, column in self.columns.items()}
        keys = None if self.keys is None else self.keys[indices.numpy()]
        return replace(self, columns=columns, keys=keys)


class DataSet:
    """Rows to train on. `d[i]` is one of them, `d.rows(indices)` a batch, `d.held_out` the rows kept for scoring.

    Args:
        spec: What systems may know of the data.
        columns: As in `Content`.
        density: Where the rows were drawn from a known density: `fresh` draws more of them.
        held_out: Rows that training never sees.
        note: What was decided while reading, one sentence each.
        mirror: Every picture is there twice, the second time with left and right exchanged: row n + i mirrors row i.
        shorter: As in `Content`.
    """

    def __init__(
        self,
        spec: DataSpec,
        columns: Mapping[str, Column],
        density: Density | None = None,
        held_out: "DataSet | None" = None,
        note: Sequence[str] = (),
        *,
        mirror: bool = False,
        shorter: float = 0.0,
    ) -> None:
        self.spec = spec
        self.density = density
        self.held_out = held_out
        self.note = list(note)
        self.columns = dict(columns)
        self.shorter = shorter
        self._mirrored = spec.count // 2 if mirror else None

    @property
    def name(self) -> str:
        """The built-in's name, or that of the file or folder."""
        return self.spec.name

    def __len__(self) -> int:
        return self.spec.count

    def __repr__(self) -> str:
        return f"DataSet({self.name!r}, {self.spec.kind}, {len(self)} x {self.spec.shape})"

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One row: what `rows` gives, without its first axis."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return {key: column[0] for key, column in self.rows(torch.tensor([index % len(self)])).items()}

    def rows(self, indices: Int64[Tensor, "n"]) -> Batch:
        """Some rows, in the user's units: `x` float32 (n, D) or (n, C, H, W) in [-1, 1], `label` int64 (n,).

        Pairs have `source` and `target` for `x`, domains `domain` for `label`.
        """
        twins = None if self._mirrored is None else indices >= self._mirrored
        read = indices if self._mirrored is None else indices % self._mirrored
        taken = {key: column.index_select(0, read) for key, column in self.columns.items()}
        for key, values in taken.items():
            if values.dtype == torch.uint8:
                taken[key] = values.float().div_(127.5).sub_(1)
            if twins is not None and values.dim() == 4:
                taken[key][twins] = taken[key][twins].flip(-1)
        return Batch(taken)

    @property
    def labels(self) -> Int64[Tensor, "n"]:
        """The class or domain of each row; empty where there are none."""
        found = self.columns.get("domain", self.columns.get("label", torch.empty(0).long()))
        assert isinstance(found, Tensor)
        return found if self._mirrored is None else torch.cat([found, found])

    @property
    def streamed(self) -> bool:
        """Whether rows are read from files when they are asked for."""
        return any(isinstance(column, Gallery | Made) for column in self.columns.values())

    def expect(self, indices: Int64[Tensor, "n"]) -> None:
        """Begin to read rows that will be asked for soon."""
        for column in self.columns.values():
            if isinstance(column, Gallery | Made):
                column.expect(indices if self._mirrored is None else indices % self._mirrored)

    def fresh(self, count: int, seed: int) -> Batch:
        """New rows from the density, the same for the same seed; they are never rows of the table."""
        assert self.density is not None, f"{self.name} has no density to draw from"
        return Batch(draw(self.density, count, generator(seed, "fresh", self.name)))


def draw(density: Density, count: int, random: torch.Generator) -> dict[str, Tensor]:
    """Rows of a density: `x`, and for a mixture the component as `label`."""
    if isinstance(density, Mixture):
        x, component = density.sample_with_component(count, random)
        return {"x": x, "label": component}
    return {"x": density.sample(count, random)}


def build(
    whole: Content,
    density: Density | None = None,
    rows: Int64[Tensor, "n"] | None = None,
    *,
    mirror: bool = False,
    standard: bool = True,
) -> DataSet:
    """Make the data set that trains on some rows of what was read; None takes all of them.

    Weights, centre and scale are those of the training rows; the fingerprint is that of the whole content, so a model
    recognises its data however they are split.

    Args:
        standard: Points are standardised inside; else they are taken as they are.
    """
    train = whole if rows is None else whole.take(rows)
    x = train.made
    center, scale = _standard(x) if isinstance(x, Tensor) and whole.kind == "points" and standard else ((), ())
    spec = DataSpec(
        kind=whole.kind,
        shape=tuple(x.shape[1:]),
        source=tuple(train.columns["source"].shape[1:]) if whole.kind == "pairs" else (),
        derived=whole.derived,
        count=len(train) * (2 if mirror else 1),
        name=whole.name,
        fingerprint=whole.fingerprint or fingerprint(whole.columns),
        classes=whole.classes,
        class_weights=_shares(train),
        center=center,
        scale=scale,
    )
    return DataSet(spec, train.columns, density, note=whole.note, mirror=mirror, shorter=whole.shorter)


def hold_out(train: DataSet, held: Content) -> None:
    """Give a data set its held-out part, with the training part's classes, weights, centre and scale.

    Raises: DataError if kind or shape differ, or if a class is not one of the training part's.
    """
    spec = train.spec
    needed = f"{spec.kind} of shape {spec.shape}"
    got = f"{held.kind} of shape {tuple(held.made.shape[1:])}"
    if got != needed:
        raise error("E-DATA-10", where=held.name, got=got, needed=needed)
    columns: dict[str, Column] = {
        name: held.columns[name] for name in ("x", "source", "target") if name in held.columns
    }
    if spec.classes:
        columns["domain" if held.kind == "domains" else "label"] = _recoded(held, spec.classes)
    spec = spec.model_copy(update={"count": len(held), "fingerprint": held.fingerprint or fingerprint(columns)})
    train.held_out = DataSet(spec, columns, note=held.note)


def _recoded(held: Content, classes: tuple[str, ...]) -> Tensor:
    """Labels that number the training part's classes, whatever classes the held-out part has."""
    strange = [name for name in held.classes if name not in classes]
    if strange or not held.classes:
        got = f"of class '{strange[0]}'" if strange else "without labels"
        raise error("E-DATA-10", where=held.name, got=got, needed=f"of the classes {', '.join(classes)}")
    assert held.labels is not None
    return torch.tensor([classes.index(name) for name in held.classes])[held.labels]


def fingerprint(columns: Mapping[str, Column]) -> str:
    """SHA-256 of names, types, shapes and bytes of columns in memory, in hexadecimal."""
    digest = hashlib.sha256()
    for key in sorted(columns):
        column = columns[key]
        assert isinstance(column, Tensor), "pictures in files bring a fingerprint of their own"
        array = column.contiguous().numpy()
        digest.update(f"{key} {array.dtype.newbyteorder('<').str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _shares(content: Content) -> tuple[float, ...]:
    if content.labels is None:
        return ()
    counts = torch.bincount(content.labels, minlength=len(content.classes))
    return tuple((counts.double() / len(content)).tolist())


def _standard(x: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every column, in float64 (float32 sums lose the small spread of a far column)."""
    values = x.numpy().astype(np.float64)
    deviation = values.std(0)
    # Rounding gives a constant column a deviation of 1e-17, and dividing by that would blow it up.
    deviation[(x == x[0]).all(0).numpy()] = 1.0
    return tuple(values.mean(0).tolist()), tuple(deviation.tolist())
