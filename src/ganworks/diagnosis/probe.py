"""The probe of the diagnosis: all that a verdict is made from, measured at a step without a trace in the game."""

from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Int64
from torch import Tensor

from ganworks.adversarial import Adversarial
from ganworks.data import excerpt
from ganworks.data.dataset import DataSet
from ganworks.data.spec import Batch
from ganworks.diagnosis import measures
from ganworks.diagnosis.diversity import POINTS, Beside
from ganworks.diagnosis.judgement import copied, first_samples, judged
from ganworks.diagnosis.motion import Motion
from ganworks.game import System
from ganworks.metrics.spaces import FeatureSpace
from ganworks.random import Streams, generator
from ganworks.training.engine import Engine

FIRST_UPDATES = 50
"""Of D, after which it must tell the first samples from real ones."""

Draw = Callable[[int, int, Int64[Tensor, " n"] | None], Tensor]
"""(count, seed, labels) → samples of the averaged weights, in the data's units."""


class Examination:
    """Called with a step, it gives the numbers named `probe.…`; docs/diagnosis.md says what each is.

    Args:
        engine: Whose game it is.
        data: What it is played on.
        space: Where samples and rows are compared.
        draw: Samples of the averaged weights.
        make: A fresh engine of the same game.
        every: Steps between two calls.
    """

    def __init__(
        self, engine: Engine, data: DataSet, space: FeatureSpace, draw: Draw, make: Callable[[], Engine], every: int
    ) -> None:
        self.engine, self.data, self.space, self.draw, self.every = engine, data, space, draw, every
        self._make = make
        self._motion = Motion(make, every)

    @cached_property
    def _beside(self) -> Beside:
        return Beside(self.data, self.space, self.engine.seed)

    @cached_property
    def _seen(self) -> tuple[Batch, Batch | None]:
        """Rows that D trains on, and as many held-out ones, as D is given them."""
        pack = self.engine.system.settings.view.pack
        held_out = self.data.held_out
        count = self._fitting if self.data.spec.pictures else POINTS
        count = min(count, len(self.data), len(held_out) if held_out else count) // pack * pack
        if self.data.density is not None:
            return self._given(self.data.rows(torch.arange(count))), self._given(self.data.fresh(count, 9))
        trained = self._given(self._shuffled(self.data, count))
        return trained, None if held_out is None else self._given(self._shuffled(held_out, count))

    def _shuffled(self, data: DataSet, count: int) -> Batch:
        """Rows from all over a data set. It may be sorted by class, and a pack joins neighbours: so in no order."""
        ((_, index),) = excerpt.spread(data, count).chosen
        return data.rows(index[torch.randperm(count, generator=generator(self.engine.seed, "probe", "rows"))])

    @property
    def _fitting(self) -> int:
        return min(excerpt.part_of(self.data.spec.shape), max(4 * self.engine.system.settings.batch, 64))

    def _given(self, rows: Batch) -> Batch:
        spec = self.engine.system.data
        given = Batch({**rows, "x": spec.encode(rows["x"])}) if spec.center else rows
        return given.to(self.engine.device)

    def __call__(self, step: int) -> dict[str, float]:
        """What is recorded of a step."""
        beside, found = self._beside, dict[str, float]()
        system = self._copy()
        if beside.count:
            found |= beside.look(self.draw(beside.count, step, None), self._online(system, beside.count, step))
        if beside.count and "label" in self.engine.system.conditions:
            found |= beside.condition(lambda label: self.draw(len(label), step, label))
        if isinstance(system, Adversarial) and self._seen[0].count:
            found |= judged(self.engine, system, *self._seen)
        return found | self._motion(self.engine, step // self.every)

    @cached_property
    def _double(self) -> System:
        return copied(self.engine)

    def _copy(self) -> System:
        """The game's system as it plays, to be used up: the next call has its state anew."""
        self._double.load_state_dict(self.engine.system.state_dict())
        return self._double

    def _online(self, system: System, count: int, step: int) -> Tensor:
        """Samples of the weights that play, as the game makes them, by a copy."""
        random = Streams((self.engine.seed, "probe", "online"), count, device=self.engine.device).at(step)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(random.key())
            given = {name: values.to(self.engine.device) for name, values in self._wanted(count).items()}
            return system.data.decode(system.generate(count, random, **given)["x"].cpu())

    def _wanted(self, count: int) -> dict[str, Tensor]:
        """What a translator makes samples of: the rows that `draw` takes too."""
        if "source" not in self.engine.system.conditions:
            return {}
        rows = self.data.held_out or self.data
        return self.engine.system.given(rows.rows(torch.arange(count) % len(rows)))

    def preflight(self, step: int) -> dict[str, float]:
        """`probe.preflight`: how well D tells real rows from the samples that G makes before it has moved."""
        system, beginning = self._copy(), self._make().system
        if not (isinstance(system, Adversarial) and isinstance(beginning, Adversarial) and self._seen[0].count):
            return {}
        rows = self._seen[1] or self._seen[0]
        return measures.known({"probe.preflight": first_samples(self.engine, system, beginning, rows)})
