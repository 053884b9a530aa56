"""How far a game is from its optimum: estimates against what is known exactly, and that looking leaves no trace."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from ganworks import data, losses, theory
from ganworks.gan import GAN
from ganworks.objective import loss_of
from ganworks.optimum import DRAWS, Distance, best, blurred, judge, kernels
from ganworks.optimum.best import critic_gap, gap
from ganworks.optimum.distance import jensen_shannon
from ganworks.optimum.laws import narrowest
from ganworks.settings import ObjectiveSettings
from ganworks.theory import Density, Mixture, MultivariateNormal, Normal

TINY = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}
LINE, RING, BIMODAL = Normal(0.0, 1.0), theory.ring(), theory.bimodal()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def probe(density: Density, system: str = "gan", **settings: object) -> Distance:
    """The probe of a game on a density that has not begun; made once, as looking leaves no trace."""
    gan = GAN(system, **TINY | settings).start(density, steps=10)
    assert gan._session.engine is not None
    return Distance(gan._session.engine, density)


def estimate(measure: Distance, q: Density, seed: int = 0) -> float:
    """JSD between the data and exact draws of q."""
    return jensen_shannon(*measure.ratios(q.sample(DRAWS, seeded(seed))))


# Densities at many points at once


@pytest.mark.parametrize(
    "density",
    [
        RING,
        theory.swissroll(),
        BIMODAL,
        Normal(1e6, 1.0),
        Normal([0.0, 1.0], 1e20),
        MultivariateNormal([1, 2], [[1, 0.6], [0.6, 0.5]]),
        Mixture([MultivariateNormal([1, 2], [[1, 0.6], [0.6, 0.5]]), Normal([3, 0], [0.01, 2])], [1, 3]),
    ],
)
def test_a_law_in_tiles_is_the_density(density: Density) -> None:
    x = density.sample(1_000, seeded())
    found = blurred(density, 0.0).log_prob(x)
    assert torch.allclose(found, density.log_prob(x.double()), rtol=0, atol=1e-4)


def test_a_blur_adds_its_variance() -> None:
    x = torch.linspace(-3, 3, 50)[:, None]
    wider = Normal(1.0, math.hypot(0.5, 0.3)).log_prob(x.double())
    assert torch.allclose(blurred(Normal(1.0, 0.5), 0.3).log_prob(x), wider, atol=1e-5)


def test_a_kernel_density_is_a_normal_one_at_each_sample() -> None:
    samples = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    exact = Mixture([Normal([0.0, 0.0], 0.5), Normal([1.0, 2.0], 0.5)], [1, 1])
    x = torch.randn(200, 2, generator=seeded())
    assert torch.allclose(kernels(samples, 0.5).log_prob(x), exact.log_prob(x.double()), atol=1e-5)


def test_far_from_all_there_is_nothing() -> None:
    assert kernels(torch.zeros(3, 1), 0.1).log_prob(torch.tensor([[50.0]])).item() == -math.inf


def test_the_narrowest_direction_counts_and_is_found_by_the_slope_too() -> None:
    class Plain(Density):
        """A normal density that does not say so."""

        dimensions = 1

        def _log_prob(self, points: Tensor) -> Tensor:
            return Normal(0.0, 0.2).log_prob(points)

        def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
            return Normal(0.0, 0.2).sample(n, generator)

    assert narrowest(MultivariateNormal([0, 0], [[4, 0], [0, 0.09]]), torch.zeros(1, 2)) == pytest.approx(0.3)
    plain = Plain()
    assert narrowest(plain, plain.sample(5_000, seeded())) == pytest.approx(0.2, rel=0.05)
    assert blurred(plain, 0.1) is plain


# JSD


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_shifted_normals(shift: float) -> None:
    """Against the exact value, and with chance as large as it is said to be."""
    measure, q = probe(LINE), Normal(shift, 1.0)
    found = [estimate(measure, q, seed) for seed in range(5)]
    assert sum(found) / 5 == pytest.approx(theory.jensen_shannon(LINE, q), abs=0.01)


@pytest.mark.parametrize(
    ("std", "apart"), [(0.02, 0.02), (0.1, 0.02), (0.3, 0.04), (0.6, 0.02), (0.8, 0.01), (2.0, 0.01)]
)
def test_scaled_normals(std: float, apart: float) -> None:
    """Narrow ones look less narrow through the blur."""
    measure, q = probe(LINE), Normal(0.0, std)
    assert estimate(measure, q) == pytest.approx(theory.jensen_shannon(LINE, q), abs=apart)


def test_a_ring_of_which_two_modes_are_missing() -> None:
    """m = (p + q)/2 is worked out by hand: six modes of weight 1/6 for 1/8, two for nothing."""
    ring = RING
    measure, q = probe(ring), Mixture(ring.components[:6], [1] * 6)
    p_m, q_m = (1 / 8) / (7 / 48), (1 / 6) / (7 / 48)
    exact = 0.5 * (6 / 8 * math.log(p_m) + 2 / 8 * math.log(2)) + 0.5 * math.log(q_m)
    assert estimate(measure, q) == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize("density", [LINE, BIMODAL, RING, theory.grid(), theory.swissroll()])
def test_real_draws_show_the_floor(density: Density) -> None:
    measure = probe(density)
    assert 0 < measure.floor < 0.02
    assert estimate(measure, density, 5) == pytest.approx(measure.floor, abs=0.004)


def test_what_shares_nothing_is_log_2_apart() -> None:
    assert estimate(probe(LINE), Normal(100.0, 1.0)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, 1e30, -3e38])
@pytest.mark.parametrize("density", [LINE, RING])
def test_samples_that_are_none_are_told_apart(value: float, density: Density) -> None:
    """All at one point, or nowhere: never NaN."""
    measure = probe(density)
    found = jensen_shannon(*measure.ratios(torch.full((DRAWS, density.dimensions), value)))
    assert found == pytest.approx(math.log(2), abs=0.01)


def test_half_of_the_samples_nowhere_cost_their_share() -> None:
    measure = probe(LINE)
    lost = LINE.sample(DRAWS, seeded())
    lost[::2] = math.nan
    # q = ½ p on the line and ½ elsewhere.
    exact = 0.5 * math.log(1 / 0.75) + 0.5 * (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(2))
    assert jensen_shannon(*measure.ratios(lost)) == pytest.approx(exact, abs=0.01)


# D beside the best D


SHIFTED = Normal(1.5, 1.0)
FLOORS = ("minimax", "non_saturating", "least_squares", "hinge", "relativistic_paired")


def ratios(n: int = 20_000) -> tuple[Tensor, Tensor]:
    logit = theory.optimal_logit(LINE, SHIFTED)
    return logit(LINE.sample(n, seeded(1)).double()), logit(SHIFTED.sample(n, seeded(2)).double())


@pytest.mark.parametrize("loss", FLOORS)
def test_the_best_discriminator_pays_what_theory_says(loss: str) -> None:
    real, fake = (best(ObjectiveSettings(loss=loss), each) for each in ratios())
    assert real is not None
    assert fake is not None
    paid = float(losses.get(loss).discriminator(real, fake))
    assert paid == pytest.approx(theory.discriminator_loss_at_optimum(LINE, SHIFTED, loss), abs=0.02)


@pytest.mark.parametrize("settings", [*({"loss": loss} for loss in FLOORS), {"real_target": 0.8}])
def test_no_other_discriminator_pays_less(settings: dict[str, object]) -> None:
    """Where r is exact, neither a bolder, a shyer nor a shifted one."""
    made = ObjectiveSettings.model_validate(settings)
    at = ratios()
    for change in (lambda f: 1.3 * f, lambda f: 0.7 * f, lambda f: f + 0.2 * f.tanh() + 0.1 * f.abs()):
        said = [change(best(made, each)) for each in at]
        assert (gap(made, (said[0], said[1]), at) or 0.0) > 0


def test_a_perfect_discriminator_has_no_gap_and_a_coin_has_all() -> None:
    made, at = ObjectiveSettings(loss="non_saturating"), ratios()
    assert gap(made, at, at) == pytest.approx(0)
    coin = gap(made, (torch.zeros_like(at[0]), torch.zeros_like(at[1])), at)
    assert coin == pytest.approx(2 * theory.jensen_shannon(LINE, SHIFTED), abs=0.02)


def test_certainty_is_no_nan() -> None:
    """Beyond all samples r is infinite, and so is the best f."""
    infinite = torch.tensor([math.inf, 1.0], dtype=torch.float64), torch.tensor([-math.inf, -1.0], dtype=torch.float64)
    for loss in FLOORS:
        made = ObjectiveSettings(loss=loss)
        assert math.isfinite(gap(made, (torch.zeros(2).double(), torch.zeros(2).double()), infinite) or math.nan)
    smoothed = ObjectiveSettings(real_target=0.9)
    told = best(smoothed, infinite[0])
    assert told is not None
    assert told[0].item() == pytest.approx(math.log(0.9 / 0.1))


def test_losses_without_a_known_best_have_no_gap() -> None:
    for loss in ("relativistic_average", "wasserstein"):
        assert best(ObjectiveSettings(loss=loss), torch.zeros(3)) is None
        assert gap(ObjectiveSettings(loss=loss), ratios(5), ratios(5)) is None


def test_a_critic_of_slope_one_has_no_gap_whatever_its_scale() -> None:
    real, fake = torch.randn(500, generator=seeded()), torch.randn(500, generator=seeded(1)) + 3
    for scale in (0.01, 1.0, 50.0):
        assert critic_gap((real, fake), (-scale * real, -scale * fake)) == pytest.approx(0, abs=0.05)
    flat = critic_gap((real, fake), (torch.ones(500), torch.ones(500)))
    assert flat == pytest.approx(float((real.sort().values - fake.sort().values).abs().mean()))
    assert critic_gap((real, fake), (real, fake)) > flat  # the wrong way round


# A game


def names(measure: Distance) -> set[str]:
    return {name.removeprefix("optimum.") for name in measure(0)}


BOTH, ALL = {"jsd", "jsd_floor"}, {"jsd", "jsd_floor", "discriminator_gap"}


@pytest.mark.parametrize(
    ("system", "density", "settings", "expected"),
    [
        ("gan", RING, {}, ALL),
        ("gan", RING, {"view.pack": 2, "batch": 8}, ALL),
        ("gan", RING, {"objective.loss": "relativistic_average"}, BOTH),
        ("lsgan", RING, {}, ALL),
        ("r3gan", BIMODAL, {}, ALL),
        ("wgan", BIMODAL, {}, ALL),
        ("wgan", RING, {}, BOTH),
        ("conditional", RING, {}, BOTH),
        ("semisupervised", RING, {}, ALL),
    ],
)
def test_keys_appear_where_they_mean_something(
    system: str, density: Density, settings: dict[str, object], expected: set[str]
) -> None:
    assert names(probe(density, system, **settings)) == expected


class Exact(nn.Module):
    """A discriminator that knows the answer."""

    def __init__(self, q: Density) -> None:
        super().__init__()
        self.logit = theory.optimal_logit(LINE, q)

    def forward(self, x: Tensor) -> Tensor:
        return self.logit(x)


class Given(nn.Module):
    """A generator of a known law: its latent, moved."""

    def forward(self, z: Tensor) -> Tensor:
        return z[:, :1] + 1.5


@pytest.mark.parametrize("loss", ["non_saturating", "least_squares", "relativistic_paired"])
def test_the_gap_of_a_game_that_is_known_exactly(loss: str) -> None:
    gan = GAN("gan", **TINY | {"objective.loss": loss, "average.half_life": 0}).start(
        data.DataSet(
            data.open(LINE).spec.model_copy(update={"center": (), "scale": ()}), data.open(LINE).columns, LINE
        ),
        steps=10,
    )
    engine = gan._session.engine
    assert engine is not None
    system = engine.system
    system.generator, system.discriminator = Given(), Exact(SHIFTED)
    found = Distance(engine, LINE)(3)
    assert found["optimum.jsd"] == pytest.approx(theory.jensen_shannon(LINE, SHIFTED), abs=0.015)
    if loss == "least_squares":  # which wants a probability, not a logit
        assert found["optimum.discriminator_gap"] > 0.1
    else:
        assert found["optimum.discriminator_gap"] == pytest.approx(0, abs=0.015)


def test_samples_are_those_of_the_average_and_differ_from_step_to_step() -> None:
    measure = probe.__wrapped__(RING)
    assert torch.equal(measure.draw(3), measure.draw(3))
    assert not torch.equal(measure.draw(3), measure.draw(4))
    before = measure.draw(3)
    with torch.no_grad():
        for weight in measure.engine.average.networks["generator"].parameters():
            weight.add_(1.0)
    assert not torch.equal(before, measure.draw(3))


@pytest.mark.parametrize("system", ["gan", "sngan", "semisupervised", "wgan"])
def test_looking_leaves_no_trace(system: str) -> None:
    measure = probe.__wrapped__(RING, system)
    engine = measure.engine
    engine.round()
    state, default = engine.state(), torch.default_generator.get_state()
    training = [module.training for module in engine.system.modules()]
    first = measure(1)
    assert measure(1) == first
    assert all(torch.equal(engine.state()[name], kept) for name, kept in state.items())
    assert torch.equal(torch.default_generator.get_state(), default)
    assert [module.training for module in engine.system.modules()] == training


def test_a_generator_that_is_broken_still_gives_numbers() -> None:
    measure = probe.__wrapped__(RING)
    with torch.no_grad():
        for weight in measure.engine.average.networks["generator"].parameters():
            weight.fill_(math.nan)
    found = measure(1)
    assert found["optimum.jsd"] == pytest.approx(math.log(2))
    assert "optimum.discriminator_gap" not in found


def test_who_judges_more_than_points_is_not_asked() -> None:
    gan = GAN("conditional", **TINY).start("ring", steps=5)
    assert judge(gan.system) is None
    assert loss_of(gan.system.settings.objective).name == "relativistic_paired"
