"""Losses against values worked out by hand and against their formulas in plain arithmetic."""

import math
from collections.abc import Callable

import jaxtyping
import pytest
import torch
from torch import Tensor

from ganworks import losses
from ganworks.errors import ShapeError, UsageError

REAL = [-5.0, 1.4, 12.5, 2.7]
FAKE = [10.0, 4.4, -5.5, 3.6]
PAIRS = range(len(REAL))


def real() -> Tensor:
    return torch.tensor(REAL, dtype=torch.float64)


def fake() -> Tensor:
    return torch.tensor(FAKE, dtype=torch.float64)


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def sp(t: float) -> float:
    """log(1 + e^t) in plain arithmetic."""
    return math.log1p(math.exp(t))


MEAN_REAL, MEAN_FAKE = mean(REAL), mean(FAKE)

# The first four rows are worked out by hand; the relativistic rows are their papers' formulas, number by number.
VALUES = {
    # ½(36 + 0.16 + 132.25 + 2.89)/4 + ½(100 + 19.36 + 30.25 + 12.96)/4; ½(81 + 11.56 + 42.25 + 6.76)/4
    "least_squares": (41.73375, 17.69625),
    "non_saturating": (5.833865891654, 1.38582),
    "minimax": (5.833865891654, -mean([sp(b) for b in FAKE])),
    # (6 + 0 + 0 + 0)/4 + (11 + 5.4 + 0 + 4.6)/4
    "hinge": (6.75, -3.125),
    # 3.125 - 2.9
    "wasserstein": (0.225, -3.125),
    "relativistic_paired": (
        mean([sp(FAKE[i] - REAL[i]) for i in PAIRS]),
        mean([sp(REAL[i] - FAKE[i]) for i in PAIRS]),
    ),
    "relativistic_average": (
        mean([sp(MEAN_FAKE - a) for a in REAL]) + mean([sp(b - MEAN_REAL) for b in FAKE]),
        mean([sp(a - MEAN_FAKE) for a in REAL]) + mean([sp(MEAN_REAL - b) for b in FAKE]),
    ),
}


def test_every_loss_has_its_value_here() -> None:
    assert sorted(losses.names()) == sorted(VALUES)


@pytest.mark.parametrize(("name", "expected"), VALUES.items())
def test_values(name: str, expected: tuple[float, float]) -> None:
    loss = losses.get(name)
    assert loss.discriminator(real(), fake()).item() == pytest.approx(expected[0], rel=1e-10)
    # 1.38582 of the non-saturating G is given to five decimals.
    assert loss.generator(fake(), real()).item() == pytest.approx(expected[1], rel=2e-6)


def test_minimax_and_non_saturating_are_two_losses() -> None:
    """Where D is sure, log(1 - σ(b)) is flat and -log σ(b) is steep: slopes -σ(b) and -(1 - σ(b))."""
    slopes = []
    for name in ("minimax", "non_saturating"):
        sure = torch.tensor([-10.0], dtype=torch.float64, requires_grad=True)
        losses.get(name).generator(sure).backward()
        assert sure.grad is not None
        slopes.append(sure.grad.item())
    assert slopes == pytest.approx([-4.5397868702434395e-05, -0.9999546021312976])


def test_smoothing_moves_the_target_of_reals_only() -> None:
    """The target is 0.9 itself: D's best answer to reals alone is the logit log(0.9 / 0.1)."""
    smooth, plain = losses.get("non_saturating", real_target=0.9), losses.get("non_saturating")
    logit = torch.tensor([math.log(9.0)], dtype=torch.float64, requires_grad=True)
    smooth.discriminator(logit, torch.zeros_like(logit)).backward()
    assert logit.grad is not None
    assert logit.grad.item() == pytest.approx(0.0, abs=1e-15)
    # -0.9 log σ(a) - 0.1 log(1 - σ(a)) = sp(-a) + 0.1 a
    difference = smooth.discriminator(real(), fake()) - plain.discriminator(real(), fake())
    assert difference.item() == pytest.approx(0.1 * MEAN_REAL)
    assert smooth.generator(fake()).item() == plain.generator(fake()).item()


def test_least_squares_takes_its_targets() -> None:
    """(a, b, c) = (-1, 1, 0), Pearson's: ½(f(x) - 1)² + ½(f(G) + 1)² and ½ f(G)²."""
    loss = losses.get("least_squares", a=-1, b=1, c=0)
    expected = mean([0.5 * (a - 1) ** 2 for a in REAL]) + mean([0.5 * (b + 1) ** 2 for b in FAKE])
    assert loss.discriminator(real(), fake()).item() == pytest.approx(expected)
    assert loss.generator(fake()).item() == pytest.approx(mean([0.5 * b * b for b in FAKE]))


