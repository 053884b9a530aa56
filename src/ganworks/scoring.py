"""Which numbers samples are scored by, against which data, beside which floor."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ganworks.data.builtin import is_digits
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.metrics import features
from ganworks.metrics.score import Score, names, scores
from ganworks.metrics.spaces import FeatureSpace
from ganworks.registry import suggestion
from ganworks.telling import Tell, report
from ganworks.theory import Mixture

MEANINGFUL = 500
"""Samples below which most metrics say little: their intervals are as wide as the differences one looks for."""

_MODES = ("modes", "high_quality", "reverse_kl", "std_ratio")
_FEATURES = ("kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage")
_CLASSES = ("class_kl",)
_TOGETHER = (_MODES, _FEATURES[:1], _FEATURES[1:2], _FEATURES[2:], _CLASSES)
"""Metrics that share their work; progress is told after each group."""
_FLOOR_SEED = 1
"""Draws of the floor on known densities; any number that training's own draws do not use."""
_MOST_NEIGHBOURS = 2_500
"""Draws from a known density that neighbours and kernels are computed on: they cost the square of it."""
_PART = 256
"""Pictures whose features are computed between two reports; a multiple of what a network sees at once."""


def usual_samples(spec: DataSpec, *, quick: bool) -> int:
    """Samples for the scores at the end of a run: at most 20 CPU s of work, 2 s where the run itself was quick."""
    if spec.kind == "points":
        return 2_500 if quick else 10_000
    if quick:
        return 200
    return 1_000 if space_for(spec) == "effnet-lite0" else 2_000


def space_for(spec: DataSpec) -> str:
    """The feature space that suits the data and can be used here."""
    if spec.kind == "points":
        return "points"
    if is_digits(spec.name) and spec.shape == (1, 28, 28):
        return "digits"
    return "effnet-lite0" if "effnet-lite0" in features.available() else "pixels"


def evaluate(
    draw: Callable[[int], Tensor],
    data: DataSet,
    samples: int,
    *,
    trained_on: bool,
    metrics: Sequence[str] = (),
    space: str = "",
    level: float = 0.95,
    reference: int | None = None,
    tell: Tell | None = None,
) -> list[Score]:
    """Scores of samples against a data set.

    Args:
        draw: Gives so many samples, in user units.
        data: Known densities are compared with exactly; otherwise the held-out part is the reference if the samples'
            origin has seen this data, all of it if not.
        samples: How many are drawn.
        trained_on: Whether a model was trained on the data. The floor is then as many rows of the training part.
        metrics: Of `metrics.names()`, in the order wanted; none: what suits the data.
        space: Feature space; empty: what suits the data.
        level: Of the intervals.
        reference: Real samples to compare with, at most; None: as many as `samples`.
        tell: Called with the progress of what takes long.
    Raises: UsageError before anything is drawn, for a metric or a space that cannot look at this data.
    """
    wanted = list(metrics) or usual_metrics(data, space)
    seeing = judge(data, wanted, space)
    groups = [chosen for group in _TOGETHER if (chosen := [name for name in wanted if name in group])]
    fake = draw(samples)
    parts = _Parts(data, fake, trained_on, samples if reference is None else reference, seeing, tell)
    found: dict[str, Score] = {}
    for done, group in enumerate(groups, 1):
        for score in parts.scores(group, level):
            found[score.metric] = score
        report(tell, "scores", done, len(groups))
    return [found[name] for name in wanted]


def usual_metrics(data: DataSet, space: str = "") -> list[str]:
    """The metrics that suit the data."""
    if isinstance(data.density, Mixture):
        return list(_MODES)
    classes = data.density is None and (space or space_for(data.spec)) == "digits"
    return [*_FEATURES, *(_CLASSES if classes else ())]


