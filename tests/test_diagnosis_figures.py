"""What rules make of numbers, and how series are read: worked out by hand."""

import math

import pytest
from diagnosed import EVERY, told

from ganworks.diagnosis import figures
from ganworks.diagnosis.series import Series, middle, number


@pytest.mark.parametrize("length", [4, 7, 12])
def test_the_period_of_a_wave_is_its_length(length: int) -> None:
    wave = [math.sin(2 * math.pi * at / length) for at in range(10 * length)]
    lag, likeness = figures.period(wave)
    assert (lag, round(likeness, 1)) == (length, 0.9), "a tenth of its products is missing"


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [3.0] * 9])
def test_what_is_short_or_constant_has_no_period(values: list[float]) -> None:
    assert figures.period(values) == (0, 0.0)


def test_the_share_of_penalties_is_of_sizes() -> None:
    """A Wasserstein critic's own term is below 0."""
    record = {"discriminator.adversarial": -3.0, "discriminator.r1": 0.5, "discriminator.gradient_penalty": 0.5}
    assert figures.penalties(record) == pytest.approx(0.25)
    assert figures.penalties({"discriminator.adversarial": 1.0}) is None
    assert figures.penalties({"discriminator.r1": 1.0}) is None


def test_the_gap_of_logits_has_no_sign_and_needs_both() -> None:
    assert figures.gap({"logit.real": -3.0, "logit.fake": 1.5}) == 4.5
    assert figures.gap({"logit.real": 1.0}) is None


def test_real_rows_reach_as_far_as_real_rows() -> None:
    """Their coordinates have a root mean square of 1 each, whether one is looked at or two."""
    assert figures.reach([(1.0, -1.0), (-1.0, 1.0)]) == 1
    assert figures.reach([(1.0, None), (-1.0, None)]) == 1
    assert figures.reach([(None, None)]) == figures.reach([]) == 0


def test_moves_are_from_look_to_look() -> None:
    assert figures.moves([(0.0, 0.0), (3.0, 4.0), (None, None), (3.0, 5.0)]) == [5, 1]
    assert figures.moves([(1.0, None), (-1.0, None)]) == [2]
    assert figures.moves([]) == []


def test_means_and_quantiles() -> None:
    assert figures.root_mean_square([3.0, -4.0]) == pytest.approx(math.sqrt(12.5))
    assert figures.root_mean_square([]) == 0
    ordered = [float(each) for each in range(11)]
    assert (figures.quantile(ordered, 0.1), figures.quantile(ordered, 0.9), figures.quantile([7.0], 0.9)) == (1, 9, 7)
    assert middle([None, 3.0, 1.0, 2.0]) == 2
    assert middle([None]) is middle([]) is None


@pytest.mark.parametrize("value", [None, True, "1", [1.0], math.inf, math.nan, 10**400])
def test_what_is_no_number_is_not_read(value: object) -> None:
    assert number({"a": value}, "a") is None
    assert number({}, "a") is None
    assert number({"a": 2}, "a") == 2


def test_a_series_knows_its_looks_their_steps_and_lines() -> None:
    series = told(looks=4)
    assert [record["step"] for _, record in series.looks] == [EVERY * each for each in (1, 2, 3, 4)]
    assert series.step(1) == 2 * EVERY
    assert series.lines(1) == (3 + 2 * 2, 3 + 2 * 4)
    assert series.look("probe.kinds") == [0.95] * 4
    assert series.setting("objective.loss") == "non_saturating"
    assert series.setting("objective.loss.deeper", 7) == 7


def test_early_and_late_numbers() -> None:
    """The first records, of steps 1, 5 and 10, have 1; those before the looks, and the looks, have 2, 3, 4, ..."""
    series = told({"gradient.generator": lambda look: 2.0 + look})
    assert series.early("gradient.generator") == 1, "three of five in the first 100 steps"
    assert series.first(lambda record: number(record, "gradient.generator")) == [1, 1, 1]
    assert series.last(lambda record: number(record, "gradient.generator")) == [12, 13, 13]
    assert Series([], {}, 0).early("gradient.generator") is None
