"""The classic silent mistakes of GAN code, one by one: each check is shown to fail on the mistake itself.

A test is a pair: the check holds for our code, and no longer once the mistake has been put in.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganworks import GAN, penalties, systems
from ganworks import data as datasets
from ganworks.data.spec import Batch
from ganworks.game import System, Turn
from ganworks.metrics import mode_coverage
from ganworks.networks import mlp
from ganworks.objective import Objective
from ganworks.round import Round, Terms
from ganworks.settings import ObjectiveSettings, ViewSettings, build, nested
from ganworks.theory import Mixture, Normal, ring
from ganworks.training import average
from ganworks.training.average import Average, for_sampling
from ganworks.training.engine import Engine
from ganworks.training.optimizers import Mover

PENALTIES = ("r1", "r2", "gradient_penalty", "dragan")


def no_data() -> Batch:
    raise AssertionError("nothing is read")


def d_terms(critic: nn.Module, shape: tuple[int, ...] = (1, 1, 2), batch: int = 4, **wanted: Any) -> Terms:
    """D's terms on fixed samples, on its first update."""
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(batch, *shape, generator=generator), torch.randn(batch, *shape, generator=generator)
    round = Round(0, 100, batch, no_data)
    round.begin_update("discriminator", wanted.pop("update", 0))
    judged = Objective(build(ObjectiveSettings, wanted), ViewSettings())
    return judged.discriminator(critic, {"x": real}, {"x": fake}, round)


class Linear(nn.Module):
    """f(x) = 3 x₁ + 4 x₂."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * torch.tensor([3.0, 4.0])).sum(dim=(1, 2, 3))


# 1. A penalty that is computed and not differentiated


def moves_d(name: str) -> bool:
    """Whether D's gradient at weight 10 differs from that at weight 0."""
    torch.manual_seed(0)
    critic = mlp.Discriminator((1, 1, 2), width=8, depth=1, activation=nn.Tanh)

    def gradient(weight: float) -> Tensor:
        total = torch.stack(list(d_terms(critic, **{name: weight}).values())).sum()
        found = torch.autograd.grad(total, list(critic.parameters()), allow_unused=True)
        return torch.cat([g.flatten() for g in found if g is not None])

    return not torch.allclose(gradient(0.0), gradient(10.0))


def first_order_only(whole: Callable[..., Any]) -> Callable[..., Any]:
    """`autograd.grad` of somebody who forgets `create_graph`."""

    def grad(*args: Any, create_graph: bool = False, **kwargs: Any) -> Any:
        return whole(*args, **kwargs, **({"retain_graph": True} if create_graph else {}))

    return grad


@pytest.mark.parametrize("name", PENALTIES)
def test_pitfall_1_penalties_are_differentiated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert moves_d(name)
    monkeypatch.setattr(torch.autograd, "grad", first_order_only(torch.autograd.grad))
    assert not moves_d(name)


# 2. Norms over the wrong axes, and the gradient of a mean


