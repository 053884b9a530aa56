"""Whether ganworks can work here: each fault is found, named, and answered with one thing to do."""

import getpass
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ganworks import machine
from ganworks.cli import checkup
from ganworks.cli.app import main
from ganworks.cli.checkup import Finding


def found(look: Callable[[], object], level: str) -> list[Finding]:
    return [each for each in look() if each.level == level]  # type: ignore[attr-defined]


def test_here_it_can_work_and_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("ganworks", "python", "torch", "numpy", "pillow", "safetensors", "libjpeg", "processor", "threads"):
        assert any(re.match(rf"(OK|note) +{name} ", line) for line in lines), name
    for name in ("accelerator", "memory", "disk", "writing", "output", "matrix product", "training"):
        assert any(re.match(rf"(OK|note) +{name} ", line) for line in lines), name
    assert lines[-1] == "no problem: ganworks can work here"
    assert list(tmp_path.iterdir()) == []


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["usable"] is True
    for finding in report["findings"]:
        assert list(finding) == ["what", "found", "level", "do"]
        assert (finding["level"] == "OK") == (finding["do"] == ""), finding


def test_it_takes_less_than_four_seconds_and_names_nobody(tmp_path: Path) -> None:
    home = tmp_path / "home" / "mary_shelley"
    here = home / "secret-project"
    here.mkdir(parents=True)
    environment = {**os.environ, "HOME": str(home), "USER": "mary_shelley", "LOGNAME": "mary_shelley"}
    environment |= {"API_TOKEN": "hf_1234567890", "TMPDIR": str(here)}
    command = [sys.executable, "-m", "ganworks", "doctor"]
    before = os.times()
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    after = os.times()
    assert done.returncode == 0, done.stdout + done.stderr
    for secret in ("mary_shelley", "secret-project", str(tmp_path), "hf_1234", platform.node()):
        assert secret not in done.stdout
    if getpass.getuser() != "root":  # a word of its own
        assert getpass.getuser() not in done.stdout
    assert "/" not in re.sub(r"(runs/|w/o)", "", done.stdout)
    assert after.children_user + after.children_system - before.children_user - before.children_system < 4


