"""Which numbers samples are scored by, against which data, beside which floor."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ganworks.data import excerpt
from ganworks.data.builtin import is_digits
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.errors import UsageError, error
from ganworks.explicit import LOG_LIKELIHOOD, Likelihood
from ganworks.explicit import score as likelihood_score
from ganworks.metrics import cache, features
from ganworks.metrics.bins import BINS
from ganworks.metrics.classifier_score import SPLITS
from ganworks.metrics.copies import Memorization, memorization
from ganworks.metrics.interval import GROUPS
from ganworks.metrics.moments import Moments
from ganworks.metrics.score import Score, names, scores
from ganworks.metrics.spaces import Classifier, FeatureSpace
from ganworks.registry import suggestion
from ganworks.telling import Tell, report
from ganworks.theory import Mixture

MEANINGFUL = 500
"""Samples below which most metrics say little: their intervals are as wide as the differences one looks for."""

_MODES = ("modes", "high_quality", "reverse_kl", "std_ratio")
_FEATURES = ("kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage")
_FURTHER = ("sliced_wasserstein", "different_bins", "birthday_support")
_CLASSES = ("class_kl",)
_LOGITS = (*_CLASSES, "inception_score")
_COPIES = "memorization"
_FRECHET = ("frechet_distance", "frechet_extrapolated")
_TOGETHER = (_MODES, _FEATURES[:1], _FRECHET, _FEATURES[2:], *((name,) for name in (*_FURTHER, *_LOGITS, _COPIES)))
"""Metrics that share their work; progress is told after each group."""
_FLOOR_SEED = 1
"""Draws of the floor on known densities; any number that training's own draws do not use."""
_MOST_NEIGHBOURS = 2_500
"""Draws from a known density that neighbours and kernels are computed on: they cost the square of it."""
_SUMMED = 16
"""Samples for each dimension from which the sums of 20 groups take less memory than features do (measured)."""
_IN_A_BIN = 10
"""Samples to a bin from which a share is nearly normal, as the test of bins takes it to be."""
_BIAS = 0.01
"""Of the Inception Score, that goes without saying."""
_USUAL_CLASSES = 100
"""Of more classes, the usual samples are too few for a histogram."""


class Comparison(NamedTuple):
    """Scores in the order asked for; where `memorization` is one of them, the closest pairs and the test."""

    scores: list[Score]
    copies: Memorization | None


Draw = Callable[[int], Tensor | Iterable[Tensor]]
"""Gives so many samples in user units: together, or some at a time, so that not all are in memory at once."""


def usual_samples(spec: DataSpec, *, quick: bool) -> int:
    """Samples for the scores at the end of a run: at most 20 CPU s of work, 2 s where the run itself was quick."""
    if not spec.pictures:
        return 2_500 if quick else 10_000
    if quick:
        return 200
    return 1_000 if space_for(spec) == "effnet-lite0" else 2_000


def space_for(spec: DataSpec) -> str:
    """The feature space that suits the data and can be used here."""
    if not spec.pictures:
        return "points"
    if is_digits(spec.name) and spec.shape == (1, 28, 28):
        return "digits"
    return "effnet-lite0" if "effnet-lite0" in features.available() else "pixels"


def evaluate(
    draw: Draw,
    data: DataSet,
    samples: int,
    *,
    trained_on: bool,
    metrics: Sequence[str] = (),
    space: str | FeatureSpace = "",
    level: float = 0.95,
    reference: int | None = None,
    keep: bool = True,
    likelihood: Likelihood | None = None,
    tell: Tell | None = None,
) -> list[Score]:
    """Scores of samples against a data set.

    Args:
        draw: Where the samples come from.
        data: Known densities are compared with exactly; otherwise the held-out part is the reference if the samples'
            origin has seen this data, all of it if not.
        samples: How many are drawn.
        trained_on: Whether a model was trained on the data. The floor is then as many rows of the training part.
        metrics: Of `metrics.names()`, in the order wanted; none: what suits the data.
        space: Feature space, by name or as an object; empty: what suits the data.
        level: Of the intervals.
        reference: Real samples to compare with, at most; None: as many as `samples`.
        keep: Whether features of the data may be taken from the user's cache and put there.
        likelihood: The samples' origin, where it has a density: what it gives to data is a score too.
        tell: Called with the progress of what takes long.
    Raises: UsageError before anything is drawn, for a metric or a space that cannot look at this data.
    """
    return compare(
        draw, data, samples, trained_on=trained_on, metrics=metrics, space=space, level=level, reference=reference,
        keep=keep, likelihood=likelihood, tell=tell,
    ).scores  # fmt: skip