def sizes_are_right() -> bool:
    """‖∇f‖ = 5 for every sample, whatever the batch: R1 = R2 = 12.5, the two others 16; 10 for two such patches."""

    class Patches(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[:, None].expand(-1, 2)

    expected = {"r1": 12.5, "r2": 12.5, "gradient_penalty": 16.0, "dragan": 16.0}
    found = [d_terms(Linear(), batch=batch, **dict.fromkeys(PENALTIES, 1.0)) for batch in (1, 4, 32)]
    patches = d_terms(Patches(), r1=1.0)["r1"].item()
    return patches == pytest.approx(50.0) and all(
        terms[name].item() == pytest.approx(expected[name], rel=1e-5) for terms in found for name in PENALTIES
    )


def pixel_by_pixel(gradients: list[Tensor]) -> Tensor:
    """`gradients.norm(2, dim=1)` on pictures that were not flattened."""
    return torch.stack([gradient.norm(2, dim=1).square().flatten(1).mean(1) for gradient in gradients]).sum(0)


def of_the_mean(whole: Callable[..., Any]) -> Callable[..., Any]:
    """`autograd.grad(logits.mean(), x)`: too small by the size of the batch."""

    def grad(outputs: Any, inputs: Any, **kwargs: Any) -> Any:
        return tuple(found / len(found) for found in whole(outputs, inputs, **kwargs))

    return grad


@pytest.mark.parametrize("mistake", ["pixel by pixel", "of the mean"])
def test_pitfall_2_norms_are_of_whole_samples(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes_are_right()
    if mistake == "pixel by pixel":
        monkeypatch.setattr(penalties, "squared_norms", pixel_by_pixel)
    else:
        monkeypatch.setattr(torch.autograd, "grad", of_the_mean(torch.autograd.grad))
    assert not sizes_are_right()


# 3. R1's ½, and lazy penalties


def strength_is_right() -> bool:
    """Weight 1 means ½E‖∇f‖²; over sixteen updates a lazy penalty weighs as much as one on every update."""

    def total(every: int) -> float:
        rounds = [d_terms(Linear(), r1=1.0, every=every, update=update) for update in range(16)]
        return sum(terms["r1"].item() for terms in rounds if "r1" in terms)

    return total(1) == pytest.approx(16 * 12.5) and total(16) == pytest.approx(total(1))


def without_half(gradients: list[Tensor]) -> Tensor:
    return penalties.squared_norms(gradients).mean()


def without_making_up(self: Objective, round: Round) -> dict[str, float]:
    return {} if (round.update + 1) % self.settings.every else {"r1": self.settings.r1}


@pytest.mark.parametrize("mistake", ["without the half", "without making up"])
def test_pitfall_3_the_strength_of_r1(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert strength_is_right()
    if mistake == "without the half":
        monkeypatch.setattr(penalties, "half_mean_square", without_half)
    else:
        monkeypatch.setattr(Objective, "_slopes_due", without_making_up)
    assert not strength_is_right()


def lazy_step_is_plain() -> bool:
    """On an update with a lazy penalty SGD moves D by lr · gradient, lr as it was set, and Adam's β are as set."""
    lazy = {"objective.r1": 1.0, "objective.every": 16, "discriminator.lr": 0.25, "discriminator.optimizer": "sgd"}
    gan = GAN("gan", **lazy).start("ring", steps=10)
    weight = next(gan.system.discriminator.parameters())
    moved = []
    for _ in range(16):
        before = weight.detach().clone()
        terms = gan.turn("discriminator")
        assert weight.grad is not None
        moved.append(torch.allclose(before - weight, 0.25 * weight.grad, atol=1e-6))
    assert "discriminator.r1" in terms
    adam = Engine(gan.system, datasets.open("ring"), seed=0, steps=10).movers["generator"].optimizer
    return all(moved) and adam.param_groups[0]["betas"] == gan.system.settings.generator.betas


def with_another_rate(self: Mover, lr: float, *betas: Any) -> None:
    """StyleGAN2's, for an optimizer step of the penalty's own."""
    for group in self.optimizer.param_groups:
        group["lr"] = lr * 16 / 17
    self.optimizer.step()


def test_pitfall_3_lazy_penalties_leave_the_optimizer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lazy_step_is_plain()
    monkeypatch.setattr(Mover, "step", with_another_rate)
    assert not lazy_step_is_plain()


# 4. Modes that are not where they are said to be


def ring_is_whole(density: Mixture) -> bool:
    """Eight modes on a circle of radius 2, 4 sin(π/8) apart, std 0.02."""
    means = density.means
    apart = (torch.cdist(means, means) + 9 * torch.eye(len(means))).amin(1)
    return (
        apart.tolist() == pytest.approx([4 * math.sin(math.pi / 8)] * 8)
        and means.norm(dim=1).tolist() == pytest.approx([2.0] * 8)
        and density.stds.tolist() == [0.02] * 8
    )


def on_a_circle(angles: Tensor, radius: float = 2.0, std: float = 0.02) -> Mixture:
    return Mixture([Normal([radius * a.cos().item(), radius * a.sin().item()], std) for a in angles], [1] * len(angles))


def test_pitfall_4_the_ring_has_eight_modes() -> None:
    assert ring_is_whole(ring())
    turn = 2 * math.pi * torch.arange(8) / 8
    assert ring_is_whole(on_a_circle(turn))
    assert not ring_is_whole(on_a_circle(torch.linspace(0, 2 * math.pi, 8)))  # first and last are one
    assert not ring_is_whole(on_a_circle(turn, radius=1.0, std=0.01))  # PacGAN's


# 5. Coverage by the count of modes alone


def looks_perfect(points: Tensor) -> bool:
    """All four numbers as 2,500 fair draws give them: KL near (K - 1) / 2n, high quality near 98.9 % and not above."""
    found = mode_coverage(points, ring())
    return (
        found.modes == 8
        and 0.98 < found.high_quality < 0.996
        and found.reverse_kl < 3 * 7 / 5000
        and found.std_ratio == pytest.approx(1.0, abs=0.05)
    )


def test_pitfall_5_eight_modes_are_not_enough() -> None:
    generator = torch.Generator().manual_seed(0)
    fair = ring().sample(2500, generator)
    assert looks_perfect(fair)
    lopsided = torch.cat([ring().means[:1].repeat(2400, 1), ring().means.repeat(13, 1)[:100]])
    lopsided = lopsided + 0.02 * torch.randn(2500, 2, generator=generator)
    shrunken = ring().means.repeat(313, 1)[:2500] + 0.005 * torch.randn(2500, 2, generator=generator)
    for points, flaw in ((lopsided, "reverse_kl"), (shrunken, "std_ratio")):
        assert mode_coverage(points, ring()).modes == 8
        assert not looks_perfect(points), flaw
    assert mode_coverage(shrunken, ring()).high_quality > 0.989  # more than real data have, and no merit


# 6. Batch norm


def pictures(count: int = 64) -> Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def system(name: str = "dcgan", **given: Any) -> System:
    """A small system for 16 px."""
    made, spec = systems.get(name), datasets.open({"x": pictures(), "label": torch.arange(64) % 4}).spec
    small = {"generator.width": 8, "discriminator.width": 8, "batch": 8, **given}
    torch.manual_seed(0)
    return made(build(made.Settings, made.suited(spec), nested(small)), spec)


def reals_are_judged_alone(playing: System) -> bool:
    """D's logits of real pictures do not depend on the fakes beside them."""

    def logits(fake: Tensor) -> Tensor:
        round = Round(0, 100, 8, no_data)
        round.begin_update("discriminator", 0)
        playing.objective.discriminator(playing.discriminator, {"x": pictures(8)}, {"x": fake}, round)
        found: Tensor = round.notes["logits"][0]
        return found

    return torch.equal(logits(torch.zeros(8, 1, 16, 16)), logits(torch.ones(8, 1, 16, 16)))


def test_pitfall_6_real_and_fake_do_not_share_batch_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    playing = system()
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in playing.discriminator.modules())
    assert reals_are_judged_alone(playing)
    monkeypatch.setattr(playing.objective, "joint", True)
    assert not reals_are_judged_alone(playing)


def slopes_stay_at_home(playing: System) -> bool:
    """A sample's logit has no slope by another sample: what a penalty on each sample's slope takes for granted."""
    x = pictures(8).requires_grad_()
    others = {name: one.new_zeros(8, *one.shape) for name, one in playing.row().items() if name != "x"}
    playing.discriminator.train()(x=x, **others)[0].sum().backward()  # some judge at several levels
    assert x.grad is not None
    return bool((x.grad[0] != 0).any()) and not bool(x.grad[1:].any())


PENALISED = [
    (name, penalty)
    for name in systems.names()
    if "images" in systems.get(name).accepts and "discriminator" in systems.get(name).Settings.model_fields
    for penalty in (*PENALTIES, "roth")
]


# D hears how much the samples of a group differ, penalised or not, because the paper wants it; nothing else ties them.
ALONE: dict[str, dict[str, Any]] = {"progressive": {"group": 1}, "stylegan2": {"group": 1}}


@pytest.mark.parametrize(("name", "penalty"), PENALISED)
def test_pitfall_6_a_penalised_critic_has_no_batch_norm(name: str, penalty: str) -> None:
    # Wide enough that no sample meets dead units only.
    settings = {f"objective.{penalty}": 1.0, "discriminator.width": 32} | ALONE.get(name, {})
    assert slopes_stay_at_home(system(name, **settings))


def test_pitfall_6_batch_norm_in_a_critic_would_be_noticed() -> None:
    assert not slopes_stay_at_home(system("dcgan"))


def samples_are_independent(playing: System) -> bool:
    """As it is used for sampling, a picture does not depend on the latents of the others."""
    still = for_sampling(playing, Average(playing, playing.settings.average), 0)
    z = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
    other = torch.cat([z[:1], 5 * z[1:]])
    with torch.no_grad():
        return torch.equal(still.generator(z)[0], still.generator(other)[0])


def test_pitfall_6_batch_statistics_are_fixed_at_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    playing = system().train()
    assert samples_are_independent(playing)
    monkeypatch.setattr(average, "_copy", lambda network: average.copy.deepcopy(network).requires_grad_(False).train())
    monkeypatch.setattr(average, "_measure_statistics", lambda system, seed: None)
    assert not samples_are_independent(playing)


def statistics_fit_the_average() -> bool:
    """The first layer is linear and z ~ N(0, I): the variance of a channel is the mean of its rows' squared norms."""
    playing = system().train()
    kept = Average(playing, playing.settings.average)
    with torch.no_grad():
        playing.generator.project.weight.mul_(3.0)  # training has moved on, the average is still where it was
        for _ in range(100):
            playing.generator(torch.randn(32, 100))
    still = for_sampling(playing, kept, 0)
    rows = still.generator.project.weight.square().sum(1).view(-1, 16)
    variances = still.generator.first[0].running_var
    return bool(torch.allclose(variances, rows.mean(1), rtol=0.25))


def test_pitfall_6_averaged_weights_have_statistics_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert statistics_fit_the_average()
    monkeypatch.setattr(average, "_measure_statistics", lambda system, seed: None)
    assert not statistics_fit_the_average()


# 8. Gradients that land on the other player, or stay from another turn

GAMES = ["gan", "wgan_gp", "r3gan"]


def gradients(network: nn.Module) -> Tensor:
    """All of a network's gradients in one vector, copied."""
    return torch.cat([torch.zeros(w.numel()) if w.grad is None else w.grad.flatten() for w in network.parameters()])


def weights(network: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def careless(self: Engine, player: Any, turn: Turn, *, retain: bool = False) -> Terms:
    """A plain loop's backward: to all weights, and nothing zeroed before."""
    terms = player.loss(self.round_)
    torch.stack(list(terms.values())).sum().backward(retain_graph=retain)
    return terms


def other_is_left_alone(name: str, player: str) -> bool:
    """A player's turn changes neither the other's weights nor its gradients."""
    gan = GAN(name).start("ring", steps=10)
    other = gan.system.generator if player == "discriminator" else gan.system.discriminator
    before = (weights(other), gradients(other))
    gan.turn(player)
    return torch.equal(weights(other), before[0]) and torch.equal(gradients(other), before[1])


@pytest.mark.parametrize("name", GAMES)
def test_pitfall_8_the_discriminator_gets_nothing_in_the_generators_turn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other_is_left_alone(name, "generator")
    monkeypatch.setattr(Engine, "_backward", careless)
    assert not other_is_left_alone(name, "generator")


@pytest.mark.parametrize("name", ["gan", "wgan_gp"])
def test_pitfall_8_the_generator_gets_nothing_in_the_discriminators_turn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two belts: the fakes are held constant, and the backward names the player's own weights."""
    assert other_is_left_alone(name, "discriminator")
    monkeypatch.setattr(Round, "hold", lambda self, tensor: tensor)
    assert other_is_left_alone(name, "discriminator")
    monkeypatch.setattr(Engine, "_backward", careless)
    assert not other_is_left_alone(name, "discriminator")
    monkeypatch.undo()
    monkeypatch.setattr(Engine, "_backward", careless)
    assert other_is_left_alone(name, "discriminator")


def leftovers_do_not_count(name: str, player: str) -> bool:
    """What other turns may have left in the gradients changes nothing about a turn."""
    clean, littered = (GAN(name).start("ring", steps=10) for _ in range(2))
    for weight in littered.system.parameters():
        if weight.grad is not None:
            weight.grad.fill_(1.0)
    for gan in (clean, littered):
        gan.turn(player)
    return all(
        torch.equal(look(getattr(clean.system, player)), look(getattr(littered.system, player)))
        for look in (weights, gradients)
    )


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", GAMES)
def test_pitfall_8_gradients_start_from_zero(name: str, player: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert leftovers_do_not_count(name, player)
    monkeypatch.setattr(Engine, "_backward", careless)
    assert not leftovers_do_not_count(name, player)


# 9. Simultaneous and alternating turns


def sees_the_old_discriminator(**given: Any) -> bool:
    """Whether G's first loss does not depend on how far D's first update has gone."""
    found = set()
    for lr in (1e-6, 0.5):
        gan = GAN("gan", **{"discriminator.lr": lr, **given}).start("ring", steps=10)
        found.add(gan.round()["generator.adversarial"])
    return len(found) == 1


def test_pitfall_9_simultaneous_and_alternating_are_two_games() -> None:
    assert sees_the_old_discriminator(**{"turns.simultaneous": True})
    assert not sees_the_old_discriminator(**{"turns.simultaneous": False})
