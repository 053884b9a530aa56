"""Objectives: terms and their weights, lazy penalties, and one pass for both players."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganworks import GAN, losses, penalties
from ganworks.data.spec import Batch
from ganworks.errors import UsageError
from ganworks.objective import Objective, OnePass
from ganworks.round import Round, Terms
from ganworks.settings import ObjectiveSettings, ViewSettings, build

BATCH, SHAPE = 8, (2, 3, 3)


def no_data() -> Batch:
    raise AssertionError("nothing is read")


def a_round(update: int = 0) -> Round:
    round = Round(0, 100, BATCH, no_data)
    round.begin(0, "game", 0.0)
    round.begin_update("discriminator", update)
    return round


class Curved(nn.Module):
    """A critic with curvature: a penalty's gradient differs from sample to sample."""

    def __init__(self, pack: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(18 * pack, 16), nn.SiLU(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).squeeze(1)


def seeded(net: nn.Module, seed: int) -> nn.Module:
    """The same weights every time, large enough for margins far from 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.7)
    return net


def samples(seed: int) -> Tensor:
    return torch.randn(BATCH, *SHAPE, generator=torch.Generator().manual_seed(seed))


def objective(kind: type[Objective] = Objective, view: dict[str, Any] | None = None, **settings: Any) -> Objective:
    if kind is OnePass:
        return OnePass(build(ObjectiveSettings, settings), build(ViewSettings, view or {}))
    return Objective(build(ObjectiveSettings, settings), build(ViewSettings, view or {}), joint=True)


def numbers(terms: Terms) -> dict[str, float]:
    return {name: value.item() for name, value in terms.items()}


# terms


@pytest.mark.parametrize("name", losses.names())
def test_the_adversarial_terms_are_the_losses(name: str) -> None:
    critic, x, y = seeded(Curved(), 0), samples(0), samples(1)
    judged, loss = objective(loss=name), losses.get(name)
    d = judged.discriminator(critic, {"x": x}, {"x": y}, a_round())
    g = judged.generator(critic, {"x": y}, a_round(), real=lambda: {"x": x})
    assert numbers(d) == pytest.approx({"adversarial": loss.discriminator(critic(x), critic(y)).item()})
    assert numbers(g) == pytest.approx({"adversarial": loss.generator(critic(y), critic(x)).item()})


def test_penalties_are_weighted_terms_of_their_own() -> None:
    critic, x, y = seeded(Curved(), 0), samples(0), samples(1)
    terms = objective(r1=0.3, r2=0.7).discriminator(critic, {"x": x}, {"x": y}, a_round())
    a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
    assert list(terms) == ["adversarial", "r1", "r2"]
    assert terms["r1"].item() == pytest.approx(0.3 * penalties.r1(critic(a), a).item(), rel=1e-5)
    assert terms["r2"].item() == pytest.approx(0.7 * penalties.r2(critic(b), b).item(), rel=1e-5)


@pytest.mark.parametrize("name", ["r1", "r2", "gradient_penalty"])
def test_each_penalty_alone_has_the_value_it_has_in_company(name: str) -> None:
    critic, x, y = seeded(Curved(), 0), samples(0), samples(1)
    alone = objective(**{name: 2.0}).discriminator(critic, {"x": x}, {"x": y}, a_round())
    whole = objective(r1=2.0, r2=2.0, gradient_penalty=2.0).discriminator(critic, {"x": x}, {"x": y}, a_round())
    assert alone[name].item() == pytest.approx(whole[name].item(), rel=1e-5)


def test_a_weight_of_0_switches_a_term_off() -> None:
    terms = objective(r1=0, r2=0, gradient_penalty=0).discriminator(
        Curved(), {"x": samples(0)}, {"x": samples(1)}, a_round()
    )
    assert list(terms) == ["adversarial"]


def test_smoothing_reaches_the_loss() -> None:
    critic, x, y = seeded(Curved(), 0), samples(0), samples(1)
    found = objective(loss="minimax", real_target=0.9).discriminator(critic, {"x": x}, {"x": y}, a_round())
    expected = losses.get("minimax", real_target=0.9).discriminator(critic(x), critic(y))
    assert found["adversarial"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_real_samples_are_read_only_where_the_loss_compares() -> None:
    critic, y = Curved(), {"x": samples(1)}
    objective(loss="hinge").generator(critic, y, a_round(), real=no_data)
    with pytest.raises(AssertionError, match="nothing is read"):
        objective(loss="relativistic_average").generator(critic, y, a_round(), real=no_data)
    with pytest.raises(UsageError, match="gives no real samples to 'relativistic_paired'"):
        objective(loss="relativistic_paired").generator(critic, y, a_round())


@pytest.mark.parametrize("judge", [lambda: objective(), lambda: objective(gradient_penalty=1.0, r1=1.0)])
def test_joint_and_separate_passes_agree(judge: Callable[[], Objective]) -> None:
    critic, x, y = seeded(Curved(), 0), samples(0), samples(1)
    together = judge()
    apart = Objective(together.settings, together.view.settings, joint=False)
    one = together.discriminator(critic, {"x": x}, {"x": y}, a_round())
    two = apart.discriminator(critic, {"x": x}, {"x": y}, a_round())
    assert numbers(one) == pytest.approx(numbers(two), rel=1e-5)


def test_the_bound_is_kept_after_an_update() -> None:
    critic = seeded(Curved(), 0)
    objective().after(a_round(), critic)
    assert max(weight.abs().max() for weight in critic.parameters()) > 0.01
    objective(clip=0.01).after(a_round(), critic)
    assert max(weight.abs().max().item() for weight in critic.parameters()) == pytest.approx(0.01)


def test_conditions_go_to_the_critic_with_their_sample() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor, label: Tensor) -> Tensor:
        seen.append(label)
        return x.flatten(1).sum(1)

    real = {"x": samples(0), "label": torch.zeros(BATCH)}
    fake = {"x": samples(1), "label": torch.ones(BATCH)}
    objective(gradient_penalty=1.0).discriminator(critic, real, fake, a_round())
    assert seen[0].tolist() == [0.0] * BATCH + [1.0] * BATCH
    assert seen[1].tolist() == [0.0] * BATCH


# views


@pytest.mark.parametrize("side", ["real", "fake"])
def test_noise_is_on_what_the_critic_sees_of_both(side: str) -> None:
    """Noise on reals only would teach D to tell noise from none."""
    clean = {"x": torch.zeros(BATCH, *SHAPE)}
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    noisy = Objective(ObjectiveSettings(loss="relativistic_paired"), ViewSettings(noise=0.5))
    noisy.discriminator(critic, clean, clean, a_round())
    round = a_round()
    round.begin_update("generator", 0)
    noisy.generator(critic, clean, round, real=lambda: clean)
    which = 0 if side == "real" else 1
    for of_a_turn in (seen[:2], seen[2:]):
        assert of_a_turn[which].std().item() == pytest.approx(0.5, abs=0.15)


def test_a_penalty_looks_through_the_noise_of_the_loss() -> None:
    """f(x) = ½‖x‖² at zeros: without the noise in it R1 would be 0; its value is ½ E‖noise‖²."""
    clean = {"x": torch.zeros(BATCH, *SHAPE)}
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return 0.5 * x.square().flatten(1).sum(1)

    judged = Objective(ObjectiveSettings(r1=1.0, gradient_penalty=1.0), ViewSettings(noise=0.5))
    terms = judged.discriminator(critic, clean, clean, a_round())
    assert terms["r1"].item() == pytest.approx(0.5 * seen[0].square().flatten(1).sum(1).mean().item(), rel=1e-5)
    assert torch.equal(seen[0], seen[2])


def test_one_epsilon_for_each_pack() -> None:
    """CTGAN's convention. Between packs of ones and packs of zeros every number of a pack lies equally far."""
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach().flatten(1))
        return x.flatten(1).sum(1)

    packing = objective(view={"pack": 4}, gradient_penalty=1.0)
    ones, zeros = {"x": torch.ones(BATCH, *SHAPE)}, {"x": torch.zeros(BATCH, *SHAPE)}
    packing.discriminator(critic, ones, zeros, a_round())
    shares = seen[-1]
    assert shares.shape == (2, 4 * 18)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert shares[0, 0] != shares[1, 0]


