"""Remedies as terms of an objective: each has its own value, weight and moment, and says what the function says."""

import pytest
import torch
from test_objective import BATCH, Curved, a_round, no_data, objective, samples, seeded
from torch import Tensor, nn

from ganworks import losses, penalties
from ganworks.objective import Objective, OnePass
from ganworks.round import Round
from ganworks.settings import ObjectiveSettings, Ramp, ViewSettings, build

REAL, FAKE = samples(1), samples(2)


class Featured(Curved):
    """The critic with the features that its last layer judges."""

    def features(self, x: Tensor) -> Tensor:
        return self.body[:-1](x)


def critic() -> nn.Module:
    return seeded(Featured(), 0)


def terms(judge: Objective, round: Round | None = None, net: nn.Module | None = None) -> dict[str, Tensor]:
    return judge.discriminator(net or critic(), {"x": REAL}, {"x": FAKE}, round or a_round())


def leaves() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    net, real, fake = critic(), REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    return net(real), real, net(fake), fake


def test_roths_penalty_is_the_function_of_the_logits_that_the_loss_has_used() -> None:
    found = terms(objective(roth=0.7))
    assert found["roth"].item() == pytest.approx(0.7 * penalties.roth(*leaves()).item(), rel=1e-6)


def test_roth_and_r1_share_their_gradients_and_keep_their_values() -> None:
    both = terms(objective(roth=0.7, r1=2.0))
    assert both["roth"].item() == pytest.approx(terms(objective(roth=0.7))["roth"].item(), rel=1e-6)
    assert both["r1"].item() == pytest.approx(terms(objective(r1=2.0))["r1"].item(), rel=1e-6)


def test_a_weight_follows_its_schedule() -> None:
    """Roth's annealing: γ₀ · 0.01^(t/T), half way down to a tenth."""
    annealed = Ramp.model_validate({"from": 2.0, "to": 0.02, "shape": "exponential"})
    round = Round(0, 100, BATCH, no_data)
    round.begin(50, "game", 0.5)
    round.begin_update("discriminator", 0)
    found = terms(objective(roth=annealed), round)["roth"]
    assert found.item() == pytest.approx(terms(objective(roth=0.2))["roth"].item(), rel=1e-5)


