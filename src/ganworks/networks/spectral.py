"""Spectral normalisation: every layer's weight over its largest singular value, so that no layer stretches its input.

Source: Miyato et al. 2018, section 2.1 and algorithm 1. A departure: u begins as the exact singular vector instead of a
random one, so that σ is right at the start. Where two singular values change places one iteration an update follows
late, as in the paper: in the first rounds of `sngan` on digits a layer's norm was up to 1.24 instead of 1 (measured).
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganworks.penalties import output_rows, transposed_groups

Network = TypeVar("Network", bound=nn.Module)

_LAYERS = (
    nn.Linear,
    nn.Embedding,
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


def spectral_norm(network: Network) -> Network:
    """Divide the weight of every linear, embedding and convolutional layer inside by its σ. In place.

    A layer's `weight` is then W / σ, and W the parameter `parametrizations.weight.original`. W is normalised as a
    matrix (out, rest); a transposed convolution has its outputs in axis 1. To be called after the weights are drawn.

    Every forward pass in training makes one power iteration in each layer; evaluation changes nothing. Unlike
    PyTorch's, reading `weight` makes none: a penalty or a probe that looks at it leaves no trace.

    Returns: the same network.
    """
    for layer in list(network.modules()):
        if isinstance(layer, _LAYERS) and not parametrize.is_parametrized(layer, "weight"):
            spectral = Spectral(layer.weight, transposed_groups(layer))
            # Unsafe: without a trial run, which a network without storage (`training.building`) could not make.
            parametrize.register_parametrization(layer, "weight", spectral, unsafe=True)
            layer.register_forward_pre_hook(_iterate)
    return network


def _iterate(layer: nn.Module, _: object) -> None:
    if layer.training:
        weights = layer.get_submodule("parametrizations.weight")
        assert isinstance(weights, parametrize.ParametrizationList)
        spectral = weights[0]
        assert isinstance(spectral, Spectral)
        spectral.iterate(weights.original)


class Spectral(nn.Module):
    """From W to W / σ with σ = ‖Wᵀu‖, a function of W alone: no gradient flows through u.

    This is uᵀWv at v = Wᵀu / ‖Wᵀu‖, and its gradient is uvᵀ. So u is all that is kept, as in the paper's algorithm.
    A weight of zeros stays as it is.

    Args:
        weight: The layer's, with its initial values.
        groups: `penalties.transposed_groups` of the layer.
    """

    u: Tensor

    def __init__(self, weight: Float[Tensor, "..."], groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.register_buffer("u", _largest(output_rows(weight.detach(), groups)))

    @torch.no_grad()
    def iterate(self, weight: Float[Tensor, "..."]) -> None:
        """One step of the power iteration, in full precision: v ∝ Wᵀu, u ∝ Wv."""
        with torch.autocast(weight.device.type, enabled=False):
            rows = output_rows(weight, self.groups)
            u = rows @ F.normalize(self.u @ rows, dim=0)
            self.u.copy_(torch.where(u.any(), F.normalize(u, dim=0), self.u))

    def forward(self, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        # A copy: D may look at a second batch, and move u, before this batch's backward pass.
        u = self.u.clone()
        with torch.autocast(weight.device.type, enabled=False):
            sigma = torch.linalg.vector_norm(u @ output_rows(weight, self.groups))
        return weight / torch.where(sigma > 0, sigma, 1.0)


def _largest(rows: Float[Tensor, "out rest"]) -> Float[Tensor, " out"]:
    """The left singular vector of the largest singular value, by way of the smaller of WWᵀ and WᵀW."""
    if len(rows) > rows.shape[1]:
        _, vectors = torch.linalg.eigh(rows.T @ rows)
        return F.normalize(rows @ vectors[:, -1], dim=0)
    _, vectors = torch.linalg.eigh(rows @ rows.T)
    return F.normalize(vectors[:, -1], dim=0)
