"""What run folders tell: where each run stands, its records and its scores. It takes no lock and needs no torch.

A run may be going on, or may have been killed, while it is read. Whatever cannot be read is missing, never a crash.
"""

import contextlib
import json
import math
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeGuard

from ganworks.errors import error
from ganworks.training import disk

State = Literal["running", "paused", "stopping", "finished", "stopped", "failed", "killed", "broken"]

_TRACES = ("config.toml", "environment.json", "metrics.jsonl", "checkpoints")
"""What only a run leaves: a folder with one of them is a run, whole or broken."""
_LONGEST = 4 << 20
"""Bytes of a file that are read at most; a run's own are far shorter."""
_TAIL = 64 << 10
_EVENT = re.compile(
    r"^[-\d]{10} [:\d]{8}  (?:stopped at step \d+: (?P<stopped>\w+)|step \d+ failed: (?P<failed>.*)"
    r"|.*: from step (?P<resumed>\d+) to \d+)$",
    re.MULTILINE,
)
"""The lines of log.txt that tell how a stretch of the run ended, or that another one began."""


@dataclass(frozen=True)
class Run:
    """A run as its folder shows it."""

    path: Path
    state: State
    reason: str = ""
    """Why it stopped, failed or cannot be read; empty where the state says it all."""
    pid: int | None = None
    """The process that plays it."""
    system: str = ""
    data: str = ""
    step: int = 0
    """Of the last record."""
    steps: int = 0
    """What it is to reach."""
    checkpoint: int | None = None
    """Step of the newest one that looks whole; a resume goes on from there."""
    seconds: float = 0.0
    """Training time at the last record."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """Each player's, at the last record."""
    scored: "Scored | None" = None
    changed: float = 0.0
    """When something was last written, in seconds since 1970."""

    @property
    def name(self) -> str:
        return self.path.resolve().name


@dataclass(frozen=True)
class Scored:
    """The scores that a run was given, and the step at which."""

    step: int
    scores: list[dict[str, Any]]


def runs(folder: Path) -> list[Run]:
    """The runs in a folder, or the folder itself if it is one; the last written comes last. Other folders are left out.

    Raises: UsageError if the folder is not there.
    """
    if not folder.is_dir():
        raise error("E-RUN-02", path=folder, reason="there is no such folder")
    try:
        inside = [each for each in folder.iterdir() if not each.name.startswith(".")]
    except OSError as caught:
        raise disk.refusal(caught, folder) from None
    found = [folder] if is_run(folder) else [each for each in inside if is_run(each)]
    return sorted((read(each) for each in found), key=lambda run: (run.changed, run.name))


def is_run(path: Path) -> bool:
    """Whether a folder holds a run, whole or not."""
    with contextlib.suppress(OSError):
        return path.is_dir() and any(os.path.lexists(path / name) for name in _TRACES)
    return False


def read(path: Path) -> Run:
    """One run. A folder that is none any more is a run whose state is `broken`, with the reason."""
    changed = max((_changed(path / name) for name in ("metrics.jsonl", "log.txt", "config.toml", "")), default=0.0)
    try:
        settings = configured(path)
    except ValueError as caught:
        return Run(path, "broken", f"config.toml {caught}", changed=changed)
    if not (path / "checkpoints").is_dir():
        return Run(path, "broken", "it has no checkpoints/", changed=changed)
    last = _last_record(path / "metrics.jsonl")
    saved = _newest_checkpoint(path / "checkpoints")
    state, reason, pid = _state(path)
    if pid is None and saved is None and (state != "killed" or any((path / "checkpoints").glob("[0-9]*"))):
        state, reason = "broken", "none of its checkpoints is whole"
    steps = settings.get("steps")
    return Run(
        path=path,
        state=state,
        reason=reason,
        pid=pid,
        system=str(settings.get("system", "")),
        data=str(settings.get("data", "")),
        step=last["step"] if last else 0,
        steps=max(steps if _is_count(steps) else 0, saved[1] if saved else 0),
        checkpoint=saved[0] if saved else None,
        seconds=float(last["seconds"]) if last and _is_number(last.get("seconds")) else 0.0,
        losses=losses(last or {}),
        scored=read_scores(path),
        changed=changed,
    )


