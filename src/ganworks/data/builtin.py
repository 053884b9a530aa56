"""The data sets that come with ganworks: densities that are known exactly, and real handwritten digits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import torch
from torch import Tensor

from ganworks import theory
from ganworks.data.dataset import Content, DataSet, build, draw
from ganworks.data.spec import Kind
from ganworks.errors import error
from ganworks.random import generator

TABLE_ROWS = 100_000
"""Rows of a density's fixed table: enough that training never feels it is finite, 1 MB in memory."""
TRAINING_DIGITS = 8_000
_LOOKED_AT = 1_000
"""Draws of a given density at which it is looked at."""

_DENSITIES: dict[str, Callable[[], theory.Density]] = {
    "ring": theory.ring,
    "grid": theory.grid,
    "swissroll": theory.swissroll,
    "bimodal": theory.bimodal,
}


@dataclass(frozen=True)
class BuiltIn:
    """What a person should know of a built-in data set."""

    name: str
    kind: Kind
    count: int
    """Rows to train on."""
    shape: tuple[int, ...]
    """One of them: (D,) for points, (C, H, W) for images."""
    description: str
    licence: str
    source: str


EMOJI = 4_045
"""Pairs to train on, of 4,495."""
_OWN = ("Apache-2.0", "drawn from a formula")
_BUILT_IN = (
    BuiltIn("ring", "points", TABLE_ROWS, (2,), "8 Gaussian modes on a circle of radius 2, std 0.02", *_OWN),
    BuiltIn("grid", "points", TABLE_ROWS, (2,), "25 Gaussian modes on {-4, -2, 0, 2, 4} squared, std 0.05", *_OWN),
    BuiltIn("swissroll", "points", TABLE_ROWS, (2,), "a spiral t (cos t, sin t) / 6 with noise of std 0.05", *_OWN),
    BuiltIn("bimodal", "points", TABLE_ROWS, (1,), "2 Gaussian modes on a line: -2, std 0.3, and 1, std 0.6", *_OWN),
    BuiltIn(
        "digits",
        "images",
        TRAINING_DIGITS,
        (1, 28, 28),
        "real handwritten digits, 28 x 28, and 2,000 held out; one digit as digits:7",
        "CC BY-SA 3.0",
        "MNIST's test images, Yann LeCun and Corinna Cortes, from NIST's data",
    ),
    BuiltIn(
        "emoji",
        "pairs",
        EMOJI,
        (3, 64, 64),
        "emoji, line to colour, and 450 held out; needs ganworks[emoji]",
        "CC BY-SA 4.0",
        "OpenMoji, https://openmoji.org",
    ),
)


def names() -> list[BuiltIn]:
    """Every built-in data set with its kind, size, licence and source."""
    return list(_BUILT_IN)


def is_digits(name: str) -> bool:
    """Whether a name is `digits` or one of its classes, `digits:0` to `digits:9`."""
    return name == "digits" or (name[:-1] == "digits:" and name[-1] in "0123456789")


def is_density(name: str) -> bool:
    """Whether a name is that of a built-in density."""
    return name in _DENSITIES


def density(name: str) -> DataSet:
    """A built-in density: a table drawn once under a fixed key, with the mode as `label` where it has modes."""
    exact = _DENSITIES[name]()
    columns = draw(exact, TABLE_ROWS, generator("table", name))
    modes = int(columns["label"].max()) + 1 if "label" in columns else 0
    return build(Content(name, "points", columns, tuple(map(str, range(modes)))), exact, standard=False)


def given(exact: theory.Density) -> DataSet:
    """A density that somebody brings: a table as of the built-in ones, standardised, whatever its units are.

    Raises: UsageError (E-THEORY-01) if it does not draw points at which it is above 0 itself.
    """
    name = type(exact).__name__.lower()
    columns = draw(exact, TABLE_ROWS, generator("table", name))
    x, shape = columns["x"], (TABLE_ROWS, exact.dimensions)
    if x.shape != shape or not (x.isfinite().all() and exact.log_prob(x[:_LOOKED_AT].double()).isfinite().all()):
        needed = f"draws of shape {shape} where it is above 0"
        raise error("E-THEORY-01", what="training on a density", needed=needed, got=f"shape {tuple(x.shape)}")
    modes = len(exact.components) if isinstance(exact, theory.Mixture) else 0
    note = [f"{TABLE_ROWS:,} rows drawn from a density that was given: {type(exact).__name__}, D = {exact.dimensions}"]
    content = Content(name, "points", columns, tuple(map(str, range(modes))), note)
    return build(content, exact)


def digits(name: str) -> tuple[Content, Content]:
    """The packed digits, or those of one class: the rows for training, and those held out.

    One class keeps its label and the names of all ten, so that a 7 is a 7 to every network and classifier.
    """
    images, labels = _packed()
    rows = torch.arange(len(labels))
    if name != "digits":
        rows = rows[labels == int(name[-1])]
    whole = Content(name, "images", {"x": images, "label": labels}, tuple("0123456789"))
    return whole.take(rows[rows < TRAINING_DIGITS]), whole.take(rows[rows >= TRAINING_DIGITS])


@cache
def _packed() -> tuple[Tensor, Tensor]:
    with as_file(files("ganworks.data") / "digits.npz") as path, np.load(path, allow_pickle=False) as archive:
        return torch.from_numpy(archive["images"])[:, None], torch.from_numpy(archive["labels"]).long()
