"""The average relativistic loss: its least value by duality, beside a table of outputs that is simply trained."""

import math

import pytest
import torch
from torch import Tensor

from ganworks import losses
from ganworks.errors import UsageError
from ganworks.theory import Density, Mixture, MultivariateNormal, Normal, discriminator_loss_at_optimum, ring
from tests.test_theory_floors import masses, trained

WIDE = Normal(0.0, 2.0)
BOUNDED: dict[str, tuple[Density, Density]] = {
    "narrower data": (Normal(0.0, 1.0), WIDE),
    "wider data": (WIDE, Normal(1.0, 1.0)),
    "both bounded, by other weights": (
        Mixture([Normal(0.0, 1.0), Normal(1.0, 1.0)], [1, 1]),
        Mixture([Normal(0.0, 1.0), Normal(1.0, 1.0)], [1, 3]),
    ),
    "both bounded, and a spike decides": (Mixture([Normal(0.0, 1.0), Normal(3.0, 0.1)], [3, 1]), Normal(0.0, 1.0)),
    "both bounded, by a wide part": (
        Mixture([WIDE, Normal(-1.0, 0.5)], [1, 1]),
        Mixture([WIDE, Normal(1.0, 0.7)], [1, 1]),
    ),
}


def average(p: Density, q: Density) -> float:
    return discriminator_loss_at_optimum(p, q, "relativistic_average")


def pays(table: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """The loss with masses for the means over a batch."""
    family = losses.get("relativistic_average").family
    return real.dot(family.real(table - fake.dot(table))) + fake.dot(family.fake(table - real.dot(table)))


def test_masses_stand_for_the_means_over_a_batch() -> None:
    table = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows, columns = torch.tensor([0, 0, 1, 2, 5, 5]), torch.tensor([1, 3, 4, 5, 6, 7])
    shares = [torch.bincount(each, minlength=8).double() / 6 for each in (rows, columns)]
    batch = losses.get("relativistic_average").discriminator(table[rows], table[columns])
    assert pays(table, *shares).item() == pytest.approx(batch.item(), rel=1e-12)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_trained_table_pays_it(name: str) -> None:
    p, q = BOUNDED[name]
    real, fake = masses(p, q, 0.01)
    real, fake = real / real.sum(), fake / fake.sum()
    found = trained(lambda table: pays(table, real, fake), real + fake)
    if name in ("narrower data", "wider data"):
        # One side can be had for nothing, by a far tail that the table of this width lacks: the other side is left.
        family, swapped = losses.get("relativistic_average").family, name == "wider data"
        real, fake = (fake, real) if swapped else (real, fake)
        found = trained(lambda table: fake.dot(family.fake(table - real.dot(table))), real + fake)
    # Where one place decides, a table gets there ever more slowly: it must lift that place without end.
    assert found == pytest.approx(average(p, q), abs=2e-4 if "spike" in name else 1e-6)
    assert found > average(p, q) - 1e-6


@pytest.mark.parametrize(("p", "q"), [(Normal(0.0, 1.0), Normal(0.5, 1.0)), (ring(), Normal([0.0, 1.0], 0.02))])
def test_unbounded_both_ways_it_has_no_floor_above_nothing(p: Density, q: Density) -> None:
    assert average(p, q) == 0.0


def test_far_tails_pay_for_nearly_everything() -> None:
    """Of shifted normals: f = T where one side has mass e and the other next to none, and -T on the other side."""
    x = torch.arange(-40, 41, 0.01, dtype=torch.float64)
    real, fake = (Normal(mean, 1.0).log_prob(x).exp() * 0.01 for mean in (0.0, 1.0))
    costs = []
    for edge in (4.0, 10.0, 20.0):
        height = edge / real[x < -edge].sum()
        table = torch.where(x < -edge, height, torch.where(x > 1 + edge, -height, 0.0))
        costs.append(pays(table, real, fake).item())
    assert costs[0] > costs[1] > costs[2]
    assert costs[2] < 1e-6


def test_it_is_symmetric_and_the_same_turned_in_the_plane() -> None:
    p, q = Normal([0.0, 0.0], [1.0, 0.5]), Normal([0.3, 0.0], [2.0, 0.5])
    assert average(p, q) == pytest.approx(average(q, p), abs=1e-9)
    line = average(Normal(0.0, 1.0), Normal(0.3, 2.0))
    assert average(p, q) == pytest.approx(line, abs=1e-6)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    turned = [MultivariateNormal(turn @ each.mean, turn @ each.std.square().diag() @ turn.T) for each in (p, q)]
    assert average(*turned) == pytest.approx(line, abs=1e-6)


def test_weights_of_separate_modes_are_a_game_of_their_shares() -> None:
    """Modes that share nothing are places; a table with one value for each pays the same."""
    weights = [1, 2, 3, 4, 5, 6, 7, 8]
    shares = torch.full((8,), 1 / 8, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64) / 36
    found = trained(lambda table: pays(table, *shares), sum(shares))
    assert average(ring(), Mixture(ring().components, weights)) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(
    ("p", "q", "free"),
    [
        (Normal(0.0, 1.0), WIDE, False),
        (Mixture([Normal(0.0, 1.0), Normal(3.0, 1.0)], [1, 1]), Normal(0.0, 1.0), False),
        (Mixture([Normal(0.0, 1.0), Normal(3.0, 1.0)], [1, 1]), Normal(1.0, 1.0), False),
        (Normal(1.0, 1.0), Mixture([Normal(0.0, 1.0), Normal(3.0, 1.0)], [1, 1]), False),  # its mean is in the hull
        (Normal(4.0, 1.0), Mixture([Normal(0.0, 1.0), Normal(3.0, 1.0)], [1, 1]), True),  # and here it is not
        (Normal([0.0, 0.0], [1.0, 2.0]), Normal([1.0, 0.0], [1.0, 2.0]), True),
        (Mixture([Normal(0.0, 1.0), Normal(0.0, 3.0)], [1, 1]), Mixture([WIDE, Normal(9.0, 1.0)], [1, 1]), False),
        (Normal([0.0, 0.0], [1.0, 3.0]), Normal([0.0, 0.0], [3.0, 1.0]), True),
        # Two crossed wide ones are wider than a round one in every direction, and neither is by itself.
        (
            Normal([0.0, 0.0], 1.0),
            Mixture([Normal([0.0, 0.0], [0.9, 5.0]), Normal([0.0, 0.0], [5.0, 0.9])], [1, 1]),
            False,
        ),
    ],
)
def test_tails_decide(p: Density, q: Density, free: bool) -> None:
    value = average(p, q)
    assert (value == 0) if free else (0 < value < math.log(4))


def test_what_cannot_be_decided_is_refused() -> None:
    """Equal in one direction, narrower in the other: far out on the axis the ratio is a matter of rounding."""
    with pytest.raises(UsageError, match=r"E-THEORY-01.*cannot be told"):
        average(Normal([0.0, 0.0], 1.0), Mixture([Normal([side, 0.0], [1.0, 2.0]) for side in (-1.0, 1.0)], [1, 1]))