def compare(
    draw: Draw,
    data: DataSet,
    samples: int,
    *,
    trained_on: bool,
    metrics: Sequence[str] = (),
    space: str | FeatureSpace = "",
    level: float = 0.95,
    reference: int | None = None,
    keep: bool = True,
    likelihood: Likelihood | None = None,
    tell: Tell | None = None,
) -> Comparison:
    """The scores of `evaluate`, and which samples are closest to which training rows."""
    wanted = list(metrics) or [*usual_metrics(data, space), *([] if likelihood is None else [LOG_LIKELIHOOD])]
    seeing = judge(data, wanted, space, trained_on=trained_on, likelihood=likelihood)
    groups = [chosen for group in _TOGETHER if (chosen := [name for name in wanted if name in group])]
    kept = cache.Cache(tell, cache.folder() if keep else None)
    compared = _Compared(draw, data, samples, trained_on, reference or samples, wanted, seeing, kept, tell)
    found: dict[str, Score] = {}
    for done, group in enumerate(groups, 1):
        for score in compared.scores(group, level):
            found[score.metric] = score
        report(tell, "scores", done, len(groups))
    if LOG_LIKELIHOOD in wanted and likelihood is not None:
        found[LOG_LIKELIHOOD] = likelihood_score(likelihood, data, samples, trained_on=trained_on, level=level)
    return Comparison([found[name] for name in wanted], compared.closest() if _COPIES in wanted else None)


def usual_metrics(data: DataSet, space: str | FeatureSpace = "") -> list[str]:
    """The metrics that suit the data."""
    if _has_modes(data):
        return list(_MODES)
    seeing = _space(data.spec, space)
    classes = isinstance(seeing, Classifier) and seeing.classes <= _USUAL_CLASSES
    return [*_FEATURES, *(_CLASSES if classes else ())]


def _space(spec: DataSpec, space: str | FeatureSpace) -> FeatureSpace:
    return features.get(space) if space else features.own(space_for(spec))


def _has_modes(data: DataSet) -> bool:
    """Whether the density is known, and has round modes."""
    with contextlib.suppress(UsageError):
        return isinstance(data.density, Mixture) and len(data.density.stds) > 0
    return False


def judge(
    data: DataSet,
    metrics: Sequence[str],
    space: str | FeatureSpace = "",
    *,
    trained_on: bool = True,
    likelihood: Likelihood | None = None,
) -> FeatureSpace:
    """The feature space to look through.

    Raises: UsageError for a metric or a space that cannot look at this data, or is not known; ResourceError for a space
        whose package is not installed.
    """
    spec = data.spec
    seeing = _space(spec, space)
    if needed := seeing.unfit(spec):
        form = " x ".join(map(str, spec.shape))
        got = f"{spec.kind} of shape {form}"
        raise error("E-METRIC-01", metric=f"the feature space '{seeing.name}'", needed=needed, got=got)
    for name in metrics:
        if name == LOG_LIKELIHOOD:
            if likelihood is None:
                needs, got = "a model with a density, such as vae and mixture", "samples or a model without one"
                raise error("E-METRIC-01", metric=name, needed=needs, got=got)
            continue
        if name not in names():
            raise error("E-NAME-05", name=name, details=suggestion(name, names()))
        if name in _MODES and not _has_modes(data):
            needs = "data whose modes are known exactly, such as ring and grid"
            raise error("E-METRIC-01", metric=name, needed=needs, got=spec.name or spec.kind)
        if name in _LOGITS and not isinstance(seeing, Classifier):
            needs = "a feature space that knows classes, such as digits"
            raise error("E-METRIC-01", metric=name, needed=needs, got=f"'{seeing.name}'")
        if name == _COPIES and not (trained_on and (data.held_out or data.density)):
            got = "no held-out part" if trained_on else f"{data.name}, which is not what was trained on"
            needs = "the data of the training and a part of it that was held out"
            raise error("E-METRIC-01", metric=name, needed=needs, got=got)
    return seeing


