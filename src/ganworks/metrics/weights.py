"""The one place that reads weights which exist only as a `.pth` file.

Such a file is a pickle. It is read only if its SHA-256 stands in the table below, and then by torch's reader that
builds tensors and nothing else. No other file is ever opened.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganworks.errors import GanworksError, error

KNOWN = {
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db": "EfficientNet-Lite0, ImageNet, Apache-2.0",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": (
        "pt_inception-2015-12-05-6726825d.pth, 95,628,359 bytes, Apache-2.0"
    ),
}
EFFNET, INCEPTION = KNOWN.values()
_LARGEST = 100_000_000
"""Bytes that a known file may have: more is hashed in pieces and never kept."""


class Weights(NamedTuple):
    """What a file holds, and its SHA-256."""

    tensors: dict[str, Tensor]
    digest: str


def read(path: Path, wanted: str) -> Weights:
    """The tensors of a known weights file.

    Args:
        path: Where it is.
        wanted: Its entry in the table.
    Raises: DataError E-DATA-01 if there is no such file; ModelError E-MODEL-20 if it is not the one that is wanted,
        whatever its name.
    """
    if not path.is_file():
        raise error("E-DATA-01", path=path, details=[f"needed: {wanted}"])
    with path.open("rb") as file:
        content = file.read(_LARGEST)
        hashed = hashlib.sha256(content)
        while more := file.read(1 << 20):
            hashed.update(more)
    digest = hashed.hexdigest()
    if KNOWN.get(digest) != wanted:
        raise _other(path, digest, wanted)
    tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return Weights(dict(tensors), digest)


def fill(network: nn.Module, weights: Weights, path: Path) -> None:
    """Put weights into a network whose names and shapes they must have. How many batches were seen does not matter.

    Raises: ModelError E-MODEL-20 if something is missing, too much, or of another shape.
    """
    given = _without_counts(weights.tensors)
    needed = {name: tuple(tensor.shape) for name, tensor in _without_counts(network.state_dict()).items()}
    found = {name: tuple(tensor.shape) for name, tensor in given.items()}
    if needed != found:
        wrong = sorted(name for name in needed.keys() | found.keys() if needed.get(name) != found.get(name))
        lines = [f"{name}: {found.get(name, 'missing')}, needed {needed.get(name, 'nothing')}" for name in wrong[:5]]
        raise error("E-MODEL-20", path=path, wanted=KNOWN[weights.digest], details=lines)
    network.load_state_dict(given, strict=False)


def _without_counts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}


def _other(path: Path, digest: str, wanted: str) -> GanworksError:
    known = next(sha for sha, what in KNOWN.items() if what == wanted)
    lines = [f"its SHA-256 is {digest}", f"needed is {known}"]
    return error("E-MODEL-20", path=path, wanted=wanted, details=lines)
