"""The numbers that probes are made of. Pure functions of logits, features and histograms.

Letters: a = f(real), b = f(fake), logits; N rows, D features, K bins. A number that does not exist is None: of too few
rows, of rows that are not finite, or over nothing. Rows are compared in float64 and from their middle on: in float32
neighbours far from 0 lose the distance between them, and the square of a sample that has run away overflows.
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

_BINS = 10
"""Of the calibration: a tenth of the probabilities each."""


def known(found: Mapping[str, float | None]) -> dict[str, float]:
    """The numbers that exist."""
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def over(value: float | None, whole: float | None) -> float | None:
    """A number as a share of another one, if both exist and the other is more than 0."""
    return value / whole if value is not None and whole else None


def ranked(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> float | None:
    """The share of pairs (real, fake) in which D rates the real one higher; a tie counts half. Chance is 0.5.

    It needs no threshold, so it means the same for every loss: cross entropy's is 0, least squares' ½, and a critic or
    a relativistic D has none. It is the area under the ROC curve. Source: Mann and Whitney 1947.
    """
    if not _ordered(real, fake):
        return None
    order = fake.sort().values
    below, upto = (torch.searchsorted(order, real.contiguous(), right=right).double() for right in (False, True))
    return float((below + upto).mean() / (2 * len(fake)))


def _ordered(*logits: Float[Tensor, " _"]) -> bool:
    """Whether there are some of each, and none is NaN."""
    return all(len(each) > 0 and not each.isnan().any() for each in logits)


def calibration_error(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> float | None:
    """How far σ(f) is from the share of reals among samples so judged: the mean over ten bins, weighted by what is in.

    Only cross entropy trains logits that are probabilities. Source: Guo et al. 2017, equation 3.
    """
    if not _ordered(real, fake):
        return None
    said = torch.cat([real, fake]).double().sigmoid()
    true = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))]).double()
    weight = torch.cat([torch.full((len(real),), 0.5 / len(real)), torch.full((len(fake),), 0.5 / len(fake))]).double()
    cell = (said * _BINS).long().clamp(0, _BINS - 1)
    total, right = (torch.zeros(_BINS, dtype=torch.float64).index_add_(0, cell, weight * part) for part in (said, true))
    return float((total - right).abs().sum())


def saturation(fake: Float[Tensor, " m"]) -> float | None:
    """E D(G) / E (1 - D(G)): the saturating loss's pull on the samples over that of the non-saturating one.

    ∂/∂b log(1 - σ(b)) = -σ(b), and ∂/∂b (-log σ(b)) = -(1 - σ(b)). Source: Goodfellow et al. 2014, section 3.
    """
    if not _ordered(fake):
        return None
    return float(fake.double().sigmoid().mean() / (-fake.double()).sigmoid().mean().clamp_min(1e-300))


def memory(trained: Float[Tensor, " n"], held_out: Float[Tensor, " m"], fake: Float[Tensor, " k"]) -> float | None:
    """r_v = (E f(trained) - E f(held out)) / (E f(trained) - E f(G)): 0 where D knows no training row, 1 where it says
    of held-out rows what it says of samples. None where D tells nothing apart, by less than two standard errors.

    Source: Karras et al. 2020, Training GANs with Limited Data, equation 1.
    """
    parts = [each.double() for each in (trained, held_out, fake)]
    if not all(len(each) > 1 and each.isfinite().all() for each in parts):
        return None
    mean = [float(each.mean()) for each in parts]
    between = mean[0] - mean[2]
    error = math.sqrt(sum(float(each.var()) / len(each) for each in (parts[0], parts[2])))
    return (mean[0] - mean[1]) / between if between > 2 * error else None


def spread(x: Float[Tensor, "n d"]) -> float | None:
    """The mean distance of two different rows."""
    return float(torch.pdist(x.double()).mean()) if _finite(x) and len(x) > 1 else None


def _finite(*rows: Float[Tensor, "_ d"]) -> bool:
    """Whether there are some of each, and all are finite."""
    return all(len(each) > 0 and bool(each.isfinite().all()) for each in rows)


def effective_rank(x: Float[Tensor, "n d"]) -> float | None:
    """exp of the entropy of the covariance's eigenvalues, as shares of their sum: how many directions are in use.

    1 where nothing varies. Source: Roy and Vetterli 2007.
    """
    if not _finite(x):
        return None
    centered = x.double() - x.double().mean(0)
    return effective_number(torch.linalg.svdvals(centered).square())


def effective_number(shares: Float[Tensor, " k"]) -> float:
    """exp of the entropy of shares, which need not add up to 1: K where all are equal, 1 where one has it all."""
    total = shares.double().sum()
    if total <= 0:
        return 1.0
    p = shares.double() / total
    return float(torch.exp(-(p * p.clamp_min(1e-300).log()).sum()))


def told_apart(real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"]) -> float | None:
    """How often the nearest other row is of the same kind, the mean of both kinds: 0.5 of one law, 1 of two far apart.

    What the simplest of all classifiers tells. Source: Lopez-Paz and Oquab 2017, section 3.
    """
    if not _finite(real, fake):
        return None
    away = _distances(torch.cat([real, fake]), torch.cat([real, fake]))
    away.fill_diagonal_(math.inf)
    own: Bool[Tensor, " n"] = torch.arange(len(away)) < len(real)
    same = own[away.argmin(1)] == own
    return float((same[: len(real)].double().mean() + same[len(real) :].double().mean()) / 2)


def _distances(rows: Float[Tensor, "n d"], others: Float[Tensor, "k d"]) -> Float64[Tensor, "n k"]:
    middle = others.double().mean(0)
    return torch.cdist(rows.double() - middle, others.double() - middle)


def sliced_distance(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "n d"], lines: Float[Tensor, "d l"]
) -> float | None:
    """Root of the mean squared one-dimensional W2 along some lines, over the standard deviation of the reals there."""
    if not _finite(real, fake):
        return None
    at = real.double()[0]  # the distance of the two is the same from anywhere, and equal rows are exactly 0 from here
    a, b = (((rows.double() - at) @ lines.double()).sort(0).values for rows in (real, fake))
    wide = float((a - a.mean(0)).square().mean().sqrt())
    return over(float((a - b).square().mean().sqrt()), wide)


def histogram(rows: Float[Tensor, "n d"], centers: Float[Tensor, "k d"]) -> Float64[Tensor, " k"]:
    """How many rows lie nearest to each centre."""
    return torch.bincount(nearest(rows, centers), minlength=len(centers)).double()


def nearest(rows: Float[Tensor, "n d"], others: Float[Tensor, "k d"]) -> Int64[Tensor, " n"]:
    """Which of the others is nearest to each row."""
    return _distances(rows, others).argmin(1)
