"""Penalties: values worked out by hand, derivatives of both orders, and the classic mistakes."""

import math
from collections.abc import Callable

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from ganworks import penalties
from ganworks.errors import GradientError, ShapeError, UsageError

SLOPE = torch.tensor([3.0, 4.0])


def linear(images: Tensor) -> Tensor:
    """f(x) = 3 x₁ + 4 x₂, whose slope has norm 5 everywhere."""
    return (images * SLOPE.to(images)).sum(dim=(1, 2, 3))


def images(seed: int = 0) -> Tensor:
    return torch.randn(4, 1, 1, 2, generator=torch.Generator().manual_seed(seed))


def smooth_critic() -> nn.Sequential:
    """A small network with curvature, the same every time, in float64."""
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return net


def test_linear_critic() -> None:
    """‖∇f‖ = 5: gradient penalty (5 - 1)² = 16, R1 = R2 = ½·25. A mean over pixels or patches would give 12.5 / 2."""
    assert penalties.gradient_penalty(linear, images(0), images(1)).item() == pytest.approx(16.0, rel=1e-6)
    x = images().requires_grad_()
    assert penalties.r1(linear(x), x).item() == pytest.approx(12.5)
    assert penalties.r2(linear(x), x).item() == pytest.approx(12.5)


@pytest.mark.parametrize(("target", "value"), [(0.0, 25.0), (1.0, 16.0), (2.0, 9.0), (5.0, 0.0)])
def test_targets_are_not_divided_by(target: float, value: float) -> None:
    found = penalties.gradient_penalty(linear, images(0), images(1), target)
    assert found.item() == pytest.approx(value, abs=1e-6)


def test_target_2_and_norm_4_give_4() -> None:
    def critic(x: Tensor) -> Tensor:
        return 4 * x[:, 0]

    points = torch.zeros(3, 2)
    assert penalties.gradient_penalty(critic, points, points + 1, 2.0).item() == pytest.approx(4.0)


def test_values_do_not_depend_on_the_batch_size() -> None:
    """The gradient of the mean logit instead of their sum makes R1 B² times too small."""
    for count in (1, 2, 64):
        x = torch.zeros(count, 1, 1, 2).requires_grad_()
        assert penalties.r1(linear(x), x).item() == pytest.approx(12.5)
        assert penalties.gradient_penalty(linear, x.detach(), x.detach() + 1).item() == pytest.approx(16.0)


