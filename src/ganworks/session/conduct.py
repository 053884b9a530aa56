"""A training from its order to its result: data, engine, loop and scores, wired together."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ganworks import history, machine, model, plan
from ganworks.data import pictures
from ganworks.diagnosis import ward
from ganworks.diagnosis.verdict import Verdict
from ganworks.errors import TrainingError, error, in_a_shell
from ganworks.metrics.score import Score
from ganworks.session import changes, ending, patience
from ganworks.session.order import Order, command, is_named, judge
from ganworks.session.origin import origin_of
from ganworks.session.prepared import Again, Session
from ganworks.settings import dump, read
from ganworks.training import checkpoint, loggers
from ganworks.training.building import compare
from ganworks.training.engine import Engine
from ganworks.training.folder import RunFolder, create_next, differences, surroundings
from ganworks.training.loggers import logging
from ganworks.training.loop import Loop, Stopped, Watcher


@dataclass(frozen=True)
class Result:
    """How a training ended."""

    run: Path
    step: int
    stopped: Stopped
    scores: list[Score]
    grid: Path | None
    signal: int | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: Mapping[str, float] = field(default_factory=dict)
    """What the probes found at the last step."""
    looks: patience.Standing | None = None
    """The best look and the last one, where the run has patience."""
    next: list[str] = field(default_factory=list)
    report: Path | None = None
    """The page on it; None where there was no time for one."""


def train(order: Order, watchers: Sequence[Watcher] = ()) -> Result:
    """Train as ordered. Options are judged first, then the data is opened, then a folder is made.

    Raises: UsageError, DataError before anything is written; TrainingError, ResourceError later.
    """
    return conduct(session_of(order), order, watchers)


def session_of(order: Order) -> Session:
    """The session of an order that can be meant."""
    return Session(*judge(order))


def conduct(session: Session, order: Order, watchers: Sequence[Watcher]) -> Result:
    """A new run of a session."""
    with ready(session, order, watchers) as (engine, threads, again):
        assert session.data is not None
        spec = session.data.spec
        settings = dump(session.run, engine.system.settings)
        files, about = {"data.json": session.about}, surroundings(threads, session.run.device)
        if order.run is None:
            name = spec.name.replace(":", "-") or "data"
            created = create_next(Path("runs"), name, settings, about, files)
        else:
            created = RunFolder.create(order.run, settings, about, files)
        notes = [session.headline(again), *session.data.note, *session.notes]

        def play() -> Result:
            with created as run:
                return _play(session, run, engine.steps, watchers, notes, again, log=order.log)

        return _told(play, created.path, watchers)


@contextlib.contextmanager
def ready(session: Session, order: Order, watchers: Sequence[Watcher]) -> Iterator[tuple[Engine, int, Again]]:
    """A session with its data and its engine at step 0; also its threads, and how the order is typed.

    Nothing is written.
    """
    named = order.data is None or is_named(order.data)
    source = session.run.data if named else order.data

    def again(**changes: Any) -> str:
        more = {"overrides": {**order.overrides, **changes.pop("overrides")}} if "overrides" in changes else {}
        return command(order, run=None, **changes, **more)

    with session.enough_memory(lambda: "reading the data", again):
        data = session.open(source, order.held_out or session.run.held_out, teller(watchers))
    if not named:
        session.run = session.run.model_copy(update={"data": data.spec.name})
    threads = plan.threads(data.spec)
    with computing(threads, session.run.device):
        with session.enough_memory(lambda: "the start", again):
            engine = session.begin(None if order.time is not None else session.run.steps or None, order.time)
        yield engine, threads, again


def resume(
    path: Path,
    *,
    steps: int | None = None,
    time: float | None = None,
    watchers: Sequence[Watcher] = (),
    data: Any = None,
    overrides: Mapping[str, Any] | None = None,
    log: Sequence[str] = (),
) -> Result:
    """Go on with a run as if it had never stopped.

    Args:
        path: The run's folder.
        steps: Go on to this step, beyond what was planned: schedules then hold their last value.
        time: Or for so many more seconds of training time.
        data: Only where the run was trained on arrays, which are not in the folder.
        overrides: Settings by dotted key: how long it is, and how often it records, samples and saves.
        log: Names of loggers.
    Raises: UsageError where anything else differs from what the run began with, config.toml included.
    """
    asked = dict(overrides or {})
    if (steps is not None) + (time is not None) + ("steps" in asked) > 1:
        raise error("E-USE-01", verb="resume", reason="--steps and --time both say how long; give one")
    loggers.check(log)
    return _told(partial(_resumed, path, steps, time, watchers, data, asked, log), path, watchers)


def _resumed(
    path: Path,
    steps: int | None,
    time: float | None,
    watchers: Sequence[Watcher],
    data: Any,
    asked: Mapping[str, Any],
    log: Sequence[str],
) -> Result:
    with RunFolder.existing(path) as run:
        config = read(path / "config.toml")
        found = checkpoint.latest(run.checkpoints)
        judged = changes.judge(path, config, found.settings if found else None, asked)
        origin = origin_of(judged.run, str(path / "config.toml")) if judged.run.start_from and not found else None
        session = Session(judged.run, judged.given, str(path / "config.toml"), origin=origin)
        before = model.spec_of(run)
        again = partial(command, Order(data=session.run.data, start_from=path))
        with session.enough_memory(lambda: "reading the data", again):
            source = session.run.data if data is None else data
            opened = session.open(source, session.run.held_out, teller(watchers))
        session.run = judged.run
        if before.fingerprint != opened.spec.fingerprint:
            raise error("E-DATA-11", path=session.run.data, details=[f"it began with {before.count} rows"])
        threads = int(run.environment.get("threads") or plan.threads(before))
        device = session.run.device
        with computing(threads, device):
            with session.enough_memory(lambda: "the start", again):
                engine = session.begin(session.run.steps)
                notes = [*differences(run, threads, device, decoded=opened.shorter > 0), *_continue(engine, run, found)]
            if found and not engine.players and (path / "scores.json").exists():
                reason = f"{session.made.name} is fitted before the first step: {path} is complete"
                raise error("E-USE-01", verb="resume", reason=reason)
            until = max(engine.steps, found.until if found else 0)
            until = steps or judged.goal or until if time is None else engine.step + session.steps_in(time)
            until = until if engine.players else 0
            if until <= engine.step and engine.players:
                raise error("E-RUN-03", path=path, step=engine.step, more=2 * max(engine.step, 1))
            run.ask("run")
            seconds = run.cut_records(engine.step)
            if changes.free(config) != changes.free(session.settings):
                run.replace("config.toml", dump(session.run, engine.system.settings))
            line = f"{session.made.name} on {session.run.data}: from step {engine.step} to {until}"
            return _play(session, run, until, watchers, [line, *session.notes, *notes], again, seconds, log)


def _told(play: Callable[[], Result], path: Path, watchers: Sequence[Watcher]) -> Result:
    """Play a run, and write its report once the run is free: until then it is still going on."""
    tell = teller(watchers)
    try:
        result = play()
    except TrainingError:
        if history.is_run(path):
            ending.page(path, tell)
        raise
    # Who sends a signal may not wait for long; diagnose --out writes the same page.
    return result if result.stopped == "signal" else replace(result, report=ending.page(path, tell))


def _continue(engine: Engine, run: RunFolder, found: checkpoint.Checkpoint | None) -> tuple[str, ...]:
    """Bring an engine to a run's newest whole checkpoint; gives what a person should know."""
    checkpoint.clear_partial(run.checkpoints)
    if found is None:
        return ()
    compare(run.path, found.tensors, engine.state())
    try:
        engine.load(found.tensors)
    except (RuntimeError, KeyError, ValueError) as caught:
        reason = "its checkpoint has other tensors than its settings ask for"
        raise error("E-MODEL-02", path=run.path, reason=reason, details=[str(caught).splitlines()[0]]) from None
    return found.notes


