"""One player's weights and gradients as one buffer each, and the rule that moves them."""

import torch
from torch import Tensor, nn

from ganworks.settings import PlayerSettings, at

_ALIGNED = 16
"""Every weight starts at a multiple of so many numbers: a cache line of float32, which kernels like."""


class Mover:
    """A player's parameters in one flat buffer, their gradient in another, and one optimizer of the two.

    A weight is a view of its buffer and keeps its strides; its gradient and its moments have the same place in theirs.
    So a gradient that is missing is zero everywhere, the finite check works on one tensor, and a step of the optimizer
    is one call, however many weights there are and whatever their layout: fused rules copy what is not contiguous, and
    train wrongly, without an error, where weight and moments differ in strides.

    Args:
        parameters: What the player moves, by name. A weight has one owner, and so one mover.
        settings: Rule, learning rate (at the start) and decays.

    Attributes:
        flat: The gradient, to be zeroed before each backward. Between the weights' places it stays zero.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], settings: PlayerSettings) -> None:
        self.parameters = parameters
        self.settings = settings
        self.tensors = list(parameters.values())
        self._places: dict[str, int] = {}
        end = 0
        for name, parameter in parameters.items():
            self._places[name] = -(-end // _ALIGNED) * _ALIGNED
            end = self._places[name] + parameter.numel()
        self._weights = torch.zeros(end, dtype=self.tensors[0].dtype, device=self.tensors[0].device)
        self.flat = self._weights.grad = torch.zeros_like(self._weights)
        for name, parameter in parameters.items():
            parameter.data = self._part(self._weights, name).copy_(parameter.detach())
            parameter.grad = self._part(self.flat, name)
        self.optimizer = self._fresh()

    def _part(self, buffer: Tensor, name: str) -> Tensor:
        """A weight's place in a buffer, with the weight's shape and strides."""
        parameter = self.parameters[name]
        return buffer.as_strided(parameter.shape, parameter.stride(), self._places[name])

    def _fresh(self) -> torch.optim.Optimizer:
        beta1, beta2 = self.settings.betas[0], at(self.settings.betas[1], 0, 1)
        if self.settings.optimizer == "adam":
            return torch.optim.Adam([self._weights], betas=(beta1, beta2), fused=True)
        if self.settings.optimizer == "rmsprop":
            return torch.optim.RMSprop([self._weights], alpha=beta2, foreach=True)
        return torch.optim.SGD([self._weights], lr=1e-3, fused=True)

    def restart(self) -> None:
        """Forget the moments: the optimizer starts anew."""
        self.optimizer = self._fresh()

    def step(self, lr: float, beta2: float | None = None) -> None:
        """Move the weights along their gradients. `beta2`: of this step; None: as at the start."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
            if beta2 is not None and "betas" in group:
                group["betas"] = (self.settings.betas[0], beta2)
            elif beta2 is not None and "alpha" in group:
                group["alpha"] = beta2
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments by parameter name and slot, and the count of steps."""
        tensors: dict[str, Tensor] = {}
        for slot, value in self.optimizer.state[self._weights].items():
            if not isinstance(value, Tensor):
                continue
            if slot == "step":
                tensors[slot] = value
            else:
                tensors |= {f"{name}.{slot}": self._part(value, name) for name in self.parameters}
        return tensors

    def load(self, state: dict[str, Tensor]) -> None:
        """Take moments back, each to the place of its weight."""
        self.restart()
        slots = self.optimizer.state[self._weights]
        # Fused rules count their steps beside the weights, the others on the CPU.
        counts = "cpu" if self.settings.optimizer == "rmsprop" else self._weights.device
        for key, value in state.items():
            if key == "step":
                slots[key] = value.to(counts, copy=True)
                continue
            name, slot = key.rsplit(".", 1)
            if slot not in slots:
                slots[slot] = torch.zeros_like(self._weights)
            self._part(slots[slot], name).copy_(value)
