"""CycleGAN: which way every term goes, what the pools hold, and that no row has a partner."""

import pytest
import torch
from house import data, engine

from ganworks import GAN, theory
from ganworks.data.dataset import Content, build
from ganworks.errors import UsageError
from ganworks.networks import translation
from ganworks.random import Streams


def turn(player, update=0, **settings):
    playing = engine("cyclegan", "domains", **settings)
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update(player, update)
    return playing, playing.players[player].loss(playing.round_)


def l1(one, other):
    return (one - other).abs().mean()


def test_terms_are_those_of_the_paper():
    playing, found = turn("generator")
    system = playing.system
    (to_a, to_b), (judge_a, judge_b) = system.generator, system.discriminator
    a, b = playing.round_.real["x"], playing.round_.real["other"]
    assert set(found) == {"adversarial", "cycle", "identity"}
    game = [0.5 * (judge_b(to_b(a)) - 1).square().mean(), 0.5 * (judge_a(to_a(b)) - 1).square().mean()]
    assert torch.allclose(found["adversarial"], sum(game), rtol=1e-4)
    assert torch.allclose(found["cycle"], 10 * (l1(to_a(to_b(a)), a) + l1(to_b(to_a(b)), b)), rtol=1e-4)
    assert torch.allclose(found["identity"], 5 * (l1(to_b(b), b) + l1(to_a(a), a)), rtol=1e-4)


def test_d_sees_its_own_domain_and_what_was_made_for_it():
    playing, found = turn("discriminator", **{"view.replay": 0})
    system = playing.system
    (to_a, to_b), (judge_a, judge_b) = system.generator, system.discriminator
    a, b = playing.round_.real["x"], playing.round_.real["other"]
    made = [
        0.5 * (judge(real) - 1).square().mean() + 0.5 * judge(fake).square().mean()
        for judge, real, fake in ((judge_a, a, to_a(b)), (judge_b, b, to_b(a)))
    ]
    assert torch.allclose(found["adversarial"], sum(made), rtol=1e-4)


def test_both_ways_of_a_cycle_are_learnt():
    """A detached way back would leave one of the two translators without this term's gradient."""
    playing, found = turn("generator")
    found["cycle"].backward()
    for network in playing.system.generator:
        assert all(parameter.grad.any() for parameter in network.parameters() if parameter.dim() > 1)


def test_rows_come_in_independent_orders():
    opened = data("domains")
    system = engine("cyclegan", "domains").system
    draw = system.sampler(opened)
    pairs = set()
    for index in range(16):  # four epochs
        rows, extra = draw(index, 8, Streams((0, "data"), 8).at(index))
        other = extra["other"]()
        assert opened.labels[rows].tolist() == [0] * 8
        numbers = [int((opened.columns["x"] == row).flatten(1).all(1).nonzero()[0, 0]) for row in other]
        assert opened.labels[torch.tensor(numbers)].tolist() == [1] * 8
        pairs |= set(zip(rows.tolist(), numbers, strict=True))
    assert len(pairs) > 100  # of 128 draws; with one order for both there would be 32


def test_pools_hold_old_translations_of_their_own_domain_without_a_graph():
    playing = engine("cyclegan", "domains", **{"view.replay": 16})
    for _ in range(4):
        playing.round()
    pools = [
        {name: b for name, b in objective.named_buffers() if "pool" in name} for objective in playing.system.objectives
    ]
    contents = [next(b for b in pool.values() if b.dim() == 4) for pool in pools]
    assert all(each.any() and not each.requires_grad for each in contents)
    assert not torch.equal(*contents)
    before = [each.clone() for each in contents]
    playing.round_.begin(4, "game", 0.0)
    playing.round_.begin_update("generator", 4)
    playing.players["generator"].loss(playing.round_)
    assert all(torch.equal(each, old) for each, old in zip(contents, before, strict=True)), "G's turn asked the pool"


def test_the_two_pools_draw_apart():
    """One stream for both would show D_A an old picture exactly when D_B is shown one."""
    playing = engine("cyclegan", "domains", **{"view.replay": 8, "batch": 8})
    for _ in range(4):
        playing.round()
    playing.round_.begin(4, "game", 0.0)
    playing.round_.begin_update("discriminator", 4)
    system = playing.system
    fakes = [fake.detach() for fake in system.translated(playing.round_)]
    kept = []
    for domain, (objective, _) in enumerate(system._games(playing.round_)):
        seen = objective.view.replay({"x": fakes[domain]}, playing.round_)["x"]
        kept.append((seen == fakes[domain]).flatten(1).all(1))
    assert not torch.equal(*kept)


def test_both_directions_come_from_one_run():
    gan = GAN("cyclegan", **{"generator.width": 4, "discriminator.width": 4}).start(data("domains"), steps=5)
    gan.round()
    x = data("domains").rows(torch.arange(2))["x"]
    still = gan._model.still
    assert torch.allclose(gan.translate(x, 0), still.generator[0](x), atol=1e-6)
    assert torch.allclose(gan.translate(x, 1), still.generator[1](x), atol=1e-6)


def test_points_are_translated_in_their_own_units():
    far = theory.MultivariateNormal(torch.tensor([100.0, -50.0]), torch.eye(2))
    x = torch.cat([far.sample(64), far.sample(64) + 20])
    domain = torch.arange(128) // 64
    opened = build(Content("far", "domains", {"x": x.float(), "domain": domain}, ("here", "there")))
    gan = GAN("cyclegan").start(opened, steps=20)
    for _ in range(20):
        gan.round()
    made = gan.translate(opened.rows(torch.arange(8))["x"], "there")
    assert made.shape == (8, 2)
    assert (made - x.mean(0)).abs().max() < 100  # not around 0, where networks live


def test_other_than_two_domains_are_refused():
    with pytest.raises(UsageError, match="two domains, and these are 10: see stargan"):
        GAN("cyclegan").start("digits", steps=5)


def test_the_paper_s_translator_at_256_px():
    with torch.device("meta"):
        net = translation.ResNet(3, 3, 64, 9, mirrored=True)
    assert sum(each.numel() for each in net.parameters()) == pytest.approx(11.4e6, rel=0.01)
