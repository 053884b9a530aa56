"""`ganworks diagnose`: what it says of runs in every state, from their folders alone."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from report_runs import COLLAPSE, a_run, without

from ganworks import history
from ganworks.cli.app import build, main
from ganworks.cli.findings import brief, full
from ganworks.cli.options import spread
from ganworks.session import resume

HEALTHY = {
    "probe.accuracy": 0.7, "probe.told_apart": 0.6, "probe.kinds": 0.9, "probe.spread": 1.0, "probe.distance": 0.2,
    "probe.distance_online": 0.2, "probe.distance_floor": 0.1,
}  # fmt: skip


def looked(count: int, **numbers: float) -> list[dict[str, Any]]:
    """Records of which every second one is a look, at which some numbers are others than in a healthy run."""
    plain = {"generator.adversarial": 0.7, "generator.lr": 1e-3, "discriminator.lr": 1e-3, "gradient.generator": 0.1}
    plain |= {"gradient.discriminator": 0.1, "seconds": 1.0}
    changed = HEALTHY | {f"probe.{name}": value for name, value in numbers.items()}
    return [{"step": 20 * line, **plain} | (changed if line % 2 == 0 else {}) for line in range(1, 2 * count + 1)]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["diagnose", *words]) == 0
    return capsys.readouterr().out.splitlines()


def found(capsys: pytest.CaptureFixture[str], run: Path) -> list[dict[str, Any]]:
    return json.loads("\n".join(said(capsys, str(run), "--json")))["verdicts"]


# What it says


def test_a_verdict_with_its_evidence_and_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run", looked(12, kinds=0.2))
    lines = said(capsys, str(run))
    assert lines[0] == "mode_collapse since step 40, confidence 0.93"  # (12 + 1) / (12 + 2)
    assert lines[1:3] == [
        "  of the kinds that real rows have, samples have 20%",
        "    probe.kinds 0.2, bound 0.5; metrics.jsonl lines 2 to 24",
    ]
    assert lines[-1].startswith(f"  do:  ganworks train --config {run}/config.toml --set ")
    _, *tokens = shlex.split(lines[-1].removeprefix("  do:  "))
    build().parse_args(spread(tokens), exit_on_error=False, print_error=False)


def test_the_lines_it_names_hold_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run", [{"step": 0}, *looked(12, kinds=0.2)])
    (run / "metrics.jsonl").write_text("torn\n" + (run / "metrics.jsonl").read_text() + '{"step": 500')
    (first, *_) = found(capsys, run)[0]["evidence"]
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(lines[line - 1])["probe.kinds"] for line in first["lines"]] == [0.2, 0.2]


def test_json_is_as_promised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (verdict,) = found(capsys, a_run(tmp_path / "run", looked(12, kinds=0.2)))
    assert list(verdict) == ["name", "since_step", "confidence", "evidence", "remedy"]
    assert set(verdict["evidence"][0]) == {"says", "measure", "value", "bound", "lines"}


def test_a_healthy_run_is_called_so_with_how_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, str(a_run(tmp_path / "run", looked(12))))
    assert lines[0] == "healthy, confidence 0.93"
    assert "  of the kinds that real rows have, samples have 90%" in lines
    assert not any("do:" in line for line in lines)


@pytest.mark.parametrize(("looks", "words"), [(1, "1 look in 40 steps"), (5, "5 looks in 200 steps")])
def test_a_short_run_cannot_be_told(looks: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run", looked(looks))
    needed = "6 looks, one at each sample grid, and 200 steps are needed"
    assert said(capsys, str(run)) == [f"too short to tell: {words}; {needed}"]
    assert found(capsys, run) == []


def test_a_run_from_before_the_probes_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capsys, str(a_run(tmp_path / "run", [{"step": step} for step in range(1, 201)])))
    assert line.startswith("nothing was measured: it was trained before there were probes")


def test_the_gravest_comes_first() -> None:
    two = [{**COLLAPSE, "name": name} for name in ("oscillation", "mode_collapse")]
    assert [next(full(each)).split()[0] for each in two] == ["oscillation", "mode_collapse"]
    assert list(brief(two[1])) == [
        "mode_collapse since step 120: samples are alike", "  do:  ganworks train digits --set view.pack=2"
    ]  # fmt: skip


# Runs in every state


def test_no_run_is_usage_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "nowhere"):
        assert main(["diagnose", str(tmp_path / place), "--out", str(tmp_path / "out")]) == 2
        assert "error[E-RUN-02]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", "config.toml metrics.jsonl checkpoints verdicts.jsonl log.txt samples".split())
def test_a_run_that_has_lost_something(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = without(a_run(tmp_path / "run", looked(12, kinds=0.2)), name)
    assert [each["name"] for each in found(capsys, run)] == ([] if name == "metrics.jsonl" else ["mode_collapse"])


def test_odd_numbers_in_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = looked(12, kinds=0.2)
    lines[3]["probe.kinds"] = None
    lines[5]["probe.kinds"] = 10**400
    lines[7]["probe.spread"] = float("nan")
    lines[9]["logit.real"] = float("inf")
    lines[11]["generator.lr"] = True
    (verdict,) = found(capsys, a_run(tmp_path / "run", lines))
    assert (verdict["name"], verdict["evidence"][0]["value"]) == ("mode_collapse", 0.2)


PLAY = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from small_runs import at_step, start
from ganworks.session import Session
import numpy
Session.picture = lambda self: numpy.zeros((2, 2, 3), numpy.uint8)
settings = {"sample_every": 4, "record_every": 1, "generator_lr": 0.0}
start(Path(sys.argv[1]), "gan", 4000, at_step(40, lambda: time.sleep(100)), **settings)
"""


