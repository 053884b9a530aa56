"""Building a system from settings that may come from anywhere, to hold weights that are there already."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganworks.errors import GanworksError, error
from ganworks.game import System
from ganworks.training.average import Average

_UNSAVED = 64 << 20
"""Bytes of buffers that are computed and not saved, such as tables of positions, at most."""
_BUILDING, _BUILDING_EACH = 10_000, 100
"""Operations that the building of a system may take, and for each tensor it has."""


def laid_out(system: System) -> System:
    """The layout in memory that suits the data, the same in training and in use: it decides about the last bits."""
    if system.data.pictures:
        # Convolutions are up to twice as fast in this layout on a CPU. Shapes and numbers stay what they are.
        return system.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
    return system


def check(path: Path, make: Callable[[], System], tensors: Mapping[str, Tensor]) -> None:
    """Refuse settings that ask for other weights than there are, before any memory is given to them.

    The system is built without storage first: settings from anywhere may ask for a petabyte, or for a billion layers.

    Raises: ModelError that names the first weights that differ.
    """
    system, wanted = _without_storage(path, make, _BUILDING + _BUILDING_EACH * len(tensors))
    compare(path, tensors, wanted)
    unsaved = sum(buffer.nbytes for name, buffer in system.named_buffers() if f"system/{name}" not in wanted)
    if unsaved > _UNSAVED:
        raise error("E-MODEL-02", path=path, reason=f"they ask for {unsaved:,} bytes beside the weights")


def compare(path: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse tensors whose names, shapes or types are not those of a system and its average.

    Raises: ModelError that names the first ones that differ.
    """
    have, asked = _weights(tensors), _weights(wanted)
    different = [
        f"{name}: {_form(have.get(name))}, and not {_form(asked.get(name))}"
        for name in sorted(have.keys() | asked.keys())
        if _form(have.get(name)) != _form(asked.get(name))
    ]
    if different:
        reason = "its weights are not those its settings ask for"
        raise error("E-MODEL-02", path=path, reason=reason, details=map(brief, different[:3]))


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(("system/", "average/"))}


def _without_storage(path: Path, make: Callable[[], System], operations: int) -> tuple[System, dict[str, Tensor]]:
    """A system whose tensors have shapes and nothing else, and what it would save."""
    try:
        with torch.device("meta"), _Bounded(operations):
            system = make()
            average = Average(system, system.settings.average)
    except GanworksError:
        raise
    except Exception as caught:  # a system's own way to say that it cannot be built like that
        details = [brief(f"{type(caught).__name__}: {caught}".splitlines()[0])]
        raise error("E-MODEL-02", path=path, reason="no system can be built from them", details=details) from None
    wanted = {f"system/{name}": tensor for name, tensor in system.state_dict().items()}
    return system, wanted | {f"average/{name}": tensor for name, tensor in average.state().items()}


def _form(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


class _Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives its hooks no types
    """Ends the building of a system after so many operations."""

    def __init__(self, operations: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.left = operations

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.left -= 1
        if self.left < 0:
            raise ValueError("it would have far more layers than weights")
        return function(*args, **(kwargs or {}))


def brief(text: str) -> str:
    """A hostile file may make messages of any length."""
    return text if len(text) <= 200 else text[:200] + "…"
