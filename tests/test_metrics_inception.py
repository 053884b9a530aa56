"""The Inception of 2015: every weight with its shape, the resize of TensorFlow 1, and which files are refused."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import inception
from ganworks import data, metrics, scoring
from ganworks.cli.app import main
from ganworks.errors import DataError, ModelError, UsageError
from ganworks.metrics import features, weights
from ganworks.metrics.inception import Inception2015, Network, _Block, resize

# Szegedy et al. 2016, as the converted graph names it: convolution, channels out, channels in, height and width.
STEM = """
    Conv2d_1a_3x3 32 3 3 3; Conv2d_2a_3x3 32 32 3 3; Conv2d_2b_3x3 64 32 3 3
    Conv2d_3b_1x1 80 64 1 1; Conv2d_4a_3x3 192 80 3 3"""
FIVE = """
    branch1x1 64 I 1 1; branch5x5_1 48 I 1 1; branch5x5_2 64 48 5 5
    branch3x3dbl_1 64 I 1 1; branch3x3dbl_2 96 64 3 3; branch3x3dbl_3 96 96 3 3; branch_pool P I 1 1"""
TO_SIX = """
    branch3x3 384 288 3 3; branch3x3dbl_1 64 288 1 1; branch3x3dbl_2 96 64 3 3; branch3x3dbl_3 96 96 3 3"""
SIX = """
    branch1x1 192 768 1 1; branch7x7_1 P 768 1 1; branch7x7_2 P P 1 7; branch7x7_3 192 P 7 1
    branch7x7dbl_1 P 768 1 1; branch7x7dbl_2 P P 7 1; branch7x7dbl_3 P P 1 7; branch7x7dbl_4 P P 7 1
    branch7x7dbl_5 192 P 1 7; branch_pool 192 768 1 1"""
TO_SEVEN = """
    branch3x3_1 192 768 1 1; branch3x3_2 320 192 3 3; branch7x7x3_1 192 768 1 1; branch7x7x3_2 192 192 1 7
    branch7x7x3_3 192 192 7 1; branch7x7x3_4 192 192 3 3"""
SEVEN = """
    branch1x1 320 I 1 1; branch3x3_1 384 I 1 1; branch3x3_2a 384 384 1 3; branch3x3_2b 384 384 3 1
    branch3x3dbl_1 448 I 1 1; branch3x3dbl_2 384 448 3 3; branch3x3dbl_3a 384 384 1 3; branch3x3dbl_3b 384 384 3 1
    branch_pool 192 I 1 1"""
BLOCKS = [
    ("Mixed_5b.", FIVE, 192, 32), ("Mixed_5c.", FIVE, 256, 64), ("Mixed_5d.", FIVE, 288, 64),
    ("Mixed_6a.", TO_SIX, 0, 0),
    ("Mixed_6b.", SIX, 0, 128), ("Mixed_6c.", SIX, 0, 160), ("Mixed_6d.", SIX, 0, 160), ("Mixed_6e.", SIX, 0, 192),
    ("Mixed_7a.", TO_SEVEN, 0, 0), ("Mixed_7b.", SEVEN, 1280, 0), ("Mixed_7c.", SEVEN, 2048, 0),
]  # fmt: skip


def published() -> dict[str, tuple[int, ...]]:
    """Every key of the file with its shape."""
    shapes: dict[str, tuple[int, ...]] = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for block, layers, inputs, width in [("", STEM, 0, 0), *BLOCKS]:
        for line in layers.replace("\n", ";").split(";"):
            name, *sizes = line.split() or [""]
            if name:
                shape = tuple({"I": inputs, "P": width}.get(size) or int(size) for size in sizes)
                shapes[f"{block}{name}.conv.weight"] = shape
                for part in ("weight", "bias", "running_mean", "running_var"):
                    shapes[f"{block}{name}.bn.{part}"] = shape[:1]
                shapes[f"{block}{name}.bn.num_batches_tracked"] = ()
    return shapes


def invented() -> dict[str, Tensor]:
    """Weights of the right shapes under which a signal neither dies nor explodes."""
    random = torch.Generator().manual_seed(0)
    made: dict[str, Tensor] = {}
    for name, shape in published().items():
        if name.endswith(("conv.weight", "fc.weight")):
            made[name] = torch.randn(shape, generator=random) * (2 / math.prod(shape[1:])) ** 0.5
        elif name.endswith("tracked"):
            made[name] = torch.tensor(0)
        else:
            made[name] = torch.ones(shape) if name.endswith(("bn.weight", "running_var")) else torch.zeros(shape)
    made["fc.bias"] = torch.randn(1008, generator=random)
    return made


def known(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a file's hash into the table."""
    monkeypatch.setitem(weights.KNOWN, hashlib.sha256(path.read_bytes()).hexdigest(), weights.INCEPTION)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(invented(), path)
    return path


