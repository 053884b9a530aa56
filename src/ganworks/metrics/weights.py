"""The one place that reads weights which exist only as a `.pth` file.

Such a file is a pickle. It is read only if its SHA-256 stands in the table below, and then by torch's reader that
builds tensors and nothing else. No other file is ever opened.
"""

import hashlib
import io
from pathlib import Path

import torch
from torch import Tensor

from ganworks.errors import error

KNOWN = {
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db": "EfficientNet-Lite0, ImageNet, Apache-2.0",
}


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a known weights file.

    Raises: ModelError E-MODEL-20 if the file is not in the table, whatever its name.
    """
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest not in KNOWN:
        raise error("E-MODEL-20", path=path, details=[f"its SHA-256 is {digest}"])
    state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state
