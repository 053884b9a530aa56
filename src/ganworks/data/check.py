"""What data hold, before anything is trained on them: sizes, classes, files that cannot be read, pictures twice."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganworks.data import builtin, twins
from ganworks.data.contact import Contact
from ganworks.data.dataset import Content
from ganworks.data.emoji import is_emoji
from ganworks.data.files import ARCHIVES
from ganworks.data.folders import Reading, chosen_size, kind_of
from ganworks.data.gallery import TOLD, bad_files
from ganworks.data.idx import images_in
from ganworks.data.pairing import explained, matched
from ganworks.data.pictures import pixels, points_picture
from ganworks.data.sources import contents
from ganworks.data.split import held_out_count
from ganworks.errors import error
from ganworks.reading.decoding import THUMBNAIL, Unreadable
from ganworks.reading.listing import Listing, array_in, list_pictures
from ganworks.reading.places import Place
from ganworks.reading.readers import Examined, Readers, Work
from ganworks.telling import Tell, report

TASK = "reading pictures"
COMPARED = 250_000
"""Pictures that are compared with each other at most: 770 bytes each."""
UNBALANCED = 10
"""Times as many pictures in the largest class as in the smallest that a person is told of."""
POINTS = 20_000
"""Points that are drawn."""


@dataclass
class Report:
    """What `check` found. Names of files are relative to the folder; rows of arrays are numbered from 0.

    Args:
        kind: `images`, `pairs`, `domains` or `points`.
        count: Pictures, pairs or rows that can be used.
        sizes: How many of each width x height, such as `64x48`; of points, how many numbers a row has.
        classes: How many of each class.
        modes, formats: How many of each kind of pixel and of file.
        bad: Names of what cannot be used, and why.
        duplicates: Names of what is equal to an earlier one, beside that one.
        near_duplicates: The same for what looks like an earlier one.
        ignored: How many files are no pictures, by their ending.
        training: What training would use: `size`, `channels`, `rows` and `held_out`; None where it would refuse.
        note: What a person should know, one sentence each.
        sheet: A contact sheet, or the points as a picture.
    """

    kind: str
    count: int
    sizes: dict[str, int]
    classes: dict[str, int]
    sheet: UInt8[np.ndarray, "h w c"]
    modes: dict[str, int] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    bad: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    near_duplicates: list[tuple[str, str]] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    training: dict[str, Any] | None = None
    note: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All but the picture, as JSON has it."""
        return {
            "kind": self.kind,
            "count": self.count,
            "sizes": self.sizes,
            "classes": self.classes,
            "bad": [{"file": file, "reason": reason} for file, reason in self.bad],
            "duplicates": self.duplicates,
            "near_duplicates": self.near_duplicates,
            "modes": self.modes,
            "formats": self.formats,
            "ignored": self.ignored,
            "training": self.training,
            "notes": self.note,
        }


def check(source: str, tell: Tell | None = None) -> Report:
    """Look at all of the data: every picture file is decoded, every row compared.

    Args:
        source: A built-in data set's name, or a path.
        tell: Called with the progress of what takes long.
    Raises: UsageError and DataError as `ganworks.data.open`, but for files that cannot be read only if all are.
    """
    path = Path(source).expanduser()
    built_in = builtin.is_digits(source) or builtin.is_density(source) or is_emoji(source)
    if source and not built_in and _holds_pictures(path):
        return _of_files(path, list_pictures(path, tell), tell)
    if builtin.is_density(source):
        drawn = builtin.density(source)
        return _of_rows([("row", Content(source, "points", drawn.columns, drawn.spec.classes))], tell)
    whole, own = contents(source, Reading(tell=tell))
    return _of_rows([("row", whole)] if own is None else [("training row", whole), ("held-out row", own)], tell)


def _holds_pictures(path: Path) -> bool:
    """Whether a path is a folder or archive of picture files, by the rules of `ganworks.data.open`."""
    try:
        if path.is_dir():
            return not images_in(path) and array_in(path) is None
        return path.is_file() and path.name.lower().endswith(ARCHIVES)
    except OSError as problem:
        raise error("E-DATA-03", path=path, reason=problem.strerror or str(problem)) from problem
    except ValueError:  # a null byte
        return False


