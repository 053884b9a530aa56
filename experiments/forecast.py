"""Claim: `ganworks train --dry-run` tells beforehand how much memory a training takes, and how long it is.

Ours: ten trainings that differ in data, system, batch and width, each in processes of its own on one thread: the dry
run, then the training itself. Memory is the most that the training's process holds, from its start to its last score;
time is the training time in its last record.
Bars: the worst of ten forecasts of memory within 20 % of what the training took, of time within 30 %.
Null: the mean of what all ten took, as the forecast for each, misses both bars.
Floor: the same training once more, as the forecast of the first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .processes import ONE_THREAD
from .record import RESULTS, ROOT, TRAIN, Arm, Record

SOURCES = (
    *TRAIN,
    "src/ganworks/systems",
    "src/ganworks/metrics",
    "src/ganworks/scoring.py",
    "experiments/forecast.py",
)
MEMORY, TIME = 0.2, 0.3


def plain(system: str, batch: int, width: int, *more: str) -> tuple[str, ...]:
    """The words of a training after its data."""
    widths = (f"{player}.width={width}" for player in ("generator", "discriminator"))
    settings = (word for setting in (*widths, *more) for word in ("--set", setting))
    return ("--system", system, "--batch", str(batch), *settings)


PLANS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "points, the default": ("ring", 1000, ()),
    "points, gan, batch 256": ("ring", 1000, plain("gan", 256, 128)),
    "points, wgan_gp": ("ring", 600, ("--system", "wgan_gp")),
    "digits, the default": ("digits", 600, ()),
    "digits, r3gan, width 16, batch 16": ("digits", 1000, plain("r3gan", 16, 16)),
    "digits, conditional, batch 128": ("digits", 300, plain("conditional", 128, 32)),
    "digits, dcgan": ("digits", 300, plain("dcgan", 64, 32)),
    "digits, dcgan, width 128": ("digits", 100, plain("dcgan", 32, 128)),
    "colour pictures of 64 px in a folder": ("folder", 300, ("--system", "r3gan")),
    "colour pictures of 64 px in an array, width 48, batch 128": ("array", 100, plain("r3gan", 128, 48)),
}
"""Data, steps, and how they are trained on."""
REPEATED = ("points, the default", "digits, the default")


def pictures(folder: Path) -> dict[str, str]:
    """Smooth colour noise of 64 px: 600 files of 80 px in two classes, and an array of 2,000."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (2000, 8, 8, 3), dtype=np.uint8)
    array = np.stack([np.asarray(Image.fromarray(each).resize((64, 64))) for each in coarse])
    np.save(folder / "array.npy", array)
    for number, each in enumerate(coarse[:600]):
        place = folder / "folder" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).resize((80, 80)).save(place / f"{number:03}.jpg")
    return {"array": str(folder / "array.npy"), "folder": str(folder / "folder")}


def run(*words: str) -> tuple[Any, int]:
    """What `ganworks` prints as JSON, and the most bytes that its process held."""
    command = [sys.executable, "-m", "ganworks", *words, "--json"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(command, env=os.environ | ONE_THREAD, cwd=ROOT, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said, errors = (file.seek(0) or file.read().decode() for file in (out, err))
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{errors}")
    return json.loads(said), usage.ru_maxrss << (0 if sys.platform == "darwin" else 10)


def forecast(words: tuple[str, ...]) -> Arm:
    plan = run("train", *words, "--dry-run")[0]["plan"]
    return {"memory_bytes": plan["memory_bytes"], "seconds": plan["seconds"], "parameters": plan["parameters"]}


def taken(words: tuple[str, ...]) -> Arm:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        _, memory = run("train", *words, "--run", str(place))
        last = json.loads((place / "metrics.jsonl").read_text().splitlines()[-1])
    return {"memory_bytes": memory, "seconds": last["seconds"]}


def both(words: tuple[str, ...]) -> Arm:
    """The forecast, what the training took, and how far the former is off."""
    arm: Arm = {"forecast": forecast(words), "taken": taken(words)}
    return arm | {f"{name}_off": off(arm["forecast"][name], arm["taken"][name]) for name in ("memory_bytes", "seconds")}


def off(forecast: float, taken: float) -> float:
    return abs(forecast / taken - 1)


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.forecast", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="three steps of two trainings: does it run?")
    options = parser.parse_args(words)
    plans = dict(list(PLANS.items())[:2]) if options.smoke else PLANS
    name = "forecast-smoke" if options.smoke else "forecast"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, folder=folder)
    with tempfile.TemporaryDirectory() as place:
        data = pictures(Path(place))
        for title, (source, steps, how) in plans.items():
            given = (data.get(source, source), "--steps", str(3 if options.smoke else steps), *how)
            record.arm(title, partial(both, given))
            if title in REPEATED:
                record.floor(f"{title}, again", partial(taken, given))
    arms = [record.arms[title] for title in plans]
    for number, limit, words_for_it in (("memory_bytes", MEMORY, "memory"), ("seconds", TIME, "time")):
        worst = max(float(arm[f"{number}_off"]) for arm in arms)
        record.bar(f"worst forecast of {words_for_it}, off what was taken, share", worst, "<=", limit)
        took = [float(arm["taken"][number]) for arm in arms]
        null = max(off(sum(took) / len(took), each) for each in took)
        record.bar(f"null: the mean as forecast of {words_for_it}, worst", null, ">=", limit)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