def configured(path: Path) -> dict[str, Any]:
    """The settings of a run, nested.

    Raises: ValueError that says what is wrong with config.toml.
    """
    content = _content(path / "config.toml")
    if content is None:
        raise ValueError("is not there or cannot be read")
    try:
        return tomllib.loads(content.decode())
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as caught:
        raise ValueError(f"is no valid TOML: {caught}") from None


def described(path: Path) -> dict[str, Any]:
    """A JSON file that holds one object, such as `data.json`; empty where it cannot be read."""
    try:
        found = json.loads(_content(path) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def records(path: Path, naming: bytes = b"", file: str = "metrics.jsonl") -> Iterator[dict[str, Any]]:
    """The records of a run in their order, or those that hold a word; torn and foreign lines are passed over."""
    place = path / file
    if not place.is_file():
        return
    with contextlib.suppress(OSError), place.open("rb") as lines:
        while line := lines.readline(_LONGEST):
            if naming in line and (record := _record(line)):
                yield record


def numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a run, each with its line in metrics.jsonl, counted from 1."""
    return iter(Reader(path).read())


class Reader:
    """The records of a run that may be going on: each call reads what is new since the last one."""

    def __init__(self, path: Path) -> None:
        self._file = path / "metrics.jsonl"
        self._end, self._line, self._last = 0, 0, b""
        self._found: list[tuple[int, dict[str, Any]]] = []

    def read(self) -> list[tuple[int, dict[str, Any]]]:
        """All records so far, each with its line; anew where what was read last is gone, as after a rollback."""
        with contextlib.suppress(OSError):
            if not self._file.is_file():
                return self._found
            with self._file.open("rb") as lines:
                # Its length does not tell: the run may have grown past it again, with other numbers.
                lines.seek(self._end - len(self._last))
                if lines.read(len(self._last)) != self._last:
                    lines.seek(0)
                    self._end, self._line, self._last, self._found = 0, 0, b"", []
                while (line := lines.readline(_LONGEST)).endswith(b"\n"):
                    self._end, self._line, self._last = self._end + len(line), self._line + 1, line
                    if record := _record(line):
                        self._found.append((self._line, record))
        return self._found


class Look(NamedTuple):
    """The score of a run at one step, with its interval; the less, the better."""

    step: int
    metric: str
    value: float
    low: float
    high: float


def looks(path: Path) -> list[Look]:
    """The scores that `--patience` has looked at, in their order."""
    found = []
    for record in records(path, b'"score.'):
        name = next(key for key in [*record, ""] if not key or key.startswith("score."))
        value, low, high = (record.get(f"{name}{end}") for end in ("", ".low", ".high"))
        if _is_number(value) and _is_number(low) and _is_number(high) and math.isfinite(value + low + high):
            found.append(Look(record["step"], name.removeprefix("score."), float(value), float(low), float(high)))
    return found


def loss_curves(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Step and each player's loss, of every record of a run."""
    return ((record["step"], losses(record)) for record in records(path))


def losses(record: Mapping[str, Any]) -> dict[str, float]:
    """Each player's loss in a record: the sum of its terms. Who has a learning rate is a player; probes have none."""
    players = {name.removesuffix(".lr") for name in record if name.endswith(".lr")}
    totals: dict[str, float] = {}
    for name, value in record.items():
        player, dot, term = name.partition(".")
        if dot and term != "lr" and _is_number(value) and (player in players or not players):
            totals[player] = totals.get(player, 0.0) + value
    return totals


def newest_grid(path: Path) -> Path | None:
    """The last sample grid of a run."""
    with contextlib.suppress(OSError):
        grids = [each for each in (path / "samples").iterdir() if each.suffix == ".png" and each.stem.isdecimal()]
        return max(grids, key=lambda each: int(each.stem), default=None)
    return None


def scores_text(step: int, scores: Sequence[Mapping[str, Any]]) -> str:
    """What `scores.json` holds."""
    plain = [{key: None if _is_odd(value) else value for key, value in score.items()} for score in scores]
    return json.dumps({"step": step, "scores": plain}, indent=1, allow_nan=False) + "\n"


def write_scores(path: Path, step: int, scores: Sequence[Mapping[str, Any]]) -> None:
    """Keep the scores of a run as `scores.json`: the new file or the old one, whole at any moment.

    Args:
        scores: Each as `Score.as_dict` gives it.
    Raises: ResourceError if the disk is full or refuses.
    """
    text = scores_text(step, scores)
    partial = path / f".scores.{secrets.token_hex(4)}"
    try:
        disk.write_synced(partial, text.encode())
        partial.replace(path / "scores.json")
    except OSError as caught:
        raise disk.refusal(caught, path / "scores.json") from caught
    finally:
        disk.discard(partial)


def read_scores(path: Path) -> Scored | None:
    """The scores that a run was last given; None where there are none, or none that can be read."""
    found = described(path / "scores.json")
    step, scores = found.get("step"), found.get("scores")
    if not _is_count(step) or not isinstance(scores, list):
        return None
    optional = dict.fromkeys(("value", "low", "high", "level", "real"))
    return Scored(step, [optional | score for score in scores if _is_score(score)])


def _is_score(value: object) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str) for key in ("metric", "feature_space"))
        and all(_is_count(value.get(key)) for key in ("samples", "reference_samples"))
        and all(value.get(key) is None or _is_number(value[key]) for key in ("value", "low", "high", "real"))
    )


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number that a float can hold; a whole number in JSON may be longer."""
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**1023)


def _is_odd(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _content(path: Path) -> bytes | None:
    """A plain file of bearable length; None for all else, a pipe that would block among it."""
    with contextlib.suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= _LONGEST:
            return path.read_bytes()
    return None


def _tail(path: Path) -> bytes:
    """The last whole lines of a file."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
                file.seek(start)
                content = file.read(_TAIL)
            return content if start == 0 else content.partition(b"\n")[2]
    return b""


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and _is_count(values.get("step")) else None


