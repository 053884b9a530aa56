"""K+1 classes and feature matching: the loss is the one of the paper, few labels are told, and they are enough."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganworks import data as datasets
from ganworks import losses
from ganworks.data.dataset import DataSet
from ganworks.errors import UsageError
from ganworks.gan import GAN
from ganworks.random import generator
from ganworks.settings import build, nested
from ganworks.systems.semisupervised import Discriminator, Noise, SemiSupervised, WeightNormed, balanced
from ganworks.training.average import for_sampling
from ganworks.training.engine import Engine

SMALL = {"generator.width": 8, "discriminator.width": 16, "latent.size": 4, "batch": 8, "labelled": 8}


def data(kind: str = "points") -> DataSet:
    """64 rows of four classes of unequal size: 32, 16, 8, 8."""
    shape = (2,) if kind == "points" else (1, 16, 16)
    x = torch.rand(64, *shape, generator=generator(0, "semisupervised")) * 2 - 1
    return datasets.open({"x": x, "label": torch.tensor([0, 0, 0, 0, 1, 1, 2, 3]).repeat(8)})


def engine(kind: str = "points", rows: DataSet | None = None, prepared: int = 2, **settings: object) -> Engine:
    rows = rows or data(kind)
    torch.manual_seed(1)
    given = build(SemiSupervised.Settings, SemiSupervised.suited(rows.spec), nested({**SMALL, **settings}))
    assert isinstance(given, SemiSupervised.Settings)
    system = SemiSupervised(given, rows.spec)
    torch.manual_seed(prepared)
    system.prepare(rows)
    return Engine(system, rows, seed=3, steps=10)


def system_of(playing: Engine) -> SemiSupervised:
    assert isinstance(playing.system, SemiSupervised)
    return playing.system


@pytest.fixture
def still() -> tuple[SemiSupervised, Engine]:
    """A system without noise, in float64, at the start of D's update."""
    playing = engine()
    system = system_of(playing).double().eval()
    real = {name: t.double() if t.is_floating_point() else t for name, t in playing._read().items()}
    playing.round_.begin(0, "game", 0.0)
    playing.round_.begin_update("discriminator", 0)
    playing.round_._real = datasets.Batch(real)
    playing.round_._once["fake"] = (torch.rand(8, 2, dtype=torch.float64, generator=generator(0, "fake")), frozenset())
    return system, playing


# The loss


def test_d_minimises_the_cross_entropy_of_k_plus_one_classes(still: tuple[SemiSupervised, Engine]) -> None:
    """With the last logit at 0: -log p(y|x, real) of the told, -½ log p(not K+1|x), -½ log p(K+1|G)."""
    system, playing = still
    terms = system.discriminator_loss(playing.round_)
    real, fake = playing.round_.real, system.fake(playing.round_)["x"]

    def log_p(x: Tensor) -> Tensor:
        logits = system.discriminator.classes(x)
        return torch.cat([logits, logits.new_zeros(len(x), 1)], 1).log_softmax(1)

    told, label = log_p(real["labelled_x"]), real["labelled_label"]
    given_real = told[:, :4].gather(1, label[:, None])[:, 0] - torch.log(-torch.expm1(told[:, 4]))
    assert terms["supervised"].item() == pytest.approx(-given_real.mean().item(), rel=1e-12)
    found_out = torch.log(-torch.expm1(log_p(real["x"])[:, 4])).mean() + log_p(fake)[:, 4].mean()
    assert terms["adversarial"].item() == pytest.approx(-found_out.item() / 2, rel=1e-12)
    assert set(terms) == {"supervised", "adversarial"}


def test_z_is_the_logit_of_all_classes_together() -> None:
    discriminator = Discriminator((2,), [8], 3, (0.0, 0.0)).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    odds = discriminator.classes(x).exp().sum(1)
    assert torch.allclose(torch.sigmoid(discriminator(x)), odds / (odds + 1), rtol=1e-12)


