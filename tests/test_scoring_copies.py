"""Copies and the further metrics in use: which rows are looked at, what is said, and the picture of closest pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganworks import data, evaluation, metrics, scoring
from ganworks.data.dataset import DataSet
from ganworks.errors import UsageError
from ganworks.metrics import features
from ganworks.metrics.digits import Digits

FURTHER = ["sliced_wasserstein", "different_bins", "birthday_support"]


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return data.open("digits")


def compared(x: Tensor, data: DataSet, *wanted: str) -> scoring.Comparison:
    return scoring.compare(lambda count: x[:count], data, len(x), trained_on=True, metrics=wanted, keep=False)


def rows(data: DataSet, count: int, seed: int = 0) -> Tensor:
    return data.rows(torch.randint(len(data), (count,), generator=torch.Generator().manual_seed(seed)))["x"]


def test_a_replay_of_training_pictures_is_seen_whichever_they_are(digits: DataSet) -> None:
    found = compared(rows(digits, 200), digits, "memorization")
    assert found.copies is not None
    assert found.copies.p_value < 1e-6
    assert found.scores[0].value < 1e-6
    assert (found.scores[0].samples, found.scores[0].reference_samples) == (200, len(digits))
    assert (found.scores[0].feature_space, found.scores[0].real) == ("digits", 1.0)


def test_held_out_pictures_are_no_copies_and_their_pairs_are_rows(digits: DataSet) -> None:
    assert digits.held_out is not None
    unseen = rows(digits.held_out, 200)
    found = compared(unseen, digits, "memorization", "precision")
    assert [score.metric for score in found.scores] == ["memorization", "precision"]
    assert found.copies is not None
    assert found.copies.p_value > 1e-3
    assert found.scores[0].value == pytest.approx(1, abs=0.05)
    space, pair = Digits(), found.copies.pairs[0]
    a, b = space(unseen[[pair.fake]]).double(), space(digits.rows(torch.tensor([pair.train]))["x"]).double()
    assert float((a - b).norm()) == pytest.approx(pair.distance, rel=1e-4)


def test_points_of_a_known_density_are_looked_up_in_the_table() -> None:
    ring = data.open("ring")
    copies = compared(rows(ring, 300), ring, "memorization").copies
    assert copies is not None
    assert copies.p_value < 1e-6
    fresh = compared(ring.fresh(300, seed=9)["x"], ring, "memorization").copies
    assert fresh is not None
    assert fresh.p_value > 1e-3


def test_without_training_rows_and_held_out_ones_it_is_refused(digits: DataSet) -> None:
    x = rows(digits, 50)
    with pytest.raises(UsageError, match="not what was trained on"):
        scoring.evaluate(lambda count: x, digits, 50, trained_on=False, metrics=["memorization"])
    alone = DataSet(digits.spec, digits.columns)
    with pytest.raises(UsageError, match="no held-out part"):
        scoring.evaluate(lambda count: x, alone, 50, trained_on=True, metrics=["memorization"])


def test_the_further_metrics_are_those_of_the_features(digits: DataSet) -> None:
    assert digits.held_out is not None
    found = compared(rows(digits, 300), digits, *FURTHER, "inception_score")
    assert [score.metric for score in found.scores] == [*FURTHER, "inception_score"]
    for score in found.scores:
        assert score.real is not None
    assert found.scores[0].value < 0.2
    assert 8 < found.scores[3].value < 10  # the packed digits are sorted by class: parts in that order would give 1
    assert found.copies is None


def test_sorting_by_class_does_not_change_the_inception_score(digits: DataSet) -> None:
    labels = digits.rows(torch.arange(len(digits)))["label"]
    ordered = digits.rows(labels.argsort()[:: len(labels) // 400])["x"]
    found = compared(ordered, digits, "inception_score").scores[0]
    assert found.value > 8


def test_the_inception_score_needs_classes(digits: DataSet) -> None:
    with pytest.raises(UsageError, match="knows classes"):
        scoring.judge(digits, ["inception_score"], "pixels")


# What is said of too few samples


def said(metric: str, samples: int, reference: int = 10_000, space: str = "digits", **more: Any) -> list[str]:
    usual = {"value": 1.0, "low": 0.5, "high": 1.5, "level": 0.95, "real": None}
    score = metrics.Score(metric, space, samples=samples, reference_samples=reference, **usual | more)
    return scoring.cautions([score], features.get(space), data.open("digits").spec)


def test_the_inception_score_says_how_many_samples_it_takes() -> None:
    """Perfect labels of ten classes: 9.56 with 1,000 samples in 10 parts, and 9.9 with 4,500."""
    (line,) = said("inception_score", 1_000)
    assert "comes out 4% low" in line
    assert "4500 samples make that 1%" in line
    assert said("inception_score", 4_500) == []


def test_different_bins_says_how_many_samples_it_takes() -> None:
    assert "1000 of both are needed" in said("different_bins", 2_000, reference=900)[0]
    assert said("different_bins", 1_000, reference=1_000) == []


def test_birthdays_without_twins_say_what_is_certain() -> None:
    (line,) = said("birthday_support", 1_000, value=499_500 / 0.6931, low=None, high=None)
    assert "above 1.35e+05" in line
    assert "more than 1002 samples" in line
    assert said("birthday_support", 1_000) == []


# The picture


def test_the_closest_pairs_are_drawn_sample_above_training_picture(digits: DataSet, tmp_path: Path) -> None:
    copied = rows(digits, 40)
    path = tmp_path / "copied.npy"
    np.save(path, metrics.spaces.bytes_of(copied).numpy().astype(np.uint8))
    opened = data.open(str(path))
    sides = evaluation.Sides("copied", digits, samples=opened, trained_on=True)
    found = evaluation.evaluate(sides, evaluation.Wish(["memorization"], samples=40, space="pixels"))
    evaluation.write(found, tmp_path / "out")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["closest.png", "scores.json", "sides.png"]
    sheet = np.asarray(Image.open(tmp_path / "out" / "closest.png"))
    assert any(note.endswith(": copies") for note in found.notes)
    assert found.closest is not None
    inside = slice(8, 8 + 8 * 58 + 2)
    lines = [row for row in range(len(sheet)) if (sheet[row, inside] == 64).all()]
    first, second = lines[1], lines[3]  # two pixels of frame, 56 of picture, two of frame
    above, below = sheet[first + 1 : first + 57, inside], sheet[second + 1 : second + 57, inside]
    assert np.array_equal(above, below)
    assert above.std() > 50


def test_without_copies_the_verdict_says_what_would_have_shown(digits: DataSet) -> None:
    assert digits.held_out is not None
    found = evaluation._verdict(metrics.Memorization(1.0, 0.4, ()), 400)
    assert found.endswith("p = 0.4); 400 of both show copies from a share of about 10%")