# lazy penalties


def test_a_lazy_penalty_comes_every_kth_update_with_k_times_its_weight() -> None:
    critic, x, y = seeded(Curved(), 0), samples(0), samples(1)

    def terms(every: int, update: int) -> dict[str, float]:
        judged = objective(r1=0.3, r2=0.2, every=every)
        return numbers(judged.discriminator(critic, {"x": x}, {"x": y}, a_round(update)))

    plain = terms(1, 0)
    lazy = [terms(4, update) for update in range(12)]
    assert [update for update in range(12) if "r1" in lazy[update]] == [3, 7, 11]
    assert [update for update in range(12) if "r2" in lazy[update]] == [3, 7, 11]
    for name in ("r1", "r2"):
        assert sum(found.get(name, 0.0) for found in lazy) / 12 == pytest.approx(plain[name], rel=1e-5)
    assert all(found["adversarial"] == pytest.approx(plain["adversarial"]) for found in lazy)


# one pass for both players

Gradients = tuple[list[Tensor], list[Tensor], Terms]


def simultaneous(judged: Objective, dtype: torch.dtype, pack: int, update: int) -> Gradients:
    """D's and G's gradients at the same weights, and G's terms, as the engine takes them."""
    critic = seeded(Curved(pack), 0).to(dtype)
    generator = seeded(nn.Sequential(nn.Linear(4, 18), nn.Tanh(), nn.Unflatten(1, SHAPE)), 1).to(dtype)
    z = torch.randn(BATCH, 4, generator=torch.Generator().manual_seed(2)).to(dtype)
    real, fake = {"x": samples(0).to(dtype)}, {"x": generator(z)}
    round = a_round()
    round.begin_update("discriminator", update, shared=True)
    held = {"x": round.hold(fake["x"])}
    terms = judged.discriminator(critic, real, held, round)
    torch.stack(list(terms.values())).sum().backward(inputs=[*critic.parameters(), *round.kept])
    round.begin_update("generator", update, shared=True)
    terms = judged.generator(critic, fake, round, real=lambda: real)
    terms["adversarial"].backward(inputs=list(generator.parameters()))
    gradients = [[weight.grad for weight in net.parameters() if weight.grad is not None] for net in (critic, generator)]
    return gradients[0], gradients[1], terms


