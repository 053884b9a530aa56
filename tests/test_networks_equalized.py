"""Equalised learning rates, pixel norm and the minibatch standard deviation."""

import math

import pytest
import torch

from ganworks.networks.equalized import EqualConv2d, EqualLinear, PixelNorm, minibatch_std
from ganworks.networks.spectral import spectral_norm


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
def test_weights_are_scaled_once_and_where_they_are_used(gain):
    """He's initial size *and* the scale at run time would make every layer √fan_in times too quiet."""
    torch.manual_seed(0)
    linear, convolution = EqualLinear(400, 300, gain=gain), EqualConv2d(40, 300, 3, gain=gain)
    assert linear.weight.std().item() == pytest.approx(1, rel=0.02)
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.02)
    assert linear(torch.randn(200, 400)).std().item() == pytest.approx(gain, rel=0.03)
    inside = convolution(torch.randn(8, 40, 9, 9))[:, :, 1:-1, 1:-1]
    assert inside.std().item() == pytest.approx(gain, rel=0.03)
    x = torch.randn(3, 400)
    by_hand = gain / math.sqrt(400) * x @ linear.weight.T + linear.bias
    assert torch.allclose(linear(x), by_hand, atol=1e-5)


def test_all_layers_learn_at_one_speed():
    """One step of Adam changes a layer's effective weights by one share of their size, whatever its fan-in."""
    torch.manual_seed(0)
    changes = []
    for inner in (16, 1024):
        layer = EqualLinear(inner, 64)
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
        layer(torch.randn(32, inner)).square().sum().backward()
        optimizer.step()
        changes.append(((layer.weight - before).norm() / before.norm()).item())
    assert changes == pytest.approx([0.01, 0.01], rel=0.05)


def test_a_multiplier_slows_a_layer_down_and_leaves_its_beginning():
    torch.manual_seed(0)
    x = torch.randn(64, 256)
    moved = []
    for multiplier in (1.0, 0.01):
        torch.manual_seed(1)
        layer = EqualLinear(256, 256, lr_multiplier=multiplier)
        before = layer(x).detach()
        assert before.std().item() == pytest.approx(math.sqrt(2), rel=0.03)
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
        (layer(x) * torch.randn(64, 256)).sum().backward()
        optimizer.step()
        moved.append((layer(x) - before).norm().item())
    assert moved[1] / moved[0] == pytest.approx(0.01, rel=0.01)


def test_a_convolutions_multiplier_holds_for_weight_and_bias():
    layer = EqualConv2d(2, 3, 3, gain=1.0, lr_multiplier=0.5)
    torch.nn.init.ones_(layer.bias)
    x = torch.randn(1, 2, 5, 5)
    plain = torch.nn.functional.conv2d(x, layer.weight * 0.5 / math.sqrt(18), torch.full((3,), 0.5), padding=1)
    assert torch.allclose(layer(x), plain, atol=1e-6)


def test_spectral_norm_takes_the_place_of_the_scale():
    layer = spectral_norm(EqualLinear(20, 10))
    assert torch.linalg.matrix_norm(layer(torch.eye(20)) - layer.bias, 2).item() == pytest.approx(1, abs=1e-4)


def test_pixel_norm_is_of_each_pixel_over_its_channels():
    x = torch.randn(2, 5, 3, 4)
    y = PixelNorm()(x)
    assert torch.allclose(y.square().mean(1), torch.ones(2, 3, 4), atol=1e-4)
    assert torch.allclose(y * x.square().mean(1, keepdim=True).sqrt(), x, atol=1e-5)
    assert torch.allclose(PixelNorm()(x[:, :, 0, 0]).square().mean(1), torch.ones(2), atol=1e-4)
    assert PixelNorm()(torch.zeros(1, 3)).isfinite().all()


def test_equal_samples_have_no_deviation():
    x = torch.randn(1, 3, 2, 2).expand(4, -1, -1, -1)
    channel = minibatch_std(x, 4)[:, 3]
    assert (channel >= 0).all()
    assert channel.max() <= 1.01e-4


def test_the_deviation_of_a_known_batch():
    """Two groups of two. Numbers ±1 and ±3 have deviations (over n) 1 and 3, so 2 on average; the other group 0.5."""
    one = torch.tensor([1.0, 3.0])[:, None, None]  # (C, H, W) = (2, 1, 1)
    x = torch.stack([one, -one, torch.zeros(2, 1, 1), torch.ones(2, 1, 1)])
    y = minibatch_std(x, 2)
    assert torch.equal(y[:, :2], x)
    assert y[:, 2, 0, 0].tolist() == pytest.approx([2, 2, 0.5, 0.5], abs=1e-6)


def test_the_deviation_is_over_samples_and_not_over_channels_or_pixels():
    x = torch.randn(1, 3, 4, 4).expand(4, -1, -1, -1) + torch.tensor([0.0, 0, 2, 2])[:, None, None, None]
    assert minibatch_std(x, 4)[:, 3].flatten().tolist() == pytest.approx([1.0] * 64, abs=1e-5)


def test_parts_of_whole_groups_see_what_the_whole_does():
    x = torch.randn(16, 3, 4, 4)
    parts = torch.cat([minibatch_std(x[:8], 4), minibatch_std(x[8:], 4)])
    assert torch.equal(minibatch_std(x, 4), parts)


def test_left_over_samples_are_a_group_of_their_own():
    x = torch.randn(6, 2, 1, 1)
    y = minibatch_std(x, 4)
    assert torch.allclose(y[4:, 2], minibatch_std(x[4:], 2)[:, 2])
    assert minibatch_std(x[:1], 4)[0, 2, 0, 0].item() == pytest.approx(1e-4)


def test_its_slope_is_finite_where_samples_are_equal():
    """Twice differentiable: a gradient penalty goes through it."""
    x = torch.ones(4, 2, 3, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(minibatch_std(x, 4).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert slope.isfinite().all()
    assert x.grad.isfinite().all()
