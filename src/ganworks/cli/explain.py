"""`ganworks explain`: what a loss, a setting, an error or a word of the field means."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ganworks.cli.output import DEFAULT, Output
from ganworks.errors import error
from ganworks.registry import suggestion

if TYPE_CHECKING:
    from ganworks.cli.topics import Topic

# Not in the docstring: of a single parameter beside examples the parser would see nothing.
Name = Annotated[str, Parameter(help="What to explain: one name, or a word of the field; without it all are listed.")]
_WIDEST = 100


def explain(*name: Name, output: Output = DEFAULT) -> int:
    """Explain a loss, penalty, system, metric, setting, error code or word: its formula, its paper, what to set.

    Without a name it lists what can be asked for.

    Examples:
      ganworks explain r1
      ganworks explain objective.loss
      ganworks explain mode collapse
      ganworks explain E-SET-01
    """
    from ganworks.cli import entries, topics

    named = entries.collect()
    if not name:
        kinds = topics.listed(named)
        output.result(kinds, lambda: _list(kinds))
        return 0
    asked = " ".join(name)
    found = topics.find(asked, named)
    if not found:
        raise error("E-NAME-09", name=asked, details=suggestion(asked, topics.spelt(named)))
    output.result([topic.as_dict() for topic in found], lambda: _lines(found))
    return 0


def _width() -> int:
    return max(min(shutil.get_terminal_size().columns, _WIDEST) - 1, 20)


def _list(kinds: dict[str, list[str]]) -> Iterator[str]:
    from ganworks.cli.topics import KINDS

    for kind, names in kinds.items():
        yield f"{KINDS[kind]}:"
        yield from _filled(", ".join(names), "  ")
        yield ""
    yield "ganworks explain NAME says what one of them is."


def _filled(text: str, indent: str = "", first: str | None = None) -> list[str]:
    start = indent if first is None else first
    if text.startswith("  "):
        return text.splitlines()
    return textwrap.wrap(
        text, _width(), initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _lines(found: "list[Topic]") -> Iterator[str]:
    for number, topic in enumerate(found):
        if number:
            yield ""
        yield f"{topic.name} ({topic.kind})"
        for part in topic.text:
            yield ""
            yield from _filled(part)
        below = list(_sections(topic))
        if below:
            yield ""
        for head, parts in below:
            for place, part in enumerate(parts):
                first = f"{head if place == 0 else '':<9}  "
                yield from [first + part] if head == "try" else _filled(part, " " * len(first), first)


def _sections(topic: "Topic") -> Iterator[tuple[str, list[str]]]:
    """What stands below the text: a head and its entries, where there are any."""
    sections = {
        "letters": [topic.letters],
        "paper": [topic.paper],
        "settings": topic.settings,
        "try": topic.set,
        "not when": [topic.avoid],
        "also": [", ".join(topic.also)],
        "see": [", ".join(dict.fromkeys(topic.see))],
    }
    for head, parts in sections.items():
        if any(parts):
            yield head, parts
