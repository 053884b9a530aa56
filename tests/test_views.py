"""What D sees: the same for real and fake, in both players' turns."""

import pytest
import torch
from torch import Tensor

from ganworks.data.order import Order
from ganworks.data.spec import Batch
from ganworks.round import Round
from ganworks.settings import Ramp, ViewSettings
from ganworks.views import View

STEPS, BATCH = 100, 512


def no_data() -> Batch:
    raise AssertionError("a view reads no data")


def at_step(step: int = 0) -> Round:
    """D's first update in that round."""
    round = Round(0, STEPS, BATCH, no_data)
    round.begin(step, "game", step / STEPS)
    round.begin_update("discriminator", 0)
    return round


def noise(view: View, round: Round, side: str, shape: tuple[int, ...] = (BATCH, 50)) -> Tensor:
    """What a view adds to zeros."""
    return view.fixed(round, side)({"x": torch.zeros(shape)})["x"]


def close_to(sigma: float) -> object:
    """The standard deviation of 25,600 draws lies within 5 standard errors of it."""
    return pytest.approx(sigma, rel=5 / (2 * BATCH * 50) ** 0.5)


def test_one_sigma_for_both_sides_and_both_turns() -> None:
    view, round = View(ViewSettings(noise=0.3)), at_step()
    for player in ("discriminator", "generator"):
        round.begin_update(player, 0)
        for side in ("real", "fake"):
            drawn = noise(view, round, side)
            assert drawn.std().item() == close_to(0.3)
            assert drawn.mean().item() == pytest.approx(0.0, abs=5 * 0.3 / drawn.numel() ** 0.5)


def test_draws_are_fresh_for_each_side_turn_and_update() -> None:
    view, round = View(ViewSettings(noise=1.0)), at_step()
    draws = []
    for player in ("discriminator", "generator"):
        for update in (0, 1):
            round.begin_update(player, update)
            draws += [noise(view, round, "real"), noise(view, round, "fake")]
    for i, one in enumerate(draws):
        for other in draws[:i]:
            assert abs(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]) < 0.05


def test_one_draw_in_an_update() -> None:
    """A penalty looks through the same noise as the loss; otherwise it penalises another function."""
    view, round = View(ViewSettings(noise=1.0)), at_step()
    see = view.fixed(round, "real")
    x = torch.ones(BATCH, 2)
    assert torch.equal(see({"x": x})["x"], see({"x": x})["x"])


def test_players_who_move_at_once_see_through_one_draw() -> None:
    view, round = View(ViewSettings(noise=1.0)), at_step()
    round.begin_update("discriminator", 0, shared=True)
    first = noise(view, round, "fake")
    round.begin_update("generator", 0, shared=True)
    assert torch.equal(noise(view, round, "fake"), first)


def test_noise_is_annealed() -> None:
    ramp = Ramp.model_validate({"from": 0.4, "to": 0.0, "over": [0.0, 0.5]})
    view = View(ViewSettings(noise=ramp))
    assert noise(view, at_step(0), "real").std().item() == close_to(0.4)
    assert noise(view, at_step(25), "real").std().item() == close_to(0.2)
    for done in (50, 99):
        assert torch.equal(noise(view, at_step(done), "real"), torch.zeros(BATCH, 50))


def test_without_noise_nothing_is_touched() -> None:
    inputs = {"x": torch.ones(BATCH, 2)}
    assert View(ViewSettings()).fixed(at_step(), "real")(inputs) is inputs


def test_the_slope_is_that_of_the_raw_sample() -> None:
    x = torch.zeros(BATCH, 2, requires_grad=True)
    seen = View(ViewSettings(noise=1.0)).fixed(at_step(), "real")({"x": x})["x"]
    seen.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones_like(x))


def test_labels_and_types_are_carried_along() -> None:
    inputs = {"x": torch.zeros(BATCH, 2, dtype=torch.float64), "label": torch.arange(BATCH)}
    seen = View(ViewSettings(noise=0.1)).fixed(at_step(), "real")(inputs)
    assert seen["x"].dtype == torch.float64
    assert seen["label"] is inputs["label"]


