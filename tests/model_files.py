"""Model folders with something wrong in them."""

import hashlib
import json
import os
import resource
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from ganworks.errors import ModelError
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


def with_config(whole: Path, folder: Path, change: Callable[[dict[str, Any]], Any] = lambda config: None) -> Path:
    """A copy whose config is changed."""
    shutil.copytree(whole, folder)
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
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


def refused(folder: Path) -> ModelError:
    """The error that a folder gives; in three parts of a bearable length, with nothing that invites to unsafe ways."""
    with pytest.raises(ModelError) as caught:
        GAN.load(folder)
    text = str(caught.value)
    assert caught.value.exit_code == 5
    assert len(text) < 1_500
    for word in ("weights_only", "allow_pickle", "unsafe", "trust_remote", "Traceback"):
        assert word not in text
    return caught.value


def in_a_narrow_process(model: Path) -> tuple[float, str]:
    """Load a model where no more than 200 MB can be had: megabytes at the peak, and the code or what else."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, from Python 3.12
        child = os.fork()
    if child == 0:
        said = "loaded"
        limit = virtual() + (200 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        before = peak()
        try:
            GAN.load(model)
        except ModelError as caught:
            said = f"{caught.code} {caught.details}"
        except BaseException as caught:
            said = repr(caught)
        os.write(writing, json.dumps([peak() - before, said[:500]]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        megabytes, said = json.loads(pipe.read())
    os.waitpid(child, 0)
    return megabytes, said


def virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
