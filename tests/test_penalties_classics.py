"""DRAGAN, Roth, LeCam, consistency, orthogonality and finite differences, in numbers worked out by hand.

Their derivatives and what they refuse stand in test_penalties.py, with those of R1 and the gradient penalty.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ganworks import penalties
from ganworks.networks.spectral import spectral_norm
from ganworks.theory import Normal, optimal_logit

COUNT = 40_000


def linear(x: Tensor) -> Tensor:
    """f(x) = 3 x₁ + 4 x₂, whose slope has norm 5 everywhere."""
    return 3 * x[:, 0] + 4 * x[:, 1]


def bowl(x: Tensor) -> Tensor:
    """f(x) = ½ ‖x‖²."""
    return 0.5 * x.square().sum(1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# finite_difference


def test_steps_of_a_linear_critic_do_not_depend_on_their_size() -> None:
    """f(x + σn) - f(x) = σ g·n: the value is ½ mean (g·n)² for any σ, and E (g·n)² = ‖g‖² makes it R1's 12.5."""
    x = torch.zeros(COUNT, 2, dtype=torch.float64)
    noise = torch.randn(COUNT, 2, dtype=torch.float64, generator=seeded())
    expected = 0.5 * linear(noise).square().mean().item()
    for scale in (1e-3, 1.0, 50.0):
        assert penalties.finite_difference(linear, x, scale, seeded()).item() == pytest.approx(expected, rel=1e-9)
    # ½ (g·n)² has the standard deviation 12.5 √2.
    assert expected == pytest.approx(12.5, abs=5 * 12.5 * math.sqrt(2 / COUNT))


def test_steps_of_a_curved_critic() -> None:
    """f = ½‖x‖²: E (x·n + ½σ‖n‖²)² = ‖x‖² + ¼σ² d(d + 2) = 25 + 2 at σ = 1, d = 2; R1 is what is left at σ → 0."""
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64).expand(COUNT, 2)
    error = 5 * 13.5 * 2 / math.sqrt(COUNT)
    assert penalties.finite_difference(bowl, x, 1.0, seeded()).item() == pytest.approx(13.5, abs=error)
    at = x.detach().clone().requires_grad_()
    r1 = penalties.r1(bowl(at), at).item()
    assert r1 == pytest.approx(12.5)
    assert penalties.finite_difference(bowl, x, 1e-4, seeded()).item() == pytest.approx(r1, abs=error)


def test_steps_on_patches_are_summed() -> None:
    """Two patches with f each: (2f)² is four times f²."""
    x = torch.zeros(64, 2)
    one = penalties.finite_difference(linear, x, 0.1, seeded())
    two = penalties.finite_difference(lambda x: linear(x)[:, None, None].expand(-1, 1, 2), x, 0.1, seeded())
    assert two.item() == pytest.approx(4 * one.item(), rel=1e-5)


# dragan


def test_dragan_of_a_linear_critic() -> None:
    assert penalties.dragan(linear, torch.randn(8, 2, generator=seeded())).item() == pytest.approx(16.0, rel=1e-5)


def test_dragan_measures_one_std_for_the_whole_batch() -> None:
    """0, 0, 0, 6 have the mean 1.5 and the variance 27 / 3 = 9: all move by ½·3·ε·u, where nothing varies too."""
    real = torch.tensor([[0.0, 0.0], [0.0, 6.0]])
    moved = penalties.around(real, torch.tensor([1.0, 0.5]), torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    torch.testing.assert_close(moved, torch.tensor([[1.5, 1.5], [0.75, 6.0]]))


def test_dragan_draws_one_epsilon_a_sample_and_one_u_a_number() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real = torch.randn(400, 3, 10, 10, generator=seeded())
    penalties.dragan(critic, real, seeded(1))
    steps = (seen[0] - real).flatten(1) / (0.5 * real.std())
    assert steps.min() > -1e-5
    assert steps.max() < 1
    # u has the mean ½ and the largest of 300 is close to 1: what remains of a sample's largest step is its ε.
    epsilon = steps.max(1).values
    assert epsilon.mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(1 / 12 / 400))
    torch.testing.assert_close(steps.mean(1), epsilon / 2, atol=0.1, rtol=0.0)
    assert steps.std(1).gt(0.2 * epsilon).all()


