"""The probe of the diagnosis: what it asks D is what the game asks, of the rows it says, and nobody notices."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganworks import data
from ganworks.diagnosis import measures
from ganworks.diagnosis.judgement import _slope, first_samples
from ganworks.diagnosis.motion import Motion
from ganworks.diagnosis.probe import Examination
from ganworks.errors import error
from ganworks.game import Phase, Player, System
from ganworks.gan import GAN
from ganworks.metrics.spaces import Points
from ganworks.random import Streams
from ganworks.settings import GameSettings, build
from ganworks.training.engine import Engine

TINY = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}
JUDGED = {"probe.accuracy", "probe.accuracy_trained", "probe.slope", "probe.slope_real", "probe.sign"}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def started(
    system: str = "gan", rows: Any = "ring", held_out: Any = None, rounds: int = 0, **settings: Any
) -> Examination:
    """The probe of a game that has been played a little."""
    gan = GAN(system, **TINY | settings).start(rows, steps=1000, held_out=held_out)
    engine = gan._session.engine
    assert engine is not None
    for _ in range(rounds):
        engine.round()
    return gan._session.examination


def rows(count: int, at: float = 0.0, seed: int = 0) -> dict[str, Tensor]:
    """Points near (at, 0)."""
    return {"x": normal(count, 2, seed=seed) + torch.tensor([at, 0.0])}


class Height(nn.Module):
    """f(x) = size · x[0], whatever else it is shown; it remembers what that was."""

    seen: list[dict[str, Tensor]] = []  # noqa: RUF012  # shared with every copy on purpose

    def __init__(self, size: float = 1.0) -> None:
        super().__init__()
        self.size = size
        Height.seen.clear()

    def forward(self, x: Tensor, **more: Tensor) -> Tensor:
        Height.seen.append({"x": x.detach(), **more})
        return self.size * x.flatten(1)[:, 0]


class Shifted(nn.Module):
    """A generator of a known law: a standard normal latent, moved along the first axis."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, z: Tensor, *label: Tensor) -> Tensor:
        return z[:, :2] + torch.tensor([self.by, 0.0])


