"""Picture files as a translator makes them anew: names and sizes stay, and a sheet shows some before and after.

Letters: H, W height and width, C channels.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from ganworks.data.files import ARCHIVES
from ganworks.data.folders import kind_of
from ganworks.data.gallery import OnBad, bad_files
from ganworks.data.pairing import matched
from ganworks.data.pictures import pixels, write_png
from ganworks.errors import error
from ganworks.game import System
from ganworks.reading.decoding import Unreadable
from ganworks.reading.listing import list_pictures
from ganworks.reading.places import Place
from ganworks.reading.readers import Looked, Readers, Work
from ganworks.telling import Tell, report
from ganworks.training.disk import appearing
from ganworks.use.beside import beside
from ganworks.use.translate import direction, one, taken

SHOWN = 8
"""Pictures on the sheet."""
_CELL = 192
"""Pixels that a picture on the sheet has room for."""
_WRITTEN = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Endings that stay; others become .png."""
_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
SHEET = "sheet.png"


@dataclass
class Written:
    """What was translated.

    Args:
        pictures: How many.
        bad: Names of those that could not be read, and why.
        notes: What was decided, one sentence each.
    """

    pictures: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Picture:
    """A picture to be translated: the name it is written under, where it is, and where its target is."""

    name: str
    place: Place
    target: Place | None = None


def write(
    system: System,
    source: Path,
    out: Path,
    to: int | str | None = None,
    seed: int = 0,
    *,
    on_bad: OnBad = "stop",
    tell: Tell | None = None,
) -> Written:
    """Translate a picture, or all of a folder or archive, into a new folder; it appears whole or not at all.

    Names and sizes stay. PNG, JPEG, WebP, BMP and TIFF stay what they are, others become PNG. `sheet.png` shows the
    first ones before and after, and of a folder of pairs what they should have become.

    Args:
        source: Of a folder of pairs its sources are translated; of one whose sub-folders are the model's domains those
            that are not of the domain asked for.
        on_bad: What happens where a picture cannot be read.
    Raises: UsageError as `direction`, and for a system that translates no pictures; DataError for pictures that cannot
        be read, pairs without equal names, or where there are none; ResourceError if the disk is full or refuses.
    """
    number = direction(system, to)
    spec = system.data
    if not spec.pictures:
        raise error("E-SET-02", reason=f"this {system.name} translates points: use gan.translate", system=system.name)
    found = Written()
    chosen = _chosen(system, source, number, found, tell)
    shown: list[list[UInt8[np.ndarray, "h w c"]]] = []
    with Readers() as readers, appearing(out) as folder:
        for done, picture in enumerate(chosen):
            read = _read(readers, picture.place, taken(spec)[0])
            if isinstance(read, Unreadable):
                found.bad.append((picture.name, read.reason))
                if on_bad == "stop":
                    raise bad_files(found.bad, len(chosen), str(source))
                continue
            made = _as_bytes(one(system, _as_floats(read), number, seed))
            _write(folder / picture.name, made)
            found.pictures += 1
            if len(shown) < SHOWN:
                target = None if picture.target is None else _read(readers, picture.target, spec.shape[0])
                shown.append([read, made, *([] if target is None or isinstance(target, Unreadable) else [target])])
            report(tell, "translating pictures", done + 1, len(chosen))
        if not found.pictures:
            raise bad_files(found.bad, len(chosen), str(source))
        if (folder / SHEET).exists():
            found.notes.append(f"no sheet is written: one of the pictures is called {SHEET}")
        else:
            write_png(folder / SHEET, sheet(shown))
    return found


def _chosen(system: System, source: Path, to: int | None, found: Written, tell: Tell | None) -> list[_Picture]:
    try:
        there = source.exists()
    except OSError as problem:
        raise error("E-DATA-03", path=source, reason=problem.strerror or str(problem)) from problem
    if not there:
        raise error("E-DATA-01", path=source)
    if source.is_file() and not source.name.lower().endswith(ARCHIVES):
        return [_Picture(_output_name(source.name), Place(str(source.resolve())))]
    files = list_pictures(source, tell)
    found.bad += files.refused
    every = np.arange(len(files))
    targets: dict[int, Place] = {}
    if kind_of(files) == "pairs" and "to" not in system.conditions:
        first, second, _ = matched(files, every)
        targets = {int(one): files.place(int(other)) for one, other in zip(first, second, strict=True)}
        every = first
    elif to is not None and files.labels is not None and set(files.classes) <= set(system.data.classes):
        every = np.flatnonzero(np.array([files.classes[each] for each in files.labels]) != system.data.classes[to])
        if len(every) < len(files):
            found.notes.append(
                f"{len(files) - len(every)} pictures are of {system.data.classes[to]} already, and left out"
            )
    return _distinct([(files.name(row), files.place(row), targets.get(row)) for row in every.tolist()])


def _distinct(named: Sequence[tuple[str, Place, Place | None]]) -> list[_Picture]:
    """The pictures under the names that they are written by; where two would be one, the ending stays before .png."""
    used: set[str] = set()
    found = []
    for name, place, target in named:
        written = _output_name(name)
        if written.lower() in used:
            written = f"{name}.png"
        used.add(written.lower())
        found.append(_Picture(written, place, target))
    return found


def _output_name(name: str) -> str:
    path = Path(name)
    return name if path.suffix.lower() in _WRITTEN else str(path.with_suffix(".png"))


def _read(readers: Readers, place: Place, channels: int) -> UInt8[np.ndarray, "h w c"] | Unreadable:
    """A picture upright and in its own size."""
    (looked,) = readers.start(Work("look"), [place])
    if not isinstance(looked, Looked):
        assert isinstance(looked, Unreadable)
        return looked
    (read,) = readers.start(Work("decode", looked.header.height, looked.header.width, channels), [place])
    assert isinstance(read, Unreadable | np.ndarray)
    return read


def _as_floats(picture: UInt8[np.ndarray, "h w c"]) -> Float[Tensor, "1 c h w"]:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1


def _as_bytes(made: Float[Tensor, "1 c h w"]) -> UInt8[np.ndarray, "h w c"]:
    return pixels(made)[0]


def _write(path: Path, picture: UInt8[np.ndarray, "h w c"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form, encoded = _WRITTEN[path.suffix.lower()], io.BytesIO()
    # An encoder that writes to the file itself hides why the disk refused.
    _image(picture).save(encoded, form, **_OPTIONS.get(form, {}))
    path.write_bytes(encoded.getbuffer())


def _image(picture: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def sheet(rows: Sequence[Sequence[UInt8[np.ndarray, "_ _ _"]]]) -> UInt8[np.ndarray, "rows columns 3"]:
    """Pictures before and after, and what they should have become where that is known: a column each."""
    columns = min(map(len, rows))
    stacks = [np.concatenate([_cell(row[column]) for row in rows]) for column in range(columns)]
    return beside(stacks, ["before", "after", "real"][:columns])


def _cell(picture: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "_h _w 3"]:
    """A picture fitted into a white square; small ones are enlarged by whole factors."""
    image = _image(picture).convert("RGB")
    part = _CELL / max(image.size)
    if part < 1:
        image = image.resize([max(1, round(side * part)) for side in image.size], Image.Resampling.LANCZOS)
    elif part >= 2:
        image = image.resize([side * int(part) for side in image.size], Image.Resampling.NEAREST)
    square = Image.new("RGB", (_CELL + 4, _CELL + 4), "white")
    square.paste(image, ((_CELL + 4 - image.width) // 2, (_CELL + 4 - image.height) // 2))
    return np.asarray(square)
