"""What the best discriminator pays: a table of outputs, trained by the losses of the package, must come to the same."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganworks import losses
from ganworks.errors import UsageError
from ganworks.theory import Density, Mixture, Normal, discriminator_loss_at_optimum, jensen_shannon

TWO = Mixture([Normal(-2.0, 0.5), Normal(1.0, 1.0)], [1, 3])
PAIRS: dict[str, tuple[Density, Density]] = {
    "shifted by 0.5": (Normal(0.0, 1.0), Normal(0.5, 1.0)),
    "shifted by 4": (Normal(0.0, 1.0), Normal(4.0, 1.0)),
    "narrower": (Normal(0.0, 1.0), Normal(1.0, 2.0)),
    "two modes": (Normal(0.0, 1.0), TWO),
}
POINTWISE = [
    ("minimax", {}),
    ("non_saturating", {"real_target": 0.9}),
    ("minimax", {"real_target": 0.3}),
    ("least_squares", {}),
    ("least_squares", {"a": -1.0, "b": 1.0, "c": 0.0}),
    ("hinge", {}),
]


def masses(p: Density, q: Density, step: float) -> tuple[Tensor, Tensor]:
    """What even cells of the line hold: the sum over a smooth density is exact to rounding, by no rule of ours."""
    x = torch.arange(-14, 18, step, dtype=torch.float64)
    return step * p.log_prob(x).exp(), step * q.log_prob(x).exp()


def trained(pays: Callable[[Tensor], Tensor], weight: Tensor) -> float:
    """The least value of a convex function of a table; places that weigh less are stretched to weigh the same."""
    table = torch.zeros_like(weight, requires_grad=True)
    stretch = (weight + 1e-30).rsqrt()
    descent = torch.optim.LBFGS([table], 1.0, 600, 900, 1e-13, 1e-15, 20, "strong_wolfe")

    def loss() -> Tensor:
        descent.zero_grad()
        value = pays(table * stretch)
        value.backward()
        return value

    descent.step(loss)
    return pays(table.detach() * stretch).item()


@pytest.mark.parametrize(("loss", "options"), POINTWISE)
@pytest.mark.parametrize("name", PAIRS)
def test_a_trained_table_pays_it(name: str, loss: str, options: dict[str, float]) -> None:
    p, q = PAIRS[name]
    real, fake = masses(p, q, 0.004 if loss == "hinge" else 0.05)
    family = losses.get(loss, **options).family

    def pays(table: Tensor) -> Tensor:
        return real.dot(family.real(table)) + fake.dot(family.fake(table))

    exact = discriminator_loss_at_optimum(p, q, loss, **options)
    # A hinge has its kinks at the optimum: the table takes the better of both there.
    found = pays(torch.where(real > fake, 1.0, -1.0).double()).item() if loss == "hinge" else trained(pays, real + fake)
    assert found == pytest.approx(exact, abs=1e-6)
    assert exact > 0


def test_no_table_of_a_hinge_pays_less() -> None:
    """Its optimum is sign(p - q); from there every change of any size costs."""
    p, q = PAIRS["two modes"]
    real, fake = masses(p, q, 0.004)
    best, draw = torch.where(real > fake, 1.0, -1.0).double(), torch.Generator().manual_seed(0)
    family = losses.get("hinge").family
    for size in (0.01, 0.5, 3.0):
        table = best + size * torch.randn(len(best), generator=draw, dtype=torch.float64)
        paid = real.dot(family.real(table)) + fake.dot(family.fake(table))
        assert paid.item() > discriminator_loss_at_optimum(p, q, "hinge")


@pytest.mark.parametrize("name", ["shifted by 0.5", "two modes"])
def test_a_table_trained_on_pairs_pays_it(name: str) -> None:
    p, q = PAIRS[name]
    real, fake = masses(p, q, 0.1)
    loss = losses.get("relativistic_paired")

    def pays(table: Tensor) -> Tensor:
        first, second = torch.broadcast_tensors(table[:, None], table)
        return real @ loss.discriminator(first, second, "none") @ fake

    exact = discriminator_loss_at_optimum(p, q, "relativistic_paired")
    assert trained(pays, real + fake) == pytest.approx(exact, abs=1e-6)


def test_least_squares_does_not_see_what_the_generator_wants() -> None:
    p, q = PAIRS["two modes"]
    values = {discriminator_loss_at_optimum(p, q, "least_squares", c=c) for c in (0.0, 0.5, 1.0)}
    assert len(values) == 1
    pearson = discriminator_loss_at_optimum(p, q, "least_squares", a=-1.0, b=1.0, c=0.0)
    assert pearson == pytest.approx(4 * values.pop(), rel=1e-12)  # b - a is 2


def test_a_target_of_one_is_no_smoothing() -> None:
    p, q = PAIRS["narrower"]
    floor = discriminator_loss_at_optimum(p, q, "minimax", real_target=1.0)
    assert floor == pytest.approx(math.log(4) - 2 * jensen_shannon(p, q), rel=1e-12)
    far = discriminator_loss_at_optimum(Normal(0.0, 1.0), Normal(40.0, 1.0), "minimax", real_target=0.9)
    assert far == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1), rel=1e-9)  # H(t): noise of the labels


def test_the_names_and_options_are_those_of_the_losses() -> None:
    p, q = PAIRS["narrower"]
    for name in losses.names():
        options = dict.fromkeys(losses.get(name).family.options, 0.5)
        assert math.isfinite(discriminator_loss_at_optimum(p, q, name, **options))


@pytest.mark.parametrize(
    ("loss", "options", "code"),
    [
        ("hing", {}, r"(?s)E-NAME-03.*close to it: hinge"),
        ("hinge", {"a": 1.0}, "E-ARG-01"),
        ("minimax", {"real_targt": 1.0}, r"(?s)E-ARG-01.*close to it: real_target"),
        ("minimax", {"real_target": 0.0}, "E-THEORY-01"),
        ("minimax", {"real_target": math.nan}, "E-THEORY-01"),
    ],
)
def test_a_wrong_name_or_option_is_refused(loss: str, options: dict[str, float], code: str) -> None:
    with pytest.raises(UsageError, match=code):
        discriminator_loss_at_optimum(Normal(0, 1), Normal(1, 1), loss, **options)
