"""What the probes are made of, against closed forms and formulas written in another way; and mistakes they catch."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganworks import losses
from ganworks.diagnosis import measures

NOTHING, NAN = torch.empty(0), torch.tensor([1.0, math.nan])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed))


# Accuracy: the share of pairs


def pairs(real: Tensor, fake: Tensor) -> float:
    """By its definition, pair by pair."""
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(real.tolist(), fake.tolist())]
    return sum(won) / len(won)


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_is_the_share_of_pairs_and_a_tie_is_half(seed: int) -> None:
    random = seeded(seed)
    real, fake = (torch.randint(high, (count,), generator=random).float() for high, count in ((6, 17), (4, 9)))
    assert measures.ranked(real, fake) == pytest.approx(pairs(real, fake), abs=1e-12)


def test_accuracy_needs_no_threshold() -> None:
    """A critic's heights mean nothing by themselves; D is right wherever they lie, and wrong when turned round."""
    real, fake = normal(50) + 103, normal(50, seed=1) + 100
    assert measures.ranked(real, fake) == measures.ranked(real - 200, fake - 200) > 0.95
    assert measures.ranked(-real, -fake) == pytest.approx(1 - (measures.ranked(real, fake) or 0))


def test_accuracy_of_a_coin_and_of_certainty() -> None:
    assert measures.ranked(torch.zeros(3), torch.zeros(8)) == 0.5
    assert measures.ranked(torch.tensor([math.inf]), torch.tensor([-math.inf])) == 1
    assert measures.ranked(torch.tensor([1.0]), torch.tensor([2.0])) == 0


def test_accuracy_of_two_normals_is_that_of_the_best_discriminator() -> None:
    """For N(2, 1) against N(0, 1) and f = x: P(a > b) = Φ(2 / √2)."""
    exact = 0.5 * (1 + math.erf(1.0))
    assert measures.ranked(normal(4000) + 2, normal(4000, seed=1)) == pytest.approx(exact, abs=0.01)


# Calibration


def test_the_best_discriminator_is_calibrated_and_a_bolder_one_is_not() -> None:
    """For N(1, 1) against N(-1, 1) the best logit is 2x. Three times as bold says nearly 1 or 0 everywhere."""
    real, fake = normal(20_000) + 1, normal(20_000, seed=1) - 1
    assert (measures.calibration_error(2 * real, 2 * fake) or 1) < 0.015
    assert (measures.calibration_error(6 * real, 6 * fake) or 0) > 0.05


def test_the_error_of_a_constant_is_its_distance_from_one_half() -> None:
    for said in (-3.0, 0.0, 0.4, 3.0):
        expected = abs(1 / (1 + math.exp(-said)) - 0.5)
        got = measures.calibration_error(torch.full((10,), said), torch.full((30,), said))
        assert got == pytest.approx(expected, abs=1e-7), "thirty fakes weigh as much as ten reals"


def test_bins_are_counted_apart() -> None:
    """σ(f) = 0.25 for two reals of four and 0.75 for both sides alike: ½·|0.25 - ½| + ½·|0.75 - ½|."""
    low, high = math.log(1 / 3), math.log(3)
    both = torch.tensor([low, low, high, high])
    assert measures.calibration_error(both, both) == pytest.approx(0.25)


def test_certainty_falls_into_the_last_bin() -> None:
    assert measures.calibration_error(torch.tensor([math.inf]), torch.tensor([-math.inf])) == 0
    assert measures.calibration_error(torch.tensor([-math.inf]), torch.tensor([math.inf])) == 1


# Saturation


def test_saturation_is_the_ratio_of_the_means() -> None:
    fake = torch.tensor([-2.0, 0.0, 1.5])
    d = fake.double().sigmoid()
    assert measures.saturation(fake) == pytest.approx(float(d.mean() / (1 - d).mean()))


@pytest.mark.parametrize("logit", [-9.0, -2.0, 0.0, 2.0])
def test_saturation_is_how_much_less_minimax_moves_a_generator(logit: float) -> None:
    """The gradients of both losses through a network, where D says the same of all samples."""
    torch.manual_seed(0)
    generator, z, height = nn.Linear(3, 2), normal(16, 3), torch.tensor([1.0, -0.5])
    size = []
    for loss in ("minimax", "non_saturating"):
        fake = generator(z)
        logits = (fake - fake.detach()) @ height + logit
        slopes = torch.autograd.grad(losses.get(loss).generator(logits), list(generator.parameters()))
        size.append(math.sqrt(sum(float(slope.square().sum()) for slope in slopes)))
    assert measures.saturation(torch.full((16,), logit)) == pytest.approx(size[0] / size[1], rel=1e-4)


