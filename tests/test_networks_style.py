"""StyleGAN2's layers against plain forms of them: filters by hand, convolutions by groups, variances."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganworks.networks.equalized import EqualConv2d
from ganworks.networks.resampling import down_convolution, downsample, up_convolution, upsample
from ganworks.networks.spectral import spectral_norm
from ganworks.networks.style import Discriminator, Generator, Layer, Mapping, Modulated, demodulation

SHAPE = (2, 12, 20)
CHANNELS = [8, 4]


def generator(classes: int = 0) -> Generator:
    torch.manual_seed(0)
    return Generator(6, classes, 2, CHANNELS, SHAPE)


def noise(network: Generator, count: int) -> list[Tensor]:
    return [torch.randn(count, 1, h, w) for h, w in network.noises]


# Filters


@pytest.mark.parametrize("resize", [upsample, downsample])
def test_a_constant_picture_stays_what_it_is(resize):
    """Inside: a gain of 1 for up would make it a quarter. At the edge the zeros outside count."""
    x = torch.full((1, 3, 8, 10), 0.7)
    y = resize(x)
    assert torch.allclose(y[:, :, 1:-1, 1:-1], torch.tensor(0.7), atol=1e-6)
    share = 3 / 4 if resize is upsample else 7 / 8  # of the taps that lie inside
    assert y[0, 0, 0, 3].item() == pytest.approx(0.7 * share, abs=1e-6)
    assert y[0, 0, 0, 0].item() == pytest.approx(0.7 * share**2, abs=1e-6)


def test_one_pixel_becomes_the_filter():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 2] = 16.0
    row = torch.tensor([1.0, 3.0, 3.0, 1.0])
    up = upsample(x)
    assert torch.allclose(up[0, 0, 1:5, 3:7], torch.outer(row, row), atol=1e-6)  # pixel i becomes 2i and 2i + 1
    assert up.sum().item() == pytest.approx(4 * 16)
    # Half as large: output i has pixels 2i - 1 to 2i + 2, weighed 1, 3, 3, 1 of 8.
    assert torch.allclose(downsample(x)[0, 0] * 64 / 16, torch.tensor([[3.0, 9.0], [1.0, 3.0]]), atol=1e-6)


def test_upsampling_is_bilinear():
    x = torch.randn(2, 3, 5, 7)
    bilinear = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(upsample(x), bilinear[:, :, 2:-2, 2:-2], atol=1e-6)


def test_convolutions_that_resize_are_a_filter_and_a_convolution():
    """Away from the edge, where the filter's zeros and the convolution's meet in another order."""
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3)
    up = F.conv2d(upsample(x), weight, padding=1)
    assert torch.allclose(up_convolution(x, weight)[:, :, 2:-2, 2:-2], up[:, :, 2:-2, 2:-2], atol=1e-5)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(taps, taps).expand(3, 1, 4, 4)
    blurred = F.conv2d(x, kernel, padding=2, groups=3)
    assert torch.allclose(down_convolution(x, weight), F.conv2d(blurred, weight, stride=2), atol=1e-6)
    assert up_convolution(x, weight).shape == (2, 5, 16, 16)
    assert down_convolution(x, weight).shape == (2, 5, 4, 4)


def test_resizing_convolutions_are_as_loud_as_others():
    """With the gain of 4 in the wrong place, or twice, every level would be louder or quieter than the one below."""
    torch.manual_seed(0)
    smooth = torch.randn(4, 16, 1, 1).expand(-1, -1, 10, 10)
    weight = torch.randn(64, 16, 3, 3) / math.sqrt(16 * 9)
    plain = F.conv2d(smooth, weight)[:, :, 5, 5]
    assert torch.allclose(up_convolution(smooth, weight)[:, :, 9, 9], plain, atol=1e-5)
    assert torch.allclose(down_convolution(smooth, weight)[:, :, 2, 2], plain, atol=1e-5)


# Modulated convolutions


def grouped(layer: Modulated, x: Tensor, w: Tensor) -> Tensor:
    """Equations 1 and 3 to the letter: a weight for each sample, all of them in one convolution by groups."""
    b, i, h, width = x.shape
    s = layer.style(w)
    weight = layer.weight * layer.equal * s[:, None, :, None, None]
    if layer.demodulated:
        weight = weight / (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    if layer.up:
        rows = [up_convolution(x[n : n + 1], weight[n]) for n in range(b)]
        return torch.cat(rows) + layer.bias[:, None, None]
    y = F.conv2d(x.reshape(1, b * i, h, width), weight.flatten(0, 1), padding=layer.padding, groups=b)
    return y.reshape(b, -1, h, width) + layer.bias[:, None, None]


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulated", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_modulation_is_a_convolution_by_groups(up, demodulated, kernel_size):
    if up and kernel_size == 1:
        return  # only 3 × 3 convolutions make pictures larger
    torch.manual_seed(0)
    layer = Modulated(5, 7, 4, kernel_size, up=up, demodulated=demodulated)
    x, w = torch.randn(3, 5, 6, 8, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    torch.nn.init.normal_(layer.bias)
    y, expected = layer(x, w), grouped(layer, x, w)
    assert torch.allclose(y, expected, atol=1e-5)
    of = (x, w, layer.weight)
    push = torch.randn_like(y)
    for one, other in zip(torch.autograd.grad(y, of, push), torch.autograd.grad(expected, of, push), strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_demodulated_outputs_have_variance_1_whatever_the_style(scale):
    torch.manual_seed(0)
    layer = Modulated(64, 64, 8)
    for parameter in layer.style.parameters():
        torch.nn.init.normal_(parameter, 0.0, scale)
    inside = layer(torch.randn(64, 64, 8, 8), torch.randn(64, 8))[:, :, 1:-1, 1:-1]
    assert inside.var((0, 2, 3)).mean().item() == pytest.approx(1, rel=0.02)
    loud = Modulated(64, 64, 8, demodulated=False)
    loud.style.load_state_dict(layer.style.state_dict())
    assert not 0.2 < loud(torch.randn(8, 64, 8, 8), torch.randn(8, 8)).var().item() < 5


def test_demodulation_by_hand():
    """Two inputs, one output, 1 × 1: w = (3, 4), s = (1, 2): √(3² + 8²)."""
    weight = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    size = demodulation(weight, torch.tensor([[1.0, 2.0]]))
    assert size.item() == pytest.approx(1 / math.sqrt(73), rel=1e-6)


def test_spectral_norm_reaches_styled_convolutions():
    """Their own power iteration runs in every pass: a layer that is not called would keep its first vector."""
    torch.manual_seed(0)
    layer = spectral_norm(Modulated(5, 7, 4))
    torch.nn.init.normal_(layer.parametrizations.weight.original, 0.0, 3.0)
    for _ in range(30):
        layer(torch.randn(2, 5, 6, 6), torch.randn(2, 4))
    assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_noise_counts_by_its_strength():
    torch.manual_seed(0)
    layer = Layer(5, 7, 4, up=False)
    x, w, one, other = torch.randn(3, 5, 6, 6), torch.randn(3, 4), torch.randn(3, 1, 6, 6), torch.randn(3, 1, 6, 6)
    assert torch.equal(layer(x, w, one), layer(x, w, other))  # it begins at 0
    with torch.no_grad():
        layer.strength.fill_(0.1)
    assert not torch.equal(layer(x, w, one), layer(x, w, other))


# The generator


def test_a_label_is_one_more_input_of_the_mapping():
    torch.manual_seed(0)
    mapping, z = Mapping(6, 3, 8, 2), torch.randn(5, 6)
    one, other = mapping(z, torch.zeros(5, dtype=torch.int64)), mapping(z, torch.ones(5, dtype=torch.int64))
    assert (one - other).abs().mean() > 0.1 * one.std()
    assert mapping.layers[0].in_features == 6 + 8
    # The size of z has no part in it.
    assert torch.allclose(mapping(10 * z, torch.ones(5, dtype=torch.int64)), other, atol=1e-5)


def test_a_pack_of_labels_has_places():
    """(1, 2) is another pack than (2, 1)."""
    torch.manual_seed(0)
    mapping = Mapping(0, 2 * 3, 8, 1)
    both = mapping(None, torch.tensor([[1, 2], [2, 1]]))
    assert (both[0] - both[1]).abs().max() > 0.1


def test_layers_and_sizes():
    network = generator()
    assert network.styles == 4
    assert network.noises == [(6, 10), (12, 20), (12, 20)]
    assert network(network.spread(torch.randn(3, 6)), noise(network, 3)).shape == (3, *SHAPE)


def test_the_picture_is_the_sum_of_those_of_the_levels():
    """Skips: without its own part the last level shows the enlarged picture of the one below."""
    network = generator()
    styles, drawn = network.spread(torch.randn(3, 6)), noise(network, 3)
    with torch.no_grad():
        for parameter in (network.to_pixels[1].weight, network.to_pixels[1].bias):
            parameter.zero_()
    x = network.layers[0](network.constant.expand(3, -1, -1, -1), styles[:, 0], drawn[0])
    assert torch.allclose(network(styles, drawn), upsample(network.to_pixels[0](x, styles[:, 1])), atol=1e-6)


def test_noise_changes_a_picture_less_than_a_style():
    network = generator()
    styles = network.spread(network.mapping(torch.randn(8, 6)))
    one, other = noise(network, 8), noise(network, 8)
    assert torch.equal(network(styles, one), network(styles, other))
    with torch.no_grad():
        for layer in network.layers:
            layer.strength.fill_(0.05)
    by_noise = (network(styles, one) - network(styles, other)).square().mean()
    assert 0 < by_noise < 0.1 * (network(styles, one) - network(styles.flip(0), one)).square().mean()


@pytest.mark.parametrize("crossover", [1, 2, 3, 4])
def test_mixing_takes_the_other_style_from_the_crossover_on(crossover):
    network = generator()
    w, other = torch.randn(2, 3, 6)
    mixed = network.mixed(w, other, torch.tensor([crossover, 4, 4]))
    assert torch.equal(mixed[0, :crossover], w[0].expand(crossover, -1))
    assert torch.equal(mixed[0, crossover:], other[0].expand(4 - crossover, -1))
    assert torch.equal(mixed[1:], network.spread(w)[1:])  # beyond the last layer: not mixed


def test_the_mean_style_is_that_of_each_class():
    network = generator(classes=3)
    w, label = torch.randn(4, 6), torch.tensor([0, 0, 2, 0])
    network.follow(w, label)
    assert torch.allclose(network.middle[0], w[[0, 1, 3]].mean(0), atol=1e-6)
    assert torch.allclose(network.middle[2], w[2])
    assert not network.middle[1].any()
    network.follow(-w, label)  # a plain mean at first
    assert torch.allclose(network.middle, torch.zeros(3, 6), atol=1e-6)
    network.counted.fill_(10_000.0)
    network.follow(w, label)
    assert torch.allclose(network.middle[2], 0.002 * w[2], atol=1e-6)
    assert network.counted.tolist() == [10_001, 10_000, 10_001]


def test_truncation_moves_styles_to_the_mean():
    network = generator(classes=2)
    network.middle.copy_(torch.randn(2, 6))
    w, label = torch.randn(3, 6), torch.tensor([0, 1, 1])
    assert torch.allclose(network.truncated(w, torch.zeros(3), label), network.middle[label])
    assert torch.equal(network.truncated(w, torch.ones(3), label), w)
    half = network.truncated(w, torch.tensor([0.5, 1.0, 0.0]), label)
    assert torch.allclose(half[0], (w[0] + network.middle[0]) / 2, atol=1e-6)


# The discriminator


def test_d_multiplies_what_it_says_with_the_label():
    torch.manual_seed(0)
    network = Discriminator(3, 1, 2, CHANNELS, SHAPE, 4)
    x, label = torch.randn(8, *SHAPE), torch.arange(8) % 3
    said = network.head(network.features(x))
    by_hand = (said * network.mapping(None, label)).sum(1) / math.sqrt(8)
    assert torch.allclose(network(x, label), by_hand)
    assert (network(x, label) - network(x, (label + 1) % 3)).abs().mean() > 0.1 * by_hand.std()


def test_d_without_labels_has_one_number():
    network = Discriminator(0, 1, 2, CHANNELS, SHAPE, 4)
    x = torch.randn(8, *SHAPE)
    assert network(x).shape == (8,)
    assert network.features(x).shape == (8, 8)
    assert not hasattr(network, "mapping")


def test_the_two_ways_through_a_block_keep_the_size():
    """1/√2 for the sum: without it every level would be √2 times as loud."""
    torch.manual_seed(0)
    network = Discriminator(0, 1, 2, [32, 32, 32], (1, 32, 32), 1)
    smooth = torch.randn(16, 32, 1, 1).expand(-1, -1, 16, 16)
    y = network.blocks[0](smooth)[:, :, 2:-2, 2:-2]
    assert y.square().mean().item() == pytest.approx(1, rel=0.15)
    assert isinstance(network.blocks[0].second, EqualConv2d)
