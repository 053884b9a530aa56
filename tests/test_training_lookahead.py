"""The look-ahead of unrolled GANs against a finite difference of the whole inner loop."""

import pytest
import torch
from house import differing, engine, played
from torch import Tensor

from ganworks.game import Round
from ganworks.random import generator
from ganworks.training.lookahead import loss_after

AHEAD = [(name, rule) for name in ("gan", "wgan_gp") for rule in ("sgd", "adam", "rmsprop")]
AHEAD += [(name, "adam") for name in ("r3gan", "lsgan", "wgan", "unrolled", "conditional", "semisupervised")]
"""Not `sngan`: no gradient flows through its singular vectors, by definition, but a finite difference moves them."""


@pytest.mark.parametrize(("name", "rule"), AHEAD)
def test_a_look_ahead_agrees_with_a_finite_difference(double_precision, name, rule):
    """dL_G/dθ_G through the whole inner loop, against central differences of it, in float64."""
    settings = {
        "discriminator.optimizer": rule,
        "discriminator.lr": 0.05,
        "latent.size": 3,
        "turns.simultaneous": False,
    }
    playing = engine(name, "points", **settings)
    system, (d, g) = playing.system, playing.system.players()

    def loss() -> Tensor:
        playing.round_.begin(0, "game", 0.0)
        playing.round_.begin_update("generator", 0)
        playing.reads = 0
        return sum(loss_after(system, g, d, playing.round_, 3, 0).values())

    weight = [each for each in system.generator.parameters() if each.dim() == 2][-1]
    (exact,) = torch.autograd.grad(loss(), weight)
    direction = torch.randn(weight.shape, generator=generator(0, "direction"))
    slopes = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(direction, alpha=sign * 1e-5)
        slopes.append(loss().item())
        with torch.no_grad():
            weight.sub_(direction, alpha=sign * 1e-5)
    measured = (slopes[0] - slopes[1]) / 2e-5
    expected = (exact * direction).sum().item()
    assert abs(measured - expected) <= 1e-4 * abs(expected)


def test_a_look_ahead_moves_nothing_of_the_opponent():
    playing = engine("gan", "points", **{"turns.unroll": 3})
    playing.round_.begin(0, "game", 0.0)
    before = playing.state()
    playing.round_.begin_update("generator", 0)
    loss_after(playing.system, playing.players["generator"], playing.players["discriminator"], playing.round_, 3, 0)
    changed = differing(before, playing.state())
    assert changed == ["counter/reads"]
    assert (
        differing(played("gan", "points", **{"turns.unroll": 3}), played("gan", "points", 3, **{"turns.unroll": 3}))
        == []
    )


def test_a_look_ahead_is_more_than_a_detached_one(double_precision):
    """The second-order term is there: with D's steps taken as constants the gradient is another."""
    playing = engine("gan", "points", **{"discriminator.optimizer": "sgd", "discriminator.lr": 0.5})
    system, (d, g) = playing.system, playing.system.players()

    def gradient() -> Tensor:
        playing.round_.begin(0, "game", 0.0)
        playing.round_.begin_update("generator", 0)
        playing.reads = 0
        loss = sum(loss_after(system, g, d, playing.round_, 3, 0).values())
        return torch.autograd.grad(loss, system.generator.head.weight)[0]

    whole, hold = gradient(), Round.hold
    Round.hold = lambda self, tensor: tensor.detach()  # the classic mistake
    try:
        detached = gradient()
    finally:
        Round.hold = hold
    assert (whole - detached).norm() > 1e-3 * whole.norm()
