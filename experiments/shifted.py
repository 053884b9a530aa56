"""Shifted Gaussians, played by the real engine: data N(0, 1), G(z) = z + μ with z ~ N(0, 1); a part of `dirac.py`.

Everything about them is known: the best D is a straight line, what it pays, and the slope that each loss gives G.
Data and latents are the quantiles of N(0, 1), paired at random: tails that a draw would miss are there. D is trained
by the engine, G stands still (its learning rate is 0), then one turn of G leaves its gradient.
Bars: generator gradients within 2 % of μ E_q[D], μ(1 - E_q[D]) and, per unit of the critic's slope, 1; D's value within
0.01 of 2 JSD - log 4 and the slope of its logit within 3 % of -μ; at μ = 8 the saturating gradient at most 0.001 of the
non-saturating one; least squares within 0.01 of p/(p + q); a clipped critic's gap over its Lipschitz constant within
3 % of W1 = μ; with a gradient penalty mean slopes of 0.9 to 1.1 and a gap within 5 % of μ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from ganworks import theory
from ganworks.adversarial import Adversarial
from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.game import Round
from ganworks.networks import mlp
from ganworks.settings import GameSettings, build, nested
from ganworks.training.engine import Engine

from .record import Arm, Record

SHIFTS = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
FEW = 500
"""Samples for a critic: the tails decide nothing there."""


@dataclass(frozen=True)
class Size:
    """How long everything is trained, and on how many samples."""

    line: int
    """Updates of a D that is a straight line or a table."""
    critic: int
    """Updates of a critic that is clipped or penalised."""
    samples: int
    far_samples: int
    """Where the tails of both sides decide: μ of 6 and more."""


FULL = Size(line=200, critic=800, samples=100_000, far_samples=400_000)
SMOKE = Size(line=3, critic=3, samples=1000, far_samples=1000)


def quantiles(count: int) -> Float64[Tensor, "n 1"]:
    """The middles of so many equal parts of N(0, 1)."""
    return torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count)[:, None]


class Shift(nn.Module):
    """G: scale z + μ."""

    def __init__(self, shift: float, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.mu = nn.Parameter(torch.tensor([shift]))

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * z + self.mu


class Line(nn.Module):
    """D: a straight line, written around `center`, where its height and its slope do not disturb each other."""

    def __init__(self, center: float) -> None:
        super().__init__()
        self.center = center
        self.slope = nn.Parameter(torch.zeros(1))
        self.height = nn.Parameter(torch.zeros(1))

    def features(self, x: Tensor) -> Tensor:
        return x - self.center

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)[:, 0] * self.slope + self.height


class Table(nn.Module):
    """D: values at places a quarter apart, joined by straight lines."""

    low, step, count = -3.5, 0.25, 33

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(self.count))

    def features(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        place = ((x[:, 0] - self.low) / self.step).clamp(0, self.count - 1.001)
        left = place.floor().long()
        return torch.lerp(self.values[left], self.values[left + 1], place - left)


class Network(mlp.Discriminator):
    """D: two layers of 32 units around `center`."""

    def __init__(self, center: float) -> None:
        super().__init__((1,), 32, 2)
        self.center = center

    def features(self, x: Tensor) -> Tensor:
        return super().features(x - self.center)


class ShiftGAN(Adversarial):
    """Two normal densities and some D between them."""

    name = "shifted"
    paper = "Arjovsky and Bottou 2017, Towards Principled Methods for Training GANs, arXiv:1701.04862"
    accepts = ("points",)
    gives = "points"
    Settings = GameSettings

    def __init__(self, settings: GameSettings, data: DataSpec, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__(settings, data)
        self.set_up(generator, discriminator)
        self.register_buffer("z", quantiles(settings.batch), persistent=False)

    def fake(self, round: Round) -> dict[str, Tensor]:
        return {"x": round.once("fake", lambda: self.generator(self.z), uses=("generator",))}


def sgd(lr: float) -> dict[str, Any]:
    """Settings of a player who follows the plain gradient."""
    return {"optimizer": "sgd", "lr": lr}


def game(
    shift: float,
    discriminator: nn.Module,
    samples: int,
    updates: int,
    settings: dict[str, Any],
    scale: float = 1.0,
) -> Engine:
    """An engine that trains a D and leaves G where it is.

    Adam forgets at once: within a hundred updates the gradient of D falls to a millionth, faster than its usual memory.
    """
    spec = DataSpec(kind="points", shape=(1,), count=samples)
    given = {
        "batch": samples,
        "average.half_life": 0.0,
        "discriminator.betas": (0.5, 0.5),
        "discriminator.lr": {"from": 0.3, "to": 1e-3, "shape": "exponential"},
        "generator.optimizer": "sgd",
        "generator.lr": 0.0,
        **settings,
    }
    system = ShiftGAN(build(GameSettings, nested(given)), spec, Shift(shift, scale), discriminator).double()
    return Engine(system, DataSet(spec, {"x": quantiles(samples)}), seed=0, steps=updates)


def trained(engine: Engine) -> Engine:
    for _ in range(engine.steps):
        engine.round()
    return engine


def gradient(engine: Engine, loss: str, shift: float) -> float:
    """dL_G/dμ of a loss at the D of an engine, from one turn of G."""
    samples = engine.system.settings.batch
    other = game(shift, engine.system.discriminator, samples, 1, {"objective.loss": loss})
    other.turn("generator")
    return other.movers["generator"].flat.item()


def exact(shift: float) -> Arm:
    """The table of two shifted normals; E_q[D] is an integral over a fine grid."""
    p, q = theory.Normal(0.0, 1.0), theory.Normal(shift, 1.0)
    x = torch.linspace(-12, 12 + shift, 200_001, dtype=torch.float64)
    said = (q.log_prob(x).exp() * theory.optimal_discriminator(p, q)(x)).sum().item() * (x[1] - x[0]).item()
    return {
        "value": -theory.discriminator_loss_at_optimum(p, q, "minimax"),
        "minimax": shift * said,
        "non_saturating": shift * (1 - said),
        "wasserstein": 1.0,
        "jensen_shannon": theory.jensen_shannon(p, q),
        "wasserstein_1": theory.wasserstein_1(p, q),
    }


def cross_entropy(shift: float, size: Size) -> Arm:
    """A straight D at its optimum: its value, its slope, and what two losses make of it for G."""
    samples = size.far_samples if shift >= 6 else size.samples
    engine = trained(game(shift, Line(shift / 2), samples, size.line, {"objective.loss": "minimax"}))
    value = -engine.turn("discriminator")["discriminator.adversarial"].item()
    gradients = {loss: gradient(engine, loss, shift) for loss in ("minimax", "non_saturating")}
    return {"samples": samples, "value": value, "slope": engine.system.discriminator.slope.item(), **gradients}


def slopes(engine: Engine, x: Tensor) -> Tensor:
    """|f'(x)| of the critic."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(engine.system.discriminator(x).sum(), x)[0].abs()


