"""Pictures as pairs and as domains: which file belongs to which, and what a source is that is made of its target.

A folder gives pairs in three ways: two folders in it with equal names, pictures that hold both side by side, or single
pictures, whose sources are derived from them. Folders of pictures that do not belong together are domains.

Letters: N pictures, C channels, H and W height and width.
"""

import posixpath
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from ganworks.data.gallery import Column, OnBad, made
from ganworks.errors import error
from ganworks.reading.listing import Listing, shown

Derivation = Literal["edges", "grey", "low", "mask"]
"""What of a picture is its source."""
SIDES = ({"source": 0, "target": 1}, {"input": 0, "output": 1}, {"a": 0, "b": 1})
"""Names of two folders, in any letter case, that say which of them is the source. a and b alone are two domains: their
pictures are pairs only where pairs are asked for."""
UNPAIRED = SIDES[2]
_SHOWN = 5
"""Names of an error's details."""
_LOW = 4
"""How many times smaller a picture is that is to be enlarged."""
_HOLE = 0.5
"""Of a picture's sides, those of the hole that is to be filled."""
_NO_HOLE_COLOR = 128


def halves(column: Column) -> tuple[Column, Column]:
    """Left and right of pictures that hold a source beside its target."""
    width = column.shape[3] // 2
    return made(column, lambda x: x[..., :width]), made(column, lambda x: x[..., width:])


class Matched(NamedTuple):
    """The files of two folders in pairs of equal names.

    Attributes:
        sources, targets: Numbers of the files, one pair after the other.
        alone: Names of files without a partner, and where that is missing.
    """

    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    alone: list[tuple[str, str]]


def matched(files: Listing, rows: NDArray[np.int64], on_bad: OnBad = "stop") -> Matched:
    """Some files of two folders in pairs of equal names, whatever their endings.

    Args:
        on_bad: What happens where a picture has no partner: `stop`, or `skip` it.
    Raises: DataError where there are not two folders, where it cannot be told which holds the sources, or where a
        picture has no partner, unless it is skipped.
    """
    sides = side_of(files)
    if sides is None or files.labels is None:
        details = [f"its folders are {', '.join(files.classes)}", "call the two source and target, or a and b"]
        raise error("E-DATA-02", what="pairs", where=str(files.path), details=details)
    by_stem: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for row in rows.tolist():
        by_stem[sides[int(files.labels[row])]][_stem(files.name(row))] = row
    stems = sorted(by_stem[0].keys() & by_stem[1].keys())
    first, second = (np.array([side[stem] for stem in stems], np.int64) for side in by_stem)
    alone = []
    for side, other in ((0, 1), (1, 0)):
        folder = files.classes[sides.index(other)]
        rest = [row for stem, row in by_stem[side].items() if stem not in by_stem[other]]
        alone += [(files.name(row), f"has no partner of this name in {folder}/") for row in sorted(rest)]
    if alone and on_bad == "stop":
        more = [f"and {len(alone) - _SHOWN} more"] if len(alone) > _SHOWN else []
        names = [f"{shown(name)} {reason}" for name, reason in alone[:_SHOWN]]
        raise error("E-DATA-16", path=files.path, count=len(alone), details=[*names, *more])
    return Matched(first, second, alone)


def explained(files: Listing, sizes: NDArray[np.int64]) -> list[str]:
    """What the pictures of a folder may be to a translator, one sentence each.

    Args:
        sizes: (n, 2) widths and heights.
    """
    sides, classes = side_of(files), len(files.classes)
    if sides is not None:
        source, target = (files.classes[sides.index(each)] for each in (0, 1))
        if {source.lower(), target.lower()} == set(UNPAIRED):
            return [
                f"{source}/ and {target}/ are two domains without pairs, for cyclegan: each becomes the other; with "
                "--system pix2pix pictures of one name are pairs"
            ]
        return [f"pairs, for pix2pix: {target}/ is made of {source}/, by the names"]
    if len(sizes) and beside_each_other(sizes):
        return ["all are twice as wide as high: to pix2pix they are pairs, the source at the left"]
    if classes > 1:
        system = "cyclegan or stargan" if classes == 2 else "stargan"
        return [f"to {system} the {classes} classes are domains, each picture to become one of any other"]
    return []


def beside_each_other(sizes: NDArray[np.int64]) -> bool:
    """Whether pictures of these widths and heights may hold a source beside a target."""
    return bool((sizes[:, 0] == 2 * sizes[:, 1]).all())


def side_of(files: Listing) -> list[int] | None:
    """For each of two folders whether it holds sources (0) or targets (1); None where their names do not say so."""
    names = [name.lower() for name in files.classes] if files.labels is not None else []
    return next(([sides[name] for name in names] for sides in SIDES if set(names) == set(sides)), None)


def _stem(name: str) -> str:
    """A name below its folder of the two, without its ending."""
    parts = name.split("/")
    return posixpath.splitext("/".join(parts[_depth(parts) :]))[0].lower()


def _depth(parts: list[str]) -> int:
    known = {name for sides in SIDES for name in sides}
    return next(place + 1 for place, part in enumerate(parts) if part.lower() in known)


def sources_of(column: Column, how: Derivation) -> Column:
    """The sources of single pictures.

    `edges`: black lines on white where a picture changes; `grey`: its grey levels; `low`: a quarter of its size,
    enlarged again; `mask`: without its middle.
    """
    return made(column, {"edges": edges, "grey": grey, "low": low, "mask": masked}[how])


def grey(x: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n 1 h w"]:
    """Luma by the weights of ITU-R BT.601."""
    return x if x.shape[1] == 1 else _bytes(_levels(x))


def _levels(x: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    weights = torch.tensor([0.299, 0.587, 0.114]) if x.shape[1] == 3 else torch.full((x.shape[1],), 1 / x.shape[1])
    return (x.float() * weights[:, None, None]).sum(1, keepdim=True)


def low(x: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    """Shrunk by averages and enlarged again by bicubic interpolation."""
    h, w = x.shape[2:]
    small = F.adaptive_avg_pool2d(x.float(), (max(h // _LOW, 1), max(w // _LOW, 1)))
    return _bytes(F.interpolate(small, (h, w), mode="bicubic", align_corners=False))


def masked(x: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    """The middle quarter is grey."""
    h, w = x.shape[2:]
    top, left = round(h * (1 - _HOLE) / 2), round(w * (1 - _HOLE) / 2)
    x = x.clone()
    x[:, :, top : h - top, left : w - left] = _NO_HOLE_COLOR
    return x


def edges(x: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n 1 h w"]:
    """White less the size of Sobel's gradient of the grey levels, so that the strongest edge of a picture is black."""
    kernel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    around = F.pad(_levels(x), (1, 1, 1, 1), mode="replicate")
    slope = torch.hypot(F.conv2d(around, kernel[None, None]), F.conv2d(around, kernel.T[None, None]))
    return _bytes(255 - 255 * slope / slope.amax((2, 3), keepdim=True).clamp_min(1.0))


def _bytes(x: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    return x.round().clamp(0, 255).to(torch.uint8)
