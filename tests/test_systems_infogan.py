"""InfoGAN: what the bound is, whom it moves, and that a code can be asked for and read again."""

import math
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments import infogan as experiment
from ganworks import data as datasets
from ganworks.data.dataset import DataSet
from ganworks.errors import UsageError
from ganworks.game import owned
from ganworks.gan import GAN
from ganworks.random import generator
from ganworks.settings import build, nested
from ganworks.systems.infogan import InfoGAN
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine

SMALL = {"generator.width": 8, "discriminator.width": 8, "latent.size": 4, "batch": 8}
PAPER = {"objective.loss": "non_saturating", "objective.r1": 0.0, "objective.r2": 0.0}
KINDS = {"points": (2,), "images": (1, 16, 16)}


def data(shape: tuple[int, ...]) -> DataSet:
    return datasets.open({"x": torch.rand(64, *shape, generator=generator(0, "infogan")) * 2 - 1})


def engine(shape: tuple[int, ...] = (2,), **settings: object) -> Engine:
    rows = data(shape)
    torch.manual_seed(1)
    given = build(InfoGAN.Settings, InfoGAN.suited(rows.spec), nested({**SMALL, **settings}))
    assert isinstance(given, InfoGAN.Settings)
    return Engine(InfoGAN(given, rows.spec), rows, seed=3, steps=10)


def turned(playing: Engine, player: str) -> InfoGAN:
    """The system at the beginning of a player's update."""
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update(player, 0)
    assert isinstance(playing.system, InfoGAN)
    return playing.system


def made(**settings: object) -> InfoGAN:
    system = engine(**settings).system
    assert isinstance(system, InfoGAN)
    return system


# The bound


def test_a_q_that_knows_the_code_reaches_its_entropy_and_one_that_knows_nothing_zero() -> None:
    system = made(categorical=[4, 3], continuous=0)
    first, second = torch.tensor([0, 3, 1, 2, 2]), torch.tensor([2, 0, 0, 1, 2])
    codes = torch.cat([F.one_hot(first, 4), F.one_hot(second, 3)], 1).float()
    assert system.categorical_bound(100 * codes, codes).item() == pytest.approx(math.log(4) + math.log(3), abs=1e-5)
    assert system.categorical_bound(torch.zeros(5, 7), codes).item() == pytest.approx(0, abs=1e-6)
    assert system.categorical_bound(-100 * codes, codes).item() < -10


def test_the_bound_of_a_continuous_code_by_hand() -> None:
    """log N(c; μ, σ²) + log 2, summed over the codes, for one sample; codes of U[-1, 1) have the density ½."""
    system = made(categorical=[], continuous=2)
    c, mean, std = (0.5, -0.25), (0.25, 0.5), (0.5, 2.0)
    expected = sum(
        math.log(2) - math.log(s * math.sqrt(2 * math.pi)) - (x - m) ** 2 / (2 * s * s)
        for x, m, s in zip(c, mean, std, strict=True)
    )
    told = torch.tensor([[*mean, *(math.log(s - 0.1) for s in std)]])  # σ is 0.1 and an exp
    assert system.continuous_bound(told, torch.tensor([c])).item() == pytest.approx(expected, rel=1e-6)


def information(s: float) -> float:
    """I(c; c + N(0, s²)) with c of U[-1, 1): the entropy of the sum less that of the noise, by quadrature."""
    x = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    density = (torch.special.ndtr((x + 1) / s) - torch.special.ndtr((x - 1) / s)) / 2
    return float(-torch.special.xlogy(density, density).sum() * 1e-4) - math.log(s * math.sqrt(2 * math.pi * math.e))


