"""Which numbers samples are scored by: against rows that training never saw, beside as many real ones."""

import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganworks import data, metrics, scoring
from ganworks.data import excerpt, gallery
from ganworks.data.dataset import DataSet
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import UsageError
from ganworks.metrics import features
from ganworks.metrics.digits import Digits
from ganworks.metrics.spaces import Classifier, FeatureSpace

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
    rows = excerpt.spread(points, 400).rows()
    found = by_metric(scoring.evaluate(drawing(rows), points, 400, trained_on=True))
    for score in found.values():
        assert score.real == pytest.approx(score.value)  # these samples are the floor's own rows
    real, fake = (points.spec.encode(x) for x in (excerpt.spread(points.held_out, 400).rows(), rows))
    assert found["frechet_distance"].real == pytest.approx(metrics.frechet_distance(real, fake))


def test_other_data_is_compared_with_as_a_whole_and_has_no_floor(points: DataSet) -> None:
    found = scoring.evaluate(drawing(torch.from_numpy(POINTS)), points, 1_000, trained_on=False)
    assert {score.reference_samples for score in found} == {1_000}  # the held-out part with it
    assert {score.real for score in found} == {None}
    all_rows = excerpt.whole(points, 5_000).rows()
    assert torch.equal(all_rows.sort(0).values, torch.from_numpy(POINTS).sort(0).values)


def test_some_of_the_whole_come_from_both_parts(points: DataSet) -> None:
    assert points.held_out is not None
    held = {tuple(row) for row in points.held_out.rows(torch.arange(len(points.held_out)))["x"].tolist()}
    taken = [tuple(row) for row in excerpt.whole(points, 200).rows().tolist()]
    assert len(taken) == len(set(taken)) == 200
    assert sum(row in held for row in taken) == 20


def test_real_comes_first() -> None:
    """A model of one digit of ten is precise and misses most: exchanged arguments would say the opposite."""
    digits = data.open("digits")
    sevens = data.open("digits:7")
    found = by_metric(scoring.evaluate(drawing(excerpt.spread(sevens, 600).rows()), digits, 600, trained_on=True))
    assert found["precision"].value > 0.7
    assert found["recall"].value < 0.3
    assert found["class_kl"].value > 1
    assert found["recall"].feature_space == "digits"


def test_classes_are_those_of_the_classifier() -> None:
    digits = data.open("digits")
    assert digits.held_out is not None
    real, fake = (excerpt.spread(each, 300).rows() for each in (digits.held_out, data.open("digits:7")))
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
        ("pictures", ["class_kl"], "pixels", "such as digits, but got 'pixels'"),
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


def test_the_usual_metrics_count_classes_where_the_samples_suffice_for_them() -> None:
    digits, ring = data.open("digits"), data.open("ring")
    assert "class_kl" in scoring.usual_metrics(digits)
    assert "class_kl" not in scoring.usual_metrics(digits, "pixels")
    if "effnet-lite0" in features.available():
        assert "class_kl" not in scoring.usual_metrics(digits, "effnet-lite0")  # 1,000 classes
        assert isinstance(scoring.judge(digits, ["class_kl"], "effnet-lite0"), Classifier)
    assert "class_kl" not in scoring.usual_metrics(ring)


def test_every_metric_belongs_to_a_group() -> None:
    assert sorted(name for group in scoring._TOGETHER for name in group) == metrics.names()


def test_too_few_samples_for_an_extrapolation_are_refused_before_they_are_looked_at() -> None:
    class Never(Few):
        def __call__(self, x: Tensor) -> Tensor:
            raise AssertionError("looked at already")

    with pytest.raises(UsageError, match=r"more samples of both kinds than the 8 dimensions of 'few', but got 8"):
        scoring.evaluate(drawing(torch.zeros(8, 3, 8, 8)), data.open(PICTURES), 8, trained_on=False, space=Never(),
                         metrics=["frechet_extrapolated"])  # fmt: skip


# How much is in memory


class Passing:
    """Pictures that come part by part, and how many parts are held at once."""

    def __init__(self, count: int) -> None:
        self.count, self.most = count, 0
        self._parts: list[weakref.ref[Tensor]] = []

    def __call__(self, count: int) -> Iterator[Tensor]:
        for start in range(0, count, 100):
            part = torch.full((min(100, count - start), 3, 8, 8), start / count)
            self.seen(part)
            yield part

    def seen(self, part: Tensor) -> Tensor:
        self._parts.append(weakref.ref(part))
        self.most = max(self.most, sum(each() is not None for each in self._parts))
        return part


