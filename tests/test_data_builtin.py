"""The built-in data sets: the densities' tables, and the packed digits against what is known of MNIST."""

import hashlib
import importlib.util
import math
import zlib
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from ganworks import data, theory
from ganworks.data import Batch, DataSet, DataSpec
from ganworks.errors import UsageError

# Labels of MNIST's test file, 0 to 9, and the mean of its pixels as a share of white.
MNIST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
MNIST_MEAN = 0.1325


def everything(d: DataSet) -> Batch:
    return d.rows(torch.arange(len(d)))


def both_parts(d: DataSet) -> dict[str, Tensor]:
    assert d.held_out is not None
    train, held = everything(d), everything(d.held_out)
    return {key: torch.cat([train[key], held[key]]) for key in train}


def test_digits_are_mnists_test_images() -> None:
    d = data.open("digits")
    assert (len(d), len(d.held_out or ())) == (8000, 2000)
    assert d.spec.shape == (1, 28, 28)
    whole = both_parts(d)
    assert whole["label"].bincount().tolist() == MNIST_COUNTS
    assert float((whole["x"].double().mean() + 1) / 2) == pytest.approx(MNIST_MEAN, abs=5e-5)
    assert (float(whole["x"].min()), float(whole["x"].max())) == (-1, 1)
    assert d.spec.classes == tuple("0123456789")


def test_both_parts_of_the_digits_are_alike() -> None:
    # MNIST's own halves are not: without a permutation the held-out share of each class stays, but the writers change.
    d = data.open("digits")
    assert d.held_out is not None
    train, held = everything(d), everything(d.held_out)
    shares = train["label"].bincount() / 8000 - held["label"].bincount() / 2000
    assert shares.abs().max() < 0.025  # four standard deviations of a tenth of 2,000
    assert abs(float(train["x"].mean() - held["x"].mean())) < 0.01


def test_one_digit_keeps_its_label_and_stays_on_its_side_of_the_split() -> None:
    seven, whole = data.open("digits:7"), data.open("digits")
    assert len(seven) + len(seven.held_out or ()) == MNIST_COUNTS[7]
    assert (both_parts(seven)["label"] == 7).all()
    assert seven.spec.class_weights == (0,) * 7 + (1,) + (0, 0)
    for part, other in ((seven, whole), (seven.held_out, whole.held_out)):
        assert part is not None
        assert other is not None
        expected = everything(other)
        assert torch.equal(everything(part)["x"], expected["x"][expected["label"] == 7])


def test_one_digit_can_be_scored_against_all() -> None:
    d = data.open("digits:7", held_out="digits")
    assert d.held_out is not None
    assert len(d.held_out) == 2000


