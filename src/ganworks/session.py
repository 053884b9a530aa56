"""A training from its order to its result: settings, data, system, engine, loop and scores, wired together."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ganworks import data as datasets
from ganworks import model, plan, scoring, systems
from ganworks.data import pictures
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.errors import UsageError, error, in_a_shell
from ganworks.metrics.score import Score
from ganworks.objective import loss_of
from ganworks.random import key
from ganworks.settings import GameSettings, RunSettings, build, dump, fit, merge, nested, read
from ganworks.training import checkpoint
from ganworks.training.building import compare, laid_out
from ganworks.training.engine import Engine
from ganworks.training.folder import RunFolder, create_next, differences, surroundings
from ganworks.training.loop import Loop, Stopped, Watcher

_GRID = 64
_ROWS, _COLUMNS = 8, 16
"""The grid of a system that takes labels: a column for each class, as far as they fit."""
_REAL_POINTS = 2_500
_MEASURED = 1_000
"""Horizon of an engine that is built to be measured and thrown away."""
_QUICK = 20.0
"""Seconds of training under which the scores at the end are kept short too."""


@dataclass(frozen=True)
class Order:
    """What a training is asked to be; None and {} leave it to the settings file and the defaults."""

    data: Any = None
    system: str | None = None
    steps: int | None = None
    time: float | None = None
    seed: int | None = None
    run: Path | None = None
    batch: int | str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    config: Path | None = None
    start_from: Path | None = None
    held_out: Any = None
    device: str | None = None
    patience: int | None = None
    processes: int | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Result:
    """How a training ended."""

    run: Path
    step: int
    stopped: Stopped
    scores: list[Score]
    grid: Path | None
    signal: int | None = None
    verdicts: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    next: list[str] = field(default_factory=list)


class Session:
    """A system with its settings, its data and its engine, as far as they are there.

    Args:
        run: Seed, steps and what else belongs to the run.
        given: The system's settings, nested, as far as somebody gave them.
        where: The settings file, for messages.
    Raises: UsageError for unknown names and values that cannot be meant, before any data is opened.
    """

    def __init__(self, run: RunSettings, given: Mapping[str, Any], where: str = "") -> None:
        self.run = run
        self.given = given
        self.made = systems.get(run.system)
        loss_of(self._judged(where).objective)
        self.data: DataSet | None = None
        self.engine: Engine | None = None
        self.notes: list[str] = []
        self._precision: plan.Precision | None = None
        self._model: model.Model | None = None

    def _judged(self, where: str) -> GameSettings:
        """The settings as they are before the data is known, which may want others than the paper's.

        So values that do not go together are refused here only where they do so on every kind of data.
        """
        name, made = self.run.system, self.made
        shapes = {"points": (2,), "images": (1, 32, 32)}
        for kind in made.accepts:
            with contextlib.suppress(UsageError):
                suited = made.suited(DataSpec(kind=kind, shape=shapes.get(kind, (1,)), count=1))
                return build(made.Settings, suited, self.given, system=name, where=where)
        return build(made.Settings, self.given, system=name, where=where)

    def open(self, data: Any, held_out: Any = None) -> DataSet:
        """Open the data, if the system can play with it."""
        opened = data if isinstance(data, DataSet) else datasets.open(data, held_out=held_out or None)
        if opened.spec.kind not in self.made.accepts:
            reason = (
                f"{self.run.system} takes {' or '.join(self.made.accepts)}, and {opened.name} is {opened.spec.kind}"
            )
            raise error("E-SET-02", reason=reason, system=self.run.system)
        self.data = opened
        return opened

    def new_engine(self, steps: int = _MEASURED, precision: plan.Precision | None = None) -> Engine:
        """A fresh engine. Initial weights and `prepare` have keys of their own; the default generator is left alone.

        Args:
            steps: The horizon of its schedules.
            precision: Instead of the one in the settings, or of the one that has been chosen for `auto`.
        """
        assert self.data is not None
        settings = self._settings(precision or self._precision)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key(self.run.seed, "init"))
            system = laid_out(self.made(settings, self.data.spec))
            torch.default_generator.manual_seed(key(self.run.seed, "prepare"))
            system.prepare(self.data)
        return Engine(system.train(), self.data, seed=self.run.seed, steps=steps)

    def begin(self, steps: int | None = None, time: float | None = None) -> Engine:
        """The engine of this run, at step 0. Neither steps nor time given: as many steps as suit the data."""
        assert self.data is not None
        self._choose_precision()
        if steps is None:
            steps = self._default_steps() if time is None else self.steps_in(time)
        self.run = self.run.model_copy(update={"steps": steps})
        self.engine, self._model = self.new_engine(steps), None
        return self.engine

    def _choose_precision(self) -> None:
        """Measure where the settings leave it open. What is chosen stands in the run's settings: a resume takes it."""
        self._precision, self.notes = None, []
        if self._settings().precision == "auto":
            self._precision, note = plan.faster(lambda precision: self.new_engine(precision=precision))
            self.notes.append(note)

    def _settings(self, precision: plan.Precision | None = None) -> GameSettings:
        """What was given, over what suits the data, over the system's defaults."""
        assert self.data is not None
        chosen = {"precision": precision} if precision else {}
        layers = self.made.suited(self.data.spec), self.given, chosen
        return build(self.made.Settings, *layers, system=self.run.system)

    def _default_steps(self) -> int:
        """As many in every precision: counted in float32."""
        assert self.data is not None
        return plan.default_steps(lambda: self.new_engine(precision="float32"), self.data.spec)

    def steps_in(self, seconds: float) -> int:
        """How many steps of this game fit into so much training time."""
        return plan.steps_in(seconds, self.new_engine)

    @property
    def model(self) -> model.Model:
        """What has been trained so far."""
        assert self.engine is not None
        if self._model is None or self._model.step != self.engine.step:
            self._model = model.Model(self.engine.system, self.engine.average, self.run, self.engine.step)
        return self._model

    def moved(self) -> None:
        """The weights have changed without a step."""
        self._model = None

    def draw(self, path: Path) -> None:
        """Write a sample grid. The latents are always the same, so that grids can be compared.

        Where the system takes labels, pictures have a column for each class and points a colour.
        """
        assert self.data is not None
        if self.data.spec.kind == "points":
            real = self.data.rows(torch.arange(min(_REAL_POINTS, len(self.data))))["x"]
            limits = pictures.limits_of(real)
            drawn = self.model.draw(_REAL_POINTS)
            picture = pictures.points_picture(drawn["x"], real, limits=limits, label=drawn.get("label"))
        elif "label" in self.made.conditions:
            classes = torch.tensor(self.data.spec.class_weights).nonzero()[:_COLUMNS, 0]
            label = classes.repeat(_ROWS)
            picture = pictures.grid(self.model.sample(len(label), label=label), columns=len(classes))
        else:
            picture = pictures.grid(self.model.sample(_GRID), columns=8)
        pictures.write_png(path, picture)

    def play(
        self, run: RunFolder, until: int, watchers: Sequence[Watcher], notes: Sequence[str], seconds: float = 0.0
    ) -> Result:
        """Run the loop to a step, then score what it has made."""
        assert self.engine is not None
        assert self.data is not None
        loop = Loop(self.engine, run, plan.pace(self.run, self.run.steps), self.draw, watchers, seconds)
        for note in notes:
            run.log(note)
            loop.tell({"message": note})
        stopped = loop.play(until)
        scores: list[Score] = []
        if stopped == "steps":
            count = scoring.usual_samples(self.data.spec, quick=loop.seconds < _QUICK)
            scores = scoring.evaluate(self.model.sample, self.data, count, trained_on=True)
        step = self.engine.step
        run.log(f"stopped at step {step}: {stopped}")
        return Result(
            run=run.path,
            step=step,
            stopped=stopped,
            scores=scores,
            grid=loop.grid,
            signal=loop.signals.caught,
            notes=list(notes),
            next=self._next(run.path, step, stopped),
        )

    def _next(self, run: Path, step: int, stopped: Stopped) -> list[str]:
        """Three commands to paste."""
        assert self.data is not None
        typed, out, data = (in_a_shell(Path(each)) for each in (run, f"samples-{run.name}", self.run.data))
        sample = f"ganworks sample {typed} -n 64 --out {out}"
        if stopped != "steps":
            return [f"ganworks resume {typed}", sample, "ganworks systems"]
        kind, others = self.data.spec.kind, (name for name in systems.names() if name != self.run.system)
        other = next(name for name in others if kind in systems.get(name).accepts)
        return [sample, f"ganworks resume {typed} --steps {2 * step}", f"ganworks train {data} --system {other}"]


