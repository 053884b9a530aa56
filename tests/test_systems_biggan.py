"""BigGAN: its networks against the paper's size and against plain layers, what reaches G, truncation."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from house import SMALL, SMALL_OF, data, engine
from torch import Tensor, nn

from ganworks.cli.app import main
from ganworks.errors import UsageError
from ganworks.gan import GAN
from ganworks.networks import biggan
from ganworks.networks.projection import Projection
from ganworks.settings import build
from ganworks.systems.biggan import BigGAN, truncated
from ganworks.training.average import for_sampling

LITTLE = {**SMALL, **SMALL_OF["biggan"]}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# The networks


def test_at_128_px_they_have_as_many_weights_as_the_authors() -> None:
    """Their code prints 70,433,988 and 87,982,370 for ImageNet at 128 px with 96 channels."""
    settings = BigGAN.Settings()
    assert (settings.latent.size, settings.code, settings.generator.width, settings.attention) == (120, 128, 96, 64)
    with torch.device("meta"):
        generator = biggan.Generator(120, 1000, 128, 96, (3, 128, 128), 64)
        discriminator = Projection(biggan.Discriminator(96, (3, 128, 128), 64), 1000)
    assert count(generator) == 70_433_988
    assert count(discriminator) == 87_982_370


def test_at_32_px_d_ends_at_8_px_as_for_cifar() -> None:
    """Appendix B: 256 channels in every block; of D's four the last two keep the size."""
    network = biggan.Discriminator(64, (3, 32, 32), 0)
    assert network.blocks(torch.zeros(1, 3, 32, 32)).shape == (1, 256, 8, 8)


def test_an_enlarging_convolution_is_a_convolution_of_the_enlarged() -> None:
    layer, x = biggan.Doubling(3, 5), random(2, 3, 4, 6)
    expected = F.conv2d(F.interpolate(x, scale_factor=2), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)


def test_a_halving_convolution_is_a_mean_after_a_convolution() -> None:
    layer, x = biggan.Halving(3, 5), random(2, 3, 8, 6)
    expected = F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(x), expected)


def test_attention_begins_as_the_identity_and_is_the_papers_formula_after() -> None:
    layer, x = biggan.Attention(8), random(2, 8, 4, 4)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.gamma, 0.5)
    query, value = layer.query(x).flatten(2), F.max_pool2d(layer.value(x), 2).flatten(2)
    scores = torch.einsum("bci,bcj->bij", query, F.max_pool2d(layer.key(x), 2).flatten(2))
    places = torch.einsum("bij,bcj->bci", scores.softmax(2), value).reshape(2, 4, 4, 4)
    torch.testing.assert_close(layer(x), x + 0.5 * layer.out(places))


def test_attention_stands_where_it_is_asked_for() -> None:
    def sizes(network: nn.Module, x: Tensor, *more: Tensor) -> list[int]:
        found: list[int] = []
        for module in network.modules():
            if isinstance(module, biggan.Attention):
                module.register_forward_pre_hook(lambda _, given: found.append(given[0].shape[-1]))
        network(x, *more)
        return found

    for asked, there in ((14, [14]), (0, []), (64, [])):
        generator = biggan.Generator(6, 3, 4, 8, (1, 28, 28), asked)
        assert sizes(generator, random(2, 6), torch.tensor([0, 2])) == there
        assert sizes(biggan.Discriminator(8, (1, 28, 28), asked), random(2, 1, 28, 28)) == there


# What reaches G's blocks


def test_class_norm_by_hand_and_its_gain_differs_by_class() -> None:
    layer, x, told = biggan.ClassNorm(3, 4), 2 + 3 * random(6, 3, 5, 5), random(6, 4)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    normed = (x - mean[:, None, None]) / (var[:, None, None] + layer.norm.eps).sqrt()
    expected = (
        normed * (1 + told @ layer.gain.weight.T)[..., None, None] + (told @ layer.bias.weight.T)[..., None, None]
    )
    torch.testing.assert_close(layer(x, told), expected)
    one, other = (layer(x, code.expand(6, 4)) for code in (told[0], told[1]))
    assert (one.std((0, 2, 3)) - other.std((0, 2, 3))).abs().min() > 0.01