def known(size: float = 1.0, by: float = 0.0, system: str = "gan", **settings: Any) -> Examination:
    """A game in which both players are known, on data as they are given to D: 600 rows, of which 100 are held out."""
    given = {"x": normal(500, 2), "label": torch.arange(500) // 125}
    held_out = {"x": normal(100, 2, seed=1), "label": torch.arange(100) // 25}
    probe = started(system, given, held_out, **{"average.half_life": 0.0}, **settings)
    probe.engine.system.generator, probe.engine.system.discriminator = Shifted(by), Height(size)
    probe._motion = lambda engine, index: {}  # type: ignore[assignment]  # networks of another shape cannot go on
    return probe


# What D is asked


def test_a_discriminator_that_is_known_gives_its_slope_and_its_accuracy() -> None:
    """f = 3 x[0] on N(0, 1) against N(-2, 1): slope 3, and P(a > b) = Φ(2 / √2) = 0.921."""
    found = known(3.0, by=-2.0)(0)
    assert found["probe.slope"] == found["probe.slope_real"] == pytest.approx(3)
    assert found["probe.accuracy"] == pytest.approx(0.921, abs=0.04)
    real, _, _, _, held_out, fake = (each["x"][:, 0] for each in Height.seen[-6:])
    assert found["probe.accuracy"] == measures.ranked(held_out, fake)
    assert found["probe.sign"] == pytest.approx(float(real.sign().mean()))
    assert found["probe.saturation"] == measures.saturation(3 * fake)
    assert found["probe.calibration"] == measures.calibration_error(3 * held_out, 3 * fake)
    assert found.get("probe.memory") == measures.memory(3 * real, 3 * held_out, 3 * fake)


def test_rows_are_those_it_trains_on_and_those_it_has_never_seen() -> None:
    probe = known()
    probe(0)
    trained, *_, held_out, _ = (each["x"] for each in Height.seen[-6:])
    spec = probe.engine.system.data
    inside, outside = (
        spec.encode(part.rows(torch.arange(len(part)))["x"]) for part in (probe.data, probe.data.held_out)
    )
    assert len(trained) == len(held_out) == 100, "as many of each"

    def holds(all_of: Tensor, some: Tensor) -> bool:
        return bool((some[:, None] == all_of).all(2).any(1).all())

    assert holds(inside, trained)
    assert holds(outside, held_out)
    assert not holds(inside, held_out)
    assert len(held_out.unique(dim=0)) == 100


def test_where_the_density_is_known_other_rows_are_fresh_draws() -> None:
    probe = started(rows="ring")
    trained, fresh = (part["x"] for part in probe._seen)
    table = probe.engine.system.data.encode(probe.data.rows(torch.arange(len(probe.data)))["x"])
    assert (trained[:50, None] == table).all(2).any(1).all()
    assert not (fresh[:50, None] == table).all(2).any()


def test_where_nothing_is_held_out_d_is_judged_on_its_training_rows() -> None:
    probe = started(rows=rows(60))
    assert probe.data.held_out is None
    found = probe(0)
    assert found["probe.accuracy"] == found["probe.accuracy_trained"]
    assert "probe.memory" not in found


def test_noise_is_seen_through() -> None:
    """At a noise of 10, N(-2, 101) against N(0, 101): Φ(2 / √202) = 0.556, and twice the same noise at a step."""
    probe = known(by=-2.0, **{"view.noise": 10.0})
    assert probe(0)["probe.accuracy"] == pytest.approx(0.556, abs=0.1)
    assert 8 < Height.seen[-1]["x"].std() < 12
    assert torch.equal(Height.seen[-1]["x"], Height.seen[-4]["x"]), "the fakes beside both kinds of rows are the same"


def test_packs_are_of_rows_from_anywhere() -> None:
    """The rows are sorted by class: neighbours would tell D that the data have collapsed."""
    probe = known(system="conditional", **{"view.pack": 4})
    probe(0)
    trained = Height.seen[-6]
    assert trained["x"].shape == (25, 8)
    assert trained["label"].shape == (25, 4)
    alike = (trained["label"] == trained["label"][:, :1]).all(1).double().mean()
    assert alike < 0.3, "of four classes, 1/64 of the packs at random"


def test_d_is_shown_the_labels_of_rows_and_of_samples() -> None:
    probe = known(system="conditional")
    probe(0)
    real, fake = Height.seen[-6], Height.seen[-4]
    assert torch.equal(real["label"], fake["label"])
    inside = {tuple(row["x"].tolist()): int(row["label"]) for row in (probe.data[i] for i in range(len(probe.data)))}
    decoded = probe.engine.system.data.decode(real["x"])
    near = [min(inside, key=lambda point: math.dist(point, row)) for row in decoded[:20].tolist()]
    assert [inside[point] for point in near] == real["label"][:20].tolist()


@pytest.mark.parametrize(
    ("loss", "sign"), [("hinge", 0.0), ("least_squares", -0.383), ("wasserstein", 0.84), ("relativistic_paired", 0.84)]
)
def test_the_sign_is_taken_where_the_loss_has_its_middle(loss: str, sign: float) -> None:
    """Of N(0, 1): E sign x = 0, E sign(x - ½) = 1 - 2 Φ(½). With an open constant, 2 Φ(2 / √2) - 1 against N(-2, 1)."""
    found = known(by=-2.0, **{"objective.loss": loss})(0)
    assert found["probe.sign"] == pytest.approx(sign, abs=0.25)
    assert not {"probe.calibration", "probe.saturation"} & set(found), "its logits are no probabilities"


class Patches(nn.Module):
    """f = 2 x[0] in one patch and 4 x[0] in the other."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([2 * x[:, :1], 4 * x[:, :1]], 1).reshape(len(x), 1, 1, 2)


def test_patches_are_averaged_for_the_logit_and_summed_for_the_slope() -> None:
    """As the losses and the penalties take them."""
    plain = known(by=-2.0)(0)
    probe = known(by=-2.0)
    probe.engine.system.discriminator = Patches()
    found = probe(0)
    assert found["probe.slope"] == pytest.approx(6)
    assert found["probe.accuracy"] == plain["probe.accuracy"]


def test_logits_that_are_not_finite_give_no_numbers() -> None:
    found = known(math.nan)(0)
    assert not {"probe.accuracy", "probe.sign", "probe.slope", "probe.memory", "probe.calibration"} & set(found)
    assert "probe.distance" in found
    assert all(math.isfinite(value) for value in found.values())


def test_every_number_stands_in_the_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "diagnosis.md").read_text()
    found = started("conditional", rounds=1)(0) | started("gan", **{"objective.loss": "hinge"})(0)
    assert len(found) > 20
    assert {name for name in found if f"`{name}`" not in page} == set()


# The first samples


def test_the_preflight_judges_the_generator_as_it_was() -> None:
    probe = started(rounds=3)
    found = probe.preflight(3)
    with torch.no_grad():
        for weight in probe.engine.system.generator.parameters():
            weight.fill_(100.0)
    assert probe.preflight(3) == found
    with torch.no_grad():
        for weight in probe.engine.system.discriminator.parameters():
            weight.neg_()
    assert probe.preflight(3) != found


def test_the_preflight_is_one_where_d_is_sure_and_half_where_it_is_blind() -> None:
    probe = known()
    probe._make = lambda: known(by=-9.0).engine
    assert probe.preflight(50) == {"probe.preflight": 1}
    blind = known(0.0)
    blind._make = probe._make
    assert blind.preflight(50) == {"probe.preflight": 0.5}


# Nobody notices


GAMES = [
    ("gan", "ring", {"view.noise": 0.2}),
    ("gan", "ring", {"view.pack": 2, "turns.simultaneous": True}),
    ("dcgan", "digits", {}),
    ("sngan", "digits", {}),
    ("semisupervised", "ring", {"labelled": 8}),
    ("conditional", "ring", {}),
    ("lsgan", "ring", {"view.replay": 6, "objective.lecam": 0.1}),
]


@pytest.mark.parametrize(("system", "rows", "settings"), GAMES, ids=lambda part: part if type(part) is str else "")
def test_looking_leaves_no_trace_and_finds_the_same_again(system: str, rows: str, settings: dict[str, Any]) -> None:
    probe = started(system, rows, rounds=2, **settings)
    engine = probe.engine
    state, default = engine.state(), torch.default_generator.get_state()
    gradients = {name: mover.flat.clone() for name, mover in engine.movers.items()}
    modes = [module.training for module in engine.system.modules()]
    first = probe(2) | probe.preflight(2)
    assert first.keys() >= JUDGED | {"probe.preflight", "probe.distance", "probe.moved.generator"}
    assert probe(2) | probe.preflight(2) == first
    assert [name for name, kept in state.items() if not torch.equal(engine.state()[name], kept)] == []
    assert torch.equal(torch.default_generator.get_state(), default)
    assert [module.training for module in engine.system.modules()] == modes
    assert all(torch.equal(mover.flat, gradients[name]) for name, mover in engine.movers.items())
    torch.rand(3)
    resumed = started(system, rows, **settings)
    resumed.engine.load(state)
    assert resumed(2) | resumed.preflight(2) == first, "the numbers are a function of the state"
    expected = engine.round()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.engine.round().items())


class Alone(System):
    """No game of two: its samples go through batch norm, whose statistics move when it makes some."""

    name, paper, accepts = "alone", "", ("points",)
    Settings = GameSettings

    def __init__(self, settings: GameSettings, spec: data.DataSpec) -> None:
        super().__init__(settings, spec)
        self.generator = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    def players(self) -> tuple[Player, ...]:
        return ()

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("game", ()),)

    def generate(self, count: int, random: Streams, **given: Any) -> data.Batch:
        return data.Batch({"x": self.generator(random.normal("z", 2))})


def test_a_system_with_another_game_is_looked_at_without_a_trace_too() -> None:
    opened = data.open(rows(60))
    system = Alone(build(GameSettings, {}), opened.spec).train()
    engine = Engine(system, opened, seed=0, steps=10)

    def draw(count: int, seed: int, label: Tensor | None) -> Tensor:
        return normal(count, 2)

    probe = Examination(engine, opened, Points(), draw, lambda: engine, 1)
    before = {name: value.clone() for name, value in system.state_dict().items()}
    found = probe(0)
    assert {"probe.distance", "probe.spread"} <= set(found)
    assert not JUDGED & set(found)
    assert all(torch.equal(system.state_dict()[name], kept) for name, kept in before.items())


# The rounds that come next


@pytest.mark.parametrize(
    "settings", [{}, {"turns.discriminator": 2}, {"turns.simultaneous": True}, {"view.noise": 0.5, "turns.unroll": 1}]
)
def test_motion_is_what_the_game_does_next(settings: dict[str, Any]) -> None:
    probe = started("gan", rounds=3, **settings)
    engine = probe.engine
    found = Motion(probe._make, 1000)(engine, 0)
    places = [here(engine)]
    for _ in range(2):
        engine.round()
        places.append(here(engine))
    for player in engine.players:
        before, then, after = (place[player] for place in places)
        first, second = then - before, after - then
        assert found[f"probe.moved.{player}"] == pytest.approx(float(first.norm() / before.norm()))
        cosine = torch.nn.functional.cosine_similarity(first, second, dim=0)
        assert found[f"probe.cosine.{player}"] == pytest.approx(float(cosine), abs=1e-6)


def here(engine: Engine) -> dict[str, Tensor]:
    """Every player's weights."""
    return {
        name: torch.cat([weight.detach().double().flatten() for weight in mover.tensors])
        for name, mover in engine.movers.items()
    }


def test_a_player_that_stands_still_has_moved_by_nothing() -> None:
    found = started("gan", **{"generator.lr": 0.0})(0)
    assert found["probe.moved.generator"] == 0
    assert "probe.cosine.generator" not in found
    assert found["probe.moved.discriminator"] > 0


@pytest.mark.parametrize(("every", "asked"), [(1000, 1), (400, 1), (200, 2), (150, 3), (20, 20), (1, 400)])
def test_motion_plays_at_most_a_two_hundredth_of_the_rounds(every: int, asked: int) -> None:
    probe = started("gan")
    motion = Motion(probe._make, every)
    answered = [index for index in range(0, 801) if index % asked == 0]
    assert [index for index in (0, 1, asked - 1, asked, 2 * asked) if motion(probe.engine, index)] == [
        index for index in (0, 1, asked - 1, asked, 2 * asked) if index in answered
    ]
    assert 2 / (asked * every) <= 0.005 + 1e-9


def test_a_round_that_is_refused_gives_no_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = started("gan")
    ahead = probe._make()
    monkeypatch.setattr(ahead, "round", lambda: (_ for _ in ()).throw(error("E-TRAIN-02", player="generator", step=0)))
    assert Motion(lambda: ahead, 1000)(probe.engine, 0) == {}


# Planted faults


def in_order(probe: Examination, data_set: data.DataSet, count: int) -> data.Batch:
    return data_set.rows(torch.arange(count) * len(data_set) // count)


def of_training(probe: Examination, data_set: data.DataSet, count: int) -> data.Batch:
    return in_order(probe, probe.data, count)


FAULTS = {
    "D is judged itself and no copy": (
        "diagnosis.probe.copied", lambda engine: engine.system,
        lambda: test_looking_leaves_no_trace_and_finds_the_same_again("dcgan", "digits", {}),
    ),
    "packs of neighbours": ("diagnosis.probe.Examination._shuffled", in_order, test_packs_are_of_rows_from_anywhere),
    "training rows for held-out ones": (
        "diagnosis.probe.Examination._shuffled", of_training,
        test_rows_are_those_it_trains_on_and_those_it_has_never_seen,
    ),
    "D sees without the view": (
        "views.View.fixed", lambda view, round, side: lambda inputs: inputs, test_noise_is_seen_through
    ),
    "the generator of now for the first one": (
        "diagnosis.probe.first_samples",
        lambda engine, system, beginning, rows: first_samples(engine, system, system, rows),
        test_the_preflight_judges_the_generator_as_it_was,
    ),
    "the mean of patches for their sum": (
        "diagnosis.judgement._slope", lambda system, seen: _slope(system, seen) / 2,
        test_patches_are_averaged_for_the_logit_and_summed_for_the_slope,
    ),
    "other batches than the game's": (
        "training.engine.Engine.load", lambda engine, state: load(engine, state | {"counter/reads": torch.tensor(40)}),
        lambda: test_motion_is_what_the_game_does_next({}),
    ),
}  # fmt: skip
load = Engine.load


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, wrong, test = FAULTS[fault]
    test()
    monkeypatch.setattr(f"ganworks.{where}", wrong)
    with pytest.raises(AssertionError):
        test()
