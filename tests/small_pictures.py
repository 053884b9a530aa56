"""Small pictures as files and as arrays, with and without classes."""

from pathlib import Path

import numpy as np
from PIL import Image


def folder(path: Path, classes: int, each: int, side: int = 16) -> Path:
    """Noise in class folders; none for no classes."""
    random = np.random.default_rng(0)
    for number in range(max(classes, 1)):
        place = path / f"class{number}" if classes else path
        place.mkdir(parents=True)
        for name in range(each):
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}-{name:03}.png")
    return path


def arrays(path: Path, classes: int, each: int) -> Path:
    count = classes * each
    x = np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)
    np.savez(path, x=x, label=np.arange(count) % classes)
    return path
