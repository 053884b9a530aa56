"""Distances in float32 that decide as float64 does: the bound on their error, and neighbours where it matters."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganworks.metrics import distances
from ganworks.metrics.distances import Level, Points, center, first_level, nearest, same_scale


def normal(count: int, dimensions: int) -> Tensor:
    random = torch.Generator().manual_seed(count + dimensions)
    return torch.randn(count, dimensions, generator=random, dtype=torch.float64)


def clusters(spread: float) -> Tensor:
    return (1e6 * normal(6, 64)).repeat(30, 1) + spread * normal(180, 64)


HARD: dict[str, Callable[[], Tensor]] = {
    "normal": lambda: normal(200, 100),
    "one number": lambda: normal(300, 1),
    "4,096 numbers": lambda: normal(60, 4096),
    "far from 0": lambda: normal(200, 40) + 1e9,
    "huge": lambda: 1e150 * normal(120, 40),
    "nearly too huge": lambda: 3e307 * normal(120, 40).clamp(-5, 5),
    "tiny": lambda: 1e-150 * normal(120, 40),
    "hardly more than 0": lambda: 1e-300 * normal(120, 40),
    "all equally far": lambda: torch.eye(150, dtype=torch.float64),
    "nearly equally far": lambda: torch.eye(150, dtype=torch.float64) + 1e-6 * normal(150, 150),
    "equal to the ninth digit": lambda: torch.eye(150, dtype=torch.float64) + 1e-9 * normal(150, 150),
    "copies": lambda: normal(12, 64).repeat(15, 1),
    "nearly copies": lambda: normal(12, 64).repeat(15, 1) + 1e-9 * normal(180, 64),
    "all but one point": lambda: torch.full((150, 64), 0.3, dtype=torch.float64) + 1e-10 * normal(150, 64),
    "constant": lambda: torch.full((50, 64), 0.3, dtype=torch.float64),
    "tight clusters far apart": lambda: clusters(1e-3),
    "an outlier": lambda: torch.cat((normal(150, 64), 1e12 * normal(2, 64))),
    "a lattice": lambda: 0.1 * torch.randint(0, 3, (200, 20), generator=torch.Generator().manual_seed(0)).double(),
    "float32": lambda: normal(200, 100).float(),
}


def plain(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist").square()


@pytest.fixture(params=HARD)
def points(request: pytest.FixtureRequest) -> Tensor:
    return same_scale(HARD[request.param]())[0]


@pytest.mark.parametrize("level", [Level.SINGLE, Level.DOUBLE])
def test_the_error_is_within_its_bound(points: Tensor, level: Level) -> None:
    sample = Points(points, center(points))
    rows = slice(0, len(points))
    lengths = sample.squares.sqrt()
    off = sample.squared(rows, sample, rows, level).double() - plain(points, points)
    assert (off.abs() <= sample.error(lengths[:, None] + lengths, level)).all()


def test_the_bound_is_tight_enough_to_be_of_use() -> None:
    sample = Points(x := normal(300, 2048), center(x))
    slack = sample.slack(slice(0, 300), torch.full((300,), 4096.0), Level.SINGLE)
    assert slack.max() / 4096 < 1e-4
    rows = slice(0, 300)
    off = (sample.squared(rows, sample, rows, Level.SINGLE).double() - plain(x, x)).abs()
    assert off.max() < slack.min() / 10


@pytest.mark.parametrize("block", [1024, 37])
def test_neighbours_are_those_of_plain_float64(points: Tensor, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_BLOCK", block)
    squared = plain(points, points).fill_diagonal_(torch.inf).sort(1).values
    for k, radii in nearest(Points(points, center(points)), {1, 3, 5}).items():
        assert torch.allclose(radii, squared[:, k - 1], rtol=1e-10, atol=0)


@pytest.mark.parametrize("first", [Level.SINGLE, Level.DOUBLE, Level.DIRECT])
def test_every_level_can_be_the_first(first: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "first_level", lambda _: first)
    x = normal(150, 5)
    squared = plain(x, x).fill_diagonal_(torch.inf).sort(1).values
    assert torch.allclose(nearest(Points(x, center(x)), {4})[4], squared[:, 3], rtol=1e-12)


def test_most_is_decided_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else there is nothing to gain."""
    levels: list[Level] = []
    squared = Points.squared

    def counted(self: Points, rows: Tensor | slice, others: Points, columns: slice, level: Level) -> Tensor:
        levels.append(level)
        return squared(self, rows, others, columns, level)

    monkeypatch.setattr(Points, "squared", counted)
    nearest(Points(x := normal(700, 512), center(x)), {3, 5})
    assert set(levels) == {Level.SINGLE}


def test_products_in_bfloat16_are_noticed() -> None:
    assert first_level(64) == Level.SINGLE
    torch.set_float32_matmul_precision("medium")
    try:
        probe = torch.full((64, 64), 1 + 2.0**-12)
        rounded = float((probe @ probe.T)[0, 0]) == 64  # not every processor has them
        assert first_level(64) == (Level.DOUBLE if rounded else Level.SINGLE)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_small_numbers_of_columns_need_no_products() -> None:
    assert first_level(2) == Level.DIRECT


def test_what_fits_float32_is_not_copied() -> None:
    x, y = normal(5, 3), normal(5, 3) + 1
    assert same_scale(x, y)[0] is x
    scaled = same_scale(x, 1e200 * y)
    assert torch.equal(scaled[1] / scaled[0], 1e200 * y / x)
