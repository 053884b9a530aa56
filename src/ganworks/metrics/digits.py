"""A small classifier of handwritten digits: a feature space of 64 numbers, and class logits.

It was trained by `experiments/digits_classifier.py` on pictures of which none are in the packed `digits` data.
"""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.metrics.spaces import FeatureSpace, bytes_of, frozen, in_batches

WEIGHTS = Path(__file__).with_name("digits.safetensors")
_VERSION = 1
"""Of what happens to a picture before and within the network: another number means other features."""


class Network(nn.Module):
    """Four convolutions, 64 features, ten classes; batch norm before each ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            *self._stage(1, 16), nn.MaxPool2d(2), *self._stage(16, 32), *self._stage(32, 48), nn.MaxPool2d(2),
            *self._stage(48, 64), nn.MaxPool2d(2)
        )  # fmt: skip
        self.hidden = nn.Linear(64 * 9, 64)
        self.classes = nn.Linear(64, 10)

    @staticmethod
    def _stage(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()

    def features(self, x: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 64"]:
        """What the last layer sees: (N, 64), 0 or more, of mean square 1 on the pictures it was trained on."""
        return F.relu(self.hidden(self.stages(x).flatten(1)))

    def forward(self, x: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        logits: Tensor = self.classes(self.features(x))
        return logits


class Digits(FeatureSpace):
    """Grey pictures of 28 x 28 pixels, white on black."""

    name = "digits"
    dimensions = 64
    classes = 10

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        content = WEIGHTS.read_bytes()
        self.network = Network()
        self.network.load_state_dict(load(content))
        frozen(self.network).to(dtype)
        self.dtype = dtype
        self.identity = f"{hashlib.sha256(content).hexdigest()} {_VERSION} {dtype}"

    def unfit(self, spec: DataSpec) -> str:
        """Its pictures have one size."""
        fits = spec.pictures and spec.shape == (1, 28, 28)
        return "" if fits else "grey pictures of 28 x 28 px"

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """(N, 1, 28, 28) in [-1, 1] to (N, 64). Raises: UsageError E-METRIC-01 for other shapes."""
        return in_batches(self.network.features, self._prepare(x))

    def logits(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n 10"]:
        """Class logits of the same pictures: (N, 10)."""
        return self.classify(self(x))

    def classify(self, features: Float[Tensor, "n 64"]) -> Float[Tensor, "n 10"]:
        """The same logits from features that are there already."""
        with torch.no_grad():
            logits: Tensor = self.network.classes(features)
        return logits

    def _prepare(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1:] != (1, 28, 28):
            needed = "grey pictures of shape (N, 1, 28, 28)"
            raise error("E-METRIC-01", metric=self.name, needed=needed, got=f"shape {tuple(x.shape)}")
        return bytes_of(x.cpu()).to(self.dtype) / 127.5 - 1