def test_the_bound_of_a_continuous_code_stays_below_the_information() -> None:
    """Of x = c + N(0, s²) a Gaussian Q with μ = x reaches log 2 - log(s √(2πe)) nats, at σ = s."""
    system, s = made(categorical=[], continuous=1), 0.25
    draw = torch.Generator().manual_seed(0)
    c = torch.rand(100_000, 1, generator=draw) * 2 - 1
    x = c + s * torch.randn(100_000, 1, generator=draw)
    reached = math.log(2) - math.log(s * math.sqrt(2 * math.pi * math.e))
    assert reached < information(s)
    for std, worse in ((s, 0.0), (0.5 * s, math.log(0.5) + 2 - 0.5), (2 * s, math.log(2) + 1 / 8 - 0.5)):
        told = torch.cat([x, torch.full_like(x, math.log(std - 0.1))], 1)
        assert system.continuous_bound(told, c).item() == pytest.approx(reached - worse, abs=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_both_players_lose_the_bound_with_its_weight(kind: str) -> None:
    """Each term is -λ times the bound of what Q says of the fakes of the update, the codes being theirs."""
    weights = {"information": 0.5, "information_continuous": 0.25, "view.shift": 0.0}
    playing = engine(KINDS[kind], **weights)
    for player in ("discriminator", "generator"):
        system = turned(playing, player)
        start = system.started(playing.round_)
        told = system.discriminator.recognise(system.generator(start))
        codes = start[:, 4:]
        terms = system.roster[player].loss(playing.round_)
        expected = -0.5 * system.categorical_bound(told, codes)
        assert terms["information"].item() == pytest.approx(expected.item(), rel=1e-4)
        expected = -0.25 * system.continuous_bound(told, codes)
        assert terms["information_continuous"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(("weights", "expected"), [((0.0, 0.0), set()), ((0.0, 1.0), {"information_continuous"})])
def test_a_weight_of_zero_switches_a_bound_off(weights: tuple[float, float], expected: set[str]) -> None:
    playing = engine(information=weights[0], information_continuous=weights[1])
    terms = turned(playing, "generator").generator_loss(playing.round_)
    assert terms.keys() - {"adversarial"} == expected


# Who is moved


def gradients(playing: Engine, player: str, term: str) -> dict[str, Tensor]:
    system = turned(playing, player)
    mine = owned(system, playing.players[player])
    terms = system.roster[player].loss(playing.round_)
    slopes = torch.autograd.grad(terms[term], list(mine.values()), allow_unused=True)
    return {name: slope for name, slope in zip(mine, slopes, strict=True) if slope is not None and slope.any()}


@pytest.mark.parametrize("kind", KINDS)
def test_information_moves_q_and_the_layers_that_it_shares_with_d_but_not_ds_head(kind: str) -> None:
    moved = {name.split(".")[1] for name in gradients(engine(KINDS[kind]), "discriminator", "information")}
    assert moved == {"trunk", "recognition"}


@pytest.mark.parametrize("kind", KINDS)
def test_information_moves_g_too_and_the_adversarial_term_does_not_move_q(kind: str) -> None:
    """The classic mistake: only Q learns, and G has no reason to keep the code in its samples."""
    playing = engine(KINDS[kind])
    moved = gradients(playing, "generator", "information")
    assert moved.keys() == owned(playing.system, playing.players["generator"]).keys()
    assert not any("recognition" in name for name in gradients(playing, "discriminator", "adversarial"))


def test_the_codes_are_those_of_the_fakes_that_d_has_seen() -> None:
    """Codes drawn anew for Q would tell it nothing, and no error would say so."""
    playing = engine(**{"batch": 64})
    system = turned(playing, "discriminator")
    before = system.started(playing.round_), system.fake(playing.round_)["x"]
    playing.round_.end_update("discriminator")
    playing.round_.begin_update("generator", 0)
    assert torch.equal(before[0], system.started(playing.round_))
    assert torch.equal(before[1], system.fake(playing.round_)["x"])
    assert torch.equal(before[1], system.generator(before[0]))
    playing.round_.begin(1, "game", 0.0)
    playing.round_.begin_update("discriminator", 1)
    assert not torch.equal(before[0], system.started(playing.round_))


def test_codes_are_drawn_evenly() -> None:
    start = turned(engine(categorical=[4], continuous=1, batch=4096), "discriminator").start(
        engine(batch=4096).round_.random
    )
    shares, continuous = (start[:, 4:8] > 0).double().mean(0), start[:, 8]
    torch.testing.assert_close(
        shares, torch.full((4,), 0.25, dtype=torch.float64), atol=0.03, rtol=0
    )  # 4 standard errors
    assert -1 <= continuous.min() < -0.99 < 0.99 < continuous.max() < 1
    assert set(start[:, 4:8].unique().tolist()) == {0.0, 2.0}  # √4: a mean square of 1


# The networks


@pytest.mark.parametrize(("r1", "norms"), [(0.0, True), (0.1, False)])
def test_a_penalised_d_has_no_batch_norm(r1: float, norms: bool) -> None:
    system = engine((1, 16, 16), **{**PAPER, "objective.r1": r1}).system
    assert (
        any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in system.discriminator.modules()) == norms
    )


def test_table_1_at_its_own_size() -> None:
    """28 × 28: 74 → 1024 → 7 × 7 × 128 → 64 → 1, and 64 → 128 → 1024 → 1 and 128 → codes."""
    rows = data((1, 28, 28))
    system = InfoGAN(InfoGAN.Settings(), rows.spec)
    shapes = {name: tuple(weight.shape) for name, weight in system.named_parameters() if weight.dim() > 1}
    assert sorted(shapes.values()) == sorted([
        (1024, 74), (7 * 7 * 128, 1024), (128, 64, 4, 4), (64, 1, 4, 4),
        (64, 1, 4, 4), (128, 64, 4, 4), (1024, 7 * 7 * 128), (1, 1024), (128, 1024), (14, 128),
    ])  # fmt: skip


def test_the_papers_networks_play_and_resume() -> None:
    one, other = (engine((1, 16, 16), **PAPER) for _ in range(2))
    for _ in range(2):
        one.round()
    other.load(one.state())
    for playing in (one, other):
        assert all(math.isfinite(float(value)) for value in playing.round().values())
    assert all(torch.equal(other.state()[name], tensor) for name, tensor in one.state().items())


def test_256_pixels_by_settings_alone() -> None:
    playing = engine((3, 256, 256), batch=2, **{"generator.width": 2, "discriminator.width": 2})
    assert all(math.isfinite(float(value)) for value in playing.round().values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"view.pack": 2}, "a pack of samples has no code"), ({"categorical": [], "continuous": 0}, "there is no code")],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=rf"E-SET-02.*{message}"):
        engine(**settings)


