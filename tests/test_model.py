"""A model folder: what is saved comes back to the bit, and a folder from anywhere is data and nothing else."""

import errno
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faulty_disk import Disk, from_now_on, once
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import HEAVY, SMALL, in_a_narrow_process, refused, saved, with_config
from small_runs import SYSTEMS, start
from torch import nn

from ganworks.cli.app import main
from ganworks.data.spec import DataSpec
from ganworks.errors import ModelError, ResourceError, UsageError
from ganworks.game import System
from ganworks.gan import GAN
from ganworks.settings import GameSettings
from ganworks.training import building

FILES = {"config.json", "model.safetensors", "README.md"}


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of points that is all right."""
    return saved(tmp_path_factory.mktemp("model") / "whole")


# There and back


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("average", [10_000.0, 0.0])
def test_a_loaded_model_draws_the_same_to_the_bit(system: str, average: float, tmp_path: Path) -> None:
    data, small = SYSTEMS[system]
    gan = GAN(system, **small, **{"average.half_life": average}).start(data, steps=10)
    for _ in range(3):
        gan.round()
    gan.save(tmp_path / "model")
    assert names(tmp_path / "model") == FILES
    before = torch.get_rng_state()
    loaded = GAN.load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)
    for seed in (0, 7):
        assert torch.equal(loaded.sample(40, seed), gan.sample(40, seed))
    assert loaded.spec == gan.spec
    for name, tensor in gan.system.state_dict().items():
        assert torch.equal(loaded.system.state_dict()[name], tensor)


def test_standardised_points_come_back_in_their_units(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal([100.0, -7.0, 0.0], [5.0, 0.1, 2.0], (400, 3)).astype("float32")
    gan = GAN("gan", **SMALL).start(points, steps=10)
    gan.round()
    gan.save(tmp_path / "model")
    loaded = GAN.load(tmp_path / "model").sample(500)
    assert torch.equal(loaded, gan.sample(500))
    assert 50 < loaded[:, 0].mean() < 150


def test_a_run_is_a_model_too(tmp_path: Path) -> None:
    run = start(tmp_path / "run", "gan", 6).run
    loaded = GAN.load(run)
    loaded.save(tmp_path / "model")
    assert torch.equal(GAN.load(tmp_path / "model").sample(20), loaded.sample(20))


def test_saving_what_was_loaded_changes_nothing(whole: Path, tmp_path: Path) -> None:
    GAN.load(whole).save(tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (whole / name).read_bytes()


def test_what_is_there_is_never_written_over(whole: Path, tmp_path: Path) -> None:
    gan = GAN.load(whole)
    for place in (whole, tmp_path):
        before = names(place)
        with pytest.raises(UsageError, match="E-USE-03"):
            gan.save(place)
        assert names(place) == before


def test_a_disk_that_refuses_leaves_no_model(whole: Path, tmp_path: Path) -> None:
    gan = GAN.load(whole)
    (tmp_path / "whole").mkdir()
    watched = Disk(tmp_path / "whole")
    with watched.watching():
        gan.save(tmp_path / "whole/model")
    assert {"mkdir", "open", "write", "close", "fsync", "rename"} <= {name for name, _ in watched.seen}
    for number in range(len(watched.seen)):
        for plan, code in ((once, errno.ENOSPC), (from_now_on, errno.EDQUOT), (once, errno.EROFS)):
            at = tmp_path / f"{number}-{plan.__name__}-{code}"
            at.mkdir()
            refusing = Disk(at, plan(number, code))
            try:
                with refusing.watching():
                    gan.save(at / "model")
            except ResourceError as caught:
                wanted = "E-ENV-02" if code == errno.EROFS else "E-ENV-01"
                assert wanted in str(caught)  # noqa: PT017
            assert names(at) <= {"model"}
            if names(at):
                assert torch.equal(GAN.load(at / "model").sample(3), gan.sample(3))


# Settings from anywhere


CONFIGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an unknown system": lambda c: c["run"].update(system="gna"),
    "a class by its path": lambda c: c["run"].update(system="torch.nn.Linear"),
    "a module by its path": lambda c: c["run"].update(system="os"),
    "a file by its path": lambda c: c["run"].update(system="../../etc/passwd"),
    "a system that is no word": lambda c: c["run"].update(system=["gan"]),
    "a system for other data": lambda c: c["run"].update(system="dcgan"),
    "a target to call": lambda c: c.update(_target_="os.system"),
    "a target in the settings": lambda c: c["settings"].update(_target_="os.system"),
    "a loss that is a path": lambda c: c["settings"]["objective"].update(loss="os.system"),
    "a width of less than one": lambda c: c["settings"]["generator"].update(width=-1),
    "a width of nothing": lambda c: c["settings"]["generator"].update(width=0),
    "a width of another model": lambda c: c["settings"]["generator"].update(width=5),
    "a broken width": lambda c: c["settings"]["generator"].update(width=4.5),
    "a width in words": lambda c: c["settings"]["generator"].update(width="4"),
    "a width of true": lambda c: c["settings"]["generator"].update(width=True),
    "a rate that is no number": lambda c: c["settings"]["generator"].update(lr=float("nan")),
    "a rate without end": lambda c: c["settings"]["generator"].update(lr=float("inf")),
    "a ramp without end": lambda c: c["settings"]["generator"].update(lr={"from": 1.0, "to": float("-inf")}),
    "a nested rate": lambda c: c["settings"]["generator"].update(lr=[[[[1.0]]]]),
    "very nested settings": lambda c: c["settings"].update(batch=nested(150)),
    "a step before the first": lambda c: c.update(step=-1),
    "a step in words": lambda c: c.update(step="4"),
    "no step": lambda c: c.pop("step"),
    "no settings": lambda c: c.pop("settings"),
    "no data": lambda c: c.pop("data"),
    "no hash": lambda c: c.pop("sha256"),
    "another hash": lambda c: c.update(sha256="0" * 64),
    "a seed beyond 63 bits": lambda c: c["run"].update(seed=2**70),
    "another kind of data": lambda c: c["data"].update(kind="images"),
    "an unknown kind of data": lambda c: c["data"].update(kind="code"),
    "no shape": lambda c: c["data"].update(shape=[]),
    "a negative shape": lambda c: c["data"].update(shape=[-2]),
    "another shape": lambda c: c["data"].update(shape=[3]),
    "a center that is no number": lambda c: c["data"].update(center=[float("nan"), 0.0], scale=[1.0, 1.0]),
    "a center of another length": lambda c: c["data"].update(center=[0.0], scale=[1.0]),
    "packs that do not divide": lambda c: c["settings"]["view"].update(pack=3),
    "a long message": lambda c: c["settings"].update({"x" * 100_000: 1}),
}


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_config_is_refused(name: str, whole: Path, tmp_path: Path) -> None:
    refused(with_config(whole, tmp_path / "model", CONFIGS[name]))


TEXTS = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "no UTF-8": b'{"format": 1, "ganworks": "\xff"}',
    "a pickle": pickle.dumps({"format": 1}),
    "nested without end": b'{"format": 1, "settings": ' + b"[" * 100_000,
    "a number too large": b'{"format": 1, "step": 1' + b"0" * 10_000 + b"}",
    "far too long": b'{"format": 1' + b" " * (9 << 20) + b"}",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_config_that_is_none_is_refused(name: str, whole: Path, tmp_path: Path) -> None:
    model = with_config(whole, tmp_path / "model")
    (model / "config.json").write_bytes(TEXTS[name])
    assert refused(model).code == "E-MODEL-01"


def test_a_later_format_says_what_to_install(whole: Path, tmp_path: Path) -> None:
    found = refused(with_config(whole, tmp_path / "model", lambda config: config.update(format=2)))
    assert found.code == "E-MODEL-03"
    assert "install the version" in found.remedy


def test_the_first_weights_that_differ_are_named(whole: Path, tmp_path: Path) -> None:
    model = with_config(whole, tmp_path / "model", CONFIGS["a width of another model"])
    found = refused(model)
    assert found.code == "E-MODEL-02"
    assert "average/generator.body.0.bias: float32 [4], and not float32 [5]" in found.details


def test_huge_sizes_are_refused_before_memory_is_given(whole: Path, tmp_path: Path) -> None:
    """In a process that may take no more than 200 MB. An allocation that fails there would have another name."""
    for name, change in HEAVY.items():
        model = with_config(whole, tmp_path / name, change)
        megabytes, said = in_a_narrow_process(model)
        assert said.startswith("E-MODEL-02"), f"{name}: {said}"
        assert megabytes < 100, f"{name} took {megabytes} MB"


def test_building_first_and_comparing_then_would_show(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeded bug: settings are believed."""
    monkeypatch.setattr(building, "check", lambda path, make, tensors: None)
    model = with_config(whole, tmp_path / "model", HEAVY["a wide generator"])
    assert not in_a_narrow_process(model)[1].startswith("E-MODEL")