def test_saturation_far_out_is_a_number() -> None:
    assert measures.saturation(torch.tensor([-500.0])) == pytest.approx(math.exp(-500), rel=1e-6)
    assert measures.saturation(torch.tensor([-math.inf])) == 0
    assert math.isfinite(measures.saturation(torch.tensor([math.inf])) or math.nan)


# Memory


def test_memory_is_where_held_out_rows_lie_on_the_way_to_samples() -> None:
    trained, fake = torch.tensor([7.0, 9.0]).repeat(50), torch.tensor([-1.0, 1.0]).repeat(50)
    for share in (-0.25, 0.0, 0.5, 1.0, 1.5):
        held_out = trained - 8 * share
        assert measures.memory(trained, held_out, fake) == pytest.approx(share)


def test_memory_of_a_coin_is_unknown() -> None:
    """Its denominator would be noise."""
    assert measures.memory(normal(100), normal(100, seed=1), normal(100, seed=2)) is None
    assert measures.memory(normal(100), normal(100, seed=1), normal(100, seed=2) + 3) is None, "D has it the wrong way"
    assert measures.memory(normal(100), normal(100, seed=1), normal(100, seed=2) - 3) == pytest.approx(0, abs=0.1)


# Spread, rank, kinds


def test_spread_of_a_triangle() -> None:
    assert measures.spread(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])) == pytest.approx((3 + 4 + 5) / 3)


def test_spread_of_normal_rows() -> None:
    """The difference of two has std √2, and the mean length of a normal pair of numbers is √(π/2)."""
    assert measures.spread(normal(2000, 2)) == pytest.approx(math.sqrt(math.pi), rel=0.03)


@pytest.mark.parametrize("size", [1e-20, 1e20, 1e30])
def test_spread_of_samples_that_have_run_away_is_a_number(size: float) -> None:
    """In float32 their squares overflow, just where divergence has to be seen."""
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]]) * size
    assert measures.spread(x) == pytest.approx(5 * size)
    assert measures.sliced_distance(x, 2 * x, torch.eye(2)) == pytest.approx(math.sqrt(2))


def test_effective_number_of_equal_shares_is_their_count() -> None:
    assert measures.effective_number(torch.tensor([3.0, 3.0, 3.0, 0.0])) == pytest.approx(3)
    assert measures.effective_number(torch.tensor([0.0, 7.0])) == pytest.approx(1)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert measures.effective_number(torch.tensor([1.0, 3.0])) == pytest.approx(math.exp(entropy))
    assert measures.effective_number(torch.zeros(4)) == 1


def test_effective_rank_counts_directions_by_their_variance() -> None:
    """Corners of a box: variances 1 and 9 along its two sides, nothing along the third; wherever it lies."""
    corners = torch.tensor([[a, 3.0 * b, 0.0] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert measures.effective_rank(corners) == pytest.approx(math.exp(entropy))
    assert measures.effective_rank(corners + 1000) == pytest.approx(math.exp(entropy))
    assert measures.effective_rank(normal(5000, 4)) == pytest.approx(4, abs=0.02)


def test_histogram_counts_to_the_nearest_centre() -> None:
    rows, centers = torch.tensor([[0.1], [0.2], [0.9], [7.0]]), torch.tensor([[0.0], [1.0], [-5.0]])
    assert measures.histogram(rows, centers).tolist() == [2, 2, 0]


# The nearest neighbour


def test_nearest_neighbours_tell_two_laws_apart_and_one_law_not() -> None:
    assert measures.told_apart(normal(400, 2), normal(400, 2, seed=1)) == pytest.approx(0.5, abs=0.05)
    assert measures.told_apart(normal(400, 2), normal(400, 2, seed=1) + 50) == 1


def test_nearest_neighbours_by_hand() -> None:
    """On a line: real 0 has real 1, which has fake 1.4, as that has it; fake 5 and 6 have each other: (½ + ⅔) / 2."""
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[5.0], [6.0], [1.4]])
    assert measures.told_apart(real, fake) == pytest.approx(7 / 12)


