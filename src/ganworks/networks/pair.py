"""What any pair of a generator and a discriminator is built from, and what a discriminator can be asked."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

Pair = tuple[nn.Module, nn.Module]
"""A generator and a discriminator, with their initial weights."""


class Sizes(NamedTuple):
    """What a system tells its networks.

    Attributes:
        latent: Numbers that G starts from.
        generator, discriminator: Widths.
        sample: The shape of a sample.
        judged: The shape of what D judges at once: a sample, or a pack of them.
    """

    latent: int
    generator: int
    discriminator: int
    sample: tuple[int, ...]
    judged: tuple[int, ...]


@runtime_checkable
class Featured(Protocol):
    """Every discriminator: it shows what its last layer judges."""

    def features(self, *args: Tensor, **inputs: Tensor) -> Tensor: ...
