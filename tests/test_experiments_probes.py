"""Stacked digits and linear probes: what is counted, what is compared, and what the page may say of it."""

import json
import math
from pathlib import Path

import pytest
import torch

from docs import make
from experiments import linear_probes, stacked
from ganworks import data

# Stacked digits


def test_uniform_triples_have_the_known_floor() -> None:
    """KL is (K - 1) / 2N in expectation, and 0 where every triple comes equally often."""
    even = stacked.counted(torch.arange(1000).repeat(26))
    assert (even["modes"], even["samples"]) == (1000, 26_000)
    assert even["kl"] == pytest.approx(0, abs=1e-12)
    drawn = stacked.counted(torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0)))
    assert drawn["kl"] == pytest.approx(999 / 52_000, abs=0.003)


def test_one_mode_is_ln_1000_away() -> None:
    one = stacked.counted(torch.full((100,), 7))
    assert one["modes"] == 1
    assert one["kl"] == pytest.approx(math.log(1000))


def test_a_stack_is_three_digits_and_its_mode_their_number() -> None:
    digits = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 1, 14, 14)
    stacks = stacked.stacked(digits, torch.tensor([[3, 1, 4], [0, 0, 7]]))
    assert stacks.shape == (2, 3, 14, 14)
    assert stacks[0, :, 0, 0].tolist() == [3, 1, 4]
    judge = stacked.Judge.__new__(stacked.Judge)
    judge.names = lambda each: each[:, 0, 0, 0].long()  # type: ignore[method-assign]  # a perfect judge
    assert judge.modes(stacks).tolist() == [314, 7]


def test_digits_are_halved_by_means() -> None:
    picture = torch.zeros(1, 1, 28, 28)
    picture[0, 0, 0, 0] = 1
    assert stacked.halved(picture)[0, 0, 0, 0] == 0.25
    assert stacked.halved(picture).shape == (1, 1, 14, 14)


def test_stacks_are_made_of_training_digits_only() -> None:
    digits = data.open("digits")
    stacks = stacked.training_data(digits, stacked.Size(stacks=300))
    known = {row.numpy().tobytes() for row in ((stacked.labelled(digits)[0] + 1) * 127.5).round().to(torch.uint8)}
    x = ((stacks.rows(torch.arange(50))["x"] + 1) * 127.5).round().to(torch.uint8)
    assert all(channel.numpy().tobytes() in known for channel in x.flatten(0, 1)[:, None])


def test_the_weight_of_4_is_that_of_1_for_grey_levels() -> None:
    """f(x) = g((x + 1)/2) has half of g's slope: ½ · 4 · |∇f|² = ½ |∇g|²."""
    g = torch.nn.Linear(12, 1)
    x = torch.rand(5, 12) * 2 - 1
    x.requires_grad_()
    (slope,) = torch.autograd.grad(g((x + 1) / 2).sum(), x)
    assert torch.allclose(stacked.OURS["objective.r1"] * slope.square().sum(1), g.weight.square().sum().expand(5))
    assert stacked.OURS["objective.r1"] == stacked.OURS["objective.r2"]


# Linear probes


def arm(over: float, error: float = 0.01) -> dict[str, float]:
    shares = {"trained": 0.9, "fresh": 0.9 - over, "pixels": 0.89}
    ends = {
        f"{name}_{end}": value + way for name, value in shares.items() for end, way in (("low", -0.01), ("high", 0.01))
    }
    errors = {"over_fresh_error": error, "over_pixels_error": error, "over_fresh": over, "over_pixels": 0.01}
    return {**shares, **ends, **errors, "labels": 1000, "tested": 2000}


def test_an_error_holds_the_seeds_and_the_held_out_digits() -> None:
    """Values 0.02 and 0.04: variance 0.0002, over two seeds 0.0001; and 0.01² once, as both share the digits."""
    mean, error = linear_probes.difference([arm(0.02), arm(0.04)], "fresh")
    assert mean == pytest.approx(0.03)
    assert error == pytest.approx(math.sqrt(0.0001 + 0.0001))


@pytest.mark.parametrize(
    ("mean", "said"), [(0.021, "better than"), (0.02, "not told apart from"), (-0.021, "worse than")]
)
def test_nothing_is_said_within_two_standard_errors(mean: float, said: str) -> None:
    assert linear_probes.verdict(mean, 0.01) == said


def test_the_page_says_what_the_numbers_say() -> None:
    arms = {f"r3gan, seed {seed}": arm(0.1) for seed in range(2)} | {
        f"dcgan, seed {seed}": arm(-0.1) for seed in range(2)
    }
    lines = "\n".join(make.probe_lines({"arms": arms, "date": "2026-11-26"}))
    assert (
        "`r3gan`: trained features are **better than** a D with fresh weights: +0.1000, standard error 0.0100" in lines
    )
    assert "`dcgan`: trained features are **worse than** a D with fresh weights: -0.1000" in lines
    assert "`dcgan`: trained features are **not told apart from** the pixels: +0.0100" in lines
    assert "1,000 labels, 2,000 held-out digits, 2 seeds" in lines


def test_the_page_of_features_is_what_was_measured() -> None:
    page = (Path(make.DOCS) / "features.md").read_text()
    assert page == make.features_page(), "run: python -m docs.make"
    result = Path(make.ROOT) / "experiments/results/linear_probes.json"
    if result.exists():
        for *_, said in linear_probes.told(json.loads(result.read_text())):
            assert f"**{said}**" in page
