"""Tables and numbers of the pages that are made."""

from collections.abc import Iterable


def row(cells: Iterable[object]) -> str:
    """One line of a table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """A table in Markdown."""
    names = list(head)
    return [row(names), row("---" for _ in names), *map(row, rows)]


def number(value: object) -> str:
    """Four significant digits; whole numbers in full."""
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
