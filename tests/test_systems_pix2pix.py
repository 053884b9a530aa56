"""pix2pix: what D judges, what G's terms are, where its noise comes from, and the paper's sizes."""

import pytest
import torch
import torch.nn.functional as F
from house import data, engine
from torch import nn

from ganworks import GAN
from ganworks.data.dataset import Content, build
from ganworks.errors import UsageError
from ganworks.networks import translation
from ganworks.random import Streams
from ganworks.systems.pix2pix import Pix2Pix


def batch(system, count=4):
    return data("pairs").rows(torch.arange(count))


def test_d_judges_the_source_too():
    """The classic mistake: without the source beside the picture D asks only whether it looks real."""
    system = engine("pix2pix", "pairs").system
    rows = batch(system)
    right = system.discriminator(x=rows["target"], source=rows["source"])
    wrong = system.discriminator(x=rows["target"], source=rows["source"].roll(1, 0))
    assert not torch.allclose(right, wrong, atol=1e-3)


def terms(player, **settings):
    playing = engine("pix2pix", "pairs", **settings)
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update(player, 0)
    return playing, playing.players[player].loss(playing.round_)


def test_terms_are_those_of_the_paper():
    playing, found = terms("generator", dropout=0.0, l1=100.0)
    real, system = playing.round_.real, playing.system
    made = system.generator(real["source"])
    logits = system.discriminator(x=made, source=real["source"])
    assert set(found) == {"adversarial", "l1"}
    assert torch.allclose(found["adversarial"], F.softplus(-logits).mean(), rtol=1e-4)
    assert torch.allclose(found["l1"], 100 * (made - real["target"]).abs().mean(), rtol=1e-4)


def test_without_the_game_the_l1_term_is_left():
    playing, found = terms("generator", adversarial=0.0)
    assert set(found) == {"l1"}
    judges = list(playing.system.discriminator.parameters())
    assert all(each is None for each in torch.autograd.grad(sum(found.values()), judges, allow_unused=True))


def test_noise_is_on_after_training_too_and_follows_the_seed():
    gan = GAN("pix2pix", **{"generator.width": 8}).start(data("pairs"), steps=5)
    x = data("pairs").rows(torch.arange(3))["source"]
    assert not torch.equal(gan.translate(x, seed=1), gan.translate(x, seed=2))
    assert torch.equal(gan.translate(x, seed=1), gan.translate(x, seed=1))
    calm = GAN("pix2pix", **{"generator.width": 8, "dropout": 0.0}).start(data("pairs"), steps=5)
    assert torch.equal(calm.translate(x, seed=1), calm.translate(x, seed=2))


def test_a_picture_is_translated_the_same_alone_and_in_a_batch():
    """Batch norm in training mode, as the authors' code has it at test time, would tie the pictures together."""
    system = engine("pix2pix", "pairs", dropout=0.0).system
    x = batch(system)["source"]
    for training in (True, False):
        system.train(training)
        assert torch.allclose(system.generator(x)[:1], system.generator(x[:1]), atol=1e-5)


