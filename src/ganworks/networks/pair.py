"""What any pair of a generator and a discriminator is built from, and what a discriminator can be asked."""

from typing import NamedTuple, Protocol, cast, runtime_checkable

from jaxtyping import Float
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


class Headless(nn.Module):
    """A discriminator without its last layer: from samples to features (B, F), for other layers to go on from.

    Args:
        network: With `features` and a linear `head`, which is thrown away.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        assert isinstance(network.head, nn.Linear)
        self.count = network.head.in_features
        """F."""
        del network.head
        self.network = network

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        return cast(Featured, self.network).features(x)


class Heard(nn.Module):
    """A discriminator for one update that keeps the features it has judged: other heads read them without another pass.

    Args:
        network: With `features` and a linear `head`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.kept: list[Tensor] = []
        """Of every pass, in order."""

    def features(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """Those of feature matching, which no other head reads."""
        return cast(Featured, self.network).features(x)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        features = self.features(x)
        self.kept.append(features)
        assert isinstance(self.network.head, nn.Linear)
        return self.network.head(features).squeeze(1)
