"""What the discriminator says at a step, of rows it has trained on, of held-out rows, and of fresh samples.

A copy plays, in training mode as in the game, through the same view: the game's modules are not touched.
"""

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch
from ganworks.diagnosis import measures
from ganworks.game import System
from ganworks.objective import full
from ganworks.round import Round
from ganworks.training.engine import Engine

_PROBABILITIES = ("minimax", "non_saturating")
"""Losses whose logits are those of a probability: σ(f) is meant to be the share of reals."""


_SLOPES = 128
"""Rows at which D's slope is taken, of each side."""


def judged(engine: Engine, system: Adversarial, trained: Batch, held_out: Batch | None) -> dict[str, float]:
    """D's numbers.

    Args:
        engine: Whose counters name the draws.
        system: A copy, to be used up: its layers may learn statistics here.
        trained, held_out: As D is given batches; equally many rows.
    """
    train_logits, fake_logits, slope_real, slope_fake = _said(engine, system, trained, slopes=True)
    other, memory = train_logits, None
    if held_out is not None:
        other, *_ = _said(engine, system, held_out)
        memory = measures.memory(train_logits, other, fake_logits)
    probability = system.settings.objective.loss in _PROBABILITIES
    return measures.known({
        "probe.accuracy_trained": measures.ranked(train_logits, fake_logits),
        "probe.slope_real": slope_real,
        "probe.slope": slope_fake,
        "probe.memory": memory,
        "probe.accuracy": measures.ranked(other, fake_logits),
        "probe.sign": _sign(system.objective.loss.middle, train_logits, fake_logits),
        "probe.calibration": measures.calibration_error(other, fake_logits) if probability else None,
        "probe.saturation": measures.saturation(fake_logits) if probability else None,
    })  # fmt: skip


def first_samples(engine: Engine, system: Adversarial, beginning: Adversarial, rows: Batch) -> float | None:
    """The share of pairs in which D rates real rows above samples of a G that has not moved.

    Args:
        system: A copy of the game as it is now.
        beginning: The system as it was built.
    """
    system.generator = beginning.generator
    real, fake, *_ = _said(engine, system, rows)
    return measures.ranked(real, fake)


def _sign(middle: float | None, real: Tensor, fake: Tensor) -> float | None:
    """r_t = E sign f(x) on training rows; where the loss leaves f's constant open, E sign(f(x) - f(G)).

    Source: Karras et al. 2020, equation 1; Huang et al. 2024 for the relativistic losses.
    """
    right = measures.ranked(real, fake)
    if right is None:
        return None
    return 2 * right - 1 if middle is None else float((real - middle).sign().mean())


def _said(
    engine: Engine, system: Adversarial, rows: Batch, slopes: bool = False
) -> tuple[Tensor, Tensor, float, float]:
    """Logits of reals and of fresh samples, from the same latents at each call of a step, and with `slopes` E ‖∇f‖."""
    round = at(engine, rows.count, rows)
    view = system.objective.view
    with torch.random.fork_rng(devices=[]):
        round.begin_update("probe", engine.step)
        with torch.no_grad():
            sides = {"real": dict(system.real(round)), "fake": dict(system.fake(round))}
        said, steep = [], []
        for side, inputs in sides.items():
            inputs = {name: full(values.detach()) for name, values in inputs.items()}
            packed, see = dict(view.pack(inputs)), view.fixed(round, side)
            seen = see(packed)
            with torch.no_grad():
                said.append(_flat(full(system.discriminator(**seen))).cpu())
            steep.append(_slope(system, seen) if slopes else math.nan)
    return said[0], said[1], steep[0], steep[1]


def _flat(logits: Tensor) -> Tensor:
    """One logit a sample: the mean over patches."""
    return logits if logits.dim() == 1 else logits.flatten(1).mean(1)


def _slope(system: Adversarial, seen: Mapping[str, Tensor]) -> float:
    """E ‖∇f(x)‖ of some rows, of the sum over patches, as the penalties take it."""
    some = {name: values[:_SLOPES] for name, values in seen.items()}
    x = some["x"].detach().requires_grad_()
    (slope,) = torch.autograd.grad(full(system.discriminator(**{**some, "x": x})).sum(), x)
    return float(slope.flatten(1).norm(dim=1).mean())


def at(engine: Engine, count: int, real: Mapping[str, Tensor]) -> Round:
    """A round of its own at the engine's step: it draws from streams that training never uses."""
    batch = Batch(dict(real))
    round = Round(engine.seed, engine.steps, count, lambda: batch, device=engine.device)
    round.begin(engine.step, "probe", 0.0)
    return round


def copied(engine: Engine) -> System:
    """A copy of the game's system, as it plays."""
    return copy.deepcopy(engine.system).train()