class _Seen:
    """What is kept of each row while they are read one after the other.

    Args:
        count: Rows there are.
        labels: (count,) the class of each, if any.
        looked_at: Whether they are pictures, and have thumbnails.
    """

    def __init__(self, count: int, labels: NDArray[np.int64] | None, *, looked_at: bool = True) -> None:
        self.usable = np.zeros(count, bool)
        self.compared = looked_at and count <= COMPARED
        self._digests = np.zeros((count, 32), np.uint8)
        self._hashes = np.zeros(count if self.compared else 0, np.uint64)
        self._small = np.zeros((len(self._hashes), twins.SIDE, twins.SIDE, 3), np.uint8)
        self.contact = Contact(count, labels)

    def add(
        self, index: int, digest: str, thumbnail: NDArray[np.uint8] | None = None, width: int = 0, height: int = 0
    ) -> None:
        """Keep a row that can be used; of a picture its thumbnail, and its size."""
        self.usable[index] = True
        self._digests[index] = np.frombuffer(bytes.fromhex(digest), np.uint8)
        if thumbnail is None:
            return
        if self.compared:
            self._hashes[index], self._small[index] = twins.fingerprint(thumbnail, width, height)
        self.contact.offer(index, thumbnail)

    def twins(self) -> tuple[twins.Pairs, twins.Pairs]:
        """Rows that are equal to an earlier one, and pictures that are not but look like one."""
        rows = np.flatnonzero(self.usable)
        same = twins.equal(self._digests, rows)
        if not self.compared:
            return same, []
        return same, twins.alike(self._hashes, self._small, np.setdiff1d(rows, [other for _, other in same]))


class _Places(Sequence[Place]):
    """The places of a listing, each made when it is asked for."""

    def __init__(self, files: Listing) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Place: ...
    @overload
    def __getitem__(self, index: slice) -> list[Place]: ...
    def __getitem__(self, index: int | slice) -> Place | list[Place]:
        if isinstance(index, slice):
            return [self._files.place(each) for each in range(*index.indices(len(self)))]
        return self._files.place(index)


def _of_files(path: Path, files: Listing, tell: Tell | None) -> Report:
    seen = _Seen(len(files), files.labels)
    bad = list(files.refused)
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    grey = True
    with Readers() as readers:
        for index, answer in enumerate(readers.start(Work("examine"), _Places(files))):
            if isinstance(answer, Unreadable):
                bad.append((files.name(index), answer.reason))
            else:
                assert isinstance(answer, Examined)
                header = answer.header
                seen.add(index, answer.sha256, answer.thumbnail, header.width, header.height)
                sizes[header.width, header.height] += 1
                modes[header.mode] += 1
                formats[header.format] += 1
                grey &= header.grey
            report(tell, TASK, index + 1, len(files), TOLD)
    count = int(seen.usable.sum())
    if not count:
        raise bad_files(sorted(bad), len(files) + len(files.refused), str(path))
    sides = np.array(list(sizes.elements()), np.int64).reshape(-1, 2)
    kind = kind_of(files) or "images"
    if kind == "pairs":
        pairs = matched(files, np.flatnonzero(seen.usable), "skip")
        bad += pairs.alone
        count = len(pairs.sources)
    side = chosen_size(sides)
    found = Report(
        kind=kind,
        count=count,
        sizes={f"{width}x{height}": number for (width, height), number in sizes.most_common()},
        classes=_per_class(files.classes, files.labels, seen.usable),
        sheet=seen.contact.sheet(),
        modes=dict(modes.most_common()),
        formats=dict(formats.most_common()),
        bad=sorted(bad),
        ignored=files.ignored,
        training=_training(f"{side}x{side}", 1 if grey else 3, count, held_out_count(count)),
        note=[*files.note, *explained(files, sides)],
    )
    return _with_twins(found, seen, files.name)


