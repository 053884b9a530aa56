"""The networks of Huang et al. 2024: filters, starts, sizes; the paper's recipe as files, and a game with them."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from house import differing, everything_saved_is_needed, halves_agree, played

from ganworks.data import DataSpec
from ganworks.errors import UsageError
from ganworks.gan import GAN
from ganworks.networks.pair import Sizes
from ganworks.networks.residual import Block, Resample, ResidualSettings, pair, stages, widths
from ganworks.settings import RunSettings, build, merge, read
from ganworks.systems.r3gan import R3GAN, R3GANSettings

EXAMPLES = Path(__file__).parent.parent / "examples"
PARAMETERS = {32: (20_732_160, 20_683_776), 64: (22_429_824, 22_381_440), 128: (22_910_016, 22_861_632)}
"""Of G and D in the recipes. A block of 768: 2 · 768 · 1536 + 9 · 16 · 1536 + 2 · 1536 = 2,583,552."""
SMALL: dict[str, Any] = {
    "networks": "paper",
    "residual.group": 4,
    "residual.blocks": 1,
    "objective.every": 1,
    "turns.simultaneous": False,
}


def counts(size: int, settings: ResidualSettings, width: int = 768) -> tuple[int, ...]:
    with torch.device("meta"):
        both = pair(Sizes(64, width, width, (3, size, size), (3, size, size)), settings)
    return tuple(sum(weight.numel() for weight in network.parameters()) for network in both)


# The networks


def test_the_filter_is_1_2_1_in_both_directions() -> None:
    """A single 1 is spread over its neighbours, and half the size is the transpose of twice the size, over 4."""
    dot = torch.zeros(1, 1, 5, 5)
    dot[0, 0, 2, 2] = 1
    line = torch.tensor([0.5, 1.0, 0.5])
    up, down = Resample(1, 1, up=True), Resample(1, 1, up=False)
    assert torch.equal(up(dot)[0, 0, 3:6, 3:6], torch.outer(line, line))
    assert up(dot).sum() == 4
    x, y = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 12, 12)
    up, down = Resample(3, 3, up=True), Resample(3, 3, up=False)
    assert torch.allclose((up(x) * y).sum(), 4 * (x * down(y)).sum(), rtol=1e-4)


def test_flat_pictures_stay_flat_inside() -> None:
    flat = torch.ones(1, 2, 8, 8)
    assert torch.allclose(Resample(2, 2, up=True)(flat)[:, :, 1:-1, 1:-1], torch.ones(()))
    assert torch.allclose(Resample(2, 2, up=False)(flat)[:, :, 1:, 1:], torch.ones(()))


def test_a_block_begins_as_the_identity_and_learns() -> None:
    block = Block(8, 4, blocks=2)
    x = torch.randn(3, 8, 5, 5)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.narrow.weight.grad.abs().sum() > 0


def test_the_starts_are_those_of_the_paper() -> None:
    """He's √(2/1.04) / √fan_in times N^(-1/4) for N = 8 blocks; the basis and the last layers have gain 1."""
    torch.manual_seed(0)
    block = Block(256, 16, blocks=8)
    gain = math.sqrt(2 / 1.04) * 8**-0.25
    assert block.widen.weight.std().item() == pytest.approx(gain / math.sqrt(256), rel=0.02)
    assert block.look.weight.shape == (512, 16, 3, 3)
    assert block.look.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.02)
    assert block.narrow.weight.abs().max() == 0
    generator, discriminator = pair(Sizes(64, 256, 256, (3, 32, 32), (3, 32, 32)), ResidualSettings())
    assert generator.basis.shape == (256, 4, 4)
    assert generator.basis.std().item() == pytest.approx(1, rel=0.05)
    assert generator.latent.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert discriminator.basis.weight.shape == (256, 1, 4, 4)
    assert discriminator.basis.weight.std().item() == pytest.approx(1 / 4, rel=0.05)


def test_what_is_judged_is_the_basis() -> None:
    _, discriminator = pair(Sizes(4, 8, 8, (3, 16, 16), (3, 16, 16)), ResidualSettings(group=4))
    x = torch.randn(2, 3, 16, 16)
    assert discriminator.features(x).shape == (2, 8)
    assert torch.equal(discriminator.head(discriminator.features(x)).squeeze(1), discriminator(x))


@pytest.mark.parametrize(("side", "count"), [(4, 1), (7, 1), (8, 2), (28, 3), (32, 4), (48, 4), (64, 5), (256, 7)])
def test_stages(side: int, count: int) -> None:
    assert stages(side, side) == count


