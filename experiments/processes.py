"""Trainings in processes of their own, on one thread, as a user starts them; what they cost is counted."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganworks.gan import GAN

from .record import ROOT, Arm

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def answer(module: str, *words: str) -> tuple[Any, float]:
    """What `python -m module words` prints as JSON, and its CPU seconds, user and system.

    Raises: RuntimeError with what it said, where it ends with another code than 0.
    """
    command = [sys.executable, "-m", module, *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=os.environ | ONE_THREAD, cwd=ROOT, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@dataclass
class Trained:
    """What a finished `ganworks train` left."""

    gan: GAN
    facts: Arm
    """Why it stopped, its steps, CPU seconds of the whole command and of training only."""


def train(*options: str) -> Trained:
    """Run `ganworks train` and read its model; the run folder is removed."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        said, seconds = answer("ganworks", "train", *options, "--run", str(run), "--json")
        last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        facts: Arm = {
            "stopped": said["stopped"],
            "step": said["step"],
            "command_seconds": round(seconds, 2),
            "training_seconds": round(last["seconds"], 2),
        }
        return Trained(GAN.load(run), facts)
