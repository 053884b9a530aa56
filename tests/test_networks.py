"""Networks that several systems share."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganworks.errors import UsageError
from ganworks.networks import compact, convolutional, mlp
from ganworks.networks.pair import Sizes


def latents(count: int, size: int) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 5, 7)])
def test_fully_connected_shapes(shape: tuple[int, ...]) -> None:
    generator = mlp.Generator(4, 16, 3, shape, nn.ReLU, nn.Identity())
    discriminator = mlp.Discriminator(shape, 16, 2)
    x = generator(latents(6, 4))
    assert x.shape == (6, *shape)
    assert discriminator(x).shape == (6,)
    assert discriminator.features(x).shape == (6, 16)


def test_depth_counts_hidden_layers() -> None:
    generator = mlp.Generator(4, 16, 3, (2,), nn.ReLU, nn.Identity())
    sizes = [(layer.in_features, layer.out_features) for layer in generator.modules() if isinstance(layer, nn.Linear)]
    assert sizes == [(4, 16), (16, 16), (16, 16), (16, 2)]


def test_logits_are_not_squashed() -> None:
    """Losses take logits. The head on features: f = w·φ + b, unbounded."""
    discriminator = mlp.Discriminator((2,), 8, 2)
    x = 1000 * latents(16, 2)
    logits, features = discriminator(x), discriminator.features(x)
    torch.testing.assert_close(logits, (features @ discriminator.head.weight.T + discriminator.head.bias).squeeze(1))
    assert logits.abs().max() > 1


def test_pictures_are_bounded_and_points_are_not() -> None:
    from ganworks.systems.gan import for_pictures

    far = 1000 * latents(16, 2)
    for make, shape, bounded in ((mlp.pair, (2,), False), (for_pictures, (1, 8, 8), True)):
        generator, _ = make(Sizes(2, 32, 8, shape, shape))
        largest = generator(far).abs().max().item()
        assert generator(far).shape == (16, *shape)
        assert largest == 1 if bounded else largest > 1


def test_leaky_has_the_slope_of_dcgan() -> None:
    assert mlp.leaky()(torch.tensor([-1.0, 1.0])).tolist() == [pytest.approx(-0.2), 1.0]


@pytest.mark.parametrize("layer", [nn.Linear(400, 300), nn.Conv2d(25, 300, 4)])
def test_he_keeps_the_size_of_a_signal(layer: nn.Module) -> None:
    """Std √(2 / (1.04 · 400)): with LeakyReLU 0.2 before it, a layer's outputs are as large as its inputs."""
    torch.manual_seed(0)
    mlp.he(layer, gain=1.0)
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (1.04 * 400)), rel=0.02)
    assert not layer.bias.any()
    signal = nn.functional.leaky_relu(torch.randn(64, *layer.weight.shape[1:]), 0.2)
    # E leaky(z)² = ½ (1 + 0.2²) = 0.52, times 400 · 2 / (1.04 · 400) is 1.
    assert layer(signal).std().item() == pytest.approx(1.0, rel=0.05)
    mlp.he(layer, gain=0.5)
    assert layer.weight.std().item() == pytest.approx(0.5 * math.sqrt(2 / (1.04 * 400)), rel=0.02)


def test_dropout_keeps_the_mean_and_the_share() -> None:
    torch.manual_seed(0)
    dropped = mlp.Dropout(0.5).train()(torch.ones(200, 200))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1.0, abs=5 / 200)
    ones = torch.ones(4, 4)
    assert torch.equal(mlp.Dropout(0.5).eval()(ones), ones)


@pytest.mark.parametrize(
    ("size", "smallest"),
    [((64, 64), (4, 4, 4)), ((28, 28), (7, 7, 2)), ((32, 64), (4, 8, 3)), ((8, 8), (4, 4, 1)), ((30, 30), (15, 15, 1))],
)
def test_pyramids(size: tuple[int, int], smallest: tuple[int, int, int]) -> None:
    h, w, doublings = convolutional.pyramid(*size)
    assert (h, w, doublings) == smallest
    assert (h * 2**doublings, w * 2**doublings) == size


@pytest.mark.parametrize("size", [(6, 6), (7, 7), (28, 27), (4, 64)])
def test_pictures_that_cannot_be_halved_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=f"{size[0]} x {size[1]} px cannot be halved"):
        convolutional.pyramid(*size)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 64), (3, 8, 8)])
@pytest.mark.parametrize("norm", [True, False])
def test_convolutional_shapes(shape: tuple[int, ...], norm: bool) -> None:
    generator, discriminator = convolutional.Generator(5, 4, shape), convolutional.Discriminator(4, shape, norm=norm)
    x = generator(latents(6, 5))
    assert x.shape == (6, *shape)
    assert x.abs().max() <= 1
    assert discriminator(x).shape == (6,)
    assert discriminator.features(x).dim() == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_from_a_transposed_convolution(channels: int) -> None:
    """Against PyTorch's own, with gradients, and gradients of gradients for penalties."""
    torch.manual_seed(0)
    layer = convolutional.ToPixels(5, channels).double()
    plain = nn.ConvTranspose2d(5, channels, 4, 2, 1).double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    found = []
    for each in (layer, plain):
        out = each(x)
        slopes = torch.autograd.grad(out.square().sum(), [x, *each.parameters()], create_graph=True)
        curves = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), [x, *each.parameters()])
        found.append([out, *slopes, *curves])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_64_px_is_the_figure_of_the_paper() -> None:
    """Radford et al. 2015, figure 1, in the authors' code's widths: 512, 256, 128, 64 channels at 4, 8, 16, 32 px."""
    generator = convolutional.Generator(100, 64, (3, 64, 64))
    assert generator.start == (4, 4, 512)
    ups = [layer for layer in generator.ups if isinstance(layer, nn.ConvTranspose2d)]
    assert [(up.in_channels, up.out_channels) for up in ups] == [(512, 256), (256, 128), (128, 64), (64, 3)]
    assert {(up.kernel_size, up.stride, up.padding) for up in ups} == {((4, 4), (2, 2), (1, 1))}