def _play(
    session: Session,
    run: RunFolder,
    until: int,
    watchers: Sequence[Watcher],
    notes: Sequence[str],
    again: Again,
    seconds: float = 0.0,
    log: Sequence[str] = (),
) -> Result:
    """Run the loop to a step, then score what it has made.

    Args:
        seconds: Training time of the run's earlier parts.
        log: Names of loggers.
    """
    engine, notes = session.engine, list(notes)
    assert engine is not None
    standing = [f"the last checkpoint stands, and goes on with more memory: ganworks resume {in_a_shell(run.path)}"]

    def draw(path: Path) -> None:
        with session.enough_memory(lambda: f"the sample grid of step {engine.step}", again, standing):
            pictures.write_png(path, session.picture())

    with logging(log, run, engine.step) as logs:
        pace = plan.pace(session.run, session.run.steps)
        told: list[Watcher] = [*watchers, *logs]
        probes, keeper = session.probes(), None
        if session.run.patience:
            keeper = patience.Keeper(run, lambda: session.model, session.run.patience)
            keeper.mend()
            notes += [probe.note for probe in probes if isinstance(probe, patience.Watch)]

        def note(text: str) -> None:
            run.log(text)
            loop.tell({"message": text})

        doctor = ward.Doctor(run.path, run.record_verdict, note)

        def looked(save: Callable[[], None]) -> bool:
            doctor.look()
            if engine.step == until:
                doctor.end()  # before the last save, which a resume would take for the end
            return keeper is not None and keeper.enough(save)

        loop = Loop(engine, run, pace, draw, told, seconds, session.settings, probes, session.early, looked)

        for each in notes:
            note(each)
        with session.enough_memory(lambda: f"step {engine.step + 1}", again, standing):
            try:
                stopped = loop.play(until)
            except TrainingError as caught:
                doctor.end(str(caught).splitlines()[0])  # as the log has it
                raise
        if stopped in ending.DONE:
            doctor.end()
        else:
            doctor.interrupted()
        if keeper and not any(isinstance(probe, patience.Watch) for probe in loop.probes):
            note("the score of --patience failed, so nothing could stop the run or stand in best/: log.txt says why")
        scores: list[Score] = []
        try:
            if stopped in ending.DONE:
                scores = ending.scores(session, loop)
                history.write_scores(run.path, engine.step, [score.as_dict() for score in scores])
                ending.draw(session, run, loop.seconds)
        except Exception as caught:
            if not machine.ran_out(caught):
                raise
            part = "pictures" if scores else "scores"
            notes.append(f"there is not enough memory for the {part}; the run is complete: {str(caught).strip()[:200]}")
            note(notes[-1])
    run.log(f"stopped at step {engine.step}: {stopped}")
    return Result(
        run=run.path,
        step=engine.step,
        stopped=stopped,
        scores=scores,
        grid=loop.grid,
        signal=loop.signals.caught,
        verdicts=doctor.verdicts,
        notes=notes,
        found=loop.found if stopped in ending.DONE else {},
        looks=patience.standing(run.path) if keeper else None,
        next=ending.following(session, run.path, engine.step, stopped),
    )


def teller(watchers: Sequence[Watcher]) -> Watcher:
    """Tells watchers what happens before there is a run. One that fails is dropped, and named, by the run's loop."""

    def tell(record: Mapping[str, Any]) -> None:
        for watcher in watchers:
            with contextlib.suppress(Exception):
                watcher(record)

    return tell


@contextlib.contextmanager
def computing(threads: int, device: str = "cpu") -> Iterator[None]:
    """The thread count of a run, and denormal numbers as zero: they slow small networks down many times. On a GPU
    kernels that give the same bits again, where there are any."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(False)
