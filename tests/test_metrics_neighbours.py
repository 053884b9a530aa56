"""Precision, recall, density and coverage: by hand, against a direct computation, and on known collapses."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import density_coverage, neighbours, precision_recall
from ganworks.metrics.interval import recomputed
from ganworks.theory import ring


def normal(seed: int, count: int, dimensions: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)).double()


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def test_on_a_line_by_hand() -> None:
    """Radii of real 0, 1, 3, -20 are 1, 1, 2, 20; of fake 0.5, 4.5, 10, 1.5 they are 1, 3, 5.5, 1.

    Around 0.5 lie the balls of 0 and 1, around 4.5 that of 3, around 10 none, around 1.5 those of 1 and 3.
    """
    real, fake = column(0, 1, 3, -20), column(0.5, 4.5, 10, 1.5)
    assert precision_recall(real, fake, k=1) == (3 / 4, 3 / 4)
    assert density_coverage(real, fake, k=1) == (5 / 4, 3 / 4)


def test_the_k_th_neighbour_does_not_count_the_point_itself() -> None:
    """With k = 2 the ball of 0 reaches to 3 and not to 1."""
    real = column(0, 1, 3)
    assert precision_recall(real, column(-2.9, 50, 60), k=2).precision == pytest.approx(1 / 3)
    assert precision_recall(real, column(-3.1, 50, 60), k=2).precision == 0


def direct(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    """The four definitions with whole matrices and sorting."""
    inner, outer, across = torch.cdist(real, real), torch.cdist(fake, fake), torch.cdist(real, fake)
    reach, fake_reach = inner.sort(1).values[:, k], outer.sort(1).values[:, k]
    inside = across < reach[:, None]
    precision = inside.any(0).double().mean()
    recall = (across < fake_reach).any(1).double().mean()
    coverage = (across.amin(1) < reach).double().mean()
    return float(precision), float(recall), float(inside.double().sum(0).mean() / k), float(coverage)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(60, 90, 2), (200, 130, 7)])
def test_blocks_and_groups_give_what_whole_matrices_give(n: int, m: int, d: int, k: int) -> None:
    real, fake = normal(1, n, d), normal(2, m, d, scale=0.8)
    found = (*precision_recall(real, fake, k), *density_coverage(real, fake, k))
    assert found == pytest.approx(direct(real, fake, k), abs=1e-12)


def test_block_size_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(1, 150, 3), normal(2, 170, 3)
    before = (*precision_recall(real, fake), *density_coverage(real, fake))
    monkeypatch.setattr(neighbours, "_BLOCK", 1000)
    real, fake = real[torch.randperm(150)], fake.flip(0)
    assert (*precision_recall(real, fake), *density_coverage(real, fake)) == before


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_equal_sets(offset: float) -> None:
    points = normal(1, 400, 8) + offset
    assert precision_recall(points, points) == (1, 1)
    assert density_coverage(points, points) == (1, 1)


@pytest.mark.parametrize("different", [column(0, 1, 5), normal(1, 9, 37)])
def test_equal_sets_of_repeated_points(different: Tensor) -> None:
    """Radii are 0 here: a copy is still inside, and rounding does not put it outside."""
    points = different.repeat(20, 1)
    assert precision_recall(points, points) == (1, 1)
    assert density_coverage(points, points).coverage == 1
    assert precision_recall(points, points + 1e-3) == (0, 0)


@pytest.mark.parametrize("k", [3, 5])
def test_expected_coverage_of_equal_laws(k: int) -> None:
    """1 - 2^-k."""
    found = [density_coverage(normal(seed, 900, 4), normal(seed + 9, 900, 4), k).coverage for seed in range(4)]
    assert sum(found) / 4 == pytest.approx(1 - 2**-k, abs=0.01)


def test_equal_laws_have_density_one() -> None:
    assert density_coverage(normal(1, 2000, 2), normal(2, 2000, 2)).density == pytest.approx(1, abs=0.05)


def test_shrunken_samples_keep_coverage_and_lose_recall() -> None:
    real, fake = normal(1, 2000, 16), normal(2, 2000, 16, scale=0.5)
    assert precision_recall(real, fake).precision > 0.99
    assert precision_recall(real, fake).recall < 0.1
    assert density_coverage(real, fake).coverage == pytest.approx(0.95, abs=0.03)


def test_a_collapse_is_precise_and_recalls_little() -> None:
    found = precision_recall(normal(1, 1000, 16, scale=3), normal(2, 1000, 16, scale=0.1))
    assert found.precision > 0.8
    assert found.recall < 0.3


def test_recall_and_coverage_fall_with_each_mode_that_is_dropped() -> None:
    real = ring().sample(800, torch.Generator().manual_seed(1))
    fake, mode = ring().sample_with_component(1600, torch.Generator().manual_seed(2))
    kept = [fake[mode < most][:190] for most in (8, 6, 4, 1)]
    for numbers in (
        [precision_recall(real, part).recall for part in kept],
        [density_coverage(real, part).coverage for part in kept],
    ):
        assert numbers == sorted(set(numbers), reverse=True)
    assert min(precision_recall(real, part).precision for part in kept) > 0.9


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_replicates_are_those_of_the_remaining_samples(name: str) -> None:
    real, fake = normal(1, 95, 3), normal(2, 131, 3, scale=0.7)

    def again(x: Tensor, y: Tensor) -> float:
        return float(neighbours.replicates(x, y, names=(name,))[name][0])

    found = neighbours.replicates(real, fake, groups=20)[name]
    assert torch.allclose(found, recomputed(again, real, fake, 20), rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_what_cannot_be_measured_is_refused(metric: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match=r"at least 6 samples in real.*got 5"):
        metric(torch.rand(5, 2), torch.rand(9, 2), k=5)
    with pytest.raises(UsageError, match="a k of at least 1"):
        metric(torch.rand(5, 2), torch.rand(9, 2), k=0)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        metric(torch.rand(9, 2), torch.rand(9, 2) / 0)
