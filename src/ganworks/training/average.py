"""The moving average of the weights that samples are drawn from, and the copies that draw them."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganworks.game import System
from ganworks.random import Streams
from ganworks.settings import AverageSettings

CHUNK = 32
"""Rows of one call of `generate`. Fixed: kernels round differently for other sizes."""
_STATISTICS_BATCHES = 16


class Average:
    """Exponential moving averages of some networks, updated once a round.

    Args:
        system: Whose networks.
        settings: Half-life in samples; `rampup` limits it to a share of the samples seen so far, as StyleGAN2-ADA does.
    """

    def __init__(self, system: System, settings: AverageSettings) -> None:
        self.settings = settings
        names = system.averaged if settings.half_life != 0 else ()
        self.networks = {name: _copy(getattr(system, name)) for name in names}
        pairs = [
            (kept, weight)
            for name, network in self.networks.items()
            for kept, weight in zip(network.parameters(), getattr(system, name).parameters(), strict=True)
        ]
        self._kept: list[Tensor] = [kept for kept, _ in pairs]
        self._weights: list[Tensor] = [weight.detach() for _, weight in pairs]

    def update(self, samples: int, batch: int, half_life: float) -> None:
        """One round has passed. samples: real samples seen before it; batch: seen in it; half_life: of this round."""
        if not self._kept:
            return
        if self.settings.rampup:
            half_life = min(half_life, (samples + batch) * self.settings.rampup)
        kept = 0.5 ** (batch / half_life) if half_life else 0.0
        torch._foreach_lerp_(self._kept, self._weights, 1 - kept)

    def state(self) -> dict[str, Tensor]:
        """Averaged weights by name."""
        return {
            f"{name}.{key}": parameter.detach()
            for name, network in self.networks.items()
            for key, parameter in network.named_parameters()
        }


def _copy(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(False).eval()


def _at_rest(network: nn.Module) -> nn.Module:
    return _copy(network).cpu()


def for_sampling(system: System, average: Average | None, seed: int) -> System:
    """A copy of the system in eval mode that generates with the averages, buffers up to date; on the CPU, wherever it
    is played, so that a model's samples are the same everywhere.

    Batch-norm statistics belong to the weights they were measured with: they are measured anew for the averages, on
    batches of the copy's own. Nothing of the system or of its randomness is touched.
    """
    still = copy.copy(system)
    still._modules = dict(system._modules)
    still._buffers = {name: kept if kept is None else kept.cpu() for name, kept in system._buffers.items()}
    for name, network in system.named_children():
        kept = None if average is None else average.networks.get(name)
        twin = _at_rest(network)
        if kept is not None:
            for parameter, averaged in zip(twin.parameters(), kept.parameters(), strict=True):
                parameter.copy_(averaged)
        still._modules[name] = twin
    still.training = False
    _measure_statistics(still, seed)
    return still


def _measure_statistics(system: System, seed: int) -> None:
    norms = [module for name in system.averaged for module in _batch_norms(getattr(system, name))]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    for chunk in range(_STATISTICS_BATCHES):
        _generate(system, Streams((seed, "statistics"), CHUNK).at(chunk))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def _generate(system: System, random: Streams, **given: Tensor) -> dict[str, Tensor]:
    """One chunk. Whatever draws from the default generator gets the chunk's key, and leaves no trace behind."""
    before = torch.default_generator.get_state()
    try:
        torch.default_generator.manual_seed(random.key())
        with torch.no_grad():
            return dict(system.generate(CHUNK, random, **given))
    finally:
        torch.default_generator.set_state(before)


def sample(
    system: System,
    count: int,
    seed: int,
    done: Callable[[int], None] = lambda rows: None,
    start: int = 0,
    **given: Tensor,
) -> dict[str, Tensor]:
    """`count` samples of a system in eval mode; sample i depends on the seed and on i, to the bit, for any count.

    Args:
        system: As `for_sampling` returns it.
        done: Called after each chunk with the rows that are there.
        start: Leave out so many of them at the beginning, a multiple of `CHUNK`.
        given: Conditions, one row for each sample that is not left out, such as `label` (count,).
    """
    chunks = []
    for chunk in range(start // CHUNK, -(-count // CHUNK)):
        at = chunk * CHUNK - start
        rows = {name: _padded(values[at : at + CHUNK]) for name, values in given.items()}
        chunks.append(_generate(system, Streams((seed, "sample"), CHUNK).at(chunk), **rows))
        done(min(count, (chunk + 1) * CHUNK))
    return {name: torch.cat([chunk[name] for chunk in chunks])[: count - start] for name in chunks[0]} if chunks else {}


def _padded(rows: Tensor) -> Tensor:
    missing = CHUNK - len(rows)
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing else rows
