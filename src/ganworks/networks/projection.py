"""Labels in both networks: a G that starts from a latent and a label, a D that judges a sample as one of its label.

Letters: B batch, Z latent, F features, K classes, M samples in a pack.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ganworks.networks.pair import Featured


class Labelled(nn.Module):
    """G(z, y): any generator of latents (B, Z + K), whose last K numbers are the label, one-hot.

    Args:
        network: The generator.
        classes: K.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network = network
        self.classes = classes

    def forward(self, z: Float[Tensor, "b z"], label: Int64[Tensor, " b"]) -> Float[Tensor, "b ..."]:
        return self.network(torch.cat([z, F.one_hot(label, self.classes).to(z)], 1))


class Projection(nn.Module):
    """f(x, y) = head(φ(x)) + w ⟨e(y), φ(x)⟩: how real a sample is, and how much one of class y.

    The label meets the features in a product, so D has no way around it: a label that is joined with the input is one
    more input, which D can leave aside.
    Source: Miyato and Koyama 2018, equation 11 and figure 2.

    Args:
        network: A discriminator with `features` (B, F) and a linear `head`, which moves here.
        classes: K.
        pack: Samples that D judges together. Each place in a pack has an e of its own, and their sum is taken.
        weight: w; 0 leaves D without the label.
    """

    def __init__(self, network: nn.Module, classes: int, pack: int = 1, weight: float = 1.0) -> None:
        super().__init__()
        assert isinstance(network.head, nn.Linear)
        self.head = network.head
        del network.head
        self.network = network
        self.embedding = nn.Embedding(pack * classes, self.head.in_features)
        nn.init.normal_(self.embedding.weight, 0.0, 1 / math.sqrt(pack * self.head.in_features))
        self.classes, self.weight = classes, weight

    def features(self, x: Float[Tensor, "b ..."], label: Int64[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """φ(x): what the last layer judges. The label has no part in it."""
        return cast(Featured, self.network).features(x)

    def code(self, label: Int64[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """e(y) of labels (B,), or the sum over the places of packs (B, M)."""
        if label.dim() == 1:
            return self.embedding(label)
        places = torch.arange(label.shape[1], device=label.device) * self.classes
        return self.embedding(label + places).sum(1)

    def forward(self, x: Float[Tensor, "b ..."], label: Int64[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        features = self.features(x, label)
        return self.head(features).squeeze(1) + self.weight * (features * self.code(label)).sum(1)
