"""Augmentations: what each does to a picture, that both sides get it, and how strong it is."""

import pytest
import torch
from house import engine
from test_objective import Curved, seeded
from torch import Tensor, nn

from ganworks import GAN, losses, penalties
from ganworks.augment import Augmentation, color, cutout, flip, translate
from ganworks.data.spec import Batch
from ganworks.errors import TrainingError, UsageError
from ganworks.objective import Objective, OnePass
from ganworks.round import Round
from ganworks.settings import GameSettings, ObjectiveSettings, ViewSettings, build
from ganworks.views import View

ALL = ["flip", "color", "translate", "cutout"]
BATCH, STEPS = 256, 400


def no_data() -> Batch:
    raise AssertionError("nothing is read")


def a_round(update: int = 0, player: str = "discriminator", rows: slice | None = None) -> Round:
    round = Round(0, STEPS, BATCH, no_data, rows)
    round.begin(0, "game", 0.0)
    round.begin_update(player, update)
    return round


def pictures(*shape: int) -> Tensor:
    return torch.rand(BATCH, *(shape or (3, 16, 16)), generator=torch.Generator().manual_seed(0)) * 2 - 1


def seen(view: View, x: Tensor, round: Round | None = None, side: str = "real") -> Tensor:
    return view.fixed(round or a_round(), side)(view.pack({"x": x}))["x"]


def numbers(*values: float) -> Tensor:
    return torch.tensor([values]).expand(BATCH, -1)


YES, NO = torch.ones(BATCH, dtype=torch.bool), torch.zeros(BATCH, dtype=torch.bool)


# What each does


def test_a_flip_is_a_mirror_for_every_second_picture() -> None:
    x = pictures()
    assert torch.equal(flip(x, numbers(0.49), YES), x.flip(3))
    assert torch.equal(flip(x, numbers(0.5), YES), x)


def test_colors_by_hand() -> None:
    """Of (0, 0.3, 0.6) in one pixel and 0 in another: brighter by 0.25, half the saturation, contrast 1.2."""
    x = torch.zeros(BATCH, 3, 1, 2)
    x[:, :, 0, 0] = torch.tensor([0.0, 0.3, 0.6])
    found = color(x, numbers(0.75, 0.25, 0.7), YES)
    saturated = torch.tensor([[0.4, 0.55, 0.7], [0.25, 0.25, 0.25]])
    level = saturated.mean()
    assert torch.allclose(found[0, :, 0].T, level + 1.2 * (saturated - level), atol=1e-6)


def test_colors_at_the_ends_of_their_ranges() -> None:
    x = pictures()
    assert torch.allclose(color(x, numbers(0.0, 0.5, 0.5), YES), x - 0.5, atol=1e-6)
    grey = color(x, numbers(0.5, 0.0, 0.5), YES)
    assert torch.allclose(grey, x.mean(1, keepdim=True).expand_as(x), atol=1e-6)
    assert color(x, numbers(0.5, 0.5, 0.0), YES).var().item() == pytest.approx(0.25 * x.var().item(), rel=0.05)


@pytest.mark.parametrize(("size", "most"), [(16, 2), (28, 4), (32, 4)])
def test_a_translation_is_by_an_eighth_and_brings_in_grey(size: int, most: int) -> None:
    x = torch.ones(BATCH, 1, size, size)
    assert torch.equal(translate(x, numbers(0.5, 0.5), YES), x)
    ends = translate(x, numbers(0.0, 0.9999), YES)[0, 0]  # read from further up and from further right
    assert torch.equal(ends[:most], torch.zeros(most, size))
    assert torch.equal(ends[:, -most:], torch.zeros(size, most))
    assert ends.sum() == (size - most) ** 2
    u = torch.rand(BATCH, 2, generator=torch.Generator().manual_seed(1))
    rows_left = translate(x, u, YES)[:, 0].amax(2).sum(1)
    assert set(rows_left.int().tolist()) == set(range(size - most, size + 1))


