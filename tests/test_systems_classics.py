"""What the classic systems add to the standard game, each against its paper."""

import pytest
import torch
from house import SMALL, data, engine
from torch import Tensor, nn

import ganworks
from ganworks import losses, systems
from ganworks.errors import UsageError
from ganworks.settings import build
from ganworks.training.lookahead import loss_after


def defaults(name: str):
    return systems.get(name).Settings()


def test_published_numbers() -> None:
    """Each from its paper: see the head of the system's file."""
    lsgan, wgan, sngan, unrolled = (defaults(name) for name in ("lsgan", "wgan", "sngan", "unrolled"))
    assert (lsgan.objective.loss, lsgan.generator.lr, lsgan.generator.betas[0]) == ("least_squares", 1e-3, 0.5)
    assert (wgan.discriminator.optimizer, wgan.discriminator.lr, wgan.objective.clip) == ("rmsprop", 5e-5, 0.01)
    assert (wgan.batch, wgan.turns.discriminator, wgan.turns.eager) == (64, 5, 100)
    assert (sngan.objective.loss, sngan.turns.discriminator, sngan.discriminator.betas) == ("hinge", 5, (0.0, 0.9))
    assert sngan.discriminator.spectral_norm
    assert not sngan.generator.spectral_norm
    assert (unrolled.latent.size, unrolled.objective.loss) == (256, "minimax")


def updates_of_the_critic(**settings: object) -> list[int]:
    """How many it made in each of the first rounds."""
    playing = engine("wgan", "points", **settings)
    counts, before = [], 0
    for _ in range(28):
        playing.round()
        counts.append(playing.updates["discriminator"] - before)
        before = playing.updates["discriminator"]
    return counts


def test_the_critic_is_eager_in_the_first_25_rounds_and_in_every_500th() -> None:
    assert updates_of_the_critic(**{"turns.eager": 7, "turns.discriminator": 2}) == [7] * 25 + [2] * 3
    playing = engine("wgan", "points", **{"turns.eager": 7, "turns.discriminator": 2})
    made = {}
    for step in (499, 500, 501, 1000):
        playing.step, before = step, playing.updates["discriminator"]
        playing.round()
        made[step] = playing.updates["discriminator"] - before
    assert made == {499: 2, 500: 7, 501: 2, 1000: 7}


def test_a_resume_in_the_middle_of_the_first_rounds_is_as_eager() -> None:
    playing = engine("wgan", "points", **{"turns.eager": 7})
    for _ in range(24):
        playing.round()
    again = engine("wgan", "points", **{"turns.eager": 7})
    again.load(playing.state())
    for each in (playing, again):
        each.round()
        each.round()
    assert all(torch.equal(a, b) for a, b in zip(playing.state().values(), again.state().values(), strict=True))


def test_the_critics_weights_lie_within_the_bound_from_the_start() -> None:
    playing = engine("wgan", "images", **{"objective.clip": 0.01})
    for _ in range(2):
        largest = max(weight.abs().max().item() for weight in playing.system.discriminator.parameters())
        assert largest <= 0.01
        playing.round()


@pytest.mark.parametrize("kind", ["points", "images"])
def test_every_layer_of_d_has_a_largest_singular_value_of_one(kind: str) -> None:
    """After 50 training forwards. While weights move, one iteration a forward lags behind them by a per cent or so."""
    playing = engine("sngan", kind)
    playing.round()
    for _ in range(50):
        playing.system.discriminator(data(kind).columns["x"][:8])
    layers = [each for each in playing.system.discriminator.modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    assert len(layers) >= 3
    for layer in layers:
        sigma = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0].item()
        assert sigma == pytest.approx(1.0, rel=1e-3)


def test_evaluation_moves_no_singular_vector() -> None:
    playing = engine("sngan", "points")
    playing.round()
    before = {name: buffer.clone() for name, buffer in playing.system.named_buffers()}
    playing.system.eval()
    playing.system.discriminator(torch.randn(5, 2))
    assert before
    assert all(torch.equal(before[name], buffer) for name, buffer in playing.system.named_buffers())


