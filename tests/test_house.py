"""The house test: what every registered system owes the engine, from the first day on.

Resume to the same bits, gradients for its own weights only, halves of a batch that make a whole, samples that depend on
seed and number alone, state in buffers and nowhere else.
"""

import copy

import pytest
import torch
from torch import Tensor, nn

from ganworks import data as datasets
from ganworks import systems
from ganworks.data.dataset import DataSet
from ganworks.errors import TrainingError
from ganworks.game import Phase, Player, Round, System, Turn, owned
from ganworks.random import generator
from ganworks.settings import build, dump, fit, nested
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine
from ganworks.training.lookahead import loss_after

STEPS = 7
SMALL = {
    "generator.width": 8,
    "discriminator.width": 8,
    "latent.size": 4,
    "batch": 8,
    "average.half_life": 100.0,
    "generator.betas": [0.5, 0.9],  # with β₁ = 0, as some papers have it, the first moment would be redundant
    "discriminator.betas": [0.5, 0.9],
}
SMALL_OF = {
    # Narrower bounds let the slopes of all eight units agree on every sample, and their biases cancel.
    "wgan": {"turns.eager": 3, "turns.discriminator": 2, "objective.clip": 0.5},
    "unrolled": {"turns.unroll": 2},
}
"""Fewer updates for systems that make many."""
OF_SAMPLES = {
    # An imagined update would need the other half's gradient too: a look-ahead is for one process.
    "unrolled": {"turns.unroll": 0},
    # And so would a mean over the batch: see `WHOLE`.
    "semisupervised": {"objective.feature_matching": 0.0},
}
"""What is left out where two halves of a batch are to make a whole."""
CASES = [(name, kind) for name in systems.names() for kind in ("points", "images") if kind in systems.get(name).accepts]
everywhere = pytest.mark.parametrize(("name", "kind"), CASES, ids=[f"{name}-{kind}" for name, kind in CASES])

REDUNDANT = ("num_batches_tracked",)
"""Saved tensors that no later step reads: with a fixed momentum batch norm ignores how many batches it has seen."""


def data(kind: str) -> DataSet:
    random = generator(0, "house")
    x = (
        torch.randn(64, 2, generator=random)
        if kind == "points"
        else torch.rand(64, 1, 16, 16, generator=random) * 2 - 1
    )
    return datasets.open({"x": x, "label": torch.arange(64) % 4})


def engine(name: str, kind: str, rows: slice | None = None, **settings) -> Engine:
    rows_of = data(kind)
    made = systems.get(name)
    small = fit(made.Settings, nested({**SMALL, **SMALL_OF.get(name, {}), **settings}))
    torch.manual_seed(1)
    system = made(build(made.Settings, made.suited(rows_of.spec), small), rows_of.spec)
    if kind == "images":
        system = system.to(memory_format=torch.channels_last)
    rows_of.columns["x"] = rows_of.columns["x"].to(torch.get_default_dtype())
    torch.manual_seed(2)
    system.prepare(rows_of)
    return Engine(system, rows_of, seed=3, steps=STEPS, rows=rows)


def played(name: str, kind: str, cut: int | None = None, change=None, **settings) -> dict[str, Tensor]:
    """The state after all steps, perhaps interrupted, perhaps with a fault put into what was saved."""
    playing = engine(name, kind, **settings)
    while playing.step < STEPS:
        if playing.step == cut:
            cut = None  # a fault in the step counter leads past here again
            state = playing.state()
            if change is not None:
                change(state)
            playing = resumed(state, name, kind, **settings)
        playing.round()
        torch.rand(1)  # whoever draws between rounds must not matter
        playing.system.eval() and sample(for_sampling(playing.system, playing.average, 0), 3, 0)
        playing.system.train()
    return playing.state()


def resumed(state: dict[str, Tensor], name: str, kind: str, **settings) -> Engine:
    """An engine that knows nothing but a state, as in a fresh process."""
    torch.manual_seed(99)  # which starts from another state of the default generator
    playing = engine(name, kind, **settings)
    for parameter in playing.system.parameters():
        nn.init.normal_(parameter)  # nothing may survive from the initial weights
    playing.load(state)
    return playing


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@everywhere
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_resumes_to_the_same_bits(name, kind, cut):
    assert differing(played(name, kind), played(name, kind, cut)) == []