def gap(engine: Engine, shift: float) -> float:
    """E f(x) - E f(G), on fresh quantiles."""
    z = quantiles(100_001)
    with torch.no_grad():
        critic = engine.system.discriminator
        return (critic(z).mean() - critic(z + shift).mean()).item()


def clipped(shift: float, make: Callable[[float], nn.Module], updates: int) -> Arm:
    """A critic with bounded weights: its gap, and the gradient that G gets, per unit of its slope."""
    settings = {"objective.loss": "wasserstein", "objective.clip": 0.1}
    engine = trained(game(shift, critic(make, shift), FEW, updates, settings))
    steepest = slopes(engine, torch.linspace(-4, 4 + shift, 4001, dtype=torch.float64)[:, None]).max().item()
    return {
        "steepest": steepest,
        "gap_over_steepest_over_shift": gap(engine, shift) / steepest / shift,
        "gradient_over_steepest": gradient(engine, "wasserstein", shift) / steepest,
    }


def penalised(
    shift: float, weight: float, make: Callable[[float], nn.Module], updates: int, *, warm_up: bool = True
) -> Arm:
    """A critic with a gradient penalty: its mean slope between both sides, and its gap.

    (|f'| - 1)² has a second well at -1. Without a warm-up a critic whose first, random slope has the wrong sign stays
    there as long as μ < 2 λ.
    """
    settings = {
        "objective.loss": "wasserstein",
        "objective.gradient_penalty": {"from": 0.0, "to": weight, "over": [0.0, 0.25]} if warm_up else weight,
        "discriminator.lr": {"from": 0.01, "to": 1e-4, "shape": "exponential"},
    }
    engine = trained(game(shift, critic(make, shift), FEW, updates, settings))
    draw = torch.Generator().manual_seed(1)
    real, fake = (quantiles(20_000)[torch.randperm(20_000, generator=draw)] for _ in range(2))
    between = torch.lerp(fake + shift, real, torch.rand(20_000, 1, generator=draw, dtype=torch.float64))
    return {
        "weight": weight,
        "mean_slope": slopes(engine, between).mean().item(),
        "gap_over_shift": gap(engine, shift) / shift,
        "exact_line": 1 + shift / (2 * weight),
    }


