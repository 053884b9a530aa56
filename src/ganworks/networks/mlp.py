"""Fully connected networks, for points and for flattened pictures. Letters: B batch, F features."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.networks.pair import Pair, Sizes
from ganworks.random import shared

Activation = Callable[[], nn.Module]


def leaky() -> nn.Module:
    """LeakyReLU with the slope 0.2 that DCGAN made usual."""
    return nn.LeakyReLU(0.2)


def layers(sizes: list[int], activation: Activation) -> nn.Sequential:
    """Linear layers between the sizes, each followed by the activation."""
    return nn.Sequential(
        *(part for inner, outer in pairwise(sizes) for part in (nn.Linear(inner, outer), activation()))
    )


class Generator(nn.Module):
    """From latents (B, Z) to samples (B, *shape). `output` bounds them: tanh for pictures, nothing for points."""

    def __init__(
        self, latent: int, width: int, depth: int, shape: tuple[int, ...], activation: Activation, output: nn.Module
    ) -> None:
        super().__init__()
        self.shape = shape
        self.body = layers([latent, *[width] * depth], activation)
        self.head = nn.Linear(width, math.prod(shape))
        self.output = output

    def features(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b f"]:
        """What the last layer makes a sample of."""
        return self.body(z)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b ..."]:
        return self.output(self.head(self.features(z))).view(-1, *self.shape)


class Discriminator(nn.Module):
    """From samples (B, *shape) to logits (B,). It sees scale · (x + shift); with `scale` its slope can grow."""

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        depth: int,
        activation: Activation = leaky,
        scale: float = 1.0,
        shift: float = 0.0,
    ) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift
        self.body = layers([math.prod(shape), *[width] * depth], activation)
        self.head = nn.Linear(width, 1)

    def features(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        x = x.flatten(1)
        x = x + self.shift if self.shift else x
        return self.body(x if self.scale == 1 else x * self.scale)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


def pair(sizes: Sizes, *, scale: float = 1.0) -> Pair:
    """Three layers each, ReLU in G, LeakyReLU in D: the networks for points. `scale` as in `Discriminator`."""
    generator = Generator(sizes.latent, sizes.generator, 3, sizes.sample, nn.ReLU, nn.Identity())
    return generator, Discriminator(sizes.judged, sizes.discriminator, 3, scale=scale)


def pictures(sizes: Sizes) -> Pair:
    """Two layers each, LeakyReLU in both, for small pictures as rows of grey levels in [0, 1].

    A sample's levels come from a sigmoid, D is shown levels; outside both are numbers in [-1, 1], as all pictures are.
    """
    generator = Generator(sizes.latent, sizes.generator, 2, sizes.sample, leaky, Levels())
    return generator, Discriminator(sizes.judged, sizes.discriminator, 2, scale=0.5, shift=1.0)


class Levels(nn.Module):
    """2 σ(x) - 1 = tanh(x/2): grey levels σ(x) in [0, 1], as numbers in [-1, 1]."""

    def forward(self, x: Float[Tensor, "b f"]) -> Float[Tensor, "b f"]:
        return torch.tanh(x / 2)


class Dropout(nn.Module):
    """Each number is kept with probability 1 - p and divided by it, in training only.

    Unlike PyTorch's it draws for the global batch, so that several processes drop what one would.
    Source: Srivastava et al. 2014.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        if not self.training:
            return x
        keep = shared(lambda count: torch.rand((count, *x.shape[1:])), len(x)) >= self.p
        return x * keep.to(x.device) / (1 - self.p)


def he(module: nn.Module, gain: float = 1.0, slope: float = 0.2) -> None:
    """Weights N(0, gain² · 2 / ((1 + slope²) fan_in)), biases 0, for every linear and convolutional layer inside.

    Source: He et al. 2015, equation 15.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, 0.0, gain * math.sqrt(2 / ((1 + slope**2) * fan_in)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def orthogonal(module: nn.Module, gain: float) -> None:
    """Orthogonal weights times a gain, biases 0, for every linear layer inside. Source: Saxe et al. 2013."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)