def test_a_problem_ends_with_four_and_a_thing_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Finding("disk", "0.0 GB free here", "PROBLEM", "free some space")
    monkeypatch.setattr(checkup, "findings", lambda: [Finding("python", "3.11"), problem])
    assert main(["doctor"]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "OK       python  3.11"
    assert lines[1:3] == ["PROBLEM  disk    0.0 GB free here", "         do:  free some space"]
    assert lines[-1] == "1 problem: see above what to do"


@pytest.mark.parametrize(
    ("version", "least", "yes"),
    [
        ("2.9.1", "2.10", True),  # by numbers, not by letters
        ("2.10", "2.10", False),
        ("2.10.0+cpu", "2.10", False),
        ("2.13.0+cu128", "2.10", False),
        ("12.2.9", "12.3", True),
        ("13.0.0", "12.3", False),
        ("3", "3.0.0", False),
        ("2.10.0rc1", "2.10", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, least: str, yes: bool) -> None:
    assert checkup.older(version, least) is yes


def test_the_floors_are_those_of_the_package() -> None:
    least = {each.name: each.least for each in checkup.needed() if not each.extra}
    assert (least["torch"], least["pillow"], least["safetensors"]) == ("2.10", "12.3", "0.8")
    assert {each.extra for each in checkup.needed()} >= {"", "features", "emoji"}


@pytest.mark.parametrize(("name", "old"), [("torch", "2.9.1"), ("pillow", "12.2.0"), ("safetensors", "0.7.0")])
def test_a_version_with_known_holes_is_a_problem(name: str, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = checkup.version
    monkeypatch.setattr(checkup, "version", lambda each: old if each == name else real(each))
    (problem,) = found(checkup.versions, "PROBLEM")
    assert problem.what == name
    assert "known holes" in problem.found
    assert problem.do.startswith(f"pip install --upgrade '{name}>=")


def test_a_missing_package_is_a_problem_and_a_missing_extra_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    real = checkup.version

    def without(name: str) -> str:
        if name in ("numpy", "resvg-py"):
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(checkup, "version", without)
    assert [each.what for each in found(checkup.versions, "PROBLEM")] == ["numpy"]
    notes = {each.what: each for each in found(checkup.extras, "note")}
    assert notes["[emoji]"].do == "for pictures for the emoji experiment: pip install 'ganworks[emoji]'"
    assert found(checkup.extras, "PROBLEM") == []


@pytest.mark.parametrize(
    ("free", "level"), [(100 << 20, "PROBLEM"), (1 << 30, "note"), (8 << 30, "OK")], ids=["none", "little", "enough"]
)
def test_memory(free: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: (16 << 30, free))
    (finding,) = checkup.memory()
    assert finding.level == level
    assert finding.found.endswith("of 16.0 GB available")


def test_a_limit_on_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(machine, "memory", lambda: (16 << 30, 8 << 30))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256 << 20, 256 << 20))
    (finding,) = checkup.memory()
    assert finding.level == "PROBLEM"
    assert "0.2 GB for one process" in finding.found


def test_a_system_that_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: (machine.UNKNOWN, machine.UNKNOWN))
    (finding,) = checkup.memory()
    assert finding.level == "note"


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "PROBLEM"), (500 << 20, "note"), (8 << 30, "OK")])
def test_disk(free: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda place: os.terminal_size((0, 0)) and _Usage(free))
    (finding,) = checkup.disk()
    assert finding.level == level


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_place_that_cannot_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where runs should be")
    monkeypatch.chdir(tmp_path)
    (problem,) = found(checkup.rights, "PROBLEM")
    assert problem.found.startswith("runs/: ")
    assert problem.do
    (tmp_path / "runs").unlink()
    assert found(checkup.rights, "PROBLEM") == []
    assert list(tmp_path.iterdir()) == []


def test_more_threads_than_cores_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4000")
    (note,) = found(checkup.processor, "note")
    assert note.what == "threads"
    assert note.do.startswith("set OMP_NUM_THREADS=")


def test_a_processor_that_computes_wrongly_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded fault: a product that is off in one place."""
    import torch

    real = torch.Tensor.__matmul__

    def wrong(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        product = real(a, b)
        product[3, 5] += 1
        return product

    monkeypatch.setattr(torch.Tensor, "__matmul__", wrong)
    (problem,) = checkup.arithmetic()
    assert problem.level == "PROBLEM"
    assert problem.do == "pip install --force-reinstall torch"


def test_training_that_does_not_repeat_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    played = iter(range(100))
    monkeypatch.setattr(checkup, "_three_steps", lambda play: [{"generator.adversarial": float(next(played))}])
    (problem,) = checkup.game()
    assert problem.level == "PROBLEM"


def test_training_that_is_not_finite_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_three_steps", lambda play: [{"generator.adversarial": float("inf")}])
    (problem,) = checkup.game()
    assert problem.level == "PROBLEM"


def test_whatever_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'torch' in the folder of mary", name="torch")

    monkeypatch.setattr(checkup, "accelerators", broken)
    (problem,) = [each for each in checkup.findings() if each.what == "broken"]
    assert problem.level == "PROBLEM"
    assert problem.found == "cannot be looked at: ModuleNotFoundError, torch"
    assert "mary" not in str(problem)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_without_utf_8_is_a_note(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    code = "from ganworks.cli import checkup; print(*checkup.console())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "level='note'" in done.stdout
    assert "PYTHONUTF8=1" in done.stdout


def test_the_feature_cache_is_told_without_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.found for each in checkup.kept()] == ["off"]
    monkeypatch.setenv("GANWORKS_CACHE", str(tmp_path))
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / ("0" * 64)).write_bytes(bytes(50 << 20))
    assert [each.found for each in checkup.kept()] == ["0.05 GB of at most 2 GB, where GANWORKS_CACHE says"]
