"""The facade: a GAN as an object, and trainings as orders. It wires settings, data, system, engine, loop and scores."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ganworks import data as datasets
from ganworks import model, plan, scoring, systems
from ganworks.data import pictures
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.game import System
from ganworks.metrics.score import Score
from ganworks.random import key
from ganworks.settings import GameSettings, RunSettings, build, dump, nested, read
from ganworks.training import checkpoint
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine
from ganworks.training.folder import RunFolder, differences, next_free, surroundings
from ganworks.training.loop import Loop, Pace, Stopped, Watcher

_GRID = 64
_REAL_POINTS = 2_500
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


class GAN:
    """A GAN: choose a system, train it, sample from it, score it, keep it.

    Args:
        system: One of `ganworks.systems.names()`.
        settings: Any of its settings by dotted key, such as {"objective.loss": "hinge"}.
    Raises: UsageError for an unknown system or setting, with the nearest known ones.
    """

    def __init__(self, system: str = "r3gan", **settings: Any) -> None:
        self._class = systems.get(system)
        self._name = system
        self._given = nested(settings)
        build(self._class.Settings, self._given, system=system)  # names and values are judged now, not in `fit`
        self.run_settings = RunSettings(system=system)
        self.run: Path | None = None
        self._data: DataSet | None = None
        self._engine: Engine | None = None
        self._model: model.Model | None = None
        self._still: tuple[int, System] | None = None

    # training

    def fit(
        self,
        data: Any = "digits",
        *,
        steps: int | None = None,
        time: float | None = None,
        seed: int = 0,
        run: str | Path | None = None,
        held_out: Any = None,
        watchers: Sequence[Watcher] = (),
    ) -> Self:
        """Train from the start.

        Args:
            data: A data set's name, a path, or arrays (N, D) or (N, C, H, W).
            steps: Rounds; None: what suits the data.
            time: Instead of steps: seconds of training time.
            seed: Every random number follows from it.
            run: Folder of the run, which must not exist; None: a new one below runs/.
            held_out: Data for scoring that training never sees.
            watchers: Called with each record.
        """
        order = Order(data, self._name, steps, time, seed, None if run is None else Path(run), held_out=held_out)
        _train(self, order, self._given, watchers)
        return self

    def start(self, data: Any = "digits", seed: int = 0, *, steps: int | None = None, held_out: Any = None) -> Self:
        """Prepare without training: afterwards `round` and `turn` make single steps. Nothing is written.

        Args:
            data, seed, held_out: As in `fit`.
            steps: The horizon of schedules and phases; None: what suits the data.
        """
        self._open(data, held_out)
        self.run_settings = self.run_settings.model_copy(update={"seed": seed})
        self._begin(steps if steps is not None else self._default_steps())
        return self

    def round(self) -> dict[str, float]:
        """Every player's turn once; returns the recorded terms."""
        return _numbers(self._running().round())

    def turn(self, player: str) -> dict[str, float]:
        """One update of one player; it does not count as a step."""
        return _numbers(self._running().turn(player))

    def _running(self) -> Engine:
        self._still = None
        if self._engine is None:
            raise error("E-USE-05", what="no training has begun")
        return self._engine

    def _open(self, data: Any, held_out: Any) -> None:
        opened = data if isinstance(data, DataSet) else datasets.open(data, held_out=held_out or None)
        if opened.spec.kind not in self._class.accepts:
            reason = f"{self._name} takes {' or '.join(self._class.accepts)}, and {opened.name} is {opened.spec.kind}"
            raise error("E-SET-02", reason=reason, system=self._name)
        self._data = opened

    def _settings(self) -> GameSettings:
        assert self._data is not None
        suited = self._class.suited(self._data.spec)
        return build(self._class.Settings, suited, self._given, system=self._name)

    def _engine_for(self, steps: int) -> Engine:
        """A fresh engine. Initial weights and `prepare` have keys of their own; the default generator is left alone."""
        assert self._data is not None
        seed, settings = self.run_settings.seed, self._settings()
        before = torch.default_generator.get_state()
        try:
            torch.default_generator.manual_seed(key(seed, "init"))
            system = self._class(settings, self._data.spec)
            if self._data.spec.kind == "images":
                # Convolutions are up to twice as fast in this layout on a CPU. Shapes and numbers stay what they are.
                system = system.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
            torch.default_generator.manual_seed(key(seed, "prepare"))
            system.prepare(self._data)
        finally:
            torch.default_generator.set_state(before)
        return Engine(system.train(), self._data, seed=seed, steps=steps)

    def _default_steps(self) -> int:
        assert self._data is not None
        return plan.default_steps(lambda: self._engine_for(1_000), self._data.spec)

    def _begin(self, steps: int) -> Engine:
        self.run_settings = self.run_settings.model_copy(update={"steps": steps})
        self._engine, self._model, self._still = self._engine_for(steps), None, None
        return self._engine

    # use

    @property
    def system(self) -> System:
        """The networks and losses."""
        return self._trained().system

    @property
    def spec(self) -> DataSpec:
        """What it was trained on."""
        return self.system.data

    def _trained(self) -> model.Model:
        if self._engine is not None:
            return model.Model(self._engine.system, self._engine.average, self.run_settings, self._engine.step)
        if self._model is None:
            raise error("E-USE-05", what="nothing is trained or loaded")
        return self._model

    def sample(self, count: int = 64, seed: int = 0, label: int | None = None) -> Tensor:
        """Samples in the data's units: points (N, D), pictures (N, C, H, W) in [-1, 1].

        The same seed gives the same samples, and the first ten of 64 are those of `sample(10)`.

        Args:
            label: One class only, for systems that take labels.
        """
        if label is not None:
            raise error("E-SET-02", reason=f"{self._name} takes no label", system=self._name)
        trained = self._trained()
        if self._still is None or self._still[0] != trained.step:
            self._still = (trained.step, for_sampling(trained.system, trained.average, trained.run.seed))
        drawn = sample(self._still[1], count, seed)
        return trained.system.data.decode(drawn["x"]) if drawn else torch.empty(0, *self.spec.shape)

    def score(self, data: Any = None, samples: int | None = None) -> list[Score]:
        """Scores of samples against data, each with its interval and the floor of real data.

        Args:
            data: As in `fit`; None: what it was trained on.
            samples: How many are drawn; None: what suits the data.
        """
        given = self._data if data is None else data
        if given is None:
            given = self.run_settings.data
        opened = given if isinstance(given, DataSet) else datasets.open(given)
        count = samples or scoring.usual_samples(opened.spec, quick=False)
        same = opened.spec.fingerprint == self.spec.fingerprint
        return scoring.evaluate(lambda n: self.sample(n, seed=0), opened, count, trained_on=same)

    def save(self, folder: str | Path) -> Path:
        """Write config.json, model.safetensors and README.md into a new folder."""
        model.save(self._trained(), Path(folder))
        return Path(folder)

    @classmethod
    def load(cls, path: str | Path) -> "GAN":
        """A GAN from a model folder or a run folder. Nothing in it is run as code."""
        loaded = model.load(Path(path))
        gan = cls(loaded.run.system)
        gan.run_settings, gan._model = loaded.run, loaded
        return gan


