"""Samples beside held-out rows: samples that are known give numbers that are known; and data of two rows, or alike."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ganworks import data, theory
from ganworks.data.dataset import DataSet
from ganworks.diagnosis.diversity import POINTS, Beside
from ganworks.gan import GAN
from ganworks.metrics import features
from ganworks.metrics.spaces import Points

RING = theory.ring()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def ring() -> Beside:
    return Beside(data.open("ring"), Points(), 0)


def of_modes(*modes: int, count: int = POINTS) -> Tensor:
    """As many draws of each of some modes of the ring."""
    which = torch.tensor(modes).repeat(math.ceil(count / len(modes)))[:count]
    return RING.means.float()[which] + 0.02 * torch.randn(count, 2, generator=seeded(3))


def looked(beside: Beside, samples: Tensor) -> dict[str, float]:
    return beside.look(samples, samples)


def test_fresh_draws_are_as_real_rows_are(ring: Beside) -> None:
    found = looked(ring, RING.sample(POINTS, seeded(5)).float())
    assert found["probe.spread"] == pytest.approx(1, abs=0.03)
    assert found["probe.rank"] == pytest.approx(1, abs=0.02)
    assert found["probe.kinds"] == pytest.approx(1, abs=0.03)
    assert found["probe.told_apart"] == pytest.approx(0.5, abs=0.06)
    assert found["probe.distance"] < 3 * found["probe.distance_floor"]
    assert math.hypot(found["probe.mean.1"], found["probe.mean.2"]) < 0.2


@pytest.mark.parametrize("modes", [(0,), (0, 4), (0, 2, 4, 6)])
def test_kinds_are_counted(modes: tuple[int, ...], ring: Beside) -> None:
    found = looked(ring, of_modes(*modes))
    assert found["probe.kinds"] == pytest.approx(len(modes) / 8, rel=0.03)
    assert found["probe.distance"] > 2 * found["probe.distance_floor"]


def test_one_mode_has_no_spread_and_its_mean_lies_at_it(ring: Beside) -> None:
    """At radius 2, where a coordinate of the ring has a std of √2: √2 of them away."""
    found = looked(ring, of_modes(0))
    assert found["probe.spread"] < 0.03
    assert math.hypot(found["probe.mean.1"], found["probe.mean.2"]) == pytest.approx(math.sqrt(2), rel=0.1)
    assert found["probe.told_apart"] < 0.95, "they are good points"


def test_two_modes_have_one_direction(ring: Beside) -> None:
    assert looked(ring, of_modes(0, 4))["probe.rank"] == pytest.approx(0.5, abs=0.02)


def test_averaged_and_online_samples_are_told_apart(ring: Beside) -> None:
    good, bad = RING.sample(POINTS, seeded(5)).float(), of_modes(1)
    found = ring.look(good, bad)
    assert found["probe.distance"] < found["probe.distance_online"]
    assert found["probe.kinds"] < 0.2, "kinds are those of the weights that play"


def test_samples_that_have_run_away_have_numbers(ring: Beside) -> None:
    found = looked(ring, 1e25 * of_modes(0, 3))
    assert all(math.isfinite(value) for value in found.values())
    assert found["probe.distance"] > 1e24
    assert looked(ring, of_modes(0) * math.nan) == {}


def test_digits_are_counted_by_their_class() -> None:
    digits = data.open("digits")
    beside = Beside(digits, features.get("digits"), 0)
    sevens = (digits.columns["label"] == 7).nonzero()[: beside.count, 0]
    found = looked(beside, digits.rows(sevens)["x"])
    assert found["probe.kinds"] == pytest.approx(0.1, abs=0.03)
    assert looked(beside, digits.rows(torch.randperm(8000, generator=seeded())[: beside.count])["x"])[
        "probe.kinds"
    ] == pytest.approx(1, abs=0.05)


def test_cells_stand_for_kinds_where_none_are_known() -> None:
    """Of a uniform square in sixteen cells, samples of one half reach half of them."""
    rows = {"x": torch.rand(3000, 2, generator=seeded())}
    beside = Beside(data.open(rows), Points(), 0)
    half = torch.rand(beside.count, 2, generator=seeded(1)) * torch.tensor([0.5, 1.0])
    assert looked(beside, half)["probe.kinds"] == pytest.approx(0.55, abs=0.12)


# Labels


def labelled(draw: Any) -> dict[str, float]:
    return Beside(data.open("ring"), Points(), 0).condition(draw)


def test_labels_that_are_shown_and_labels_that_are_ignored() -> None:
    shown = labelled(lambda label: RING.means.float()[label])
    assert shown["probe.label"] == 1
    assert shown["probe.label_floor"] == 1
    assert shown["probe.label_chance"] == pytest.approx(1 / 8, abs=0.01)
    assert shown["probe.condition"] > 0.8
    ignored = labelled(lambda label: of_modes(*range(8), count=len(label)))
    assert ignored["probe.label"] == pytest.approx(1 / 8, abs=0.06)
    assert ignored["probe.condition"] == 0


def test_labels_of_samples_that_are_all_alike_or_broken() -> None:
    alike = labelled(lambda label: torch.zeros(len(label), 2))
    assert alike["probe.condition"] == 0
    assert alike["probe.label"] == pytest.approx(1 / 8, abs=0.06)
    assert labelled(lambda label: torch.full((len(label), 2), math.nan)) == {}


# Few rows, and rows alike


def opened(count: int, held_out: int = 0, value: float | None = None) -> DataSet:
    x = torch.randn(count, 2, generator=seeded()) if value is None else torch.full((count, 2), value)
    other = {"x": torch.randn(held_out, 2, generator=seeded(1))} if held_out else None
    return data.open({"x": x}, held_out=other)


@pytest.mark.parametrize(("count", "held_out", "compared"), [(2, 0, 0), (3, 0, 0), (4, 0, 2), (20, 0, 10), (20, 2, 2)])
def test_of_few_rows_little_is_compared_and_nothing_breaks(count: int, held_out: int, compared: int) -> None:
    beside = Beside(opened(count, held_out), Points(), 0)
    assert beside.count == compared
    gan = GAN("gan", **{"batch": 1, "view.noise": 0.1}).start(
        {"x": opened(count).columns["x"]},
        steps=9,
        held_out={"x": torch.eye(held_out, 2)} if held_out else None,
    )
    found = gan._session.examination(1)
    assert ("probe.distance" in found) == (compared > 0)
    assert "probe.accuracy" in found
    assert all(math.isfinite(value) for value in found.values())


def test_constant_data_have_no_scale() -> None:
    """Samples of the one point that there is have not collapsed, and others are not infinitely far away."""
    beside = Beside(opened(40, value=0.1), Points(), 0)
    right = looked(beside, torch.full((beside.count, 2), 0.1))
    assert not {"probe.distance", "probe.distance_floor", "probe.spread", "probe.mean.1"} & set(right)
    assert right["probe.kinds"] == right["probe.rank"] == 1
    assert right["probe.told_apart"] == 0.5


def test_data_on_a_line_have_one_direction() -> None:
    x = torch.randn(200, 1, generator=seeded()) * torch.tensor([[1.0, 2.0]])
    beside = Beside(data.open({"x": x}), Points(), 0)
    found = looked(beside, x[: beside.count] + torch.tensor([2.0, -1.0]))
    assert "probe.mean.1" in found
    assert "probe.mean.2" not in found
    assert abs(found["probe.mean.1"]) < 0.3, "the samples have moved across the line, not along it"


def test_the_floor_of_few_held_out_rows_is_of_all_classes() -> None:
    """Rows are sorted by class; the first forty of 400 would be one class, and real data would look far from real."""
    x = torch.arange(400.0)[:, None].repeat(1, 2) // 100 + torch.randn(400, 2, generator=seeded()) / 50
    held = {"x": torch.arange(40.0)[:, None].repeat(1, 2) // 10, "label": torch.arange(40) // 10}
    sorted_by_class = data.open({"x": x, "label": torch.arange(400) // 100}, held_out=held)
    beside = Beside(sorted_by_class, Points(), 0)
    assert beside.count == 40
    assert beside.floor is not None
    assert beside.floor < 0.1


def test_the_planted_fault_a_cut_of_sorted_rows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Beside._rows

    def cut(beside: Beside, count: int, seed: int, which: int) -> data.Batch:
        return data.Batch({name: values[:count] for name, values in rows(beside, 256, seed, which).items()})

    monkeypatch.setattr(Beside, "_rows", cut)
    with pytest.raises(AssertionError):
        test_the_floor_of_few_held_out_rows_is_of_all_classes()
