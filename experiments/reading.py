"""Claim: a folder of JPEGs becomes batches for no more CPU time than torch's DataLoader over plain Pillow code takes.

Ours: `Readers` with two workers, four batches asked for ahead. The rival: a DataLoader with two workers, which are
forked from a process that has torch already, over the lines that everyone writes. Both cut to the centre square, resize
to 64 px with Lanczos, and give batches of 64 as tensors; starting and ending the workers counts. One round of each, in
turn; CPU seconds of this process and its children. Pictures: drawn by formula, with noise and a digit; about 256 x 192
px, no two alike (where each width is the same power of two, speed hangs on where in memory the rows fall), and 64 x 64.
Bars: the median over the rounds of (ours / rival) is 1 or less for both; the same pictures come out.
Floor: decoding in one process without any workers.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ganworks.data import open as open_data
from ganworks.reading.decoding import Place, Unreadable
from ganworks.reading.readers import Readers, Work

from .record import RESULTS, Arm, Record

SOURCES = (
    *(
        f"src/ganworks/reading/{name}.py"
        for name in ("color", "decoding", "formats", "places", "readers", "stills", "worker")
    ),
    "experiments/reading.py",
)
SIZES = {"about 256 x 192": (256, 192, 20), "64 x 64": (64, 64, 0)}
"""Width, height, and by how much both vary."""
SIDE, BATCH, WORKERS, AHEAD = 64, 64, 2, 4


def drawn(rng: np.random.Generator, width: int, height: int, digit: NDArray[np.uint8]) -> Image.Image:
    """Three waves a channel under noise, with a digit somewhere: about as many bytes as a photograph."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32) / 64
    picture = rng.normal(0, 7, (height, width, 3)).astype(np.float32) + 127
    for speed_down, speed_across, phase in rng.uniform(-4, 4, (3, 3)).astype(np.float32):
        wave = np.sin(speed_down * down + speed_across * across + phase)
        picture += wave[:, :, None] * rng.uniform(-45, 45, 3).astype(np.float32)
    top, left = rng.integers(0, height - 28), rng.integers(0, width - 28)
    picture[top : top + 28, left : left + 28] += digit[:, :, None]
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def folder_of(folder: Path, count: int, width: int, height: int, vary: int) -> list[str]:
    """So many JPEGs of quality 90; their paths."""
    digits = open_data("digits").columns["x"][:, 0].numpy()
    rng = np.random.default_rng(0)
    paths = [str(folder / f"{index:05}.jpg") for index in range(count)]
    for index, path in enumerate(paths):
        more, taller = rng.integers(-vary, vary + 1, 2)
        drawn(rng, width + more, height + taller, digits[index % len(digits)]).save(path, quality=90)
    return paths


class Plain(Dataset[Tensor]):
    """What everyone writes."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        image = Image.open(self.paths[index]).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(image))


def rival(paths: list[str]) -> Iterator[Tensor]:
    return iter(DataLoader(Plain(paths), batch_size=BATCH, num_workers=WORKERS))


def ours(paths: list[str], workers: int = WORKERS) -> Iterator[Tensor]:
    work = Work("decode", SIDE, SIDE, 3)
    with Readers(workers) as readers:
        under_way = deque(
            readers.start(work, [Place(path) for path in paths[first : first + BATCH]])
            for first in range(0, AHEAD * BATCH, BATCH)
        )
        for first in range(AHEAD * BATCH, len(paths) + AHEAD * BATCH, BATCH):
            answers = list(under_way.popleft())
            if first < len(paths):
                under_way.append(readers.start(work, [Place(path) for path in paths[first : first + BATCH]]))
            assert not any(isinstance(answer, Unreadable) for answer in answers)
            yield torch.from_numpy(np.stack(answers))


def spent() -> float:
    """CPU seconds so far, of this process and of the children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def cost(batches: Callable[[], Iterator[Tensor]]) -> tuple[float, float, int]:
    """CPU seconds, seconds, and pictures."""
    before, start, count = spent(), time.perf_counter(), 0
    source = batches()
    for batch in source:
        count += len(batch)
    del source  # ends the DataLoader's workers
    return spent() - before, time.perf_counter() - start, count


def duel(count: int, rounds: int, size: tuple[int, int, int]) -> Arm:
    """Both, in turn: microseconds a picture, the median of the rounds' ratios, and how far the pictures differ."""
    found: dict[str, list[float]] = {"ours": [], "rival": [], "ours_wall": [], "rival_wall": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = folder_of(Path(folder), count, *size)
        one, other = next(ours(paths)), next(rival(paths))
        for _ in range(rounds):
            for name, batches in (("ours", ours), ("rival", rival)):
                seconds, wall, seen = cost(partial(batches, paths))
                assert seen == count
                found[name].append(1e6 * seconds / count)
                found[f"{name}_wall"].append(1e6 * wall / count)
    ratios = [a / b for a, b in zip(found["ours"], found["rival"], strict=True)]
    return {
        "pictures": count,
        **{f"{name}_microseconds": [round(value, 1) for value in values] for name, values in found.items()},
        "ratios": [round(ratio, 4) for ratio in ratios],
        "ratio": median(ratios),
        "mean_difference": (one.float() - other.float()).abs().mean().item(),
    }


def alone(count: int, size: tuple[int, int, int]) -> Arm:
    """Decoding without workers."""
    with tempfile.TemporaryDirectory() as folder:
        paths = folder_of(Path(folder), count, *size)
        return {"microseconds": round(1e6 * cost(partial(ours, paths, 0))[0] / count, 1)}


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.reading", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few pictures, one round: does it run?")
    parser.add_argument("--count", type=int, default=10_000, help="pictures of each size")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    count, rounds = (100, 1) if options.smoke else (options.count, options.rounds)
    name = "reading-smoke" if options.smoke else "reading"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"count": count, "rounds": rounds}, folder)
    for name, size in SIZES.items():
        record.floor(f"{name} px, one process", partial(alone, max(count // 10, 64), size))
        arm = record.arm(f"{name} px", partial(duel, count, rounds, size))
        record.bar(f"{name} px: CPU time, ours / DataLoader", arm["ratio"], "<=", 1)
        record.bar(f"{name} px: mean difference of the pixels, of 255", arm["mean_difference"], "<=", 1)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
