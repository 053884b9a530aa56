"""What samples are beside held-out rows: how far away, how many kinds of them, and whether labels matter."""

import contextlib
import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganworks.data import excerpt
from ganworks.data.dataset import DataSet
from ganworks.data.spec import Batch
from ganworks.diagnosis import measures
from ganworks.errors import UsageError
from ganworks.metrics.bins import centers_of
from ganworks.metrics.spaces import Classifier, FeatureSpace
from ganworks.random import generator
from ganworks.theory import Mixture

POINTS, PICTURES = 512, 256
"""Rows of each kind that are compared."""
_KINDS, _FITTED = 16, 1_000
"""Bins where neither classes nor modes are known, and the training rows that they are fitted to."""
_MOST_MODES = 128
_LINES = 48
_TOLD = 256
"""Rows of each kind whose nearest neighbours are looked for: that costs the square."""
_LEAST = 2
_MEANS = 2
"""Directions of the largest variance along which the samples' mean is recorded."""
_NOTHING = 1e-12
"""Of the largest number: what rounding leaves of a direction in which rows do not differ."""


class Beside:
    """Held-out rows, seen in a feature space, and the samples that are compared with them.

    Args:
        data: Whose held-out rows; all of them where nothing is held out, fresh draws where the density is known.
        space: Where rows are compared.
        seed: Of the run.

    Attributes:
        count: Rows of each kind; where it is 0 there are too few, and nothing can be asked.
    """

    def __init__(self, data: DataSet, space: FeatureSpace, seed: int) -> None:
        self.data, self.space = data, space
        self.count = self._count()
        if not self.count:
            return
        real, other = self._rows(self.count, seed, 0), self._rows(self.count, seed, 1)
        self.real, floor = self._features(real.made), self._features(other.made)
        self._label = real.get("label")
        self.lines = torch.nn.functional.normalize(
            torch.randn(self.real.shape[1], _LINES, generator=generator(seed, "probe", "lines")), dim=0
        )
        self.floor = measures.sliced_distance(self.real, floor, self.lines)
        self.floor_label = self._labelled(floor, other["label"]) if "label" in other else 0.0
        self._spread, self._rank = measures.spread(self.real), measures.effective_rank(self.real)
        self._center = self.real.double().mean(0)
        _, width, main = torch.linalg.svd(self.real.double() - self._center, full_matrices=False)
        used = int((width[:_MEANS] > _NOTHING * self.real.abs().max()).sum())
        self._main, self._deviation = main[:used].T, width[:used] / math.sqrt(self.count - 1)
        self._centers = self._kinds(seed)
        self._kinds_of_real = measures.effective_number(self._histogram(self.real))

    def _count(self) -> int:
        """Rows of each kind; 0 below two, for one row differs from nothing.

        To cut the longer of two kinds would leave the first classes, where data are sorted by class.
        """
        data, most = self.data, POINTS if not self.data.spec.pictures else PICTURES
        if data.density is not None:
            return most
        there = min(most, len(data) // 2 if data.held_out is None else min(len(data), len(data.held_out)))
        return there if there >= _LEAST else 0

    def _rows(self, count: int, seed: int, which: int) -> Batch:
        """Held-out rows (0) or other real rows (1), for the floor."""
        data = self.data
        if data.density is not None:
            return data.fresh(count, 10 + 2 * seed + which)
        source = data.held_out if data.held_out is not None and not which else data
        ((_, index),) = excerpt.spread(source, 2 * count if data.held_out is None else count).chosen
        if data.held_out is None:
            index = index[which::2]  # nothing is held out: two halves of what there is
        return source.rows(index)

    def _features(self, x: Tensor) -> Float[Tensor, "n f"]:
        return self.space(x).float()

    def _kinds(self, seed: int) -> Tensor | None:
        """Centres of the kinds: the modes of a known density, or cells; None where a classifier knows classes."""
        density = self.data.density
        if isinstance(density, Mixture) and 1 < len(density.weights) <= _MOST_MODES:
            with contextlib.suppress(UsageError):  # its parts may have no centres
                return density.means.float()
        if isinstance(self.space, Classifier):
            return None
        rows = self._rows(_FITTED, seed, 1).made
        return centers_of(self._features(rows).double(), min(_KINDS, len(rows)), seed).float()

    def _histogram(self, features: Float[Tensor, "n f"]) -> Float[Tensor, " k"]:
        if self._centers is None:
            assert isinstance(self.space, Classifier)
            return torch.bincount(self.space.classify(features).argmax(1), minlength=self.space.classes).double()
        return measures.histogram(features, self._centers)

    def look(self, averaged: Tensor, online: Tensor) -> dict[str, float]:
        """Numbers of as many samples in the data's units, by the averaged weights and by those that play.

        Nothing where a sample is not finite.
        """
        kept, now = self._features(averaged), self._features(online)
        if not (kept.isfinite().all() and now.isfinite().all()):
            return {}
        means = (now.double().mean(0) - self._center) @ self._main / self._deviation
        return measures.known({
            "probe.distance": measures.sliced_distance(self.real, kept, self.lines),
            "probe.distance_online": measures.sliced_distance(self.real, now, self.lines),
            "probe.distance_floor": self.floor,
            "probe.told_apart": measures.told_apart(self.real[:_TOLD], now[:_TOLD]),
            "probe.spread": measures.over(measures.spread(now), self._spread),
            "probe.rank": measures.over(measures.effective_rank(now), self._rank),
            "probe.kinds": measures.effective_number(self._histogram(now)) / self._kinds_of_real,
            **{f"probe.mean.{index + 1}": float(value) for index, value in enumerate(means)},
        })  # fmt: skip

    def _labelled(self, features: Float[Tensor, "n f"], label: Int64[Tensor, " n"]) -> float:
        """How often the nearest held-out row has the label of a row."""
        assert self._label is not None
        return float((self._label[measures.nearest(features, self.real)] == label).double().mean())

    def condition(self, draw: Callable[[Int64[Tensor, " n"]], Tensor]) -> dict[str, float]:
        """Whether labels matter to a generator.

        Args:
            draw: Samples of so many labels, always from the same latents.
        """
        if self._label is None:
            return {}
        shifted = self._label.roll(len(self._label) // 2)  # rows may be sorted by label
        own, other = self._features(draw(self._label)), self._features(draw(shifted))
        if not (own.isfinite().all() and other.isfinite().all()):
            return {}
        differ = self._label != shifted
        moved = float((own - other)[differ].norm(dim=1).mean()) if differ.any() else None
        return measures.known({
            # Nothing moved is 0, also where all samples are one.
            "probe.condition": measures.over(moved, measures.spread(own)) if moved else moved,
            "probe.label": self._labelled(own, self._label),
            "probe.label_floor": self.floor_label,
            "probe.label_chance": float(torch.bincount(self._label).double().square().sum()) / len(self._label) ** 2,
        })  # fmt: skip
