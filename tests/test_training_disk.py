"""Saving on a bad disk: whatever it refuses and whenever the power goes, a whole checkpoint is there afterwards."""

import errno
import hashlib
import itertools
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
from faulty_disk import Disk, PowerCuts, Tree, from_now_on, lay_out, once
from test_training_checkpoint import fresh, names, same, saved, state

from ganworks.errors import GanworksError, ResourceError
from ganworks.training import checkpoint, disk
from ganworks.training.checkpoint import Checkpoint, clear_partial, latest, save

CODES = {
    errno.ENOSPC: "E-ENV-01",
    errno.EDQUOT: "E-ENV-01",
    errno.EFBIG: "E-ENV-01",
    errno.EIO: "E-ENV-02",
    errno.EROFS: "E-ENV-02",
    errno.EMFILE: "E-ENV-02",
}


# Every operation of a save refused in turn


def refusals(at: Path, save_it: Callable[[Path], object], old: int, new: int) -> Iterator[tuple[str, list[str]]]:
    """Refuse each operation of a save in turn, once and from there on. Gives where it landed, and what went wrong."""
    before = at / "before"
    saved(before, old - 1, old)
    watched = Disk(_copy(before, at / "whole"))
    with watched.watching():
        save_it(at / "whole")
    plans = [*((once, code) for code in CODES), (from_now_on, errno.ENOSPC), (from_now_on, errno.EROFS)]
    for number, (plan, code) in itertools.product(range(len(watched.seen)), plans):
        faulty = Disk(_copy(before, at / "faulty"), plan(number, code))
        caught: BaseException | None = None
        try:
            with faulty.watching():
                save_it(at / "faulty")
        except BaseException as error:
            caught = error
        where = f"{plan.__name__} {errno.errorcode[code]} at {faulty.refused[:1]}"
        problems = _judge(at / "faulty", caught, code, old, new)
        yield watched.seen[number][0] if faulty.refused else "", [f"{where}: {each}" for each in problems]


def survey(found: Iterator[tuple[str, list[str]]]) -> Counter[str]:
    """Where faults landed; none of them may have done harm."""
    landed: Counter[str] = Counter()
    for name, problems in found:
        assert problems == []
        landed[name] += 1
    print("faults landed at", dict(landed))
    return landed


def _copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def _judge(folder: Path, caught: BaseException | None, code: int, old: int, new: int) -> list[str]:
    problems = []
    try:
        found = latest(folder)
    except GanworksError as broken:
        return [f"nothing can be loaded: {broken.details}"]
    if not same(found, old) and not same(found, new):
        problems.append("neither the old nor the new one can be loaded")
    if found is not None and found.notes:
        problems.append(f"a broken one is there: {found.notes}")
    if caught is None and not same(found, new):
        problems.append("it was said to be saved, and is not")
    if caught is not None and not (isinstance(caught, ResourceError) and caught.code == CODES[code]):
        problems.append(f"it said {caught!r}")
    if isinstance(caught, ResourceError) and "untouched" not in " ".join(caught.details):
        problems.append("it does not say what still stands")
    if code != errno.EROFS and any(not name.isdecimal() for name in names(folder)):
        problems.append(f"left over: {names(folder)}")
    clear_partial(folder)
    if any(not name.isdecimal() for name in names(folder)):
        problems.append(f"not cleared: {names(folder)}")
    return problems


def test_a_refused_operation_leaves_the_old_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    landed = survey(refusals(tmp_path, lambda folder: save(folder, 10, 100, state(10)), old=9, new=10))
    assert landed.keys() >= {"mkdir", "open", "write", "close", "fsync", "rename", "unlink", "rmdir"}
    assert sum(landed.values()) > 100


def test_a_refused_change_of_the_manifest_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    landed = survey(refusals(tmp_path, lambda folder: save(folder, 9, 200, state(9)), old=9, new=9))
    assert landed.keys() >= {"open", "write", "close", "fsync", "rename"}


def _in_place(folder: Path) -> None:
    """Seeded bug: written where readers look."""
    target = folder / "000010"
    target.mkdir()
    content = safetensors.torch.save(state(10))
    disk.write_synced(target / "state.safetensors", content)
    sealed = checkpoint._Manifest(
        format=1, step=10, until=100, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    ).sealed()
    disk.write_synced(target / "manifest.json", sealed.model_dump_json().encode())


def _old_first(folder: Path) -> None:
    """Seeded bug: room is made before the new one is safe."""
    for each in folder.iterdir():
        shutil.rmtree(each)
    save(folder, 10, 100, state(10))


def _unsaid(folder: Path) -> None:
    """Seeded bug: the refusal is swallowed."""
    try:
        save(folder, 10, 100, state(10))
    except ResourceError:
        return


