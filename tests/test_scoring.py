"""Which numbers samples are scored by: against rows that training never saw, beside as many real ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganworks import data, metrics, scoring
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.errors import UsageError
from ganworks.metrics import features
from ganworks.metrics.digits import Digits

POINTS = np.random.default_rng(0).normal(3.0, [2.0, 0.1], (1_000, 2)).astype("float32")
PICTURES = np.random.default_rng(1).integers(0, 256, (300, 3, 8, 8)).astype("uint8")


def drawing(x: Tensor) -> Any:
    return lambda count: x[:count]


def by_metric(found: list[metrics.Score]) -> dict[str, metrics.Score]:
    return {score.metric: score for score in found}


@pytest.fixture(scope="module")
def points() -> DataSet:
    return data.open(POINTS)


# What is compared with what


def test_a_generator_that_repeats_its_training_rows_is_not_perfect(points: DataSet) -> None:
    """The classic mistake is to score a model against the rows it has seen: a memory would win."""
    assert points.held_out is not None
    memory = drawing(points.rows(torch.arange(900))["x"])
    seen = by_metric(scoring.evaluate(memory, points, 100, trained_on=True, reference=900))
    assert seen["frechet_distance"].value > 1e-3
    assert seen["frechet_distance"].reference_samples == len(points.held_out) == 100


def test_the_floor_is_as_many_training_rows_against_the_same_reference(points: DataSet) -> None:
    assert points.held_out is not None
    rows = scoring.spread(points, 400)
    found = by_metric(scoring.evaluate(drawing(rows), points, 400, trained_on=True))
    for score in found.values():
        assert score.real == pytest.approx(score.value)  # these samples are the floor's own rows
    real, fake = (points.spec.encode(x) for x in (scoring.spread(points.held_out, 400), rows))
    assert found["frechet_distance"].real == pytest.approx(metrics.frechet_distance(real, fake))


def test_other_data_is_compared_with_as_a_whole_and_has_no_floor(points: DataSet) -> None:
    found = scoring.evaluate(drawing(torch.from_numpy(POINTS)), points, 1_000, trained_on=False)
    assert {score.reference_samples for score in found} == {1_000}  # the held-out part with it
    assert {score.real for score in found} == {None}
    all_rows = scoring.whole(points, 5_000)
    assert torch.equal(all_rows.sort(0).values, torch.from_numpy(POINTS).sort(0).values)


def test_some_of_the_whole_come_from_both_parts(points: DataSet) -> None:
    assert points.held_out is not None
    held = {tuple(row) for row in points.held_out.rows(torch.arange(len(points.held_out)))["x"].tolist()}
    taken = [tuple(row) for row in scoring.whole(points, 200).tolist()]
    assert len(taken) == len(set(taken)) == 200
    assert sum(row in held for row in taken) == 20


def test_real_comes_first() -> None:
    """A model of one digit of ten is precise and misses most: exchanged arguments would say the opposite."""
    digits = data.open("digits")
    sevens = data.open("digits:7")
    found = by_metric(scoring.evaluate(drawing(scoring.spread(sevens, 600)), digits, 600, trained_on=True))
    assert found["precision"].value > 0.7
    assert found["recall"].value < 0.3
    assert found["class_kl"].value > 1
    assert found["recall"].feature_space == "digits"


def test_classes_are_those_of_the_classifier() -> None:
    digits = data.open("digits")
    assert digits.held_out is not None
    real, fake = scoring.spread(digits.held_out, 300), scoring.spread(data.open("digits:7"), 300)
    found = scoring.evaluate(drawing(fake), digits, 300, trained_on=True, metrics=["class_kl"])
    space = Digits()
    assert found[0].value == pytest.approx(metrics.class_histogram(space.logits(real), space.logits(fake)).kl)


def test_a_known_density_is_compared_with_exactly() -> None:
    ring = data.open("ring")
    fake = ring.fresh(500, seed=9)["x"]
    found = scoring.evaluate(drawing(fake), ring, 500, trained_on=False)
    assert [score.metric for score in found] == ["modes", "high_quality", "reverse_kl", "std_ratio"]
    assert {score.reference_samples for score in found} == {0}
    assert all(score.real is not None for score in found)
    both = scoring.evaluate(drawing(fake), ring, 500, trained_on=False, metrics=["recall", "modes"])
    assert [score.metric for score in both] == ["recall", "modes"]
    assert [score.reference_samples for score in both] == [500, 0]


def test_points_are_compared_in_the_units_of_the_networks(points: DataSet) -> None:
    fake = torch.from_numpy(POINTS[:400])
    before = by_metric(scoring.evaluate(drawing(fake), points, 400, trained_on=True))
    scale = np.array([1, 1_000], "float32")
    grams = data.open(POINTS * scale)
    after = by_metric(scoring.evaluate(drawing(fake * torch.from_numpy(scale)), grams, 400, trained_on=True))
    assert after["frechet_distance"].value == pytest.approx(before["frechet_distance"].value, rel=1e-3)


# What was asked for


def test_metrics_come_in_the_order_asked_for_with_the_level(points: DataSet) -> None:
    wanted = ["coverage", "kernel_distance", "precision"]
    wide, narrow = (
        scoring.evaluate(drawing(torch.from_numpy(POINTS)), points, 300, trained_on=True, metrics=wanted, level=level)
        for level in (0.99, 0.5)
    )
    assert [score.metric for score in wide] == wanted
    assert {score.level for score in narrow} == {0.5}
    assert wide[1].high - wide[1].low > narrow[1].high - narrow[1].low


@pytest.mark.parametrize(
    ("source", "wanted", "space", "words"),
    [
        ("points", ["modes"], "", "modes are known exactly"),
        ("points", ["class_kl"], "", "a feature space that knows classes"),
        ("points", ["recal"], "", "unknown metric 'recal'"),
        ("points", [], "pixels", "'pixels' needs pictures, but got points of shape 2"),
        ("points", [], "pixel", "unknown feature space"),
        ("pictures", [], "digits", "grey pictures of 28 x 28 px"),
        ("pictures", [], "points", "'points' needs points"),
        ("pictures", ["class_kl"], "pixels", "which is digits, but got 'pixels'"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_before_anything_is_drawn(
    source: str, wanted: list[str], space: str, words: str
) -> None:
    def never(count: int) -> Tensor:
        raise AssertionError("drawn already")

    opened = data.open({"points": POINTS, "pictures": PICTURES}[source])
    with pytest.raises(UsageError, match=words):
        scoring.evaluate(never, opened, 100, trained_on=False, metrics=wanted, space=space)


def test_a_space_can_be_chosen() -> None:
    pictures = data.open(PICTURES)
    found = scoring.evaluate(
        drawing(torch.zeros(50, 3, 8, 8)), pictures, 50, trained_on=False, metrics=["recall"], space="pixels"
    )
    assert found[0].feature_space == "pixels"


@pytest.mark.parametrize(
    ("name", "shape", "space"),
    [("digits", (1, 28, 28), "digits"), ("digits:3", (1, 28, 28), "digits"), ("digits", (3, 64, 64), "other")],
)
def test_a_folder_that_is_called_digits_is_not_looked_at_as_digits(
    name: str, shape: tuple[int, ...], space: str
) -> None:
    found = scoring.space_for(DataSpec(kind="images", shape=shape, count=5, name=name))
    assert found == space or (space == "other" and found in ("pixels", "effnet-lite0"))


def test_every_metric_belongs_to_a_group() -> None:
    assert sorted(name for group in scoring._TOGETHER for name in group) == metrics.names()


# What is told


def test_progress_is_told_for_features_and_scores() -> None:
    told: list[Mapping[str, Any]] = []
    scoring.evaluate(drawing(torch.zeros(260, 3, 8, 8)), data.open(PICTURES), 260, trained_on=False, space="pixels",
                     metrics=["recall", "frechet_distance"], tell=told.append)  # fmt: skip
    tasks = list(dict.fromkeys(record["task"] for record in told))
    assert tasks == ["features", "scores"]
    for task in tasks:
        done = [record["done"] for record in told if record["task"] == task]
        assert done == sorted(set(done))
        assert done[-1] == told[-1]["total"] or task == "features"
        assert {record["total"] for record in told if record["task"] == task} == {done[-1]}


def test_too_few_samples_are_said_in_a_line() -> None:
    spec = DataSpec(kind="images", shape=(3, 8, 8), count=5)
    score = metrics.score("frechet_distance", torch.randn(50, 4), torch.randn(60, 4))
    said = scoring.cautions([score], features.get("pixels"), spec)
    assert len(said) == 2
    assert said[0].startswith("50 samples tell little")
    assert "50 samples in 192 dimensions" in said[1]
    many = metrics.score("frechet_distance", torch.randn(600, 4), torch.randn(600, 4))
    assert scoring.cautions([many], features.get("pixels"), spec) == []
    exact = metrics.score("modes", data.open("ring").density, torch.randn(600, 2))
    assert scoring.cautions([exact], features.get("points"), spec) == []
