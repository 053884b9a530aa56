"""Features, logits and pictures that two environments can make alike: from a seed, by operations that round one way.

numpy alone, and no matrix product, whose sums depend on the processor. `fingerprint` says whether two have the same.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
SEED = 2026
SHAPES = (
    (8, 8, 4), (30, 30, 2), (40, 40, 64), (64, 64, 64), (100, 140, 8), (200, 200, 16), (300, 300, 100), (500, 500, 32),
    (1000, 1000, 8), (1000, 700, 256), (3000, 3000, 512), (10000, 10000, 2048),
)  # fmt: skip
"""Real rows, fake rows, numbers a row: fewer rows than numbers, as many, and more; equal counts, and not."""
OF_FEATURES = ("frechet_distance", "kernel_distance", "neighbours", "sliced_wasserstein")
CASES: dict[str, Sequence[Sequence[float]]] = {
    **dict.fromkeys(OF_FEATURES, SHAPES),
    "inception_score": ((100, 10), (1003, 7), (5000, 1008)),
    "pictures": ((3, 1, 176), (2, 3, 208)),
    "classes": ((300, 400, 10), (5000, 2000, 20)),
    "ranks": ((6, 9, 9), (8, 40, 9), (40, 30, 9), (200, 150, 1), (60, 60, 0)),
    "quantile": tuple((p, f) for p in (0.6, 0.9, 0.975, 0.9995) for f in (1, 2, 5, 19, 60, 380)),
    "theory": ((0.5, 1), (1, 1), (2, 1), (4, 1), (0, 2), (1, 0.25), (3, 5)),
}
"""Inputs of each metric: real rows, fake rows, numbers a row for features; see `inputs` for the others."""
_FACTORS, _NOISE, _ROWS = 8, 0.3, 1000


def _random(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([SEED, *key]))


def features(n: int, m: int, d: int) -> tuple[Matrix, Matrix]:
    """(N, D) and (M, D): as of a network, around 1, with a few strong directions and noise.

    The fakes are a little shifted, a little narrow, and have a little more noise: no metric is at its edge.
    """
    random = _random(n, m, d)
    directions = random.standard_normal((min(_FACTORS, d), d), dtype=np.float32)
    real = _rows(random, directions, n, shift=0.0, width=1.0, noise=_NOISE)
    return real, _rows(random, directions, m, shift=0.1, width=0.9, noise=1.05 * _NOISE)


def _rows(
    random: np.random.Generator, directions: Matrix, count: int, shift: float, width: float, noise: float
) -> Matrix:
    made = np.empty((count, directions.shape[1]), np.float32)
    for start in range(0, count, _ROWS):  # in parts: the peak of memory is not ours to raise
        part = made[start : start + _ROWS]
        part[...] = random.standard_normal(part.shape, dtype=np.float32)
        part *= np.float32(noise)
        part += np.float32(1)
        for weight in directions:
            factor = random.standard_normal((len(part), 1), dtype=np.float32)
            part += (factor * np.float32(width) + np.float32(shift)) * weight
    return made


def logits(n: int, k: int, *more: int) -> Matrix:
    """(N, K) class scores: some sure, some not. More numbers make others."""
    random = _random(n, k, *more)
    return random.standard_normal((n, k), dtype=np.float32) * np.float32(3) + np.arange(k, dtype=np.float32) / 4


def pictures(n: int, channels: int, size: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(N, C, S, S + 16) twice, in [0, 1] on 256 levels: waves, and the same with noise."""
    random = _random(n, channels, size)
    row, column = np.arange(size)[:, None], np.arange(size + 16)[None, :]
    # Triangles: a sine may differ between libraries in its last digit.
    phase = random.integers(0, 97, (n, channels, 1, 1))
    wave = np.abs((row * 3 + column * 5 + phase) % 97 - 48) / 48 + np.abs((row * column + phase) % 31 - 15) / 15
    noise = random.random(wave.shape) - 0.5
    return np.round(wave / 2 * 255) / 255, np.round(np.clip(wave / 2 + 0.2 * noise, 0, 1) * 255) / 255


def of_one_law(n: int, d: int) -> tuple[Matrix, Matrix]:
    """(N, D) twice: two halves of one sample, as real data beside real data."""
    both = features(2 * n, 1, d)[0]
    return both[:n], both[n:]


def inputs(metric: str, shape: Sequence[float], precision: str = "float64") -> tuple[Any, ...]:
    """What a metric of the cross-check is given, by its numbers in CASES; features and logits in a precision."""
    if metric in ("quantile", "theory"):
        return tuple(shape)
    sizes = [int(size) for size in shape]
    if metric == "pictures":
        return pictures(*sizes)
    if metric == "ranks":
        n, m, decimals = sizes
        return tuple(np.round(x[:, 0].astype(np.float64), decimals) for x in features(n, m, 2))
    if metric == "classes":
        n, m, k = sizes
        made = logits(n, k), logits(m, k, 1)
    elif metric == "inception_score":
        made = (logits(*sizes),)
    else:
        made = features(*sizes) if len(sizes) == 3 else of_one_law(*sizes)
    return tuple(x.astype(precision) for x in made)


def fingerprint(*arrays: Any) -> str:
    """SHA-256 of the bytes, shortened to 16 digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