def test_a_magnified_view_is_a_steeper_discriminator() -> None:
    """By the chain rule: D(g x) has g times the slope of D at g x."""
    plain, magnified = (engine("sngan", "points", gain=gain).system.discriminator for gain in (1.0, 5.0))
    magnified.load_state_dict(plain.state_dict())
    x = torch.randn(6, 2)

    def slope(net: nn.Module, at: Tensor) -> Tensor:
        points = at.clone().requires_grad_()
        return torch.autograd.grad(net(points).sum(), points)[0]

    for network in (plain, magnified):
        network.eval()
    assert torch.allclose(slope(magnified, x), 5 * slope(plain, 5 * x), atol=1e-6)


def test_an_unrolled_generator_minimises_all_of_what_d_maximises() -> None:
    """Looking ahead, D's answer to real samples depends on G: leaving it out changes G's gradient."""
    torch.set_default_dtype(torch.float64)
    try:
        playing = engine("unrolled", "points", **{"discriminator.optimizer": "sgd", "discriminator.lr": 0.5})
        system, (d, g) = playing.system, playing.system.players()

        def gradient(steps: int) -> Tensor:
            playing.round_.begin(0, "game", 0.0)
            playing.round_.begin_update("generator", 0)
            playing.reads = 0
            terms = loss_after(system, g, d, playing.round_, steps, 0) if steps else g.loss(playing.round_)
            return torch.autograd.grad(terms["adversarial"], system.generator.head.weight)[0]

        def with_the_saturating_loss_on_fakes(steps: int) -> Tensor:
            ours = system.objective.generator
            system.objective.generator = lambda critic, fake, round, real=None: {
                "adversarial": losses.get("minimax").generator(critic(**fake))
            }
            try:
                return gradient(steps)
            finally:
                system.objective.generator = ours

        assert torch.allclose(gradient(0), with_the_saturating_loss_on_fakes(0), atol=1e-12)
        whole, half = gradient(3), with_the_saturating_loss_on_fakes(3)
        assert (whole - half).norm() > 1e-2 * whole.norm()
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", ["gan", "lsgan", "wgan_gp", "sngan", "unrolled", "r3gan"])
def test_a_look_ahead_of_no_step_is_the_plain_step(name: str) -> None:
    """K = 0 is the plain turn itself, to the last bit."""
    states = []
    for unroll in ({"turns.unroll": 0}, {}):
        playing = engine(name, "points", **({"turns.simultaneous": False} | unroll))
        if not unroll and name == "unrolled":
            made = systems.get(name)
            assert build(made.Settings, made.suited(data("points").spec)).turns.unroll == 5
            continue
        playing.round()
        states.append(playing.state())
    assert all(torch.equal(states[0][key], state[key]) for state in states[1:] for key in state)


def test_epochs_are_so_many_updates_as_the_data_has_batches() -> None:
    playing = engine("gan", "points", **{"turns.unit": "epochs", "turns.generator": 2})
    playing.round()
    assert playing.updates == {"discriminator": 64 // SMALL["batch"], "generator": 2 * 64 // SMALL["batch"]}
    assert playing.step == 1
    with pytest.raises(UsageError, match="simultaneous"):
        ganworks.GAN("gan", **{"turns.unit": "epochs", "turns.simultaneous": True})


@pytest.mark.parametrize("name", ["lsgan", "dcgan"])
def test_a_penalised_d_has_no_batch_norm(name: str) -> None:
    for penalty in ("r1", "r2", "gradient_penalty", "dragan", "roth"):
        system = engine(name, "images", **{f"objective.{penalty}": 1.0}).system
        assert not any(isinstance(each, nn.BatchNorm2d) for each in system.discriminator.modules())
    assert any(isinstance(each, nn.BatchNorm2d) for each in engine(name, "images").system.discriminator.modules())
