"""The look-ahead of unrolled GANs: a player's loss after K imagined updates of its opponent, with their graph.

Nothing of the opponent moves: its weights are carried along as functions of the player's own, and every buffer that its
steps would change is a clone.
Source: Metz et al. 2016, equations 5 and 6.
"""

import torch
from torch import Tensor
from torch.func import functional_call

from ganworks.game import Player, Round, System, Terms, owned

_EPSILON = 1e-16
"""Under Adam's root: √v itself has an infinite slope where a gradient is exactly zero (a dead ReLU)."""

Moments = dict[str, tuple[Tensor, Tensor]]


def loss_after(system: System, player: Player, opponent: Player, round: Round, steps: int, update: int) -> Terms:
    """A player's terms against the opponent as it would be after some updates.

    Args:
        system: As it stands.
        player, opponent: Who looks ahead, and at whom.
        round: The player's update; the imagined steps see the same real data and streams of their own.
        steps: K, 1 or more. With 0 the plain loss is meant, which is another path of kernels.
        update: Updates the opponent has made.
    Returns: the player's terms, with the graph through all K steps.
    """
    weights: dict[str, Tensor] = dict(owned(system, opponent))
    buffers = {name: buffer.clone() for name, buffer in system.named_buffers()}
    moments = {name: (torch.zeros_like(weight), torch.zeros_like(weight)) for name, weight in weights.items()}
    for k in range(steps):
        child = round.replay(opponent.name, update + k, k)
        terms = functional_call(system, {**weights, **buffers}, (opponent.name, child))
        total = torch.stack([term.sum() for term in terms.values()]).sum()
        found = torch.autograd.grad(total, list(weights.values()), create_graph=True, allow_unused=True)
        gradients = {
            name: torch.zeros_like(weight) if gradient is None else gradient
            for (name, weight), gradient in zip(weights.items(), found, strict=True)
        }
        weights, moments = _step(opponent, weights, gradients, moments, k + 1, round)
    mine = {name: buffer for name, buffer in buffers.items() if name.split(".", 1)[0] in opponent.networks}
    round.looking_ahead = True
    try:
        # Buffers of all others are the real ones: their batch statistics go on as in a plain turn.
        seen: Terms = functional_call(system, {**weights, **mine}, (player.name, round))
    finally:
        round.looking_ahead = False
    return seen


def _step(
    opponent: Player,
    weights: dict[str, Tensor],
    gradients: dict[str, Tensor],
    moments: Moments,
    count: int,
    round: Round,
) -> tuple[dict[str, Tensor], Moments]:
    """One imagined update by the opponent's own rule, with fresh moments."""
    settings = opponent.optimizer
    lr, beta1, beta2 = round.at(settings.lr), settings.betas[0], round.at(settings.betas[1])
    moved: dict[str, Tensor] = {}
    kept: Moments = {}
    for name, weight in weights.items():
        gradient, (m, v) = gradients[name], moments[name]
        if settings.optimizer == "sgd":
            moved[name], kept[name] = weight - lr * gradient, (m, v)
            continue
        v = beta2 * v + (1 - beta2) * gradient**2
        if settings.optimizer == "rmsprop":
            moved[name], kept[name] = weight - lr * gradient / (v + _EPSILON).sqrt(), (m, v)
            continue
        m = beta1 * m + (1 - beta1) * gradient
        scaled = (m / (1 - beta1**count)) / (v / (1 - beta2**count) + _EPSILON).sqrt()
        moved[name], kept[name] = weight - lr * scaled, (m, v)
    return moved, kept
