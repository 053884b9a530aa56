"""Weights from anywhere: damaged, not weights at all, or code in disguise."""

import hashlib
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
import torch
from model_files import SMALL, in_a_narrow_process, refused, rewritten, saved, sealed, with_config
from small_runs import start

from ganworks.cli.app import main
from ganworks.gan import GAN


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of points that is all right."""
    return saved(tmp_path_factory.mktemp("model") / "whole")


def header(entries: dict[str, Any] | str | bytes) -> bytes:
    text = (
        entries
        if isinstance(entries, bytes)
        else (json.dumps(entries) if isinstance(entries, dict) else entries).encode()
    )
    return len(text).to_bytes(8, "little") + text


def entry(shape: list[int], first: int, last: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


FOUR = bytes(4)
RAW: dict[str, bytes] = {
    "empty": b"",
    "four bytes": FOUR,
    "a header of a length without end": b"\xff" * 8 + b"{}",
    "a header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "a header of more than 4 MB": header("{" + " " * (9 << 20) + "}"),
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
    crowd = "{" + ",".join(f'"{n:x}":{{}}' for n in range(370_000)) + "}"
    assert 3.5 * (1 << 20) < len(crowd) < 4 << 20
    megabytes, said = in_a_narrow_process(sealed(whole, tmp_path / "model", header(crowd)))
    assert said.startswith("E-MODEL-01"), said
    assert megabytes < 100


TENSORS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "one missing": lambda t: t.pop("system/generator.head.bias"),
    "no average": lambda t: t.pop("average/generator.head.bias"),
    "one too many": lambda t: t.update({"system/extra": torch.zeros(3)}),
    "transposed": lambda t: t.update(
        {"system/generator.head.weight": t["system/generator.head.weight"].T.contiguous()}
    ),
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
    model = with_config(whole, tmp_path / "model")
    for changed in [*flipped, *cut, *zeroed]:
        (model / "model.safetensors").write_bytes(changed)
        assert refused(model).code == "E-MODEL-01"


def test_without_the_hash_a_flipped_bit_would_pass(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeded bug: the hash that was written down is taken for the file's."""
    model = with_config(whole, tmp_path / "model")
    content = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(content[:-4] + bytes([content[-4] ^ 1]) + content[-3:])
    refused(model)
    written_down = hashlib.sha256(content)
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: written_down)
    assert GAN.load(model).sample(2).shape == (2, 2)


def test_missing_weights_and_a_pipe_for_weights_are_refused(whole: Path, tmp_path: Path) -> None:
    model = with_config(whole, tmp_path / "model")
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
    """The file as it is mapped, the system, its average, and nothing twice."""
    gan = GAN("gan", **SMALL | {"generator.width": 1500, "discriminator.width": 1500}).start("ring", steps=10)
    gan.save(tmp_path / "model")
    size = (tmp_path / "model/model.safetensors").stat().st_size / (1 << 20)
    assert size > 40
    megabytes, said = in_a_narrow_process(tmp_path / "model")
    assert said == "loaded"
    assert megabytes < 3 * size, f"{megabytes:.0f} MB for a file of {size:.0f} MB"


def test_the_command_answers_a_broken_model_with_5_and_no_traceback(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = sealed(whole, tmp_path / "model", pickle.dumps({"w": 1}))
    assert main(["sample", str(model), "--out", str(tmp_path / "out")]) == 5
    said = capsys.readouterr().err
    assert said.startswith("error[E-MODEL-01]")
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