def distance(found: list[Tensor], expected: list[Tensor]) -> float:
    """‖found - expected‖ / ‖expected‖ over all tensors together."""
    apart = [(one - other).square().sum() for one, other in zip(found, expected, strict=True)]
    whole = [other.square().sum() for other in expected]
    return (torch.stack(apart).sum() / torch.stack(whole).sum()).sqrt().item()


@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 3e-7), (torch.float64, 1e-13)])
@pytest.mark.parametrize("pack", [1, 2])
@pytest.mark.parametrize("view", [{}, {"noise": 0.3}, {"shift": 0.4}], ids=["plain", "noise", "shift"])
@pytest.mark.parametrize(
    "wanted",
    [
        {"r1": 0.0, "r2": 0.0},
        {"r1": 1.0, "r2": 1.0},
        {"r1": 1.0, "r2": 0.0},
        {"r1": 0.0, "r2": 1.0},
        {"gradient_penalty": 1.0},
        {"r1": 1.0, "gradient_penalty": 1.0},
    ],
    ids=lambda wanted: "+".join(name for name, weight in wanted.items() if weight) or "plain",
)
@pytest.mark.parametrize("update", [0, 1], ids=["between", "due"])
def test_one_pass_equals_two(
    dtype: torch.dtype, bar: float, pack: int, view: dict[str, float], wanted: dict[str, float], update: int
) -> None:
    """D to the bit, G to rounding, on updates with a penalty and without one."""
    given = {"loss": "relativistic_paired", "every": 2, **wanted}
    seen = {"pack": pack, **view}
    one = simultaneous(objective(OnePass, seen, **given), dtype, pack, update)
    two = simultaneous(objective(Objective, seen, **given), dtype, pack, update)
    assert all(torch.equal(a, b) for a, b in zip(one[0], two[0], strict=True))
    assert distance(one[1], two[1]) <= bar
    assert one[2]["adversarial"].item() == pytest.approx(two[2]["adversarial"].item(), rel=1e-6)