@everywhere
def test_everything_saved_is_needed(name, kind):
    everything_saved_is_needed(name, kind)


def everything_saved_is_needed(name: str, kind: str, **settings) -> None:
    """Each saved tensor set to zero must change what follows."""
    playing = engine(name, kind, **settings)
    while playing.step < 3:
        playing.round()
    saved = playing.state()
    whole = two_more_rounds(playing)
    # A last bias may have a gradient of exactly zero (the Wasserstein and the relativistic losses ignore a constant).
    moved = [each for each, tensor in saved.items() if tensor.any() and not each.endswith(REDUNDANT)]
    # One run per tensor is the proof; groups of tensors of one sort are checked by one of them to keep it quick.
    sorts: dict[str, str] = {}
    for each in moved:
        group, rest = each.split("/", 1)
        slot = rest.rsplit(".", 1)[-1]
        sorts.setdefault(f"{group} {rest.split('.')[0].split('/')[-1]} {slot}", each)
    for each in sorts.values():
        state = {**saved, each: torch.zeros_like(saved[each])}
        assert differing(whole, two_more_rounds(resumed(state, name, kind, **settings))), f"nothing depends on {each}"


def two_more_rounds(playing: Engine) -> dict[str, Tensor]:
    for _ in range(2):
        playing.round()
    return playing.state()


REMEDIES = {
    "r1, r2": {"objective.r1": 0.5, "objective.r2": 0.5},
    "lazy": {"objective.r1": 0.5, "objective.every": 2},
    "finite difference": {"objective.r1": 0.5, "objective.r2": 0.5, "objective.finite_difference": 0.1},
    "gradient penalty": {"objective.gradient_penalty": 1.0},
    "dragan": {"objective.dragan": 1.0},
    "roth": {"objective.roth": {"from": 2.0, "to": 0.02, "shape": "exponential"}},
    "lecam": {"objective.lecam": 0.3},
    "consistency": {"objective.consistency": 1.0},
    "orthogonal": {"objective.orthogonal": 0.1},
    "feature matching": {"objective.feature_matching": 1.0},
    "clipping": {"objective.clip": 0.5},
    "smoothing": {"objective.real_target": 0.9},
    "flipping": {"objective.flip": 0.3},
    "replay": {"view.replay": 12},
    "annealed noise": {"view.noise": {"from": 0.5, "to": 0.0}},
    "packing": {"view.pack": 2},
    "spectral norm": {"discriminator.spectral_norm": True, "generator.spectral_norm": True},
    "simultaneous": {"turns.simultaneous": True},
    "two and three": {"turns.discriminator": 3, "turns.generator": 2},
    "epochs": {"turns.unit": "epochs"},
    "look-ahead": {"turns.unroll": 2},
    "uniform": {"latent.prior": "uniform"},
    "bf16": {"precision": "bf16"},
    "bf16, lazy": {"precision": "bf16", "objective.r1": 0.5, "objective.every": 2},
}
KEPT = ("lecam", "replay", "spectral norm")
"""Remedies that have something of their own to save."""
WHOLE = {"dragan", "lecam", "feature matching", "replay", "epochs", "look-ahead", "bf16", "bf16, lazy"}
"""Remedies that look at a whole batch: its deviation, its means, its fakes. And bf16 rounds halves of it otherwise."""
remedies = pytest.mark.parametrize("remedy", REMEDIES)


@remedies
@pytest.mark.parametrize(("name", "kind"), [("gan", "points"), ("dcgan", "images")], ids=["points", "images"])
def test_every_remedy_resumes_to_the_same_bits_and_changes_the_game(name, kind, remedy):
    whole = played(name, kind, **REMEDIES[remedy])
    assert differing(whole, played(name, kind, 3, **REMEDIES[remedy])) == []
    plain = played(name, kind)
    assert whole.keys() != plain.keys() or differing(whole, plain)


