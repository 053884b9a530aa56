"""StarGAN: who learns to name domains from what, and that a domain asked for reaches the picture."""

import pytest
import torch
import torch.nn.functional as F
from house import data, engine

from ganworks import GAN
from ganworks.data.dataset import Content, build
from ganworks.errors import UsageError
from ganworks.networks import translation
from ganworks.random import Streams
from ganworks.systems.stargan import Judge, Translator


def turn(player, **settings):
    playing = engine("stargan", "domains", **settings)
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update(player, 0)
    return playing, playing.players[player].loss(playing.round_)


def test_terms_are_those_of_the_paper():
    playing, found = turn("generator")
    system, real = playing.system, playing.round_.real
    x, domain, to = real["x"], real["domain"], real["to"]
    made = system.generator(x, to)
    assert set(found) == {"adversarial", "classification", "reconstruction"}
    assert torch.allclose(found["adversarial"], -system.discriminator(made).mean(), rtol=1e-4)
    assert torch.allclose(found["classification"], F.cross_entropy(system.discriminator.domains(made), to), rtol=1e-4)
    back = 10 * (system.generator(made, domain) - x).abs().mean()
    assert torch.allclose(found["reconstruction"], back, rtol=1e-4)


def test_d_learns_domains_from_real_samples_only():
    """The classic mistake: a D that learns from fakes too learns to name what G already makes."""
    playing, found = turn("discriminator")
    system, real = playing.system, playing.round_.real
    named = F.cross_entropy(system.discriminator.domains(real["x"]), real["domain"])
    assert torch.allclose(found["classification"], named, rtol=1e-4)
    assert "gradient_penalty" in found
    makers = list(system.generator.parameters())
    for term in found.values():
        assert all(each is None for each in torch.autograd.grad(term, makers, allow_unused=True, retain_graph=True))


def test_what_is_asked_for_are_the_batch_s_domains_in_another_order():
    opened = data("domains")
    draw = engine("stargan", "domains").system.sampler(opened)
    same = 0
    for index in range(8):
        rows, extra = draw(index, 8, Streams((0, "data"), 8).at(index))
        assert sorted(extra["to"].tolist()) == sorted(opened.labels[rows].tolist())
        same += extra["to"].tolist() == opened.labels[rows].tolist()
    assert same < 4


def told_apart(mirrored: bool) -> float:
    """How far translations of a flat picture to two domains differ, after the first convolution and its norm."""
    torch.manual_seed(0)
    net = Translator(translation.ResNet(1 + 4, 1, 8, 1, mirrored=mirrored), 4)
    first = net.network.body[:2]
    x = torch.rand(1, 1, 32, 32)

    def seen(to: int) -> torch.Tensor:
        planes = F.one_hot(torch.tensor([to]), 4).float()[:, :, None, None].expand(-1, -1, 32, 32)
        return first(torch.cat([x, planes], 1))

    return (seen(0) - seen(1)).abs().max().item()


def test_a_domain_survives_the_first_norm():
    """The classic mistake: beside mirrored edges a plane is a constant, and an instance norm takes constants away."""
    assert told_apart(mirrored=True) < 1e-4
    assert told_apart(mirrored=False) > 0.1


def test_every_domain_is_a_different_picture():
    opened = build(
        Content("many", "domains", {"x": data("domains").columns["x"], "domain": torch.arange(64) % 5}, tuple("abcde"))
    )
    gan = GAN("stargan", **{"generator.width": 4, "discriminator.width": 4}).start(opened, steps=5)
    gan.round()
    x = opened.rows(torch.arange(2))["x"]
    made = [gan.translate(x, name) for name in "abcde"]
    assert all(not torch.equal(one, other) for i, one in enumerate(made) for other in made[:i])


def test_d_halves_until_two_pixels_are_left():
    judge = Judge((3, 128, 128), 64, 5)
    x = torch.zeros(2, 3, 128, 128)
    assert judge(x).shape == (2, 2, 2)
    assert judge.domains(x).shape == (2, 5)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in judge.body) == 6
    assert not any("norm" in type(layer).__name__.lower() for layer in judge.modules())


def test_one_domain_is_refused():
    with pytest.raises(UsageError, match="at least two domains"):
        GAN("stargan").start(
            build(Content("one", "domains", {"x": torch.zeros(4, 1, 16, 16), "domain": torch.zeros(4).long()}, ("a",))),
            steps=5,
        )