def cautions(found: Sequence[Score], space: FeatureSpace, spec: DataSpec) -> list[str]:
    """What a reader of scores should know of their samples, at most one sentence for each reason."""
    said = []
    fewest = min((min(each.samples, each.reference_samples or each.samples) for each in found), default=MEANINGFUL)
    if fewest < MEANINGFUL:
        said.append(f"{fewest} samples tell little: below {MEANINGFUL} look at the intervals, not at the values")
    dimensions = space.dimensions or math.prod(spec.shape)
    few = [each for each in found if each.metric == "frechet_distance" and each.reference_samples]
    if few and (count := min(few[0].samples, few[0].reference_samples)) < dimensions:
        said.append(
            f"the Fréchet distance of {count} samples in {dimensions} dimensions is mostly bias: compare it only "
            "with one of equally many samples"
        )
    for each in found:
        fewer, more = sorted((each.samples, each.reference_samples))
        # Measured: what remains of the bias is half a standard error at d^2/n = 14, four at 41; none for n and n.
        if each.metric == "frechet_extrapolated" and more > 2 * fewer and dimensions**2 > 10 * fewer:
            said.append(f"extrapolated from {fewer} and {more} samples the distance keeps a bias: take equally many")
    return [*said, *filter(None, (_too_few(each, space) for each in found))]


def _too_few(score: Score, space: FeatureSpace) -> str:
    """How many samples a metric takes to mean something, where it has fewer."""
    fewer = min(score.samples, score.reference_samples)
    if score.metric == "different_bins" and fewer < (needed := _IN_A_BIN * BINS):
        return f"{fewer} samples in {BINS} bins are too few to a bin to tell shares apart: {needed} of both are needed"
    if score.metric == "inception_score" and isinstance(space, Classifier):
        # In parts of n the score of K perfect classes is about K exp(-(K - 1)/2n).
        missing = 1 - math.exp(-(space.classes - 1) * SPLITS / (2 * score.samples))
        if missing > _BIAS:
            needed = math.ceil((space.classes - 1) * SPLITS / (2 * _BIAS))
            return (
                f"the Inception Score of {score.samples} samples comes out {missing:.0%} low, as the shares of classes "
                f"differ by chance in each of its {SPLITS} parts: {needed} samples make that {_BIAS:.0%}"
            )
    if score.metric == "birthday_support" and score.low is None:
        least = score.samples * (score.samples - 1) / 2 / -math.log((1 - score.level) / 2)
        more = math.ceil(1.18 * score.value**0.5)
        return (
            f"no two of {score.samples} samples are nearly equal: the support is above {least:.3g}, "
            f"and it takes more than {more} samples to tell more"
        )
    return ""


class _Set(NamedTuple):
    """Rows to be compared: how many they are, some at a time, and whether they are rows of the data."""

    size: int
    parts: Iterable[Tensor]
    of_data: bool = False