def critic(make: Callable[[float], nn.Module], shift: float) -> nn.Module:
    """One with weights that follow from nothing but its kind, between both sides."""
    torch.manual_seed(0)
    return make(shift / 2)


def least_squares(shift: float, size: Size) -> Arm:
    """A table trained by least squares, beside p/(p + q), wherever both have samples."""
    engine = trained(game(shift, Table(), size.samples, size.line, {"objective.loss": "least_squares"}))
    x = torch.linspace(-3, 3 + shift, 801, dtype=torch.float64)
    best = theory.optimal_discriminator(theory.Normal(0.0, 1.0), theory.Normal(shift, 1.0))(x)
    with torch.no_grad():
        off = engine.system.discriminator(x[:, None]) - best
    return {"shift": shift, "samples": size.samples, "farthest_off": off.abs().max().item()}


def judge(record: Record, size: Size) -> None:
    """Every arm, and the bars on them."""
    for shift in SHIFTS:
        judge_vanishing(record, shift, size)
    arm = record.arm("least squares, μ = 1", partial(least_squares, 1.0, size))
    record.bar("least squares, μ = 1: D off p/(p + q)", arm["farthest_off"], "<=", 0.01)
    for shift in (1.0, 8.0):
        arm = record.arm(f"clipped network, μ = {shift:g}", partial(clipped, shift, Network, size.critic))
        name = f"clipped network, μ = {shift:g}: gap over steepest over μ, which W1 bounds"
        record.bar(name, arm["gap_over_steepest_over_shift"], "<=", 1)
    for shift in (1.0, 4.0):
        judge_penalty(record, shift, size)


def judge_vanishing(record: Record, shift: float, size: Size) -> None:
    """What G gets from the cross-entropy losses at the best D, and from a clipped critic."""
    best = record.floor(f"exact, μ = {shift:g}", partial(exact, shift))
    found = record.arm(f"cross-entropy, μ = {shift:g}", partial(cross_entropy, shift, size))
    line = record.arm(f"clipped line, μ = {shift:g}", partial(clipped, shift, Line, size.critic))
    for loss in ("minimax", "non_saturating"):
        record.bar(f"{loss}, μ = {shift:g}: dL_G/dμ off, share", abs(found[loss] / best[loss] - 1), "<=", 0.02)
    off = abs(found["value"] - best["value"])
    record.bar(f"cross-entropy, μ = {shift:g}: value off 2 JSD - log 4", off, "<=", 0.01)
    off = abs(found["slope"] / -shift - 1)
    record.bar(f"cross-entropy, μ = {shift:g}: slope of D's logit off -μ, share", off, "<=", 0.03)
    off = abs(line["gradient_over_steepest"] / best["wasserstein"] - 1)
    record.bar(f"wasserstein, μ = {shift:g}: dL_G/dμ over slope off, share", off, "<=", 0.02)
    if shift == SHIFTS[-1]:
        ratio = found["minimax"] / found["non_saturating"]
        record.bar(f"μ = {shift:g}: saturating over non-saturating gradient", ratio, "<=", 1e-3)
        off = abs(line["gap_over_steepest_over_shift"] - 1)
        record.bar(f"clipped line, μ = {shift:g}: gap over slope off μ, share", off, "<=", 0.03)


def judge_penalty(record: Record, shift: float, size: Size) -> None:
    """A line must follow s = 1 + μ/2λ, the optimum of -μs + λ(s - 1)²; so 5 % need λ ≥ 10 μ. λ = 40 μ for the bars."""
    for weight in sorted({10.0, 40 * shift}):
        name = f"line, λ = {weight:g}, μ = {shift:g}"
        arm = record.arm(name, partial(penalised, shift, weight, Line, size.critic))
        off = abs(arm["gap_over_shift"] / arm["exact_line"] - 1)
        record.bar(f"{name}: gap over μ off 1 + μ/2λ, share", off, "<=", 0.005)
    record.arm(
        f"network, λ = 10, μ = {shift:g}, no warm-up",
        partial(penalised, shift, 10.0, Network, size.critic, warm_up=False),
    )
    for kind, make in (("line", Line), ("network", Network)):
        name = f"{kind}, λ = {40 * shift:g}, μ = {shift:g}"
        arm = record.arm(name, partial(penalised, shift, 40 * shift, make, size.critic))
        record.bar(f"{name}: mean slope, at least", arm["mean_slope"], ">=", 0.9)
        record.bar(f"{name}: mean slope, at most", arm["mean_slope"], "<=", 1.1)
        record.bar(f"{name}: gap off μ, share", abs(arm["gap_over_shift"] - 1), "<=", 0.05)