def test_every_block_is_told_the_class_and_a_part_of_z_of_its_own() -> None:
    generator = biggan.Generator(11, 3, 5, 8, (1, 28, 28), 0)
    heard: list[Tensor] = []
    for block in generator.trunk.blocks:
        block.register_forward_pre_hook(lambda _, given: heard.append(given[1]))
    z, label = random(4, 11), torch.tensor([0, 1, 2, 1])
    first, second, third = z.split([5, 3, 3], 1)  # what does not divide goes to the first layer
    generator(z, label)
    for told, part in zip(heard, (second, third), strict=True):
        assert torch.equal(told, torch.cat([generator.codes[label], part], 1))
    assert generator.trunk.project.in_features == first.shape[1]


def test_standing_statistics_are_those_of_the_averaged_weights() -> None:
    playing = engine("biggan", "images")
    for _ in range(3):
        playing.round()
    still = for_sampling(playing.system, playing.average, 0)
    assert isinstance(still, BigGAN)
    norms = [module for module in still.generator.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 5  # two in each of two blocks, one before the picture
    assert all(norm.num_batches_tracked == 16 and not norm.training for norm in norms)
    live = dict(playing.system.generator.named_buffers())
    measured = dict(still.generator.named_buffers())
    assert all(not torch.equal(live[name], measured[name]) for name in live if name.endswith("running_mean"))


# Weights


def test_weights_begin_orthogonal_and_sigma_is_one_everywhere_but_in_the_codes() -> None:
    system = engine("biggan", "images").system
    layers = [each for each in system.modules() if isinstance(each, nn.Linear | nn.Conv2d | nn.Embedding)]
    for layer in layers:
        values = torch.linalg.svdvals(layer.weight.flatten(1))
        torch.testing.assert_close(values, torch.ones_like(values), atol=1e-4, rtol=0)
    with torch.no_grad():
        for parameter in system.parameters():
            parameter.mul_(3.0)
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=1e-4)
    assert torch.linalg.matrix_norm(system.generator.codes, 2).item() == pytest.approx(3.0, abs=1e-4)


def test_regularisation_is_of_gs_weights_and_leaves_the_codes_out() -> None:
    playing = engine("biggan", "images", **{"orthogonal": 2.0, "generator.spectral_norm": False})
    generator = playing.system.generator
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.copy_(torch.randn_like(parameter))
    expected = 0.0
    for layer in generator.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            product = layer.weight.flatten(1) @ layer.weight.flatten(1).T
            expected += 0.5 * (product - product.diag().diag()).square().sum().item()
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update("generator", 0)
    term = playing.players["generator"].loss(playing.round_)["orthogonal"]
    assert term.item() == pytest.approx(2.0 * expected, rel=1e-5)
    (reached,) = torch.autograd.grad(term, [generator.codes], allow_unused=True)
    assert reached is None


# The game


def test_the_gradient_of_the_projection_is_the_features_of_each_labels_samples() -> None:
    """∂ Σ f / ∂ e(y) = Σ φ(x) over the samples of class y, and 0 for a class without samples."""
    torch.manual_seed(0)
    judge = Projection(biggan.Discriminator(8, (1, 16, 16), 0), 4)
    x, label = random(5, 1, 16, 16), torch.tensor([2, 0, 2, 3, 0])
    features = judge.features(x, label).detach()
    judge(x, label).sum().backward()
    expected = torch.zeros_like(judge.embedding.weight).index_add_(0, label, features)
    torch.testing.assert_close(judge.embedding.weight.grad, expected)


def test_a_pair_has_one_label_in_both_players_turns() -> None:
    playing = engine("biggan", "images", **{"turns.discriminator": 2})
    system, told, seen = playing.system, [], []
    assert isinstance(system, BigGAN)
    system.generator.register_forward_pre_hook(lambda network, given: told.append(given[1]))
    system.discriminator.register_forward_pre_hook(
        lambda network, given, named: seen.append(named["label"]), with_kwargs=True
    )
    for _ in range(2):
        playing.round()
    assert [len(label) for label in seen] == [16, 16, 8, 16, 16, 8]  # reals and fakes, reals and fakes, fakes
    for label, asked in zip(seen, told, strict=True):
        for side in label.split(8):
            assert torch.equal(side, asked)


