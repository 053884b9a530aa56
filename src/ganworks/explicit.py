"""Systems whose density can be computed: what their settings leave out, and the log-likelihood of data as a score.

Letters: N samples, D numbers of one.
"""

import math
from collections.abc import Iterator
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ganworks.data import excerpt
from ganworks.data.dataset import DataSet
from ganworks.metrics.interval import Estimate, interval
from ganworks.metrics.score import Score
from ganworks.random import generator
from ganworks.settings import GameSettings, ObjectiveSettings, PlayerSettings, TurnSettings, ViewSettings

LOG_LIKELIHOOD = "log_likelihood"
_LEVEL = 2 / 255
"""From one of 256 grey levels to the next, in [-1, 1]."""
_SEED = 2
"""Of fresh draws from a known density; others of that density have other seeds."""


class ExplicitSettings(GameSettings):
    """Settings without what only a game of G against D has: these keep their defaults and cannot be set."""

    objective: ClassVar[ObjectiveSettings] = ObjectiveSettings()  # type: ignore[misc]  # a field no more, on purpose
    view: ClassVar[ViewSettings] = ViewSettings()  # type: ignore[misc]  # as above
    turns: ClassVar[TurnSettings] = TurnSettings()  # type: ignore[misc]  # as above
    generator: ClassVar[PlayerSettings] = PlayerSettings()  # type: ignore[misc]  # as above
    discriminator: ClassVar[PlayerSettings] = PlayerSettings()  # type: ignore[misc]  # as above


@runtime_checkable
class Likelihood(Protocol):
    """A system that knows the density of its samples, or a lower bound of it."""

    @property
    def likelihood(self) -> str:
        """What `log_likelihood` is: `exact`, or how its bound is made. It stands beside every such number."""

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x), or a lower bound, in nats: (N,), of samples in the data's units."""


def score(model: Likelihood, data: DataSet, samples: int, *, trained_on: bool, level: float = 0.95) -> Score:
    """The mean log-likelihood of data that a model has not seen, in nats, with its interval. The higher the better.

    Fresh draws where the density is known, with its own mean beside them; else held-out rows, or all of them where the
    model was not trained on these data. Grey levels are made continuous by uniform noise as wide as a level, and the
    density is taken for one level: a lower bound of the log-probability of the picture as its file has it.

    Args:
        samples: Rows of data, at most.
        trained_on: Whether the model was trained on these data.
    Source: Theis, van den Oord and Bethge 2016, section 3.1, for the noise.
    """
    found, floors = list[Tensor](), list[Tensor]()
    noise = generator(_SEED, "grey levels")
    for x in _rows(data, samples, trained_on):
        if data.density is not None:
            floors.append(data.density.log_prob(x.double()))
        spread = torch.rand(x.shape, generator=noise) - 0.5 if data.spec.pictures else torch.zeros(())
        found.append(model.log_likelihood(x + _LEVEL * spread).double())
    values = torch.cat(found)
    if data.spec.pictures:
        values = values + math.prod(data.spec.shape) * math.log(_LEVEL)
    count = len(values)
    error = float(values.std()) / count**0.5 if count > 1 else math.nan
    estimate = Estimate(float(values.mean()), error, max(count - 1, 0))
    low, high = interval(estimate, level)
    known = math.isfinite(low) and math.isfinite(high)
    return Score(
        metric=LOG_LIKELIHOOD,
        feature_space=f"nats, {model.likelihood}",
        value=estimate.value,
        low=low if known else None,
        high=high if known else None,
        level=level,
        samples=count,
        reference_samples=0 if floors else count,
        real=float(torch.cat(floors).mean()) if floors else None,
    )


def _rows(data: DataSet, samples: int, trained_on: bool) -> Iterator[Float[Tensor, "n ..."]]:
    if data.density is not None:
        return iter([data.fresh(samples, _SEED)["x"]])
    source = data.held_out if trained_on else None
    chosen = excerpt.spread(source or data, samples) if trained_on else excerpt.whole(data, samples)
    return chosen.parts()
