"""AC-GAN: what the class terms are, whom they move, and that nothing else tells D the class."""

import math

import pytest
import torch
import torch.nn.functional as F
from house import SMALL, data, engine
from torch import Tensor, nn

from ganworks import data as datasets
from ganworks.errors import UsageError
from ganworks.gan import GAN
from ganworks.random import Streams
from ganworks.settings import build
from ganworks.systems.acgan import ACGAN

KINDS = ("points", "images")
PLAIN = {"classification": 1.0, "classification_fake": 1.0}
PAPER = {"networks": "paper", "objective.r1": 0.0, "objective.r2": 0.0, "objective.loss": "non_saturating"}


def turn(kind: str, player: str, **settings: object) -> tuple[ACGAN, dict[str, Tensor]]:
    """A system and a player's terms in its first update."""
    playing = engine("acgan", kind, **settings)
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update(player, 0)
    return playing.system, playing.players[player].loss(playing.round_)


def moved(system: ACGAN, term: Tensor) -> set[str]:
    """The parts of the networks that a term has a gradient for."""
    weights = dict(system.named_parameters())
    found = torch.autograd.grad(term, list(weights.values()), allow_unused=True)
    reached = [name for name, gradient in zip(weights, found, strict=True) if gradient is not None and gradient.any()]
    return {".".join(name.split(".")[:2]) for name in reached}


# The class terms


@pytest.mark.parametrize("kind", KINDS)
def test_class_terms_are_the_log_likelihoods_of_the_right_class_times_their_weights(kind: str) -> None:
    weights = {"classification": 0.5, "classification_fake": 3.0}
    playing = engine("acgan", kind, **weights)
    system, round = playing.system, playing.round_
    round.begin(0, "game", 0.0)
    round.begin_update("discriminator", 0)
    terms = playing.players["discriminator"].loss(round)
    real, fake = round.real, system.fake(round)["x"]
    sides = {"classification": (real["x"], real["label"]), "classification_fake": (fake, system.label(round))}
    for name, (x, label) in sides.items():
        likelihood = system.discriminator.classes(x).softmax(1)[torch.arange(len(label)), label]
        assert terms[name].item() == pytest.approx(-weights[name] * likelihood.log().mean().item(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_g_wants_the_class_too_with_the_same_sign_as_d(kind: str) -> None:
    """G maximises L_C - L_S: a G whose class term has D's opposite sign would make samples of any class but its own."""
    playing = engine("acgan", kind, **PLAIN)
    system, round = playing.system, playing.round_
    round.begin(0, "game", 0.0)
    round.begin_update("discriminator", 0)
    in_ds = playing.players["discriminator"].loss(round)["classification_fake"].item()
    round.begin_update("generator", 0)
    in_gs = playing.players["generator"].loss(round)["classification"].item()
    assert in_gs == pytest.approx(in_ds, rel=1e-4)  # D has not moved, and both see the same fakes
    assert in_gs > 0
    expected = F.cross_entropy(system.discriminator.classes(system.fake(round)["x"]), system.label(round))
    assert in_gs == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("weights", "of_d", "of_g"),
    [
        ((1.0, 1.0), {"classification", "classification_fake"}, {"classification"}),
        ((1.0, 0.0), {"classification"}, {"classification"}),
        ((0.0, 1.0), {"classification_fake"}, set()),
    ],
)
def test_a_weight_of_zero_switches_a_term_off(weights: tuple[float, float], of_d: set[str], of_g: set[str]) -> None:
    settings = dict(zip(("classification", "classification_fake"), weights, strict=True))
    for player, expected in (("discriminator", of_d), ("generator", of_g)):
        _, terms = turn("points", player, **settings)
        assert {name for name in terms if "classification" in name} == expected


@pytest.mark.parametrize("kind", KINDS)
def test_whom_the_terms_move(kind: str) -> None:
    system, terms = turn(kind, "discriminator")
    own = {"discriminator.trunk", "discriminator.naming"}
    assert moved(system, terms["classification"]) == own
    system, terms = turn(kind, "discriminator")
    assert moved(system, terms["classification_fake"]) == own  # and not G, which is held
    system, terms = turn(kind, "generator")
    reached = moved(system, terms["classification"])
    assert "generator.network" in reached
    system, terms = turn(kind, "generator")
    assert "discriminator.naming" not in moved(system, terms["adversarial"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [{"view.replay": 16}, {"objective.finite_difference": 0.1, "objective.r1": 0.1, "objective.every": 1}],
    ids=["pool", "differences"],
)
def test_the_named_fakes_are_new_ones_whatever_else_d_has_judged(kind: str, settings: dict[str, object]) -> None:
    """With old fakes from a pool in D's batch, labels of the new ones would stand beside old samples."""
    playing = engine("acgan", kind, **PLAIN, **settings)
    for _ in range(2):
        playing.round()
    system, round = playing.system, playing.round_
    round.begin(2, "game", 0.0)
    round.begin_update("discriminator", 2)
    terms = playing.players["discriminator"].loss(round)
    expected = F.cross_entropy(system.discriminator.classes(system.fake(round)["x"]), system.label(round))
    assert terms["classification_fake"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_labels_of_fakes_are_drawn_as_the_data_has_them() -> None:
    spec = data("points").spec.model_copy(update={"class_weights": (0.7, 0.1, 0.1, 0.1)})
    system = ACGAN(build(ACGAN.Settings, {"generator": {"width": 8}, "discriminator": {"width": 8}}), spec)
    shares = torch.bincount(system.labels(Streams((0, "sample"), 20_000)), minlength=4) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.7, 0.1, 0.1, 0.1]), atol=0.015, rtol=0)


