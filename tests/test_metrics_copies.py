"""Copies are told from samples that are merely good, typical, few or poor."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import Memorization, memorization, score
from ganworks.metrics.copies import estimates
from ganworks.metrics.interval import interval
from ganworks.metrics.nearest import nearest, squared_distances
from ganworks.metrics.ranks import smaller


def draws(count: int, dimensions: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_brute_force(train: Tensor, held_out: Tensor, fake: Tensor) -> Memorization:
    """The same from all distances, for sets of one size whose nearest rows all differ."""
    closeness, pairs = [], []
    for points in (held_out, fake):
        distances = (points[:, None] - train).square().sum(2).sqrt()
        ordered = distances.sort(1).values
        closeness.append(ordered[:, 0] / ordered[:, 1])
        assert len(distances.argmin(1).unique()) == len(points)
        pairs = [(float(row.min()), i, int(row.argmin())) for i, row in enumerate(distances)]
    ratio = float(closeness[1].mean() / closeness[0].mean())
    closest = tuple((fake, train, distance) for distance, fake, train in sorted(pairs)[:16])
    return Memorization(ratio, smaller(closeness[1], closeness[0]), closest)


def test_it_is_the_definition() -> None:
    train, held_out, fake = draws(3_000, 3), draws(20, 3, 1), draws(20, 3, 4)
    found, expected = memorization(train, held_out, fake), by_brute_force(train, held_out, fake)
    assert found.ratio == pytest.approx(expected.ratio)
    assert found.p_value == pytest.approx(expected.p_value)
    assert [pair[:2] for pair in found.pairs] == [pair[:2] for pair in expected.pairs]
    assert [pair.distance for pair in found.pairs] == pytest.approx([pair[2] for pair in expected.pairs])


@pytest.mark.parametrize(("dimensions", "rows", "held_out", "samples"), [(2, 900, 100, 100), (64, 2_000, 300, 1_000)])
def test_replayed_training_rows_are_found(dimensions: int, rows: int, held_out: int, samples: int) -> None:
    """However many training rows there are for a held-out one: of a subset as small, most copies would be missed."""
    train = draws(rows, dimensions)
    replayed = train[torch.randint(rows, (samples,))] + 1e-3 * draws(samples, dimensions, 1)
    found = memorization(train, draws(held_out, dimensions, 2), replayed)
    assert found.p_value < 1e-6
    assert found.ratio < 0.1


def test_exact_copies_are_at_zero() -> None:
    train = draws(500, 8)
    found = memorization(train, draws(100, 8, 1), train[:100])
    assert found.ratio == 0
    assert found.pairs == tuple((i, i, 0.0) for i in range(16))
    assert memorization(train.repeat(3, 1), draws(100, 8, 1), train[:100]).ratio == 0  # rows that are there three times


def test_a_tenth_of_copies_lowers_the_ratio_by_a_tenth() -> None:
    train, fake = draws(2_000, 32), draws(1_000, 32, 1)
    fake[:100] = train[:100]
    assert memorization(train, draws(500, 32, 2), fake).ratio == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("kind", ["own law", "typical", "one mode", "one point"])
def test_what_is_no_copy_is_rarely_called_one(kind: str) -> None:
    """Distances to training rows alone would call typical samples copies, as they lie where the rows are dense."""
    found = []
    for seed in range(0, 400, 4):
        train, held_out, fake = draws(500, 4, seed), draws(100, 4, seed + 1), draws(200, 4, seed + 2)
        if kind == "typical":
            fake = 0.7 * fake
        elif kind == "one mode":
            fake = 0.02 * fake + draws(1, 4, seed + 3)
        elif kind == "one point":
            fake = 0 * fake + draws(1, 4, seed + 3)
        found.append(memorization(train, held_out, fake).p_value)
    assert np.mean(np.array(found) < 0.05) <= 0.12
    assert min(found) > 1e-4
    if kind == "own law":
        for level in (0.1, 0.3, 0.5, 0.8):
            assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.13)


def test_poor_samples_are_no_copies() -> None:
    found = memorization(draws(500, 16), draws(200, 16, 1), 3 * draws(200, 16, 2))
    assert found.p_value > 0.5
    assert found.ratio > 1


def test_held_out_rows_in_the_samples_place_score_one() -> None:
    train, held_out = draws(300, 5), draws(100, 5, 1)
    assert memorization(train, held_out, held_out).ratio == 1
    assert memorization(train, held_out, held_out).p_value == pytest.approx(0.5, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(0, 99))
def test_any_sets_give_finite_numbers_whatever_their_order(n: int, h: int, m: int, d: int, seed: int) -> None:
    train, held_out, fake = draws(n, d, seed), draws(h, d, seed + 1), draws(m, d, seed + 2)
    found = memorization(train, held_out, fake)
    assert 0 <= found.p_value <= 1
    assert found.ratio > 0
    mixed = memorization(train[torch.randperm(n)], held_out[torch.randperm(h)], fake[torch.randperm(m)])
    assert mixed.ratio == pytest.approx(found.ratio)
    assert [pair.distance for pair in mixed.pairs] == pytest.approx([pair.distance for pair in found.pairs])


@pytest.mark.parametrize("scale", [1e150, 1e-150, 1.0])
def test_scale_and_a_far_centre_change_nothing(scale: float) -> None:
    train, held_out, fake = draws(100, 3), draws(30, 3, 1), draws(30, 3, 2)
    found = memorization(scale * train, scale * held_out, scale * fake)
    assert found.ratio == pytest.approx(memorization(train, held_out, fake).ratio)
    moved = memorization(train + 2.0**20, held_out + 2.0**20, fake + 2.0**20)
    assert moved.ratio == pytest.approx(found.ratio, rel=1e-6)


def test_unfit_sets_are_refused() -> None:
    fine = draws(5, 2)
    for sets in ((fine[:1], fine, fine), (fine, fine[:0], fine), (fine, fine, fine[:0]), (fine, fine, draws(5, 3))):
        with pytest.raises(UsageError, match="E-METRIC-01"):
            memorization(*sets)
    with pytest.raises(UsageError, match="two training rows that differ"):
        memorization(torch.ones(5, 2), fine, fine)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        memorization(fine, fine, fine / 0)
    with pytest.raises(UsageError, match="held_out"):
        score("memorization", fine, fine)


def test_its_interval_holds_the_mean_of_repetitions() -> None:
    train, found = draws(500, 4), []
    for seed in range(0, 200, 2):
        copied = torch.cat((train[:40], draws(160, 4, seed + 1)))
        found.append(estimates(train, copied, groups=20, held_out=draws(150, 4, seed + 2))["memorization"])
    target = float(np.mean([each.value for each in found]))
    inside = [low <= target <= high for low, high in (interval(each, 0.95) for each in found)]
    assert np.mean(inside) >= 0.9


def test_the_score_names_the_training_rows_it_looked_at() -> None:
    train, held_out, fake = draws(300, 4), draws(60, 4, 1), draws(50, 4, 2)
    found = score("memorization", train, fake, floor=held_out, held_out=held_out)
    assert found.value == pytest.approx(memorization(train, held_out, fake).ratio)
    assert (found.samples, found.reference_samples, found.real) == (50, 300, 1)
    assert score("memorization", train, fake[:1], held_out=held_out).low is None


def test_the_nearest_are_those_of_all_distances() -> None:
    x, others = draws(40, 3), draws(60, 3, 1)
    expected = (x[:, None] - others).square().sum(2).sqrt().topk(2, largest=False)
    distances, numbers = nearest(x, others, 2)
    assert torch.equal(numbers, expected.indices)
    assert torch.allclose(distances, expected.values, rtol=1e-12)


def test_memory_does_not_grow_with_the_product() -> None:
    """6,000 x 4,000 distances are never together."""
    blocks = [squared.numel() for _, squared in squared_distances(draws(6_000, 2), draws(4_000, 2))]
    assert sum(blocks) == 24_000_000
    assert max(blocks) <= 1 << 22
