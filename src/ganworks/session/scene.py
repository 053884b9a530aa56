"""The picture of a training on points: samples over data and, in one or two dimensions, what D says beside what the
best D would say.

Letters: p the density of the data, q that of the samples, f what D says.
"""

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ganworks.data import pictures
from ganworks.data.dataset import DataSet
from ganworks.data.spec import Batch
from ganworks.game import System
from ganworks.optimum import Law, best, blurred, judge, kernels, narrowest
from ganworks.settings import ObjectiveSettings
from ganworks.theory import Density
from ganworks.use.beside import beside
from ganworks.use.judged import Curve, curves, field

POINTS = 2_500
"""Samples and data that are shown."""
_SIZE, _PLACES, _COARSE = 400, 192, 96
"""Pixels of a side where several stand beside each other; places along it at which densities are looked at, and at
which D is asked, which bends less."""
_ON_A_LINE = 732
"""Places on a line, one a pixel."""
_SHARPEST = 0.8
"""Of the blur's std to the distance of two places."""
_SMOOTH = 0.008
"""Of the blur's std to the width of the frame, where no density is known and data look like samples of one."""
_FADES = math.log(1e3)
"""A place with so much less density than the data have where they are is white."""
_FAINT = 0.22
"""How strongly D is shown where there is nothing to judge."""
_BLUE, _GREY, _ORANGE, _BLACK = (0, 114, 178), (150, 150, 150), (213, 94, 0), (0, 0, 0)


class Scene:
    """The data of a training on points, as its pictures need them again and again."""

    def __init__(self, data: DataSet) -> None:
        self.density: Density | None = data.density
        self.real = data.rows(torch.arange(min(POINTS, len(data))))["x"]
        self.limits = pictures.limits_of(self.real)

    @cached_property
    def _blur(self) -> float:
        left, right = self.limits[:2]
        if self.density is None:
            return _SMOOTH * (right - left)
        places = _PLACES if self.density.dimensions == 2 else _ON_A_LINE
        return max(_SHARPEST * (right - left) / places, 0.5 * narrowest(self.density, self.real))

    @cached_property
    def _places(self) -> Float[Tensor, "n d"]:
        return _grid(self.limits, _PLACES) if self.real.shape[1] == 2 else _line(self.limits)

    @cached_property
    def _data(self) -> tuple[Float[Tensor, " n"], float]:
        """log p at all places, through the blur, and the mean of it where data are."""
        law: Law | Density
        law = kernels(self.real, self._blur) if self.density is None else blurred(self.density, self._blur)
        return law.log_prob(self._places), float(law.log_prob(self.real.double()).mean())

    def picture(self, system: System, drawn: Batch) -> NDArray[Any]:
        """What it looks like now.

        Args:
            system: As it plays.
            drawn: Samples, with their labels where it takes any.
        """
        fake = drawn["x"]
        says = judge(system) if system.settings.view.pack == 1 else None
        if self.real.shape[1] > 2 or (says is None and self.density is None):
            return self._scatter(drawn)
        finite = fake[fake.isfinite().all(1)]
        law = kernels(finite, self._blur) if len(finite) else None
        log_p, usual = self._data
        log_q = torch.full_like(log_p, -torch.inf) if law is None else law.log_prob(self._places)
        settings = system.settings.objective
        judged = None
        if says is not None:
            places = self._places if self.real.shape[1] == 1 else _grid(self.limits, _COARSE)
            judged = shown(settings, says(places), says(self.real), says(finite))
        optimum = None if self.density is None else told_best(settings, log_p - log_q)
        there = ((torch.logaddexp(log_p, log_q) - usual) / _FADES + 1).clamp(0, 1)
        if self.real.shape[1] == 1:
            return self._curves(log_p, log_q, there, judged, optimum)
        there = there.reshape(_PLACES, _PLACES)
        sheets, names = [self._scatter(drawn, _SIZE)], [_samples(drawn)]
        if judged is not None:
            sheets.append(field(_square(judged), (_FAINT + (1 - _FAINT) * there).numpy(), _SIZE))
            names.append(f"{_critic(settings)} now: orange for real, blue for generated")
        if optimum is not None:
            sheets.append(field(_square(optimum[0]), there.numpy(), _SIZE))
            names.append(optimum[1])
        return beside(sheets, names)

    def real_picture(self, other: Batch) -> NDArray[Any]:
        """What samples of the data's own law would look like: other rows of the data in their place."""
        if self.real.shape[1] > 1:
            return self._scatter(other)
        log_p, _ = self._data
        return self._curves(log_p, kernels(other["x"], self._blur).log_prob(self._places), log_p, None, None, "real")

    def _scatter(self, drawn: Batch, size: int = 512) -> NDArray[Any]:
        return pictures.points_picture(drawn["x"], self.real, size, self.limits, drawn.get("label"))

    def _curves(
        self,
        log_p: Tensor,
        log_q: Tensor,
        there: Tensor,
        judged: Tensor | None,
        optimum: tuple[Tensor, str] | None,
        name: str = "samples",
    ) -> NDArray[Any]:
        densities = [
            Curve("data", log_p.exp().numpy(), _GREY, filled=True),
            Curve(name, log_q.exp().numpy(), _BLUE),
        ]
        shares = []
        if judged is not None:
            weight = (_FAINT + (1 - _FAINT) * there).numpy()
            shares.append(Curve("D now", judged.nan_to_num(0.5).numpy(), _ORANGE, weight=weight))
        if optimum is not None:
            shares.append(Curve(optimum[1], optimum[0].nan_to_num(0.5).numpy(), _BLACK, True, there.numpy()))
        return curves(densities, shares, self.limits[:2])


