"""The Dirac-GAN: the exact results of its paper, and the real engine held to them."""

import cmath
import math

import pytest

from experiments import dirac as played
from ganworks.errors import UsageError
from ganworks.theory import dirac, limit_cycle_radius

# The theory


@pytest.mark.parametrize(
    ("method", "settings", "eigenvalue"),
    [
        ("simultaneous", {}, 0.5j),
        ("alternating", {}, 0.5j),
        ("non_saturating", {}, 0.5j),
        ("r1", {"gamma": 0.3}, -0.15 + 0.476970j),
        ("r1", {}, -0.5),
        ("r1", {"gamma": 2.0}, -1 + math.sqrt(0.75)),
        ("instance_noise", {}, -0.1225 + 0.484762j),
        ("zero_centered", {}, -0.5 + 0.866025j),
        ("clipping", {}, 1j),
    ],
)
def test_eigenvalues_are_those_of_the_paper(method: str, settings: dict[str, float], eigenvalue: complex) -> None:
    found, other = dirac(method, 0.2, **settings).eigenvalues
    assert found == pytest.approx(eigenvalue, abs=1e-6)
    if found.imag:
        assert other == found.conjugate()


@pytest.mark.parametrize(
    ("method", "settings", "modulus"),
    [
        ("simultaneous", {}, 1.004988),
        ("alternating", {}, 1.0),
        ("r1", {"gamma": 0.3}, 0.974679),
        ("r1", {"gamma": 1.0}, 0.900000),
        ("r1", {"gamma": 2.0}, 0.973205),
        ("zero_centered", {"gamma": 1.0}, 0.916515),
        ("clipping", {}, math.sqrt(1.04)),
    ],
)
def test_moduli_at_a_step_of_a_fifth(method: str, settings: dict[str, float], modulus: float) -> None:
    assert abs(dirac(method, 0.2, **settings).multiplier) == pytest.approx(modulus, abs=1e-6)


def test_more_r1_than_critical_is_slower_again() -> None:
    speeds = {gamma: abs(dirac("r1", 0.2, gamma=gamma).multiplier) for gamma in (0.5, 1.0, 2.0, 4.0)}
    assert min(speeds, key=lambda gamma: speeds[gamma]) == 1.0
    assert speeds[1.0] < speeds[2.0] < speeds[4.0] < 1


def test_noise_stops_turning_at_the_root_of_two() -> None:
    assert dirac("instance_noise", 0.2, sigma=1.41).multiplier.imag > 0
    assert dirac("instance_noise", 0.2, sigma=1.42).multiplier.imag == 0


@pytest.mark.parametrize("step_size", [0.1, 1.0, 3.9])
def test_players_in_turn_neither_near_nor_leave_up_to_a_step_of_four(step_size: float) -> None:
    assert abs(dirac("alternating", step_size).multiplier) == pytest.approx(1.0, abs=1e-12)
    assert abs(dirac("simultaneous", step_size).multiplier) > 1


def test_players_in_turn_leave_beyond_a_step_of_four() -> None:
    multiplier = dirac("alternating", 4.1).multiplier
    assert multiplier.imag == 0
    assert multiplier.real < -1


@pytest.mark.parametrize("method", ["simultaneous", "r1", "instance_noise", "zero_centered"])
def test_small_steps_follow_the_continuous_game(method: str) -> None:
    local = dirac(method, 1e-6)
    assert cmath.log(local.multiplier) / 1e-6 == pytest.approx(local.eigenvalues[0], abs=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("alternate", {}), "names close to it: alternating"),
        (("r1", {"gama": 1.0}), "names close to it: gamma"),
        (("simultaneous", {"gamma": 1.0}), "it has none"),
        (("r1", {"gamma": -1.0}), "gamma is a finite number, 0 or more, not -1"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, dict[str, float]], told: str) -> None:
    with pytest.raises(UsageError, match=f"(?s)E-ARG-01.*{told}"):
        dirac(words[0], 0.2, **words[1])


@pytest.mark.parametrize("step_size", [0.0, -0.1, math.nan, math.inf])
def test_a_step_size_is_above_zero(step_size: float) -> None:
    for ask in (lambda: dirac("r1", step_size), lambda: limit_cycle_radius(step_size)):
        with pytest.raises(UsageError, match="step_size is a finite number above 0"):
            ask()


# The engine


@pytest.mark.parametrize(
    ("method", "settings"), played.NEAR, ids=[played.title(method, settings) for method, settings in played.NEAR]
)
def test_the_engine_has_the_exact_multiplier(method: str, settings: dict[str, float]) -> None:
    found = played.near(method, settings, batch=100_000)
    if method == "instance_noise":
        assert found["off"] < 2e-3
    else:
        assert found["off_over_distance_from_1"] < 1e-9


