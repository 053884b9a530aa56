"""The least values of the two relativistic losses, on the nodes of a quadrature.

`relativistic_average` is L(f) = E_p sp(m_q - f) + E_q sp(f - m_p), with m the mean of f over a side: convex in f, and
unchanged by a shift of f. With H the entropy of a coin, sp(u) = max over s in [0, 1] of su + H(s); so min over f, max
over the two fields of s, change places, and what is left is

    max E_p H(s) + E_q H(t)  over s, t in [0, 1] with  p (s + α) = q (t + β),  α = E_q t,  β = E_p s.

As s, t ≤ 1, everywhere α p/q ≤ 1 + β and β q/p ≤ 1 + α:

- p/q and q/p unbounded: α = β = 0, so s = t = 0 and the least value is 0. No f attains it: f = T on a far tail with
  e of p's mass and as good as none of q's, with eT → ∞, lifts m_p above f under q at no cost, and so on the other side.
- q/p unbounded and p/q ≤ M: β = 0, s = 0, t = αp/q. What is left is the concave problem of one number
  max over α ≤ 1/M of E_q H(αp/q). Inside, E_p logit(αp/q) = 0. At the end α = 1/M no f attains it.
- Both bounded: a smooth convex problem, solved on the nodes by Newton's method. That α M ≤ 1 + β and βM' ≤ 1 + α hold,
  with M' the largest q/p, proves it; where one does not, f concentrates where that ratio is largest.

Letters: P, Q (N,) the masses of p and q at the nodes; sp(t) = log(1 + e^t); l = log p/q.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ganworks.errors import error
from ganworks.theory.densities import Density
from ganworks.theory.quadrature import Rule, one_line
from ganworks.theory.tails import log_largest_ratio

_FAR = 50.0
"""Logits beyond ± this differ from it by e^-50 in a paired loss."""
_STEPS = 64
"""Steps of the paired loss's table for one unit of the logit: its cubic leaves 1e-10."""

_PROOF = 1e-6
"""What the proof of a two-sided optimum may be off, relatively."""


def paired(found: Rule) -> float:
    """∬ p(x) q(y) sp(l(y) - l(x)): the law of l under p and under q is all that counts."""
    real, fake = (_spread(found.logit.clamp(-_FAR, _FAR), mass) for mass in found.masses)
    size = len(real)
    # What each difference holds, from -size to size - 1: a correlation, as a product of Fourier transforms.
    product = torch.fft.rfft(real, 2 * size).conj() * torch.fft.rfft(fake, 2 * size)
    differences = torch.fft.irfft(product, 2 * size).roll(size)
    places = (torch.arange(2 * size, dtype=torch.float64) - size) / _STEPS
    return differences.dot(F.softplus(places)).item()


def _spread(logit: Tensor, mass: Tensor) -> Tensor:
    """Masses on an even grid of logits that give any cubic the same integral: Lagrange's weights on four places."""
    place = (logit + _FAR) * _STEPS + 1
    left = place.floor()
    t = place - left
    a, b, c = t + 1, t - 1, t - 2
    cubic = (-t * b * c / 6, a * b * c / 2, -a * t * c / 2, a * t * b / 6)
    table = torch.zeros(int(2 * _FAR) * _STEPS + 4, dtype=torch.float64)
    for shift, weight in zip((-1, 0, 1, 2), cubic, strict=True):
        table.index_add_(0, left.long() + shift, mass * weight)
    return table


def average(p: Density, q: Density, found: Rule) -> float:
    """The least value of `relativistic_average`.

    Raises: UsageError (E-THEORY-01) if it is not known whether p/q or q/p is bounded, or if both are and each is
        decided by a single place.
    """
    p, q = one_line(p, q)
    most, least = log_largest_ratio(p, q, found), log_largest_ratio(q, p, found)
    mass_p, mass_q = found.masses
    if math.isinf(most) and math.isinf(least):
        return 0.0
    if math.isinf(least):
        return _one_sided(mass_p, mass_q, found.logit, most)
    if math.isinf(most):
        return _one_sided(mass_q, mass_p, -found.logit, least)
    return _two_sided(mass_p, mass_q, found.logit, most, least)


def _one_sided(mass_p: Tensor, mass_q: Tensor, logit: Tensor, most: float) -> float:
    """max over λ ≤ 1/M of E_q H(λp/q), by halving on the sign of its derivative -E_p logit(λp/q)."""
    low, high = -most - _FAR, -most
    for _ in range(60):
        middle = (low + high) / 2
        share = (logit + middle).clamp(max=-1e-15)
        rising = mass_p.dot(share - torch.log(-torch.expm1(share))) < 0
        low, high = (middle, high) if rising else (low, middle)
    share = (logit + low).clamp(max=-1e-15)  # log t
    rest = torch.log(-torch.expm1(share))
    return -mass_q.dot(share.exp() * share + rest.exp() * rest).item()


