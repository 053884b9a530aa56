"""Estimates from draws: their intervals hold the exact value as often as they say, and never pretend to be exact."""

import math

import pytest
import torch

from ganworks.errors import UsageError
from ganworks.theory import (
    Density,
    Mixture,
    Normal,
    discriminator_loss_at_optimum,
    jensen_shannon,
    kullback_leibler,
    ring,
    sampled,
    swissroll,
)
from tests.test_theory_divergences import Unknown

SHIFTED = Normal([0.0] * 8, 1.0), Normal([0.5] * 8, 1.0)
"""In eight dimensions, along one line: known exactly."""


def exact(what: str, p: Density, q: Density, **options: float) -> float:
    known = {"jensen_shannon": jensen_shannon, "kullback_leibler": kullback_leibler}
    return known[what](p, q) if what in known else discriminator_loss_at_optimum(p, q, what, **options)


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("jensen_shannon", {}),
        ("kullback_leibler", {}),
        ("minimax", {}),
        ("non_saturating", {"real_target": 0.9}),
        ("least_squares", {"a": -1.0}),
        ("hinge", {}),
        ("relativistic_paired", {}),
    ],
)
@pytest.mark.parametrize(("p", "q"), [SHIFTED, (Normal([0.0, 0.0], 1.0), Normal([0.0, 1.0], [1.0, 2.0]))])
def test_intervals_hold_the_exact_value_as_often_as_they_say(
    what: str, options: dict[str, float], p: Density, q: Density
) -> None:
    value = exact(what, p, q, **options)
    found = [sampled(what, p, q, samples=1000, seed=seed, **options) for seed in range(300)]
    held = sum(low <= value <= high for _, low, high in found) / 300
    assert 0.91 <= held <= 0.98
    assert all(low <= estimate <= high for estimate, low, high in found)
    wider = sampled(what, p, q, samples=1000, level=0.99, **options)
    assert wider.low <= found[0].low
    assert wider.high >= found[0].high


def test_more_draws_come_nearer() -> None:
    few, many = (sampled("jensen_shannon", *SHIFTED, samples=n) for n in (1000, 100_000))
    assert (many.high - many.low) * 8 < few.high - few.low
    assert many.value == pytest.approx(jensen_shannon(*SHIFTED), abs=0.002)


@pytest.mark.parametrize(("q", "value"), [(Normal([90.0, 0.0], 1.0), math.log(2)), (ring(), 0.0)])
def test_where_all_draws_agree_the_interval_has_a_width(q: Density, value: float) -> None:
    found = sampled("jensen_shannon", ring(), q, samples=1000)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert 1e-4 < found.high - found.low < 0.01
    assert 0 <= found.low <= found.value <= found.high <= math.log(2)


def test_rare_overlap_is_held_too() -> None:
    """A share of 0.001 in common is in few draws of a thousand; in some, in none."""
    p = Normal([0.0, 0.0], 1.0)
    q = Mixture([p, Normal([60.0, 0.0], 1.0)], [1, 999])
    value = jensen_shannon(p, q)
    found = [sampled("jensen_shannon", p, q, samples=1000, seed=seed) for seed in range(100)]
    assert sum(low <= value <= high for _, low, high in found) >= 88


def test_any_density_will_do_and_draws_follow_the_seed() -> None:
    uniform = sampled("jensen_shannon", Unknown(), Normal(0.5, 1.0), samples=50_000)
    assert 0 < uniform.low < uniform.value < uniform.high < math.log(2)
    assert sampled("kullback_leibler", Normal(0.5, 1.0), Unknown()).value == math.inf
    torch.manual_seed(5)
    assert sampled("hinge", swissroll(), ring(), samples=100) == sampled("hinge", swissroll(), ring(), samples=100)
    assert sampled("minimax", *SHIFTED, seed=1) != sampled("minimax", *SHIFTED, seed=2)


@pytest.mark.parametrize(
    ("what", "options", "code"),
    [
        ("wasserstein_1", {}, "E-THEORY-01.*bias"),
        ("wasserstein", {}, "E-THEORY-01.*bias"),
        ("relativistic_average", {}, "E-THEORY-01"),
        ("jensen_shanon", {}, r"(?s)E-NAME-03.*close to it: jensen_shannon"),
        ("jensen_shannon", {"a": 1.0}, "E-ARG-01"),
        ("hinge", {"samples": 99}, "E-THEORY-01"),
        ("hinge", {"level": 1.0}, "E-THEORY-01"),
        ("hinge", {"real_target": 0.9}, "E-ARG-01"),
    ],
)
def test_what_no_sample_can_say_is_refused(what: str, options: dict[str, float], code: str) -> None:
    with pytest.raises(UsageError, match=code):
        sampled(what, *SHIFTED, **options)  # type: ignore[arg-type]  # samples is a whole number above


def test_other_dimensions_are_refused() -> None:
    with pytest.raises(UsageError, match="E-THEORY-01"):
        sampled("hinge", Normal(0.0, 1.0), ring())
