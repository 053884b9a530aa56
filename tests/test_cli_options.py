"""How options are written."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganworks.cli import options
from ganworks.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1.5m", 90), (" 3s ", 3)]
)
def test_durations(text: str, seconds: float) -> None:
    assert options.seconds(text, "train") == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-3", "3d", "1h30m", "soon", "1e3", "nan", "inf", "9" * 400])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--time is 90, 90s, 10m or 2h"):
        options.seconds(text, "train")


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("64", 64), ("auto", "auto")])
def test_batch(text: str, size: object) -> None:
    assert options.batch(text, "train") == size


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "", "Auto", "1_000", "٣", "9" * 30])
def test_batches_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="E-USE-01"):
        options.batch(text, "train")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("2.5", 2.5),
        ("1_000", 1000),
        ("true", True),
        ("hinge", "hinge"),
        ('"hinge"', "hinge"),
        ("no", "no"),
        ("08", "08"),
        ("12:30", "12:30"),
        ("", ""),
        ("[0.3, 0.9]", [0.3, 0.9]),
        ("{from = 1.0, to = 0.0}", {"from": 1.0, "to": 0.0}),
        ("2020-01-02", datetime.date(2020, 1, 2)),
        ("1\nother = 2", "1\nother = 2"),  # one setting cannot smuggle in another
        ("1\n[table]", "1\n[table]"),
        ("a=b", "a=b"),
    ],
)
def test_values_are_toml_and_plain_text_where_they_are_not(text: str, value: object) -> None:
    assert options.value(text) == value
    assert type(options.value(text)) is type(value)


def test_overrides_keep_dotted_keys_and_the_last_of_two() -> None:
    given = options.overrides(["objective.loss=hinge", " batch = 8", "batch=16", "note=a=b"], "train")
    assert given == {"objective.loss": "hinge", "batch": 16, "note": "a=b"}


@pytest.mark.parametrize("text", ["batch", "", "=3", "objective.=3", ".loss=3", "a..b=3"])
def test_overrides_without_a_key_or_a_value(text: str) -> None:
    with pytest.raises(UsageError, match="--set takes key=value"):
        options.overrides([text], "train")


@given(st.text())
def test_any_text_is_a_value_or_an_error_of_ours(text: str) -> None:
    try:
        options.overrides([text], "train")
    except UsageError:
        assert "=" not in text or not all(text.partition("=")[0].strip().split("."))


@pytest.mark.parametrize(
    ("words", "wide"),
    [
        ("train --set a=1 b=2 --steps 3", "train --set a=1 --set b=2 --steps 3"),
        ("train --set a=1 --set b.c=2", "train --set a=1 --set b.c=2"),
        ("train --set a=1 ring", "train --set a=1 ring"),
        ("train --set a=1 ring b=2", "train --set a=1 ring b=2"),
        ("train x=1 --set a=1", "train x=1 --set a=1"),
        ("train --set batch", "train --set batch"),
        ("train --set a=1 -- b=2", "train --set a=1 -- b=2"),
    ],
)
def test_one_set_takes_several_settings(words: str, wide: str) -> None:
    assert options.spread(words.split()) == wide.split()
