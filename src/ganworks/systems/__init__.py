"""The systems, one file each, reading like its paper. Names are known without importing any of them."""

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from ganworks.errors import error
from ganworks.registry import suggestion

if TYPE_CHECKING:
    from ganworks.game import System

_BUILT_IN = {
    "r3gan": "R3GAN",
    "gan": "OriginalGAN",
    "dcgan": "DCGAN",
    "lapgan": "LAPGAN",
    "lsgan": "LSGAN",
    "wgan": "WGAN",
    "wgan_gp": "WGANGP",
    "sngan": "SNGAN",
    "unrolled": "Unrolled",
    "conditional": "Conditional",
    "semisupervised": "SemiSupervised",
    "progressive": "Progressive",
    "vae": "VAE",
    "mixture": "Mixture",
    "infogan": "InfoGAN",
    "bigan": "BiGAN",
    "biggan": "BigGAN",
    "pix2pix": "Pix2Pix",
    "cyclegan": "CycleGAN",
    "stargan": "StarGAN",
    "acgan": "ACGAN",
    "stylegan2": "StyleGAN2",
}


def names() -> list[str]:
    """All systems by name, the default first, those of other packages (entry point `ganworks.systems`) last."""
    return [*_BUILT_IN, *sorted(_others())]


def get(name: str) -> "type[System]":
    """The class of a system.

    Raises: UsageError for an unknown name, with the nearest known ones.
    """
    if name in _BUILT_IN:
        module = importlib.import_module(f"ganworks.systems.{name}")
        found: type[System] = getattr(module, _BUILT_IN[name])
        return found
    others = _others()
    if name not in others:
        raise error("E-NAME-01", name=name, details=suggestion(name, names()))
    loaded: type[System] = others[name].load()
    return loaded


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="ganworks.systems") if point.name not in _BUILT_IN}
