"""Tensors in a file from anywhere. The file is data: its header is judged before anything is believed or allocated."""

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from ganworks.errors import error
from ganworks.training import disk

_LONGEST_HEADER = 4 << 20
"""Bytes; room for some 35,000 tensors. The format allows 100 MB, whose names alone would take a gigabyte here."""
_NOT_TENSORS = (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError, RecursionError)


def read(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, as views of the file: they cost memory once they are copied.

    Raises: ModelError if it is no such file, names a tensor twice, or has another hash; ResourceError if it cannot be
        opened.
    """
    if not path.is_file():
        raise error("E-MODEL-01", path=path.parent, details=[f"it has no {path.name}"])
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise ValueError("its hash is not the one that was written down")
        _judge_header(path)
        return safetensors.torch.load_file(path)
    except OSError as caught:
        raise disk.refusal(caught, path) from None
    except _NOT_TENSORS as caught:
        raise error("E-MODEL-01", path=path, details=[f"{caught}"[:200]]) from None


def _judge_header(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("it is no safetensors file: its first bytes give no length of a header")
        json.loads(file.read(length), object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    """Two entries of one name would mean one thing to one reader and another to the next."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("its header names something twice")