def test_pictures_are_held_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpt, "_MOST", 50)
    opened, drawn, read = data.open(PICTURES), Passing(300), Passing(300)
    monkeypatch.setattr(
        DataSet, "rows", lambda self, index: Batch({"x": read.seen(torch.zeros(len(index), 3, 8, 8) + index[0])})
    )
    scoring.evaluate(drawn, opened, 300, trained_on=True, space="pixels", metrics=["kernel_distance"])
    assert drawn.most <= 2
    assert read.most <= 2
    assert len(read._parts) == 2 + 4  # 100 held-out rows, and 200 of the training part beside them


def test_files_that_are_read_when_they_are_wanted_give_the_same_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, picture in enumerate(PICTURES[:60].transpose(0, 2, 3, 1)):
        Image.fromarray(picture).save(tmp_path / f"{index:02}.png")
    found = []
    for kept in (gallery.KEPT, 0):
        monkeypatch.setattr("ganworks.data.folders.KEPT", kept)
        opened = data.open(tmp_path, size=8, mirror=True)
        assert opened.streamed == (kept == 0)
        monkeypatch.setattr(excerpt, "_MOST", 25)
        wanted = ["frechet_distance", "recall"]
        found.append(scoring.evaluate(drawing(torch.zeros(50, 3, 8, 8)), opened, 50, trained_on=False, space="pixels",
                                      metrics=wanted, reference=100))  # fmt: skip
    assert found[0] == found[1]
    assert found[0][0].reference_samples == 100


class Few(FeatureSpace):
    """Eight numbers a picture, and three classes."""

    name, dimensions, classes = "few", 8, 3
    weight = torch.randn(192, 8, generator=torch.Generator().manual_seed(0)) / 10

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight

    def classify(self, features: Tensor) -> Tensor:
        return features[:, :3]


@pytest.mark.parametrize("trained_on", [True, False])
def test_the_way_of_the_rows_changes_nothing(trained_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Part by part or together, through features or through sums."""
    rows = np.random.default_rng(1).integers(0, 256, (3_000, 3, 8, 8)).astype("uint8")
    opened, x = data.open(rows), torch.rand(1_500, 3, 8, 8) * 2 - 1.1
    found = []
    for summed, most, draw in (
        (1e9, 256, drawing(x)),
        (1e9, 32, lambda count: iter(torch.split(x[:count], 96))),
        (1, 256, drawing(x)),
        (1, 64, lambda count: iter(torch.split(x[:count], 32))),
    ):
        monkeypatch.setattr(scoring, "_SUMMED", summed)
        monkeypatch.setattr(excerpt, "_MOST", most)
        wanted = ["frechet_distance", "class_kl"]
        found.append(scoring.evaluate(draw, opened, 1_500, trained_on=trained_on, metrics=wanted, space=Few()))
    for others in found[1:]:
        for score, other in zip(found[0], others, strict=True):
            assert (other.metric, other.samples) == (score.metric, 1_500)
            assert (other.value, other.low, other.high) == pytest.approx((score.value, score.low, score.high), rel=1e-5)
            assert (other.real is None) == (not trained_on)
            assert other.real == (score.real if score.real is None else pytest.approx(score.real, rel=1e-5))


PEAK = """
import resource, torch
from ganworks import data, scoring
from ganworks.metrics.spaces import FeatureSpace

class Wide(FeatureSpace):
    name, dimensions = "wide", 128
    weight = torch.randn(4, 128)

    def __call__(self, x):
        return x.flatten(1) @ self.weight

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def draw(count):
    for start in range(0, count, 256):
        yield torch.rand(min(256, count - start), 1, 2, 2)

torch.set_num_threads(1)
for count in (4_000, 60_000):
    opened = data.open(torch.randint(0, 256, (count, 1, 2, 2), dtype=torch.uint8).numpy())
    scoring.evaluate(draw, opened, count, trained_on=False, space=Wide(), metrics=["frechet_distance"])
    print(peak())
"""


def test_the_frechet_distance_alone_takes_no_more_memory_for_more_samples() -> None:
    """Features of 2 x 60,000 samples would be 61 MB, and 123 MB in float64."""
    said = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True).stdout
    few, many = map(float, said.split())
    assert many - few < 40


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
