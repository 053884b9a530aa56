"""A round: what a loss may know. Counters, progress, randomness, and real data on request."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganworks.data.spec import Batch
from ganworks.random import Streams, share
from ganworks.settings import Schedule, at

Terms = dict[str, Tensor]
"""The named parts of a player's loss; their sum is minimised."""

Made = TypeVar("Made")


class Round:
    """What a loss may know: counters, progress, randomness, and real data on request.

    The engine moves it along; losses read it.

    Attributes:
        step: Rounds done before this one.
        update: Updates the player on turn has made before this one.
        phase: Name of the phase. progress, phase_progress: parts done of the run and of the phase, in [0, 1).
        batch: Rows of a batch. count: Those of this process's part of it.
        notes: Values for `after`, detached; empty at the start of an update.
        shown: Values worth a record that are no terms, such as D's logits, detached; their means are recorded.
    """

    def __init__(
        self,
        seed: int,
        steps: int,
        batch: int,
        read: Callable[[], Batch],
        rows: slice | None = None,
        device: str = "cpu",
    ) -> None:
        self.step = self.update = 0
        self.phase = ""
        self.progress = self.phase_progress = 0.0
        self.steps = steps
        self.count = batch if rows is None else rows.stop - rows.start
        self.notes: dict[str, Any] = {}
        self.shown: dict[str, Tensor] = {}
        self.kept: list[Tensor] = []
        self.looking_ahead = False
        self.random = Streams((seed,), batch, device=device)
        self.batch = batch
        self._seed, self._rows, self._read, self._device = seed, rows, read, device
        self._streams: dict[tuple[str, ...], Streams] = {}
        self._real: Batch | None = None
        self._once: dict[str, tuple[Any, frozenset[str]]] = {}
        self._replayed: tuple[str, ...] = ()

    @property
    def real(self) -> Batch:
        """A batch of real data, read on first use: a fresh one for each update, one for all where simultaneous."""
        if self._real is None:
            self._real = self._read()
        return self._real

    def at(self, schedule: Schedule) -> float:
        """A schedule's value in this round."""
        return schedule if isinstance(schedule, float) else at(schedule, self.step, self.steps)

    def hold(self, tensor: Tensor) -> Tensor:
        """What another player made, held constant: detached in a turn, as it is in a look-ahead."""
        return tensor if self.looking_ahead else tensor.detach()

    def keep(self, tensor: Tensor) -> None:
        """Let this update's backward leave a gradient on a leaf tensor too."""
        self.kept.append(tensor)

    @contextlib.contextmanager
    def apart(self, game: str) -> Iterator[None]:
        """While one of several games of a round plays, the round's notes are its own: else they would share draws."""
        around, self.notes = self.notes, self.notes.setdefault(game, {})
        try:
            yield
        finally:
            self.notes = around

    def once(self, name: str, make: Callable[[], Made], uses: tuple[str, ...] = ()) -> Made:
        """A value made once per round and shared by the turns, with random streams of its own.

        Args:
            name: What it is called, in this round.
            make: Makes it. Draws from `round.random` depend on the step and the name, not on who asks first.
            uses: Players whose networks it depends on: an update of one of them drops it.
        """
        if name not in self._once:
            around, default = self.random, torch.default_generator.get_state()
            self.random = self._streams_of(self.phase, "once", name, *self._replayed).at(self.step)
            torch.default_generator.manual_seed(self.random.key())
            made = make()
            self.random = around
            torch.default_generator.set_state(default)
            self._once[name] = (made, frozenset(uses))
        value: Made = self._once[name][0]
        return value

    # What follows is for the engine.

    def begin(self, step: int, phase: str, phase_progress: float) -> None:
        """A new round: nothing is left of the last one."""
        self.step, self.phase, self.phase_progress = step, phase, phase_progress
        self.progress = min(step / self.steps, 1.0) if self.steps else 0.0
        self._once.clear()
        self._real = None
        self.notes.clear()
        self.shown.clear()

    def begin_update(self, player: str, update: int, *, shared: bool = False) -> None:
        """A new update of a player: its own streams, and fresh data unless the round shares one batch."""
        self.update = update
        self.random = self._streams_of(self.phase, player).at(update)
        torch.default_generator.manual_seed(self.random.key())
        share.set(None if self._rows is None else (self.batch, self._rows))
        self.kept.clear()
        if not shared:
            self._real = None
            self.notes.clear()

    def end_update(self, player: str) -> None:
        """Drop what depended on the networks that have just moved."""
        for name in [name for name, (_, uses) in self._once.items() if player in uses]:
            del self._once[name]

    def replay(self, player: str, update: int, k: int) -> "Round":
        """A child round for one step of a look-ahead: the same data, streams of its own, nothing held constant."""
        child = Round(self._seed, self.steps, self.batch, self._read, self._rows, self._device)
        child.step, child.phase, child.progress = self.step, self.phase, self.progress
        child.phase_progress, child.update, child.looking_ahead = self.phase_progress, update, True
        child._real, child._replayed = self.real, ("replay", str(k))
        child.random = child._streams_of(self.phase, player, *child._replayed).at(update)
        torch.default_generator.manual_seed(child.random.key())
        return child

    def _streams_of(self, *names: str) -> Streams:
        if names not in self._streams:
            self._streams[names] = Streams((self._seed, *names), self.batch, self._rows, self._device)
        return self._streams[names]