@pytest.mark.parametrize("remedy", KEPT)
def test_every_remedy_needs_what_it_saves(remedy):
    before, after = engine("gan", "points").state(), engine("gan", "points", **REMEDIES[remedy]).state()
    assert after.keys() - before.keys()
    everything_saved_is_needed("gan", "points", **REMEDIES[remedy])


@pytest.mark.parametrize("remedy", sorted(set(REMEDIES) - WHOLE))
def test_halves_of_a_batch_agree_with_every_remedy_of_samples(remedy):
    halves_agree("gan", "points", **REMEDIES[remedy])


@everywhere
def test_state_shares_no_memory(name, kind):
    playing = engine(name, kind)
    playing.round()
    places = [tensor.untyped_storage().data_ptr() for tensor in playing.state().values()]
    assert len(set(places)) == len(places)


@everywhere
def test_a_player_gets_gradients_for_all_its_own_weights_and_no_others(name, kind):
    playing = engine(name, kind)
    reached: dict[str, set[str]] = {player: set() for player in playing.players}
    for _ in range(STEPS):
        playing.round()
    system = playing.system
    mine = {player: owned(system, each) for player, each in playing.players.items()}
    for phase in system.phases():
        playing.round_.begin(playing.step, phase.name, 0.0)
        system.begin(playing.round_)
        for turn in phase.turns:
            for update in range(8):  # lazy penalties are due once in 8
                playing.round_.begin_update(turn.player, update, shared=phase.simultaneous)
                for mover in playing.movers.values():
                    mover.flat.fill_(0.0)
                playing._backward(playing.players[turn.player], turn, retain=True)
                for player, mover in playing.movers.items():
                    if player != turn.player:
                        assert not mover.flat.any(), f"{turn.player}'s turn left a gradient on {player}'s weights"
                reached[turn.player] |= {each for each, weight in mine[turn.player].items() if weight.grad.any()}
    for player, weights in mine.items():
        missing = set(weights) - reached[player]
        # D's last bias cancels in a difference of logits.
        assert missing <= {"discriminator.head.bias"}, f"no gradient ever reached {missing}"
    frozen = [p for n, p in system.named_parameters() if not any(n in weights for weights in mine.values())]
    assert all(not p.requires_grad for p in frozen)


@everywhere
def test_two_halves_give_the_gradients_of_the_whole(name, kind):
    halves_agree(name, kind, **OF_SAMPLES.get(name, {}))


def halves_agree(name: str, kind: str, **settings) -> None:
    whole, *parts = (engine(name, kind, rows=rows, **settings) for rows in (None, slice(0, 4), slice(4, 8)))
    for playing in (whole, *parts):
        for module in playing.system.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()  # its statistics are the one thing that halves cannot have on their own
        playing.round_.begin(0, "game", 0.0)
    for turn in whole.system.phases()[0].turns:
        gradients = []
        for playing in (whole, *parts):
            playing.round_.begin_update(turn.player, 7, shared=True)
            playing._backward(playing.players[turn.player], turn, retain=True)
            gradients.append(playing.movers[turn.player].flat.clone())
        difference = (gradients[1] + gradients[2]) / 2 - gradients[0]
        assert gradients[0].norm() > 0
        assert difference.norm() / gradients[0].norm() < 1e-5


@everywhere
def test_settings_survive_a_file(name, kind, tmp_path):
    from ganworks.settings import read

    made = systems.get(name)
    settings = build(made.Settings, made.suited(data(kind).spec))
    path = tmp_path / "settings.toml"
    path.write_text(dump(settings))
    assert build(made.Settings, read(path)) == settings


@everywhere
def test_ten_samples_are_the_head_of_sixty_four(name, kind):
    playing = engine(name, kind)
    playing.round()
    still = for_sampling(playing.system, playing.average, 0)
    many = sample(still, 64, 5)["x"]
    for count in (1, 10, 33):
        assert torch.equal(sample(still, count, 5)["x"], many[:count])
    assert not torch.equal(sample(still, 10, 6)["x"], many[:10])
    assert torch.equal(sample(for_sampling(playing.system, playing.average, 0), 64, 5)["x"], many)


