"""What can be explained: topics, their names, and how they are found."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = {
    "word": "words",
    "loss": "losses",
    "penalty": "penalties",
    "system": "systems",
    "metric": "metrics",
    "feature space": "feature spaces",
    "data": "built-in data",
    "setting": "settings",
    "group of settings": "groups of settings",
    "verb": "verbs",
    "error": "error codes",
}
"""Each kind and what several of it are called, in the order they are listed."""


@dataclass(frozen=True)
class Topic:
    """One thing with all that is said of it.

    Attributes:
        text: Paragraphs.
        letters: What the letters of its formulas stand for.
        settings: Keys with range, default and meaning.
        set: Commands to paste.
        avoid: When not.
        see: Names of other topics.
    """

    name: str
    kind: str
    text: list[str] = field(default_factory=list)
    letters: str = ""
    paper: str = ""
    settings: list[str] = field(default_factory=list)
    set: list[str] = field(default_factory=list)
    avoid: str = ""
    see: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def plain(name: str) -> str:
    """How names are compared: `Label smoothing` and `label-smoothing` are one."""
    return re.sub(r"[\s-]+", "_", name.strip()).lower()


def paragraphs(text: str) -> list[str]:
    """Text as paragraphs; one that is set in, such as a formula, keeps its lines."""
    parts = re.split(r"\n\s*\n", text.strip("\n"))
    return [part if part.startswith("  ") else " ".join(part.split()) for part in parts if part.strip()]


def find(name: str, named: Mapping[str, list[Topic]]) -> list[Topic]:
    """What a name stands for; of a setting in a setting, such as generator.lr.over, the setting. Empty: nothing."""
    wanted = plain(name)
    while wanted not in named and "." in wanted:
        wanted = wanted.rpartition(".")[0]
    if wanted in named:
        return named[wanted]
    return _by_last_part(wanted, named)


def _by_last_part(wanted: str, named: Mapping[str, list[Topic]]) -> list[Topic]:
    """`half_life` for average.half_life, where one setting ends so."""
    ends = {topic.name: topic for topics in named.values() for topic in topics if topic.kind == "setting"}
    return [topic for key, topic in ends.items() if plain(key).rpartition(".")[2] == wanted]


def spelt(named: Mapping[str, list[Topic]]) -> list[str]:
    """Every name once, as it is written."""
    return [next((topic.name for topic in found if plain(topic.name) == name), name) for name, found in named.items()]


def listed(named: Mapping[str, list[Topic]]) -> dict[str, list[str]]:
    """Every name that can be asked for, by kind."""
    topics = {id(topic): topic for found in named.values() for topic in found}.values()
    return {kind: _sorted(topic.name for topic in topics if topic.kind == kind) for kind in KINDS}


def _sorted(names: Iterable[str]) -> list[str]:
    key: Callable[[str], str] = str.lower
    return sorted(dict.fromkeys(names), key=key)