def _numbers(terms: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


# orders


def train(order: Order, watchers: Sequence[Watcher] = ()) -> Result:
    """A training from its order: options are judged first, then the data is opened, then a folder is made."""
    _refuse_unbuilt(order)
    filed = read(order.config) if order.config else {}
    ours, theirs = model.split(filed)
    set_ours, set_theirs = model.split(nested(order.overrides))
    run = build(RunSettings, ours, set_ours, _top(order), where=str(order.config or ""))
    gan = GAN(run.system)
    gan._given = _layered(gan, theirs, set_theirs, {} if order.batch is None else {"batch": order.batch}, order)
    gan.run_settings = run
    asked_steps = order.steps is not None or order.time is not None or "steps" in ours or "steps" in set_ours
    whole = dataclasses.replace(
        order,
        data=run.data if order.data is None or isinstance(order.data, str) else order.data,
        held_out=order.held_out if order.held_out is not None else run.held_out,
        seed=run.seed,
        steps=run.steps if asked_steps and order.time is None else None,
    )
    return _train(gan, whole, gan._given, watchers)


def _top(order: Order) -> dict[str, Any]:
    """An order's own options, as settings."""
    given = {"system": order.system, "steps": order.steps, "seed": order.seed}
    given |= {name: value for name in ("data", "held_out") if isinstance(value := getattr(order, name), str)}
    return {name: value for name, value in given.items() if value is not None}


def _layered(gan: GAN, *layers: Any) -> dict[str, Any]:
    """The system's settings: file, then --set, then own options; wrong ones are refused before data is opened."""
    from ganworks.settings import fit, merge

    *values, order = layers
    given: dict[str, Any] = {}
    for layer in values:
        given = merge(given, fit(gan._class.Settings, layer))
    build(gan._class.Settings, given, system=gan._name, where=str(order.config or ""))
    return given


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


def _train(gan: GAN, order: Order, given: Mapping[str, Any], watchers: Sequence[Watcher]) -> Result:
    gan._given = dict(given)
    gan._open(order.data, order.held_out)
    assert gan._data is not None
    spec = gan._data.spec
    named = order.data if isinstance(order.data, str) else str(order.data) if isinstance(order.data, Path) else spec.name
    gan.run_settings = gan.run_settings.model_copy(update={"data": named, "seed": order.seed or 0})
    threads = plan.threads(spec)
    with _computing(threads):
        steps = order.steps if order.steps is not None else _how_long(gan, order.time)
        engine = gan._begin(steps)
        path = order.run or next_free(Path("runs"), spec.name.replace(":", "-") or "data")
        settings = dump(gan.run_settings, engine.system.settings)
        with RunFolder.create(path, settings, surroundings(threads)) as run:
            (run.path / "data.json").write_text(spec.model_dump_json(indent=1) + "\n")
            plan_line = f"{gan._name} on {spec.name}: {spec.count} {spec.kind}, {steps} steps of {engine.system.settings.batch}"
            return _play(gan, run, engine, steps, watchers, [plan_line, *gan._data.note])


def _how_long(gan: GAN, seconds: float | None) -> int:
    return gan._default_steps() if seconds is None else plan.steps_in(seconds, lambda: gan._engine_for(1_000))


def resume(
    path: Path, *, steps: int | None = None, time: float | None = None, watchers: Sequence[Watcher] = (), data: Any = None
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
        gan = GAN(build(RunSettings, ours, where=str(path / "config.toml")).system)
        gan.run_settings, gan._given = build(RunSettings, ours), theirs
        gan._open(gan.run_settings.data if data is None else data, gan.run_settings.held_out)
        assert gan._data is not None
        before = model.spec_of(run)
        if before.fingerprint != gan._data.spec.fingerprint:
            raise error("E-DATA-11", path=gan.run_settings.data, details=[f"it began with {before.count} rows"])
        threads = int(run.environment.get("threads") or plan.threads(before))
        with _computing(threads):
            return _resume(gan, run, steps, time, watchers, threads)


def _resume(
    gan: GAN, run: RunFolder, steps: int | None, time: float | None, watchers: Sequence[Watcher], threads: int
) -> Result:
    checkpoint.clear_partial(run.checkpoints)
    found = checkpoint.latest(run.checkpoints)
    engine = gan._begin(gan.run_settings.steps)
    notes = differences(run, threads)
    until = engine.steps
    if found is not None:
        try:
            engine.load(found.tensors)
        except (RuntimeError, KeyError, ValueError) as caught:
            reason = "its checkpoint has other tensors than its settings ask for"
            raise error("E-MODEL-02", path=run.path, reason=reason, details=[str(caught).splitlines()[0]]) from None
        until = max(until, found.until)
        notes += found.notes
    if steps is not None:
        until = steps
    if time is not None:
        until = engine.step + plan.steps_in(time, lambda: gan._engine_for(engine.steps))
    if until <= engine.step:
        raise error("E-RUN-03", path=run.path, step=engine.step, more=2 * max(engine.step, 1))
    run.ask("run")
    seconds = run.cut_records(engine.step)
    message = f"{gan._name} on {gan.run_settings.data}: from step {engine.step} to {until}"
    return _play(gan, run, engine, until, watchers, [message, *notes], seconds)


class _computing:
    """The thread count of a run, and denormal numbers as zero: they slow small networks down many times."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        torch.set_flush_denormal(True)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._before)
        torch.set_flush_denormal(False)


def _play(
    gan: GAN,
    run: RunFolder,
    engine: Engine,
    until: int,
    watchers: Sequence[Watcher],
    notes: Sequence[str],
    seconds: float = 0.0,
) -> Result:
    for note in notes:
        run.log(note)
        for watcher in watchers:
            watcher({"message": note})
    gan.run = run.path
    loop = Loop(engine, run, _pace(gan), lambda path: _draw(gan, path), watchers, seconds)
    stopped = loop.play(until)
    scores: list[Score] = []
    if stopped == "steps" and gan._data is not None:
        count = scoring.usual_samples(gan.spec, quick=loop.seconds < _QUICK)
        scores = scoring.evaluate(lambda n: gan.sample(n, seed=0), gan._data, count, trained_on=True)
    run.log(f"stopped at step {engine.step}: {stopped}")
    return Result(
        run=run.path,
        step=engine.step,
        stopped=stopped,
        scores=scores,
        grid=loop.grid,
        signal=loop.signals.caught,
        notes=list(notes),
        next=_next(gan, run.path, engine.step, stopped),
    )


def _pace(gan: GAN) -> Pace:
    return plan.pace(gan.run_settings, gan.run_settings.steps)


def _draw(gan: GAN, path: Path) -> None:
    """The sample grid: always the same latents, so that grids can be compared."""
    assert gan._data is not None
    if gan.spec.kind == "points":
        real = gan._data.rows(torch.arange(min(_REAL_POINTS, len(gan._data))))["x"]
        limits = pictures.limits_of(real)
        pictures.write_png(path, pictures.points_picture(gan.sample(_REAL_POINTS), real, limits=limits))
    else:
        pictures.write_png(path, pictures.grid(gan.sample(_GRID), columns=8))


def _next(gan: GAN, run: Path, step: int, stopped: Stopped) -> list[str]:
    """Three commands to paste."""
    out = f"samples-{run.name}"
    if stopped != "steps":
        return [f"ganworks resume {run}", f"ganworks sample {run} -n 64 --out {out}", "ganworks systems"]
    other = next(name for name in systems.names() if name != gan._name and gan.spec.kind in systems.get(name).accepts)
    return [
        f"ganworks sample {run} -n 64 --out {out}",
        f"ganworks resume {run} --steps {2 * step}",
        f"ganworks train {gan.run_settings.data} --system {other}",
    ]
