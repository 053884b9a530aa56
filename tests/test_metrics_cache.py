"""Kept features: the same bits as computed anew, or computed anew. Never those of other pictures."""

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import faulty_disk
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganworks import data, scoring
from ganworks.metrics import cache, features
from ganworks.metrics.cache import Cache
from ganworks.metrics.spaces import FeatureSpace, bytes_of


class Counting(FeatureSpace):
    """A space that counts the pictures it has looked at."""

    name = "counting"
    dimensions = 3

    def __init__(self, identity: str = "1") -> None:
        self.identity = identity
        self.seen = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return bytes_of(x).flatten(2).mean(2) / 7


def pictures(count: int = 6, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def entries(place: Path) -> list[Path]:
    return sorted(each for each in place.iterdir() if each.is_file()) if place.is_dir() else []


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "features"


# The same pictures in the same space


def test_features_are_computed_once_and_have_the_same_bits(place: Path) -> None:
    space, x = Counting(), pictures()
    first, again = Cache(place=place).features(space, x), Cache(place=place).features(space, x)
    assert space.seen == 6
    assert torch.equal(first, again)
    assert torch.equal(first, Counting()(x))


def test_float64_is_kept_as_float64(place: Path) -> None:
    space = features.get("digits", torch.float64)
    x = torch.rand(3, 1, 28, 28)
    found = [Cache(place=place).features(space, x) for _ in range(2)]
    assert found[1].dtype == torch.float64
    assert torch.equal(*found)


# Anything else


@pytest.mark.parametrize(
    "changed",
    [
        lambda x: torch.cat([x[:-1], pictures(1, seed=5)]),
        lambda x: x.flip(0),
        lambda x: x[:-1],
        lambda x: x.flip(-1),
        lambda x: x.transpose(2, 3).contiguous(),
        lambda x: x.reshape(6, 3, 2, 8),
        lambda x: x.double(),
    ],
    ids=["another picture", "order", "number", "mirrored", "turned", "shape", "type"],
)
def test_other_pictures_are_computed_anew(changed: Any, place: Path) -> None:
    space, x = Counting(), pictures()
    Cache(place=place).features(space, x)
    space.seen = 0
    found = Cache(place=place).features(space, changed(x))
    assert space.seen == len(found)
    assert torch.equal(found, Counting()(changed(x)))


def test_other_weights_another_name_and_other_threads_are_computed_anew(place: Path) -> None:
    x = pictures()
    Cache(place=place).features(Counting(), x)
    other = Counting("2")
    Cache(place=place).features(other, x)
    renamed = Counting()
    renamed.name = "renamed"
    Cache(place=place).features(renamed, x)
    assert (other.seen, renamed.seen) == (6, 6)
    assert len(entries(place)) == 3


def test_every_network_says_what_its_features_depend_on() -> None:
    """Weights, code and type of number: a space without a network says nothing and is never kept."""
    networks = {name for name in features.available() if name not in ("points", "pixels")}
    spaces = [features.get(name, dtype) for name in networks for dtype in (torch.float32, torch.float64)]
    assert len({space.identity for space in spaces}) == len(spaces) == 2 * len(networks)
    assert {features.get(name).identity for name in ("points", "pixels")} == {""}


def test_a_space_that_says_nothing_is_not_kept(place: Path) -> None:
    Cache(place=place).features(Counting(""), pictures())
    assert not place.exists()


def folder_of(path: Path, colour: int) -> Path:
    path.mkdir(exist_ok=True)
    for index in range(8):
        Image.fromarray(np.full((12, 12, 3), colour + index, np.uint8)).save(path / f"{index}.png")
    return path


def looked_at(space: Counting, folder: Path, size: int) -> int:
    space.seen = 0
    scoring.evaluate(lambda count: torch.zeros(count, 3, size, size), data.open(folder, size=size), 4,
                     trained_on=False, space=space, metrics=["kernel_distance"], reference=8)  # fmt: skip
    return space.seen - 4  # the samples are always looked at


def test_a_file_that_was_edited_and_another_size_are_computed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANWORKS_CACHE", str(tmp_path / "kept"))
    space, folder = Counting(), folder_of(tmp_path / "photos", 10)
    assert [looked_at(space, folder, 12) for _ in range(2)] == [8, 0]
    assert [looked_at(space, folder, 16) for _ in range(2)] == [8, 0]
    before = (folder / "3.png").stat()
    Image.fromarray(np.full((12, 12, 3), 200, np.uint8)).save(folder / "3.png")
    os.utime(folder / "3.png", ns=(before.st_atime_ns, before.st_mtime_ns))  # same name, same date
    assert [looked_at(space, folder, 12) for _ in range(2)] == [8, 0]


def test_the_same_rows_of_another_part_are_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parts of a split have one fingerprint, and may have as many rows: only the pictures tell them apart."""
    monkeypatch.setenv("GANWORKS_CACHE", str(tmp_path))
    rows = np.random.default_rng(0).integers(0, 256, (200, 3, 8, 8)).astype("uint8")
    opened, space = data.open(rows), Counting()
    assert opened.held_out is not None
    scoring.evaluate(lambda count: torch.zeros(count, 3, 8, 8), opened, 50, trained_on=True, space=space,
                     metrics=["kernel_distance"])  # fmt: skip
    assert space.seen == 150
    assert len(entries(tmp_path / "features")) == 2


# What is damaged


def damaged(content: bytes) -> Iterator[bytes]:
    yield from (content[:length] for length in (0, 1, 31, 32, 40, len(content) - 1))
    yield content + b"\0"
    yield b"\x80\x04N."  # a pickle
    for place in (0, 32, 40, len(content) - 1):
        yield content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_damaged_entry_is_computed_anew(place: Path) -> None:
    space, x = Counting(), pictures()
    right = Cache(place=place).features(space, x)
    (entry,) = entries(place)
    for content in damaged(entry.read_bytes()):
        entry.write_bytes(content)
        assert torch.equal(Cache(place=place).features(space, x), right)
        assert cache._read(entry, entry.name) is not None  # it was written again


def test_an_entry_under_another_name_is_no_entry(place: Path) -> None:
    space, x, other = Counting(), pictures(), pictures(seed=1)
    Cache(place=place).features(space, x)
    (entry,) = entries(place)
    name = cache._name(space, other)
    shutil.copy(entry, place / name)
    assert torch.equal(Cache(place=place).features(space, other), Counting()(other))


def test_a_folder_and_a_pipe_in_its_place_are_no_entries(place: Path) -> None:
    space, x = Counting(), pictures()
    place.mkdir(parents=True)
    (place / cache._name(space, x)).mkdir()
    assert torch.equal(Cache(place=place).features(space, x), Counting()(x))
    y = pictures(seed=1)
    os.mkfifo(place / cache._name(space, y))
    assert torch.equal(Cache(place=place).features(space, y), Counting()(y))


# Whole or not at all


def test_a_disk_that_refuses_costs_a_note_and_nothing_else(tmp_path: Path) -> None:
    space, x = Counting(), pictures()
    right = Counting()(x)
    with faulty_disk.Disk(tmp_path / "whole").watching() as disk:
        Cache(place=tmp_path / "whole").features(space, x)
    for code in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO):
        for number in range(len(disk.seen)):
            place, told = tmp_path / f"{code}-{number}", list[Mapping[str, Any]]()
            kept = Cache(told.append, place)
            with faulty_disk.Disk(place, faulty_disk.from_now_on(number, code)).watching():
                assert torch.equal(kept.features(space, x), right)
                kept.features(space, pictures(seed=1))
                kept.trim()
            assert [set(record) for record in told] == [{"message"}]
            assert torch.equal(Cache(place=place).features(space, x), right)


def test_a_power_cut_leaves_a_whole_entry_or_none(tmp_path: Path) -> None:
    space, x, place = Counting(), pictures(), tmp_path / "cache"
    place.mkdir()
    before = tmp_path / "before"
    before.mkdir()
    with faulty_disk.Disk(place).watching() as disk:
        right = Cache(place=place).features(space, x)
    outcomes = set()
    for number, (_, _, tree) in enumerate(faulty_disk.PowerCuts(before, disk.journal, place).states()):
        after = tmp_path / f"after-{number}"
        after.mkdir()
        faulty_disk.lay_out(tree, after)
        found = cache._read(after / cache._name(space, x), cache._name(space, x))
        outcomes.add(found is None)
        assert found is None or torch.equal(found, right)
        assert torch.equal(Cache(place=after).features(space, x), right)
    assert outcomes == {True, False}


FILLING = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_metrics_cache import Cache, Counting, pictures
print("begun", flush=True)
while True:
    for seed in range(40):
        Cache(place=Path(sys.argv[1])).features(Counting(), pictures(200, seed))
    if len(sys.argv) == 2:
        break
    for each in Path(sys.argv[1]).iterdir():
        each.unlink(missing_ok=True)
"""


def filling(place: Path, *more: str) -> subprocess.Popen[str]:
    program = FILLING.format(tests=str(Path(__file__).parent))
    return subprocess.Popen([sys.executable, "-c", program, str(place), *more], stdout=subprocess.PIPE, text=True)


def test_two_processes_that_fill_one_cache_and_one_that_is_killed_while_it_does(place: Path) -> None:
    killed = filling(place, "for ever")
    assert killed.stdout is not None
    assert killed.stdout.readline() == "begun\n"
    time.sleep(0.2)
    killed.kill()
    killed.communicate()
    both = [filling(place) for _ in range(2)]
    assert [(each.communicate(), each.returncode)[1] for each in both] == [0, 0]
    space = Counting()
    for seed in range(40):
        x = pictures(200, seed)
        assert torch.equal(Cache(place=place).features(space, x), Counting()(x))
    assert space.seen == 0  # all are there, and whole


# Where, and how much


def test_the_folder_can_be_chosen_and_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANWORKS_CACHE", str(tmp_path))
    assert cache.folder() == tmp_path / "features"
    monkeypatch.setenv("GANWORKS_CACHE", "off")
    assert cache.folder() is None
    monkeypatch.delenv("GANWORKS_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "ganworks" / "features"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # not allowed by its standard
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "ganworks" / "features"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache.folder() == tmp_path / "Library" / "Caches" / "ganworks" / "features"


def test_what_was_not_used_for_the_longest_time_goes_first(place: Path) -> None:
    space = Counting()
    for seed in range(5):
        Cache(place=place).features(space, pictures(seed=seed))
        entry = place / cache._name(space, pictures(seed=seed))
        os.utime(entry, (1_000 + seed, 1_000 + seed))
    Cache(place=place).features(space, pictures(seed=0))  # used again
    size = entries(place)[0].stat().st_size
    Cache(place=place).trim(most=3 * size)
    left = {seed for seed in range(5) if (place / cache._name(space, pictures(seed=seed))).exists()}
    assert left == {0, 3, 4}
    assert sum(each.stat().st_size for each in entries(place)) <= 3 * size


def test_only_entries_and_what_a_kill_left_are_removed(place: Path) -> None:
    Cache(place=place).features(Counting(), pictures())
    (place / "mine.txt").write_text("mine")
    old, fresh = place / "a-1.partial", place / "a-2.partial"
    for each in (old, fresh):
        each.write_bytes(b"half")
    os.utime(old, (1_000, 1_000))
    Cache(place=place).trim()
    assert (fresh.exists(), old.exists(), len(entries(place))) == (True, False, 3)
    Cache(place=place).trim(most=0)
    assert [each.name for each in entries(place)] == ["mine.txt"]


def test_a_dry_run_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANWORKS_CACHE", str(tmp_path / "kept"))
    scoring.evaluate(lambda count: pictures(count), data.open(np.zeros((9, 4, 4, 3), "uint8")), 4, trained_on=False,
                     space=Counting(), metrics=["kernel_distance"], keep=False)  # fmt: skip
    assert not (tmp_path / "kept").exists()


def test_scores_are_the_same_with_and_without_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = data.open("digits:7")
    found = []
    for chosen in ("off", str(tmp_path), str(tmp_path)):
        monkeypatch.setenv("GANWORKS_CACHE", chosen)
        found.append(scoring.evaluate(lambda count: torch.zeros(count, 1, 28, 28), digits, 60, trained_on=True))
    assert found[0] == found[1] == found[2]