def test_one_pass_is_right_for_sure_discriminators() -> None:
    """The ratio of the two pulls is -e^t: at margins of 0, ±20 and 50, in one batch, none may drown the others."""
    margins = torch.tensor([-20.0, 0.0, 20.0, 50.0], dtype=torch.float64)
    fake = torch.zeros(4, 1, dtype=torch.float64, requires_grad=True)
    round = Round(0, 1, 4, no_data)
    round.begin_update("discriminator", 0, shared=True)
    judged = objective(OnePass, loss="relativistic_paired")

    def critic(x: Tensor) -> Tensor:
        return weight * x[:, 0]

    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    terms = judged.discriminator(critic, {"x": margins[:, None]}, {"x": fake}, round)
    terms["adversarial"].backward(inputs=[weight, *round.kept])
    judged.generator(critic, {"x": fake}, round)["adversarial"].backward()
    assert fake.grad is not None
    # L_G = E sp(t) with t = x - G: its slope by G is -σ(t)/4.
    torch.testing.assert_close(fake.grad[:, 0], -torch.sigmoid(margins) / 4, rtol=1e-8, atol=0.0)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_one_pass_in_the_engine(noise: float) -> None:
    """The first round on points, at once: both players' gradients as they moved the weights."""

    def gradients(one_pass: bool) -> tuple[list[Tensor], list[Tensor]]:
        settings = {"turns.simultaneous": True, "turns.one_pass": one_pass, "view.noise": noise}
        gan = GAN("r3gan", **settings).start("ring", steps=10)
        assert isinstance(gan.system.objective, OnePass) is one_pass
        gan.round()
        nets = (gan.system.discriminator, gan.system.generator)
        d, g = ([weight.grad for weight in net.parameters() if weight.grad is not None] for net in nets)
        return d, g

    one, two = gradients(True), gradients(False)
    assert all(torch.equal(a, b) for a, b in zip(one[0], two[0], strict=True))
    assert distance(one[1], two[1]) <= 3e-7


def test_one_pass_serves_the_paired_loss_only() -> None:
    """Any loss goes with the default system; where it is another one, both players take a pass each."""
    gan = GAN("r3gan", **{"objective.loss": "hinge", "turns.simultaneous": True}).start("ring", steps=10)
    assert type(gan.system.objective) is Objective
    assert set(gan.round()) >= {"discriminator.adversarial", "generator.adversarial"}


@pytest.mark.parametrize("order", [["generator"], ["generator", "discriminator", "generator"]])
def test_a_turn_of_one_player_needs_no_turn_of_the_other(order: list[str]) -> None:
    gan = GAN("r3gan").start("ring", steps=10)
    for player in order:
        terms = gan.turn(player)
        assert terms[f"{player}.adversarial"] > 0


# names


def test_a_mistyped_loss_is_refused_before_any_data_is_opened() -> None:
    with pytest.raises(UsageError, match="E-NAME-03") as caught:
        GAN("dcgan", **{"objective.loss": "hinje"})
    assert "hinge" in str(caught.value)


def test_a_target_that_the_loss_does_not_have_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="loss 'wasserstein' has no option 'real_target'"):
        GAN("wgan_gp", **{"objective.real_target": 0.9})