def train(order: Order, watchers: Sequence[Watcher] = ()) -> Result:
    """Train as ordered. Options are judged first, then the data is opened, then a folder is made.

    Raises: UsageError, DataError before anything is written; TrainingError, ResourceError later.
    """
    return conduct(session_of(order), order, watchers)


def session_of(order: Order) -> Session:
    """Settings in their order: defaults, file, --set, own options."""
    _refuse_unbuilt(order)
    ours, theirs = model.split(read(order.config) if order.config else {})
    set_ours, set_theirs = model.split(nested(order.overrides))
    own = {name: getattr(order, name) for name in ("system", "steps", "seed")}
    own |= {name: str(getattr(order, name)) for name in ("data", "held_out") if _is_named(getattr(order, name))}
    own = {name: value for name, value in own.items() if value is not None}
    where = str(order.config or "")
    run = build(RunSettings, ours, set_ours, own, where=where)
    made = systems.get(run.system).Settings
    given: dict[str, Any] = {}
    for layer in (theirs, set_theirs, {} if order.batch is None else {"batch": order.batch}):
        given = merge(given, fit(made, layer))
    return Session(run, given, where)


def _is_named(data: object) -> bool:
    return isinstance(data, str | Path)


def _refuse_unbuilt(order: Order) -> None:
    if order.steps is not None and order.time is not None:
        raise error("E-USE-01", verb="train", reason="--steps and --time both say how long; give one")
    unbuilt = {
        "--from": order.start_from is not None,
        "--patience": order.patience is not None,
        "--processes": order.processes not in (None, 1),
        "--device": order.device not in (None, "cpu"),
        "--dry-run": order.dry_run,
        "--batch auto": order.batch == "auto",
    }
    for option, asked in unbuilt.items():
        if asked:
            raise error("E-USE-02", verb=option)
    if order.run is not None and order.run.exists():
        raise error("E-RUN-01", path=order.run)


