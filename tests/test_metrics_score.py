"""Scores: intervals, floors, shared work, and the JSON object."""

import json
from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import Tensor

from ganworks import metrics
from ganworks.errors import UsageError
from ganworks.metrics import neighbours
from ganworks.theory import ring

FEATURES = ["frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"]
MODES = ["modes", "high_quality", "reverse_kl", "std_ratio"]


def normal(seed: int, count: int = 200, dimensions: int = 3) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_intervals_widen_with_the_level(shift: float) -> None:
    for name in FEATURES:
        narrow, wide = (metrics.score(name, normal(1), normal(2) + shift, level=level) for level in (0.5, 0.99))
        assert narrow.low is not None
        assert narrow.high is not None
        assert wide.low is not None
        assert wide.high is not None
        assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high
        assert wide.high - wide.low > narrow.high - narrow.low
        assert narrow.value == wide.value


def test_shares_stay_within_0_and_1() -> None:
    points = ring().sample(60, torch.Generator().manual_seed(0))
    for score in metrics.scores(MODES, ring(), points) + metrics.scores(FEATURES[2:], points, points):
        assert score.low is not None
        assert score.high is not None
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
    assert found["kernel_distance"] == pytest.approx(metrics.kernel_distance(real, fake), rel=1e-9)
    assert metrics.score("recall", real, fake, k=9).value == metrics.precision_recall(real, fake, k=9).recall
    biased = metrics.score("kernel_distance", real, fake, estimator="biased")
    assert biased.value == pytest.approx(metrics.kernel_distance(real, fake, estimator="biased"), rel=1e-9)


def test_one_search_serves_all_neighbour_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []
    search = neighbours._values

    def counted(*args: Any) -> dict[str, float]:
        searches.append(1)
        return search(*args)

    monkeypatch.setattr(neighbours, "_values", counted)
    metrics.scores(FEATURES[2:3], normal(1), normal(2))
    alone = len(searches)
    metrics.scores(FEATURES, normal(1), normal(2))
    assert len(searches) == 2 * alone > 0


def test_modes_are_scored_against_the_density() -> None:
    points = ring().sample(500, torch.Generator().manual_seed(0))
    floor = ring().sample(500, torch.Generator().manual_seed(1))
    found = metrics.scores(MODES, ring(), points[:100], floor)
    assert [score.metric for score in found] == MODES
    expected = [metrics.mode_coverage(each, ring()) for each in (points[:100], floor)]
    assert [score.value for score in found] == pytest.approx(expected[0], rel=1e-12)
    assert [score.real for score in found] == pytest.approx(expected[1], rel=1e-12)
    assert {(score.samples, score.reference_samples) for score in found} == {(100, 0)}


def test_classes_are_scored_from_logits() -> None:
    real, fake = normal(1, 60, 5), normal(2, 80, 5)
    assert metrics.score("class_kl", real, fake).value == metrics.class_histogram(real, fake).kl


def test_fewer_samples_than_groups_still_give_an_interval() -> None:
    for name in ("frechet_distance", "kernel_distance"):
        found = metrics.score(name, normal(1, 9), normal(2, 12))
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high


def test_where_samples_tell_nothing_of_their_spread_there_is_no_interval() -> None:
    found = metrics.score("coverage", normal(1, 9), normal(2, 12))
    assert (found.low, found.high) == (None, None)
    assert 0 <= found.value <= 1
    with pytest.raises(UsageError, match="E-METRIC-01"):
        metrics.score("coverage", normal(1, 5), normal(2, 12))


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match=r"(?s)E-NAME-05.*frechet_distance"):
        metrics.score("frechet_distanse", normal(1), normal(2))
    with pytest.raises(UsageError, match=r"E-METRIC-03.*'k'"):
        metrics.score("frechet_distance", normal(1), normal(2), k=3)
    with pytest.raises(UsageError, match="a level between 0 and 1"):
        metrics.score("frechet_distance", normal(1), normal(2), level=95)
