"""BiGAN: one player makes both pairs, and its encoder is not cut off; D's slope counts in z too."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments import bigan as experiment
from ganworks import data as datasets
from ganworks import losses
from ganworks.data.dataset import DataSet
from ganworks.errors import ShapeError, UsageError
from ganworks.game import owned
from ganworks.gan import GAN
from ganworks.random import generator
from ganworks.settings import build, nested
from ganworks.systems.bigan import BiGAN, Waves
from ganworks.training.average import for_sampling
from ganworks.training.engine import Engine

SMALL = {"generator.width": 8, "discriminator.width": 8, "latent.size": 4, "batch": 8}
PLAIN = {"objective.loss": "non_saturating", "objective.r1": 0.0, "objective.r2": 0.0}


def data(shape: tuple[int, ...]) -> DataSet:
    return datasets.open({"x": torch.rand(64, *shape, generator=generator(0, "bigan")) * 2 - 1})


def engine(shape: tuple[int, ...] = (2,), **settings: object) -> Engine:
    rows = data(shape)
    torch.manual_seed(1)
    given = build(BiGAN.Settings, BiGAN.suited(rows.spec), nested({**SMALL, **settings}))
    assert isinstance(given, BiGAN.Settings)
    return Engine(BiGAN(given, rows.spec), rows, seed=3, steps=10)


def turned(playing: Engine, player: str) -> BiGAN:
    """The system at the beginning of a player's update."""
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update(player, 0)
    assert isinstance(playing.system, BiGAN)
    return playing.system


def logits(system: BiGAN, playing: Engine) -> tuple[Tensor, Tensor]:
    """f(x, E(x)) and f(G(z), z) of this update."""
    x, fake = playing.round_.real["x"], system.fake(playing.round_)
    return system.discriminator(x, system.encoder(x)), system.discriminator(system.generator(fake["z"]), fake["z"])


# The losses


def test_both_losses_are_those_of_the_paper() -> None:
    playing = engine(**PLAIN)
    system = turned(playing, "discriminator")
    real, fake = logits(system, playing)
    said = system.discriminator_loss(playing.round_)
    assert said.keys() == {"adversarial"}
    assert said["adversarial"].item() == pytest.approx((F.softplus(-real) + F.softplus(fake)).mean().item(), rel=1e-6)
    system = turned(playing, "generator")
    real, fake = logits(system, playing)
    made = system.generator_loss(playing.round_)["adversarial"]
    assert made.item() == pytest.approx((F.softplus(real) + F.softplus(-fake)).mean().item(), rel=1e-6)


@pytest.mark.parametrize("loss", losses.names())
def test_every_loss_pulls_the_two_sides_to_each_other(loss: str) -> None:
    """What raises f at (x, E(x)) for D lowers it for E; what lowers f at (G(z), z) for D raises it for G."""
    playing = engine(**{**PLAIN, "objective.loss": loss})
    system = turned(playing, "generator")
    said = torch.tensor([0.3, 0.2, 0.1, 0.6]), torch.tensor([0.2, 0.1, -0.3, 0.4])
    wanted = [values.clone().requires_grad_() for values in said]
    system.objective._judge = lambda critic, real, fake: ([wanted[0]], [wanted[1]])  # type: ignore[method-assign]  # to see its logits alone
    real, fake = torch.autograd.grad(system.generator_loss(playing.round_)["adversarial"], wanted)
    assert (fake < 0).all()
    assert (real > 0).all()


def test_the_mirror_of_least_squares_is_the_exchange_of_its_labels() -> None:
    playing = engine(**{**PLAIN, "objective.loss": "least_squares"})
    system = turned(playing, "generator")
    real, fake = logits(system, playing)
    made = system.generator_loss(playing.round_)["adversarial"]
    exchanged = losses.get("least_squares").discriminator(fake, real)
    assert made.item() == pytest.approx(exchanged.item(), rel=1e-6)


