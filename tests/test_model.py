"""A model folder: what is saved comes back to the bit, and a folder from anywhere is data and nothing else."""

import errno
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from faulty_disk import Disk, from_now_on, once
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import HEAVY, SMALL, rewritten, saved, sealed, with_config
from small_runs import SYSTEMS, start
from torch import nn

from ganworks.cli.app import main
from ganworks.data.spec import DataSpec
from ganworks.errors import ModelError, ResourceError, UsageError
from ganworks.gan import GAN
from ganworks.game import System
from ganworks.training import building
from ganworks.training.stored import read

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


def refused(folder: Path) -> ModelError:
    """The error that a folder gives; in three parts of a bearable length, with nothing that invites to unsafe ways."""
    with pytest.raises(ModelError) as caught:
        GAN.load(folder)
    text = str(caught.value)
    assert caught.value.exit_code == 5
    assert len(text) < 1_500
    for word in ("weights_only", "allow_pickle", "unsafe", "trust_remote", "Traceback"):
        assert word not in text
    return caught.value


CONFIGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an unknown system": lambda c: c["run"].update(system="gna"),
    "a class by its path": lambda c: c["run"].update(system="torch.nn.Linear"),
    "a module by its path": lambda c: c["run"].update(system="os"),
    "a file by its path": lambda c: c["run"].update(system="../../etc/passwd"),
    "a system that is no word": lambda c: c["run"].update(system=["gan"]),
    "another system": lambda c: c["run"].update(system="r3gan"),
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
    model = with_config(whole, tmp_path / "model", lambda config: None)
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