def pictures(count: int, channels: int = 3, height: int = 40, width: int = 33) -> Tensor:
    whole = torch.randint(0, 256, (count, channels, height, width), generator=torch.Generator().manual_seed(1))
    return whole / 127.5 - 1


# Structure


def test_every_key_has_the_published_shape() -> None:
    found = {name: tuple(tensor.shape) for name, tensor in Network().state_dict().items()}
    assert found == published()
    assert len(found) == 94 * 6 + 2


def test_it_has_as_many_weights_as_the_file_has_room_for() -> None:
    """21,785,568 of Inception v3 without its classes, and 1,008 classes; with the statistics 95.5 of 95.6 MB."""
    weights_of = {name: math.prod(shape) for name, shape in published().items() if not name.endswith("tracked")}
    statistics = sum(count for name, count in weights_of.items() if "running" in name)
    assert sum(weights_of.values()) - statistics == 21_785_568 + 2_049 * 1_008 == 23_850_960
    assert 0 < 95_628_359 - 4 * sum(weights_of.values()) < 566 * 200


def test_the_sizes_are_those_of_the_table_of_the_paper() -> None:
    sizes: dict[str, tuple[int, ...]] = {}
    network = Network().eval()
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _, __, out, name=name: sizes.update({name: tuple(out.shape[1:])}))
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 299, 299)).shape == (1, 2048)
    expected = """
        Conv2d_1a_3x3 32 149; Conv2d_2a_3x3 32 147; Conv2d_2b_3x3 64 147; Conv2d_3b_1x1 80 73; Conv2d_4a_3x3 192 71
        Mixed_5b 256 35; Mixed_5c 288 35; Mixed_5d 288 35; Mixed_6a 768 17; Mixed_6b 768 17; Mixed_6c 768 17
        Mixed_6d 768 17; Mixed_6e 768 17; Mixed_7a 1280 8; Mixed_7b 2048 8; Mixed_7c 2048 8"""
    lines = [line.split() for line in expected.strip().replace("\n", ";").split(";")]
    assert sizes == {name: (int(channels), int(side), int(side)) for name, channels, side in lines}


def only_pool(block: _Block, x: Tensor) -> Tensor:
    """What a block's pool gives, through a convolution that leaves channel 0 alone."""
    weight = block.branch_pool.conv.weight
    weight.data.zero_()
    weight.data[0, 0] = 1
    with torch.no_grad():
        return block.eval()(x)[0, -len(weight)]


@pytest.mark.parametrize("name", ["Mixed_5b", "Mixed_6c", "Mixed_7b"])
def test_average_pools_do_not_count_the_padding(name: str) -> None:
    block = getattr(Network(), name)
    inputs = block.branch_pool.conv.weight.shape[1]
    flat = only_pool(block, torch.ones(1, inputs, 8, 8)) * (1 + 1e-3) ** 0.5
    assert torch.allclose(flat, torch.ones(8, 8))  # with the padding counted a corner would be 4/9


def test_the_last_block_takes_the_maximum() -> None:
    peak = torch.zeros(1, 2048, 8, 8)
    peak[:, :, 4, 4] = 9
    network = Network()
    assert (only_pool(network.Mixed_7c, peak) > 8.9).sum() == 9
    peak = peak[:, :1280]
    assert only_pool(network.Mixed_7b, peak).max().item() == pytest.approx(1, abs=1e-3)