class _Compared:
    """Real samples, generated ones and the floor, and their features, each computed when a metric first asks."""

    def __init__(
        self,
        draw: Draw,
        data: DataSet,
        samples: int,
        trained_on: bool,
        most: int,
        wanted: Sequence[str],
        space: FeatureSpace,
        kept: cache.Cache,
        tell: Tell | None,
    ) -> None:
        self.draw, self.data, self.samples, self.space, self.kept, self.tell = draw, data, samples, space, kept, tell
        self.trained_on, self.most, self.wanted = trained_on, most, set(wanted)

    def scores(self, group: Sequence[str], level: float) -> list[Score]:
        if group[0] in _MODES:
            assert self.data.density is not None
            floor = self.data.fresh(len(self._fakes), _FLOOR_SEED)["x"]
            return scores(group, self.data.density, self._fakes, floor, level=level)
        if group[0] == _COPIES:
            # Held-out rows in the samples' place score 1, since they are what the samples are measured by.
            train, held_out, fake = (each.features() for each in self._copies)
            found = scores(group, train, fake, level=level, feature_space=self.space.name, held_out=held_out)
            return [replace(each, real=1.0) for each in found]
        if group[0] in _LOGITS:
            return scores(group, *(each.logits(self.space) for each in self._seen), level=level,
                          feature_space=self.space.name)  # fmt: skip
        return scores(group, *(each.features() for each in self._seen), level=level, feature_space=self.space.name)

    def closest(self) -> Memorization:
        """Which samples are closest to which training rows, and whether that is chance."""
        sets = [each.features() for each in self._copies]
        train, held_out, fake = (each for each in sets if isinstance(each, Tensor))
        return memorization(train, held_out, fake)

    @cached_property
    def _copies(self) -> tuple["_Seen", "_Seen", "_Seen"]:
        """Of all training rows, for a copy may be one of any; of the held-out ones, and of the samples."""
        rows = excerpt.spread(self.data, len(self.data))
        (train,) = self._features_of([_Set(len(rows), rows.parts(), of_data=True)])
        return train, self._seen[0], self._seen[1]

    @cached_property
    def _seen(self) -> list["_Seen"]:
        """Of the real samples, the generated ones and the floor, where there is one."""
        sets = self._sets()
        fewest = min(each.size for each in sets[:2])
        if _FRECHET[1] in self.wanted and fewest <= (self.space.dimensions or 0):
            # Said before the features are computed, which takes minutes.
            needed = f"more samples of both kinds than the {self.space.dimensions} dimensions of '{self.space.name}'"
            raise error("E-METRIC-01", metric=_FRECHET[1], needed=needed, got=fewest)
        return self._features_of(sets)

    def _features_of(self, sets: Sequence[_Set]) -> list["_Seen"]:
        """Pictures pass part by part."""
        total, done = sum(each.size for each in sets), 0
        found = []
        for number, each in enumerate(sets):
            seen = _Seen(each.size, self.wanted, groups=0 if number == 2 else GROUPS)
            for part in each.parts:
                x = self.data.spec.encode(part)  # points in the networks' units: grams must not outweigh metres
                seen.add(self.kept.features(self.space, x) if each.of_data else self.space(x), self.space)
                done += len(part)
                report(self.tell, "features", done, total)
            found.append(seen)
        self.kept.trim()
        return found

    def _sets(self) -> list[_Set]:
        data, count = self.data, self.samples
        if data.density is not None:
            few = min(len(self._fakes), _MOST_NEIGHBOURS)
            points = data.fresh(few, _FLOOR_SEED + 1)["x"]
            floor = data.fresh(len(self._fakes), _FLOOR_SEED)["x"]
            return [_Set(few, [x[:few]]) for x in (points, self._fakes, floor)]
        held_out = data.held_out if self.trained_on else None
        if not self.trained_on:
            rows = [excerpt.whole(data, self.most)]
        else:
            rows = [excerpt.spread(held_out or data, self.most), *([excerpt.spread(data, count)] if held_out else [])]
        real, *floors = [_Set(len(each), each.parts(), of_data=True) for each in rows]
        return [real, _Set(count, self._drawn()), *floors]

    def _drawn(self) -> Iterator[Tensor]:
        drawn = self.draw(self.samples)
        if isinstance(drawn, Tensor):
            yield from torch.split(drawn, excerpt.part_of(self.data.spec.shape))
        else:
            yield from drawn

    @cached_property
    def _fakes(self) -> Tensor:
        """All of the samples: points that are compared with a density."""
        parts: list[Tensor] = []
        for part in self._drawn():
            parts.append(part)
            report(self.tell, "drawing samples", sum(map(len, parts)), self.samples)
        return torch.cat(parts)


class _Seen:
    """What the metrics that are wanted need of one set: its features, or no more than their sums and classes.

    Args:
        count: Rows that will come.
        wanted: Metrics.
        groups: Of the jackknife, for the sums; 0 where no interval is wanted.
    """

    def __init__(self, count: int, wanted: set[str], groups: int) -> None:
        self.count, self.wanted, self.groups = count, wanted, groups
        self.sums: Moments | None = None
        self._features: list[Tensor] = []
        self._logits: list[Tensor] = []

    def add(self, features: Tensor, space: FeatureSpace) -> None:
        """Features of some more rows."""
        width = features.shape[1]
        if self.wanted - {*_FRECHET, *_LOGITS} or self.count <= _SUMMED * width:
            self._features.append(features)
            return
        if self.wanted & {*_FRECHET}:
            self.sums = self.sums or Moments(width, self.groups, self.count)
            self.sums.add(features)
        if self.wanted & {*_LOGITS} and isinstance(space, Classifier):
            self._logits.append(space.classify(features))

    def features(self) -> Tensor | Moments:
        """Features (N, F), or their moments."""
        return self.sums or torch.cat(self._features)

    def logits(self, space: FeatureSpace) -> Tensor:
        """Class logits (N, K), mixed: data may be sorted by class, and the Inception Score cuts them in parts."""
        assert isinstance(space, Classifier)
        logits = torch.cat(self._logits or [space.classify(features) for features in self._features])
        return logits[torch.randperm(len(logits), generator=torch.Generator().manual_seed(0))]