def test_g_matches_means_and_not_samples(still: tuple[SemiSupervised, Engine]) -> None:
    system, playing = still
    real = playing.round_.real
    before = system.generator_loss(playing.round_)["feature_matching"]
    φ, ψ = (system.discriminator.features(x).detach() for x in (real["x"], system.fake(playing.round_)["x"]))
    distance = sum((φ[:, unit].mean() - ψ[:, unit].mean()) ** 2 for unit in range(φ.shape[1]))
    assert before.item() == pytest.approx(float(distance), rel=1e-9)
    playing.round_._real = datasets.Batch({**real, "x": real["x"].flip(0)})
    assert system.generator_loss(playing.round_)["feature_matching"].item() == pytest.approx(before.item(), rel=1e-9)
    playing.round_._real = datasets.Batch({**real, "x": system.fake(playing.round_)["x"].roll(3, 0)})
    assert system.generator_loss(playing.round_)["feature_matching"].item() == pytest.approx(0.0, abs=1e-20)


def test_without_feature_matching_g_plays_the_adversarial_game(still: tuple[SemiSupervised, Engine]) -> None:
    _, playing = still
    other = engine(**{"objective.feature_matching": 0.0})
    system = system_of(other).double().eval()
    system.load_state_dict(system_of(playing).state_dict())
    terms = system.generator_loss(playing.round_)
    expected = losses.get("non_saturating").generator(system.discriminator(system.fake(playing.round_)["x"]))
    assert terms.keys() == {"adversarial"}
    assert terms["adversarial"].item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_penalties_are_those_of_z_and_keep_their_weight() -> None:
    values = []
    for weight in (1.0, 2.0):
        playing = engine(**{"objective.r1": weight})
        values.append(playing.round()["discriminator.r1"].item())
    assert values[0] > 0
    assert values[1] == pytest.approx(2 * values[0], rel=1e-6)


# What is told


def test_labelled_rows_are_even_over_the_classes_as_far_as_they_go() -> None:
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 3 + [4])

    def counts(count: int) -> list[int]:
        rows = balanced(labels, count)
        assert len(rows.unique()) == count
        return torch.bincount(labels[rows], minlength=5).tolist()

    assert counts(4) == [1, 1, 1, 0, 1]
    assert counts(24) == [10, 10, 3, 0, 1]
    assert counts(84) == [50, 30, 3, 0, 1]
    assert sorted(counts(6)) == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(("asked", "told"), [(8, 8), (0, 64), (1000, 64)])
def test_so_many_rows_are_told(asked: int, told: int) -> None:
    assert len(system_of(engine(labelled=asked)).labelled_rows.unique()) == told


def test_other_draws_tell_other_rows() -> None:
    one, same, other = (system_of(engine(prepared=seed)).labelled_rows for seed in (2, 2, 5))
    assert torch.equal(one, same)
    assert not torch.equal(one.sort().values, other.sort().values)


def test_a_resume_tells_the_same_rows() -> None:
    first = engine()
    told = {int(row) for row in system_of(first).labelled_rows}
    second = engine(prepared=5)
    second.load(first.state())
    assert {int(row) for row in system_of(second).labelled_rows} == told
    for playing in (first, second):
        seen = playing._read()
        table = playing._data.rows(system_of(first).labelled_rows)
        encoded = playing.system.data.encode(table["x"])
        for x, label in zip(seen["labelled_x"], seen["labelled_label"], strict=True):
            (row,) = torch.where((encoded == x).all(1))
            assert table["label"][row[0]] == label