# Use


def test_a_code_can_be_asked_for() -> None:
    playing = engine(categorical=[3, 2])
    playing.round()
    still = for_sampling(playing.system, playing.average, 0)
    drawn = sample(still, 40, 5)
    assert set(drawn["code"].tolist()) == {0, 1, 2}
    again = sample(still, 40, 5, code=drawn["code"])
    assert torch.equal(drawn["x"], again["x"])
    other = sample(still, 40, 5, code=(drawn["code"] + 1) % 3)
    assert (drawn["x"] != other["x"]).any(1).all()


def test_information_grows() -> None:
    gan = GAN("infogan", **{"batch": 32, "latent.size": 2, "generator.lr": 3e-3, "discriminator.lr": 3e-3})
    gan.start("ring", seed=0, steps=200)
    values = [-gan.round()["generator.information"] for _ in range(100)]
    assert values[0] < 0.1
    assert 0.5 < sum(values[-10:]) / 10 < math.log(8)


def test_wrong_codes_are_refused() -> None:
    gan = GAN("infogan", categorical=[3]).start("ring", steps=1)
    with pytest.raises(UsageError, match="the code has the values 0 to 2"):
        gan.sample(4, code=3)
    with pytest.raises(UsageError, match="`code` is one whole number, or one for each of 4 samples"):
        gan.sample(4, code=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(UsageError, match="conditional takes no code"):
        GAN("conditional").start("ring", steps=1).sample(4, code=1)
    without = GAN("infogan", categorical=[], continuous=1).start("ring", steps=1)
    assert without.draw(4).keys() == {"x"}
    with pytest.raises(UsageError, match="there is no categorical code"):
        without.classify(torch.zeros(2, 2))
    with pytest.raises(UsageError, match="infogan takes no code"):
        without.sample(4, code=1)


def test_the_grid_has_a_column_for_each_value() -> None:
    playing = engine((1, 16, 16))
    assert playing.system.conditions == ("code",)


# The experiment's measures


def test_the_matching_is_the_best_of_all_permutations() -> None:
    draw = torch.Generator().manual_seed(0)
    for _ in range(5):
        code, label = (torch.randint(5, (60,), generator=draw) for _ in range(2))
        best = max(sum(int(p[c] == y) for c, y in zip(code, label, strict=True)) for p in permutations(range(5)))
        assert experiment.matched(code, label, 5) == best / 60
    order = torch.randperm(10, generator=draw)
    label = torch.arange(10).repeat(3)
    assert experiment.matched(order[label], label) == 1
    assert experiment.matched(torch.zeros(30, dtype=torch.int64), label) == pytest.approx(0.1)


def test_k_means_finds_what_is_apart() -> None:
    draw = torch.Generator().manual_seed(0)
    label = torch.arange(4).repeat(50)
    means = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    x = means[label] + 0.1 * torch.randn(200, 2, generator=draw)
    index, inertia = experiment.nearest(x, experiment.k_means(x, 4, draw))
    assert experiment.matched(index, label, 4) == 1
    assert inertia == pytest.approx(2 * 0.01, rel=0.2)
