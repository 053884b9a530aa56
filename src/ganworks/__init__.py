"""ganworks trains, measures, diagnoses and uses generative adversarial networks.

Public names are imported when first used, so that `import ganworks` costs no more than this file.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganworks import data, losses, metrics, penalties, systems, theory
    from ganworks.gan import GAN

_MODULES = ("data", "losses", "metrics", "penalties", "systems", "theory")
_HOMES = {"GAN": "ganworks.gan"}

__all__ = ["GAN", "data", "losses", "metrics", "penalties", "systems", "theory"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"ganworks.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ganworks' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
