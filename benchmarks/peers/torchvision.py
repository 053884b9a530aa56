"""A stand-in for torchvision, which two peers import on their way to functions that need none of it."""

import importlib.machinery
import sys
import types
from typing import Any


class _Empty(types.ModuleType):
    """A module with a class of any capital name, and a module of any other."""

    __version__ = "0"

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {}) if name[0].isupper() else _Empty(name)


class _NoTorchvision(importlib.machinery.PathFinder):
    """Any module `torchvision...`, with whatever is looked for in it.

    Two peers import torchvision on their way to functions that need none of it. The wheel beside a CPU build of torch
    fails on import, and would bring another torch.
    """

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, cls, is_package=True)  # type: ignore[arg-type]  # a class loads as well
        return None

    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Empty(spec.name)

    @staticmethod
    def exec_module(module: types.ModuleType) -> None:
        pass


def install() -> None:
    """From here on `import torchvision` gives the stand-in, where the real one is not installed."""
    sys.meta_path.append(_NoTorchvision)