def test_it_plays_at_256_px() -> None:
    spec = data("images").spec.model_copy(update={"shape": (3, 256, 256)})
    settings = build(BigGAN.Settings, {"batch": 2, "generator": {"width": 1}, "discriminator": {"width": 1}})
    assert BigGAN.suited(spec) == {}
    system = BigGAN(settings, spec)
    label = torch.tensor([0, 3])
    fake = system.generator(torch.randn(2, 120), label)
    assert fake.shape == (2, 3, 256, 256)
    logits = system.discriminator(fake, label)
    (-logits.mean()).backward()
    assert logits.shape == (2,)
    assert all(parameter.grad is not None for parameter in system.generator.parameters())


@pytest.mark.parametrize(
    "settings", [{"view.pack": 2}, {"objective.r1": 0.1}, {"objective.loss": "relativistic_paired"}, {"view.replay": 8}]
)
def test_it_plays_with_other_losses_penalties_packs_and_pools(settings: dict[str, object]) -> None:
    playing = engine("biggan", "images", **settings)
    for _ in range(2):
        terms = playing.round()
    assert all(math.isfinite(value) for value in terms.values())


def test_too_few_latents_are_refused() -> None:
    with pytest.raises(UsageError, match=r"E-SET-02.*set latent.size > 2"):
        engine("biggan", "images", **{"latent.size": 2})


# Truncation


@pytest.mark.parametrize("t", [0.1, 0.5, 1.0, 2.0])
def test_truncated_latents_are_a_normal_distribution_cut_off(t: float) -> None:
    z = random(20_000, 1)
    found = truncated(z, torch.full((20_000,), t)).double().flatten()
    assert found.abs().max() <= t
    normal = torch.distributions.Normal(0.0, 1.0)
    inside = math.erf(t / math.sqrt(2))
    variance = 1 - 2 * t * math.exp(-(t**2) / 2) / math.sqrt(2 * math.pi) / inside
    assert found.mean().item() == pytest.approx(0.0, abs=4 * math.sqrt(variance / 20_000))
    assert found.var().item() == pytest.approx(variance, rel=0.03)
    reached = (normal.cdf(found.sort().values) - normal.cdf(torch.tensor(-t).double())) / inside
    steps = torch.arange(1, 20_001) / 20_000
    assert (reached - steps).abs().max() < 1.63 / math.sqrt(20_000)  # Kolmogorov and Smirnov at 0.01


def test_truncation_keeps_the_order_and_each_row_has_its_own() -> None:
    z = torch.linspace(-9, 9, 41)[None].expand(4, 41)
    found = truncated(z, torch.tensor([1e-6, 0.3, 2.0, 50.0]))
    assert torch.isfinite(found).all()
    assert (found.diff() >= 0).all()
    assert (found.diff()[:, 16:24] > 0).all()
    assert (found.abs() <= torch.tensor([1e-6, 0.3, 2.0, 9.01])[:, None]).all()
    torch.testing.assert_close(found[3, 8:33], z[3, 8:33], atol=1e-5, rtol=1e-5)  # ± 5.4


def test_samples_change_smoothly_with_truncation() -> None:
    gan = GAN("biggan", **LITTLE).start(data("images"), steps=4)
    for _ in range(2):
        gan.round()
    plain, label = gan.sample(40, seed=3, label=1), torch.full((40,), 1)
    wide, narrow = (gan.sample(40, seed=3, label=label, truncation=t) for t in (30.0, 1e-4))
    torch.testing.assert_close(wide, plain, atol=1e-4, rtol=0)
    assert narrow.std(0).max() < 1e-3 < plain.std(0).max()
    assert torch.equal(
        gan.sample(10, seed=3, label=1, truncation=0.5), gan.sample(40, seed=3, label=1, truncation=0.5)[:10]
    )


def test_a_uniform_prior_has_no_truncation() -> None:
    gan = GAN("biggan", **LITTLE, **{"latent.prior": "uniform"}).start(data("images"), steps=2)
    gan.round()
    with pytest.raises(UsageError, match="E-SET-02"):
        gan.sample(3, truncation=0.5)


def test_the_command_truncates(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    GAN("biggan", **LITTLE).fit(data("images"), steps=2, seed=0, run=run)
    assert main(["sample", str(run), "-n", "4", "--label", "2", "--truncation", "0.5", "--out", str(out)]) == 0
    assert len(list(out.glob("0*.png"))) == 4
    assert (out / "labels.csv").read_text().split()[1:] == [f"{at:06d},2" for at in range(4)]