def load_script() -> ModuleType:
    path = Path(__file__).parents[1] / "scripts" / "pack_digits.py"
    spec = importlib.util.spec_from_file_location("pack_digits", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_rebuilds_the_packed_file_from_the_original(tmp_path: Path) -> None:
    script = load_script()
    packed = files("ganworks.data") / "digits.npz"
    with np.load(str(packed), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in ("images", "labels")}
    order = torch.randperm(10_000, generator=script.generator(script.SEED, "digits", "permutation")).numpy()
    for part, name in (("images", "t10k-images-idx3-ubyte"), ("labels", "t10k-labels-idx1-ubyte")):
        original = np.empty_like(arrays[part])
        original[order] = arrays[part]
        content = script.HEADER_BYTES[part] + original.tobytes()
        # The sums of the files that LeCun and Cortes published.
        assert hashlib.sha256(content).hexdigest() == script.SUMS[part]
        (tmp_path / name).write_bytes(content)
    script.main(tmp_path, tmp_path / "rebuilt.npz")
    rebuilt = (tmp_path / "rebuilt.npz").read_bytes()
    with np.load(tmp_path / "rebuilt.npz", allow_pickle=False) as again:
        assert all(np.array_equal(again[key], arrays[key]) for key in arrays)
    assert len(packed.read_bytes()) < 3_000_000
    assert hashlib.sha256(packed.read_bytes()).hexdigest() in (script.__doc__ or "")
    if zlib.ZLIB_RUNTIME_VERSION == "1.2.13":
        assert rebuilt == packed.read_bytes()


def test_the_script_refuses_other_files(tmp_path: Path) -> None:
    script = load_script()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(script.HEADER_BYTES["images"] + bytes(7_840_000))
    with pytest.raises(SystemExit, match="not the original"):
        script.main(tmp_path, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_the_licence_stands_beside_the_digits() -> None:
    text = (files("ganworks.data") / "DIGITS-LICENSE.md").read_text(encoding="utf-8")
    for part in ("Yann LeCun", "Corinna Cortes", "NIST", "CC BY-SA 3.0", "permuted", "https://creativecommons.org"):
        assert part in text


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_the_tables_of_the_mixtures(name: str, modes: int) -> None:
    d = data.open(name)
    batch = everything(d)
    assert len(d) == 100_000
    assert d.held_out is None
    assert d.density is not None
    assert d.spec.kind == "points"
    assert d.spec.center == ()
    assert d.spec.classes == tuple(map(str, range(modes)))
    assert sum(d.spec.class_weights) == pytest.approx(1)
    # Six standard deviations of a binomial share.
    assert max(abs(w - 1 / modes) for w in d.spec.class_weights) < 6 * math.sqrt((1 / modes) / 100_000)
    spread = torch.stack([batch["x"][batch["label"] == k].std(0).mean() for k in range(modes)])
    torch.testing.assert_close(spread, torch.full((modes,), {"ring": 0.02, "grid": 0.05}[name]), rtol=0.05, atol=0)


def test_the_label_of_the_ring_is_its_mode() -> None:
    batch = everything(data.open("ring"))
    angle = batch["label"].double() * (2 * math.pi / 8)
    centre = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    assert (batch["x"] - centre).norm(dim=1).max() < 0.02 * 6.5


def test_the_swissroll_is_a_spiral_without_labels() -> None:
    d = data.open("swissroll")
    assert set(d[0]) == {"x"}
    assert d.spec.classes == ()
    radius = everything(d)["x"].norm(dim=1)
    # t / 6 for t from 1.5 pi to 4.5 pi, and noise of 0.05; t is uniform, so the median is in the middle.
    assert radius.min() > 0.25 * math.pi - 0.3
    assert radius.max() < 0.75 * math.pi + 0.3
    assert float(radius.median()) == pytest.approx(0.5 * math.pi, abs=0.02)


def test_bimodal_is_a_line_with_two_modes() -> None:
    d = data.open("bimodal")
    batch = everything(d)
    assert d.spec.shape == (1,)
    assert d.spec.class_weights == pytest.approx((1 / 3, 2 / 3), abs=0.01)
    modes = [batch["x"][batch["label"] == k] for k in (0, 1)]
    assert [float(mode.mean()) for mode in modes] == pytest.approx([-2, 1], abs=0.01)
    assert [float(mode.std()) for mode in modes] == pytest.approx([0.3, 0.6], abs=0.01)


def test_a_density_is_data_in_its_own_units_and_standardised_inside() -> None:
    density = theory.Normal([3.0, -200.0], [1.0, 5.0])
    d = data.open(density)
    assert d.density is density
    assert (d.name, len(d), d.held_out) == ("normal", 100_000, None)
    assert d.spec.center == pytest.approx((3, -200), abs=0.1)
    assert d.spec.scale == pytest.approx((1, 5), rel=0.02)
    assert data.open(theory.Normal([3.0, -200.0], [1.0, 5.0])).spec.fingerprint == d.spec.fingerprint
    assert data.open(theory.Normal([3.0, -200.0], [1.0, 5.1])).spec.fingerprint != d.spec.fingerprint
    assert float(d.fresh(5_000, 0)["x"][:, 1].mean()) == pytest.approx(-200, abs=0.5)
    assert data.open(density, held_out=theory.Normal([0.0, 0.0], 1.0)).held_out is not None


class Elsewhere(theory.Density):
    """Draws points where it says there are none, or of another shape."""

    dimensions = 1

    def __init__(self, width: int) -> None:
        self.width = width

    def _log_prob(self, points: Tensor) -> Tensor:
        return torch.full((len(points),), -math.inf)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.zeros(n, self.width)


@pytest.mark.parametrize("width", [1, 2])
def test_a_density_that_does_not_fit_its_draws_is_refused(width: int) -> None:
    with pytest.raises(UsageError, match="training on a density"):
        data.open(Elsewhere(width))


def test_fresh_draws_are_functions_of_the_seed_and_no_rows_of_the_table() -> None:
    d = data.open("ring")
    first, again, other = d.fresh(500, 0), d.fresh(500, 0), d.fresh(500, 1)
    assert torch.equal(first["x"], again["x"])
    assert torch.equal(first["label"], again["label"])
    assert not torch.equal(first["x"], other["x"])
    table = set(map(tuple, everything(d)["x"].tolist()))
    assert table.isdisjoint(map(tuple, first["x"].tolist()))
    assert set(data.open("swissroll").fresh(3, 0)) == {"x"}


def test_the_tables_are_the_same_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first = data.open("grid").spec.fingerprint
    torch.manual_seed(2)
    assert data.open("grid").spec.fingerprint == first


def test_rows_take_any_indices_and_keep_the_order() -> None:
    d = data.open("digits")
    indices = torch.tensor([5, 0, 5, 7999])
    batch = d.rows(indices)
    assert batch.count == 4
    assert batch["x"].dtype == torch.float32
    for position, index in enumerate(indices.tolist()):
        assert torch.equal(batch["x"][position], d[index]["x"])
        assert batch["label"][position] == d[index]["label"]


def test_a_batch_does_not_share_memory_with_the_data() -> None:
    d = data.open("ring")
    before = d[3]["x"].clone()
    d.rows(torch.tensor([3]))["x"].zero_()
    d[3]["x"].zero_()
    assert torch.equal(d[3]["x"], before)


@pytest.mark.parametrize("name", [row.name for row in data.names()])
def test_the_list_says_what_opens(name: str) -> None:
    row = next(row for row in data.names() if row.name == name)
    d = data.open(name)
    assert (row.kind, row.count, row.name) == (d.spec.kind, len(d), d.name)
    assert row.description
    assert row.source
    assert row.licence == {"digits": "CC BY-SA 3.0", "emoji": "CC BY-SA 4.0"}.get(name, "Apache-2.0")


@pytest.mark.parametrize("name", ["ring", "swissroll", "digits"])
def test_a_spec_travels_as_json(name: str) -> None:
    spec = data.open(name).spec
    assert DataSpec.model_validate_json(spec.model_dump_json()) == spec
