"""How the players move at a step: two more rounds, played by a second engine in the state of the first."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ganworks.errors import TrainingError
from ganworks.training.engine import Engine

_SHARE = 0.005
"""Of the rounds of training that may be played for this."""
_ROUNDS = 2


class Motion:
    """Called at a step, it gives what the next two rounds will do to each player's weights.

    They are the rounds that the game plays next, on the same batches; so the numbers are a function of the state, and
    a resume finds the same ones.

    Args:
        make: A fresh engine of the same game.
        every: Steps between two calls.
    """

    def __init__(self, make: Callable[[], Engine], every: int) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._each = math.ceil(_ROUNDS / (_SHARE * max(every, 1)))

    def __call__(self, engine: Engine, index: int) -> dict[str, float]:
        """`probe.cosine.PLAYER` of two updates in a row, `probe.moved.PLAYER`: ‖Δθ‖ / ‖θ‖ of one.

        Args:
            index: Calls before this one, in the whole run: where they are close together, only some are answered.
        """
        if index % self._each:
            return {}
        self._engine = self._engine or self._make()
        ahead = self._engine
        with torch.random.fork_rng(devices=[]):
            ahead.load(engine.state())
            places = [_places(ahead)]
            try:
                for _ in range(_ROUNDS):
                    ahead.round()
                    places.append(_places(ahead))
            except TrainingError:
                return {}  # the game itself will say so
        found = {}
        for name in ahead.players:
            before, then, after = (place[name] for place in places)
            first, second = then - before, after - then
            size = float(first.norm() * second.norm())
            found[f"probe.moved.{name}"] = float(first.norm() / before.norm().clamp_min(1e-30))
            if size > 0:
                found[f"probe.cosine.{name}"] = float(first @ second) / size
        return found


def _places(engine: Engine) -> dict[str, Tensor]:
    return {
        name: torch.cat([each.detach().flatten() for each in mover.tensors]).double()
        for name, mover in engine.movers.items()
    }