@pytest.mark.parametrize("kind", ["points", "images"])
def test_no_other_label_has_any_influence(kind: str) -> None:
    states = []
    for hidden in (False, True):
        rows = data(kind)
        playing = engine(kind, rows)
        if hidden:
            others = torch.ones(64, dtype=torch.bool)
            others[system_of(playing).labelled_rows] = False
            rows.columns["label"] = rows.columns["label"].masked_fill(others, 3)
        for _ in range(3):
            playing.round()
        states.append(playing.state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_every_batch_tells_all_of_few_rows_equally_often() -> None:
    playing = engine(batch=16)
    seen = playing._read()["labelled_x"]
    assert all(int((seen == x).all(1).sum()) == 2 for x in seen)


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ({}, {}, "needs data with labels"),
        ({"label": torch.arange(64) % 2}, {"view.pack": 2}, "a pack of samples has no class"),
    ],
)
def test_what_cannot_be_meant_is_refused(columns: dict[str, Tensor], settings: dict[str, int], message: str) -> None:
    rows = datasets.open({"x": torch.randn(64, 2), **columns})
    with pytest.raises(UsageError, match=f"E-SET-02.*{message}"):
        engine(rows=rows, **settings)


# The networks


def test_noise_is_for_training_only() -> None:
    noise, x = Noise(0.5), torch.zeros(1000, 20)
    assert noise(x).std().item() == pytest.approx(0.5, rel=0.02)
    assert torch.equal(noise.eval()(x), x)


def test_rows_keep_their_lengths() -> None:
    layer = WeightNormed(6, 4)
    x = torch.randn(9, 6)
    rows = layer.gain[:, None] * F.normalize(layer.weight, dim=1)
    assert torch.allclose(layer(x), x @ rows.T + layer.bias, atol=1e-6)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([[0.1], [1.0], [10.0], [100.0]]))
    assert torch.allclose(layer(x), before, atol=1e-5)


def test_first_outputs_have_mean_zero_and_deviation_one() -> None:
    discriminator = Discriminator((1, 8, 8), [32, 16], 3, (0.0, 0.0), scale=0.5, shift=0.5)
    x = torch.rand(200, 1, 8, 8, generator=generator(0, "settle")) * 2 - 1
    discriminator.settle(x)
    y = x.flatten(1) / 2 + 0.5
    for part in discriminator.body:
        y = part(y)
        if isinstance(part, WeightNormed):
            assert torch.allclose(y.mean(0), torch.zeros(y.shape[1]), atol=1e-4)
            assert torch.allclose(y.std(0), torch.ones(y.shape[1]), atol=1e-3)


# The classifier


def test_classify_is_without_noise_and_leaves_no_trace() -> None:
    playing = engine()
    playing.round()
    system, x = system_of(playing), playing._data.rows(torch.arange(20))["x"]
    before, random = playing.state(), torch.get_rng_state()
    first = system.classify(x)
    assert first.shape == (20, 4)
    assert torch.equal(first, system.classify(x))
    assert system.discriminator.training
    assert all(torch.equal(before[name], after) for name, after in playing.state().items())
    assert torch.equal(random, torch.get_rng_state())


def test_the_copy_for_sampling_classifies_with_the_averaged_weights() -> None:
    playing = engine()
    for _ in range(5):
        playing.round()
    copy = for_sampling(playing.system, playing.average, 0)
    assert isinstance(copy, SemiSupervised)
    x = playing._data.rows(torch.arange(20))["x"]
    averaged = playing.average.networks["discriminator"]
    assert isinstance(averaged, Discriminator)
    assert torch.equal(copy.classify(x), averaged.classes(playing.system.data.encode(x)))
    assert not torch.equal(copy.classify(x), system_of(playing).classify(x))


def test_one_label_for_each_mode_of_the_ring_is_enough() -> None:
    gan = GAN("semisupervised", labelled=8)
    gan.start("ring", seed=0, steps=60)
    for _ in range(60):
        gan.round()
    assert isinstance(gan.system, SemiSupervised)
    fresh = datasets.open("ring").fresh(2000, 0)
    right = gan.classify(fresh["x"]).argmax(1) == fresh["label"]
    assert right.double().mean() > 0.99


def test_a_system_without_a_classifier_says_so() -> None:
    gan = GAN("gan").start("ring", steps=1)
    with pytest.raises(UsageError, match="gan does not classify"):
        gan.classify(torch.zeros(2, 2))
