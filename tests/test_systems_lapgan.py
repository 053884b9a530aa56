"""LAPGAN: the pyramid gives the picture back, levels learn from real coarse pictures, samples are a cascade."""

import pytest
import torch
import torch.nn.functional as F

from ganworks import data as datasets
from ganworks import systems
from ganworks.errors import UsageError
from ganworks.networks import pyramid
from ganworks.random import Streams
from ganworks.settings import build, fit, nested
from ganworks.training.engine import Engine

SMALL = {
    "batch": 8,
    "units": 8,
    "latent.size": 4,
    "generator.width": 4,
    "discriminator.width": 4,
    "coarsest": 4,
}


def engine(size: int = 16, channels: int = 1, **settings) -> Engine:
    draw = torch.Generator().manual_seed(0)
    data = datasets.open({"x": torch.rand(16, channels, size, size, generator=draw) * 2 - 1})
    made = systems.get("lapgan")
    given = fit(made.Settings, nested({**SMALL, **settings}))
    torch.manual_seed(1)
    return Engine(made(build(made.Settings, made.suited(data.spec), given), data.spec), data, seed=2, steps=10)


def begun(playing: Engine, player: str):
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update(player, 0)
    return playing.round_


# The pyramid


@pytest.mark.parametrize(("height", "width", "levels"), [(32, 32, 2), (6, 10, 1), (14, 28, 1), (48, 16, 4), (2, 2, 1)])
def test_a_pyramid_gives_the_picture_back(height, width, levels):
    x = torch.rand(3, 2, height, width) * 2 - 1
    bands = pyramid.decompose(x, levels)
    assert [band.shape[2] for band in bands] == [height >> level for level in range(levels + 1)]
    assert (pyramid.reconstruct(bands) - x).abs().max() < 1e-6


def test_a_flat_picture_has_no_detail():
    first, second, coarsest = pyramid.decompose(torch.full((1, 1, 8, 8), 0.3), 2)
    assert first.abs().max() < 1e-6
    assert second.abs().max() < 1e-6
    assert torch.allclose(coarsest, torch.full((1, 1, 2, 2), 0.3))


def test_the_kernels_are_the_ones_that_are_named():
    """Along a row: means of two; and of 0 4 8 12 three parts of the nearer and one of the further, edges repeated."""
    row = torch.tensor([0.0, 2.0, 4.0, 8.0]).expand(1, 1, 2, 4)
    assert pyramid.down(row).flatten().tolist() == [1, 6]
    coarse = torch.tensor([0.0, 4.0, 8.0, 12.0]).expand(1, 1, 1, 4)
    assert pyramid.up(coarse)[0, 0, 0].tolist() == [0, 1, 3, 5, 7, 9, 11, 12]


def test_sizes_are_halved_while_they_can_be():
    assert pyramid.shapes((3, 32, 64), 7) == [(3, 32, 64), (3, 16, 32), (3, 8, 16)]
    assert pyramid.shapes((1, 28, 28), 7) == [(1, 28, 28), (1, 14, 14), (1, 7, 7)]
    with pytest.raises(UsageError, match="coarsest"):
        pyramid.shapes((1, 15, 16), 4)
    with pytest.raises(UsageError, match="coarsest"):
        pyramid.shapes((1, 16, 16), 9)


# The networks


def test_corrections_put_the_coarse_picture_back_inside():
    plain, corrected = (engine(corrections=count).system.generator for count in (0, 3))
    coarse, z = torch.rand(4, 1, 8, 8) * 2 - 1, torch.randn(4, 1, 16, 16)
    off = [(pyramid.down(g.finer(0, coarse, z)) - coarse).square().mean() for g in (plain, corrected)]
    assert off[1] < 0.1 * off[0]


def test_a_judge_of_texture_says_the_same_of_texture_anywhere():
    judge = pyramid.Judge((1, 64, 64), 4, 3, 2, texture=True)
    x = torch.zeros(2, 1, 64, 64)
    patch = torch.randn(1, 8, 8)
    x[0, :, 16:24, 16:24], x[1, :, 24:32, 40:48] = patch, patch
    said = judge(x)
    assert said[0].item() == pytest.approx(said[1].item(), abs=1e-5)
    assert judge.features(x).shape == (2, 8)


# The game


def test_levels_learn_from_real_coarse_pictures_and_samples_come_from_generated_ones():
    """The mistake that no loss shows: a level that learns from what the level below has generated."""
    playing = engine(corrections=0)
    system = playing.system
    with torch.no_grad():
        for detail in system.generator.details:  # no detail: what is left is what a level was given, enlarged
            detail.head.weight.zero_()
            detail.head.bias.zero_()
        round = begun(playing, "generator")
        fake, (_, half, quarter) = system.fake(round), pyramid.shrunk(round.real["x"], 2)
        assert torch.equal(fake["x"], pyramid.up(half))
        assert torch.equal(fake["x1"], pyramid.up(quarter))
        drawn = system.generate(8, Streams((0,), 8))["x"]
        made = system.generator.coarsest(Streams((0,), 8).normal("latent", 4))
    assert torch.allclose(drawn, pyramid.up(pyramid.up(made)))


def test_no_gradient_crosses_from_a_level_to_another():
    playing = engine()
    system, round = playing.system, begun(playing, "generator")
    fake = system.fake(round)
    networks = [*system.generator.details, system.generator.coarsest]
    for level, judge in enumerate(system.discriminator.levels):
        system.zero_grad()
        judge(fake[pyramid.name(level)]).sum().backward(retain_graph=True)
        reached = [any(p.grad is not None and p.grad.any() for p in network.parameters()) for network in networks]
        assert reached == [each == level for each in range(3)]