def test_batch_norm_is_where_the_paper_puts_it() -> None:
    """Not on G's output, not on D's input, and no bias before one."""
    generator, discriminator = (
        convolutional.Generator(5, 4, (1, 32, 32)),
        convolutional.Discriminator(4, (1, 32, 32), norm=True),
    )
    for layers in (list(generator.ups), list(discriminator.downs)):
        for layer, after in zip(layers, [*layers[1:], None], strict=True):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                assert (layer.bias is None) == isinstance(after, nn.BatchNorm2d)
    assert generator.project.bias is None
    assert isinstance(generator.ups[-1], nn.Tanh)
    assert isinstance(generator.ups[-2], nn.ConvTranspose2d)
    assert isinstance(discriminator.downs[1], nn.LeakyReLU)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in generator.modules()) == 3
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.modules()) == 2


def test_a_critic_without_norm_has_none() -> None:
    critic = convolutional.Discriminator(4, (1, 32, 32), norm=False)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in critic.modules())
    assert all(layer.bias is not None for layer in critic.modules() if isinstance(layer, nn.Conv2d))


def test_initial_weights_are_the_papers() -> None:
    torch.manual_seed(0)
    generator = convolutional.Generator(100, 32, (3, 32, 32))
    convolutional.initialize(generator)
    for layer in generator.modules():
        if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert layer.weight.mean().item() == pytest.approx(0.0, abs=0.002)
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1.0, abs=0.02)
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        *(((16, 16), 2), ((24, 24), 2), ((28, 28), 2), ((32, 32), 2), ((32, 64), 2), ((100, 100), 2)),
        *(((48, 48), 3), ((64, 64), 3), ((96, 96), 4), ((128, 128), 4), ((256, 256), 5), ((64, 128), 3)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_compact_networks_have_as_many_levels_as_a_picture_needs(
    size: tuple[int, int], levels: int, channels: int
) -> None:
    """Made for 28 px, G once started at a quarter of any size: 64 × 64 positions for 256 px."""
    shape = (channels, *size)
    assert compact.doublings(*size) == levels
    assert compact.large(shape) == (levels > 2)
    generator, discriminator = compact.pair(Sizes(5, 16, 8, shape, shape))
    assert isinstance(generator, compact.Generator)
    assert generator.start == (size[0] >> levels, size[1] >> levels, 16)
    x = generator(latents(2, 5))
    assert x.shape == (2, *shape)
    assert x.abs().max() <= 1
    assert discriminator(x).shape == (2,)
    assert isinstance(discriminator, compact.Discriminator)
    assert discriminator.features(x).shape == (2, 32)


def test_compact_networks_for_28_px_are_those_that_were_measured() -> None:
    """docs/systems/r3gan.md: 222,582 and 160,257 weights; the recorded results depend on each, and on their order."""
    generator, discriminator = compact.pair(Sizes(64, 32, 32, (1, 28, 28), (1, 28, 28)))
    shapes = [[tuple(p.shape) for p in network.parameters() if p.dim() > 1] for network in (generator, discriminator)]
    assert shapes[0] == [
        *((128, 64), (1568, 128), (32, 32, 3, 3), (64, 32, 1, 1)),
        *((1, 32, 1, 1), (1, 16, 1, 1), (4, 16, 3, 3)),
    ]
    assert shapes[1] == [(32, 4, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (128, 1024), (1, 128)]
    assert sum(p.numel() for p in generator.parameters()) == 222_582
    assert sum(p.numel() for p in discriminator.parameters()) == 160_257


def neighbours(x: Tensor) -> float:
    """Mean square difference of horizontal neighbours, over the variance: 2 for noise, near 0 where it is smooth."""
    return ((x[..., 1:] - x[..., :-1]).square().mean() / x.var()).item()


@pytest.mark.parametrize("size", [28, 64, 128, 256])
def test_compact_samples_are_smooth_before_the_first_step(size: int) -> None:
    """Means of four seeds. With every layer at its full weights 0.65 at 64 px; most of 128 px are black or white."""
    rough = saturated = 0.0
    for seed in range(4):
        torch.manual_seed(seed)
        generator, _ = compact.pair(Sizes(64, 32, 8, (3, size, size), (3, size, size)))
        x = generator(latents(16, 64))
        rough += neighbours(x) / 4
        saturated += (x.abs() > 0.9).float().mean().item() / 4
    assert rough < 0.45
    assert saturated < 0.5


def test_compact_logits_depend_on_their_own_sample_only() -> None:
    """No batch statistics: both players' gradients may come from one pass through D."""
    torch.manual_seed(0)
    _, discriminator = compact.pair(Sizes(4, 16, 8, (3, 64, 64), (3, 64, 64)))
    x = torch.randn(4, 3, 64, 64)
    torch.testing.assert_close(discriminator(x)[:1], discriminator(torch.cat([x[:1], 9 * x[1:]]))[:1])


@pytest.mark.parametrize("size", [(30, 28), (64, 66)])
def test_sizes_that_do_not_divide_by_4_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=f"sizes that divide by 4, not {size[0]} x {size[1]}"):
        compact.pair(Sizes(4, 8, 8, (1, *size), (1, *size)))
