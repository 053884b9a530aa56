"""A run on disk: one folder that a person can read, and that resume, diagnosis and studio read too."""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import filelock
import torch

from ganworks.errors import error

Request = Literal["run", "pause", "stop"]


class RunFolder:
    """One run's files, held by one process at a time.

    Use it as a context manager: the lock is taken on entry and freed on exit, or by the system if the process dies.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.metrics = path / "metrics.jsonl"
        self._lock = filelock.FileLock(path / ".lock", blocking=False)

    @classmethod
    def create(cls, path: Path, settings: str, environment: Mapping[str, Any]) -> "RunFolder":
        """A new run folder with its settings and surroundings.

        Raises: UsageError if it is there already.
        """
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise error("E-RUN-01", path=path) from None
        run = cls(path)
        run.samples.mkdir()
        run.checkpoints.mkdir()
        (path / "config.toml").write_text(settings)
        (path / "environment.json").write_text(json.dumps(environment, indent=1) + "\n")
        run.ask("run")
        return run

    @classmethod
    def existing(cls, path: Path) -> "RunFolder":
        """A run that is on disk.

        Raises: UsageError if the path is no run.
        """
        if not (path / "config.toml").is_file() or not (path / "checkpoints").is_dir():
            reason = "there is no such folder" if not path.is_dir() else "it has no config.toml and checkpoints/"
            raise error("E-RUN-02", path=path, reason=reason)
        return cls(path)

    def __enter__(self) -> Self:
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise error("E-ENV-04", path=self.path, owner=self._owner()) from None
        (self.path / ".owner").write_text(str(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        (self.path / ".owner").unlink(missing_ok=True)
        self._lock.release()

    def _owner(self) -> str:
        try:
            return f"process {(self.path / '.owner').read_text()}"
        except OSError:
            return "another process"

    @property
    def environment(self) -> dict[str, Any]:
        """What was recorded when the run began."""
        try:
            found: dict[str, Any] = json.loads((self.path / "environment.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    @property
    def request(self) -> Request:
        """What a person or the page asks of the run."""
        try:
            word = (self.path / "request").read_text().strip()
        except OSError:
            return "run"
        return word if word in ("pause", "stop") else "run"  # type: ignore[return-value]  # narrowed by the test

    def ask(self, request: Request) -> None:
        """Leave a request; the loop reads it at its next record."""
        (self.path / "request").write_text(request + "\n")

    def record(self, values: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl, whole and at once."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(values) + "\n")

    def cut_records(self, step: int) -> float:
        """Drop the lines after a step and what a kill has left of one; returns the seconds of the last line kept."""
        try:
            lines = self.metrics.read_text().splitlines()
        except FileNotFoundError:
            return 0.0
        kept: list[str] = []
        seconds = 0.0
        for line in lines:
            try:
                values = json.loads(line)
            except ValueError:
                break
            if values["step"] > step:
                break
            kept.append(line)
            seconds = float(values.get("seconds", 0.0))
        partial = self.metrics.with_name(".metrics.jsonl.partial")
        partial.write_text("".join(line + "\n" for line in kept))
        partial.replace(self.metrics)
        return seconds

    def log(self, message: str) -> None:
        """Append a line with the time to log.txt."""
        with (self.path / "log.txt").open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {message}\n")


def next_free(parent: Path, name: str) -> Path:
    """The next run folder of a name: runs/digits-0001, runs/digits-0002, …"""
    taken = {each.name for each in parent.iterdir()} if parent.is_dir() else set()
    number = 1
    while f"{name}-{number:04d}" in taken:
        number += 1
    return parent / f"{name}-{number:04d}"


def surroundings(threads: int) -> dict[str, Any]:
    """What a run's bits depend on beside its settings: versions, processor, thread count. And when it began."""
    return {
        "ganworks": version("ganworks"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "threads": threads,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": " ".join(["ganworks", *sys.argv[1:]]) if Path(sys.argv[0]).name == "ganworks" else "python",
    }


def _processor() -> str:
    """The processor and the instructions torch uses on it: kernels differ with them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model} ({torch.backends.cpu.get_cpu_capability()})"


def differences(run: RunFolder, threads: int) -> list[str]:
    """Where this computer differs from the one the run began on, as far as bits may depend on it."""
    before, now = run.environment, surroundings(threads)
    return [
        f"{key} was {before[key]} and is {now[key]}: the bits may differ from an unbroken run"
        for key in ("torch", "processor", "threads")
        if key in before and before[key] != now[key]
    ]
