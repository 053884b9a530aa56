"""The engine plays a system's game: rounds, turns, updates. It knows no system by name and touches no disk."""

import contextlib
import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganworks.data.gallery import AHEAD
from ganworks.data.spec import Batch
from ganworks.errors import error
from ganworks.game import Further, Phase, Player, Round, Rows, System, Terms, Turn, owned
from ganworks.random import Streams, key
from ganworks.settings import at
from ganworks.training.average import Average
from ganworks.training.lookahead import loss_after
from ganworks.training.optimizers import Mover


@dataclass(frozen=True)
class _Stretch:
    """A phase with its place in the run: rounds [first, end)."""

    phase: Phase
    first: int
    end: int


class Engine:
    """Everything that one more round depends on, and the round itself.

    Args:
        system: Prepared, or to be loaded by `load`.
        data: Rows to read.
        seed: Every random number follows from it, and from the rollbacks where there were any.
        steps: The horizon: schedules and phases are laid out over so many rounds.
        rows: This process's part of a batch; None for all of it.
        device: Where it is played. The system moves there; batches and random numbers follow it.
    """

    def __init__(
        self, system: System, data: Rows, *, seed: int, steps: int, rows: slice | None = None, device: str = "cpu"
    ) -> None:
        self.system, self.device = system.to(device), device
        self.seed, self.steps = seed, steps
        self.step = 0
        self.reads = 0
        self.rollbacks = 0
        self._data, self._batch, self._rows = data, system.settings.batch, rows
        self._name_streams()
        self._encode: Callable[[Tensor], Tensor] | None = system.data.encode if system.data.center else None
        self.players = system.roster
        self.movers = {name: Mover(owned(system, player), player.optimizer) for name, player in self.players.items()}
        self.updates = dict.fromkeys(self.players, 0)
        self.average = Average(system, system.settings.average)
        self._stretches = _lay_out(system.phases(), steps)
        self._half = system.settings.precision == "bf16"

    def _name_streams(self) -> None:
        """Each rollback names all that is drawn anew: the order of the rows, latents, noise, the default generator."""
        seed = key(self.seed, "rollback", self.rollbacks) if self.rollbacks else self.seed
        self._draw = self.system.sampler(self._data)
        self._data_streams = Streams((seed, "data"), self._batch)
        self.round_ = Round(seed, self.steps, self._batch, self._read, self._rows, self.device)

    def _read(self) -> Batch:
        """The next batch of real data. Counting the reads is all that a resume needs."""
        indices, extra = self._drawn(self.reads)
        if self._data.streamed:
            for ahead in range(self.reads, self.reads + AHEAD + 1):
                self._data.expect(self._drawn(ahead)[0])
        self.reads += 1
        batch = self._data.rows(indices)
        if self._encode is None and not extra:
            return batch.to(self.device)
        x = {} if self._encode is None else {"x": self._encode(batch["x"])}
        read = {name: values() if callable(values) else values for name, values in extra.items()}
        ours = {name: values if self._rows is None else values[self._rows] for name, values in read.items()}
        return Batch({**batch, **ours, **x}).to(self.device)

    def _drawn(self, index: int) -> tuple[Tensor, Further]:
        """This process's rows of a batch, and what else the sampler draws for all of it."""
        indices, extra = self._draw(index, self._batch, self._data_streams.at(index))
        return (indices if self._rows is None else indices[self._rows]), extra

    def round(self) -> dict[str, Tensor]:
        """Play one round; returns the recorded terms, `player.term` → value, of each player's last update."""
        stretch = self._stretch(self.step)
        phase = stretch.phase
        done = (self.step - stretch.first) / (stretch.end - stretch.first)
        self.round_.begin(self.step, phase.name, min(done, 1.0))
        if self.step == stretch.first:
            for name in phase.fresh:
                self.movers[name].restart()
        self.system.begin(self.round_)
        terms = self._simultaneously(phase) if phase.simultaneous else self._in_turn(phase)
        half_life = self.round_.at(self.system.settings.average.half_life)
        self.average.update(self.step * self._batch, self._batch, half_life)
        self.step += 1
        return terms

    def turn(self, name: str) -> dict[str, Tensor]:
        """One update of one player, as a round of its own that does not count as a step."""
        if name not in self.players:
            known = ", ".join(self.players)
            raise error("E-ARG-01", reason=f"there is no player '{name}'; the players are {known}")
        stretch = self._stretch(self.step)
        self.round_.begin(self.step, stretch.phase.name, 0.0)
        self.system.begin(self.round_)
        return self._update(Turn(name))

    def planned(self, step: int, player: str = "") -> int:
        """Updates that the round of a step makes: all, or those of one player."""
        stretch = self._stretch(step)
        self.round_.begin(step, stretch.phase.name, 0.0)
        turns = (turn.updates for turn in stretch.phase.turns if player in ("", turn.player))
        return sum(updates if isinstance(updates, int) else updates(self.round_) for updates in turns)

    def _stretch(self, step: int) -> _Stretch:
        return next((s for s in self._stretches if step < s.end), self._stretches[-1])

    def _in_turn(self, phase: Phase) -> dict[str, Tensor]:
        recorded: dict[str, Tensor] = {}
        for turn in phase.turns:
            for _ in range(turn.updates if isinstance(turn.updates, int) else turn.updates(self.round_)):
                recorded |= self._update(turn)
        return recorded

    def _update(self, turn: Turn) -> dict[str, Tensor]:
        player = self.players[turn.player]
        self.round_.begin_update(player.name, self.updates[player.name])
        terms = self._backward(player, turn)
        self._check(player, terms)
        self._move(player)
        return {f"{player.name}.{term}": value.detach() for term, value in terms.items()}

    def _simultaneously(self, phase: Phase) -> dict[str, Tensor]:
        """All players' gradients at the same weights and on the same data, then all updates."""
        last = phase.turns[-1].player
        made: dict[str, Terms] = {}
        for turn in phase.turns:
            self.round_.begin_update(turn.player, self.updates[turn.player], shared=True)
            made[turn.player] = self._backward(self.players[turn.player], turn, retain=turn.player != last)
        for name, terms in made.items():
            self._check(self.players[name], terms)
        for name in made:
            self._move(self.players[name])
        return {f"{name}.{term}": value.detach() for name, terms in made.items() for term, value in terms.items()}

    def _backward(self, player: Player, turn: Turn, *, retain: bool = False) -> Terms:
        """A player's terms, and their gradient on the player's own weights only."""
        if turn.unroll and turn.against:
            against, done = self.players[turn.against], self.updates[turn.against]
            terms = loss_after(self.system, player, against, self.round_, turn.unroll, done)
        else:
            half = torch.autocast(torch.device(self.device).type, torch.bfloat16) if self._half else None
            with half or contextlib.nullcontext():
                terms = player.loss(self.round_)
        total = functools.reduce(operator.add, terms.values())
        mover = self.movers[player.name]
        assert total.dtype == mover.flat.dtype, f"{player.name}'s terms are in half precision: cast the logits"
        mover.flat.zero_()
        torch.autograd.backward(total, inputs=[*mover.tensors, *self.round_.kept], retain_graph=retain)
        return terms

    def _check(self, player: Player, terms: Terms) -> None:
        """Refuse an update that is not finite, before it changes anything."""
        flat = self.movers[player.name].flat
        # One wait for the device: a sum is finite only if all its parts are.
        seen = functools.reduce(operator.add, (value.detach() for value in terms.values()), flat.sum())
        if math.isfinite(seen.item()):
            return
        bad = [term for term, value in terms.items() if not value.isfinite().all()]
        part = f"term '{bad[0]}'" if bad else "the gradient"
        if not bad and flat.isfinite().all():
            return  # only the sum has overflowed
        raise error("E-TRAIN-01", player=player.name, part=part, step=self.step + 1)

    def shown(self) -> dict[str, Tensor]:
        """What a record has beside the terms: D's mean logits, and the norm of each player's last gradient."""
        means = {name: values.float().mean() for name, values in self.round_.shown.items()}
        return means | {f"gradient.{name}": mover.flat.norm() for name, mover in self.movers.items()}

    def check(self) -> None:
        """Refuse weights that are not finite: an overflow in the optimizer shows only in the next loss.

        Raises: TrainingError that names the player.
        """
        for name, player in self.players.items():
            averages = (self.average.networks[each] for each in player.networks if each in self.average.networks)
            weights = [*self.movers[name].tensors, *(each for network in averages for each in network.parameters())]
            if not all(weight.isfinite().all() for weight in weights):
                raise error("E-TRAIN-02", player=name, step=self.step)

    def _move(self, player: Player) -> None:
        self.movers[player.name].step(self.lr(player.name), self.round_.at(player.optimizer.betas[1]))
        if player.after is not None:
            with torch.no_grad():
                player.after(self.round_)
        self.updates[player.name] += 1
        self.round_.end_update(player.name)

    def lr(self, player: str, *, done: bool = False) -> float:
        """A player's learning rate in this step; with `done`, in the step that has just been done."""
        return at(self.players[player].optimizer.lr, self.step - done, self.steps)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next round depends on, as contiguous tensors on the CPU that share no memory."""
        tensors = {f"system/{name}": tensor for name, tensor in self.system.state_dict().items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.state().items()}
        for player, mover in self.movers.items():
            tensors |= {f"optimizer/{player}/{name}": tensor for name, tensor in mover.state().items()}
        counters = {"step": self.step, "reads": self.reads, "rollbacks": self.rollbacks}
        counters |= {f"update/{player}": count for player, count in self.updates.items()}
        tensors |= {f"counter/{name}": torch.tensor(value) for name, value in counters.items()}
        form = {"copy": True, "memory_format": torch.contiguous_format}
        return {name: tensor.detach().to("cpu", **form) for name, tensor in tensors.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Continue where `state` was taken. Weights are copied into place: their strides stay what they were."""
        groups: dict[str, dict[str, Tensor]] = {"system": {}, "average": {}, "optimizer": {}, "counter": {}}
        for name, tensor in tensors.items():
            group, rest = name.split("/", 1)
            groups[group][rest] = tensor
        self.system.load_state_dict(groups["system"])
        with torch.no_grad():
            for name, tensor in self.average.state().items():
                tensor.copy_(groups["average"][name])
        for player, mover in self.movers.items():
            own = f"{player}/"
            mover.load({name[len(own) :]: t for name, t in groups["optimizer"].items() if name.startswith(own)})
        counters = {name: int(tensor) for name, tensor in groups["counter"].items()}
        self.step, self.reads = counters["step"], counters["reads"]
        self.updates = {name: counters[f"update/{name}"] for name in self.players}
        self._count(counters.get("rollbacks", 0))  # not counted by earlier versions, which made none

    def roll_back(self, tensors: dict[str, Tensor]) -> None:
        """Continue where an earlier state was taken, with other batches and other noise than were drawn after it."""
        rollbacks = self.rollbacks + 1  # of this game, whatever the earlier state had counted
        self.load(tensors)
        self._count(rollbacks)

    def _count(self, rollbacks: int) -> None:
        if rollbacks != self.rollbacks:
            self.rollbacks = rollbacks
            self._name_streams()


def _lay_out(phases: tuple[Phase, ...], steps: int) -> list[_Stretch]:
    """Phases over the run by their shares, each at least one round; the last runs on past the horizon."""
    given = sum(phase.share or 0.0 for phase in phases)
    open_ended = sum(phase.share is None for phase in phases)
    rest = max(1.0 - given, 0.0) / open_ended if open_ended else 0.0
    stretches: list[_Stretch] = []
    reached = 0.0
    for phase in phases:
        first = stretches[-1].end if stretches else 0
        reached += rest if phase.share is None else phase.share
        stretches.append(_Stretch(phase, first, max(round(reached * steps), first + 1)))
    last = stretches[-1]
    stretches[-1] = _Stretch(last.phase, last.first, max(last.end, steps))
    return stretches
