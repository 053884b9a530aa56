"""Model folders with something wrong in them."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ganworks.gan import GAN

SMALL: dict[str, Any] = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}

HEAVY: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a wide generator": lambda c: c["settings"]["generator"].update(width=100_000),
    "a wider generator": lambda c: c["settings"]["generator"].update(width=10**12),
    "a wide discriminator": lambda c: c["settings"]["discriminator"].update(width=10**6),
    "a long latent": lambda c: c["settings"]["latent"].update(size=10**10),
    "points of a billion numbers": lambda c: c["data"].update(shape=[10**9]),
    "points beyond 64 bits": lambda c: c["data"].update(shape=[2**62, 2**62]),
    "packs of a million": lambda c: (c["settings"].update(batch=10**6), c["settings"]["view"].update(pack=10**6)),
}
"""Settings that ask for more memory than there is."""


def saved(folder: Path) -> Path:
    """A small model of points, after two rounds."""
    gan = GAN("gan", **SMALL).start("ring", steps=10)
    gan.round()
    gan.round()
    return gan.save(folder)


def with_config(whole: Path, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy whose config is changed; a change that returns something stands for the whole config."""
    shutil.copytree(whole, folder)
    config = json.loads((folder / "config.json").read_text())
    replaced = change(config)
    keep = replaced is None or isinstance(replaced, int | str | list | dict | tuple) and config != json.loads(
        (whole / "config.json").read_text()
    )
    (folder / "config.json").write_text(json.dumps(config if keep else replaced))
    return folder


def sealed(whole: Path, folder: Path, content: bytes) -> Path:
    """A copy with another file of weights, whose hash stands in the config as if it had been saved like that."""
    with_config(whole, folder, lambda config: config.update(sha256=hashlib.sha256(content).hexdigest()))
    (folder / "model.safetensors").write_bytes(content)
    return folder


def rewritten(whole: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    """A copy with other tensors, saved as they should be."""
    tensors = safetensors.torch.load((whole / "model.safetensors").read_bytes())
    change(tensors)
    return sealed(whole, folder, safetensors.torch.save(tensors))