def test_dragan_is_repeatable() -> None:
    real = torch.randn(4, 2, generator=seeded())
    values = [penalties.dragan(bowl, real, seeded(seed)).item() for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


# roth


def on_the_line(logit: float) -> Tensor:
    """A point where f has this value."""
    return torch.tensor([[logit / 3, 0.0]], requires_grad=True)


def test_roth_by_hand() -> None:
    """Real: D = ¼, (1 - D)² = 9/16. Fake: D = ½, D² = ¼. ½·25·(9/16 + 1/4); the probability's slope gives less."""
    real, fake = on_the_line(-math.log(3)), on_the_line(0.0)
    value = penalties.roth(linear(real), real, linear(fake), fake)
    assert value.item() == pytest.approx(12.5 * (9 / 16 + 1 / 4))
    swapped = penalties.roth(linear(fake), fake, linear(real), real)
    assert swapped.item() == pytest.approx(12.5 * (1 / 4 + 1 / 16))


def test_roth_weighs_each_sample_by_its_own_doubt() -> None:
    """f = ½‖x‖² at 0 and at x with ‖x‖² = 2 log 3: ½·(0 · ¼ + 2 log 3 · (¼)²)/2, not the mean weight times R1."""
    x = torch.tensor([[0.0, 0.0], [math.sqrt(2 * math.log(3)), 0.0]], requires_grad=True)
    far = torch.tensor([[0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    value = penalties.roth(bowl(x), x, bowl(far), far)
    assert value.item() == pytest.approx(0.5 * (2 * math.log(3) / 16) / 2, rel=1e-5)


def test_roth_on_patches() -> None:
    """Patches of logit 0 and log 3: (1 - D)² is ¼ and 1/16, 5/32 on average; the slope of their sum is (6, 8)."""
    x = on_the_line(0.0)
    patches = torch.stack([linear(x), linear(x) + math.log(3)], dim=1)
    fake = on_the_line(-100.0)
    value = penalties.roth(patches, x, linear(fake)[:, None].expand(1, 2), fake)
    assert value.item() == pytest.approx(0.5 * 100 * 5 / 32)


def test_roth_from_slopes_already_there() -> None:
    """As the objective has them: both sides from one pass through a critic that has judged both at once."""
    real, fake = (torch.randn(4, 2, generator=seeded(seed)).requires_grad_() for seed in (0, 1))
    logits = bowl(torch.cat([real, fake]))
    slopes = torch.autograd.grad([logits[:4].sum(), logits[4:].sum()], [real, fake], create_graph=True)
    value = penalties.weighted_half_mean_square(logits[:4], logits[4:], [slopes[0]], [slopes[1]])
    assert value.item() == pytest.approx(penalties.roth(bowl(real), real, bowl(fake), fake).item(), rel=1e-6)


def test_roth_takes_samples_of_several_parts() -> None:
    a, b = (torch.zeros(4, 1, requires_grad=True) for _ in range(2))
    logits = (3 * a + 4 * b).squeeze(1)
    assert penalties.roth(logits, [a, b], logits, [a, b]).item() == pytest.approx(12.5 * (1 / 4 + 1 / 4))


def quantiles(normal: tuple[float, float]) -> Tensor:
    """(20,000, 1) points that stand for a normal distribution in means."""
    levels = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    return (normal[0] + normal[1] * torch.special.ndtri(levels))[:, None]


def cross_entropy(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, variance: float) -> float:
    """D's loss with noise N(0, variance) on both sides, by Gauss-Hermite quadrature."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(20)
    total = 0.0
    for node, share in zip(nodes.tolist(), (shares / shares.sum()).tolist(), strict=True):
        step = math.sqrt(variance) * node
        losses = nn.functional.softplus(-critic(real + step)), nn.functional.softplus(critic(fake + step))
        total += share * sum(loss.mean().item() for loss in losses)
    return total


@pytest.mark.parametrize("other", [(1.5, 1.0), (1.0, 1.6)])
def test_roth_is_instance_noise_to_second_order(other: tuple[float, float]) -> None:
    """At the optimal D, noise of variance γ adds γ · roth + O(γ²) to the cross entropy.

    The ratio of both is 1 + cγ, so that twice the ratio at γ/2 less that at γ is 1 to O(γ²). A forgotten ½, or slopes
    of the probability, miss it by far.
    """
    p, q = Normal(0.0, 1.0), Normal(*other)
    real, fake = quantiles((0.0, 1.0)).requires_grad_(), quantiles(other).requires_grad_()
    critic = optimal_logit(p, q)
    roth = penalties.roth(critic(real), real, critic(fake), fake).item()
    plain = cross_entropy(critic, real, fake, 0.0)

    def ratio(gamma: float) -> float:
        return (cross_entropy(critic, real, fake, gamma) - plain) / (gamma * roth)

    assert ratio(0.02) == pytest.approx(1.0, abs=0.05)
    assert 2 * ratio(0.01) - ratio(0.02) == pytest.approx(1.0, abs=2e-3)


# consistency and lecam


def test_consistency_by_hand() -> None:
    """(1 - 0)² and (2 - 4)²: 2.5, and both sides are pulled together."""
    logits, other = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([0.0, 4.0], requires_grad=True)
    value = penalties.consistency(logits, other)
    assert value.item() == pytest.approx(2.5)
    value.backward()
    assert logits.grad is not None
    assert other.grad is not None
    assert logits.grad.tolist() == [1.0, -2.0]
    assert other.grad.tolist() == [-1.0, 2.0]


@pytest.mark.parametrize("averages", [(1.0, -0.5), (torch.tensor(1.0), torch.tensor(-0.5))])
def test_lecam_by_hand(averages: tuple[float, float] | tuple[Tensor, Tensor]) -> None:
    """Reals 1, -1 against ā_fake = -0.5: (1.5² + 0)/2. Fakes 0.5, -2 against ā_real = 1: (0.5² + 3²)/2. Sum 5.75."""
    real, fake = torch.tensor([1.0, -1.0]), torch.tensor([0.5, -2.0])
    assert penalties.lecam(real, fake, *averages).item() == pytest.approx(5.75)


numbers = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=12)


@given(numbers, st.floats(-5, 5, width=32), st.floats(-5, 5, width=32))
def test_patches_count_like_samples(values: list[float], average_real: float, average_fake: float) -> None:
    """The mean is over everything: (B, h, w) gives what (B·h·w,) gives, and plain Python agrees."""
    flat = torch.tensor(values, dtype=torch.float64)
    patches, moved = flat.reshape(1, 1, -1), flat * 0.5 + 1
    both = penalties.lecam(patches, moved.reshape(1, 1, -1), average_real, average_fake).item()
    assert both == pytest.approx(penalties.lecam(flat, moved, average_real, average_fake).item())
    reals = [max(value - average_fake, 0.0) ** 2 for value in values]
    fakes = [max(average_real - (0.5 * value + 1), 0.0) ** 2 for value in values]
    assert both == pytest.approx(sum(reals) / len(reals) + sum(fakes) / len(fakes))
    apart = [(value - (0.5 * value + 1)) ** 2 for value in values]
    found = penalties.consistency(patches, moved.reshape(1, 1, -1)).item()
    assert found == pytest.approx(sum(apart) / len(apart))


# orthogonal


def with_rows(layer: nn.Module) -> nn.Module:
    """A layer whose weight holds 1, 2, 3, 4 in memory order."""
    with torch.no_grad():
        layer.get_parameter("weight").view(-1).copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    return layer


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(2, 2),
    "embedding": lambda: nn.Embedding(2, 2),
    "convolution": lambda: nn.Conv2d(1, 2, (1, 2)),
    "transposed": lambda: nn.ConvTranspose2d(1, 2, (1, 2)),
    "transposed in groups": lambda: nn.ConvTranspose2d(2, 2, (1, 2), groups=2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_orthogonal_by_hand(name: str) -> None:
    """Rows (1, 2) and (3, 4): both off-diagonal products are 11, and ½ (11² + 11²) = 121, whatever the layer."""
    assert penalties.orthogonal(with_rows(LAYERS[name]())).item() == pytest.approx(121.0)


def test_orthogonal_adds_layers_up_and_counts_shared_weights_once() -> None:
    one, other = with_rows(nn.Linear(2, 2)), with_rows(nn.Conv2d(1, 2, (1, 2)))
    assert penalties.orthogonal(nn.Sequential(one, nn.ReLU(), other)).item() == pytest.approx(242.0)
    tied = nn.Linear(2, 2)
    tied.weight = one.weight
    assert penalties.orthogonal(nn.Sequential(one, tied, one)).item() == pytest.approx(121.0)


def test_orthogonal_of_more_rows_than_columns_by_hand() -> None:
    """Rows (1, 0), (2, 1), (0, 3): products 2, 0 and 3 above the diagonal, 4 + 9 = 13."""
    layer = nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]]))
    value = penalties.orthogonal(layer)
    assert value.item() == pytest.approx(13.0)
    (slope,) = torch.autograd.grad(value, [layer.weight])
    product = layer.weight @ layer.weight.T
    torch.testing.assert_close(slope, 2 * (product - product.diag().diag()) @ layer.weight)


def test_orthogonal_rows_of_any_length_cost_nothing() -> None:
    layer = nn.Linear(5, 3, dtype=torch.float64)
    rows = torch.linalg.qr(torch.randn(5, 3, dtype=torch.float64, generator=seeded())).Q.T
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [2.0], [30.0]]) * rows)
    assert penalties.orthogonal(layer).item() == pytest.approx(0.0, abs=1e-20)


def test_orthogonal_leaves_vectors_out() -> None:
    assert penalties.orthogonal(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())).item() == 0.0


def test_orthogonal_takes_a_normalized_weight_as_the_layer_uses_it() -> None:
    """And leaves nothing behind in it. With weight normalisation g, (out, 1), is a parameter and no weight."""
    layer = with_rows(nn.ConvTranspose2d(1, 2, (1, 2)))
    sigma = torch.linalg.matrix_norm(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 2).item()
    before = {name: buffer.clone() for name, buffer in spectral_norm(layer).named_buffers()}
    assert list(before) == ["parametrizations.weight.0.u"]
    assert penalties.orthogonal(layer).item() == pytest.approx(121 / sigma**4, rel=1e-5)
    assert all(torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())
    assert penalties.orthogonal(weight_norm(with_rows(nn.Linear(2, 2)))).item() == pytest.approx(121.0, rel=1e-5)
