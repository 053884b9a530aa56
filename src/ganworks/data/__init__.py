"""From a name, a path or arrays to batches and back.

Public names are imported when first used: a worker that decodes pictures has no need of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganworks.data.builtin import BuiltIn, names
    from ganworks.data.dataset import DataSet
    from ganworks.data.order import Order
    from ganworks.data.sources import open
    from ganworks.data.spec import Batch, DataSpec

_HOMES = {
    "Batch": "spec",
    "BuiltIn": "builtin",
    "DataSet": "dataset",
    "DataSpec": "spec",
    "Order": "order",
    "names": "builtin",
    "open": "sources",
}

__all__ = ["Batch", "BuiltIn", "DataSet", "DataSpec", "Order", "names", "open"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"ganworks.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ganworks.data' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
