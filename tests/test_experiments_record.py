"""What an experiment keeps, takes from its file, and measures anew; and that what it depends on is there."""

import json
import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

from experiments import record


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two source files."""
    for name in ("src/ganworks/losses.py", "src/ganworks/cli/train.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(record, "ROOT", tmp_path)
    return tmp_path


def test_the_hash_sees_a_loss_and_not_how_the_command_looks(tree: Path) -> None:
    before = record.source_hash(record.OURS)
    (tree / "src/ganworks/cli/train.py").write_text("two")
    assert record.source_hash(record.OURS) == before
    (tree / "src/ganworks/losses.py").write_text("two")
    assert record.source_hash(record.OURS) != before


def test_the_hash_does_not_see_words(tree: Path) -> None:
    (tree / "src/ganworks/losses.py").write_text("one = 1")
    before = record.source_hash(record.OURS)
    (tree / "src/ganworks/losses.py").write_text('"""What it is."""\n\none = 1  # why\n')
    assert record.source_hash(record.OURS) == before
    (tree / "src/ganworks/losses.py").write_text("one = 2")
    assert record.source_hash(record.OURS) != before


def new_record(tree: Path, options: object = None) -> record.Record:
    return record.Record("tiny", "It works.", record.OURS, options, tree / "results")


def counted() -> tuple[list[int], Callable[[], record.Arm]]:
    calls: list[int] = []

    def measure() -> record.Arm:
        calls.append(1)
        return {"recall": 0.5}

    return calls, measure


def test_a_finished_arm_is_taken_from_the_file(tree: Path) -> None:
    calls, measure = counted()
    new_record(tree).arm("seed 0", measure)
    assert new_record(tree).arm("seed 0", measure) == {"recall": 0.5}
    assert len(calls) == 1


@pytest.mark.parametrize("change", ["sources", "options"])
def test_a_record_starts_anew_with_other_sources_or_options(tree: Path, change: str) -> None:
    calls, measure = counted()
    new_record(tree).arm("seed 0", measure)
    if change == "sources":
        (tree / "src/ganworks/losses.py").write_text("two")
    new_record(tree, {"seeds": 3} if change == "options" else None).arm("seed 0", measure)
    assert len(calls) == 2


def test_an_arm_with_sources_of_its_own_is_measured_anew_alone(tree: Path) -> None:
    own = tree / "src/ganworks/systems.py"
    own.write_text("one")
    calls, measure = counted()

    def measured() -> Path:
        found = record.Record("tiny", "It works.", ["src/ganworks/losses.py"], folder=tree / "results")
        found.arm("seed 0", measure)
        found.arm("system", measure, ["src/ganworks/systems.py"])
        found.finish()
        return found.path

    assert measured() == measured()
    assert len(calls) == 2
    own.write_text("two")
    assert record.stale(tree / "results/tiny.json")
    assert not record.stale(measured())
    assert len(calls) == 3


def test_an_arm_that_fails_leaves_the_others(tree: Path) -> None:
    first = new_record(tree)
    first.arm("seed 0", lambda: {"recall": 0.5})
    with pytest.raises(ZeroDivisionError):
        first.arm("seed 1", lambda: {"recall": 1 / 0})
    assert list(new_record(tree).arms) == ["seed 0"]


def test_sources_that_change_under_an_arm_void_it(tree: Path) -> None:
    with pytest.raises(RuntimeError, match="sources changed"):
        new_record(tree).arm("seed 0", lambda: {"size": (tree / "src/ganworks/losses.py").write_text("three")})
    assert new_record(tree).arms == {}


def test_one_missed_bar_fails_the_experiment(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = new_record(tree)
    assert found.bar("recall", 0.8, ">=", 0.8)
    assert found.finish() == 0
    assert not found.bar("kernel distance", 0.46, "<=", 0.45)
    assert not found.bar("kernel distance", math.nan, "<=", 0.45)
    assert found.finish() == 6
    assert "FAILED  kernel distance: 0.46 (bar <= 0.45)" in capsys.readouterr().out
    saved = json.loads(found.path.read_text())
    assert saved["passed"] is False
    assert [bar["passed"] for bar in saved["bars"]] == [True, False, False]
    assert saved["processor"]
    assert saved["versions"]["torch"] == torch.__version__


def test_a_result_is_stale_after_a_change(tree: Path) -> None:
    found = new_record(tree)
    found.finish()
    assert not record.stale(found.path)
    (tree / "src/ganworks/losses.py").write_text("two")
    assert record.stale(found.path)


def test_a_source_that_is_gone_is_stale_and_cannot_be_measured(tree: Path) -> None:
    found = new_record(tree)
    found.finish()
    (tree / "src/ganworks/losses.py").rename(tree / "src/ganworks/moved.py")
    assert record.stale(found.path)
    with pytest.raises(FileNotFoundError):
        record.source_hash(["src/ganworks/losses.py"])


MEASURED = [
    f"{file.parent.name}.{file.stem}"
    for folder in ("experiments", "benchmarks")
    for file in (record.ROOT / folder).glob("*.py")
    if "\nSOURCES = " in file.read_text()
]


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_every_source_that_is_named_is_there(name: str) -> None:
    assert len(record.source_hash(import_module(name).SOURCES)) == 64