@pytest.mark.parametrize(
    ("method", "settings", "mistake"),
    [
        ("r1", {"gamma": 0.3}, {"objective.r1": 0.6}),  # a missing ½
        ("r1", {"gamma": 1.0}, {"objective.r1": 1.01}),
        ("alternating", {}, {"turns.simultaneous": True}),
        ("simultaneous", {}, {"turns.simultaneous": False}),
        ("zero_centered", {"gamma": 1.0}, {"objective.loss": "minimax"}),
        ("instance_noise", {"sigma": 0.7}, {"view.noise": 0.35}),
    ],
)
def test_the_same_check_sees_a_mistake(method: str, settings: dict[str, float], mistake: dict) -> None:
    found = played.near(method, settings, batch=100_000, **mistake)
    assert found["off"] > 2e-3 or found["off_over_distance_from_1"] > 1e-3 > 1e-4


# The recurrence on paper, which takes microseconds: the engine follows it, and it shows where the players end.


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def step(method: str, psi: float, theta: float, h: float) -> tuple[float, float]:
    """A round: D's weight ψ of f(x) = ψx follows -∂L_D/∂ψ, then or at once G's θ follows -∂L_G/∂θ."""
    moved = psi - h * (theta if "clip" in method else sigmoid(psi * theta) * theta)
    if "r1" in method:
        moved -= h * 0.3 * psi
    if "clip" in method:
        moved = min(max(moved, -1.0), 1.0)
    seen = moved if "in turn" in method else psi
    slope = {"clip": 1.0, "non-": sigmoid(-seen * theta)}.get(method[:4], sigmoid(seen * theta))
    return moved, theta + h * slope * seen


def by_hand(method: str, rounds: int, h: float = 0.2, start: tuple[float, float] = played.START) -> list[float]:
    """The distance from the solution after every round."""
    psi, theta = start
    radii = []
    for _ in range(rounds):
        psi, theta = step(method, psi, theta, h)
        radii.append(math.hypot(psi, theta))
    return radii


@pytest.mark.parametrize("method", [name for name in played.FAR if "penalty" not in name])
def test_the_engine_follows_the_recurrence(method: str) -> None:
    places = played.play(played.game(0.2, played.FAR[method]), played.START, 30)
    assert places.norm(dim=1)[1:].tolist() == pytest.approx(by_hand(method, 30), rel=1e-12)


@pytest.mark.parametrize("step_size", [3.9, 4.1])
def test_the_engine_follows_it_with_large_steps(step_size: float) -> None:
    places = played.play(played.game(step_size, played.FAR["minimax, in turn"]), (1e-3, 0.0), 30)
    hand = by_hand("minimax, in turn", 30, step_size, (1e-3, 0.0))
    assert places.norm(dim=1)[1:].tolist() == pytest.approx(hand, rel=1e-9)
    assert max(hand) < 0.01 if step_size < 4 else max(hand) > 1


@pytest.mark.parametrize(
    ("method", "early", "late"),
    [
        ("minimax, at once", 3.10, 4.24),
        ("non-saturating, at once", 0.640, 0.624),
        ("clip = 1, at once", 1.00, 1.03),
    ],
)
def test_where_it_leads(method: str, early: float, late: float) -> None:
    """Outside numbers: the distance after 500 and 5,000 rounds in another program, from the same start."""
    radii = by_hand(method, 5000)
    assert radii[499] == pytest.approx(early, abs=0.006)
    assert radii[4999] == pytest.approx(late, abs=0.006)


def test_r1_arrives() -> None:
    assert by_hand("r1 = 0.3, at once", 500)[-1] == pytest.approx(2.6e-6, rel=0.03)


@pytest.mark.parametrize("step_size", [0.05, 0.1, 0.2, 0.4])
def test_the_non_saturating_game_at_once_ends_in_a_cycle(step_size: float) -> None:
    exact = limit_cycle_radius(step_size)
    for start in (0.5 * exact, 2 * exact):
        radii = by_hand("non-saturating, at once", 20_000, step_size, (start, 0.0))
        turn = round(4 * math.pi / step_size)
        assert sum(radii[-turn:]) / turn == pytest.approx(exact, rel=0.01)


def test_in_turn_it_arrives_slowly() -> None:
    """The continuous game: dr/dt = -r³/16, so r = 1/√(1/r₀² + t/8)."""
    for time in (100, 400):
        radius = by_hand("non-saturating, in turn", time * 50, 0.02)[-1]
        assert radius == pytest.approx(1 / math.sqrt(1 / 2 + time / 8), rel=0.005)


def test_the_one_centred_penalty_leaves_the_generator_where_it_holds_the_critic_flat() -> None:
    places = played.play(played.game(0.2, played.FAR["gradient penalty, in turn"]), (0.1, 1.9), 60)
    assert places[-1].tolist() == pytest.approx([0.0, 2.0], abs=1e-3)