def _last_record(path: Path) -> dict[str, Any] | None:
    lines = _tail(path).splitlines(keepends=True)
    return next((record for line in reversed(lines) if (record := _record(line))), None)


def _newest_checkpoint(folder: Path) -> tuple[int, int] | None:
    """Step and aim of the newest checkpoint whose tensors have the length that was written down."""
    with contextlib.suppress(OSError):
        steps = sorted((each for each in folder.iterdir() if each.name.isdecimal()), key=lambda each: -int(each.name))
        for each in steps:
            manifest = described(each / "manifest.json")
            step, until, size = (manifest.get(key) for key in ("step", "until", "bytes"))
            with contextlib.suppress(OSError):
                if _is_count(step) and _is_count(until) and (each / "state.safetensors").stat().st_size == size:
                    return step, until
    return None


def _state(path: Path) -> tuple[State, str, int | None]:
    """Where a run stands, why, and which process plays it."""
    owner = _content(path / ".owner")
    pid = int(owner) if owner and owner.strip().isdigit() and len(owner) < 12 else None
    if pid and _plays(pid):
        request = (_content(path / "request") or b"")[:16].strip()
        asked: dict[bytes, State] = {b"pause": "paused", b"stop": "stopping"}
        return asked.get(request, "running"), "", pid
    events = list(_EVENT.finditer(_tail(path / "log.txt").decode(errors="replace")))
    last = events[-1] if events else None
    if last and last["stopped"]:
        return ("finished", "", None) if last["stopped"] == "steps" else ("stopped", last["stopped"], None)
    if last and last["failed"] is not None:
        return "failed", last["failed"], None
    return "killed", "", None


def _plays(pid: int) -> bool:
    """Whether the process that noted itself as a run's owner lives.

    Its number may belong to another process by now. A run's process holds a lock, and Linux lists who holds one: asking
    there disturbs nobody, while trying the lock could get in the way of a resume.
    """
    if os.name == "nt":  # where signal 0 is Ctrl-C: the note alone must do
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's process
    try:
        locks = Path("/proc/locks").read_text()
    except OSError:
        return True
    return bool(re.search(rf"FLOCK .* {pid} ", locks))