@everywhere
def test_sampling_leaves_no_trace(name, kind):
    playing = engine(name, kind)
    playing.round()
    before, random = playing.state(), torch.get_rng_state()
    sample(for_sampling(playing.system, playing.average, 0), 5, 0)
    assert differing(before, playing.state()) == []
    assert torch.equal(random, torch.get_rng_state())
    assert playing.system.training


@everywhere
def test_a_batch_that_is_not_finite_changes_nothing_that_after_owns(name, kind):
    playing = engine(name, kind)
    playing.round()
    before = copy.deepcopy(playing.state())
    playing._data.columns["x"] = torch.full_like(playing._data.columns["x"], float("nan"))
    with pytest.raises(TrainingError, match=r"E-TRAIN-01.* step 2") as caught:
        playing.round()
    assert "discriminator" in str(caught.value)
    norms = ("running_mean", "running_var", "num_batches_tracked", ".u")  # the one kind of layer that writes in forward
    changed = [each for each in differing(before, playing.state()) if not each.endswith(norms)]
    assert changed == ["counter/reads"]


@everywhere
def test_a_value_made_once_does_not_depend_on_players_it_does_not_use(name, kind):
    values = []
    for scale in (1.0, 2.0):
        playing = engine(name, kind)
        playing.round_.begin(0, "game", 0.0)
        with torch.no_grad():
            for parameter in playing.system.discriminator.parameters():
                parameter.mul_(scale)
        playing.round_.begin_update("discriminator", 0)
        playing.players["discriminator"].loss(playing.round_)
        values.append([value for value, uses in playing.round_._once.values() if "discriminator" not in uses])
    for one, other in zip(*values, strict=True):
        assert torch.equal(one, other)


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


AHEAD = [(name, rule) for name in ("gan", "wgan_gp") for rule in ("sgd", "adam", "rmsprop")]
AHEAD += [(name, "adam") for name in ("r3gan", "lsgan", "wgan", "unrolled", "conditional", "semisupervised")]
"""Not `sngan`: no gradient flows through its singular vectors, by definition, but a finite difference moves them."""


@pytest.mark.parametrize(("name", "rule"), AHEAD)
def test_a_look_ahead_agrees_with_a_finite_difference(double_precision, name, rule):
    """dL_G/dθ_G through the whole inner loop, against central differences of it, in float64."""
    settings = {
        "discriminator.optimizer": rule,
        "discriminator.lr": 0.05,
        "latent.size": 3,
        "turns.simultaneous": False,
    }
    playing = engine(name, "points", **settings)
    system, (d, g) = playing.system, playing.system.players()

    def loss() -> Tensor:
        playing.round_.begin(0, "game", 0.0)
        playing.round_.begin_update("generator", 0)
        playing.reads = 0
        return sum(loss_after(system, g, d, playing.round_, 3, 0).values())

    weight = [each for each in system.generator.parameters() if each.dim() == 2][-1]
    (exact,) = torch.autograd.grad(loss(), weight)
    direction = torch.randn(weight.shape, generator=generator(0, "direction"))
    slopes = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(direction, alpha=sign * 1e-5)
        slopes.append(loss().item())
        with torch.no_grad():
            weight.sub_(direction, alpha=sign * 1e-5)
    measured = (slopes[0] - slopes[1]) / 2e-5
    expected = (exact * direction).sum().item()
    assert abs(measured - expected) <= 1e-4 * abs(expected)


def test_a_look_ahead_moves_nothing_of_the_opponent():
    playing = engine("gan", "points", **{"turns.unroll": 3})
    playing.round_.begin(0, "game", 0.0)
    before = playing.state()
    playing.round_.begin_update("generator", 0)
    loss_after(playing.system, playing.players["generator"], playing.players["discriminator"], playing.round_, 3, 0)
    changed = differing(before, playing.state())
    assert changed == ["counter/reads"]
    assert (
        differing(played("gan", "points", **{"turns.unroll": 3}), played("gan", "points", 3, **{"turns.unroll": 3}))
        == []
    )