def test_packing_joins_neighbours_along_the_channels() -> None:
    view = View(ViewSettings(pack=2))
    pictures = torch.arange(4 * 3 * 2 * 2).float().view(4, 3, 2, 2)
    packed = view.pack({"x": pictures, "label": torch.tensor([5, 6, 7, 8])})
    assert packed["x"].shape == (2, 6, 2, 2)
    assert torch.equal(packed["x"][0], torch.cat([pictures[0], pictures[1]]))
    assert torch.equal(packed["x"][1], torch.cat([pictures[2], pictures[3]]))
    assert packed["label"].tolist() == [[5, 6], [7, 8]]


def test_packing_joins_the_coordinates_of_points() -> None:
    packed = View(ViewSettings(pack=3)).pack({"x": torch.arange(12.0).view(6, 2)})["x"]
    assert packed.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_a_pack_of_one_is_the_sample() -> None:
    inputs = {"x": torch.zeros(4, 2)}
    assert View(ViewSettings()).pack(inputs) is inputs


def test_packing_and_noise_go_together() -> None:
    """Noise on a pack is the pack of noisy samples."""
    plain, packing = View(ViewSettings(noise=1.0)), View(ViewSettings(noise=1.0, pack=2))
    inputs = {"x": torch.randn(BATCH, 3, 2, 2, generator=torch.Generator().manual_seed(0))}
    noisy = plain.fixed(at_step(), "real")(inputs)
    assert torch.equal(packing.fixed(at_step(), "real")(packing.pack(inputs))["x"], packing.pack(noisy)["x"])


