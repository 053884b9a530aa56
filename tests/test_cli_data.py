"""`ganworks data`: what it prints for a newcomer, what it writes, and how it ends."""

import inspect
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganworks import data
from ganworks.cli.app import build, main
from ganworks.cli.data import SUB_VERBS


def picture(seed: int, side: int = 16) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def photos(root: Path, **files: bytes) -> Path:
    """A folder of files; `cats__1` is cats/1.png."""
    for name, content in files.items():
        path = root / f"{name.replace('__', '/')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def as_json(capsys: pytest.CaptureFixture[str], *tokens: str) -> Any:
    assert main([*tokens, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def lines(capsys: pytest.CaptureFixture[str], *tokens: str) -> list[str]:
    assert main([*tokens]) == 0
    return capsys.readouterr().out.splitlines()


# The verb and its sub-verbs


def test_alone_it_shows_both(capsys: pytest.CaptureFixture[str]) -> None:
    said = "\n".join(lines(capsys, "data"))
    assert "ganworks data list " in said
    assert "ganworks data check DATA " in said
    assert [row["name"] for row in as_json(capsys, "data")] == ["data list", "data check DATA"]


@pytest.mark.parametrize(
    ("typed", "near"),
    [("lst", "list"), ("lits", "list"), ("chekc", "check"), ("chck", "check"), ("photos", "known: list, check")],
)
@pytest.mark.parametrize("rest", [[], ["photos"], ["photos", "--out", "look"], ["--json"]])
def test_a_mistyped_sub_verb_gets_the_right_one(
    typed: str, near: str, rest: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", typed, *rest]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error[E-USE-01]: 'data' is not followed by '{typed}'")
    assert near in said
    assert said.endswith("do:  ganworks data --help\n")


@pytest.mark.parametrize("tokens", [["data", "--json", "list"], ["--json", "data", "list"], ["data", "list", "--json"]])
def test_options_may_stand_anywhere(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tokens) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "ring"


@pytest.mark.parametrize("sub_verb", SUB_VERBS)
def test_examples_of_the_help_parse(sub_verb: str) -> None:
    text = inspect.cleandoc(SUB_VERBS[sub_verb].__doc__ or "")
    commands = re.findall(r"^  (ganworks .*)$", text, re.MULTILINE)
    assert commands
    for command in commands:
        build().parse_args(command.split()[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("tokens", [["data", "--help"], ["data", "check", "--help"], ["data", "chekc"], ["data"]])
def test_help_and_slips_import_nothing_heavy(tokens: list[str]) -> None:
    code = (
        "import sys; from ganworks.cli.app import main; main(sys.argv[1:])\n"
        "print('loaded:', *[name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *tokens], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize(
    ("tokens", "words"), [(["data", "check"], "DATA"), (["data", "check", "a", "b"], "b"), (["data", "list", "x"], "x")]
)
def test_usage(tokens: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tokens) == 2
    said = capsys.readouterr().err
    assert said.startswith("error[E-USE-01]")
    assert words in said.splitlines()[0]
    assert said.splitlines()[-1] == f"do:  ganworks data {tokens[1]} --help"


# list


def test_list_says_what_comes_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = {row["name"]: row for row in as_json(capsys, "data", "list")}
    assert set(found) >= {"ring", "grid", "swissroll", "bimodal", "digits"}
    for name in ("ring", "digits"):
        opened = data.open(name)
        assert found[name]["rows"] == len(opened)
        assert tuple(found[name]["shape"]) == opened.spec.shape
        assert found[name]["kind"] == opened.spec.kind
        assert found[name]["licence"]
    text = lines(capsys, "data", "list")
    assert text[0].split() == ["name", "kind", "rows", "size", "licence", "what"]
    assert any("28 x 28 grey" in line and "8,000" in line for line in text)
    assert max(map(len, text)) < 160


# check


def test_a_report_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {f"cats__{number}": picture(number) for number in range(11)}
    photos(tmp_path / "my photos", **files, cats__copy=picture(3), dogs__1=picture(99), dogs__cut=picture(5)[:100])
    (tmp_path / "my photos" / "notes.txt").write_text("text")
    said = lines(capsys, "data", "check", "my photos")
    assert said[0] == "my photos: 13 pictures that can be read"
    assert "sizes      16 x 16 px (13)" in said
    assert "pixels     colour (13)" in said
    assert "formats    PNG (13)" in said
    assert "classes    2: cats (12), dogs (1)" in said
    place = said.index("1 cannot be read:")
    assert said[place + 1].startswith("  dogs/cut.png   it is cut off")
    assert said[said.index("1 are copies:") + 1] == "  cats/copy.png   = cats/3.png"
    assert "ignored    1 .txt file" in said
    assert "note       the classes are uneven: 12 of 'cats', 1 of 'dogs'" in said
    assert "training   would use 13 at 16 x 16 px, in colour, none held out" in said
    assert said[-3:] == [
        "next:",
        "  ganworks train 'my photos' --on-bad skip",
        "  ganworks data check 'my photos' --out look",
    ]


def test_long_lists_are_cut_for_people_and_whole_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {f"b{number:02d}": b"" for number in range(25)}
    root = photos(tmp_path, a=picture(1), **bad)
    said = lines(capsys, "data", "check", str(root))
    place = said.index("25 cannot be read:")
    assert said[place + 1] == "  b00.png   it is empty"
    assert said[place + 11] == "  and 15 more"
    assert len(as_json(capsys, "data", "check", str(root))["bad"]) == 25


def test_json_is_alone_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "data", "check", str(photos(tmp_path, a=picture(1), b=picture(1))))
    assert (found["kind"], found["count"], found["sizes"]) == ("images", 2, {"16x16": 2})
    assert found["duplicates"] == [["a.png", "b.png"]]
    assert found["bad"] == []


def test_out_gets_a_sheet_and_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = photos(tmp_path / "photos", a=picture(1), b=picture(2), c=picture(1))
    out = tmp_path / "new" / "look"
    found = as_json(capsys, "data", "check", str(root), "--out", str(out))
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "sheet.png"]
    assert json.loads((out / "report.json").read_text()) == found
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.size == (200, 68)
    assert main(["data", "check", str(root), "--out", str(out)]) == 2
    assert "E-USE-03" in capsys.readouterr().err


def test_points_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "points.csv").write_text("x,y\n1,2\n3,4\n5,7\n")
    said = lines(capsys, "data", "check", str(tmp_path / "points.csv"), "--out", str(tmp_path / "look"))
    assert said[0].endswith("points.csv: 3 points of 2 numbers")
    assert (tmp_path / "look" / "sheet.png").stat().st_size > 0
    assert "training   would use 3, none held out" in said


def test_nothing_readable_ends_with_3_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = photos(tmp_path / "photos", a=b"", b=b"text")
    assert main(["data", "check", str(root), "--out", str(tmp_path / "look")]) == 3
    said = capsys.readouterr().err
    assert said.startswith("error[E-DATA-12]: 2 of 2 files cannot be read")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    assert main(["data", "check", str(tmp_path / "nothing.zip"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "E-DATA-01"


STRANGE = [
    "\x1b[2J.png",
    "line\nbreak.png",
    "-n.png",
    "\u202egnp.png",
    os.fsdecode(b"caf\xe9.png"),
    "日本.png",
    "' .png",
]


def test_strange_names_reach_json_whole_and_people_harmless(tmp_path: Path) -> None:
    for name in STRANGE:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "good.png").write_bytes(picture(1))
    command = [sys.executable, "-m", "ganworks", "data", "check", "."]
    found = json.loads(subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, check=True).stdout)
    assert sorted(row["file"] for row in found["bad"]) == sorted(STRANGE)
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "  line\\nbreak.png   it is empty" in said.splitlines()
    assert "  caf\\xe9.png   it is empty" in said.splitlines()


def test_a_script_without_a_guard_may_check(tmp_path: Path) -> None:
    photos(tmp_path / "photos", a=picture(1), b=picture(2))
    (tmp_path / "script.py").write_text("from ganworks.data.check import check\nprint(check('photos').count)\n")
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
