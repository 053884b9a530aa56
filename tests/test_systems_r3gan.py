"""The default system on pictures of 16 to 256 px: settings that suit them, and a game that can be played."""

import math

import pytest
import torch
from house import differing, halves_agree, played

from ganworks.data import DataSpec
from ganworks.gan import GAN
from ganworks.settings import build, nested
from ganworks.systems.conditional import Conditional
from ganworks.systems.r3gan import R3GAN, R3GANSettings

SIZES = (16, 24, 28, 32, 48, 64, 96, 128, 256)


def suited(*shape: int) -> R3GANSettings:
    return build(R3GANSettings, R3GAN.suited(DataSpec(kind="images", shape=shape, count=600)))


@pytest.mark.parametrize("size", [size for size in SIZES if size < 48])
def test_small_pictures_have_the_defaults(size: int) -> None:
    """What the recorded results on digits were measured with."""
    assert suited(1, size, size) == suited(3, size, size) == R3GANSettings()


def test_the_weight_of_a_penalty_grows_with_the_picture() -> None:
    """Twice the pixels are twice the numbers whose squared slopes are summed."""
    for channels, size in ((1, 64), (3, 64), (3, 128)):
        found = suited(channels, size, size).objective
        assert found.r1 == found.r2 == pytest.approx(channels * size**2 / 6000)
    assert suited(3, 64, 64).turns.simultaneous is False
    assert suited(3, 64, 64).view.shift == 0.125


def test_the_class_changes_nothing_in_what_suits() -> None:
    spec = DataSpec(kind="images", shape=(3, 64, 64), count=600, classes=("a", "b"), class_weights=(0.5, 0.5))
    own = build(Conditional.Settings, Conditional.suited(spec)).model_dump()
    assert own.pop("projection") == 1.0
    assert own == suited(3, 64, 64).model_dump()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_is_played(size: int, channels: int) -> None:
    """Three rounds, one of them with penalties, at the default learning rates."""
    pictures = torch.rand(8, channels, size, size, generator=torch.Generator().manual_seed(0))
    small = {"batch": 4, "generator.width": 8, "discriminator.width": 8, "objective.every": 2}
    gan = GAN("r3gan", **small).start(pictures, steps=300)
    before = [weight.clone() for weight in gan.system.parameters()]
    for _ in range(3):
        assert all(math.isfinite(value) for value in gan.round().values())
    moved = [not torch.equal(one, other) for one, other in zip(before, gan.system.parameters(), strict=True)]
    # Only a bias that cancels in D's pairs may stay: the head's.
    assert moved.count(False) <= 1
    assert gan.sample(2).shape == (2, channels, size, size)


@pytest.mark.parametrize("turns", [True, False], ids=["at once", "in turns"])
def test_a_shift_resumes_to_the_same_bits_and_changes_the_game(turns: bool) -> None:
    settings = {"view.shift": 0.25, "turns.simultaneous": turns}
    whole = played("r3gan", "images", **settings)
    assert differing(whole, played("r3gan", "images", 3, **settings)) == []
    assert differing(whole, played("r3gan", "images", **{"turns.simultaneous": turns}))


def test_halves_of_a_batch_agree_with_a_shift(double_precision: None) -> None:
    halves_agree("r3gan", "images", **{"view.shift": 0.25})


def test_what_somebody_asks_for_counts_more() -> None:
    spec = DataSpec(kind="images", shape=(3, 64, 64), count=600)
    given = build(R3GANSettings, R3GAN.suited(spec), nested({"view.shift": 0.0, "batch": 8}))
    assert (given.view.shift, given.batch) == (0.0, 8)