def shown(settings: ObjectiveSettings, said: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """How real D takes places for, in [0, 1], from f there and at data and samples.

    Cross entropy: σ(f). `least_squares`: f itself. `hinge`: f from -1 to 1. The relativistic losses leave a constant
    open: it is the one with which σ(f) tells data from samples best. A Wasserstein critic is centred between the means
    and scaled to its largest value on data and samples.
    """
    if settings.loss == "least_squares":
        return said.clamp(0, 1)
    if settings.loss == "hinge":
        return (said.clamp(-1, 1) + 1) / 2
    if settings.loss == "wasserstein":
        both = torch.cat([real, fake])
        middle = (real.mean() + fake.mean()) / 2 if len(fake) else real.mean()
        return 0.5 + 0.5 * ((said - middle) / (both - middle).abs().max().clamp_min(1e-30)).clamp(-1, 1)
    constant = _constant(real, fake) if settings.loss.startswith("relativistic") and len(fake) else 0.0
    return (said - constant).sigmoid()


def _constant(real: Tensor, fake: Tensor) -> float:
    """c at which E σ(f(x) - c) + E σ(f(G) - c) = 1: where E sp(c - f(x)) + E sp(f(G) - c) is least. By halving."""
    both = torch.cat([real, fake])
    low, high = float(both.min()) - 1, float(both.max()) + 1
    for _ in range(40):
        middle = (low + high) / 2
        above = float((real - middle).sigmoid().mean() + (fake - middle).sigmoid().mean()) > 1
        low, high = (middle, high) if above else (low, middle)
    return low


def told_best(settings: ObjectiveSettings, ratio: Tensor) -> tuple[Tensor, str]:
    """What the best D takes places for, and how it is called; for losses without a known one p / (p + q)."""
    if (found := best(settings, ratio)) is None:
        return ratio.sigmoid(), "p / (p + q), data against samples; not this loss's best"
    if settings.loss == "hinge":
        return (found + 1) / 2, "the best D: real where p > q"
    target = settings.real_target
    share = found if settings.loss == "least_squares" else found.sigmoid()
    return share, f"the best D: {'' if target == 1 else f'{target:g} '}p / (p + q), data against samples"


def _critic(settings: ObjectiveSettings) -> str:
    return "critic" if settings.loss == "wasserstein" else "D"


def _samples(drawn: Batch) -> str:
    return f"samples ({'by class' if 'label' in drawn else 'blue'}) over data (grey)"


def _line(limits: pictures.Limits) -> Float[Tensor, "n 1"]:
    return torch.linspace(limits[0], limits[1], _ON_A_LINE, dtype=torch.float64)[:, None]


def _grid(limits: pictures.Limits, count: int) -> Float[Tensor, "n 2"]:
    """Middles of the cells of a square, row by row from the top."""
    left, right, bottom, top = limits
    share = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return torch.cartesian_prod(top - share * (top - bottom), left + share * (right - left)).flip(1)


def _square(values: Tensor) -> NDArray[np.float64]:
    side = math.isqrt(len(values))
    return values.nan_to_num(0.5).reshape(side, side).numpy()