def test_terms_are_those_of_the_paper_summed_over_levels():
    """L_D of a level is -E log D(h + l) - E log(1 - D(h̃ + l)), L_G is -E log D(h̃ + l)."""
    paper = {"objective.loss": "non_saturating", "objective.r1": 0.0, "objective.r2": 0.0}
    playing = engine(**paper, **{"turns.simultaneous": True})  # one batch, one fake
    system = playing.system
    round = begun(playing, "discriminator")
    found, real = system.discriminator_loss(round), pyramid.decompose(round.real["x"], 2)
    lows = [pyramid.up(coarse) for coarse in pyramid.shrunk(round.real["x"], 2)[1:]]
    fake, wanted = system.fake(round), []
    for level, judge in enumerate(system.discriminator.levels):
        seen = real[level] + lows[level] if level < 2 else real[level]
        said = judge(seen), judge(fake[pyramid.name(level)])
        wanted.append(-F.logsigmoid(said[0]).mean() - F.logsigmoid(-said[1]).mean())
    assert found.keys() == {"adversarial"}
    assert found["adversarial"].item() == pytest.approx(sum(wanted).item(), abs=1e-5)
    assert round.shown["logit.real"].shape == (24,)

    wanted = [-F.logsigmoid(judge(fake[pyramid.name(k)])).mean() for k, judge in enumerate(system.discriminator.levels)]
    assert system.generator_loss(round)["adversarial"].item() == pytest.approx(sum(wanted).item(), abs=1e-5)
    shown = [round.shown[f"level.{k}.generator"].item() for k in range(3)]
    assert shown == pytest.approx([each.item() for each in wanted])


def test_each_level_has_its_own_slope_in_r1():
    playing = engine(**{"objective.r1": 2.0, "objective.r2": 0.0, "objective.every": 1})
    round = begun(playing, "discriminator")
    found = playing.system.discriminator_loss(round)["r1"]
    wanted = torch.zeros(())
    for judge, picture in zip(playing.system.discriminator.levels, pyramid.shrunk(round.real["x"], 2), strict=True):
        x = picture.clone().requires_grad_()
        (slope,) = torch.autograd.grad(judge(x).sum(), x)
        wanted += slope.flatten(1).square().sum(1).mean()  # 2 · ½
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_a_picture_alone_is_judged_with_its_own_coarser_levels():
    playing = engine()
    judge, round = playing.system.discriminator, begun(playing, "discriminator")
    real = playing.system.real(round)
    assert torch.equal(judge(real["x"]), judge(**real))
    assert torch.equal(judge.features(real["x"]), judge.features(**real))
    assert judge(real["x"]).shape == (8, 3)


def test_noise_makes_different_details_of_the_same_coarse_picture():
    playing = engine()
    coarse = torch.zeros(8, 1, 8, 8)
    with torch.no_grad():
        one, other = (playing.system.finer(0, coarse, Streams((seed,), 8)) for seed in (0, 1))
    assert one.shape == (8, 1, 16, 16)
    assert (one - other).abs().mean() > 1e-4


@pytest.mark.parametrize(
    "remedy",
    [
        {"view.shift": 0.25, "view.noise": 0.1},
        {"view.augment": ["flip", "cutout"], "view.adaptive": 0.3},
        {"view.replay": 6, "view.pack": 2},
        {"objective.loss": "relativistic_paired", "objective.gradient_penalty": 1.0},
        {"objective.lecam": 0.3, "objective.consistency": 1.0, "turns.simultaneous": True},
        {"turns.unroll": 1, "objective.feature_matching": 1.0},
        {"dropout": 0.5, "fold": False, "reach": 2, "latent.prior": "uniform", "discriminator.spectral_norm": True},
    ],
    ids=lambda remedy: ", ".join(remedy),
)
def test_remedies_act_on_each_level(remedy):
    playing = engine(**remedy)
    before = {name: values.clone() for name, values in playing.system.state_dict().items()}
    for _ in range(2):
        playing.round()
    after = playing.system.state_dict()
    assert all(values.isfinite().all() for values in after.values() if values.is_floating_point())
    for level in range(3):
        own = f"discriminator.levels.{level}."
        assert any(not torch.equal(before[name], after[name]) for name in after if name.startswith(own))
    for state in ("pool.x", "average_real"):  # kept for every level, and filled
        kept = [values for name, values in after.items() if name.endswith(state)]
        assert len(kept) in (0, 3)
        assert all(values.any() for values in kept)


def test_dropout_and_finite_differences_do_not_go_together():
    with pytest.raises(UsageError, match="dropout"):
        engine(dropout=0.5, **{"objective.finite_difference": 0.1})


# Sizes


def test_the_papers_networks_are_the_default_at_256_px():
    made = systems.get("lapgan")
    spec = datasets.open({"x": torch.zeros(4, 3, 256, 256)}).spec
    settings = build(made.Settings, made.suited(spec))
    assert (settings.units, settings.dropout, settings.generator.optimizer) == (1200, 0.5, "adam")
    assert made.suited(datasets.open({"x": torch.zeros(4, 3, 32, 32)}).spec)["fold"]


def test_256_px_play_a_round():
    playing = engine(256, 3, batch=2, coarsest=8, **{"generator.width": 2, "discriminator.width": 2})
    playing.round()
    assert len(playing.system.discriminator.levels) == 6
    with torch.no_grad():
        assert playing.system.generate(2, Streams((0,), 2))["x"].shape == (2, 3, 256, 256)