def test_the_bottleneck_keeps_what_it_knows():
    """A norm over the one pixel at the bottom would leave nothing of it: the authors' first release had that fault."""
    net = translation.UNet(1, 3, 8, 64, 0.0)
    code = []
    net.down[-1].register_forward_hook(lambda module, given, made: code.append(made))
    for seed in range(2):
        net(torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(seed)))
    assert code[0].shape[2:] == (1, 1)
    assert not torch.allclose(code[0], code[1], atol=1e-6)
    assert code[0].abs().max() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_paint_lies_under_a_source_as_under_ink(channels):
    net = translation.UNet(channels, 3, 8, 16, 0.0, inked=True, resized=True)
    x = torch.rand(2, channels, 17, 22, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def told(ink: float, even: float) -> torch.Tensor:
        for layer, share in ((net.ink, ink), (net.even, even)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, share)
        return net(x)

    paint = torch.tanh(net.last(net.features(translation.padded(x, net.step))))[:, :, :17, :22]
    assert torch.allclose(told(-50.0, -50.0), paint, atol=1e-6)
    assert torch.allclose((told(50.0, -50.0) + 1) / 2, (x + 1) / 2 * (paint + 1) / 2, atol=1e-6)
    assert not torch.allclose(told(-50.0, 50.0), paint, atol=1e-3)


def test_evening_out_goes_as_far_as_the_lines():
    """Plain averaging leaks across a line of one pixel, and a few small averages leave a wide area as it was."""
    random = torch.Generator().manual_seed(0)
    light = torch.ones(1, 1, 64, 64)
    light[..., 20] = 0.0
    x = torch.where(torch.arange(64) < 20, -0.5, 0.5) + 0.2 * torch.randn(1, 3, 64, 64, generator=random)
    even = translation.evened(x, light, 3)
    for area in (slice(0, 20), slice(21, 64)):
        assert even[..., area].std() < 0.1 * x[..., area].std()
        assert even[..., area].mean() == pytest.approx(x[..., area].mean().item(), abs=0.02)
    level = torch.full((1, 3, 64, 64), 0.3)
    assert torch.allclose(translation.evened(level, torch.rand(1, 1, 64, 64, generator=random), 3), level, atol=1e-5)
    assert torch.allclose(translation.evened(level, torch.zeros(1, 1, 64, 64), 3), level, atol=1e-5)


def test_repeated_pixels_leave_flat_what_is_flat():
    """A transposed convolution gives neighbours different weights: where all is flat it makes a pattern."""
    flat = torch.ones(1, 8, 8, 8)

    def spread(**how) -> float:
        made = translation.UNet(1, 3, 4, 4, 0.0, **how).up[0][1](flat)
        return made[:, :, 2:-2, 2:-2].std((2, 3)).max().item()

    assert spread(resized=True) < 1e-6
    assert spread() > 1e-3


def test_ink_needs_a_source_of_as_many_channels():
    x = torch.zeros(8, 2, 16, 16)
    pairs = build(Content("pairs", "pairs", {"source": x, "target": x[:, :1].expand(-1, 3, -1, -1)}))
    with pytest.raises(UsageError, match="inked lays"):
        GAN("pix2pix", inked=True).start(pairs, steps=1)
    assert not Pix2Pix.suited(pairs.spec)["inked"]


def test_the_paper_s_sizes_at_256_px():
    net = translation.UNet(3, 3, 64, 256, 0.5)
    assert sum(each.numel() for each in net.parameters()) == pytest.approx(54.4e6, rel=0.01)
    assert (len(net.down), len(net.up)) == (8, 7)
    judge = translation.Patches(6, 64, translation.patch_layers(256))
    assert sum(each.numel() for each in judge.parameters()) == pytest.approx(2.77e6, rel=0.01)
    assert judge(torch.zeros(1, 3, 256, 256), torch.zeros(1, 3, 256, 256)).shape == (1, 30, 30)


@pytest.mark.parametrize(("side", "patch"), [(256, 70), (128, 34), (64, 16), (32, 16)])
def test_a_patch_is_as_large_a_part_of_smaller_pictures(side, patch):
    judge = translation.Patches(1, 4, translation.patch_layers(side))
    x = torch.randn(1, 1, 256, 256, requires_grad=True)
    logits = judge.head(_without_norms(judge.body)(x))
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    reached = x.grad[0, 0].nonzero()
    assert (reached.amax(0) - reached.amin(0) + 1).tolist() == [patch, patch]


def _without_norms(body):
    return torch.nn.Sequential(*(layer for layer in body if not isinstance(layer, torch.nn.InstanceNorm2d)))


def test_samples_are_made_of_rows_that_were_held_out():
    rows = data("pairs")
    whole = Content("pairs", "pairs", {key: rows.columns[key] for key in ("source", "target")})
    opened = build(whole, rows=torch.arange(40))
    opened.held_out = build(whole, rows=torch.arange(40, 64))
    gan = GAN("pix2pix", **{"generator.width": 8, "dropout": 0.0}).start(opened, steps=5)
    made = gan.sample(5, seed=0)
    assert torch.allclose(made, gan.translate(opened.held_out.rows(torch.arange(5))["source"]), atol=1e-5)


def test_generate_needs_its_sources():
    system = engine("pix2pix", "pairs").system
    made = system.generate(2, Streams((0, "sample"), 2), source=batch(system, 2)["source"])
    assert made["x"].shape == (2, 3, 16, 16)