def test_a_look_ahead_is_more_than_a_detached_one(double_precision):
    """The second-order term is there: with D's steps taken as constants the gradient is another."""
    playing = engine("gan", "points", **{"discriminator.optimizer": "sgd", "discriminator.lr": 0.5})
    system, (d, g) = playing.system, playing.system.players()

    def gradient() -> Tensor:
        playing.round_.begin(0, "game", 0.0)
        playing.round_.begin_update("generator", 0)
        playing.reads = 0
        loss = sum(loss_after(system, g, d, playing.round_, 3, 0).values())
        return torch.autograd.grad(loss, system.generator.head.weight)[0]

    whole, hold = gradient(), Round.hold
    Round.hold = lambda self, tensor: tensor.detach()  # the classic mistake
    try:
        detached = gradient()
    finally:
        Round.hold = hold
    assert (whole - detached).norm() > 1e-3 * whole.norm()


class TwoPhases(System):
    """A pretraining of G on its own, then the game: phases, a fresh optimizer, a buffer that `after` writes."""

    name, paper, accepts, gives = "two_phases", "none", ("points",), "points"
    Settings = systems.get("gan").Settings

    def __init__(self, settings, data):
        super().__init__(settings, data)
        self.generator, self.discriminator = nn.Linear(4, 2), nn.Linear(2, 1)
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("level", torch.zeros(()))

    def players(self):
        return (
            Player("generator", ("generator",), self.generator_loss, self.settings.generator, self.remember),
            Player("discriminator", ("discriminator",), self.discriminator_loss, self.settings.discriminator),
        )

    def phases(self):
        both = (Turn("discriminator"), Turn("generator"))
        return (
            Phase("content", (Turn("generator"),), share=0.4),
            Phase("game", both, fresh=("generator",)),
        )

    def begin(self, round):
        self.level.fill_(round.phase_progress)

    def fake(self, round):
        return self.generator(round.random.normal("z", 4)) * (1 + self.level)

    def generator_loss(self, round):
        fake = self.fake(round)
        round.notes["mean"] = fake.detach().mean(0)
        if round.phase == "content":
            return {"content": (fake - round.real["x"] - self.mean).square().mean()}
        return {"adversarial": -self.discriminator(fake).mean(), "mean": (fake - self.mean).square().mean()}

    def remember(self, round):
        self.mean.lerp_(round.notes["mean"], 0.5)

    def discriminator_loss(self, round):
        real, fake = self.discriminator(round.real["x"]), self.discriminator(round.hold(self.fake(round)))
        return {"adversarial": fake.mean() - real.mean()}

    def generate(self, count, random, **given):
        from ganworks.data.spec import Batch

        return Batch({"x": self.generator(random.normal("z", 4)) * (1 + self.level)})


@pytest.fixture
def two_phases(monkeypatch):
    known = systems.get
    monkeypatch.setattr(systems, "get", lambda name: TwoPhases if name == "two_phases" else known(name))


@pytest.mark.parametrize("cut", range(1, STEPS))
def test_phases_resume_at_their_boundaries_too(two_phases, cut):
    assert differing(played("two_phases", "points"), played("two_phases", "points", cut)) == []


@pytest.mark.parametrize("lost", ["system/mean", "optimizer/generator/generator.weight.exp_avg", "counter/reads"])
def test_phases_need_what_they_save(two_phases, lost):
    changed = played("two_phases", "points", 5, lambda state: state[lost].zero_())
    assert differing(played("two_phases", "points"), changed)


def test_a_fresh_optimizer_starts_at_its_phase(two_phases):
    playing = engine("two_phases", "points")
    counts = []
    for _ in range(STEPS):
        playing.round()
        counts.append(int(playing.state()["optimizer/generator/step"]))
    assert counts == [1, 2, 3, 1, 2, 3, 4]


def test_systems_and_files_agree():
    from pathlib import Path

    folder = Path(systems.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == set(systems.names())
    assert all(systems.get(name).name == name for name in files)
