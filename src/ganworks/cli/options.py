"""How options are written: durations, sizes, and `key=value`."""

import re
import tomllib
from collections.abc import Iterable, Sequence

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from ganworks.errors import error

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_SETTING = re.compile(r"[A-Za-z_][\w.-]*=")


def whole(_: object, tokens: Sequence[Token]) -> int:
    """A whole number: 2.5 is refused, not rounded."""
    text = tokens[0].value
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        raise ValueError(f"'{text}' is not a whole number")
    return int(text)


def at_least(low: int, below: int | None = None) -> Parameter:
    """The parameter of a whole number with a range."""
    return Parameter(converter=whole, validator=Number(gte=low, lt=below))


def seconds(text: str, verb: str) -> float:
    """A duration: 90, 90s, 10m or 2h, more than nothing.

    Raises: UsageError.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip())
    duration = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if duration <= 0 or duration == float("inf"):
        raise error("E-USE-01", verb=verb, reason=f"--time is 90, 90s, 10m or 2h, not '{text}'")
    return duration


def batch(text: str, verb: str) -> int | str:
    """A batch size: a whole number from 1, or `auto`.

    Raises: UsageError.
    """
    if text == "auto":
        return text
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise error("E-USE-01", verb=verb, reason=f"--batch is a whole number from 1, or auto, not '{text}'")
    return int(text)


def value(text: str) -> object:
    """A setting's value: TOML, and a plain string where it is not TOML."""
    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # not TOML; a number of thousands of digits; lists in lists in lists
        return text
    return read["value"] if len(read) == 1 else text


def overrides(settings: Iterable[str], verb: str) -> dict[str, object]:
    """`key=value` texts as dotted keys and values; of two with the same key the last counts.

    Raises: UsageError for one without a key or without '='.
    """
    given: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        unicode = key.encode(errors="ignore").decode() == key
        if not equals or not unicode or not all(key.strip().split(".")):
            raise error("E-USE-01", verb=verb, reason=f"--set takes key=value, not '{setting}'")
        given[key.strip()] = value(text.strip())
    return given


def spread(words: Sequence[str]) -> list[str]:
    """`--set a=1 b=2` means the same as `--set a=1 --set b=2`."""
    wide: list[str] = []
    inside = False
    for position, word in enumerate(words):
        if word == "--":
            return [*wide, *words[position:]]
        if inside and wide[-1] != "--set" and _SETTING.match(word):
            wide.append("--set")
        elif word.startswith("-"):
            inside = word == "--set"
        elif wide and wide[-1] != "--set":
            inside = False
        wide.append(word)
    return wide
