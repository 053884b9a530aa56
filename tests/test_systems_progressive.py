"""`progressive`: growing changes nothing at α = 0 and is whole at α = 1, for G's pictures, for real ones and in D."""

import pytest
import torch
from house import STEPS, differing, engine, played
from torch import nn

from ganworks import GAN, systems
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import UsageError
from ganworks.networks import progressive
from ganworks.networks.equalized import EqualConv2d
from ganworks.networks.progressive import Discriminator, DownConvolution, Generator, UpConvolution, down, up, widths
from ganworks.settings import build, nested
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine

SHAPE = (3, 28, 28)
TOP = 2
each_fade = pytest.mark.parametrize("level", [1, 2])


def generator(level: int = 0, alpha: float = 1.0) -> Generator:
    torch.manual_seed(0)
    network = Generator(6, [16, 8, 4], SHAPE, 0)
    network.growth.reach(level, alpha)
    return network


def discriminator(level: int = 0, alpha: float = 1.0) -> Discriminator:
    torch.manual_seed(1)
    network = Discriminator([16, 8, 4], SHAPE, 0, 4)
    network.growth.reach(level, alpha)
    return network


def pictures(level: int) -> torch.Tensor:
    torch.manual_seed(2)
    return torch.rand(8, 3, 7 << level, 7 << level) * 2 - 1


# Fades


@each_fade
def test_a_new_level_begins_as_the_enlarged_picture_of_the_one_below(level):
    z = torch.randn(5, 6)
    assert torch.allclose(generator(level, 0.0)(z), up(generator(level - 1)(z)), atol=1e-6, rtol=0)


@each_fade
def test_a_new_level_is_whole_at_the_end_of_its_fade(level):
    z = torch.randn(5, 6)
    last, whole = generator(level, 1 - 1e-6)(z), generator(level)(z)
    assert torch.allclose(last, whole, atol=1e-5, rtol=0)
    half = generator(level, 0.5)(z)
    assert torch.allclose(half, (up(generator(level - 1)(z)) + whole) / 2, atol=1e-6, rtol=0)


@each_fade
def test_d_does_not_see_a_new_level_at_first_and_all_of_it_in_the_end(level):
    x = pictures(level)
    assert torch.allclose(discriminator(level, 0.0)(x), discriminator(level - 1)(down(x)), atol=1e-5, rtol=0)
    assert torch.allclose(discriminator(level, 1 - 1e-6)(x), discriminator(level)(x), atol=1e-5, rtol=0)
    assert (discriminator(level, 0.5)(x) - discriminator(level)(x)).abs().max() > 1e-3


@each_fade
def test_real_pictures_are_faded_like_those_of_g(level):
    x = pictures(TOP)
    growth = generator(level, 0.0).growth
    assert torch.allclose(growth.faded(x), up(down(x, 2 ** (TOP - level + 1))), atol=1e-6, rtol=0)
    growth.reach(level, 0.25)
    small = down(x, 2 ** (TOP - level))
    assert torch.allclose(growth.faded(x), 0.75 * up(down(small)) + 0.25 * small, atol=1e-6, rtol=0)
    growth.reach(level, 1.0)
    assert torch.equal(growth.faded(x), small)


def test_whole_pictures_are_shrunk_for_d():
    x = pictures(TOP)
    for level in range(TOP + 1):
        assert torch.equal(discriminator(level)(x), discriminator(level)(down(x, 2 ** (TOP - level))))
        assert discriminator(level).features(x).shape == (8, 16)


# Networks


def test_scaled_convolutions_are_scaling_and_a_convolution():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 8)
    for made, plain in (
        (UpConvolution, lambda layer: EqualConv2d.forward(layer, up(x))),
        (DownConvolution, lambda layer: down(EqualConv2d.forward(layer, x))),
    ):
        layer = made(3, 5, 3)
        nn.init.normal_(layer.bias)
        assert torch.allclose(layer(x), plain(layer), atol=1e-5)


