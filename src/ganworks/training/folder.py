"""A run on disk: one folder that a person can read, and that resume, diagnosis and studio read too."""

import contextlib
import errno
import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import filelock
import torch

from ganworks.errors import ResourceError, UsageError, error
from ganworks.training import disk

Request = Literal["run", "pause", "stop"]
_REQUESTS: dict[bytes, Request] = {b"run": "run", b"pause": "pause", b"stop": "stop"}
_MOST_THREADS = 4096
_THERE = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""What a rename says where somebody else has made that folder in the meantime."""


class RunFolder:
    """One run's files, held by one process at a time.

    Use it as a context manager: the lock is taken on entry and freed on exit, or by the system if the process dies.
    Everything written is UTF-8; what the disk refuses is a ResourceError, and so is a folder that is suddenly gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.metrics = path / "metrics.jsonl"
        self.verdicts = path / "verdicts.jsonl"
        self._lock = filelock.FileLock(path / ".lock", blocking=False)

    @classmethod
    def create(
        cls, path: Path, settings: str, environment: Mapping[str, Any], files: Mapping[str, str] | None = None
    ) -> "RunFolder":
        """A new run folder; it appears whole, or not at all.

        Args:
            settings: The text of config.toml.
            environment: As `surroundings` gives it.
            files: Further files by name.
        Raises: UsageError if it is there already; ResourceError if the disk refuses.
        """
        texts = {"config.toml": settings, "environment.json": json.dumps(environment, indent=1) + "\n"}
        texts |= {**(files or {}), "request": "run\n"}
        try:
            contents = {name: text.encode() for name, text in texts.items()}
        except UnicodeEncodeError:
            raise error("E-ARG-01", reason="a name that is no valid Unicode cannot stand in a settings file") from None
        if os.path.lexists(path):
            raise error("E-RUN-01", path=path)
        partial = path.parent / f".run-{secrets.token_hex(4)}.partial"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (partial, partial / "samples", partial / "checkpoints"):
                folder.mkdir()
            for name, content in contents.items():
                disk.write_synced(partial / name, content)
            disk.sync_folder(partial)
            _appear(partial, path)
            disk.sync_folder(path.parent)
        except OSError as caught:
            raise disk.refusal(caught, path) from caught
        finally:
            disk.discard(partial)
        return cls(path)

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
        except OSError as caught:
            raise disk.refusal(caught, self.path) from caught
        try:
            with self.writing(".owner"):
                (self.path / ".owner").write_text(str(os.getpid()))
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            (self.path / ".owner").unlink()
        self._lock.release()

    def _owner(self) -> str:
        try:
            return f"process {int((self.path / '.owner').read_text())}"
        except (OSError, ValueError):
            return "another process"

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """What the disk refuses inside is an error about this file of the run, or about the run where it is gone."""
        try:
            yield
        except (OSError, ResourceError) as caught:
            if not self.path.is_dir():
                raise error("E-ENV-05", path=self.path) from caught
            if isinstance(caught, OSError):
                raise disk.refusal(caught, self.path / name) from caught
            raise

    @property
    def environment(self) -> dict[str, Any]:
        """What was recorded when the run began; empty where it cannot be read."""
        try:
            found = json.loads((self.path / "environment.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        threads = found.get("threads")
        if not isinstance(threads, int) or not 1 <= threads <= _MOST_THREADS:
            found.pop("threads", None)
        return found

    @property
    def request(self) -> Request:
        """What a person or the page asks of the run; anything unknown is no request."""
        try:
            with (self.path / "request").open("rb") as file:
                word = file.read(16).strip()
        except OSError:
            return "run"
        return _REQUESTS.get(word, "run")

    def ask(self, request: Request) -> None:
        """Leave a request; the loop reads it at its next record."""
        with self.writing("request"):
            (self.path / "request").write_text(request + "\n")

    def replace(self, name: str, text: str) -> None:
        """Exchange a file: a reader sees the old one or the new one."""
        partial = self.path / f".{name}.partial"
        with self.writing(name):
            try:
                disk.write_synced(partial, text.encode())
                partial.replace(self.path / name)
            finally:
                disk.discard(partial)

    def record(self, values: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl, whole and at once."""
        self._append(self.metrics, values)

    def record_verdict(self, values: Mapping[str, Any]) -> None:
        """Append one line to verdicts.jsonl."""
        self._append(self.verdicts, values)

    def _append(self, path: Path, values: Mapping[str, Any]) -> None:
        with self.writing(path.name), path.open("ab") as file:
            file.write(json.dumps(values).encode() + b"\n")

    def sync_records(self) -> None:
        """Wait until the disk has the records: a checkpoint must not outlive those of its steps."""
        for path in (self.metrics, self.verdicts):
            with self.writing(path.name), path.open("ab") as file:
                os.fsync(file.fileno())
        with self.writing(self.metrics.name):
            disk.sync_folder(self.path)

    def cut_records(self, step: int) -> float:
        """Drop the lines after a step and what a crash has left of one; returns the seconds of the last record kept."""
        self._cut(self.verdicts, step)
        return self._cut(self.metrics, step)

    def _cut(self, path: Path, step: int) -> float:
        end, seconds = 0, 0.0
        with self.writing(path.name):
            content = path.read_bytes() if path.exists() else b""
            for line in content.splitlines(keepends=True):
                record = _record(line)
                if record is None or record[0] > step:
                    break
                end, seconds = end + len(line), record[1]
            if end < len(content):
                os.truncate(path, end)
        return seconds

    def log(self, message: str) -> None:
        """Append a line with the time to log.txt."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {message}\n"
        with self.writing("log.txt"), (self.path / "log.txt").open("ab") as file:
            file.write(line.encode(errors="backslashreplace"))


def _appear(partial: Path, path: Path) -> None:
    """Rename a folder to where nothing may be."""
    try:
        partial.rename(path)
    except OSError as caught:
        if caught.errno in _THERE:
            raise error("E-RUN-01", path=path) from None
        raise


def _record(line: bytes) -> tuple[int, float] | None:
    """Step and seconds of a record; None where the line is torn or no record."""
    if not line.endswith(b"\n"):
        return None
    try:
        values = json.loads(line)
        return int(values["step"]), float(values.get("seconds", 0.0))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def create_next(
    parent: Path, name: str, settings: str, environment: Mapping[str, Any], files: Mapping[str, str] | None = None
) -> RunFolder:
    """A new run folder under the next free number; several processes may ask for one at once.

    Raises: ResourceError if the disk refuses.
    """
    while True:
        try:
            return RunFolder.create(next_free(parent, name), settings, environment, files)
        except UsageError:  # another process was faster
            continue


def next_free(parent: Path, name: str) -> Path:
    """The next run folder of a name: runs/digits-0001, runs/digits-0002, …"""
    taken = {each.name for each in parent.iterdir()} if parent.is_dir() else set()
    number = 1
    while f"{name}-{number:04d}" in taken:
        number += 1
    return parent / f"{name}-{number:04d}"


def surroundings(threads: int, device: str = "cpu") -> dict[str, Any]:
    """What a run's bits depend on beside its settings: versions, processor, thread count. And when it began."""
    return {
        "ganworks": version("ganworks"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        **_decoders(),
        "system": platform.platform(terse=True),
        "processor": _processor(),
        **({"accelerator": torch.cuda.get_device_name(device)} if device.startswith("cuda") else {}),
        "threads": threads,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": " ".join(["ganworks", *sys.argv[1:]]) if Path(sys.argv[0]).name == "ganworks" else "python",
    }


def _decoders() -> dict[str, str]:
    """What decodes pictures: a pixel may differ with its version."""
    import PIL
    from PIL import features

    turbo = features.check_feature("libjpeg_turbo")
    found = features.version_feature("libjpeg_turbo") if turbo else features.version_codec("jpg")
    return {"pillow": PIL.__version__, "libjpeg": f"{'turbo ' if turbo else ''}{found or 'missing'}"}


def _processor() -> str:
    """The processor and the instructions torch uses on it: kernels differ with them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model} ({torch.backends.cpu.get_cpu_capability()})"


def differences(run: RunFolder, threads: int, device: str = "cpu", *, decoded: bool = False) -> list[str]:
    """Where this computer differs from the one the run began on, as far as bits may depend on it.

    Args:
        decoded: The data are picture files, whose pixels depend on what decodes them.
    """
    before, now = run.environment, surroundings(threads, device)
    return [
        f"{key} was {before[key]} and is {now[key]}: the bits may differ from an unbroken run"
        for key in ("torch", "processor", "threads", *(("pillow", "libjpeg") if decoded else ()))
        if key in before and before[key] != now[key]
    ]