def test_batch_norm_has_the_epsilon_of_the_graph() -> None:
    norms = [module for module in Network().modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert len(norms) == 94


# What happens to a picture


def bilinear(picture: np.ndarray, size: int) -> np.ndarray:
    """TensorFlow 1's definition, pixel by pixel."""
    height, width = picture.shape
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            y, x = i * height / size, j * width / size
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = picture[top, left] + (picture[top, right] - picture[top, left]) * (x - left)
            lower = picture[bottom, left] + (picture[bottom, right] - picture[bottom, left]) * (x - left)
            out[i, j] = upper + (lower - upper) * (y - top)
    return out


@pytest.mark.parametrize(("height", "width", "size"), [(5, 7, 11), (13, 9, 4), (32, 31, 37), (40, 1, 7), (3, 3, 3)])
def test_the_resize_is_tensorflows(height: int, width: int, size: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width)).astype("float64")
    expected = bilinear(picture, size)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 2e-3)):
        found = resize(torch.from_numpy(picture).to(dtype)[None, None], size)
        assert found.dtype == dtype
        assert np.abs(found[0, 0].numpy() - expected).max() < tolerance


def test_the_resize_is_none_of_torchs() -> None:
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64) * 255
    for options in ({}, {"antialias": True}, {"align_corners": True}):
        assert (resize(x, 299) - F.interpolate(x, (299, 299), mode="bilinear", **options)).abs().max() > 1
    assert torch.equal(resize(x, 32), x)


