"""Kill a training at any moment and resume it: the same bits as if nothing had happened.

A small run on the ring is killed (SIGKILL) again and again and resumed each time. At least half of the kills land
inside a save, before or in the middle of one of its operations on the disk; the others come from outside at a random
moment. At the end state.safetensors, metrics.jsonl without its seconds and the last grid must be those of an
uninterrupted run, byte for byte. The harness is tried on seeded bugs, each of which it must catch.

    python -m benchmarks.soak [--kills 100] [--seed 0] [--bugs-only]
"""

import argparse
import contextlib
import json
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from experiments.record import OURS, Arm, Record
from ganworks import gan
from ganworks.training.checkpoint import latest
from ganworks.training.engine import Engine
from ganworks.training.folder import RunFolder
from ganworks.training.optimizers import Mover
from tests.faulty_disk import Disk

SOURCES = (*OURS, "benchmarks/soak.py", "tests/faulty_disk.py")
STEPS, EVERY = 150, 3
SETTINGS = {
    "batch": 16,
    "generator.width": 16,
    "discriminator.width": 16,
    "view.noise": 0.1,
    "average.half_life": 2000.0,
    "average.rampup": 0.0,  # a long memory: a wrong average must still show at the end
    "checkpoint.every": EVERY,
    "sample.every": STEPS,
    "record.every": 1,
}
_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""A disk in memory, where there is one: a killed process leaves the same there, and it is quick."""
_OPERATIONS = 18
"""About what a save takes."""
_AHEAD = 8
"""Saves that a life may see, at most."""


def play(run: Path, watch: Callable[[Mapping[str, Any]], None]) -> None:
    """Start the run, or go on with it."""
    if run.exists():
        gan.resume(run, watchers=[watch])
    else:
        order = gan.Order(data="ring", system="gan", steps=STEPS, seed=3, run=run, overrides=SETTINGS)
        gan.train(order, watchers=[watch])


@dataclass(frozen=True)
class Kill:
    """When a life is to end: at its operation number `after` on the disk, or from outside after so many steps."""

    after: int
    below: str | None
    """Only operations below this folder of the run count; None: from outside."""


@dataclass(frozen=True)
class Life:
    """How one life of the run ended."""

    where: str
    resumed_from: int | None


@dataclass
class Soak:
    """The run's lives so far.

    Args:
        folder: Of the runs.
        seed: When kills come follows from it.
        bug: Seeded into every life but the uninterrupted one.
    """

    folder: Path
    seed: int = 0
    bug: Callable[[], None] | None = None
    lives: list[Life] = field(default_factory=list)
    complete: int = 0

    def __post_init__(self) -> None:
        torch.optim.Adam([torch.zeros(1)])  # the first one imports a second's worth of code; children inherit it
        self._draw = random.Random(self.seed)
        self._shared = mmap.mmap(-1, 8)

    def uninterrupted(self) -> dict[str, bytes]:
        """What the run leaves when nobody disturbs it."""
        run = self.folder / "whole" / "run"
        status, _ = self._live(run, None, None)
        assert status == 0
        return remains(run)

    def until_killed(self, kills: int, wanted: dict[str, bytes]) -> str:
        """Kill and resume; a finished run is compared and another begun. Returns the first difference, or nothing."""
        run = self.folder / f"{self.complete:03d}" / "run"
        while True:
            over = len(self.lives) >= kills
            difference = self._one(run, None if over else self._next_kill(), wanted)
            if difference is None:
                continue
            self.complete += 1
            run = self.folder / f"{self.complete:03d}" / "run"
            if difference or over:
                return difference

    def _next_kill(self) -> Kill:
        """Of six, four inside a save, one at any other operation on the disk perhaps, one from outside."""
        turn = len(self.lives) % 6
        if turn == 2:
            return Kill(self._draw.randrange(1, _AHEAD * EVERY), None)
        return Kill(self._draw.randrange(_AHEAD * _OPERATIONS), "" if turn == 5 else "checkpoints")

    def _one(self, run: Path, kill: Kill | None, wanted: dict[str, bytes]) -> str | None:
        """One life. Returns what differs once the run is complete; None where it was killed before."""
        resumed = latest(run / "checkpoints") if run.exists() else None
        resumed_from = None if resumed is None else resumed.step
        status, where = self._live(run, kill, self.bug)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            self.lives.append(Life(where, resumed_from))
            return None
        if status != 0:
            return f"a life that began at step {resumed_from} ended with status {status}"
        found = remains(run)
        different = [name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)]
        return f"another {', '.join(sorted(different))}" if different else ""

    def _live(self, run: Path, kill: Kill | None, bug: Callable[[], None] | None) -> tuple[int, str]:
        """A child that trains until it is killed or done: its status and where it was."""
        run.parent.mkdir(parents=True, exist_ok=True)
        self._shared[:8] = bytes(8)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._be_child(run, kill, bug, writing)
        os.close(writing)
        if kill is not None and kill.below is None:
            self._kill_outside(child, kill.after)
        with os.fdopen(reading) as said:
            where = said.read()
        status = os.waitpid(child, 0)[1]
        return status, where or f"step {self._steps()}"

    def _be_child(self, run: Path, kill: Kill | None, bug: Callable[[], None] | None, writing: int) -> None:
        """Never returns."""
        code = 1
        try:
            torch.set_num_threads(1)
            if bug is not None:
                bug()
            with _killing_itself(run, kill, writing):
                play(run, self._watch)
            code = 0
        except BaseException as caught:
            code = getattr(caught, "exit_code", 1)
            traceback.print_exc()
        finally:
            os._exit(code)

    def _watch(self, record: Mapping[str, Any]) -> None:
        if "step" in record:
            done = struct.unpack("q", self._shared[:8])[0]
            self._shared[:8] = struct.pack("q", done + 1)

    def _steps(self) -> int:
        return int(struct.unpack("q", self._shared[:8])[0])

    def _kill_outside(self, child: int, step: int) -> None:
        while self._steps() < step and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.0005)
        time.sleep(self._draw.random() * 0.004)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _killing_itself(run: Path, kill: Kill | None, writing: int) -> contextlib.AbstractContextManager[object]:
    """A disk at which this process dies, having said where. SIGKILL is SIGKILL, whoever sends it."""
    if kill is None or kill.below is None:
        return contextlib.nullcontext()
    below, left = str(run / kill.below), kill.after

    def die_there(number: int, name: str) -> None:
        nonlocal left
        path = watched.seen[-1][1]
        if not path.startswith(below):
            return
        left -= 1
        if left < 0:
            os.write(writing, f"{name} {os.path.relpath(path, run)}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    watched = Disk(run.parent, die_there)
    return watched.watching()


def remains(run: Path) -> dict[str, bytes]:
    """What must not depend on how often a run was interrupted."""
    last = max((run / "checkpoints").iterdir())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_bytes().splitlines()]
    for line in lines:
        line.pop("seconds")
    return {
        "state": (last / "state.safetensors").read_bytes(),
        "manifest": (last / "manifest.json").read_bytes(),
        "metrics": json.dumps(lines).encode(),
        "settings": (run / "config.toml").read_bytes(),
        "grid": (run / "samples" / f"{STEPS:06d}.png").read_bytes(),
    }


# Seeded bugs. Each is made in the child only.


def _after_load(change: Callable[[Engine], None]) -> None:
    load = Engine.load

    def changed(self: Engine, tensors: dict[str, torch.Tensor]) -> None:
        load(self, tensors)
        change(self)

    Engine.load = changed  # type: ignore[method-assign]


def _restart_average(engine: Engine) -> None:
    for name, network in engine.average.networks.items():
        network.load_state_dict(getattr(engine.system, name).state_dict())


def _forget_moments() -> None:
    Mover.load = lambda self, state: self.restart()  # type: ignore[method-assign]


def _through_half() -> None:
    load = Engine.load

    def halved(self: Engine, tensors: dict[str, torch.Tensor]) -> None:
        load(self, {n: t.half().to(t.dtype) if t.is_floating_point() else t for n, t in tensors.items()})

    Engine.load = halved  # type: ignore[method-assign]


def _keep_records() -> None:
    RunFolder.cut_records = lambda self, step: 0.0  # type: ignore[method-assign]


def _reset_reads() -> None:
    _after_load(lambda engine: setattr(engine, "reads", 0))


def _reset_updates() -> None:
    _after_load(lambda engine: engine.updates.update(dict.fromkeys(engine.updates, 0)))


BUGS: dict[str, Callable[[], None]] = {
    "the optimizers are not restored": _forget_moments,
    "the average starts anew": lambda: _after_load(_restart_average),
    "the reads of data are not restored": _reset_reads,
    "the counters of updates are not restored": _reset_updates,
    "the state goes through half precision": _through_half,
    "records after the checkpoint stay": _keep_records,
}


def soak(kills: int, seed: int) -> Arm:
    """Kill so often; the counts and where they landed."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        lives = Soak(Path(folder), seed)
        difference = lives.until_killed(kills, lives.uninterrupted())
    landed = Counter(life.where.split()[0] for life in lives.lives)
    resumed = sorted({life.resumed_from for life in lives.lives if life.resumed_from is not None})
    return {
        "kills": len(lives.lives),
        "inside_a_save": sum("checkpoints" in life.where for life in lives.lives),
        "landed": dict(landed),
        "resumed_from": resumed,
        "complete_runs": lives.complete,
        "difference": difference,
        "seconds": round(time.monotonic() - begun, 1),
    }


def catches(bug: str, seed: int = 0, kills: int = 4) -> Arm:
    """Whether a seeded bug shows within a few kills, and how."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        wanted = Soak(Path(folder)).uninterrupted()
        lives = Soak(Path(folder), seed, BUGS[bug])
        difference = lives.until_killed(kills, wanted)
        return {"caught": difference != "", "how": difference, "kills": len(lives.lives)}


def main(words: list[str], folder: Path = Path(__file__).parent / "results") -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    claim = str(__doc__).splitlines()[0]
    record = Record("soak", claim, SOURCES, {"kills": options.kills, "seed": options.seed}, folder)
    found = record.arm("kills", lambda: soak(options.kills, options.seed))
    record.bar("differences to the uninterrupted run", len(found["difference"]), "==", 0)
    record.bar("kills inside a save, share", found["inside_a_save"] / found["kills"], ">=", 0.5)
    record.bar("steps resumed from", len(found["resumed_from"]), ">=", min(30, options.kills // 2))
    for bug in BUGS:
        caught = record.arm(f"seeded bug: {bug}", lambda bug=bug: catches(bug))
        record.bar(f"caught: {bug}", caught["caught"], "==", True)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
