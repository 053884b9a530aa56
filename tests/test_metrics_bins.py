"""The share of different bins: its level under one law, and differences it must see."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import different_bins, score
from ganworks.metrics.bins import centers_of
from ganworks.theory import ring


def draws(count: int, dimensions: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dimensions", [2, 16])
def test_under_one_law_the_share_is_about_the_level(dimensions: int) -> None:
    """Cells fitted to real samples hold those more evenly, so somewhat below: fitted to all, 0.018 in 16 dimensions."""
    found = [different_bins(draws(1_500, dimensions, s), draws(1_500, dimensions, s + 99)) for s in range(20)]
    assert 0.03 <= np.mean(found) <= 0.065
    assert np.mean([share > 0.10 for share in found]) <= 0.1
    loose = [different_bins(draws(900, dimensions, s), draws(900, dimensions, s + 99), level=0.5) for s in range(5)]
    assert np.mean(loose) == pytest.approx(0.5, abs=0.08)


def test_two_bins_by_hand() -> None:
    """40 of 100 against 60 of 100: z = 0.2/sqrt(0.5 * 0.5 * 2/100) = 2.83; 45 against 55: 1.41."""
    two = torch.tensor([[0.0], [10.0]]).double()

    def sample(first: int) -> Tensor:
        return two.repeat_interleave(torch.tensor([first, 100 - first]), 0)

    assert different_bins(sample(40), sample(60), bins=2) == 1
    assert different_bins(sample(45), sample(55), bins=2) == 0
    assert different_bins(sample(45), sample(55), bins=2, level=0.16) == 1
    assert different_bins(sample(45), sample(55), bins=2, level=0.157) == 0


def test_a_lost_mode_is_seen_in_its_bins() -> None:
    points, modes = ring().sample_with_component(4_000, torch.Generator().manual_seed(0))
    real, fake = points[:2_000], points[2_000:]
    found = [different_bins(real, fake[modes[2_000:] >= lost], bins=8, level=0.001) for lost in (0, 1)]
    assert found[0] == 0
    assert found[1] >= 0.125  # one bin is empty, and the others hold more


@settings(max_examples=15, deadline=None)
@given(st.integers(10, 60), st.integers(1, 60), st.integers(1, 4), st.integers(2, 10), st.integers(0, 99))
def test_zero_on_equal_sets_and_of_no_order(n: int, m: int, d: int, bins: int, seed: int) -> None:
    real, fake = draws(n, d, seed), draws(m, d, seed + 1)
    assert different_bins(real, real[torch.randperm(n)], bins) == 0
    assert different_bins(real, fake[torch.randperm(m)], bins) == different_bins(real, fake, bins)


def test_it_rises_with_distance() -> None:
    real, fake = draws(1_000, 4), draws(1_000, 4, 1)
    found = [different_bins(real, fake + shift, bins=50) for shift in (0.0, 0.3, 1.0)]
    assert found == sorted(found)
    assert found[2] > 0.5


def test_k_means_finds_centres_that_are_there() -> None:
    points = ring().sample(800, torch.Generator().manual_seed(0)).double()
    distances = torch.cdist(centers_of(points, 8, 0), ring().means).min(1)
    assert distances.indices.unique().numel() == 8
    assert float(distances.values.max()) < 0.01


def test_duplicates_make_fewer_bins_and_constants_one() -> None:
    three = torch.eye(3).repeat(40, 1)
    assert different_bins(three, three[:60]) == 0
    assert different_bins(three, three[:1].repeat(60, 1)) == 1
    assert different_bins(torch.ones(200, 3), draws(200, 3)) == 0  # all in the only bin


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_scale_changes_nothing(scale: float) -> None:
    real, fake = draws(300, 3), draws(300, 3, 1) * 1.5
    assert different_bins(real * scale, fake * scale, 20) == different_bins(real, fake, 20)


def test_unfit_arguments_are_refused() -> None:
    real = draws(50, 2)
    for bins in (1, 51):
        with pytest.raises(UsageError, match="bins"):
            different_bins(real, real, bins)
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(UsageError, match="level"):
            different_bins(real, real, 10, level)
    with pytest.raises(UsageError, match="E-METRIC-01"):
        different_bins(real, draws(50, 3), 10)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        different_bins(real, real / 0, 10)


def test_its_interval_is_that_of_a_share_of_the_bins() -> None:
    real, fake = draws(1_000, 4), draws(1_000, 4, 1)
    found = score("different_bins", real, fake, bins=50, floor=draws(1_000, 4, 2))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.05  # even where no bin differs
    values = [different_bins(real + 0.1, draws(1_000, 4, seed), bins=50) for seed in range(30)]
    spread = score("different_bins", real + 0.1, fake, bins=50)
    assert (spread.high or 0) - (spread.low or 0) >= 3 * float(np.std(values))