def test_a_run_that_goes_on_and_is_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lock is held and nobody asks for it; after SIGKILL the same is said, and the resume is no worse for it."""
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", PLAY, str(run), str(Path(__file__).parent)])
    try:
        end = time.monotonic() + 60
        while not (run / "metrics.jsonl").exists() or (run / "metrics.jsonl").read_bytes().count(b"\n") < 40:
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.1)
        alive = found(capsys, run)
        assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert [each["name"] for each in alive] == ["frozen"]
    assert found(capsys, run) == alive
    assert said(capsys, str(run), "--out", str(tmp_path / "out"))[-2:] == [
        f"written  {tmp_path}/out/results.png", f"written  {tmp_path}/out/report.html"
    ]  # fmt: skip
    assert "killed before its end" in (tmp_path / "out/report.html").read_text()
    assert "frozen" in (tmp_path / "out/report.html").read_text()
    assert resume(run, overrides={"steps": 44}).stopped == "steps"


def test_what_train_prints_is_what_diagnose_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ring", "--system", "gan", "--steps", "30", "--run", str(tmp_path / "run"), "--json"]
    assert main(["train", *words, "--set", "generator.lr=0", "sample.every=5", "generator.width=4"]) == 0
    printed = json.loads(capsys.readouterr().out)["verdicts"]
    assert [each["name"] for each in printed] == ["frozen"]
    assert found(capsys, tmp_path / "run") == printed


def test_the_end_of_a_run_tells_verdicts_between_the_scores_and_why_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ring", "--system", "gan", "--steps", "30", "--run", str(tmp_path / "run")]
    assert main(["train", *words, "--set", "generator.lr=0", "sample.every=5", "generator.width=4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("frozen since step 1: the generator's learning rate is 0: its weights stand still")
    assert lines[place + 1].startswith("  do:  ganworks train --config ")
    assert next(index for index, line in enumerate(lines) if line.startswith("score ")) < place
    assert lines.index("stopped at step 30: all steps are done (steps)") > place


# Beside it


def test_a_report_is_written_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells what is found now, and not what was written down once; and the run stays as it was."""
    run = a_run(tmp_path / "run", looked(12))
    before = {each: each.read_bytes() for each in run.rglob("*") if each.is_file()}
    said(capsys, str(run), "--out", str(tmp_path / "out"))
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"report.html", "results.png"}
    page = (tmp_path / "out/report.html").read_text()
    assert "<h3>healthy</h3>" in page
    assert "mode collapse" not in page
    assert {each: each.read_bytes() for each in run.rglob("*") if each.is_file()} == before
    assert main(["diagnose", str(run), "--out", str(tmp_path / "out")]) == 2
    assert "E-USE-03" in capsys.readouterr().err


def test_the_page_of_a_short_run_says_that_it_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, str(a_run(tmp_path / "run", looked(2))), "--out", str(tmp_path / "out"))
    assert "Too short to tell: 2 looks in 80 steps; 6 looks" in (tmp_path / "out/report.html").read_text()


def test_a_full_disk_leaves_no_half_of_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganworks.training.disk.write_synced", full)
    assert main(["diagnose", str(a_run(tmp_path / "run", looked(12))), "--out", str(tmp_path / "out")]) == 4
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_it_needs_no_torch(tmp_path: Path) -> None:
    a_run(tmp_path / "run", looked(12, kinds=0.2))
    code = (
        "import sys; from ganworks.cli.app import main; code = main(['diagnose', *sys.argv[1:]])\n"
        "print('loaded:', *[name for name in ('torch',) if name in sys.modules]); sys.exit(code)"
    )
    for more in ([], ["--out", str(tmp_path / "out")]):
        words = [sys.executable, "-c", code, str(tmp_path / "run"), *more]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.stdout.splitlines()[0].startswith("mode_collapse"), done.stderr
        assert done.stdout.splitlines()[-1] == "loaded:"


def test_lines_that_are_counted_wrong_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader that counts records names lines that hold something else."""
    monkeypatch.setattr(history, "numbered", lambda path: enumerate(history.records(path), 1))
    with pytest.raises(KeyError, match="kinds"):
        test_the_lines_it_names_hold_the_numbers(tmp_path, capsys)
