"""The best discriminator of each loss, between the data and samples, and what it pays on given draws.

Letters: p the data, q the samples, r = log p/q at a point, f what a discriminator says there.
"""

import copy
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ganworks import losses
from ganworks.adversarial import Adversarial
from ganworks.game import System
from ganworks.objective import loss_of
from ganworks.settings import ObjectiveSettings

Judge = Callable[[Tensor], Tensor]
"""From points in the data's units, (N, D), to what D says of them, (N,); packs have M · D coordinates."""


def judge(system: System) -> Judge | None:
    """The discriminator as it is now, in evaluation: nothing it keeps is moved.

    None where it asks for more than points: a D that is told labels judges pairs of a point and a label, of which
    the density of points says nothing.
    """
    if not isinstance(system, Adversarial) or set(system.row()) != {"x"}:
        return None
    still = copy.deepcopy(system.discriminator).requires_grad_(False).eval().cpu()
    width, encode = system.data.shape[0], system.data.encode

    def says(points: Float[Tensor, "n _md"]) -> Float[Tensor, " n"]:
        seen = encode(points.reshape(-1, width)).reshape(points.shape).float()
        with torch.no_grad():
            said: Tensor = still(x=seen).double()
        return said if said.dim() == 1 else said.flatten(1).mean(1)

    return says


def best(settings: ObjectiveSettings, ratio: Float[Tensor, "..."]) -> Float[Tensor, "..."] | None:
    """f of the best discriminator; None for losses whose best one is not a function of p/q at the point.

    | loss | f |
    | --- | --- |
    | `minimax`, `non_saturating` | r; with `real_target` t: log tp - log((1 - t)p + q) |
    | `least_squares` | p/(p + q) |
    | `hinge` | sign r |
    | `relativistic_paired` | r, up to a constant |
    | `relativistic_average`, `wasserstein` | None |

    Args:
        ratio: r; of a pack the sum over its points.
    Source: Goodfellow et al. 2014, proposition 1; Mao et al. 2016, equation 5; Lim and Ye 2017, lemma 3.1.
    """
    if settings.loss in ("minimax", "non_saturating"):
        target = torch.tensor(settings.real_target, dtype=ratio.dtype)
        return target.log() - torch.logaddexp((-target).log1p(), -ratio)
    if settings.loss == "least_squares":
        return ratio.sigmoid()
    if settings.loss == "hinge":
        return ratio.sign()
    return ratio if settings.loss == "relativistic_paired" else None


def gap(
    settings: ObjectiveSettings,
    said: tuple[Float[Tensor, " n"], Float[Tensor, " n"]],
    ratios: tuple[Float[Tensor, " n"], Float[Tensor, " n"]],
) -> float | None:
    """D's adversarial loss on reals and fakes, minus what the best D pays on the same ones; None where that is unknown.

    Args:
        said: f(real) and f(fake).
        ratios: r at the same points.
    """
    floor = [best(settings, each) for each in ratios]
    if floor[0] is None or floor[1] is None:
        return None
    loss = loss_of(settings)
    return float(loss.discriminator(*said) - loss.discriminator(floor[0], floor[1]))


def critic_gap(points: tuple[Float[Tensor, " n"], Float[Tensor, " n"]], said: tuple[Tensor, Tensor]) -> float:
    """A Wasserstein critic's loss minus its floor -W1, on a line, both between the draws themselves.

    The critic counts as if it were divided by its steepest slope between neighbouring points: its floor is that of
    slopes up to 1, and its own slope is anything. So the gap is 0 or more, and at most W1.

    Args:
        points: Reals and fakes, equally many.
        said: f at them.
    """
    distance = float((points[0].double().sort().values - points[1].double().sort().values).abs().mean())
    place, order = torch.cat(points).double().sort()
    value = torch.cat(said).double()[order]
    apart = place.diff() > 0
    steepest = float((value.diff()[apart] / place.diff()[apart]).abs().max()) if apart.any() else 0.0
    if steepest == 0 or not math.isfinite(steepest):
        return distance if steepest == 0 else math.nan
    return float(losses.get("wasserstein").discriminator(said[0] / steepest, said[1] / steepest)) + distance