def test_widths_halve_beyond_32_px() -> None:
    assert widths(768, 7, ResidualSettings()) == [768, 768, 768, 768, 384, 192, 96]


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(UsageError, match="not 30 x 30"):
        stages(30, 30)
    with pytest.raises(UsageError, match=r"residual\.group 16 does not divide"):
        widths(32, 7, ResidualSettings())


# The recipes


@pytest.fixture(params=[32, 64, 128])
def recipe(request: pytest.FixtureRequest) -> tuple[int, RunSettings, R3GANSettings]:
    """A file as `--config` takes it, laid over what suits such pictures."""
    given = read(EXAMPLES / f"r3gan-{request.param}.toml")
    run = {name: value for name, value in given.items() if name in RunSettings.model_fields}
    own = {name: value for name, value in given.items() if name not in run}
    spec = DataSpec(kind="images", shape=(3, request.param, request.param), count=600)
    return request.param, build(RunSettings, run), build(R3GANSettings, R3GAN.suited(spec), own)


def test_recipes_are_the_papers(recipe: tuple[int, RunSettings, R3GANSettings]) -> None:
    size, run, settings = recipe
    assert (run.system, settings.networks, settings.objective.loss) == ("r3gan", "paper", "relativistic_paired")
    assert run.steps * settings.batch == pytest.approx(20e6, rel=1e-3)
    assert (settings.objective.every, settings.turns.simultaneous, settings.view.shift) == (1, False, 0.0)
    first, last = {32: (0.05, 0.005), 64: (2.0, 0.2), 128: (17.0, 1.7)}[size]
    for gamma in (settings.objective.r1, settings.objective.r2):
        assert (gamma.start, gamma.end, gamma.shape) == (first, last, "cosine")
    for player in (settings.generator, settings.discriminator):
        assert (player.width, player.lr.start, player.lr.end, player.lr.shape) == (768, 2e-4, 5e-5, "cosine")
        beta1, beta2 = player.betas
        assert (beta1, beta2.start, beta2.end) == (0.0, 0.9, 0.99)
    assert (settings.average.half_life.start, settings.average.half_life.end) == (0.0, 5e6)
    assert counts(size, settings.residual, settings.generator.width) == PARAMETERS[size]


def test_recipes_play_a_round(recipe: tuple[int, RunSettings, R3GANSettings]) -> None:
    size, _, settings = recipe
    narrow = {"batch": 2, "generator": {"width": 16}, "discriminator": {"width": 16}, "residual": {"group": 8}}
    gan = GAN("r3gan", **merge(settings.model_dump(by_alias=True), narrow))
    gan.start(torch.rand(4, 3, size, size), steps=100)
    assert all(math.isfinite(value) for _ in range(2) for value in gan.round().values())
    assert gan.sample(2).shape == (2, 3, size, size)


def test_256_px_play_a_round() -> None:
    small = {**SMALL, "batch": 2, "generator.width": 16, "discriminator.width": 16}
    gan = GAN("r3gan", **small).start(torch.rand(4, 3, 256, 256), steps=10)
    assert all(math.isfinite(value) for value in gan.round().values())
    samples = gan.sample(2)
    assert samples.shape == (2, 3, 256, 256)
    assert -1 <= samples.min() <= samples.max() <= 1


# The house test, with these networks


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_resumes_to_the_same_bits(cut: int) -> None:
    assert differing(played("r3gan", "images", **SMALL), played("r3gan", "images", cut, **SMALL)) == []


def test_schedules_of_beta_and_of_the_average_resume_and_matter() -> None:
    settings = {
        **SMALL,
        "average.rampup": 0.0,
        "average.half_life": {"from": 0.0, "to": 100.0, "shape": "cosine"},
        **{f"{name}.betas": [0.5, {"from": 0.9, "to": 0.99}] for name in ("generator", "discriminator")},
    }
    whole = played("r3gan", "images", **settings)
    assert differing(whole, played("r3gan", "images", 3, **settings)) == []
    for key in ("average.half_life", "generator.betas"):
        plain = {**settings, key: 100.0 if key == "average.half_life" else [0.5, 0.9]}
        assert differing(whole, played("r3gan", "images", **plain)), key


def test_everything_saved_is_needed() -> None:
    everything_saved_is_needed("r3gan", "images", **SMALL)


def test_halves_of_a_batch_make_a_whole(double_precision: None) -> None:
    halves_agree("r3gan", "images", **SMALL)