@pytest.mark.parametrize("size", [16, 28, 29])
def test_a_hole_is_half_as_wide_and_may_lie_partly_outside(size: int) -> None:
    x, hole = torch.ones(BATCH, 3, size, size), int(size / 2 + 0.5)
    assert (1 - cutout(x, numbers(0.5, 0.5), YES)[0, 0]).sum() == hole**2
    corner = cutout(x, numbers(0.0, 0.0), YES)[0, 0]
    assert (corner == 0).sum() == (hole - hole // 2) ** 2
    last = cutout(x, numbers(0.99999, 0.99999), YES)[0, 0]
    assert (last == 0).sum() == (hole // 2 + (hole % 2)) ** 2
    assert last[-1, -1] == 0


@pytest.mark.parametrize("change", [flip, color, translate, cutout])
def test_what_is_not_chosen_stays_as_it_is(change) -> None:
    x, u = pictures(), torch.rand(BATCH, 3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(change(x, u, NO), x)
    half = torch.arange(BATCH) % 2 == 0
    assert torch.equal(change(x, u, half)[1::2], x[1::2])
    assert torch.equal(change(x, u, half)[::2], change(x, u, YES)[::2])


# What D sees


@pytest.mark.parametrize("name", ALL)
def test_both_sides_and_both_turns_go_through_the_same_pipe(name: str) -> None:
    """The classic mistake is to change reals only; then G is taught to make changed ones."""
    view, x, changed = View(ViewSettings(augment=[name])), pictures(), []
    for player in ("discriminator", "generator"):
        round = a_round(player=player)
        changed += [seen(view, x, round, side) for side in ("real", "fake")]
    for one in changed:
        share = (one != x).flatten(1).any(1).float().mean()
        assert share == pytest.approx({"flip": 0.5}.get(name, 1.0), abs=0.12)
    assert all(not torch.equal(a, b) for i, a in enumerate(changed) for b in changed[:i])


@pytest.mark.parametrize("names", [[name] for name in ALL] + [ALL])
def test_a_gradient_reaches_g_through_each(names: list[str]) -> None:
    """Against differences: the change is smooth in the picture, whatever it does."""
    view, round, critic = View(ViewSettings(augment=names)), a_round(), seeded(nn.Linear(48, 1), 0).double()
    x = pictures(3, 4, 4).double().requires_grad_()
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def value(x: Tensor) -> Tensor:
        return critic(seen(view, x, round).flatten(1)).sin().sum()

    (slope,) = torch.autograd.grad(value(x), x)
    assert slope.flatten(1).any(1).float().mean() > 0.9
    with torch.no_grad():
        measured = (value(x + 1e-5 * step) - value(x - 1e-5 * step)) / 2e-5
    assert (slope * step).sum().item() == pytest.approx(measured.item(), rel=1e-6)


def test_one_draw_in_an_update_and_for_players_who_move_at_once() -> None:
    view, x, round = View(ViewSettings(augment=ALL)), pictures(), a_round()
    first = seen(view, x, round)
    assert torch.equal(seen(view, x, round), first)
    round.begin_update("generator", 0, shared=True)
    assert torch.equal(seen(view, x, round), first)
    round.begin_update("generator", 0)
    assert not torch.equal(seen(view, x, round), first)


def test_each_picture_of_a_pack_is_changed_by_itself() -> None:
    plain, packing = (View(ViewSettings(augment=ALL, pack=pack)) for pack in (1, 2))
    x = pictures()
    assert torch.equal(seen(packing, x), packing.pack({"x": seen(plain, x)})["x"])


def test_a_part_of_a_batch_sees_what_the_whole_would() -> None:
    view, x = View(ViewSettings(augment=ALL)), pictures()
    whole, part = seen(view, x), seen(view, x[64:128], a_round(rows=slice(64, 128)))
    assert torch.equal(whole[64:128], part)


def test_other_pictures_of_a_sample_are_moved_with_it_and_keep_their_colors() -> None:
    view, x = View(ViewSettings(augment=["flip", "color", "translate"])), pictures()
    inputs = {"x": x, "outline": x[:, :1], "label": torch.arange(BATCH)}
    found = view.fixed(a_round(), "real")(inputs)
    places = View(ViewSettings(augment=["flip", "translate"]))
    assert torch.equal(found["outline"], seen(places, x)[:, :1])
    assert not torch.equal(found["x"][:, :1], found["outline"])
    assert found["label"] is inputs["label"]


def test_points_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"view\.augment"):
        GAN("gan", **{"view.augment": ["flip"]}).start("ring", steps=1)


def test_a_strength_without_augmentations_is_refused() -> None:
    with pytest.raises(UsageError, match=r"view\.augment"):
        build(GameSettings, {"view": {"adaptive": 0.6}})
    with pytest.raises(UsageError, match="flip"):
        build(GameSettings, {"view": {"augment": ["flipp"]}})


# In an objective


def judged(view: ViewSettings, **settings: float | str) -> Objective:
    return Objective(build(ObjectiveSettings, settings), view, joint=True)


@pytest.fixture
def sides() -> tuple[Tensor, Tensor]:
    return pictures(2, 3, 3), pictures(2, 3, 3).flip(0)


def test_r1_is_taken_at_the_raw_sample_through_the_draw_of_the_loss(sides: tuple[Tensor, Tensor]) -> None:
    critic, view = seeded(Curved(), 0), ViewSettings(augment=ALL)
    real, fake = sides
    found = judged(view, r1=2.0).discriminator(critic, {"x": real}, {"x": fake}, a_round())
    raw = real.clone().requires_grad_()
    expected = penalties.r1(critic(seen(View(view), raw)), raw)
    assert found["r1"].item() == pytest.approx(2 * expected.item(), rel=1e-5)


def test_one_pass_is_the_simultaneous_update(sides: tuple[Tensor, Tensor]) -> None:
    critic, view = seeded(Curved(), 0), ViewSettings(augment=ALL)
    real, fake = sides
    settings = build(ObjectiveSettings, {"loss": "relativistic_paired"})
    slopes = []
    for kind in (OnePass, Objective):
        judge, round, leaf = kind(settings, view, joint=True), a_round(), fake.clone().requires_grad_()
        terms = judge.discriminator(critic, {"x": real}, {"x": leaf.detach()}, round)
        sum(terms.values()).backward()
        round.begin_update("generator", 0, shared=True)
        terms = judge.generator(critic, {"x": leaf}, round, real=lambda: {"x": real})
        slopes.append(torch.autograd.grad(sum(terms.values()), leaf)[0])
    assert torch.allclose(*slopes, rtol=1e-4, atol=1e-7)


def test_lecams_means_are_of_what_d_said_of_what_it_saw(sides: tuple[Tensor, Tensor]) -> None:
    critic, view = seeded(Curved(), 0), ViewSettings(augment=ALL)
    judge, round = judged(view, lecam=1.0), a_round()
    judge.discriminator(critic, {"x": sides[0]}, {"x": sides[1]}, round)
    judge.after(round, critic)
    said = [
        critic(seen(View(view), x, a_round(), side)).mean() for x, side in zip(sides, ("real", "fake"), strict=True)
    ]
    assert judge.average_real.item() == pytest.approx(0.01 * said[0].item(), rel=1e-4)
    assert judge.average_fake.item() == pytest.approx(0.01 * said[1].item(), rel=1e-4)


@pytest.mark.parametrize(("name", "side"), [("consistency", 0), ("consistency_fake", 1)])
@pytest.mark.parametrize("augment", [[], ["translate"]], ids=["nudge", "augmentations"])
def test_consistency_compares_two_looks_at_one_sample(
    name: str, side: int, augment: list[str], sides: tuple[Tensor, Tensor]
) -> None:
    large = [x.repeat(1, 1, 6, 6)[:, :, :8, :8] for x in sides]  # 3 x 3 pixels are too few to be moved

    class Upper(nn.Module):
        """f counts what lies in the upper half: not what lies where in it."""

        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, :4].sum((1, 2, 3))

    judge, view = judged(ViewSettings(augment=augment), **{name: 3.0}), View(ViewSettings(augment=augment))
    found = judge.discriminator(Upper(), {"x": large[0]}, {"x": large[1]}, a_round())
    round, which = a_round(), ("real", "fake")[side]
    one = Upper()(seen(view, large[side], round, which))
    other = Upper()(view.nudged({"x": large[side]}, round, which)["x"])
    assert (one != other).any()
    assert found[name].item() == pytest.approx(3 * penalties.consistency(one, other).item(), rel=1e-5)
    assert not OnePass.allows(
        build(ObjectiveSettings, {"loss": "relativistic_paired", "consistency_fake": 1}), ViewSettings()
    )


# How strong it is


def observed(view: View, real: float, fake: float, middle: float | None, updates: range = range(4)) -> float:
    """p after some updates in which D said so of all."""
    for update in updates:
        view.observe(a_round(update), torch.full((BATCH,), real), torch.full((BATCH,), fake), middle)
    return view.augmentation.probability.item()


def adaptive(probability: float = 0.5) -> View:
    view = View(ViewSettings(augment=ALL, adaptive=0.6))
    view.augmentation.probability.fill_(probability)
    return view


STEP = 4 / (0.1 * STEPS)
"""Four updates of a run, a tenth of which takes p from 0 to 1."""


@pytest.mark.parametrize("loss", losses.names())
def test_p_rises_where_d_is_sure_of_training_pictures_and_falls_where_it_is_not(loss: str) -> None:
    middle = losses.get(loss).middle
    assert observed(adaptive(), 2.0, -2.0, middle) == pytest.approx(0.5 + STEP)
    assert observed(adaptive(), -2.0, 2.0, middle) == pytest.approx(0.5 - STEP)


def test_a_sign_is_that_of_the_distance_from_the_middle_or_from_the_fakes() -> None:
    assert observed(adaptive(), 0.4, -1.0, losses.get("least_squares").middle) < 0.5  # D says: fake
    assert observed(adaptive(), -3.0, -9.0, losses.get("relativistic_paired").middle) > 0.5  # both low, real higher


def test_p_waits_for_four_updates_and_remembers_all_of_them() -> None:
    view = adaptive()
    assert observed(view, 1.0, 0.0, 0.0, range(3)) == 0.5
    assert observed(view, -1.0, 0.0, 0.0, range(3, 4)) == pytest.approx(0.5 - STEP)  # a mean sign of 0.5 < 0.6
    assert view.augmentation.signs == 0


def test_p_stays_between_0_and_1() -> None:
    assert observed(adaptive(0.99), 1.0, -1.0, 0.0) == 1
    assert observed(adaptive(0.01), -1.0, 1.0, 0.0) == 0


def test_a_long_run_takes_the_papers_500_000_images() -> None:
    view = adaptive()
    round = Round(0, 10**6, BATCH, no_data)
    round.begin_update("discriminator", 3)
    view.augmentation.signs.fill_(1.0)
    view.observe(round, torch.ones(BATCH), -torch.ones(BATCH), 0.0)
    assert view.augmentation.probability.item() == pytest.approx(0.5 + 4 * BATCH / 500_000)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_each_change_is_done_with_probability_p(p: float) -> None:
    changed = (seen(adaptive(p), pictures(), side="fake") != pictures()).flatten(1).any(1).float().mean()
    # Flip: half of p. A picture stays as it is where none of the four changes it.
    assert changed.item() == pytest.approx(1 - (1 - p / 2) * (1 - p) ** 2 * (1 - p * 24 / 25), abs=0.1)


def test_a_refused_update_leaves_p() -> None:
    playing = engine("dcgan", "images", **{"view.augment": ["cutout"], "view.adaptive": 0.6})
    playing.round()
    augmentation = playing.system.objective.view.augmentation
    augmentation.probability.fill_(0.5)
    before = augmentation.signs.clone()
    assert before != 0
    playing._data.columns["x"] = torch.full_like(playing._data.columns["x"], float("nan"))
    with pytest.raises(TrainingError, match="not finite"):
        playing.round()
    assert (augmentation.probability, augmentation.signs) == (0.5, before)


def test_augmentations_are_done_in_their_order_whatever_that_of_the_setting() -> None:
    assert Augmentation(["cutout", "flip"]).names == ["flip", "cutout"]
