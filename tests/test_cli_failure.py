"""`ganworks failure`: the list, both trainings with their verdicts and the picture, and how a stop ends it."""

import json
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganworks import history
from ganworks.cli.app import build, main
from ganworks.cli.candidates import complete
from ganworks.failures import recipes
from ganworks.failures.recipes import GALLERY

SMALL = {"generator.width": 8, "discriminator.width": 8, "sample.every": 16}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gallery whose trainings take a second."""
    small = (replace(each, steps=48, settings={**each.settings, **SMALL}) for each in GALLERY)
    monkeypatch.setattr(recipes, "GALLERY", tuple(small))


# The list


def test_without_a_name_they_are_listed_with_their_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["failure", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [failure.name for failure in GALLERY]
    assert all(row["command"] == f"ganworks failure {row['name']}" and row["shows"] for row in rows)
    assert main(["failure"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


def test_names_are_completed() -> None:
    assert [found.value for found in complete(["failure", "o"], build())] == ["oscillation", "overtrained"]


@pytest.mark.parametrize("words", [[], ["--json"], ["mode_colapse"]])
def test_list_and_wrong_names_wait_for_no_torch(words: list[str], tmp_path: Path) -> None:
    code = "import sys; from ganworks.cli.app import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "failure", *words], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_a_wrong_name_gets_the_nearest_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["failure", "mode-colapse"]) == 2
    assert capsys.readouterr().err == (
        "error[E-NAME-11]: unknown failure 'mode-colapse'\n  names close to it: mode_collapse\ndo:  ganworks failure\n"
    )
    assert main(["failure", "healthy"]) == 2
    assert "known: mode_collapse, " in capsys.readouterr().err
    assert main(["failure", "frozen", "--seed", "-1"]) == 2
    assert not list(tmp_path.iterdir())


# Both trainings


def pressed(picture: Path) -> list[np.ndarray[Any, Any]]:
    """Where there is blue in the left and the right half of what stands above the curves."""
    with Image.open(picture) as found:
        pixels = np.asarray(found.convert("RGB")).astype(int)
    blue = (pixels[:420, :, 2] - pixels[:420, :, 0]) > 60
    return np.array_split(blue, 2, axis=1)


def test_the_result_as_json(short: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["failure", "frozen", "--out", str(tmp_path), "--seed", "3", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert list(found) == [
        "failure", "verdicts", "remedy", "mended", "measure", "before", "after", "factor", "claimed", "held", "runs",
        "picture",
    ]  # fmt: skip
    assert (found["failure"], found["verdicts"][0]["name"], found["measure"]) == ("frozen", "frozen", "probe.spread")
    assert set(found["verdicts"][0]) == {"name", "since_step", "confidence", "evidence", "remedy"}
    assert found["remedy"] == found["verdicts"][0]["remedy"]
    assert "generator.lr=0.001" in shlex.split(found["remedy"])
    assert "frozen" not in [verdict["name"] for verdict in found["mended"]["verdicts"]]
    assert found["factor"] == pytest.approx(found["after"] / found["before"])
    assert found["held"] == (found["factor"] >= found["claimed"])
    assert found["runs"] == [str(tmp_path / "frozen" / name) for name in ("failing", "mended")]
    assert all(history.read(Path(run)).state == "finished" for run in found["runs"])
    assert all(history.configured(Path(run))["seed"] == 3 for run in found["runs"])
    assert found["picture"] == str(tmp_path / "frozen" / "before-after.png")
    before, after = pressed(Path(found["picture"]))
    assert 0 < before.sum() < after.sum(), "frozen samples lie in one spot, the others have begun to spread"
    assert "1 of 2" in said.err
    assert "2 of 2" in said.err


def test_the_result_in_words(short: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A training that ends with exit code 6 is what was asked for here."""
    assert main(["failure", "not_finite", "--out", str(tmp_path), "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    first, *lines = said.out.splitlines()
    assert first.startswith("not_finite: ")
    failing, mended = (tmp_path / "not_finite" / name for name in ("failing", "mended"))
    place = lines.index(f"failing, {failing}:")
    assert lines[place + 1].startswith("  not_finite since step 1, confidence ")
    assert f"    do:  ganworks train --config {failing}/config.toml --set " in said.out
    assert f"with the remedy, {mended}:" in lines
    assert re.fullmatch(r"step went from \d+ to 48, up by a factor of [\d.]+; claimed: at least .*", lines[-2])
    assert lines[-1] == f"picture {tmp_path}/not_finite/before-after.png"
    assert main(["failure", "not_finite", "--out", str(tmp_path)]) == 2
    assert f"do:  ganworks failure not_finite --out {tmp_path}-2" in capsys.readouterr().err


def test_it_says_where_a_seed_does_not_fail(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few looks for a verdict: there is no remedy to train, and the picture shows one training."""
    frozen = next(each for each in GALLERY if each.name == "frozen")
    monkeypatch.setattr(recipes, "GALLERY", (replace(frozen, steps=3, settings={**frozen.settings, **SMALL}),))
    assert main(["failure", "frozen", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "  too short to tell" in said.out
    assert "with this seed it did not come to frozen" in said.out
    assert "remedy" not in said.out
    assert not (tmp_path / "frozen" / "mended").exists()
    assert (tmp_path / "frozen" / "before-after.png").is_file()


def test_a_place_that_cannot_be_written_is_an_error_of_the_surroundings(
    short: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["failure", "frozen", "--out", str(tmp_path / "file")]) == 4
    assert "error[E-ENV-02]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_ctrl_c_ends_it_in_good_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ganworks", "failure", "frozen", "--json"]
    playing = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert playing.stderr
    said = ""
    while "pre-flight" not in said:
        said += playing.stderr.readline() or pytest.fail(said)
    playing.send_signal(signal.SIGINT)
    out, rest = playing.communicate(timeout=60)
    assert playing.returncode == 130
    assert "Traceback" not in rest
    found = json.loads(out)
    assert (found["mended"], found["picture"]) == (None, None)
    assert found["runs"] == ["failures/frozen/failing"]
    run = history.read(tmp_path / "failures/frozen/failing")
    assert (run.state, run.reason, run.checkpoint) == ("stopped", "signal", run.step)
