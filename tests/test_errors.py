"""Every error has three parts, and every code of the table is used."""

import re
from pathlib import Path

import pytest

from ganworks import errors
from ganworks.errors import TABLE, GanworksError, UsageError, error

SOURCES = Path(errors.__file__).parent


def test_an_error_says_what_where_and_what_to_do() -> None:
    found = error("E-NAME-01", name="wgan_pg", where="settings.toml, line 3", details=["names close to it: wgan_gp"])
    assert str(found).splitlines() == [
        "error[E-NAME-01]: unknown system 'wgan_pg' in settings.toml, line 3",
        "  names close to it: wgan_gp",
        "do:  ganworks systems",
    ]


def test_an_error_without_a_place_does_not_say_in() -> None:
    assert str(error("E-NAME-01", name="x")).startswith("error[E-NAME-01]: unknown system 'x'\n")


def test_braces_in_what_a_user_gave_are_shown_as_they_are() -> None:
    assert "'{name}{0}'" in str(error("E-NAME-01", name="{name}{0}"))


def test_what_a_user_gave_is_shown_as_far_as_it_helps() -> None:
    text = str(error("E-NAME-01", name="x" * 1_000_000))
    assert len(text) < 500
    assert "xxx... (1000000 characters)" in text
    path = Path("runs") / ("a" * 400)
    assert f"do:  ganworks resume {path}" in str(error("E-RUN-01", path=path)), "a command must be whole"


def test_details_are_at_most_ten_lines() -> None:
    ten, eleven = (error("E-ARG-01", reason="no", details=map(str, range(count))).details for count in (10, 11))
    assert ten == tuple(map(str, range(10)))
    assert eleven == (*map(str, range(9)), "and 2 more")


def test_usage_errors_are_value_errors_too() -> None:
    with pytest.raises(ValueError, match="unknown system"):
        raise error("E-NAME-01", name="x")


@pytest.mark.parametrize(("code", "entry"), TABLE.items())
def test_the_class_of_a_code_follows_from_its_family(code: str, entry: errors.Entry) -> None:
    exits = {"DATA": 3, "ENV": 4, "MODEL": 5, "TRAIN": 6, "BUG": 1}
    family = re.fullmatch(r"E-([A-Z]+)-\d\d", code)
    assert family, f"{code} is not spelt like a code"
    assert entry.kind.exit_code == exits.get(family[1], 2)
    assert issubclass(entry.kind, UsageError if entry.kind.exit_code == 2 else GanworksError)


@pytest.mark.parametrize(("code", "entry"), TABLE.items())
def test_sentences_start_small_and_end_without_a_stop(code: str, entry: errors.Entry) -> None:
    for text in (entry.sentence, entry.remedy):
        assert text
        assert text == text.strip()
        assert not text.endswith(".")
        assert text[0].islower() or not text[0].isalpha()


def _codes_in(folder: Path, but: str) -> set[str]:
    files = [path for path in folder.rglob("*.py") if path.name != but]
    return {code for path in files for code in re.findall(r"E-[A-Z]+-\d\d", path.read_text())}


def test_every_code_is_used_and_every_used_code_is_in_the_table() -> None:
    assert _codes_in(SOURCES, but="errors.py") == set(TABLE)


def test_a_remedy_names_only_commands_that_exist() -> None:
    from ganworks.cli.app import BUILT

    named = {verb for entry in TABLE.values() for verb in re.findall(r"ganworks ([a-z]+)", entry.remedy)}
    named |= {verb for path in SOURCES.rglob("*.py") for verb in re.findall(r'verb="([a-z]+)"', path.read_text())}
    assert named - set(BUILT) == set()


def test_a_remedy_without_its_last_field_has_no_blank_at_its_end() -> None:
    assert str(error("E-SET-02", reason="no", system="")).endswith("do:  ganworks systems")
