"""Engines that play for a moment and are thrown away: what a round costs, in time and in memory."""

import contextlib
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganworks import machine
from ganworks.data.spec import Batch, DataSpec
from ganworks.training.engine import Engine


class untraced:
    """Whatever is played inside leaves the default generator as it was."""

    def __enter__(self) -> None:
        self._state = torch.default_generator.get_state()

    def __exit__(self, *_: object) -> None:
        torch.default_generator.set_state(self._state)


def midway(engine: Engine) -> Engine:
    """In the middle of its run, where a round is what most rounds are: the first ones may be longer (`wgan`)."""
    engine.step = engine.steps // 2 + 1
    return engine


def cycle(engine: Engine) -> int:
    """Rounds after which lazy penalties have been due once."""
    return int(engine.system.settings.objective.every)


def cost(engine: Engine, rounds: int) -> float:
    """Process CPU seconds of a round."""
    begun = machine.work(engine.device)
    for _ in range(rounds):
        engine.round()
    return (machine.work(engine.device) - begun) / rounds


def price(engine: Engine) -> float:
    """Process CPU seconds of a round in the middle of a run, once all is warm; lazy penalties have their share."""
    engine = midway(engine)
    with untraced():
        cost(engine, cycle(engine))
        return cost(engine, cycle(engine))


def usual(costs: list[float]) -> float:
    """The median. The first cycle warms caches up and allocates; it counts only where there is no other."""
    return statistics.median(costs[1:] or costs)


_PER_KERNEL, _PER_FLOP = 6e-6, 1 / 50e9
"""Seconds a call of a small kernel takes, and one floating-point operation in small convolutions (measured
2026-11-24 on one core of a Zen 4 server). They turn a budget into a step count that is the same on every machine."""


def work(engine: Engine) -> float:
    """Seconds that a round takes by its operations, the same on every machine."""
    engine = midway(engine)
    with untraced():
        rounds = cycle(engine)
        with _Work() as done:
            for _ in range(rounds):
                engine.round()
    return (done.flops * _PER_FLOP + done.kernels * _PER_KERNEL) / rounds


class _Work(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives its hooks no types
    """Counts the kernels that are called, and the operations of those whose count is known."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels = self.flops = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = function(*args, **(kwargs or {}))
        self.kernels += 1
        if count := flop_registry.get(function.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        return out


def kept(engine: Engine) -> int:
    """Bytes that wait for a backward pass, at most at once, beside the weights: what grows with the batch."""
    engine = midway(engine)
    shelf = _Shelf({weight.untyped_storage().data_ptr() for weight in engine.system.parameters()})
    with untraced(), torch.autograd.graph.saved_tensors_hooks(shelf.put, _Kept.take):
        for _ in range(cycle(engine)):
            engine.round()
    return shelf.most


@dataclass
class _Shelf:
    """Tensors that wait for a backward pass; several may share one storage.

    Args:
        weights: Storages that are there anyway.
    """

    weights: set[int]
    bytes: int = 0
    most: int = 0
    places: dict[int, int] = field(default_factory=dict)

    def put(self, tensor: Tensor) -> "_Kept":
        return _Kept(tensor, None if tensor.untyped_storage().data_ptr() in self.weights else self)

    def count(self, tensor: Tensor, more: int) -> None:
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        before = self.places.get(place, 0)
        self.places[place] = before + more
        if not before or not self.places[place]:
            self.bytes += more * storage.nbytes()
            self.most = max(self.most, self.bytes)


class _Kept:
    """One of them: on the shelf as long as the graph holds it."""

    def __init__(self, tensor: Tensor, shelf: _Shelf | None) -> None:
        self.tensor, self.shelf = tensor, shelf
        if shelf:
            shelf.count(tensor, 1)

    def take(self) -> Tensor:
        return self.tensor

    def __del__(self) -> None:
        if self.shelf:
            self.shelf.count(self.tensor, -1)


class Blank:
    """Rows of a shape without any content, for what depends on shapes alone."""

    streamed = False

    def __init__(self, spec: DataSpec) -> None:
        self.spec = spec

    def __len__(self) -> int:
        return self.spec.count

    def rows(self, indices: Tensor) -> Batch:
        """Zeros, and every label or domain in turn."""
        made = torch.zeros(len(indices), *self.spec.shape)
        if self.spec.kind == "pairs":
            return Batch({"source": torch.zeros(len(indices), *self.spec.source), "target": made})
        naming = "domain" if self.spec.kind == "domains" else "label"
        return Batch({"x": made, **({naming: self.labels[indices]} if self.spec.classes else {})})

    @property
    def labels(self) -> Tensor:
        """Every one in turn."""
        return torch.arange(len(self)) % max(len(self.spec.classes), 1)

    def expect(self, indices: Tensor) -> None:
        """They are there already."""


class Watermark:
    """The most memory that the process has held since the watermark was set.

    Where the system cannot forget an earlier flood (Linux can), it is that of the whole process.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._start = self.height

    @property
    def height(self) -> int:
        """In bytes."""
        try:
            found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        except OSError:
            found = None
        return int(found[1]) << 10 if found else machine.peak()

    @property
    def risen(self) -> int:
        """Bytes above what was held when it was set."""
        return self.height - self._start
