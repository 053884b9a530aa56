"""What a console is given: nothing that steers it, and no letter that it lacks."""

import json

import pytest

from ganworks.cli.output import clean, to_json, writable


def test_what_could_steer_a_terminal_is_a_question_mark() -> None:
    assert clean("a\x1b[2Jb\r\x9bc\td\n") == "a?[2Jb??c\td\n"


FORMULA = "½ E_b ‖∂f/∂x_b‖², θ̄ ← θ̄, Kynkäänniemi"


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", FORMULA),
        (None, FORMULA),
        ("ascii", "1/2 E_b |df/dx_b|^2, theta_bar <- theta_bar, Kynkaanniemi"),
        ("cp1252", "½ E_b |df/dx_b|², theta_bar <- theta_bar, Kynkäänniemi"),
        ("no such encoding", FORMULA),
    ],
)
def test_letters_that_a_console_lacks_are_spelt_out(encoding: str | None, written: str) -> None:
    assert writable(FORMULA, encoding) == written


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_loses_nothing(encoding: str) -> None:
    names = {"name": "½ 世界 🙂", "broken": "\udcff"}
    text = writable(to_json(names), encoding, escaped=True)
    assert json.loads(text.encode(encoding).decode(encoding)) == names


def test_json_has_no_nan() -> None:
    assert json.loads(to_json({"value": float("nan"), "list": [float("inf"), 1.5]})) == {
        "value": None,
        "list": [None, 1.5],
    }