# The encoder


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)], ids=["points", "images"])
@pytest.mark.parametrize("loss", ["non_saturating", "relativistic_paired", "hinge"])
def test_the_encoders_gradient_is_not_cut_and_is_right(shape: tuple[int, ...], loss: str, double_precision) -> None:
    """The classic mistake: only G fools D. Against a finite difference along E's gradient."""
    playing = engine(shape, **{**PLAIN, "objective.loss": loss})
    system = turned(playing, "generator").double()
    playing.round_._real = datasets.Batch({"x": playing.round_.real["x"].double()})
    weights = list(system.encoder.parameters())

    def value() -> Tensor:
        playing.round_.begin_update("generator", 0, shared=True)
        return system.generator_loss(playing.round_)["adversarial"]

    slopes = torch.autograd.grad(value(), weights)
    norm = math.sqrt(sum(float(slope.square().sum()) for slope in slopes))
    assert norm > 1e-4
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                weight.add_(slope / norm, alpha=sign * 1e-6)
            ends.append(float(value()))
            for weight, slope in zip(weights, slopes, strict=True):
                weight.sub_(slope / norm, alpha=sign * 1e-6)
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(norm, rel=1e-4)


def test_generator_and_encoder_are_one_player() -> None:
    playing = engine()
    mine = owned(playing.system, playing.players["generator"])
    assert {name.split(".")[0] for name in mine} == {"generator", "encoder"}
    before = playing.state()
    playing.turn("generator")
    after = playing.state()
    moved = {
        name.split("/")[1].split(".")[0]
        for name in before
        if name.startswith("system/") and not torch.equal(before[name], after[name])
    }
    assert moved == {"generator", "encoder"}


def test_a_gaussian_encoder_draws_around_its_mean() -> None:
    playing = engine(encoder="gaussian", batch=64)
    system = turned(playing, "discriminator")
    x = playing.round_.real["x"]
    mean, log_std = system.encoder(x).chunk(2, 1)
    assert torch.equal(system.encode(system.data.decode(x)), system.encoded(x))
    assert torch.equal(system.encoded(x), mean)
    error = (system.real(playing.round_)["z"] - mean) / log_std.exp()
    assert error.mean().item() == pytest.approx(0, abs=4 / 16)  # 4 standard errors of 256 numbers
    assert error.std().item() == pytest.approx(1, abs=4 / math.sqrt(512))
    playing.round_.begin_update("discriminator", 1)
    again = system.real(playing.round_)["z"] - system.encoded(playing.round_.real["x"])
    assert not torch.allclose(again, error * log_std.exp())


def test_waves_are_far_apart_where_points_are_near() -> None:
    waves = Waves(2, 4096, 20.0)
    x = torch.randn(200, 2)
    near = x + 0.04 * F.normalize(torch.randn(200, 2), dim=1)
    # E cos(b · (x - y)) over b ~ N(0, 20² I) is exp(-20² |x - y|² / 2).
    similar = (waves(x) * waves(near)).sum(1) / 2048
    assert similar.mean().item() == pytest.approx(math.exp(-(0.8**2) / 2), abs=0.01)


# Penalties


def test_r1_and_r2_take_the_slope_in_x_and_z() -> None:
    playing = engine(**{**PLAIN, "objective.r1": 2.0, "objective.r2": 3.0})
    system = turned(playing, "discriminator")
    terms = system.discriminator_loss(playing.round_)
    for name, weight, side in (("r1", 2.0, system.real), ("r2", 3.0, system.fake)):
        inputs = {key: values.detach().requires_grad_() for key, values in side(playing.round_).items()}
        slopes = torch.autograd.grad(system.discriminator(**inputs).sum(), list(inputs.values()))
        square = sum(slope.square().flatten(1).sum(1).mean() for slope in slopes)
        assert terms[name].item() == pytest.approx(weight / 2 * float(square), rel=1e-5)
        assert float(slopes[1].abs().sum()) > 0


