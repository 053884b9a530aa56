"""The conditional game: the label reaches both players, and comes out with the samples."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganworks import data as datasets
from ganworks import metrics
from ganworks.cli.app import main
from ganworks.data.dataset import DataSet
from ganworks.errors import UsageError
from ganworks.gan import GAN
from ganworks.networks import mlp
from ganworks.networks.projection import Projection
from ganworks.objective import OnePass
from ganworks.random import Streams, generator
from ganworks.settings import build, nested
from ganworks.systems.conditional import Conditional
from ganworks.training.engine import Engine

SMALL = {"generator.width": 8, "discriminator.width": 8, "latent.size": 4, "batch": 8}
KINDS = ["points", "images"]


def data(kind: str) -> DataSet:
    """64 rows of four classes of unequal size: 32, 16, 8, 8."""
    random = generator(0, "conditional")
    shape = (2,) if kind == "points" else (1, 16, 16)
    x = torch.rand(64, *shape, generator=random) * 2 - 1
    label = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3]).repeat(8)
    return datasets.open({"x": x, "label": label})


def engine(kind: str, **settings: object) -> Engine:
    rows = data(kind)
    torch.manual_seed(1)
    given = build(Conditional.Settings, Conditional.suited(rows.spec), nested({**SMALL, **settings}))
    assert isinstance(given, Conditional.Settings)
    return Engine(Conditional(given, rows.spec), rows, seed=3, steps=10)


def samples(playing: Engine, label: Tensor) -> Tensor:
    """Of the same latents, whatever the label."""
    with torch.no_grad():
        return playing.system.generate(len(label), Streams((0, "sample"), len(label)), label=label)["x"]


# The label reaches both players


@pytest.mark.parametrize("kind", KINDS)
def test_another_label_changes_what_d_says(kind: str) -> None:
    playing = engine(kind)
    for _ in range(3):
        playing.round()
    rows = data(kind).rows(torch.arange(64))
    with torch.no_grad():
        said = playing.system.discriminator(rows["x"], rows["label"])
        swapped = playing.system.discriminator(rows["x"], (rows["label"] + 1) % 4)
    # As much as another sample does: an ignored label would change nothing.
    assert (said - swapped).abs().mean() > 0.3 * said.std()


@pytest.mark.parametrize("kind", KINDS)
def test_another_label_changes_the_sample_of_the_same_latent(kind: str) -> None:
    playing = engine(kind)
    for _ in range(3):
        playing.round()
    one, same, other = (samples(playing, torch.full((16,), label)) for label in (1, 1, 2))
    assert torch.equal(one, same)
    assert (one - other).abs().mean() > 0.1 * one.std(0).mean()


def test_d_is_the_sum_of_a_head_and_a_projection() -> None:
    """f(x, y) = head(φ(x)) + ⟨e(y), φ(x)⟩, by hand."""
    network = mlp.Discriminator((2,), 3, 1)
    judge = Projection(network, 4)
    x, label = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([3, 0])
    features = judge.features(x, label)
    rows = judge.embedding.weight[label]
    expected = features @ judge.head.weight[0] + judge.head.bias + (rows * features).sum(1)
    torch.testing.assert_close(judge(x, label), expected)
    with torch.no_grad():
        judge.embedding.weight.zero_()
    assert torch.equal(judge(x, label), judge(x, 3 - label))


# Pairs and packs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("simultaneous", [True, False])
def test_a_pair_has_one_label_in_both_players_turns(kind: str, simultaneous: bool) -> None:
    """Also where G's turn reads a batch of its own: fakes kept from D's turn would have the labels of D's batch."""
    playing = engine(kind, **{"turns.simultaneous": simultaneous})
    system, seen = playing.system, []

    def watch(network: torch.nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        if network.training and len(named["x"]) == 16:  # real and fake in one pass
            seen.append((*named["label"].chunk(2), named["x"].detach()[:8]))

    system.discriminator.register_forward_pre_hook(watch, with_kwargs=True)
    told: list[Tensor] = []
    system.generator.register_forward_pre_hook(lambda network, given: told.append(given[1]))
    for _ in range(3):
        playing.round()
    rows = data(kind).rows(torch.arange(64))
    known = system.data.encode(rows["x"]).flatten(1)
    assert len(seen) == len(told) == (3 if simultaneous else 6)
    for (real_label, fake_label, real), label in zip(seen, told, strict=True):
        assert torch.equal(real_label, fake_label)
        assert torch.equal(fake_label, label), "G was told other labels than D"
        assert torch.equal(rows["label"][torch.cdist(real.flatten(1), known).argmin(1)], real_label)


def test_both_players_move_from_one_pass_on_pictures() -> None:
    assert isinstance(engine("images").system.objective, OnePass)
    assert not isinstance(engine("points").system.objective, OnePass)
    assert not isinstance(engine("images", **{"objective.loss": "hinge"}).system.objective, OnePass)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [
        {"view.pack": 2},
        {"view.pack": 2, "turns.simultaneous": False},
        {"view.replay": 16},
        {"objective.feature_matching": 1.0, "objective.loss": "hinge"},
        {"objective.gradient_penalty": 1.0, "objective.every": 1},
        {"discriminator.spectral_norm": True},
        {"turns.unroll": 2, "turns.simultaneous": False},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_it_plays_with_packs_pools_penalties_and_look_aheads(kind: str, settings: dict[str, object]) -> None:
    playing = engine(kind, **settings)
    for _ in range(4):
        terms = playing.round()
    assert all(bool(value.isfinite()) for value in terms.values())


def test_a_pack_has_an_embedding_for_each_place() -> None:
    judge = Projection(mlp.Discriminator((4,), 8, 1), 3, pack=2)
    weight = judge.embedding.weight
    found = judge.code(torch.tensor([[0, 2], [2, 0]]))
    torch.testing.assert_close(found, torch.stack([weight[0] + weight[3 + 2], weight[2] + weight[3 + 0]]))
    assert not torch.allclose(found[0], found[1])  # the order within a pack counts, as it does for its samples


# Where labels come from


def test_data_without_classes_is_refused_at_construction() -> None:
    bare = datasets.open(torch.rand(16, 2).numpy())
    with pytest.raises(UsageError, match=r"E-SET-02.*needs data with labels"):
        Conditional(Conditional.Settings(), bare.spec)


def test_labels_are_drawn_as_the_data_has_them() -> None:
    weights = (0.5, 0.0, 0.25, 0.125, 0.125, 0.0)
    spec = data("points").spec.model_copy(update={"classes": tuple("abcdef"), "class_weights": weights})
    label = Conditional(Conditional.Settings(), spec).labels(Streams((0, "sample"), 40_000))
    shares = torch.bincount(label, minlength=6) / len(label)
    assert shares[1] == shares[5] == 0
    torch.testing.assert_close(shares, torch.tensor(weights), atol=0.01, rtol=0)  # 4 standard errors


@pytest.mark.parametrize("kind", KINDS)
def test_given_labels_come_back_and_drawn_ones_are_told(kind: str) -> None:
    gan = GAN("conditional", **SMALL).start(data(kind), steps=4)
    gan.round()
    label = torch.arange(64) % 4
    given, own = gan.draw(64, seed=2, label=label), gan.draw(64, seed=2)
    assert torch.equal(given["label"], label)
    assert set(own["label"].tolist()) == {0, 1, 2, 3}
    assert torch.equal(gan.sample(64, seed=2, label=own["label"]), own["x"])  # labels have a stream of their own
    assert torch.equal(gan.sample(64, seed=2, label=3), gan.sample(64, seed=2, label=[3] * 64))


@pytest.mark.parametrize("label", [None, 2, torch.arange(64) % 4], ids=["drawn", "one", "each"])
def test_ten_samples_are_the_head_of_sixty_four(label: int | Tensor | None) -> None:
    gan = GAN("conditional", **SMALL).start(data("images"), steps=4)
    gan.round()
    many = gan.draw(64, seed=5, label=label)
    for count in (1, 10, 33):
        few = gan.draw(count, seed=5, label=label[:count] if isinstance(label, Tensor) else label)
        assert torch.equal(few["x"], many["x"][:count])
        assert torch.equal(few["label"], many["label"][:count])


@pytest.mark.parametrize("label", [4, -1, [0, 9, 0]])
def test_an_unknown_class_is_refused(label: object) -> None:
    gan = GAN("conditional", **SMALL).start(data("points"), steps=4)
    with pytest.raises(UsageError, match=r"E-NAME-07"):
        gan.sample(3, label=label)


@pytest.mark.parametrize("label", [torch.tensor(0.5), [0, 1], torch.ones(3, 1, dtype=torch.int64), True])
def test_labels_that_cannot_be_meant_are_refused(label: object) -> None:
    gan = GAN("conditional", **SMALL).start(data("points"), steps=4)
    with pytest.raises(UsageError, match=r"E-ARG-01.*`label` is one whole number"):
        gan.sample(3, label=label)


def test_a_class_that_the_data_did_not_have_is_refused() -> None:
    gan = GAN("conditional", **SMALL).start("digits:7", steps=4)
    with pytest.raises(UsageError, match=r"E-NAME-07[^$]*give one of: 7$"):
        gan.sample(3, label=6)
    assert gan.draw(3)["label"].tolist() == [7, 7, 7]


def test_other_systems_take_no_label() -> None:
    gan = GAN("gan", **SMALL).start(data("points"), steps=4)
    with pytest.raises(UsageError, match=r"E-SET-02\]: gan takes no label[^$]*conditional"):
        gan.sample(3, label=1)
    assert set(gan.draw(3)) == {"x"}


# The command, the grid, the scores


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conditional") / "run"
    GAN("conditional", **SMALL).fit("digits", steps=3, seed=0, run=folder)
    return folder


def test_the_command_makes_one_class(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["sample", str(run), "-n", "3", "--label", "7", "--out", str(out)]) == 0
    assert (out / "labels.csv").read_text().split() == ["sample,label", "000000,7", "000001,7", "000002,7"]
    with Image.open(out / "000001.png") as picture:
        found = torch.from_numpy(np.array(picture))
    expected = GAN.load(run).sample(3, label=7)[1, 0]
    assert (found / 127.5 - 1 - expected).abs().max() < 0.005


def test_the_command_says_which_class_each_sample_has(run: Path, tmp_path: Path) -> None:
    drawn = [str(label) for label in GAN.load(run).draw(20, seed=1)["label"].tolist()]
    assert main(["sample", str(run), "-n", "20", "--seed", "1", "--out", str(tmp_path / "files")]) == 0
    lines = (tmp_path / "files" / "labels.csv").read_text().split()[1:]
    assert lines == [f"{index:06d},{label}" for index, label in enumerate(drawn)]
    assert main(["sample", str(run), "-n", "20", "--seed", "1", "--format", "npz", "--out", str(tmp_path / "one")]) == 0
    with np.load(tmp_path / "one" / "samples.npz", allow_pickle=False) as archive:
        assert archive["label"].tolist() == drawn


def test_a_label_that_cannot_be_had_leaves_nothing_behind(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    GAN("gan", **SMALL).fit(data("points"), steps=3, run=tmp_path / "plain")
    for model, code in ((run, "E-NAME-07"), (tmp_path / "plain", "E-SET-02")):
        label = "ten" if model == run else "1"
        assert main(["sample", str(model), "--label", label, "--out", str(tmp_path / "out")]) == 2
        assert code in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_grid_has_a_column_for_each_class(run: Path) -> None:
    with Image.open(run / "samples" / "000003.png") as picture:
        found = torch.from_numpy(np.array(picture))
    assert found.shape == (8 * 30 + 2, 10 * 30 + 2)
    expected = GAN.load(run).sample(80, label=torch.arange(10).repeat(8))
    tile = found[2 + 30 : 30 + 30, 2 + 3 * 30 : 30 + 3 * 30]  # the second three
    assert (tile / 127.5 - 1 - expected[13, 0]).abs().max() < 0.005


def test_scores_are_of_labels_as_the_data_has_them(run: Path) -> None:
    scores = {score.metric: score for score in GAN.load(run).score(samples=64)}
    assert scores["kernel_distance"].real is not None
    assert scores["class_kl"].samples == 64


# GAN-train and GAN-test


def test_label_accuracy_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [0.0, 1.0, 9.0], [4.0, 4.0, 5.0]])
    assert metrics.label_accuracy(logits, torch.tensor([0, 1, 2, 0])) == 0.75
    assert metrics.label_accuracy(logits.numpy(), np.array([1, 0, 0, 0])) == 0.0
    assert metrics.label_accuracy(logits + 100, [0, 1, 2, 2]) == 1.0


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2, 3], [[0], [1], [2]], [0, 1, 3], [0, -1, 2], [0.5, 1, 2]])
def test_label_accuracy_refuses_other_labels(labels: list[int]) -> None:
    with pytest.raises(UsageError, match="E-METRIC-01"):
        metrics.label_accuracy(torch.eye(3), torch.tensor(labels))
