"""HTML from text. Text is escaped unless it is `Markup`, so forgetting to escape is not possible."""

import html
from collections.abc import Iterable, Sequence

_VOID = {"meta", "img"}
_LONGEST = 2_000
"""Characters of a text that are shown; settings and names are far shorter."""


class Markup(str):
    """A piece of HTML that is whole: every tag closed, every text in it escaped."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str) -> Markup:
    """A tag around its content; `class_` stands for `class`, and `http_equiv` for `http-equiv`."""
    given = "".join(f' {name.rstrip("_").replace("_", "-")}="{_escaped(value)}"' for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{joined(content)}</{tag}>")


def joined(pieces: Iterable[str]) -> Markup:
    """Pieces one after the other."""
    return Markup("".join(piece if isinstance(piece, Markup) else _escaped(piece) for piece in pieces))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "numbers") -> Markup:
    """A table whose columns and rows have heads: the first cell of a row is its head."""
    head = element("tr", *(element("th", each, scope="col") for each in heads))
    body = (
        element("tr", element("th", first, scope="row"), *(element("td", each) for each in rest))
        for first, *rest in rows
    )
    whole = element("table", element("caption", caption), element("thead", head), element("tbody", *body))
    return element("div", whole, class_=f"wide {kind}", tabindex="0")


def shortened(text: str, longest: int = _LONGEST) -> str:
    """What somebody else wrote, as far as it helps to see it."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def _escaped(text: str) -> str:
    """Text as HTML; what no page can hold (control characters, halves of surrogate pairs) becomes a mark."""
    plain = "".join(
        letter if letter in "\n\t" or not (letter < " " or "\x7f" <= letter <= "\x9f" or "\ud800" <= letter <= "\udfff")
        else "\ufffd"
        for letter in text
    )  # fmt: skip
    return html.escape(plain)