def test_each_sample_has_its_own_norm() -> None:
    """f(x) = ½‖x‖² has slope x: R1 = ½ mean ‖x_b‖², and the norm is over all axes of a picture, not pixel by pixel."""
    x = torch.randn(4, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    squares = [sum(v * v for v in row.flatten().tolist()) for row in x.detach()]
    assert penalties.r1(0.5 * x.square().flatten(1).sum(1), x).item() == pytest.approx(0.5 * sum(squares) / 4)

    def critic(x: Tensor) -> Tensor:
        return 0.5 * x.square().flatten(1).sum(1)

    same = x.detach()  # between a sample and itself lies the sample
    expected = sum((math.sqrt(square) - 1) ** 2 for square in squares) / 4
    assert penalties.gradient_penalty(critic, same, same).item() == pytest.approx(expected)


def test_patches_are_summed_before_the_slope() -> None:
    """Two patches that each have slope (3, 4) have slope (6, 8) together: ½·100."""
    x = images().requires_grad_()
    patches = linear(x).view(4, 1, 1, 1).expand(4, 1, 2, 1)
    assert penalties.r1(patches, x).item() == pytest.approx(50.0)


def test_several_tensors_make_up_one_sample() -> None:
    """f(x, y) = 3 x + 4 y: the squares of both parts add up to 25."""
    x, y = torch.zeros(4, 1, requires_grad=True), torch.zeros(4, 1, requires_grad=True)
    assert penalties.r1((3 * x + 4 * y).squeeze(1), [x, y]).item() == pytest.approx(12.5)


def test_one_epsilon_for_each_sample() -> None:
    """Points between 0 and 1: every coordinate of a sample lies equally far, and no two samples do."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    penalties.gradient_penalty(critic, torch.ones(256, 2, 3), torch.zeros(256, 2, 3))
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert len(set(shares[:, 0].tolist())) > 250
    assert 0 <= shares.min() < 0.05
    assert 0.95 < shares.max() <= 1
    assert shares.mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(1 / 12 / 256))


def test_epsilon_is_the_share_of_the_real_sample() -> None:
    point = penalties.between(torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, 6.0]]), torch.tensor([0.25]))
    assert point.tolist() == [[4.0, 5.0]]


def test_a_generator_makes_it_repeatable() -> None:
    net = smooth_critic()
    x, y = torch.zeros(4, 3, dtype=torch.float64), torch.ones(4, 3, dtype=torch.float64)

    def value(seed: int) -> float:
        return penalties.gradient_penalty(net, x, y, generator=torch.Generator().manual_seed(seed)).item()

    assert value(0) == value(0)
    assert value(0) != value(1)


Penalty = Callable[[nn.Module, Tensor], Tensor]


def of_r1(critic: nn.Module, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return penalties.r1(critic(x), x)


def of_gradient_penalty(critic: nn.Module, x: Tensor) -> Tensor:
    return penalties.gradient_penalty(critic, x, x + 1, generator=torch.Generator().manual_seed(0))


def of_finite_difference(critic: nn.Module, x: Tensor) -> Tensor:
    return penalties.finite_difference(critic, x, 0.3, generator=torch.Generator().manual_seed(0))


def of_dragan(critic: nn.Module, x: Tensor) -> Tensor:
    return penalties.dragan(critic, x, generator=torch.Generator().manual_seed(0))


def of_roth(critic: nn.Module, x: Tensor) -> Tensor:
    """A weight (1 - D)² or D² that was held constant would show here: it is a function of D too."""
    real, fake = x.detach().requires_grad_(), (x + 1).detach().requires_grad_()
    return penalties.roth(critic(real), real, critic(fake), fake)


def of_consistency(critic: nn.Module, x: Tensor) -> Tensor:
    return penalties.consistency(critic(x), critic(x + 0.5))


def of_lecam(critic: nn.Module, x: Tensor) -> Tensor:
    return penalties.lecam(critic(x), critic(x + 1), 0.25, -0.5)


def of_orthogonal(critic: nn.Module, x: Tensor) -> Tensor:
    return penalties.orthogonal(critic)


@pytest.mark.parametrize(
    "penalty",
    [
        *(of_r1, of_gradient_penalty, of_finite_difference, of_dragan),
        *(of_roth, of_consistency, of_lecam, of_orthogonal),
    ],
)
def test_derivatives_by_the_weights(penalty: Penalty) -> None:
    """Of the first and second order: against finite differences of the penalty as a function of D's weights."""
    net = smooth_critic()
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names = [name for name, _ in net.named_parameters()]

    class Whole(nn.Module):
        """The penalty as a module, so that weights can be put in from outside."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self) -> Tensor:
            return penalty(self.net, x)

    def value(*weights: Tensor) -> Tensor:
        given = {f"net.{name}": weight for name, weight in zip(names, weights, strict=True)}
        return torch.func.functional_call(Whole(), given, ())

    weights = tuple(weight.detach().clone().requires_grad_() for weight in net.parameters())
    assert value(*weights).item() > 0.01
    assert torch.autograd.gradcheck(value, weights)
    assert torch.autograd.gradgradcheck(value, weights)


def test_derivatives_by_the_inputs() -> None:
    net = smooth_critic()
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: penalties.r1(net(x), x), (x,))
    assert torch.autograd.gradgradcheck(lambda x: penalties.r1(net(x), x), (x,))


@pytest.mark.parametrize("penalty", [of_gradient_penalty, of_dragan])
def test_finite_where_the_norm_is_zero(penalty: Penalty) -> None:
    """√ has an infinite slope at 0: a critic that starts flat would be NaN after one update."""
    net = nn.Linear(3, 1)
    nn.init.zeros_(net.weight)
    value = penalty(net, torch.zeros(4, 3))
    assert value.item() == 1.0
    value.backward()
    assert net.weight.grad is not None
    assert net.weight.grad.isfinite().all()


def test_the_loss_and_r1_share_one_forward_pass() -> None:
    """Loss + R1 on the same logits leave the sum of their gradients, and none on the real sample."""
    net = smooth_critic()
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    logits = net(x)
    (logits.mean() + penalties.r1(logits, x)).backward(inputs=list(net.parameters()))
    shared = [weight.grad for weight in net.parameters()]
    apart = torch.autograd.grad(net(x).mean(), list(net.parameters()))
    apart = [a + b for a, b in zip(apart, _gradients(of_r1(net, x), net), strict=True)]
    for together, separately in zip(shared, apart, strict=True):
        torch.testing.assert_close(together, separately)
    assert x.grad is None


def _gradients(value: Tensor, net: nn.Module) -> list[Tensor]:
    """By every weight; zero where the value does not depend on it (a last bias has no slope)."""
    found = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for g, w in zip(found, net.parameters(), strict=True)]


def test_clipping_bounds_every_weight_in_place() -> None:
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-3.0, 0.005], [0.01, 3.0]]))
        net.bias.copy_(torch.tensor([-0.02, 0.0]))
    weight = net.weight
    penalties.clip_weights(net, 0.01)
    assert net.weight is weight
    torch.testing.assert_close(weight.detach(), torch.tensor([[-0.01, 0.005], [0.01, 0.01]]))
    torch.testing.assert_close(net.bias.detach(), torch.tensor([-0.01, 0.0]))


@pytest.mark.parametrize("number", [0.0, -0.01, math.nan])
def test_a_bound_and_a_scale_are_above_0(number: float) -> None:
    with pytest.raises(UsageError, match=r"E-ARG-01.*clip_weights .*above 0"):
        penalties.clip_weights(nn.Linear(1, 1), number)
    with pytest.raises(UsageError, match=r"E-ARG-01.*finite_difference .*above 0"):
        penalties.finite_difference(linear, images(), number)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As users run it: without the tests' check of shapes and types, which would come first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.usefixtures("unchecked")
def test_unequal_batches_are_refused() -> None:
    x = torch.zeros(4, 1, 1, 2, requires_grad=True)
    for penalty in (penalties.r1, penalties.r2):
        with pytest.raises(ShapeError, match=r"E-SHAPE-01.*logits of shape \(3,\)"):
            penalty(linear(x)[:3], x)
    with pytest.raises(ShapeError, match=r"\(4, 1, 1, 2\) and \(3, 1, 1, 2\)"):
        penalties.gradient_penalty(linear, torch.zeros(4, 1, 1, 2), torch.zeros(3, 1, 1, 2))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(4, 1), (3,), (1,), ()])
def test_logits_that_would_broadcast_are_refused(shape: tuple[int, ...]) -> None:
    """(4,) against (4, 1) makes (4, 4) differences, a finite and wrong number."""
    x = torch.zeros(4, 2, requires_grad=True)
    logits, other = x.sum(1), x.sum() * torch.ones(shape)
    calls: dict[str, Callable[[], Tensor]] = {
        "finite_difference": lambda: penalties.squared_difference(logits, other, 0.1),
        "roth": lambda: penalties.weighted_half_mean_square(logits, other, [x], [x]),
        "consistency": lambda: penalties.consistency(logits, other),
        "lecam": lambda: penalties.lecam(logits, other, 0.0, 0.0),
    }
    for name, call in calls.items():
        with pytest.raises(ShapeError, match=rf"E-SHAPE-01.*{name} needs .*equal shape.*\(4,\) and"):
            call()


@pytest.mark.usefixtures("unchecked")
def test_an_average_for_each_sample_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"lecam needs one number for each average.*\(4,\)"):
        penalties.lecam(torch.zeros(4), torch.zeros(4), torch.zeros(4), 0.0)


@pytest.mark.usefixtures("unchecked")
def test_a_critic_that_gives_its_mean_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"logits of shape \(\)"):
        penalties.gradient_penalty(lambda x: linear(x).mean(), images(0), images(1))


def test_an_input_without_a_gradient_is_refused() -> None:
    x = images()
    with pytest.raises(GradientError, match=r"E-GRAD-01.*r1 needs inputs to carry a gradient"):
        penalties.r1(linear(x), x)
    other = images().requires_grad_()
    with pytest.raises(GradientError, match="r2 needs inputs"):
        penalties.r2(linear(x.requires_grad_()), other)
    with pytest.raises(GradientError, match="roth needs inputs"):
        penalties.roth(linear(x), x, linear(x), other)
    with pytest.raises(GradientError, match="dragan needs inputs"):
        penalties.dragan(lambda x: torch.zeros(len(x), requires_grad=True), images())
