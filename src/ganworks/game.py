"""A GAN is a game: players take turns in rounds, phases are stretches of the run with turns of their own.

A system says which networks move and what each player minimises. It knows neither where batches come from nor that it
is being saved; the loop that plays the game knows no system.

Letters: B samples of a batch, Z numbers of a latent.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from ganworks.data.order import Order
from ganworks.data.spec import Batch, DataSpec, Kind
from ganworks.random import Streams
from ganworks.round import Round, Terms
from ganworks.settings import GameSettings, LatentSettings, PlayerSettings

__all__ = ["Draw", "Further", "Phase", "Player", "Round", "Rows", "System", "Terms", "Turn", "latent", "owned"]


@runtime_checkable
class Rows(Protocol):
    """What a system may ask of a data set: its size, rows by number, and the class or domain of each without reading
    it; and the engine, to read ahead."""

    spec: DataSpec

    @property
    def streamed(self) -> bool: ...
    @property
    def labels(self) -> Tensor: ...
    def __len__(self) -> int: ...
    def rows(self, indices: Tensor) -> Batch: ...
    def expect(self, indices: Tensor) -> None: ...


Further = Mapping[str, Tensor | Callable[[], Tensor]]
"""Tensors of a global batch beside its rows; or what reads them, once the batch is wanted."""
Draw = Callable[[int, int, Streams], tuple[Tensor, Further]]
"""(index of the batch, rows, streams) → row numbers and further tensors of the global batch."""


@dataclass(frozen=True)
class Player:
    """A set of networks with one optimizer and one loss. Each network has one owner."""

    name: str
    networks: tuple[str, ...]
    loss: Callable[[Round], Terms]
    optimizer: PlayerSettings
    after: Callable[[Round], None] | None = None
    """Runs after an accepted update: whatever changes state beside the weights."""


@dataclass(frozen=True)
class Turn:
    """The updates one player makes while the others are held constant; their number may depend on the round."""

    player: str
    updates: int | Callable[[Round], int] = 1
    unroll: int = 0
    against: str | None = None


@dataclass(frozen=True)
class Phase:
    """A stretch of the run with its own turns."""

    name: str
    turns: tuple[Turn, ...]
    simultaneous: bool = False
    share: float | None = None
    """Part of the run; the phases without one divide the rest evenly."""
    fresh: tuple[str, ...] = field(default=())
    """Players whose optimizer starts anew in the phase's first round."""


class System(nn.Module):
    """One GAN as its paper describes it. Everything that changes during a run is a parameter or a buffer of it."""

    name: ClassVar[str]
    paper: ClassVar[str]
    accepts: ClassVar[tuple[Kind, ...]]
    gives: ClassVar[Kind]
    Settings: ClassVar[type[GameSettings]]
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    conditions: tuple[str, ...] = ()
    """What `generate` can be given, one row a sample: `label`, which it returns beside the samples; `truncation`, how
    far from the middle it may go; `source`, what it makes a sample of, and `to`, of which domain: both it must be.
    An instance may have others than its class, where they depend on the data."""

    def __init__(self, settings: GameSettings, data: DataSpec) -> None:
        super().__init__()
        self.settings = settings
        self.data = data

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Nested settings that this kind of data wants instead of the paper's defaults."""
        return {}

    def prepare(self, data: Rows) -> None:
        """Once, before the first round. What it fixes is written to buffers of the largest size; shapes stay."""

    def sampler(self, data: Rows) -> Draw:
        """Which rows a batch takes: every row once an epoch, in an order that depends on seed and epoch alone."""
        orders: dict[int, Order] = {}

        def draw(index: int, count: int, random: Streams) -> tuple[Tensor, Further]:
            if count not in orders:
                orders[count] = Order(len(data), count, random.seed)
            return orders[count].rows(index), {}

        return draw

    def players(self) -> tuple[Player, ...]:
        """The players; none for a system that does all its work in `prepare`."""
        raise NotImplementedError

    def phases(self) -> tuple[Phase, ...]:
        """One phase of D's turn, then G's, unless the paper says otherwise."""
        turns = self.settings.turns
        each = math.ceil(self.data.count / self.settings.batch) if turns.unit == "epochs" else 1
        order = (
            Turn("discriminator", turns.discriminator * each),
            Turn("generator", turns.generator * each, unroll=turns.unroll, against="discriminator"),
        )
        return (Phase("game", order, simultaneous=turns.simultaneous),)

    def begin(self, round: Round) -> None:
        """Before a round's first turn: what `generate` must know of the progress is written to a buffer here."""

    def forward(self, player: str, round: Round) -> Terms:
        """A player's loss; as `forward` it can be replayed with other weights."""
        return self.roster[player].loss(round)

    @cached_property
    def roster(self) -> dict[str, Player]:
        """The players by name."""
        return {player.name: player for player in self.players()}

    def given(self, rows: Batch) -> dict[str, Tensor]:
        """What `generate` is told so that its samples go with some rows: a translator's sources. Nothing, usually."""
        return {}

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Samples. Called for chunks of a fixed size, so that sample i depends on seed and i alone."""
        raise NotImplementedError


def latent(settings: LatentSettings, random: Streams) -> Tensor:
    """(B, Z) latents: N(0, 1) or U[-1, 1)."""
    if settings.prior == "uniform":
        return random.uniform("latent", settings.size) * 2 - 1
    return random.normal("latent", settings.size)


def owned(system: System, player: Player) -> dict[str, nn.Parameter]:
    """A player's trainable parameters by their names in the system."""
    named: Iterable[tuple[str, nn.Parameter]] = system.named_parameters()
    return {
        name: parameter
        for name, parameter in named
        if parameter.requires_grad and name.split(".", 1)[0] in player.networks
    }