def test_dragan_looks_around_real_samples_by_half_the_deviation_of_the_whole_batch() -> None:
    seen: list[Tensor] = []

    class Spy(Curved):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach())
            return super().forward(x)

    found = terms(objective(dragan=3.0), net=seeded(Spy(), 0))
    around = seen[-1]
    assert len(around) == BATCH
    moved = (around - REAL).flatten(1)
    assert moved.min() >= 0
    assert (moved.max(1).values <= 0.5 * REAL.std()).all()
    assert moved.max() > 0.25 * REAL.std()
    points = around.clone().requires_grad_()
    slope = torch.autograd.grad(critic()(points).sum(), points)[0].flatten(1).norm(dim=1)
    assert found["dragan"].item() == pytest.approx(3 * (slope - 1).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_finite_differences_agree_with_gradients_on_a_plane(name: str) -> None:
    """On f(x) = w·x a difference over a step n is exactly w·n: its mean square over many steps is |w|²."""
    plane = seeded(Curved(), 3)
    plane.body = seeded(nn.Sequential(nn.Flatten(), nn.Linear(18, 1)), 3)
    exact = terms(objective(**{name: 1.0}), net=plane)[name].item()
    judge = objective(**{name: 1.0, "finite_difference": 0.01})
    found = [terms(judge, a_round(update), plane)[name].item() for update in range(400)]
    assert sum(found) / len(found) == pytest.approx(exact, rel=5 * (2 / (400 * BATCH)) ** 0.5)
    assert len(set(found)) == 400


def test_finite_differences_reach_the_weights_without_a_second_derivative() -> None:
    net = critic()
    value = terms(objective(r1=1.0, finite_difference=0.1), net=net)["r1"]
    exact = terms(objective(r1=1.0), net=net)["r1"]
    assert "DoubleBackward" not in str(exact.grad_fn)
    gradients = torch.autograd.grad(value, list(net.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0].any()


def test_lecam_compares_with_means_that_only_accepted_updates_move() -> None:
    judge, net = objective(lecam=2.0), critic()
    judge.average_real.fill_(0.3)
    judge.average_fake.fill_(-0.2)
    round = a_round()
    found = terms(judge, round, net)["lecam"]
    real, fake = net(REAL), net(FAKE)
    expected = (real + 0.2).relu().square().mean() + (0.3 - fake).relu().square().mean()
    assert found.item() == pytest.approx(2 * expected.item(), rel=1e-5)
    assert judge.average_real.item() == pytest.approx(0.3)
    with torch.no_grad():
        judge.after(round, net)
    assert judge.average_real.item() == pytest.approx(0.99 * 0.3 + 0.01 * real.mean().item(), rel=1e-5)
    assert judge.average_fake.item() == pytest.approx(-0.99 * 0.2 + 0.01 * fake.mean().item(), rel=1e-5)


def test_consistency_is_nothing_for_a_critic_that_ignores_the_change() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, 2:-2, 2:-2].mean((1, 2, 3))

    flat = torch.ones(BATCH, 1, 16, 16) * torch.arange(BATCH).reshape(-1, 1, 1, 1)
    judge = objective(consistency=5.0)
    inside = judge.discriminator(Sum(), {"x": flat}, {"x": flat}, a_round())["consistency"]
    assert inside.item() == 0
    ramp = flat + torch.linspace(0, 1, 16)
    assert judge.discriminator(Sum(), {"x": ramp}, {"x": flat}, a_round())["consistency"].item() > 0


def test_orthogonal_is_of_the_critics_weights() -> None:
    net = critic()
    found = terms(objective(orthogonal=0.1), net=net)["orthogonal"]
    assert found.item() == pytest.approx(0.1 * penalties.orthogonal(net).item(), rel=1e-6)


def test_feature_matching_is_a_term_of_the_generator_over_means() -> None:
    net, judge = critic(), objective(feature_matching=0.5)
    fake = FAKE.clone().requires_grad_()
    found = judge.generator(net, {"x": fake}, a_round(), real=lambda: {"x": REAL})
    shuffled = judge.generator(net, {"x": fake}, a_round(), real=lambda: {"x": REAL.flip(0)})
    expected = losses.feature_matching(net.features(REAL), net.features(fake))
    assert found["feature_matching"].item() == pytest.approx(0.5 * expected.item(), rel=1e-5)
    assert shuffled["feature_matching"].item() == pytest.approx(found["feature_matching"].item(), rel=1e-5)
    assert set(found) == {"adversarial", "feature_matching"}
    assert torch.autograd.grad(found["feature_matching"], fake)[0].any()


def test_flipped_pairs_have_exchanged_their_labels() -> None:
    net = critic()
    real, fake = net(REAL), net(FAKE)
    loss = losses.get("non_saturating")
    always = terms(objective(flip=1.0), net=net)["adversarial"]
    assert always.item() == pytest.approx(loss.discriminator(fake, real).item(), rel=1e-6)
    plain, lies = loss.discriminator(real, fake, "none"), loss.discriminator(fake, real, "none")
    found = {round(terms(objective(flip=0.3), a_round(u), net)["adversarial"].item() * BATCH, 3) for u in range(30)}
    assert len(found) > 5
    sums = torch.stack([plain, lies])
    low, high = sums.min(0).values.sum().item(), sums.max(0).values.sum().item()
    assert all(low - 1e-3 <= value <= high + 1e-3 for value in found)


@pytest.mark.parametrize("name", ["lecam", "consistency", "orthogonal"])
def test_what_needs_no_slope_is_not_lazy(name: str) -> None:
    judge = objective(**{name: 1.0, "every": 4, "r1": 1.0})
    assert name in terms(judge, a_round(0))
    assert "r1" not in terms(judge, a_round(0))
    assert terms(judge, a_round(3))[name].item() == pytest.approx(
        terms(objective(**{name: 1.0}), a_round(3))[name].item()
    )


@pytest.mark.parametrize(
    "remedy", [{"roth": 1.0}, {"lecam": 1.0}, {"flip": 0.1}, {"feature_matching": 1.0}, {"finite_difference": 0.1}]
)
def test_one_pass_is_refused_where_the_fakes_gradient_would_be_mixed(remedy: dict[str, float]) -> None:
    settings = build(ObjectiveSettings, {"loss": "relativistic_paired", **remedy})
    assert not OnePass.allows(settings, ViewSettings())
    assert not OnePass.allows(build(ObjectiveSettings, {"loss": "relativistic_paired"}), ViewSettings(replay=4))


@pytest.mark.parametrize("every", [1, 2])
def test_half_precision_never_reaches_a_penalty(every: int) -> None:
    """Under autocast an update with a slope penalty runs in full precision, any other one in half."""
    net, judge = critic(), objective(r1=1.0, every=every)
    with torch.autocast("cpu", torch.bfloat16):
        found = terms(judge, a_round(1), net)
        plain = terms(judge, a_round(0), net)
    exact = terms(judge, a_round(1), net)
    assert found["r1"].item() == exact["r1"].item()
    assert found["adversarial"].item() == exact["adversarial"].item()
    if every == 2:
        assert plain["adversarial"].dtype == torch.float32
        assert plain["adversarial"].item() != terms(judge, a_round(0), net)["adversarial"].item()
