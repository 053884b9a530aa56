"""Pictures that are there twice: equal to the byte, or the same picture saved, resized or retouched again.

Letters: N pictures.
"""

import numpy as np
from jaxtyping import UInt8, UInt64
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
"""Pixels along the small pictures that are compared."""
_BANDS = 4
_BITS = 3
"""Bits of 64 in which the hashes of twins may differ: with four bands, one band at least is equal."""
_STEP = 2
"""Grey levels that a neighbour must be brighter by: less is the noise of a JPEG in a plain area."""
_MEAN, _LEAST, _OF_CONTRAST = 4.0, 0.5, 0.04
"""How far twins may differ, mean over pixels in levels of 255: at most, always, and for each level that they vary by.

Of 600 emoji saved anew as JPEG or WebP or resized, 97 % are within; two clock faces are not (2026-11)."""
_NEIGHBOURS = 24
"""Pictures of like brightness in one band with which each is compared: a bound where thousands share a band."""
_AT_ONCE = 20_000

Pairs = list[tuple[int, int]]
"""Pictures beside the first one that is like them."""


def equal(digests: UInt8[np.ndarray, "n 32"], rows: NDArray[np.int64]) -> Pairs:
    """Rows whose content has the same hash as that of an earlier row.

    Args:
        digests: SHA-256 of each picture.
        rows: Those to be compared.
    """
    keys = np.ascontiguousarray(digests[rows]).view(np.dtype((np.void, digests.shape[1])))[:, 0]
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return [
        (int(rows[first[group]]), int(row)) for row, group in zip(rows, which, strict=True) if rows[first[group]] != row
    ]


def fingerprint(
    thumbnail: UInt8[np.ndarray, "64 64 3"], width: int, height: int
) -> tuple[int, UInt8[np.ndarray, "16 16 3"]]:
    """A hash of 64 bits that a picture keeps when it is saved anew or resized, and the picture at `SIDE` pixels.

    Each bit says whether one of 8 x 8 fields is darker than the next one to the right (dHash, Krawetz 2013).

    Args:
        thumbnail: The picture fitted into a white square.
        width, height: Of the picture itself; they tell where in the square it is.
    """
    image = Image.fromarray(thumbnail)
    side = len(thumbnail)
    across, down = (max(1, round(side * edge / max(width, height))) for edge in (width, height))
    left, top = (side - across) // 2, (side - down) // 2
    fields = image.convert("L").resize((9, 8), Image.Resampling.BOX, (left, top, left + across, top + down))
    levels = np.asarray(fields, np.int16)
    brighter = levels[:, 1:] > levels[:, :-1] + _STEP
    # Bits of one band lie all over the picture: rows of the sky would be the same band for every landscape.
    banded = brighter.reshape(-1, _BANDS).T
    return int.from_bytes(np.packbits(banded).tobytes(), "little"), np.asarray(image.reduce(side // SIDE))


def alike(hashes: UInt64[np.ndarray, " n"], small: UInt8[np.ndarray, "n 16 16 3"], rows: NDArray[np.int64]) -> Pairs:
    """Rows that look like an earlier row: hashes nearly equal, and pixels too.

    A row is named once, beside the first it resembles. Found by sorting, in time that grows with N and not with N².

    Args:
        hashes, small: As `fingerprint` gives them, one for each picture.
        rows: Those to be compared.
    """
    hashes = hashes[rows]
    brightness = np.array([small[row].mean() for row in rows])
    coarse = np.array([_coarse(small[row]) for row in rows])
    partner = np.full(len(rows), len(rows))
    for band in range(_BANDS):
        key = (hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.lexsort((brightness, key))
        for step in range(1, min(_NEIGHBOURS, len(rows) - 1) + 1):
            one, other = order[:-step], order[step:]
            near = key[one] == key[other]
            if not near.any():
                break
            near &= brightness[other] - brightness[one] <= _MEAN
            one, other = one[near], other[near]
            apart = hashes[one] ^ hashes[other]
            near = np.bitwise_count(apart) <= _BITS
            for before in range(band):  # the pair was met there
                near &= (apart >> np.uint64(16 * before)) & np.uint64(0xFFFF) != 0
            near &= np.abs(coarse[one] - coarse[other]).mean(axis=1) <= _MEAN
            first, second = np.minimum(one[near], other[near]), np.maximum(one[near], other[near])
            same = _same(small, rows[first], rows[second])
            np.minimum.at(partner, second[same], first[same])
    found = np.flatnonzero(partner < len(rows))
    return [(int(rows[partner[row]]), int(rows[row])) for row in found]


def _coarse(picture: UInt8[np.ndarray, "16 16 3"]) -> NDArray[np.float32]:
    """Means of 4 x 4 fields: they differ by no more than the picture does."""
    return picture.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3), dtype=np.float32).ravel()


def _same(small: UInt8[np.ndarray, "n 16 16 3"], one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether pairs of pictures differ by little, seen against how much they vary."""
    same = np.zeros(len(one), bool)
    for start in range(0, len(one), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        first, second = (small[rows[part]].astype(np.float32).reshape(-1, small[0].size) for rows in (one, other))
        contrast = np.abs(first - first.mean(axis=1, keepdims=True)).mean(axis=1)
        limit = np.minimum(_MEAN, _LEAST + _OF_CONTRAST * contrast)
        same[part] = np.abs(first - second).mean(axis=1) <= limit
    return same
