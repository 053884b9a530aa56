"""What a translator makes of samples that somebody has: tensors, or picture files of any size.

A picture is translated whole, as it is: the networks are convolutions. One of more than 2 megapixels is translated in
tiles that overlap and fade into each other, so that memory stays bounded and no seam is seen.

Letters: N samples, C channels, H, W height and width.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.game import System
from ganworks.random import key
from ganworks.reading.decoding import Unreadable
from ganworks.reading.listing import list_pictures
from ganworks.reading.places import Place
from ganworks.reading.readers import Looked, Readers, Work
from ganworks.registry import suggestion
from ganworks.telling import Tell, report
from ganworks.training.disk import appearing
from ganworks.use.beside import beside

WHOLE = 1 << 21
"""Pixels of a picture that is translated at once."""
TILE, OVERLAP = 1024, 256
"""Pixels of a tile's sides, and of what it shares with the next one at least."""
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


@runtime_checkable
class Translator(Protocol):
    """A system that makes samples of samples. `to` numbers the domain of each, where there are several."""

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor: ...


def direction(system: System, to: int | str | None) -> int | None:
    """The number of the domain that is asked for; None where a system has one direction.

    Raises: UsageError for a system that translates nothing, for a domain that is unknown, missing, or not to be chosen.
    """
    if not isinstance(system, Translator):
        raise error("E-SET-02", reason=f"{system.name} does not translate", system=system.name)
    if "to" not in system.conditions:
        if to is not None:
            raise error("E-SET-02", reason=f"{system.name} has one direction, and takes no domain", system=system.name)
        return None
    domains = system.data.classes
    if to is None:
        raise error("E-USE-01", verb="translate", reason=f"say to which domain, with --to: {', '.join(domains[:20])}")
    if isinstance(to, str) and to in domains:
        return domains.index(to)
    if str(to).isascii() and str(to).isdigit() and int(to) < len(domains):
        return int(to)
    raise error("E-NAME-07", name=to, classes=", ".join(domains[:20]), details=suggestion(str(to), domains))


@torch.no_grad()
def of(system: System, x: Float[Tensor, "n ..."], to: int | str | None = None, seed: int = 0) -> Float[Tensor, "n ..."]:
    """Translations of samples in the data's units, one by one: each is the same alone and among others.

    Args:
        system: In evaluation, as `for_sampling` returns it.
        x: Points (N, D), or pictures (N, C, H, W) in [-1, 1] of any height and width.
        to: Name or number of the domain, where there are several.
        seed: Of a translator's noise.
    Raises: UsageError as `direction`, and for samples of another shape.
    """
    number = direction(system, to)
    channels, form = _taken(system.data)
    if x.dim() != len(system.data.shape) + 1 or x.shape[1] != channels:
        raise error("E-SHAPE-01", function="translate", needed=f"samples {form}", got=tuple(x.shape))
    if not len(x):
        return x.new_empty(0, system.data.shape[0], *x.shape[2:])
    encoded = system.data.encode(x.float())
    return system.data.decode(torch.cat([_one(system, row, number, seed) for row in torch.split(encoded, 1)]))


def _taken(spec: DataSpec) -> tuple[int, str]:
    """Channels or coordinates of what is translated, and its form in words."""
    shape = spec.source or spec.shape
    return shape[0], f"(N, {shape[0]})" if len(shape) == 1 else f"(N, {shape[0]}, H, W) in [-1, 1]"


def _one(system: System, x: Float[Tensor, "1 ..."], to: int | None, seed: int) -> Float[Tensor, "1 ..."]:
    assert isinstance(system, Translator)
    wanted = None if to is None else torch.tensor([to])
    with torch.random.fork_rng(devices=[]):
        if x.dim() < 4 or x.shape[2] * x.shape[3] <= WHOLE:
            torch.default_generator.manual_seed(key(seed, "translate"))
            return system.translate(x, wanted)
        return tiled(lambda part: system.translate(part, wanted), x, seed)


def tiled(
    make: Callable[[Tensor], Tensor], x: Float[Tensor, "1 c h w"], seed: int, side: int = TILE, overlap: int = OVERLAP
) -> Float[Tensor, "1 c2 h w"]:
    """A picture made tile by tile. Where tiles overlap they fade into each other, linearly.

    Args:
        make: From a tile to one of the same height and width.
    """
    h, w = x.shape[2:]
    total, weight = torch.zeros(1), torch.zeros(1, 1, h, w)
    for top in _starts(h, side, overlap):
        for left in _starts(w, side, overlap):
            rows, columns = slice(top, min(top + side, h)), slice(left, min(left + side, w))
            torch.default_generator.manual_seed(key(seed, "translate", top, left))
            made = make(x[:, :, rows, columns])
            fade = _fade(top, rows.stop, h, overlap)[:, None] * _fade(left, columns.stop, w, overlap)
            if total.dim() < 4:
                total = torch.zeros(1, made.shape[1], h, w)
            total[:, :, rows, columns] += made * fade
            weight[:, :, rows, columns] += fade
    return total / weight


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles begin, evenly: the fewest that share `overlap` pixels or more."""
    if length <= side:
        return [0]
    count = math.ceil((length - overlap) / (side - overlap))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _fade(start: int, stop: int, length: int, overlap: int) -> Float[Tensor, " n"]:
    """Weights of a tile's pixels along a side: 1 but where another tile shares them."""
    place = torch.arange(start, stop)
    rise = torch.ones(stop - start) if start == 0 else (place - start + 1) / overlap
    fall = torch.ones(stop - start) if stop == length else (stop - place) / overlap
    return torch.minimum(rise, fall).clamp_max(1.0).float()


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


def files(
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
            read = _read(readers, picture.place, _taken(spec)[0])
            if isinstance(read, Unreadable):
                found.bad.append((picture.name, read.reason))
                if on_bad == "stop":
                    raise bad_files(found.bad, len(chosen), str(source))
                continue
            made = _as_bytes(_one(system, _as_floats(read), number, seed))
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
    taken: set[str] = set()
    found = []
    for name, place, target in named:
        written = _output_name(name)
        if written.lower() in taken:
            written = f"{name}.png"
        taken.add(written.lower())
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
