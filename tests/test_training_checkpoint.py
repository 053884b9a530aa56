"""Checkpoints: what a save leaves, and what is done about damage. Refusals and power cuts: test_training_disk.py."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from faulty_disk import Disk

from ganworks.errors import ModelError
from ganworks.training.checkpoint import Checkpoint, clear_partial, latest, save


def state(step: int) -> dict[str, torch.Tensor]:
    """Some state that differs from step to step."""
    weights = torch.arange(160.0).reshape(8, 20) + step
    half = torch.full((3,), step % 1000, dtype=torch.float16)
    return {"system/w": weights, "average/w": half, "counter/step": torch.tensor(step), "system/none": torch.empty(0)}


def same(found: Checkpoint | None, step: int) -> bool:
    """Whether a checkpoint is whole and that of a step."""
    wanted = state(step)
    return (
        found is not None
        and found.step == step
        and found.tensors.keys() == wanted.keys()
        and all(
            torch.equal(found.tensors[name], tensor) and found.tensors[name].dtype == tensor.dtype
            for name, tensor in wanted.items()
        )
    )


def saved(folder: Path, *steps: int, until: int = 100) -> Path:
    for step in steps:
        save(folder, step, until, state(step))
    return folder


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


# What a save leaves


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    saved(tmp_path / "checkpoints", 7)
    found = latest(tmp_path / "checkpoints")
    assert same(found, 7)
    assert found is not None
    assert (found.until, found.notes) == (100, ())


def test_nothing_saved_is_not_an_error(tmp_path: Path) -> None:
    assert latest(tmp_path / "nowhere") is None
    assert latest(tmp_path) is None


def test_the_manifest_has_the_hash_of_the_state(tmp_path: Path) -> None:
    saved(tmp_path, 7)
    manifest = json.loads((tmp_path / "000007" / "manifest.json").read_text())
    content = (tmp_path / "000007" / "state.safetensors").read_bytes()
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["format"], manifest["step"], manifest["until"], manifest["bytes"]) == (2, 7, 100, len(content))


def test_equal_states_are_equal_files(tmp_path: Path) -> None:
    """Neither time nor path nor the order of names may show in a file."""
    for place in ("one", "two/deeper"):
        (tmp_path / place).mkdir(parents=True)
    save(tmp_path / "one", 7, 100, state(7))
    save(tmp_path / "two/deeper", 7, 100, dict(reversed(state(7).items())))
    for name in ("state.safetensors", "manifest.json"):
        assert (tmp_path / "one/000007" / name).read_bytes() == (tmp_path / "two/deeper/000007" / name).read_bytes()


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 0, 5, 10, 15)
    assert names(tmp_path) == ["000010", "000015"]


def test_a_broken_one_does_not_count_as_one_of_the_two(tmp_path: Path) -> None:
    """A broken newer one would otherwise push the only whole one out."""
    saved(tmp_path, 5, 10)
    (tmp_path / "000010" / "state.safetensors").write_bytes(b"")
    saved(tmp_path, 8)
    assert names(tmp_path) == ["000005", "000008"]


def test_a_broken_one_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    (tmp_path / "000010" / "state.safetensors").write_bytes(b"")
    saved(tmp_path, 10)
    assert same(latest(tmp_path), 10)


def test_what_is_saved_already_is_not_written_again(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    watched = Disk(tmp_path)
    with watched.watching():
        saved(tmp_path, 5)
    assert watched.journal == []


def test_only_the_manifest_changes_where_a_run_is_to_go_further(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    watched = Disk(tmp_path)
    with watched.watching():
        saved(tmp_path, 5, until=200)
    assert not any("state.safetensors" in path for _, path in watched.seen)
    found = latest(tmp_path)
    assert found is not None
    assert found.until == 200
    assert same(found, 5)


def test_steps_of_more_digits_are_newer(tmp_path: Path) -> None:
    saved(tmp_path, 999_999, 1_000_000)
    assert same(latest(tmp_path), 1_000_000)


# Damage


def damaged(
    folder: Path, change: Callable[[bytes], bytes], name: str = "state.safetensors", step: str = "000010"
) -> None:
    path = folder / step / name
    path.write_bytes(change(path.read_bytes()))


def is_noticed(folder: Path) -> bool:
    """Whether the newest was passed over, the older one taken, and that was said."""
    found = latest(folder)
    return same(found, 5) and found is not None and len(found.notes) == 1 and "000010" in found.notes[0]


def flips(content: bytes, dense: int) -> list[bytes]:
    """One byte changed, all its bits or one of them: every byte of the first ones, then every seventh."""
    places = [place for place in range(len(content)) if place < dense or place % 7 == 0]
    return [content[:p] + bytes([content[p] ^ bits]) + content[p + 1 :] for p in places for bits in (0xFF, 1 << p % 8)]


def test_every_changed_byte_of_a_state_is_noticed(tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    content = (tmp_path / "000010/state.safetensors").read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for changed in flips(content, dense=header):
        damaged(tmp_path, lambda _, changed=changed: changed)
        assert is_noticed(tmp_path)


def test_every_changed_byte_of_a_manifest_is_noticed(tmp_path: Path) -> None:
    """`until` too, which the hash of the state does not cover. Blanks between values mean nothing."""
    saved(tmp_path, 5, 10)
    content = (tmp_path / "000010/manifest.json").read_bytes()
    for changed in flips(content, dense=len(content)):
        damaged(tmp_path, lambda _, changed=changed: changed, "manifest.json")
        harmless = _json(changed) == json.loads(content)
        later = re.search(rb'"format": [3-9]', changed)  # the digit of the format became a higher one
        if later:
            with pytest.raises(ModelError, match="E-MODEL-03"):
                latest(tmp_path)
        else:
            assert same(latest(tmp_path), 10) if harmless else is_noticed(tmp_path)


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


@pytest.mark.parametrize("name", ["state.safetensors", "manifest.json"])
def test_every_truncation_is_noticed(name: str, tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    content = (tmp_path / "000010" / name).read_bytes()
    cuts = range(len(content.rstrip()))
    for length in cuts:
        damaged(tmp_path, lambda _, length=length: content[:length], name)
        assert is_noticed(tmp_path)
    damaged(tmp_path, lambda _: content[: len(content) // 2] + bytes(len(content) - len(content) // 2), name)
    assert is_noticed(tmp_path)
    damaged(tmp_path, lambda _: content + b"\0", name)
    assert is_noticed(tmp_path)


def test_missing_files_and_other_things_by_its_name_are_noticed(tmp_path: Path) -> None:
    for name in ("state.safetensors", "manifest.json"):
        saved(fresh(tmp_path / "run"), 5, 10)
        (tmp_path / "run/000010" / name).unlink()
        assert is_noticed(tmp_path / "run")
    saved(fresh(tmp_path / "run"), 5)
    (tmp_path / "run/000010").write_text("no folder")
    assert is_noticed(tmp_path / "run")
    saved(fresh(tmp_path / "run"), 5)
    shutil.copytree(tmp_path / "run/000005", tmp_path / "run/000010")
    assert is_noticed(tmp_path / "run")
    saved(tmp_path / "run", 10)  # and each of them is replaced
    assert same(latest(tmp_path / "run"), 10)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "null", "{", "[" * 100_000, '{"format": 1}', '{"format": 1e999}', "\udcff"]
)
def test_a_manifest_of_anything_is_noticed(text: str, tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    damaged(tmp_path, lambda _: text.encode(errors="surrogateescape"), "manifest.json")
    assert is_noticed(tmp_path)


def test_all_broken_is_an_error_that_names_each(tmp_path: Path) -> None:
    saved(tmp_path, 5, 10)
    for step in ("000005", "000010"):
        damaged(tmp_path, lambda content: content[::-1], step=step)
    with pytest.raises(ModelError, match="E-MODEL-01") as caught:
        latest(tmp_path)
    assert caught.value.exit_code == 5
    assert [detail.split()[1] for detail in caught.value.details] == ["000010", "000005"]
    assert all("hash does not agree" in detail for detail in caught.value.details)


def test_a_later_format_is_refused_and_never_passed_over(tmp_path: Path) -> None:
    """An older checkpoint would be there; taking it would silently throw a later version's work away."""
    saved(tmp_path, 5, 10)
    damaged(tmp_path, lambda content: content.replace(b'"format": 2', b'"format": 3'), "manifest.json")
    with pytest.raises(ModelError, match=r"E-MODEL-03.*000010 has format 3, and this version reads up to 2"):
        latest(tmp_path)
    assert names(tmp_path) == ["000005", "000010"]


def test_what_a_killed_save_leaves_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    (tmp_path / ".000010.partial").mkdir()
    (tmp_path / ".000010.partial/state.safetensors").write_bytes(b"half")
    (tmp_path / ".000005.partial").write_bytes(b"a manifest")
    (tmp_path / "notes.txt").write_text("mine")
    clear_partial(tmp_path)
    assert names(tmp_path) == ["000005", "notes.txt"]
    clear_partial(tmp_path / "nowhere")


def test_clearing_never_follows_a_link_out(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious").write_text("x")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/.000001.partial").symlink_to(tmp_path / "mine")
    (tmp_path / "checkpoints/000001").symlink_to(tmp_path / "mine")
    clear_partial(tmp_path / "checkpoints")
    saved(tmp_path / "checkpoints", 2, 3, 4)
    assert names(tmp_path / "checkpoints") == ["000003", "000004"]
    assert (tmp_path / "mine/precious").read_text() == "x"