def _two_sided(mass_p: Tensor, mass_q: Tensor, logit: Tensor, most: float, least: float) -> float:
    """The least value where both ratios are bounded; where p/q is largest, or q/p, f may be lifted without end.

    There e of p's mass with eT = d lifts m_p by d, m_q by d/M, and costs d/M. The derivative along d is
    (1 + β)/M - α: if it is below 0 at d = 0, its root is found by halving.
    """
    kept = mass_p + mass_q > 1e-280
    mass_p, mass_q = (mass[kept] / mass[kept].sum() for mass in (mass_p, mass_q))
    f = logit[kept].clamp(-5, 5)
    value, alpha, beta = _solved(f, mass_p, mass_q, 0.0, 0.0)
    over = alpha * math.exp(most) / (1 + beta), beta * math.exp(least) / (1 + alpha)
    if max(over) <= 1 + _PROOF:
        return value
    if min(over) > 1 + _PROOF:
        needed = "densities of which one side alone is decided by a single place"
        raise error("E-THEORY-01", what="relativistic_average", needed=needed, got="two that both are")
    if over[1] > over[0]:  # the same with the sides changed, as f for -f
        mass_p, mass_q, f, most = mass_q, mass_p, -f, least
    low, high = 0.0, 1.0
    for step in range(60):
        lift = high if low == 0 and step < 30 else (low + high) / 2
        value, alpha, beta = _solved(f, mass_p, mass_q, lift * math.exp(-most), lift)
        if alpha * math.exp(most) > 1 + beta:
            low, high = lift, max(high, 2 * lift)
        else:
            high = lift
            if high - low < 1e-9 * high:
                break
    return value + high * math.exp(-most)


def _solved(f: Tensor, mass_p: Tensor, mass_q: Tensor, fake: float, real: float) -> tuple[float, float, float]:
    """The least value with m_q and m_p lifted so far, and α and β there, by Newton's method with halved steps."""
    value = _value(f, mass_p, mass_q, fake, real)
    for _ in range(200):
        step, slope = _newton(f, mass_p, mass_q, fake, real)
        size = 1.0
        while size > 1e-12 and _value(f + size * step, mass_p, mass_q, fake, real) > value + 1e-4 * size * slope:
            size /= 2
        f = f + size * step
        value = _value(f, mass_p, mass_q, fake, real)
        if -slope < 1e-15 or size <= 1e-12:
            break
    alpha = mass_q.dot((f - mass_p.dot(f) - real).sigmoid()).item()
    beta = mass_p.dot((mass_q.dot(f) + fake - f).sigmoid()).item()
    return value, alpha, beta


def _value(f: Tensor, mass_p: Tensor, mass_q: Tensor, fake: float, real: float) -> float:
    first, second = F.softplus(mass_q.dot(f) + fake - f), F.softplus(f - mass_p.dot(f) - real)
    return (mass_p.dot(first) + mass_q.dot(second)).item()


def _newton(f: Tensor, mass_p: Tensor, mass_q: Tensor, fake: float, real: float) -> tuple[Tensor, float]:
    """A step and the slope along it. The Hessian diag(w + v) - Qwᵀ - wQᵀ + ΣwQQᵀ - Pvᵀ - vPᵀ + ΣvPPᵀ, by Woodbury."""
    s, t = (mass_q.dot(f) + fake - f).sigmoid(), (f - mass_p.dot(f) - real).sigmoid()
    gradient = mass_q * (t + mass_p.dot(s)) - mass_p * (s + mass_q.dot(t))
    w, v = mass_p * s * (1 - s), mass_q * t * (1 - t)
    diagonal = w + v + 1e-10 * (mass_p + mass_q)  # H is 0 along a shift of f
    vectors = torch.stack((mass_q, mass_p, w, v), 1)
    inner = torch.zeros(4, 4, dtype=f.dtype)
    inner[0, 0], inner[1, 1] = w.sum(), v.sum()
    inner[0, 2] = inner[2, 0] = inner[1, 3] = inner[3, 1] = -1
    over = vectors / diagonal[:, None]
    small = torch.linalg.inv(inner) + vectors.T @ over
    step = -(gradient / diagonal - over @ torch.linalg.solve(small, over.T @ gradient))
    return step, gradient.dot(step).item()