@pytest.mark.parametrize("name", losses.names())
def test_reductions_agree(name: str) -> None:
    loss = losses.get(name)
    for part in (
        lambda reduction: loss.discriminator(real(), fake(), reduction),
        lambda reduction: loss.generator(fake(), real(), reduction),
    ):
        each = part("none")
        assert each.shape == (4,)
        assert part("sum").item() == pytest.approx(each.sum().item())
        assert part("mean").item() == pytest.approx(each.mean().item())


@pytest.mark.parametrize("name", losses.names())
def test_gradients(name: str) -> None:
    """Against finite differences, away from the hinge's corners. A relativistic loss's means carry gradient too."""
    loss = losses.get(name)
    a, b = (t.requires_grad_() for t in (real().view(2, 2) / 4, fake().view(2, 2) / 4))
    assert torch.autograd.gradcheck(lambda a, b: loss.discriminator(a, b), (a, b))
    assert torch.autograd.gradcheck(lambda b, a: loss.generator(b, a), (b, a))


@pytest.mark.parametrize("name", losses.names())
def test_a_better_sample_costs_its_player_less(name: str) -> None:
    """Signs: D gains from higher reals and lower fakes, G from higher fakes."""
    loss = losses.get(name)
    a, b = torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.6], dtype=torch.float64)
    assert loss.discriminator(a + 0.1, b) < loss.discriminator(a, b)
    assert loss.discriminator(a, b - 0.1) < loss.discriminator(a, b)
    assert loss.generator(b + 0.1, a) < loss.generator(b, a)


@pytest.mark.parametrize("name", [name for name in losses.names() if losses.get(name).relativistic])
def test_relativistic_losses_see_differences_only(name: str) -> None:
    loss = losses.get(name)
    for part in (loss.discriminator, loss.generator):
        assert part(real() + 100, fake() + 100).item() == pytest.approx(part(real(), fake()).item(), abs=1e-6)


@pytest.mark.parametrize("name", losses.names())
def test_large_logits_stay_finite(name: str) -> None:
    """log(1 - σ(f)) from a probability is -inf at f = 40 in float32; from a logit it is -40."""
    loss = losses.get(name)
    a, b = torch.tensor([-200.0, 200.0], requires_grad=True), torch.tensor([200.0, -200.0], requires_grad=True)
    total = loss.discriminator(a, b) + loss.generator(b, a)
    total.backward()
    assert total.isfinite()
    assert a.grad is not None
    assert b.grad is not None
    assert a.grad.isfinite().all()
    assert b.grad.isfinite().all()


@pytest.mark.parametrize("name", losses.names())
def test_shapes_that_would_broadcast_are_refused(name: str) -> None:
    loss = losses.get(name)
    for a, b in (
        (torch.zeros(4), torch.zeros(4, 1)),
        (torch.zeros(4), torch.zeros(3)),
        (torch.zeros(1), torch.zeros(4)),
    ):
        with pytest.raises(ShapeError, match=r"E-SHAPE-01.*equal shape"):
            loss.discriminator(a, b)
        if loss.relativistic:
            with pytest.raises(ShapeError, match=r"E-SHAPE-01.*equal shape"):
                loss.generator(b, a)


@pytest.mark.parametrize("name", losses.names())
def test_patches_are_a_mean_over_everything(name: str) -> None:
    """A (2, 1, 2, 2) output of a patch discriminator counts like eight logits."""
    loss = losses.get(name)
    a, b = torch.linspace(-2, 3, 8), torch.linspace(1, -1, 8)
    patches: Callable[[Tensor], Tensor] = lambda t: t.view(2, 1, 2, 2)  # noqa: E731  # one line says it
    torch.testing.assert_close(loss.discriminator(patches(a), patches(b)), loss.discriminator(a, b))
    torch.testing.assert_close(loss.generator(patches(b), patches(a)), loss.generator(b, a))


def test_a_relativistic_generator_needs_reals() -> None:
    with pytest.raises(ShapeError, match="real_logits too"):
        losses.get("relativistic_paired").generator(fake())


def test_an_unknown_loss_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="E-NAME-03") as caught:
        losses.get("wasserstien")
    assert "names close to it: wasserstein" in str(caught.value)


def test_an_option_of_another_loss_is_refused() -> None:
    with pytest.raises(UsageError, match=r"E-ARG-01.*loss 'hinge' has no option 'real_target': it has none"):
        losses.get("hinge", real_target=0.9)
    with pytest.raises(UsageError, match=r"no option 'target': its options are real_target"):
        losses.get("minimax", target=0.9)


@pytest.mark.parametrize("target", [0.0, -0.1, 1.1, math.nan])
def test_a_target_is_a_probability_above_0(target: float) -> None:
    with pytest.raises(UsageError, match=r"objective\.real_target"):
        losses.get("minimax", real_target=target)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As users run it: without the tests' check of shapes and types, which would come first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("unchecked")
def test_a_mistyped_reduction_is_not_taken_for_none() -> None:
    with pytest.raises(UsageError, match="reduction is mean, sum or none, not 'average'"):
        losses.get("hinge").discriminator(real(), fake(), "average")  # type: ignore[arg-type]
