"""One player's weights, their flat gradient and the rule that moves them."""

import torch
from torch import Tensor, nn

from ganworks.settings import PlayerSettings


class Mover:
    """A player's parameters with one flat gradient buffer and one optimizer.

    Every gradient is a view of one buffer, zeroed before each backward: a missing gradient is zero everywhere, and the
    finite check works on one tensor. The views have their weight's strides, for fused optimizers trust them.

    Args:
        parameters: What the player moves, by name.
        settings: Rule, learning rate (at the start) and decays.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], settings: PlayerSettings) -> None:
        self.parameters = parameters
        self.settings = settings
        self.tensors = list(parameters.values())
        self.flat = torch.zeros(sum(p.numel() for p in self.tensors), dtype=self.tensors[0].dtype)
        self.optimizer = self._fresh()

    def _fresh(self) -> torch.optim.Optimizer:
        beta1, beta2 = self.settings.betas
        if self.settings.optimizer == "adam":
            return torch.optim.Adam(self.tensors, betas=(beta1, beta2), fused=True)
        if self.settings.optimizer == "rmsprop":
            return torch.optim.RMSprop(self.tensors, alpha=beta2, foreach=True)
        return torch.optim.SGD(self.tensors, lr=1e-3, fused=True)

    def attach(self) -> None:
        """Point the weights' gradients at the flat buffer. A weight has one owner, so this is done once."""
        offset = 0
        for parameter in self.tensors:
            parameter.grad = self.flat.as_strided(parameter.shape, parameter.stride(), offset)
            offset += parameter.numel()

    def restart(self) -> None:
        """Forget the moments: the optimizer starts anew."""
        self.optimizer = self._fresh()

    def step(self, lr: float) -> None:
        """Move the weights along their gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts by parameter name and slot."""
        slots = self.optimizer.state
        return {
            f"{name}.{slot}": value
            for name, parameter in self.parameters.items()
            for slot, value in slots.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Take moments back, with their weight's strides: fused Adam trains wrongly, without an error, on others."""
        self.restart()
        for name, parameter in self.parameters.items():
            slots = {}
            for key, value in state.items():
                owner, slot = key.rsplit(".", 1)
                if owner == name:
                    like = torch.empty_like(parameter) if value.shape == parameter.shape else torch.empty_like(value)
                    slots[slot] = like.detach().copy_(value)
            if slots:
                self.optimizer.state[parameter] = slots