def test_finite_differences_step_in_x_and_z() -> None:
    """On a linear D their mean over many draws is the squared slope in both."""
    playing = engine(
        **{**PLAIN, "objective.r1": 2.0, "objective.finite_difference": 0.1, "batch": 64, "latent.size": 2}
    )
    system = turned(playing, "discriminator")
    slope = {"x": torch.tensor([1.0, -2.0]), "z": torch.tensor([3.0, 0.5])}
    system.discriminator.forward = lambda x, z: x @ slope["x"] + z @ slope["z"]  # type: ignore[method-assign]  # a D whose slope is known
    values = []
    for update in range(60):
        playing.round_.begin_update("discriminator", update, shared=True)
        values.append(system.discriminator_loss(playing.round_)["r1"].item())
    assert sum(values) / 60 == pytest.approx(1 + 4 + 9 + 0.25, rel=0.1)  # 4 standard errors of 3,840 draws


def test_packs_of_pairs() -> None:
    playing = engine(**{"view.pack": 2})
    assert all(math.isfinite(float(value)) for value in playing.round().values())
    assert turned(playing, "discriminator").discriminator.head.in_features == 8


# Use


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)], ids=["points", "images"])
def test_codes_and_samples_are_those_of_the_averages(shape: tuple[int, ...]) -> None:
    playing = engine(shape)
    for _ in range(3):
        playing.round()
    still = for_sampling(playing.system, playing.average, 0)
    assert isinstance(still, BiGAN)
    x = playing._data.rows(torch.arange(20))["x"]
    averaged = playing.average.networks
    assert torch.equal(still.encode(x), averaged["encoder"](still.data.encode(x)))
    assert not torch.equal(still.encode(x), playing.system.encoder(still.data.encode(x)))
    z = still.encode(x)
    assert torch.equal(still.decode(z), still.data.decode(averaged["generator"](z)))


def test_a_gan_encodes_and_decodes_and_others_say_that_they_do_not() -> None:
    gan = GAN("bigan", **{"latent.size": 3}).start("ring", steps=1)
    z = gan.encode(torch.zeros(5, 2))
    assert z.shape == (5, 3)
    assert gan.decode(z).shape == (5, 2)
    with pytest.raises(ShapeError, match=r"decode needs latents \(N, 3\)"):
        gan.decode(torch.zeros(5, 2))
    with pytest.raises(UsageError, match=r"E-SET-02.*gan has no encoder"):
        GAN("gan").start("ring", steps=1).encode(torch.zeros(5, 2))


def test_256_pixels_by_settings_alone() -> None:
    playing = engine((3, 256, 256), batch=2)
    assert all(math.isfinite(float(value)) for value in playing.round().values())
    assert for_sampling(playing.system, playing.average, 0).generate(2, playing.round_.random)["x"].shape[1:] == (
        3,
        256,
        256,
    )


# The experiment's tests


def test_the_p_value_is_kolmogorovs() -> None:
    """The classic 5 % and 1 % points of the limit, 1.3581 and 1.6276."""
    assert experiment.kolmogorov(1.3581e-4, 10**8) == pytest.approx(0.05, abs=1e-4)
    assert experiment.kolmogorov(1.6276e-4, 10**8) == pytest.approx(0.01, abs=1e-4)
    assert experiment.kolmogorov(0.0, 100) == 1.0
    uniform = torch.arange(2000) / 2000 + 1 / 4000
    assert experiment.ks(uniform, lambda x: x) == 1.0  # the distance is 1/4000
    assert experiment.ks(uniform + 0.04, lambda x: x.clamp(0, 1)) == pytest.approx(
        experiment.kolmogorov(0.04025, 2000), rel=1e-4
    )


def test_p_values_of_true_hypotheses_are_uniform() -> None:
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(400, 2000, 2, generator=draw)
    p = torch.tensor([experiment.ks(each.norm(dim=1), experiment.rayleigh) for each in z])
    for level in (0.1, 0.5, 0.9):
        share = (p <= level).double().mean().item()
        assert share == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 400))


def test_the_tests_tell_what_an_encoder_does_wrong() -> None:
    x, means = experiment.fresh(0)
    z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
    assert experiment.judged(x, z, means)["normal"]
    line = z[:, :1] * torch.tensor([1.0, 1.0])  # both coordinates are normal, and the same
    for wrong in (0.9 * z, z + 0.1, line, z.round()):
        assert not experiment.judged(x, wrong, means)["normal"]
    assert experiment.judged(x, z, means)["right"] > 0.97
    assert experiment.judged(-x, z, means)["right"] == 0
