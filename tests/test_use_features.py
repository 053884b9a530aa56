"""Features of models: which rows, of which network, and who has none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from house import SMALL, SMALL_OF

from ganworks import GAN, systems
from ganworks import data as datasets
from ganworks.data.dataset import DataSet
from ganworks.errors import UsageError
from ganworks.settings import keys
from ganworks.use import features


def labelled(count: int = 300, side: int = 16) -> DataSet:
    random = torch.Generator().manual_seed(0)
    x = torch.rand(count, 1, side, side, generator=random) * 0.2 - 1
    label = torch.arange(count) % 4
    for k in range(4):
        x[label == k, :, 4 * k : 4 * k + 4] += 1.0
    return datasets.open({"x": x, "label": label})


def small(name: str, data: DataSet, **more: object) -> GAN:
    made = systems.get(name)
    known = {key for key, _ in keys(made.Settings)}
    given = {key: value for key, value in {**SMALL, **SMALL_OF.get(name, {})}.items() if key in known}
    return GAN(name, **{**given, **more}).start(data, steps=1)


def test_they_are_what_the_last_layer_judges() -> None:
    data = labelled()
    gan = small("r3gan", data)
    gan.round()
    x = data.rows(torch.arange(5))["x"]
    found = gan.features(x)
    discriminator = gan._model.still.discriminator
    assert found.shape == (5, 32)
    assert torch.allclose(discriminator.head(found).squeeze(1), discriminator(x), atol=1e-6)


def test_points_are_seen_in_the_units_of_the_network() -> None:
    points = torch.randn(300, 2) * 5 + 100
    gan = small("gan", datasets.open(points))
    x = points[:4]
    inside = gan.spec.encode(x)
    assert torch.allclose(gan.features(x), gan._model.still.discriminator.features(inside), atol=1e-6)


@pytest.mark.parametrize("name", [each for each in systems.names() if "images" in systems.get(each).accepts])
def test_every_system_gives_features_or_says_why_not(name: str) -> None:
    data = labelled()
    gan = small(name, data)
    batch = data.rows(torch.arange(6))
    if hasattr(gan.system, "discriminator"):
        found = gan.features(batch["x"], label=batch["label"])
        assert found.dim() == 2
        assert len(found) == 6
        assert found.dtype == torch.float32
        assert not torch.equal(found[0], found[1])
    else:
        with pytest.raises(UsageError, match=f"{name} has no discriminator"):
            gan.features(batch["x"])


def test_a_row_does_not_depend_on_the_others() -> None:
    data = labelled(600)
    gan = small("dcgan", data)
    x = data.rows(torch.arange(300))["x"]
    assert torch.allclose(gan.features(x)[260:], gan.features(x[260:]), atol=1e-5)


def test_packs_and_missing_labels_and_networks_are_refused_by_name() -> None:
    data = labelled()
    x = data.rows(torch.arange(4))["x"]
    with pytest.raises(UsageError, match="packs of 2"):
        small("r3gan", data, **{"view.pack": 2}).features(x)
    with pytest.raises(UsageError, match="with their labels"):
        small("conditional", data).features(x)
    for of in ("encoder", "generator"):
        with pytest.raises(UsageError, match=r"no encoder(.|\n)*bigan"):
            small("r3gan", data).features(x, of=of)
    with pytest.raises(UsageError, match="no rows"):
        small("r3gan", data).features(x[:0])


def test_of_an_encoder_they_are_latents_and_of_its_generator_the_last_layer() -> None:
    points = torch.randn(300, 2)
    gan = small("bigan", datasets.open(points))
    x = points[:5]
    assert torch.equal(gan.features(x, of="encoder"), gan.encode(x).flatten(1))
    generator = gan._model.still.generator
    hidden = gan.features(x, of="generator")
    assert torch.allclose(
        gan.spec.decode(generator.output(generator.head(hidden))), gan.decode(gan.encode(x)), atol=1e-6
    )
    with pytest.raises(UsageError, match="has no features"):
        small("bigan", labelled()).features(labelled().rows(torch.arange(3))["x"], of="generator")


def test_the_file_has_every_row_and_says_which_are_held_out(tmp_path: Path) -> None:
    data = labelled()
    gan = small("r3gan", data)
    found = features.table(gan._model.still, data)
    found.write(tmp_path / "f.npz", data.spec.classes)
    with np.load(tmp_path / "f.npz", allow_pickle=False) as archive:
        assert archive["features"].shape == (300, 32)
        assert archive["row"].tolist() == [*range(200), *range(100)]
        assert archive["held_out"].tolist() == [False] * 200 + [True] * 100
        row = data.held_out.rows(torch.tensor([7]))
        assert np.allclose(archive["features"][207], gan.features(row["x"])[0], atol=1e-5)
        assert archive["label"][207] == row["label"].item()
        assert archive["classes"].tolist() == ["0", "1", "2", "3"]
    before = (tmp_path / "f.npz").read_bytes()
    for name in ("f.npz", "f.csv"):
        with pytest.raises(UsageError, match="E-USE-01"):
            found.write(tmp_path / name)
    assert (tmp_path / "f.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["f.npz"]


def test_probes_are_fair() -> None:
    """Bright stripes: the samples themselves know the class; one seed draws one set of labels and fresh weights."""
    data = labelled()
    still = small("r3gan", data)._model.still
    first, again = (features.probes(still, data, 80, seed=0) for _ in range(2))
    trained, fresh, raw = first
    assert raw.accuracy > 0.95
    assert (raw.features, trained.features, fresh.features) == (256, 32, 32)
    assert trained.right.shape == (100,)
    assert trained.low < trained.accuracy < trained.high or trained.accuracy == 1
    assert [each.as_dict() for each in first] == [each.as_dict() for each in again]
    # A model of step 0 and fresh weights of its own seed are one network.
    assert torch.equal(trained.right, fresh.right)


def test_probes_leave_the_default_generator_alone() -> None:
    data = labelled()
    still = small("r3gan", data)._model.still
    torch.manual_seed(0)
    features.probes(still, data, 40)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))


def test_what_cannot_be_probed_is_refused() -> None:
    data = labelled()
    still = small("r3gan", data)._model.still
    for count in (3, 201):
        with pytest.raises(UsageError, match="not " + str(count)):
            features.probes(still, data, count)
    plain = datasets.open(torch.rand(300, 1, 16, 16))
    with pytest.raises(UsageError, match="labels"):
        features.probes(still, plain, 40)
    few = datasets.open({"x": torch.rand(100, 1, 16, 16), "label": torch.arange(100) % 4})
    with pytest.raises(UsageError, match="held-out part"):
        features.probes(still, few, 40)