def in_a_narrow_process(model: Path) -> tuple[float, str]:
    """Load a model where no more than 200 MB can be had: megabytes at the peak over before, and the code or what else."""
    import resource
    import warnings

    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, from Python 3.12
        child = os.fork()
    if child == 0:
        said = "loaded"
        limit = virtual() + (200 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        before = peak()
        try:
            GAN.load(model)
        except ModelError as caught:
            said = f"{caught.code} {caught.details}"
        except BaseException as caught:
            said = repr(caught)
        os.write(writing, json.dumps([peak() - before, said[:500]]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        megabytes, said = json.loads(pipe.read())
    os.waitpid(child, 0)
    return megabytes, said


def virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Endless(System):
    """A system whose settings could ask for any number of layers, or for buffers that no file holds."""

    name, paper, accepts, gives, averaged = "endless", "none", ("points",), "points", ()
    Settings = type(GAN("gan")._session.new_engine) and __import__("ganworks.settings", fromlist=["x"]).GameSettings

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


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(0, 10**6), value=JSON)
def test_anything_anywhere_in_a_config_loads_or_is_refused(
    where: int, value: Any, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def change(config: dict[str, Any]) -> Any:
        places = leaves(config)
        path = places[where % len(places)]
        if not path:
            return value
        place = config
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return None

    model = with_config(whole, tmp_path_factory.mktemp("any") / "model", change)
    try:
        drawn = GAN.load(model).sample(2)
    except ModelError:
        return
    assert drawn.shape == (2, 2)


# Weights from anywhere


def header(entries: dict[str, Any] | str | bytes) -> bytes:
    text = entries if isinstance(entries, bytes) else (json.dumps(entries) if isinstance(entries, dict) else entries).encode()
    return len(text).to_bytes(8, "little") + text


def entry(shape: list[int], first: int, last: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


FOUR = bytes(4)
RAW: dict[str, bytes] = {
    "empty": b"",
    "four bytes": FOUR,
    "a header of a length without end": b"\xff" * 8 + b"{}",
    "a header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "a header of more than 8 MB": header("{" + " " * (9 << 20) + "}"),
    "a header that is no JSON": header("{a}"),
    "a header that is a list": header("[]"),
    "a header that is no UTF-8": header(b'{"\xff": 1}'),
    "a header nested without end": header("[" * 100_000),
    "a name twice": header('{"w": %s, "w": %s}' % ((json.dumps(entry([1], 0, 4)),) * 2)) + FOUR,
    "a key twice": header('{"w": {"dtype": "F32", "dtype": "I32", "shape": [1], "data_offsets": [0, 4]}}') + FOUR,
    "two tensors in one place": header({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}) + FOUR,
    "a hole": header({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}) + 3 * FOUR,
    "a shape of other bytes": header({"a": entry([2], 0, 4)}) + FOUR,
    "a shape beyond 64 bits": header({"a": entry([2**40, 2**40], 0, 4)}) + FOUR,
    "a negative shape": header({"a": entry([-1], 0, 4)}) + FOUR,
    "offsets backwards": header({"a": entry([1], 4, 0)}) + FOUR,
    "offsets beyond the file": header({"a": entry([1000], 0, 4000)}) + FOUR,
    "an unknown type": header({"a": entry([1], 0, 4, "C99")}) + FOUR,
    "trailing bytes": header({"a": entry([1], 0, 4)}) + 2 * FOUR,
    "no offsets": header({"a": {"dtype": "F32", "shape": [1]}}) + FOUR,
}


@pytest.mark.parametrize("name", RAW)
def test_a_file_of_weights_that_is_none_is_refused(name: str, whole: Path, tmp_path: Path) -> None:
    assert refused(sealed(whole, tmp_path / "model", RAW[name])).code == "E-MODEL-01"


def test_a_crowd_of_names_costs_little(whole: Path, tmp_path: Path) -> None:
    """The longest header that is read, full of the shortest entries."""
    crowd = "{" + ",".join(f'"{n:x}":{{}}' for n in range(700_000)) + "}"
    assert 7 << 20 < len(crowd) < 8 << 20
    megabytes, said = in_a_narrow_process(sealed(whole, tmp_path / "model", header(crowd)))
    assert said.startswith("E-MODEL-01"), said
    assert megabytes < 150


TENSORS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "one missing": lambda t: t.pop("system/generator.head.bias"),
    "no average": lambda t: t.pop("average/generator.head.bias"),
    "one too many": lambda t: t.update({"system/extra": torch.zeros(3)}),
    "transposed": lambda t: t.update({"system/generator.head.weight": t["system/generator.head.weight"].T.contiguous()}),
    "doubles": lambda t: t.update({"system/generator.head.weight": t["system/generator.head.weight"].double()}),
    "whole numbers": lambda t: t.update({"system/generator.head.weight": t["system/generator.head.weight"].int()}),
    "not a number": lambda t: t["system/generator.head.weight"].fill_(float("nan")),
    "infinite": lambda t: t["average/generator.head.bias"].fill_(float("inf")),
    "none at all": lambda t: t.clear(),
}


@pytest.mark.parametrize("name", TENSORS)
def test_other_weights_than_the_settings_ask_for_are_refused(name: str, whole: Path, tmp_path: Path) -> None:
    found = refused(rewritten(whole, tmp_path / "model", TENSORS[name]))
    assert found.code == "E-MODEL-02"
    if name in ("not a number", "infinite"):
        assert "generator.head" in found.what


def test_a_damaged_file_is_noticed(whole: Path, tmp_path: Path) -> None:
    """By its hash: a flipped bit in a weight has no other sign."""
    content = (whole / "model.safetensors").read_bytes()
    start_of_body = 8 + int.from_bytes(content[:8], "little")
    places = [*range(0, start_of_body, 41), *range(start_of_body, len(content), 97)]
    flipped = [content[:p] + bytes([content[p] ^ (1 << p % 8)]) + content[p + 1 :] for p in places]
    cut = [content[: len(content) * percent // 100] for percent in range(0, 100, 7)]
    zeroed = [content[:start_of_body] + bytes(len(content) - start_of_body)]
    model = with_config(whole, tmp_path / "model", lambda config: None)
    for changed in [*flipped, *cut, *zeroed]:
        (model / "model.safetensors").write_bytes(changed)
        assert refused(model).code == "E-MODEL-01"


def test_missing_weights_and_a_pipe_for_weights_are_refused(whole: Path, tmp_path: Path) -> None:
    model = with_config(whole, tmp_path / "model", lambda config: None)
    (model / "model.safetensors").unlink()
    assert "it has no model.safetensors" in refused(model).details
    os.mkfifo(model / "model.safetensors")
    assert "it has no model.safetensors" in refused(model).details  # and it does not wait for somebody to write


# Code in disguise


class _Canary:
    """Unpickled, it makes a folder."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.place,)


def disguises(place: str) -> dict[str, bytes]:
    canary = _Canary(place)
    found = {f"pickle {protocol}": pickle.dumps(canary, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)}
    for name, modern in (("torch zip", True), ("torch legacy", False)):
        made = io.BytesIO()
        torch.save({"w": canary}, made, _use_new_zipfile_serialization=modern)
        found[name] = made.getvalue()
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([canary], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as inner:
        inner.writestr("data.pkl", found["pickle 2"])
    return found | {"npy": array.getvalue(), "zip": archive.getvalue()}


def test_code_in_disguise_never_runs(whole: Path, tmp_path: Path) -> None:
    place = tmp_path / "canary"
    run = start(tmp_path / "run", "gan", 3).run
    for name, content in disguises(str(place)).items():
        assert refused(sealed(whole, tmp_path / name, content)).code == "E-MODEL-01"
        for each in (run / "checkpoints").iterdir():
            (each / "state.safetensors").write_bytes(content)
        assert refused(run).code == "E-MODEL-01"
        (tmp_path / name / "config.json").write_bytes(content)
        assert refused(tmp_path / name).code == "E-MODEL-01"
        assert not place.exists()
    pickle.loads(disguises(str(place))["pickle 2"])
    assert place.exists(), "the canary itself is alive"


# Memory and the command


def test_loading_takes_little_more_than_the_model(tmp_path: Path) -> None:
    gan = GAN("gan", **SMALL | {"generator.width": 1500, "discriminator.width": 1500}).start("ring", steps=10)
    gan.save(tmp_path / "model")
    size = (tmp_path / "model/model.safetensors").stat().st_size / (1 << 20)
    assert size > 40
    assert torch.equal(read_all(tmp_path / "model")["counted"], torch.tensor(3))
    megabytes, said = in_a_narrow_process(tmp_path / "model")
    assert said == "loaded"
    assert megabytes < 2.5 * size, f"{megabytes:.0f} MB for a file of {size:.0f} MB"


def read_all(model: Path) -> dict[str, torch.Tensor]:
    config = json.loads((model / "config.json").read_text())
    tensors = read(model / "model.safetensors", config["sha256"])
    return {"counted": torch.tensor(len({name.split("/")[0] + name.split(".")[0] for name in tensors}))}


def test_the_command_answers_a_broken_model_with_5_and_no_traceback(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = sealed(whole, tmp_path / "model", pickle.dumps({"w": 1}))
    assert main(["sample", str(model), "--out", str(tmp_path / "out")]) == 5
    said = capsys.readouterr().err
    assert said.startswith("error[E-MODEL-01]")
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert "E-RUN-02" in capsys.readouterr().err