def test_the_networks_of_table_2():
    """1024 px: 512 channels up to 32 px, then half of them at each level; 23.1 million weights in either network."""
    channels = widths((3, 1024, 1024), 512, 16_384)
    assert channels == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    with torch.device("meta"):
        networks = Generator(512, channels, (3, 1024, 1024), 8), Discriminator(channels, (3, 1024, 1024), 8, 4)
    counts = [sum(weight.numel() for weight in network.parameters()) for network in networks]
    # Table 2: 23.1 M each; both also have the ways out of, or into, the smaller levels.
    assert [round(count / 1e6, 1) for count in counts] == [23.1, 23.1]


def test_blocks_above_the_level_are_not_computed():
    network = generator(1)
    seen = []
    for at, block in enumerate(network.blocks):
        block.register_forward_hook(lambda *_, at=at: seen.append(at))
    assert network(torch.randn(2, 6)).shape == (2, 3, 14, 14)
    assert seen == [0]


def test_d_knows_a_generator_that_repeats_itself():
    """Two samples at a time lie in groups of four: only a D that looks at the group can tell."""
    network, x = discriminator(), pictures(0)
    same = x[:1].expand(8, -1, -1, -1)
    alone = Discriminator([16, 8, 4], SHAPE, 0, 1)
    alone.load_state_dict(network.state_dict())
    assert (network(x)[:1] - network(same)[:1]).abs() > 1e-2
    assert torch.allclose(alone(x)[:1], alone(same)[:1], atol=1e-5)


# The game


def playing(**settings) -> Engine:
    return engine("progressive", "images", **settings)


def test_phases_alternate_between_fading_and_staying():
    phases = playing(growing=0.6).system.phases()
    assert [phase.name for phase in phases] == ["level 0", "fade 1", "level 1", "fade 2", "level 2"]
    assert [phase.share for phase in phases] == [pytest.approx(0.15)] * 4 + [None]
    assert [bool(phase.fresh) for phase in phases] == [False, True, True, True, True]
    assert [phase.name for phase in playing(growing=0.0).system.phases()] == ["game"]


def test_level_and_alpha_follow_the_step():
    game, reached = playing(), []
    for _ in range(STEPS):
        game.round()
        assert game.system.generator.growth.now == game.system.discriminator.growth.now
        reached.append(game.system.generator.growth.now)
    assert reached == [(0, 1.0), (0, 1.0), (1, 0.0), (1, 0.5), (1, 1.0), (2, 0.0), (2, 0.5)]


def test_adam_starts_anew_in_every_phase():
    game, counts = playing(), []
    for _ in range(STEPS):
        game.round()
        counts.append(int(game.state()["optimizer/discriminator/step"]))
    assert counts == [1, 2, 1, 2, 1, 1, 2]


@pytest.mark.parametrize("cut", [2, 4, 6])
def test_resumes_at_boundaries_and_in_both_fades(cut):
    """The house test cuts at 1, 3 and 5."""
    assert differing(played("progressive", "images"), played("progressive", "images", cut)) == []


def test_samples_have_one_size_and_keep_the_level_of_a_saved_state():
    game = playing()
    for _ in range(4):
        game.round()
    still = for_sampling(game.system, game.average, 0)
    x = sample(still, 5, 0)["x"]
    assert x.shape == (5, 1, 16, 16)
    assert x.abs().max() <= 1
    assert torch.equal(x, up(down(x)).clamp(-1, 1))  # level 1 of 2, enlarged
    saved = game.state()
    assert saved["system/generator.growth.level"] == 1
    assert saved["system/generator.growth.alpha"] == 0.5