def _of_rows(parts: list[tuple[str, Content]], tell: Tell | None) -> Report:
    """Rows in memory: one part, or those for training and those held out."""
    whole = parts[0][1]
    x = torch.cat([part.made for _, part in parts if isinstance(part.made, Tensor)])
    classes = [part.labels for _, part in parts if part.labels is not None]
    labels = torch.cat(classes).numpy() if classes else None
    pictures = x.dim() == 4
    seen = _Seen(len(x), labels, looked_at=pictures)
    for index, row in enumerate(_rows(x)):
        digest = hashlib.sha256(row.tobytes()).hexdigest()
        if pictures:
            picture = _picture(row)
            seen.add(index, digest, _fitted(picture), *picture.size)
        else:
            seen.add(index, digest)
        report(tell, TASK if pictures else "comparing rows", index + 1, len(x), TOLD)
    held = len(parts[1][1]) if len(parts) > 1 else 0 if builtin.is_density(whole.name) else held_out_count(len(x))
    size = f"{x.shape[3]}x{x.shape[2]}" if pictures else str(x.shape[1])
    found = Report(
        kind=whole.kind,
        count=len(x),
        sizes={size: len(x)},
        classes=_per_class(whole.classes, labels, seen.usable),
        sheet=seen.contact.sheet() if pictures else _drawn(x, labels),
        modes={"L" if x.shape[1] == 1 else "RGB": len(x)} if pictures else {},
        training=_training(size, x.shape[1] if pictures else 0, len(x), held),
        note=[line for _, part in parts for line in (*part.note, *_pair(part))],
    )
    names = [f"{word} {number}" for word, part in parts for number in range(len(part))]
    return _with_twins(found, seen, names.__getitem__)


def _with_twins(found: Report, seen: _Seen, name: Callable[[int], str]) -> Report:
    """The report with what is there twice, and what a person should know of it."""
    equal, near = seen.twins()
    found.duplicates = [(name(one), name(other)) for one, other in equal]
    found.near_duplicates = [(name(one), name(other)) for one, other in near]
    if not seen.compared and found.modes:
        found.note.append(f"pictures that look alike were not searched for: there are more than {COMPARED:,}")
    numbers = sorted((number, label) for label, number in found.classes.items() if number)
    if numbers and numbers[-1][0] >= UNBALANCED * numbers[0][0]:
        (least, small), (most, large) = numbers[0], numbers[-1]
        found.note.append(f"the classes are uneven: {most:,} of '{large}', {least:,} of '{small}'")
    if found.training is None:
        found.note.append("two are the least to train on")
    elif found.training["held_out"] and found.duplicates:
        found.note.append("a copy in the held-out part makes scores look better than they are: keep one of each")
    return found


def _training(size: str, channels: int, count: int, held_out: int) -> dict[str, Any] | None:
    if count < 2:
        return None
    return {"size": size, "channels": channels or None, "rows": count - held_out, "held_out": held_out}


def _per_class(classes: tuple[str, ...], labels: NDArray[np.int64] | None, usable: NDArray[np.bool_]) -> dict[str, int]:
    if labels is None:
        return {}
    return dict(zip(classes, np.bincount(labels[usable], minlength=len(classes)).tolist(), strict=True))


def _pair(content: Content) -> list[str]:
    """What the rows of pairs are."""
    if content.kind != "pairs":
        return []
    (colors, height, width), made = content.columns["source"].shape[1:], content.made.shape[1]
    word = {1: "grey", 3: "colour"}
    return [f"pairs, for pix2pix: a {word[made]} picture is made of a {word[colors]} one of {width} x {height} px"]


def _rows(x: Tensor) -> Iterator[NDArray[Any]]:
    """The rows of a column, each as it lies in memory."""
    for start in range(0, len(x), 1024):
        yield from x[start : start + 1024].numpy()


def _picture(row: NDArray[Any]) -> Image.Image:
    """A row of pictures (C, H, W) as an image."""
    if row.dtype != np.uint8:
        row = pixels(torch.from_numpy(row)[None])[0].transpose(2, 0, 1)
    return Image.fromarray(row[0] if len(row) == 1 else np.ascontiguousarray(row.transpose(1, 2, 0)))


def _fitted(image: Image.Image) -> UInt8[np.ndarray, "64 64 3"]:
    """A picture fitted into a white square, as the readers do it with files."""
    part = THUMBNAIL / max(image.size)
    way = Image.Resampling.LANCZOS if part < 1 else Image.Resampling.BICUBIC
    width, height = (max(1, round(side * part)) for side in image.size)
    square = Image.new("RGB", (THUMBNAIL, THUMBNAIL), "white")
    square.paste(
        image.resize((width, height), way).convert("RGB"), ((THUMBNAIL - width) // 2, (THUMBNAIL - height) // 2)
    )
    return np.array(square)


def _drawn(x: Tensor, labels: NDArray[np.int64] | None) -> UInt8[np.ndarray, "h w 3"]:
    some = slice(None, None, max(1, len(x) // POINTS))
    return points_picture(x[some], label=None if labels is None else torch.from_numpy(labels)[some])
