"""A system with its settings, its data and its engine, as far as they are there: what a training is made from."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from numpy.typing import NDArray

from ganworks import data as datasets
from ganworks import machine, model, plan, scoring, systems
from ganworks.data import builtin, pictures
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.diagnosis.probe import FIRST_UPDATES, Examination
from ganworks.errors import DataError, GanworksError, TrainingError, UsageError, error
from ganworks.game import Rows, System
from ganworks.metrics import features
from ganworks.objective import loss_of
from ganworks.optimum import Distance
from ganworks.plan import batch
from ganworks.plan.trial import Blank, price
from ganworks.random import key
from ganworks.session import patience, translations
from ganworks.session.order import is_named
from ganworks.session.origin import Origin
from ganworks.session.scene import POINTS, Scene
from ganworks.settings import GameSettings, PlayerSettings, RunSettings, build
from ganworks.training.building import laid_out
from ganworks.training.engine import Engine
from ganworks.training.loop import Probe, Watcher
from ganworks.use.translate import Translator

_GRID = 64
ROWS, COLUMNS = 8, 16
"""The grid of a system that takes labels: a column for each class, as far as they fit."""
_MEASURED = 1_000
"""Horizon of an engine that is built to be measured and thrown away."""

_FEW = 4
"""Samples of an update that shows how much larger pictures cost."""
_STRETCHED = 1.25
"""Pictures smaller than so much of a size have nothing to fill it with."""

Again = Callable[..., str]
"""The command that does the same with something changed, such as `batch=16`."""


class Session:
    """A system with its settings, its data and its engine, as far as they are there.

    Args:
        run: Seed, steps and what else belongs to the run. Without a system one is chosen once the data are open.
        given: The system's settings, nested, as far as somebody gave them.
        where: The settings file, for messages.
        measure_batch: Whether the batch is the largest that pays.
        origin: What the weights start from.
    Raises: UsageError for unknown names and values that cannot be meant, before any data is opened.
    """

    def __init__(
        self,
        run: RunSettings,
        given: Mapping[str, Any],
        where: str = "",
        measure_batch: bool = False,
        origin: Origin | None = None,
    ) -> None:
        self.run, self.given, self.origin = run, given, origin
        self.made: type[System] = systems.get(run.system or plan.DEFAULT)
        loss_of(self._judged(where).objective)
        self.choice: plan.Choice | None = None
        self.data: DataSet | None = None
        self.engine: Engine | None = None
        self.notes: list[str] = []
        self._measure_batch, self._size_chosen = measure_batch, False
        self._chosen: dict[str, Any] = {}
        self._model: model.Model | None = None
        self._model_of = (0, 0)
        self._scene: Scene | None = None

    def _judged(self, where: str) -> GameSettings:
        """The settings as they are before the data is known, which may want others than the paper's.

        So values that do not go together are refused here only where they do so on every kind of data.
        """
        name, made = self.made.name, self.made
        shapes = {"images": (1, 32, 32), "pairs": (1, 32, 32), "domains": (1, 32, 32)}
        for kind in made.accepts:
            with contextlib.suppress(UsageError):
                suited = made.suited(DataSpec(kind=kind, shape=shapes.get(kind, (2,)), count=1))
                return build(made.Settings, suited, self.given, system=name, where=where)
        return build(made.Settings, self.given, system=name, where=where)

    def open(self, data: Any, held_out: Any = None, tell: Watcher | None = None) -> DataSet:
        """Open the data, if the system can play with it; without a system the one that suits them is chosen.

        Args:
            tell: Called with the progress of what takes long.
        """
        opened = data if isinstance(data, DataSet) else self._read(data, held_out, tell)
        spec = opened.spec
        if not self.run.system:
            own = self.run.held_out or held_out
            parts = [opened] if own or opened.held_out is None else [opened, opened.held_out]
            name = spec.name if isinstance(data, DataSet) else str(data) if is_named(data) else ""
            known = builtin.is_density(name) or builtin.is_digits(name)
            self.choice = plan.choose(spec, _pictures(parts), built_in=known)
            self.made = systems.get(self.choice.system)
        if spec.kind not in self.made.accepts:
            reason = f"{self.made.name} takes {' or '.join(self.made.accepts)}, and {opened.name} is {spec.kind}"
            raise error("E-SET-02", reason=reason, system=self.made.name)
        square = spec.pictures and spec.shape[1] == spec.shape[2]
        self._size_chosen = square and not self.run.size
        chosen = {"system": self.made.name} | ({"size": spec.shape[1]} if square else {})
        self.run = self.run.model_copy(update=chosen)
        if self.run.patience:
            patience.judge(opened)
        self.data, self._scene = opened, None
        return opened

    def _read(self, data: Any, held_out: Any, tell: Watcher | None) -> DataSet:
        run, size = self.run, self.run.size or (self.origin.size if self.origin else 0)
        kinds = self.made.accepts if run.system else ()
        read = partial(
            datasets.open,
            data,
            held_out=held_out or None,
            mirror=run.mirror,
            on_bad=run.on_bad,
            tell=tell,
            kind="pairs" if kinds == ("pairs",) else "domains" if kinds == ("domains",) else "",
            derive=run.derive,
        )
        try:
            return read(size=size)
        except DataError as caught:
            if run.size or not size or caught.code != "E-DATA-13":
                raise
            return read()  # these have a size of their own, which nobody asked for

    def new_engine(self, steps: int = _MEASURED, data: Rows | None = None, **chosen: Any) -> Engine:
        """A fresh engine. Initial weights and `prepare` have keys of their own; the default generator is left alone.

        Args:
            steps: The horizon of its schedules.
            data: Other rows than the run's.
            chosen: `batch` or `precision`, instead of those of the settings or those that have been chosen.
        """
        rows = data or self.data
        assert rows is not None
        settings = self._settings(chosen)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key(self.run.seed, "init"))
            system = laid_out(self.made(settings, rows.spec))
            torch.default_generator.manual_seed(key(self.run.seed, "prepare"))
            system.prepare(rows)
        device = machine.device(self.run.device)
        return Engine(system.train(), rows, seed=self.run.seed, steps=steps, device=device)

    def begin(self, steps: int | None = None, time: float | None = None) -> Engine:
        """The engine of this run, at step 0. Neither steps nor time given: as many steps as suit the data."""
        assert self.data is not None
        self._chosen, self.notes = {}, []
        if not self._plays():
            steps = 0
        else:
            self._choose_batch()
            self._choose_precision()
            self._price_size()
        if steps is None:
            steps = self._default_steps() if time is None else self.steps_in(time)
        self.run = self.run.model_copy(update={"steps": steps})
        self.engine, self._model = self.new_engine(steps), None
        if self.origin is not None:
            self.notes += self.origin.start(self.engine)
        return self.engine

    def _plays(self) -> bool:
        """Whether there are players. Where there are none all is done in `prepare`, and a run has 0 steps."""
        assert self.data is not None
        with torch.device("meta"):  # shapes are enough, and nothing is drawn
            return bool(self.made(self._settings(), self.data.spec).roster)

    def _choose_batch(self) -> None:
        """Measure where that is asked for; else the system's own, or a smaller one where memory would not do."""
        assert self.data is not None
        settings = self._settings()

        def make(size: int) -> Engine:
            return self.new_engine(batch=size, precision="float32")

        if self._measure_batch:
            found, note = batch.paying(make, len(self.data), settings.view.pack)
        elif "batch" in self.given or not self.data.spec.pictures:
            return
        else:
            found, note = settings.batch, ""
            with contextlib.suppress(TrainingError):  # a game that fails at once is to fail in its run
                found, note = batch.fitting(make, settings.batch, settings.view.pack)
        self._chosen["batch"] = found
        self.notes += [note] if note else []

    def _choose_precision(self) -> None:
        """Measure where the settings leave it open. What is chosen stands in the run's settings: a resume takes it."""
        if self._settings().precision == "auto":
            self._chosen["precision"], note = plan.faster(lambda precision: self.new_engine(precision=precision))
            self.notes.append(note)

    def _price_size(self) -> None:
        """What pictures of twice the size would cost, where there is more to see in them and nobody chose."""
        assert self.data is not None
        spec, larger = self.data.spec, 2 * self.run.size
        if not self._size_chosen or larger > _STRETCHED * self.data.shorter:
            return
        shape = (spec.shape[0], larger, larger)
        sizes = (Blank(spec.model_copy(update={"shape": each})) for each in (spec.shape, shape))
        few = self._settings().view.pack * _FEW
        with contextlib.suppress(UsageError, TrainingError):  # not every system plays with every size
            now, then = (price(self.new_engine(data=each, batch=few, precision="float32")) for each in sizes)
            self.notes.append(f"pictures of {larger} px would take {then / now:.1f} times as long: --size {larger}")

    def _settings(self, chosen: Mapping[str, Any] | None = None) -> GameSettings:
        """What was given, over what suits the data, over the system's defaults."""
        assert self.data is not None
        layers = self.made.suited(self.data.spec), self.given, self._chosen, chosen or {}
        return build(self.made.Settings, *layers, system=self.made.name)

    def _default_steps(self) -> int:
        """As many in every precision: counted in float32."""
        assert self.data is not None
        return plan.default_steps(lambda: self.new_engine(precision="float32"), self.data.spec)

    def steps_in(self, seconds: float) -> int:
        """How many steps of this game fit into so much training time."""
        return plan.steps_in(seconds, self.new_engine)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting of the run and of its system, nested, as JSON has them."""
        assert self.engine is not None
        models = self.run, self.engine.system.settings
        return {name: value for each in models for name, value in each.model_dump(mode="json", by_alias=True).items()}

    @property
    def about(self) -> str:
        """What the networks know of the data, as a run and a model keep it."""
        assert self.data is not None
        return self.data.spec.model_dump_json(indent=1) + "\n"

    @property
    def model(self) -> model.Model:
        """What has been trained so far."""
        assert self.engine is not None
        now = self.engine.step, self.engine.rollbacks  # a step that is played again has other weights
        if self._model is None or self._model_of != now:
            self._model_of = now
            rows = None if self.data is None else self.data.held_out or self.data
            self._model = model.Model(self.engine.system, self.engine.average, self.run, self.engine.step, rows)
        return self._model

    def moved(self) -> None:
        """The weights have changed without a step."""
        self._model = None

    def headline(self, again: Again) -> str:
        """What is trained on what, for how long; and why, with the runner-up's command, where the system was chosen."""
        assert self.data is not None
        assert self.engine is not None
        spec, engine = self.data.spec, self.engine
        form = f" of {' x '.join(map(str, spec.shape[1:]))}" if spec.pictures else ""
        form += f" in {len(spec.classes)} domains" if spec.kind == "domains" else ""
        line = f"{self.made.name} on {spec.name}: {spec.count} {spec.noun}{form}, "
        of = f"{engine.steps} steps of {engine.system.settings.batch}"
        line += of if engine.players else "fitted before the first step: 0 steps"
        if (choice := self.choice) is None:
            return line
        line = f"{line}, because {choice.why}"
        return f"{line}; {choice.but}: {again(system=choice.runner_up)}" if choice.runner_up else line

    def probes(self) -> list[Probe]:
        """What is measured now and then during a training on these data."""
        assert self.data is not None
        assert self.engine is not None
        density = self.data.density
        known = None
        if density is not None and density.dimensions <= 2:
            known = Distance(self.engine, density, lambda: self.model.still)
        watch = patience.Watch(lambda: self.model, self.data, known) if self.run.patience else None
        return [probe for probe in (known, watch, self.examination) if probe is not None]

    @cached_property
    def examination(self) -> Examination:
        """The probe of the diagnosis."""
        assert self.data is not None
        assert self.engine is not None
        space = scoring.space_for(self.data.spec)
        quick = features.get("pixels" if space == "effnet-lite0" else space)  # a network of 4 million weights is not
        pace = plan.pace(self.run, self.run.steps)
        return Examination(
            self.engine,
            self.data,
            quick,
            lambda count, seed, label: self.model.at_once(count, seed, label),
            self._again,
            pace.sample,
        )

    def _again(self) -> Engine:
        """An engine like this run's, as it was at step 0."""
        assert self.engine is not None
        engine = self.new_engine(self.engine.steps)
        if self.origin is not None:
            self.origin.start(engine)
        return engine

    @property
    def early(self) -> tuple[int, Probe]:
        """The step at which D has made its first 50 updates, and what is asked then."""
        assert self.engine is not None
        step, updates = 0, 0
        while updates < FIRST_UPDATES and step < FIRST_UPDATES:
            updates += self.engine.planned(step, "discriminator")
            step += 1
        return step, self.examination.preflight

    def picture(self) -> NDArray[Any]:
        """A sample grid. The latents are always the same, so that grids can be compared.

        Where the system takes labels, pictures have a column for each class and points a colour; where it has found
        a code, pictures have a column for each value. Beside points of one
        or two dimensions stands what D says of them.
        """
        assert self.data is not None
        if not self.data.spec.pictures:
            assert self.engine is not None
            self._scene = self._scene or Scene(self.data)
            return self._scene.picture(self.engine.system, self.model.draw(POINTS))
        assert self.engine is not None
        if isinstance(self.model.still, Translator):
            return translations.picture(self.model.still, self.data)
        if "label" in self.engine.system.conditions:
            classes = torch.tensor(self.data.spec.class_weights).nonzero()[:COLUMNS, 0]
            label = classes.repeat(ROWS)
            return pictures.grid(self.model.sample(len(label), label=label), columns=len(classes))
        if isinstance(system := self.engine.system, model.Coded) and "code" in system.conditions:
            code = torch.arange(min(system.codes, COLUMNS))
            return pictures.grid(self.model.sample(ROWS * len(code), code=code.repeat(ROWS)), columns=len(code))
        return pictures.grid(self.model.sample(_GRID), columns=8)

    @contextlib.contextmanager
    def enough_memory(self, doing: Callable[[], str], again: Again, details: Sequence[str] = ()) -> Iterator[None]:
        """Where memory runs out inside, say at what, and which smaller training to try."""
        try:
            yield
        except GanworksError:
            raise
        except Exception as caught:
            if not machine.ran_out(caught):
                raise
            raise self._too_large(doing(), again, details) from None

    def _too_large(self, doing: str, again: Again, details: Sequence[str]) -> GanworksError:
        if self.data is None:
            return error("E-ENV-03", reason=doing, instead="free some memory, or give fewer data", details=details)
        settings, spec = self._settings(), self.data.spec
        size, pack = settings.batch, settings.view.pack
        reason = f"{doing} of {self.made.name} with batch {size} on {spec.kind} of {' x '.join(map(str, spec.shape))}"
        half = (1 << (size - 1).bit_length() - 1) // pack * pack if size > 1 else 0
        groups = {name: getattr(settings, name) for name in type(settings).model_fields}
        players = {name: group for name, group in groups.items() if isinstance(group, PlayerSettings)}
        narrow = {f"{name}.width": max(group.width // 2, 1) for name, group in players.items()}
        smaller = again(batch=half) if half else again(overrides=narrow)
        return error("E-ENV-03", reason=reason, instead=smaller, details=details)


def _pictures(parts: Sequence[DataSet]) -> list[int]:
    """How many there are of each class."""
    classes = len(parts[0].spec.classes)
    labels = [part.columns["label"] for part in parts] if classes and parts[0].spec.kind == "images" else []
    counts = [torch.bincount(label, minlength=classes) for label in labels if isinstance(label, torch.Tensor)]
    return torch.stack(counts).sum(0).tolist() if counts else []