def test_the_terms_of_d_are_those_of_the_paper():
    """E f(G) - E f(x) + 10 E (‖∇f(x̂)‖ - 1)² + 0.001 E f(x)², ∇ at pictures of the level."""
    game = playing()
    game.round()
    round, system = game.round_, game.system
    round.begin_update("discriminator", 5)
    terms = system.discriminator_loss(round)
    x = system.real(round)["x"]
    round.begin_update("discriminator", 5)
    round._real = None
    game.reads -= 1
    assert torch.equal(system.real(round)["x"], x)
    fake = system.fake(round)["x"].detach()
    real_logits, fake_logits = system.discriminator(x), system.discriminator(fake)
    assert torch.allclose(terms["adversarial"], fake_logits.mean() - real_logits.mean(), atol=1e-6)
    assert torch.allclose(terms["drift"], 0.001 * real_logits.square().mean(), rtol=1e-5)
    epsilon = round.random.uniform("epsilon")[:, None, None, None]
    between = (epsilon * x + (1 - epsilon) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(system.discriminator(between).sum(), between)
    by_hand = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    assert torch.allclose(terms["gradient_penalty"], by_hand, rtol=1e-4)


def test_groups_never_hold_reals_and_fakes():
    """Else D's logits of real pictures would depend on the fakes beside them."""
    game = playing()
    assert not game.system.objective.joint
    round, system = game.round_, game.system
    real, logits = {"x": torch.rand(6, 1, 4, 4)}, []
    for scale in (0.1, 1.0):
        round.begin_update("discriminator", 0)
        system.objective.discriminator(system.discriminator, real, {"x": scale * torch.rand(6, 1, 4, 4)}, round)
        logits.append(round.notes["logits"][0])
    assert torch.equal(*logits)


@pytest.mark.parametrize(
    "settings",
    [
        {"discriminator.spectral_norm": True, "generator.spectral_norm": True},
        {"view.pack": 2},
        {"objective.r1": 0.5, "objective.feature_matching": 1.0},
        {"precision": "bf16"},
        {"turns.unroll": 1},
    ],
)
def test_remedies_play_through_every_phase(settings):
    game = playing(**settings)
    for _ in range(STEPS):
        assert all(value.isfinite() for value in game.round().values())


def test_spectral_norm_takes_the_place_of_the_equal_scale():
    layer = playing(**{"discriminator.spectral_norm": True}).system.discriminator.dense
    x = torch.eye(layer.in_features)
    assert torch.linalg.matrix_norm(layer(x) - layer.bias, 2).item() == pytest.approx(1, abs=1e-4)


def test_replay_and_growing_exclude_each_other():
    with pytest.raises(UsageError, match=r"view.replay=0 or growing=0"):
        playing(**{"view.replay": 8})
    playing(**{"view.replay": 8, "growing": 0.0}).round()


def test_pictures_that_cannot_be_halved_are_refused():
    with pytest.raises(UsageError, match="cannot be halved"):
        GAN("progressive").start(torch.zeros(8, 1, 9, 9))


def test_it_scales_to_256_px():
    spec = DataSpec(kind="images", shape=(3, 256, 256), count=8)
    made = systems.get("progressive")
    assert made.suited(spec) == {}  # the paper's sizes
    small = nested({"generator.width": 4, "discriminator.width": 4, "taper": 256, "batch": 4, "latent.size": 4})
    settings = build(made.Settings, made.suited(spec), small, {"growing": 0.9})

    class Rows:
        streamed = False
        labels = torch.empty(0).long()

        def __init__(self):
            self.spec = spec

        def __len__(self):
            return 8

        def rows(self, indices):
            return Batch({"x": torch.rand(len(indices), 3, 256, 256)})

        def expect(self, indices):
            pass

    system = made(settings, spec)
    game = Engine(system, Rows(), seed=0, steps=14)
    assert [phase.name for phase in system.phases()][-1] == "level 6"
    assert progressive.widths(spec.shape, 4, 256) == [4, 4, 4, 4, 4, 2, 1]
    for step in (0, 13):
        game.step = step
        assert all(value.isfinite() for value in game.round().values())
    assert system.discriminator.growth.level == 6