def test_pictures_come_as_8_bits_around_128(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Inception2015(known(file, monkeypatch))
    assert torch.equal(space.prepare(torch.full((1, 3, 299, 299), 1.0)), torch.full((1, 3, 299, 299), 127 / 128))
    assert torch.equal(space.prepare(torch.full((1, 3, 9, 9), -1.0)), torch.full((1, 3, 299, 299), -1.0))
    x = pictures(1)
    assert torch.equal(space.prepare(x + 0.4 / 127.5), space.prepare(x))  # rounded before the resize, not after
    expected = (bilinear((x[0, 1].double().numpy() * 127.5 + 127.5).round(), 299) - 128) / 128
    assert np.abs(space.prepare(x)[0, 1].numpy() - expected).max() < 2e-3 / 128
    grey = pictures(2, 1)
    assert torch.equal(space.prepare(grey), space.prepare(grey.expand(-1, 3, -1, -1)))


def test_features_and_logits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Inception2015(known(file, monkeypatch))
    x = pictures(9)
    found = space(x)
    assert (found.dtype, found.shape, space.dimensions) == (torch.float32, (9, 2048), 2048)
    assert found.isfinite().all()
    assert found.std(0).median() > 1e-3  # pictures differ
    assert torch.equal(space(x[:8]), found[:8])  # the batches are the same
    assert (space(x[7:]) - found[7:]).abs().max() < 1e-5 * found.abs().max()  # whatever stands beside it
    logits = space.classify(found)
    assert logits.shape == (9, space.classes)
    torch.testing.assert_close(logits, space.network.fc(found) - space.network.fc.bias, rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="E-METRIC-01"):
        space(torch.zeros(2, 2, 9, 9))


def test_it_is_the_network_of_torch_fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same drawn weights and pictures; `make crosscheck` wrote down what theirs gives."""
    golden = json.loads(inception.GOLDEN.read_text())
    monkeypatch.setattr(weights, "KNOWN", dict(weights.KNOWN))
    assert inception.apart(inception.ours(tmp_path / "weights.pth"), golden["found"]) < golden["bound"] == 1e-5


@pytest.mark.parametrize("mistake", ["padding counted", "mean at the end", "epsilon", "half-pixel centres", "channels"])
def test_a_mistake_in_it_is_seen(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = json.loads(inception.GOLDEN.read_text())
    monkeypatch.setattr(weights, "KNOWN", dict(weights.KNOWN))
    pictures = inception.pictures()
    monkeypatch.setattr(inception, "pictures", lambda: {"41x67": pictures["41x67"]})
    average, norm, block = F.avg_pool2d, torch.nn.BatchNorm2d, _Block._pool
    if mistake == "padding counted":
        monkeypatch.setattr(F, "avg_pool2d", lambda *args, **_: average(*args))
    elif mistake == "mean at the end":
        monkeypatch.setattr(_Block, "_pool", lambda self, x: setattr(self, "most", False) or block(self, x))
    elif mistake == "epsilon":
        monkeypatch.setattr(torch.nn, "BatchNorm2d", lambda channels, eps: norm(channels))
    elif mistake == "half-pixel centres":
        monkeypatch.setattr(
            "ganworks.metrics.inception.resize",
            lambda x, size: F.interpolate(x, (size, size), mode="bilinear"),
        )
    else:
        prepare = Inception2015.prepare
        monkeypatch.setattr(Inception2015, "prepare", lambda self, x: prepare(self, x).flip(1))
    assert inception.apart(inception.ours(tmp_path / "weights.pth"), golden["found"]) > 10 * golden["bound"]


def test_float64_is_float64_throughout(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Inception2015(known(file, monkeypatch), torch.float64)
    seen = set()
    for module in space.network.modules():
        module.register_forward_hook(lambda _, inputs, out: seen.update({inputs[0].dtype, out.dtype}))
    exact = space(pictures(1))
    assert seen == {torch.float64}
    rounded = Inception2015(file)(pictures(1))
    assert 0 < (exact - rounded).abs().max() < 1e-3 * exact.abs().max()


# Files


def test_a_run_is_scored_in_it_by_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = known(file, monkeypatch)
    rows = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8)).astype("uint8")
    found = scoring.evaluate(
        lambda count: pictures(count, 3, 8, 8), data.open(rows), 3, trained_on=False, space=f"inception:{path}",
        metrics=["frechet_distance", "class_kl"],
    )  # fmt: skip
    assert {score.feature_space for score in found} == {"inception-2015"}
    assert isinstance(found[0], metrics.Score)


def test_another_file_is_refused_with_its_hash_and_what_is_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save({"a": torch.zeros(2)}, path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was opened"))
    assert main(["eval", "ring", "--against", "ring", "--space", f"inception:{path}"]) == 5
    said = capsys.readouterr().err
    assert "E-MODEL-20" in said
    assert hashlib.sha256(path.read_bytes()).hexdigest() in said
    assert "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2" in said
    assert "95,628,359 bytes" in said


def test_the_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(invented(), path)
    monkeypatch.setitem(weights.KNOWN, hashlib.sha256(path.read_bytes()).hexdigest(), weights.EFFNET)
    with pytest.raises(ModelError, match="E-MODEL-20"):
        Inception2015(path)


@pytest.mark.parametrize("change", ["missing", "added", "shape"])
def test_a_file_without_the_right_keys_is_refused(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = invented()
    name = "Mixed_6e.branch7x7dbl_4.bn.running_var"
    if change == "missing":
        del made[name]
    elif change == "added":
        made[name := "AuxLogits.fc.bias"] = torch.zeros(3)
    else:
        made[name] = torch.ones(7)
    torch.save(made, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=f"E-MODEL-20(?s:.*){name}"):
        Inception2015(known(tmp_path / "weights.pth", monkeypatch))


def test_a_file_written_before_batches_were_counted_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({name: x for name, x in invented().items() if not name.endswith("tracked")}, tmp_path / "old.pth")
    Inception2015(known(tmp_path / "old.pth", monkeypatch))


def test_a_file_that_is_not_there_or_not_named() -> None:
    with pytest.raises(DataError, match=r"E-DATA-01(?s:.*)pt_inception-2015-12-05"):
        features.get("inception:no/where.pth")
    for name in ("inception", "inception:"):
        with pytest.raises(UsageError, match=r"E-NAME-06(?s:.*)inception:FILE"):
            features.get(name)