# The networks


def test_the_papers_networks_have_batch_norm_in_d_but_not_where_its_slope_is_penalised() -> None:
    for r1, expected in ((0.0, True), (0.1, False)):
        system = engine("acgan", "images", **PAPER | {"objective.r1": r1}).system
        assert any(isinstance(module, nn.BatchNorm2d) for module in system.discriminator.modules()) is expected
        assert system.objective.joint is not expected


def test_the_papers_networks_play() -> None:
    playing = engine("acgan", "images", **PAPER)
    for _ in range(3):
        terms = playing.round()
    assert all(math.isfinite(value) for value in terms.values())


@pytest.mark.parametrize("networks", ["paper", "small"])
def test_256_pixels_by_settings_alone(networks: str) -> None:
    spec = data("images").spec.model_copy(update={"shape": (3, 256, 256)})
    little = {"generator": {"width": 1}, "discriminator": {"width": 1}, "networks": networks}
    system = ACGAN(build(ACGAN.Settings, little), spec)
    fake = system.generator(torch.randn(2, 100), torch.tensor([0, 3]))
    assert fake.shape == (2, 3, 256, 256)
    assert system.discriminator(fake).shape == (2,)
    assert system.discriminator.classes(fake).shape == (2, 4)


# Use


def test_it_learns_to_name_and_to_make_what_is_asked_for() -> None:
    """Four points, one a class: after a few hundred rounds samples lie at their own."""
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    label = torch.arange(512) % 4
    noise = 0.05 * torch.randn(512, 2, generator=torch.Generator().manual_seed(0))
    x = corners[label] + noise
    points = datasets.open({"x": x, "label": label})
    settings = {"generator.width": 32, "discriminator.width": 32, "batch": 64}
    gan = GAN("acgan", **settings).start(points, steps=300, seed=0)
    for _ in range(300):
        gan.round()
    asked = torch.arange(4).repeat_interleave(50)
    samples = gan.sample(200, label=asked)
    assert (torch.cdist(samples, corners).argmin(1) == asked).float().mean() > 0.95
    assert (gan.classify(x).argmax(1) == label).float().mean() > 0.95


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(UsageError, match=r"E-SET-02.*view.pack=1"):
        engine("acgan", "points", **{"view.pack": 2})
    bare = datasets.open(torch.rand(16, 2).numpy())
    with pytest.raises(UsageError, match=r"E-SET-02.*needs data with labels"):
        ACGAN(ACGAN.Settings(), bare.spec)


def test_a_label_comes_back_with_its_samples() -> None:
    gan = GAN("acgan", **SMALL).start(data("images"), steps=2)
    gan.round()
    assert gan.draw(5, label=3)["label"].tolist() == [3] * 5
    own = gan.draw(40, seed=1)
    assert set(own["label"].tolist()) == {0, 1, 2, 3}
    assert torch.equal(gan.sample(40, seed=1, label=own["label"]), own["x"])