def test_packs_have_new_partners_every_epoch() -> None:
    """With a fixed order a row would meet the same partner for ever, and D could learn the pairs by heart."""
    rows, batch, view = 256, 64, View(ViewSettings(pack=2))
    order = Order(rows, batch, seed=0)

    def partners(epoch: int) -> set[frozenset[int]]:
        found: set[frozenset[int]] = set()
        for index in range(epoch * rows // batch, (epoch + 1) * rows // batch):
            packs = view.pack({"x": order.rows(index).float().view(-1, 1)})["x"]
            found |= {frozenset(map(int, pack)) for pack in packs.tolist()}
        return found

    first, second = partners(0), partners(1)
    assert len(first) == len(second) == rows // 2
    assert len(first & second) <= 5  # 0.5 are expected by chance


def pooled(capacity: int = 16) -> View:
    return View(ViewSettings(replay=capacity), {"x": torch.empty(2), "label": torch.empty((), dtype=torch.long)})


def numbered(first: int, count: int = 8) -> dict[str, Tensor]:
    labels = torch.arange(first, first + count)
    return {"x": labels[:, None] * torch.ones(2), "label": labels}


def small_round(update: int) -> Round:
    round = Round(0, STEPS, 8, no_data)
    round.begin(update, "game", 0.0)
    round.begin_update("discriminator", update)
    return round


def test_half_of_the_fakes_are_old_once_the_pool_is_full() -> None:
    view, old, seen = pooled(), 0, 0
    for update in range(200):
        round = small_round(update)
        given = view.replay(numbered(8 * update), round)
        assert torch.equal(given["x"][:, 0].long(), given["label"]), "a label has lost its sample"
        if update >= 20:
            old, seen = old + int((given["label"] < 8 * update).sum()), seen + 8
        view.remember(round)
    assert 0.45 < old / seen < 0.55
    assert view.pool.filled.all()


def test_a_pool_is_read_by_the_loss_and_written_after_the_update() -> None:
    view = pooled()
    round = small_round(0)
    first = view.replay(numbered(1), round)
    assert torch.equal(first["label"], numbered(1)["label"]), "an empty pool has nothing to show"
    assert not view.pool.filled.any()
    view.remember(round)
    assert view.pool.filled.sum() == 8
    before = view.pool.state_dict()["x"].clone()
    view.replay({**numbered(100), "x": torch.full((8, 2), float("nan"))}, small_round(1))  # refused: never remembered
    assert torch.equal(view.pool.state_dict()["x"], before)


def test_a_pool_smaller_than_a_batch_leaves_the_other_rows_alone() -> None:
    view = pooled(capacity=3)
    for update in range(20):
        round = small_round(update)
        given = view.replay(numbered(8 * update), round)
        assert torch.equal(given["label"][3:], numbered(8 * update)["label"][3:])
        view.remember(round)


def test_gradients_reach_new_fakes_only() -> None:
    view = pooled()
    for update in range(4):
        round = small_round(update)
        view.replay(numbered(8 * update), round)
        view.remember(round)
    fresh = {**numbered(100), "x": torch.randn(8, 2, requires_grad=True)}
    given = view.replay(fresh, small_round(9))
    given["x"].sum().backward()
    assert torch.equal(fresh["x"].grad[:, 0] == 1, given["label"] >= 100)


def test_a_nudge_moves_a_picture_by_a_few_pixels_and_repeats_its_edge() -> None:
    view, round = View(ViewSettings()), at_step()
    picture = torch.arange(256.0).reshape(1, 1, 16, 16).expand(BATCH, 1, 16, 16)
    moved = view.nudged({"x": picture}, round, "real")["x"]
    steps = torch.stack([moved[:, 0, 8, 8] // 16 - 8, moved[:, 0, 8, 8] % 16 - 8], 1)
    assert steps.abs().max() == 2
    assert len({tuple(step) for step in steps.tolist()}) == 25
    for b in range(20):
        down, right = (int(step) for step in steps[b])
        rows, columns = ((torch.arange(16) + step).clamp(0, 15) for step in (down, right))
        assert torch.equal(moved[b, 0], picture[b, 0][rows][:, columns])


def test_a_shift_moves_both_sides_by_draws_of_their_own_and_alike_in_one_update() -> None:
    """Real pictures alone moved would teach G to draw them moved: D must not be able to tell the sides apart by it."""
    view = View(ViewSettings(shift=0.125))
    picture = torch.arange(256.0).reshape(1, 1, 16, 16).expand(BATCH, 1, 16, 16)
    for player in ("discriminator", "generator"):
        round = at_step()
        round.begin_update(player, 0)
        seen = {side: [view.fixed(round, side)({"x": picture})["x"] for _ in range(2)] for side in ("real", "fake")}
        centres = []
        for once, again in seen.values():
            assert torch.equal(once, again)
            steps = torch.stack([once[:, 0, 8, 8] // 16 - 8, once[:, 0, 8, 8] % 16 - 8], 1)
            assert steps.abs().max() == 2
            assert steps.mean().item() == pytest.approx(0.0, abs=5 * 2**0.5 / (2 * BATCH) ** 0.5)
            centres.append(steps)
        assert not torch.equal(*centres)


def test_a_shift_lets_the_gradient_back_to_where_a_pixel_came_from() -> None:
    view, round = View(ViewSettings(shift=0.25)), at_step()
    x = torch.rand(BATCH, 2, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    moved = view.fixed(round, "fake")({"x": x})["x"]
    (moved**2).sum().backward()
    # Every pixel pulls with 2x, as often as it was read; those moved out of the picture do not pull at all.
    times = (x.grad / (2 * x.detach())).round()
    torch.testing.assert_close(x.grad, 2 * x.detach() * times)
    assert times.sum().item() == x.numel()
    assert (times == 0).any()


def test_points_are_never_shifted() -> None:
    points = torch.randn(BATCH, 3, generator=torch.Generator().manual_seed(0))
    assert View(ViewSettings(shift=0.5)).fixed(at_step(), "real")({"x": points})["x"] is points


def test_a_nudge_moves_points_by_a_hundredth_of_their_spread() -> None:
    points = torch.randn(BATCH, 50, generator=torch.Generator().manual_seed(0)) * 3
    moved = View(ViewSettings()).nudged({"x": points}, at_step(), "real")["x"] - points
    assert moved.std().item() == close_to(0.03)
