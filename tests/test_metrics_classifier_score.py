"""The Inception Score against loops over probabilities, and its streams against whole arrays."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import inception_score, score
from ganworks.metrics.classifier_score import estimates
from ganworks.metrics.interval import interval


def draws(count: int, classes: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))


def by_loops(logits: Tensor, splits: int) -> tuple[float, float]:
    """exp(mean KL) of each part, from the definition."""
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    found = []
    for i in range(splits):
        part = p[i * len(p) // splits : (i + 1) * len(p) // splits]
        mean = part.mean(0)
        found.append(math.exp(sum((row * np.log(row / mean)).sum() for row in part) / len(part)))
    return float(np.mean(found)), float(np.std(found))


@pytest.mark.parametrize(("count", "classes", "splits"), [(100, 10, 10), (97, 3, 10), (50, 1008, 1), (12, 2, 12)])
def test_it_is_the_definition(count: int, classes: int, splits: int) -> None:
    assert inception_score(draws(count, classes), splits) == pytest.approx(by_loops(draws(count, classes), splits))


def test_the_parts_follow_the_order_and_their_spread_has_ddof_0() -> None:
    """Sorted by class each part holds one class: 1. A shuffle would give 2."""
    sure = torch.tensor([[100.0, 0.0], [0.0, 100.0]])
    assert inception_score(sure.repeat_interleave(10, 0), 2) == pytest.approx((1, 0))
    assert inception_score(sure.repeat(10, 1), 2) == pytest.approx((2, 0))
    one_and_two = torch.cat((sure[:1].repeat(10, 1), sure.repeat(5, 1)))
    assert inception_score(one_and_two, 2) == pytest.approx((1.5, 0.5))


def test_the_bounds_are_one_and_the_number_of_classes() -> None:
    assert inception_score(torch.zeros(100, 7)).mean == pytest.approx(1)
    assert inception_score(1e4 * torch.eye(10).repeat(10, 1)).mean == pytest.approx(10)


def test_perfect_labels_fall_short_by_the_chance_in_each_part() -> None:
    """About K exp(-(K - 1)/2n) in parts of n: 9.56 for ten classes and 1,000 samples."""
    found = []
    for seed in range(20):
        labels = torch.randint(10, (1_000,), generator=torch.Generator().manual_seed(seed))
        found.append(inception_score(1e4 * torch.nn.functional.one_hot(labels, 10).float()).mean)
    assert np.mean(found) == pytest.approx(10 * math.exp(-9 / 200), abs=0.03)


def test_logits_may_be_of_any_size() -> None:
    """Probabilities in float32 would be 0 or 1 here, and a softmax without a shift would overflow."""
    logits = torch.tensor([[1e4, 1e4 + 1.0], [-1e4, -1e4 - 1.0]]).double()
    p = 1 / (1 + math.exp(-1))
    assert inception_score(logits, 1).mean == pytest.approx(2 * math.exp(p * math.log(p) + (1 - p) * math.log(1 - p)))
    assert math.isfinite(inception_score(torch.tensor([[1e300, -1e300]] * 4, dtype=torch.float64), 2).mean)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 5), st.integers(2, 6))
def test_batches_give_the_same(sizes: list[int], splits: int, classes: int) -> None:
    logits = draws(sum(sizes), classes)
    splits = min(splits, len(logits))
    whole = inception_score(logits, splits)
    assert inception_score(iter(logits.split(sizes)), splits, count=len(logits)) == pytest.approx(whole)
    assert inception_score(logits.numpy(), splits) == pytest.approx(whole)


def test_other_counts_of_batches_and_parts_are_refused() -> None:
    logits = draws(10, 3)
    for batches, count in (([logits], 11), ([logits, logits], 10), ([logits], 0)):
        with pytest.raises(UsageError, match="E-METRIC-01"):
            inception_score(batches, 2, count=count)
    for splits in (0, 11):
        with pytest.raises(UsageError, match=r"E-METRIC-01.* parts"):
            inception_score(logits, splits)
    with pytest.raises(UsageError, match="3 classes in every batch"):
        inception_score([logits, draws(10, 4)], 2, count=20)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        inception_score(logits.log(), 2)


def test_its_interval_holds_the_mean_of_repetitions() -> None:
    found = [estimates(draws(400, 5, seed), draws(400, 5, seed), groups=20)["inception_score"] for seed in range(100)]
    target = float(np.mean([each.value for each in found]))
    inside = [low <= target <= high for low, high in (interval(each, 0.95) for each in found)]
    assert np.mean(inside) >= 0.9
    assert estimates(draws(40, 5), draws(40, 5), groups=20, splits=1)["inception_score"].freedom == 0


def test_the_score_is_that_of_the_samples() -> None:
    real, fake = draws(100, 4), draws(200, 4, seed=1)
    found = score("inception_score", real, fake, floor=real, splits=5)
    assert found.value == inception_score(fake, 5).mean
    assert found.real == inception_score(real, 5).mean