class Endless(System):
    """A system whose settings could ask for any number of layers, or for buffers that no file holds."""

    name, paper, accepts, gives, averaged = "endless", "none", ("points",), "points", ()
    Settings = GameSettings

    def __init__(self, layers: int, table: int = 0) -> None:
        super().__init__(self.Settings(), DataSpec(kind="points", shape=(2,), count=2))
        self.layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(layers))
        self.register_buffer("table", torch.zeros(table), persistent=False)


def weights_of(layers: int) -> dict[str, torch.Tensor]:
    return {f"system/{name}": tensor for name, tensor in Endless(layers).state_dict().items()}


def test_a_billion_layers_are_not_tried(tmp_path: Path) -> None:
    building.check(tmp_path, lambda: Endless(3), weights_of(3))
    with pytest.raises(ModelError, match="E-MODEL-02") as caught:
        building.check(tmp_path, lambda: Endless(10**9), weights_of(3))
    assert "far more layers than weights" in caught.value.details[0]


def test_buffers_that_are_not_saved_have_a_bound(tmp_path: Path) -> None:
    building.check(tmp_path, lambda: Endless(3, table=1000), weights_of(3))
    with pytest.raises(ModelError, match="beside the weights"):
        building.check(tmp_path, lambda: Endless(3, table=10**12), weights_of(3))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where anything stands in a config."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in leaves(each, (*path, key)))]


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.integers(0, 10**6), value=JSON)
def test_anything_anywhere_in_a_config_loads_or_is_refused(
    where: int, value: Any, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = with_config(whole, tmp_path_factory.mktemp("any") / "model")
    config = {"": json.loads((model / "config.json").read_text())}
    places = leaves(config)[1:]
    *path, last = places[where % len(places)]
    place: Any = config
    for key in path:
        place = place[key]
    place[last] = value
    (model / "config.json").write_text(json.dumps(config[""]))
    try:
        drawn = GAN.load(model).sample(2)
    except ModelError:
        return
    assert drawn.shape == (2, 2)


# The command


def test_a_model_that_is_not_there_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert "E-RUN-02" in capsys.readouterr().err


def test_truncation_reaches_the_system_row_by_row_and_others_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = GAN("conditional", **{"generator.width": 8, "batch": 8}).start("digits", steps=4)
    with pytest.raises(UsageError, match=r"E-SET-02.*takes no truncation"):
        gan.sample(2, truncation=0.5)
    seen: list[torch.Tensor] = []
    made = type(gan.system)
    whole = made.generate

    def generate(self: Any, count: int, random: Any, truncation: Any = None, **given: Any) -> Any:
        seen.append(truncation)
        return whole(self, count, random, **given)

    monkeypatch.setattr(made, "generate", generate)
    monkeypatch.setattr(made, "conditions", ("label", "truncation"))
    gan.sample(40, truncation=0.5)
    assert [each.tolist() for each in seen] == [[0.5] * 32] * 2
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="truncation is a number above 0"):
            gan.sample(2, truncation=wrong)