def judge(data: DataSet, metrics: Sequence[str], space: str = "") -> FeatureSpace:
    """The feature space to look through.

    Raises: UsageError for a metric or a space that cannot look at this data, or is not known; ResourceError for a space
        whose package is not installed.
    """
    spec = data.spec
    seeing = features.get(space or space_for(spec))
    needed = {
        "points": (spec.kind == "points", "points"),
        "digits": (spec.shape == (1, 28, 28), "grey pictures of 28 x 28 px"),
    }.get(seeing.name, (spec.kind == "images", "pictures"))
    if not needed[0]:
        form = " x ".join(map(str, spec.shape))
        got = f"{spec.kind} of shape {form}"
        raise error("E-METRIC-01", metric=f"the feature space '{seeing.name}'", needed=needed[1], got=got)
    for name in metrics:
        if name not in names():
            raise error("E-NAME-05", name=name, details=suggestion(name, names()))
        if name in _MODES and not isinstance(data.density, Mixture):
            needs = "data whose modes are known exactly, such as ring and grid"
            raise error("E-METRIC-01", metric=name, needed=needs, got=spec.name or spec.kind)
        if name in _CLASSES and seeing.name != "digits":
            needs = "a feature space that knows classes, which is digits"
            raise error("E-METRIC-01", metric=name, needed=needs, got=f"'{seeing.name}'")
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
    return said


def whole(data: DataSet, count: int) -> Tensor:
    """Rows spread evenly over all of a data set, its held-out part with it: (count, ...), fewer if it has no more."""
    parts = [data] if data.held_out is None else [data, data.held_out]
    total = sum(map(len, parts))
    count = min(count, total)
    index = torch.arange(count) * total // count
    first = index < len(data)
    taken = [data.rows(index[first])["x"]]
    if data.held_out is not None:
        taken.append(data.held_out.rows(index[~first] - len(data))["x"])
    return torch.cat(taken)


def spread(data: DataSet, count: int) -> Tensor:
    """Rows spread evenly over the training part, which may be sorted by class."""
    count = min(count, len(data))
    return data.rows(torch.arange(count) * len(data) // count)["x"]


class _Parts:
    """Real samples, generated ones and the floor, and their features, each computed when a metric first asks."""

    def __init__(
        self, data: DataSet, fake: Tensor, trained_on: bool, most: int, space: FeatureSpace, tell: Tell | None
    ) -> None:
        self.data, self.fake, self.space, self.tell = data, fake, space, tell
        self.trained_on, self.most = trained_on, most
        self._features: list[Tensor] | None = None

    def scores(self, group: Sequence[str], level: float) -> list[Score]:
        if group[0] in _MODES:
            assert self.data.density is not None
            floor = self.data.fresh(len(self.fake), _FLOOR_SEED)["x"]
            return scores(group, self.data.density, self.fake, floor, level=level)
        sets = self._features = self._features or self._seen()
        if group[0] in _CLASSES:
            from ganworks.metrics.digits import Digits

            assert isinstance(self.space, Digits)
            sets = [self.space.classify(x) for x in sets]
        return scores(group, *sets, level=level, feature_space=self.space.name)

    def _seen(self) -> list[Tensor]:
        """Features of the real samples, the generated ones and the floor, where there is one."""
        compared = self._compared()
        total, done = sum(map(len, compared)), 0
        found = []
        for x in compared:
            pieces = []
            for start in range(0, len(x), _PART):
                pieces.append(self.space(x[start : start + _PART]))
                done += len(pieces[-1])
                report(self.tell, "features", done, total)
            found.append(torch.cat(pieces))
        return found

    def _compared(self) -> list[Tensor]:
        data, count = self.data, len(self.fake)
        if data.density is not None:
            few = min(count, _MOST_NEIGHBOURS)
            return [data.fresh(few, _FLOOR_SEED + 1)["x"], self.fake[:few], data.fresh(count, _FLOOR_SEED)["x"][:few]]
        if self.trained_on and data.held_out is not None:
            sets = [spread(data.held_out, self.most), self.fake, spread(data, count)]
        elif self.trained_on:
            sets = [spread(data, self.most), self.fake]
        else:
            sets = [whole(data, self.most), self.fake]
        if self.space.name == "points":  # in the networks' units: a column in grams must not outweigh one in metres
            return [data.spec.encode(x) for x in sets]
        return sets
