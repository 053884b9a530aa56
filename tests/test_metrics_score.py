"""Scores: intervals, floors, shared work, and the JSON object."""

import json
import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from ganworks import metrics
from ganworks.errors import UsageError
from ganworks.metrics import neighbours
from ganworks.metrics.interval import assign, interval, recomputed, student_quantile
from ganworks.theory import ring

FEATURES = ["frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"]
MODES = ["modes", "high_quality", "reverse_kl", "std_ratio"]


def normal(seed: int, count: int = 200, dimensions: int = 3) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [(0.975, 19, 2.0930), (0.975, 9, 2.2622), (0.95, 19, 1.7291), (0.995, 19, 2.8609), (0.5, 5, 0.0)],
)
def test_quantiles_of_student(probability: float, freedom: int, quantile: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(quantile, abs=2e-3)


def test_with_one_sample_a_group_the_interval_of_a_mean_is_the_textbooks() -> None:
    """Half width t * s / sqrt n."""
    points = normal(0, 20, 1)
    found = interval(recomputed(lambda x, _: float(x.mean()), points, points, 20), 0.95)
    half = 2.0930 * float(points.std()) / math.sqrt(20)
    assert found.high - found.low == pytest.approx(2 * half, rel=1e-3)
    assert (found.low + found.high) / 2 == pytest.approx(float(points.mean()))


@pytest.mark.parametrize("count", [20, 47, 1000])
def test_groups_are_equal_fixed_and_no_stretches(count: int) -> None:
    group = assign(count, 20)
    sizes = torch.bincount(group, minlength=20)
    assert sizes.max() - sizes.min() <= 1
    assert torch.equal(group, assign(count, 20))
    assert (group[1:] - group[:-1]).unique().numel() > 10


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_intervals_hold_the_value_and_widen_with_the_level(shift: float) -> None:
    for name in FEATURES:
        narrow, wide = (metrics.score(name, normal(1), normal(2) + shift, level=level) for level in (0.5, 0.99))
        assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high
        assert wide.low < narrow.low or wide.high > narrow.high
        assert narrow.value == wide.value


def test_the_interval_has_the_width_that_repetition_has() -> None:
    scores = [metrics.score("frechet_distance", normal(s, 300), normal(s + 99, 300) + 0.5) for s in range(40)]
    spread = torch.tensor([score.value for score in scores]).std()
    half = torch.tensor([(score.high - score.low) / 2 for score in scores]).mean() / 2.093
    assert half / spread == pytest.approx(1, abs=0.25)


def test_shares_stay_within_0_and_1() -> None:
    points = ring().sample(60, torch.Generator().manual_seed(0))
    for score in metrics.scores(MODES, ring(), points) + metrics.scores(FEATURES[2:], points, points):
        assert score.low >= 0
        if score.metric in ("precision", "recall", "coverage", "high_quality"):
            assert score.high <= 1


def test_a_score_is_the_json_object_of_the_command() -> None:
    found = metrics.score("frechet_distance", normal(1, 50), normal(2, 40), floor=normal(3, 30), feature_space="pixels")
    assert list(json.loads(json.dumps(asdict(found)))) == [
        "metric", "feature_space", "value", "low", "high", "level", "samples", "reference_samples", "real",
    ]  # fmt: skip
    assert (found.samples, found.reference_samples, found.feature_space) == (40, 50, "pixels")
    assert found.value == metrics.frechet_distance(normal(1, 50), normal(2, 40))
    assert found.real == metrics.frechet_distance(normal(1, 50), normal(3, 30))


def test_every_number_is_the_functions_own_with_its_usual_k() -> None:
    real, fake = normal(1), 0.7 * normal(2)
    found = {score.metric: score.value for score in metrics.scores(FEATURES, real, fake)}
    assert (found["precision"], found["recall"]) == metrics.precision_recall(real, fake)
    assert (found["density"], found["coverage"]) == metrics.density_coverage(real, fake)
    assert found["kernel_distance"] == metrics.kernel_distance(real, fake)
    assert metrics.score("recall", real, fake, k=9).value == metrics.precision_recall(real, fake, k=9).recall
    biased = metrics.score("kernel_distance", real, fake, estimator="biased")
    assert biased.value == metrics.kernel_distance(real, fake, estimator="biased")


def test_one_search_serves_all_neighbour_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []

    class Counted(neighbours._Search):
        def __init__(self, *args: object) -> None:
            searches.append(1)
            super().__init__(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(neighbours, "_Search", Counted)
    metrics.scores(FEATURES, normal(1), normal(2))
    assert len(searches) == 1


def test_modes_are_scored_against_the_density() -> None:
    points = ring().sample(500, torch.Generator().manual_seed(0))
    floor = ring().sample(500, torch.Generator().manual_seed(1))
    found = metrics.scores(MODES, ring(), points[:100], floor)
    assert [score.metric for score in found] == MODES
    assert [score.value for score in found] == list(metrics.mode_coverage(points[:100], ring()))
    assert [score.real for score in found] == list(metrics.mode_coverage(floor, ring()))
    assert {(score.samples, score.reference_samples) for score in found} == {(100, 0)}


def test_classes_are_scored_from_logits() -> None:
    real, fake = normal(1, 60, 5), normal(2, 80, 5)
    assert metrics.score("class_kl", real, fake).value == metrics.class_histogram(real, fake).kl


def test_fewer_samples_than_groups_still_give_an_interval() -> None:
    found = metrics.score("coverage", normal(1, 9), normal(2, 12))
    assert 0 <= found.low <= found.value <= found.high <= 1
    with pytest.raises(UsageError, match="E-METRIC-01"):
        metrics.score("coverage", normal(1, 6), normal(2, 12))


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match=r"(?s)E-NAME-05.*frechet_distance"):
        metrics.score("frechet_distanse", normal(1), normal(2))
    with pytest.raises(UsageError, match=r"E-METRIC-03.*'k'"):
        metrics.score("frechet_distance", normal(1), normal(2), k=3)
    with pytest.raises(UsageError, match="a level between 0 and 1"):
        metrics.score("frechet_distance", normal(1), normal(2), level=95)