def _left_behind(folder: Path) -> None:
    """Seeded bug: the half-written folder stays."""
    before = disk.discard
    disk.discard = lambda path: None
    try:
        save(folder, 10, 100, state(10))
    finally:
        disk.discard = before


@pytest.mark.parametrize("bug", [_in_place, _old_first, _unsaid, _left_behind])
def test_the_refusals_catch_seeded_bugs(bug: Callable[[Path], object], tmp_path: Path) -> None:
    assert any(problems for _, problems in refusals(tmp_path, bug, old=9, new=10))


def test_a_file_limit_of_the_system_is_a_full_disk(tmp_path: Path) -> None:
    """No stand-in: the kernel itself refuses to let the file grow (EFBIG)."""
    code = (
        "import resource, sys, torch\n"
        "from pathlib import Path\n"
        "from ganworks.errors import GanworksError\n"
        "from ganworks.training.checkpoint import latest, save\n"
        "folder = Path(sys.argv[1])\n"
        "save(folder, 1, 9, {'w': torch.zeros(10)})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    save(folder, 2, 9, {'w': torch.zeros(100_000)})\n"
        "except GanworksError as caught:\n"
        "    print(caught)\n"
        "    print(latest(folder).step, sorted(each.name for each in folder.iterdir()), caught.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "error[E-ENV-01]: the disk is full" in done.stdout
    assert "the checkpoint of step 1 is untouched" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 ['000001'] 4"


def test_bytes_that_do_not_come_back_are_not_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, 5)
    write = disk.write_synced
    monkeypatch.setattr(disk, "write_synced", lambda path, content: write(path, content[:-1] + b"!"))
    with pytest.raises(ResourceError, match=r"E-ENV-02.*other bytes"):
        saved(tmp_path, 6)
    assert names(tmp_path) == ["000005"]


def test_an_interrupt_in_the_middle_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, 5)

    def interrupted(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(disk, "write_synced", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saved(tmp_path, 6)
    assert names(tmp_path) == ["000005"]


# The power goes


def power_cuts(at: Path, first: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Cut the power after every operation of three saves. Gives which it was, and what went wrong."""
    folder = at / "run" / "checkpoints"
    folder.mkdir(parents=True)
    if not first:
        saved(folder, 1, 2)
    before = _copy(folder, at / "before")
    watched = Disk(folder)
    marks: list[int] = []
    with watched.watching():
        for step in (3, 4, 5):
            saved(folder, step)
            marks.append(len(watched.journal))
    known: dict[Tree, Checkpoint | GanworksError | None] = {}
    for number, name, tree in PowerCuts(before, watched.journal, folder).states():
        if tree not in known:
            known[tree] = _loaded(tree, fresh(at / "cut"))
        found = known[tree]
        done = 2 + sum(mark <= number + 1 for mark in marks)  # this one was said to be saved
        good = same(found, done) or same(found, done + 1) if isinstance(found, Checkpoint) else False
        good = good or (found is None and first and done == 2)
        step = found.step if isinstance(found, Checkpoint) else found
        yield name, [] if good else [f"operation {number}, {name}: found {step} where {done} was saved"]


def _loaded(tree: Tree, folder: Path) -> Checkpoint | GanworksError | None:
    folder.mkdir()
    lay_out(tree, folder)
    try:
        return latest(folder)
    except GanworksError as broken:
        return broken


def test_the_power_may_go_after_any_operation(tmp_path: Path) -> None:
    landed = survey(power_cuts(tmp_path))
    assert landed.keys() >= {"mkdir", "open", "write", "fsync", "rename", "unlink", "rmdir"}
    assert sum(landed.values()) > 200


def test_the_power_may_go_during_the_first_save(tmp_path: Path) -> None:
    survey(power_cuts(tmp_path, first=True))


def _write_unsynced(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_power_cuts_catch_files_that_are_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "write_synced", _write_unsynced)
    assert any(problems for _, problems in power_cuts(tmp_path))


def test_power_cuts_catch_folders_that_are_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "sync_folder", lambda folder: None)
    assert any(problems for _, problems in power_cuts(tmp_path))


class _Agrees:
    """A hash that is always right."""

    def __init__(self, content: bytes) -> None:
        pass

    def hexdigest(self) -> str:
        return "same"


def test_power_cuts_catch_a_hash_that_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files unsynced as above, and the hash blind too: now a torn state is taken for a whole one."""
    monkeypatch.setattr(disk, "write_synced", _write_unsynced)
    monkeypatch.setattr(checkpoint.hashlib, "sha256", _Agrees)
    assert any("found 3 where 2" in each for _, problems in power_cuts(tmp_path) for each in problems)
