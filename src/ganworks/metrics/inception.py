"""The Inception of 2015 as a feature space: 2,048 numbers a picture, and 1,008 class logits.

Only in this network are a Fréchet distance, a kernel distance and an inception score what papers call FID, KID and IS.
The weights are a file that the user brings, `pt_inception-2015-12-05-6726825d.pth`: the TensorFlow graph of 5 December
2015 as tensors (torch-fidelity publishes the same bytes as `weights-inception-2015-12-05-6726825d.pth`). Three things
differ from the Inception v3 of later years: the last classes number 1,008, average pools do not count the padding, and
the last block takes a maximum where all others take a mean.
Source: Szegedy et al. 2016, table 1, with batch norm of epsilon 0.001; the protocol is Heusel et al. 2017.

Shapes: N pictures, C channels (1 or 3), H W height and width.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ganworks.metrics.spaces import FeatureSpace, bytes_of, color_or_grey, convolving, in_batches
from ganworks.metrics.weights import INCEPTION, fill, read

_VERSION = 1
"""Of what happens to a picture before and within the network: another number means other features."""
_BATCH = 8
"""Pictures of 299 pixels at once: their widest activations take 45 MB."""

Kernel = int | tuple[int, int]
Layer = tuple[str, int, Kernel]
"""The name of a convolution, its channels out, its kernel."""
Chain = Sequence[Layer | tuple[Layer, Layer]]
"""Layers one after another; two of them may stand beside each other at the end."""


class _Conv(nn.Module):
    """Convolution, batch norm, ReLU; with stride 1 the size stays, unless `valid`."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1, valid: bool = False) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if valid or stride > 1 else (height // 2, width // 2)
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Block(nn.Module):
    """Chains and a pool beside each other; their channels are stacked in this order.

    Args:
        inputs: Channels in.
        chains: Of convolutions.
        pooled: Channels after the pool; 0: the block halves the size, by the last layers' stride and a maximum.
        most: Pool by the maximum instead of the mean, where the size stays.
    """

    def __init__(self, inputs: int, chains: Sequence[Chain], pooled: int, most: bool = False) -> None:
        super().__init__()
        self.chains, self.halves, self.most = chains, not pooled, most
        for chain in chains:
            width = inputs
            for place, step in enumerate(chain):
                stride = 2 if self.halves and place == len(chain) - 1 else 1
                for name, outputs, kernel in _beside(step):
                    self.add_module(name, _Conv(width, outputs, kernel, stride))
                width = outputs
        if pooled:
            self.branch_pool = _Conv(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for chain in self.chains:
            y = x
            for step in chain:
                y = torch.cat([self.get_submodule(name)(y) for name, _, _ in _beside(step)], 1)
            parts.append(y)
        return torch.cat([*parts, self._pool(x)], 1)

    def _pool(self, x: Tensor) -> Tensor:
        if self.halves:
            return F.max_pool2d(x, 3, 2)
        if self.most:
            return self.branch_pool(F.max_pool2d(x, 3, 1, 1))
        return self.branch_pool(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


def _beside(step: Layer | tuple[Layer, Layer]) -> Sequence[Layer]:
    return (step,) if isinstance(step[0], str) else step


def _five(pooled: int, inputs: int) -> _Block:
    """35 x 35 pixels."""
    double: Chain = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
    chains: list[Chain] = [[("branch1x1", 64, 1)], [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)], double]
    return _Block(inputs, chains, pooled)


def _to_six() -> _Block:
    """35 to 17."""
    double: Chain = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
    return _Block(288, [[("branch3x3", 384, 3)], double], 0)


def _six(width: int) -> _Block:
    """17 x 17 pixels, kernels of 7 taken apart."""
    along, across = (1, 7), (7, 1)
    single: Chain = [("branch7x7_1", width, 1), ("branch7x7_2", width, along), ("branch7x7_3", 192, across)]
    double: Chain = [
        ("branch7x7dbl_1", width, 1), ("branch7x7dbl_2", width, across), ("branch7x7dbl_3", width, along),
        ("branch7x7dbl_4", width, across), ("branch7x7dbl_5", 192, along),
    ]  # fmt: skip
    return _Block(768, [[("branch1x1", 192, 1)], single, double], 192)


def _to_seven() -> _Block:
    """17 to 8."""
    seven: Chain = [
        ("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)),
        ("branch7x7x3_4", 192, 3),
    ]  # fmt: skip
    return _Block(768, [[("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)], seven], 0)


def _seven(inputs: int, most: bool) -> _Block:
    """8 x 8 pixels, kernels of 3 taken apart and put beside each other."""
    single: Chain = [("branch3x3_1", 384, 1), (("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1)))]
    double: Chain = [
        ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3),
        (("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))),
    ]  # fmt: skip
    return _Block(inputs, [[("branch1x1", 320, 1)], single, double], 192, most)


class Network(nn.Module):
    """The classifier. `forward` gives the pooled features, `fc` of them the 1,008 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3, valid=True)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3, valid=True)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _five(32, 192), _five(64, 256), _five(64, 288)
        self.Mixed_6a = _to_six()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_six(width) for width in (128, 160, 160, 192))
        self.Mixed_7a = _to_seven()
        self.Mixed_7b, self.Mixed_7c = _seven(1280, most=False), _seven(2048, most=True)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Float[Tensor, "n 3 299 299"]) -> Float[Tensor, "n 2048"]:
        for name, layer in self.named_children():
            if name == "fc":
                break
            x = layer(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = F.max_pool2d(x, 3, 2)
        return x.mean((2, 3))


class Inception2015(FeatureSpace):
    """The mean over the last grid of features, for pictures of any size brought to 299 x 299 as in 2015.

    Args:
        path: Of the weights file.
        dtype: That everything is computed in.
    Raises: ModelError E-MODEL-20 for any other file; DataError E-DATA-01 if there is none.
    """

    name = "inception-2015"
    dimensions = 2048
    classes = 1008
    size = 299

    def __init__(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        weights = read(path, INCEPTION)
        network = Network()
        fill(network, weights, path)
        self.network = convolving(network, dtype)
        self.dtype = dtype
        self.identity = f"{weights.digest} {_VERSION} {dtype}"

    def __call__(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """(N, C, H, W) in [-1, 1] to (N, 2048). Raises: UsageError E-METRIC-01 for other shapes."""
        return in_batches(lambda part: self.network(self.prepare(part)), color_or_grey(self.name, x), _BATCH)

    def classify(self, features: Float[Tensor, "n 2048"]) -> Float[Tensor, "n 1008"]:
        """Logits without the bias of the last layer: the inception score of 2016 leaves it out."""
        with torch.no_grad():
            return features @ self.network.fc.weight.T

    def prepare(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 s s"]:
        """What the network sees of pictures in [-1, 1]: 8 bits, resized, (value - 128) / 128, grey three times."""
        scaled = (resize(bytes_of(x).to(self.dtype), self.size) - 128) / 128
        return scaled.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def resize(x: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c s s"]:
    """Bilinear as TensorFlow 1: output pixel i lies at i * (pixels in / pixels out), and nothing is smoothed before.

    So the picture moves by up to half a pixel against what later libraries do, and large pictures alias.
    """
    for axis in (3, 2):
        pixels = x.shape[axis]
        place = torch.arange(size, dtype=x.dtype) * (torch.tensor(pixels, dtype=x.dtype) / size)
        low = place.long().clamp(max=pixels - 1)
        share = (place - low).view(-1, 1) if axis == 2 else place - low
        before = x.index_select(axis, low)
        x = before + (x.index_select(axis, (low + 1).clamp(max=pixels - 1)) - before) * share
    return x