def conduct(session: Session, order: Order, watchers: Sequence[Watcher]) -> Result:
    """A new run of a session."""
    named = order.data is None or _is_named(order.data)
    data = session.open(session.run.data if named else order.data, order.held_out or session.run.held_out)
    spec = data.spec
    if not named:
        session.run = session.run.model_copy(update={"data": spec.name})
    threads = plan.threads(spec)
    with _computing(threads):
        engine = session.begin(None if order.time is not None else session.run.steps or None, order.time)
        settings = dump(session.run, engine.system.settings)
        files = {"data.json": spec.model_dump_json(indent=1) + "\n"}
        if order.run is None:
            name = spec.name.replace(":", "-") or "data"
            created = create_next(Path("runs"), name, settings, surroundings(threads), files)
        else:
            created = RunFolder.create(order.run, settings, surroundings(threads), files)
        line = f"{session.run.system} on {spec.name}: {spec.count} {spec.kind}, {engine.steps} steps of "
        notes = [f"{line}{engine.system.settings.batch}", *session.notes, *data.note]
        with created as run:
            return session.play(run, engine.steps, watchers, notes)


def resume(
    path: Path,
    *,
    steps: int | None = None,
    time: float | None = None,
    watchers: Sequence[Watcher] = (),
    data: Any = None,
) -> Result:
    """Go on with a run as if it had never stopped.

    Args:
        path: The run's folder.
        steps: Go on to this step, beyond what was planned: schedules then hold their last value.
        time: Or for so many more seconds of training time.
        data: Only where the run was trained on arrays, which are not in the folder.
    """
    if steps is not None and time is not None:
        raise error("E-USE-01", verb="resume", reason="--steps and --time both say how long; give one")
    with RunFolder.existing(path) as run:
        ours, theirs = model.split(read(path / "config.toml"))
        where = str(path / "config.toml")
        session = Session(build(RunSettings, ours, where=where), theirs, where)
        before = model.spec_of(run)
        opened = session.open(session.run.data if data is None else data, session.run.held_out)
        if before.fingerprint != opened.spec.fingerprint:
            raise error("E-DATA-11", path=session.run.data, details=[f"it began with {before.count} rows"])
        threads = int(run.environment.get("threads") or plan.threads(before))
        with _computing(threads):
            return _go_on(session, run, steps, time, watchers, differences(run, threads))


def _go_on(
    session: Session,
    run: RunFolder,
    steps: int | None,
    time: float | None,
    watchers: Sequence[Watcher],
    notes: Sequence[str],
) -> Result:
    engine = session.begin(session.run.steps)
    until, more = _continue(engine, run)
    if steps is not None:
        until = steps
    if time is not None:
        until = engine.step + session.steps_in(time)
    if until <= engine.step:
        raise error("E-RUN-03", path=run.path, step=engine.step, more=2 * max(engine.step, 1))
    run.ask("run")
    seconds = run.cut_records(engine.step)
    message = f"{session.run.system} on {session.run.data}: from step {engine.step} to {until}"
    return session.play(run, until, watchers, [message, *notes, *more], seconds)


def _continue(engine: Engine, run: RunFolder) -> tuple[int, tuple[str, ...]]:
    """Bring an engine to a run's newest whole checkpoint: where it was to end, and what a person should know."""
    checkpoint.clear_partial(run.checkpoints)
    found = checkpoint.latest(run.checkpoints)
    if found is None:
        return engine.steps, ()
    compare(run.path, found.tensors, engine.state())
    try:
        engine.load(found.tensors)
    except (RuntimeError, KeyError, ValueError) as caught:
        reason = "its checkpoint has other tensors than its settings ask for"
        raise error("E-MODEL-02", path=run.path, reason=reason, details=[str(caught).splitlines()[0]]) from None
    return max(engine.steps, found.until), found.notes


@contextlib.contextmanager
def _computing(threads: int) -> Iterator[None]:
    """The thread count of a run, and denormal numbers as zero: they slow small networks down many times."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