def test_a_row_is_not_its_own_neighbour_and_copies_are_a_coin() -> None:
    rows = normal(100, 2)
    assert measures.told_apart(rows, rows.clone()) == pytest.approx(0, abs=1e-9), "a copy's nearest row is its original"
    assert measures.told_apart(torch.zeros(5, 2), torch.zeros(9, 2)) == 0.5


@pytest.mark.parametrize("at", [0.0, 1e3, 1e5])
def test_neighbours_are_found_wherever_the_data_lie(at: float) -> None:
    """A distance from squares and products in float32 is noise there."""
    here = torch.arange(60.0)[:, None] / 32 + torch.tensor([[0.0, at]])
    there = here + torch.tensor([[1 / 128, 0.0]])
    near = torch.cdist(there.double(), here.double(), compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
    assert torch.equal(measures.nearest(there, here), near)
    assert measures.told_apart(here * 0 + at, here * 0 + at + 1 / 64) == 1


# The distance


@pytest.mark.parametrize("shift", [0.5, 3.0])
def test_the_distance_of_a_shift_is_the_shift_over_the_std(shift: float) -> None:
    """Along one line W2 of a shifted sample is the shift exactly, whatever the order of rows."""
    real = normal(300, 2)
    line = torch.tensor([[1.0], [0.0]])
    fake = real[torch.randperm(300, generator=seeded())] + shift * line.T
    std = float(real[:, 0].double().std(correction=0))
    assert measures.sliced_distance(real, fake, line) == pytest.approx(shift / std, rel=1e-5)
    assert measures.sliced_distance(real, real.flip(0), line) == 0


def test_the_distance_along_several_lines_is_a_root_of_means() -> None:
    """A shift of (3, 0) seen along both axes, over the standard deviations there."""
    real = normal(300, 2) * torch.tensor([1.0, 2.0])
    wide = real.double().var(0, correction=0)
    found = measures.sliced_distance(real, real + torch.tensor([3.0, 0.0]), torch.eye(2))
    assert found == pytest.approx(math.sqrt(9 / float(wide.sum())), rel=1e-5)


def test_the_distance_of_a_scaled_sample_by_its_quantiles() -> None:
    """W2 of x and 2x is the root mean square of x along the line."""
    real = normal(300, 1) + 1
    exact = float(real.double().square().mean().sqrt() / real.double().std(correction=0))
    assert measures.sliced_distance(real, 2 * real, torch.ones(1, 1)) == pytest.approx(exact, rel=1e-6)


# What does not exist


def test_numbers_of_logits_that_are_not_there_do_not_exist() -> None:
    one, two = torch.ones(1), torch.tensor([4.0, 5.0])
    for first, second in ((NOTHING, one), (one, NOTHING), (NAN, one), (one, NAN)):
        assert measures.ranked(first, second) is None
        assert measures.calibration_error(first, second) is None
    assert measures.saturation(NOTHING) is measures.saturation(NAN) is None
    infinite = torch.tensor([1.0, math.inf])
    for bad in (NOTHING, one, NAN, infinite):
        for parts in ((bad, two, 0 * two), (two, bad, 0 * two), (two, two, bad)):
            assert measures.memory(*parts) is None


def test_numbers_of_rows_that_are_not_there_do_not_exist() -> None:
    none, one, broken = torch.empty(0, 2), torch.ones(1, 2), torch.tensor([[0.0, 1.0], [math.nan, 1.0]])
    for rows in (none, broken, torch.full((3, 2), math.inf)):
        assert measures.spread(rows) is measures.effective_rank(rows) is None
        assert measures.told_apart(rows, one) is measures.told_apart(one, rows) is None
        assert measures.sliced_distance(rows, rows, torch.eye(2)) is None
    assert measures.spread(one) is None
    assert measures.effective_rank(one) == 1


def test_constant_data_have_no_width_to_measure_by() -> None:
    """Samples of constant data that are the same constant have not collapsed."""
    flat = torch.full((7, 3), 0.1)
    assert measures.spread(flat) == 0
    assert measures.over(measures.spread(flat), measures.spread(flat)) is None
    assert measures.effective_rank(flat) == 1
    assert measures.sliced_distance(flat, flat + 1, torch.eye(3)) is None
    assert measures.over(0.0, 2.0) == 0


def test_what_does_not_exist_is_not_recorded() -> None:
    assert measures.known({"a": None, "b": 0.0, "c": math.nan, "d": math.inf}) == {"b": 0}


# Planted mistakes


def _biased(real: Tensor, fake: Tensor) -> float:
    """Calibration that counts every logit alike, however many there are of each side."""
    said, true = torch.cat([real, fake]).sigmoid(), torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    cells = (said * 10).long().clamp(0, 9)
    return sum(float((said - true)[cells == cell].sum().abs()) for cell in range(10)) / len(said)


def _unsorted(real: Tensor, fake: Tensor, lines: Tensor) -> float:
    """Rows paired as they come."""
    a, b = real @ lines, fake @ lines
    return float((a - b).square().mean().sqrt() / a.std(0, correction=0).square().mean().sqrt())


def _own(real: Tensor, fake: Tensor) -> float:
    """A row that may be its own neighbour."""
    rows = torch.cat([real, fake])
    near = torch.cdist(rows, rows).argmin(1) < len(real)
    return float((near[: len(real)].double().mean() + (~near[len(real) :]).double().mean()) / 2)


def _products(real: Tensor, fake: Tensor) -> float:
    """Distances from squares and products, in float32."""
    rows = torch.cat([real, fake])
    away = torch.cdist(rows, rows, compute_mode="use_mm_for_euclid_dist").fill_diagonal_(math.inf)
    own = torch.arange(len(rows)) < len(real)
    same = own[away.argmin(1)] == own
    return float((same[: len(real)].double().mean() + same[len(real) :].double().mean()) / 2)


MISTAKES: list[tuple[str, str, Callable[..., object], Callable[[], None]]] = [
    ("ranked", "a tie is lost", lambda real, fake: float((real[:, None] > fake).double().mean()),
     lambda: test_accuracy_is_the_share_of_pairs_and_a_tie_is_half(0)),
    ("ranked", "a threshold at 0",
     lambda real, fake: float(((real > 0).double().mean() + (fake < 0).double().mean()) / 2),
     test_accuracy_needs_no_threshold),
    ("calibration_error", "sides not weighed", _biased, test_the_error_of_a_constant_is_its_distance_from_one_half),
    ("calibration_error", "one bin for all",
     lambda real, fake: abs(float(torch.cat([real, fake]).sigmoid().mean()) - 0.5), test_bins_are_counted_apart),
    ("saturation", "a mean of ratios", lambda fake: float(fake.double().exp().mean()),
     test_saturation_is_the_ratio_of_the_means),
    ("saturation", "the ratio turned round", lambda fake: float((-fake).sigmoid().mean() / fake.sigmoid().mean()),
     lambda: test_saturation_is_how_much_less_minimax_moves_a_generator(-2.0)),
    ("memory", "never unknown",
     lambda a, b, c: float((a.mean() - b.mean()) / (a.mean() - c.mean())), test_memory_of_a_coin_is_unknown),
    ("memory", "over the way from held-out rows to samples",
     lambda a, b, c: float((a.mean() - b.mean()) / (b.mean() - c.mean()).clamp_min(1e-6)),
     test_memory_is_where_held_out_rows_lie_on_the_way_to_samples),
    ("spread", "rows with themselves", lambda x: float(torch.cdist(x, x).mean()), test_spread_of_a_triangle),
    ("spread", "in float32", lambda x: float(torch.pdist(x).mean()),
     lambda: test_spread_of_samples_that_have_run_away_is_a_number(1e30)),
    ("effective_rank", "singular values for variances",
     lambda x: measures.effective_number(torch.linalg.svdvals(x - x.mean(0))),
     test_effective_rank_counts_directions_by_their_variance),
    ("effective_rank", "not centred", lambda x: measures.effective_number(torch.linalg.svdvals(x).square()),
     test_effective_rank_counts_directions_by_their_variance),
    ("told_apart", "its own neighbour", _own, test_nearest_neighbours_by_hand),
    ("told_apart", "in float32", _products, lambda: test_neighbours_are_found_wherever_the_data_lie(1e5)),
    ("sliced_distance", "rows not sorted", _unsorted,
     lambda: test_the_distance_of_a_shift_is_the_shift_over_the_std(0.5)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "mistake", "wrong", "test"), MISTAKES, ids=[f"{row[0]}: {row[1]}" for row in MISTAKES]
)
def test_a_planted_mistake_is_caught(
    name: str, mistake: str, wrong: Callable[..., object], test: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    test()
    monkeypatch.setattr(measures, name, wrong)
    with pytest.raises(AssertionError):
        test()
