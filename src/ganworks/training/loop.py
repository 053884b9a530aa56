"""The loop: rounds, records, samples and saves at fixed steps, until the run is done or somebody stops it."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor

from ganworks import machine
from ganworks.errors import GanworksError, TrainingError
from ganworks.telling import Tell
from ganworks.training import checkpoint
from ganworks.training.engine import Engine
from ganworks.training.folder import RunFolder

Stopped = Literal["steps", "patience", "request", "signal", "failed"]
Watcher = Tell
Probe = Callable[[int], Mapping[str, float]]
"""A measurement that costs something: from a step to numbers by name. It leaves no trace in engine or randomness."""
ROLLBACKS = 3
"""Times that a run goes back and tries again, resumes included."""
_PAUSE = 0.2


@dataclass(frozen=True)
class Pace:
    """How many steps lie between two records, sample grids and checkpoints."""

    record: int
    sample: int
    checkpoint: int


@dataclass
class Signals:
    """Signals that ask the run to stop. The first lets it save, a second one ends it at once."""

    caught: int | None = None
    _listening: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def listening(self) -> Iterator["Signals"]:
        """Catch them while a run is on. Handlers can be set in the main thread only; elsewhere nothing is caught."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        wanted = [signal.SIGINT, signal.SIGTERM]
        if getattr(signal, "SIGHUP", None) and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            wanted.append(signal.SIGHUP)  # nohup ignores it so that a run outlives its terminal
        found = {each: signal.getsignal(each) for each in wanted}
        before = {each: handler for each, handler in found.items() if handler is not None}  # None: not Python's
        self._listening = list(before)
        for each in before:
            signal.signal(each, self._first)
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _first(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal. The next one is not ours: it ends the process, also where it was ignored before."""
        self.caught = number
        for each in self._listening:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)


class Loop:
    """Plays an engine's rounds and keeps a run folder.

    Args:
        engine: At step 0, or loaded.
        run: Its folder, locked.
        pace: When to record, sample and save.
        draw: Writes a sample grid to a path, without touching the engine or its randomness.
        watchers: Called with every record; one that fails is named in the log and not called again.
        probes: Called at the steps of a sample grid and at the last one; what they find stands in that step's record.
            One that fails is named in the log and not called again. Their time is no training time.
        seconds: Training time that earlier parts of this run took: CPU seconds ÷ threads, as `--time` counts it.
        settings: Of the run; every checkpoint keeps them.
        early: A probe that is called once, and its step.
        enough: Asked once a record of the probes is written, with what saves at this step: whether to stop there.
    """

    def __init__(
        self,
        engine: Engine,
        run: RunFolder,
        pace: Pace,
        draw: Callable[[Path], None],
        watchers: Sequence[Watcher] = (),
        seconds: float = 0.0,
        settings: Mapping[str, Any] | None = None,
        probes: Sequence[Probe] = (),
        early: tuple[int, Probe] | None = None,
        enough: Callable[[Callable[[], None]], bool] | None = None,
    ) -> None:
        self.engine, self.run, self.pace, self.draw, self.settings = engine, run, pace, draw, settings
        self.watchers, self.probes, self.early, self.enough = list(watchers), list(probes), early, enough
        self.found: dict[str, float] = {}
        """What the probes found last."""
        self.signals = Signals()
        self.grid: Path | None = None
        self.seconds = seconds
        self._threads = torch.get_num_threads()
        self._saved: int | None = None

    def play(self, until: int) -> Stopped:
        """Go on to a step. Whatever stops it in good order, the state is saved.

        Raises: TrainingError if updates are refused after the last rollback too; the last checkpoint stands.
            ResourceError if the disk refuses, or the run folder is gone.
        """
        with self.signals.listening():
            self._save(until)
            while (stopped := self._played(until)) is None:
                pass
            self._sample()
        return stopped

    def _played(self, until: int) -> Stopped | None:
        """Why the rounds have stopped, once they are saved; None after a rollback."""
        try:
            stopped = self._rounds(until)
            self._save(until)
        except TrainingError as caught:
            self._roll_back(caught, until)
            return None
        return stopped

    def _roll_back(self, caught: TrainingError, until: int) -> None:
        """Return to the last checkpoint that was due, to go on from there with other batches and other noise.

        Where a stop has saved does not count: a run that nobody stopped has no checkpoint there. A kill on the way
        leaves this checkpoint as it was or an older one, from which the same rounds lead here again.

        Raises: TrainingError after the last rollback.
        """
        engine, folder = self.engine, self.run.checkpoints
        number = engine.rollbacks + 1
        found = checkpoint.latest(folder, self.pace.checkpoint) if number <= ROLLBACKS else None
        if found is None:
            self._log_failure(caught)
            if number <= ROLLBACKS:
                raise caught
            tried = f"{ROLLBACKS} rollbacks, each with other batches and other noise, did not help"
            details = (*caught.details, f"{tried}; the checkpoint of step {self._saved} stands")
            raise type(caught)(caught.code, caught.what, caught.where, details, caught.remedy) from caught
        engine.roll_back(found.tensors)
        with self.run.writing(folder.name):
            checkpoint.drop_after(folder, engine.step)
        self._saved = None
        self._save(until)
        self.run.cut_records(engine.step)
        there = f"back to step {engine.step}, and on from there with other batches and other noise"
        for text in (*found.notes, f"{caught.what}. Rollback {number} of {ROLLBACKS}: {there}"):
            self.run.log(text)
            self.tell({"message": text})

    def tell(self, values: Mapping[str, Any]) -> None:
        """Call the watchers. One that fails never stops a training: it is dropped and named in the log."""
        for watcher in list(self.watchers):
            try:
                watcher(values)
            except Exception as caught:
                self.watchers.remove(watcher)
                self.run.log(f"the watcher {_failed(watcher, caught)}")

    def _probed(self, until: int) -> dict[str, float]:
        """What the probes that are due find at this step."""
        step, found = self.engine.step, dict[str, float]()
        if self.early is not None and step == self.early[0]:
            found |= self._asked(self.early[1])
        if self.probes and (step % self.pace.sample == 0 or step == until):
            for probe in list(self.probes):
                found |= self._asked(probe)
            self.found = found
        return found

    def _asked(self, probe: Probe) -> dict[str, float]:
        """What a probe finds. What is not finite is left out: JSON has no such numbers."""
        try:
            numbers = {name: float(value) for name, value in probe(self.engine.step).items()}
        except Exception as caught:
            if probe in self.probes:
                self.probes.remove(probe)
            self.run.log(f"the probe {_failed(probe, caught)}")
            return {}
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def _rounds(self, until: int) -> Stopped:
        engine, pace = self.engine, self.pace
        while engine.step < until:
            begun = machine.work(engine.device)
            terms = self._round()
            self.seconds += (machine.work(engine.device) - begun) / self._threads
            step = engine.step
            found = self._probed(until)
            if step % pace.record == 0 or step in (1, until) or found:
                self._record(terms, found, until)
                if found and self.enough is not None and self.enough(lambda: self._save(until)) and step < until:
                    return "patience"
                if self._asked_to_stop() and step < until:
                    return "request"
            if step % pace.sample == 0 and step < until:
                self._sample()
            if step % pace.checkpoint == 0 and step < until:
                self._save(until)
            if self.signals.caught is not None:
                return "signal"
        return "steps"

    def _round(self) -> dict[str, Tensor]:
        try:
            return self.engine.round()
        except TrainingError:
            raise  # it may be made good
        except Exception as caught:
            self._log_failure(caught)
            raise

    def _log_failure(self, caught: Exception) -> None:
        with contextlib.suppress(GanworksError):  # a full disk must not hide why
            self.run.log(f"step {self.engine.step + 1} failed: {caught}")

    def _record(self, terms: Mapping[str, Tensor], found: Mapping[str, float], until: int) -> None:
        engine = self.engine
        shown = {**terms, **engine.shown()}
        values = torch.stack([value.float() for value in shown.values()]).tolist() if shown else []
        numbers = {name: value for name, value in zip(shown, values, strict=True) if math.isfinite(value)}
        rates = {f"{player}.lr": engine.lr(player, done=True) for player in engine.players}
        record: dict[str, Any] = {"step": engine.step, **numbers, **rates}
        record |= {"rollbacks": engine.rollbacks} if engine.rollbacks else {}
        record |= {name: value for name, value in found.items() if name not in record}
        self.run.record({**record, "seconds": round(self.seconds, 3)})
        told = {"steps": until, "seconds": self.seconds, "batch": engine.system.settings.batch}
        self.tell({**record, **told})

    def _asked_to_stop(self) -> bool:
        while (request := self.run.request) == "pause" and self.signals.caught is None:
            time.sleep(_PAUSE)
        return request == "stop"

    def _sample(self) -> None:
        path = self.run.samples / f"{self.engine.step:06d}.png"
        with self.run.writing(f"{path.parent.name}/{path.name}"):
            path.parent.mkdir(exist_ok=True)
            self.draw(path)
        self.grid = path

    def _save(self, until: int) -> None:
        if self._saved == self.engine.step:
            return
        self.engine.check()
        step = self.engine.step
        due = step - step % self.pace.checkpoint
        with self.run.writing(self.run.checkpoints.name):
            self.run.sync_records()
            checkpoint.save(self.run.checkpoints, step, until, self.engine.state(), self.settings, due)
        self._saved = step


def _failed(asked: object, caught: Exception) -> str:
    """Who failed, and how."""
    name = getattr(asked, "__qualname__", type(asked).__qualname__)
    return f"{name} failed and is not called again: {type(caught).__name__}: {caught}"
