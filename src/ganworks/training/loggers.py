"""Loggers: watchers that hand a run's records to other tools. None of them can stop a training, or hold it up."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol

from ganworks.errors import GanworksError, error
from ganworks.registry import suggestion
from ganworks.training.folder import RunFolder

_WAITING = 10_000
"""Records that may wait for a slow logger; what comes then is left out."""
_GOODBYE = 10.0
"""Seconds a logger has to finish in."""


class Logger(Protocol):
    """What takes records; it runs in a thread of its own."""

    def record(self, values: Mapping[str, Any]) -> None:
        """One record: `step`, and numbers by name."""

    def close(self) -> None:
        """The training is over."""


class TensorBoard:
    """Scalars and sample grids in RUN/tensorboard, by torch's own writer.

    Args:
        run: Its folder.
        step: Where the training goes on: what was written beyond it by an earlier part is taken back.
    """

    def __init__(self, run: RunFolder, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._samples, self._shown = run.samples, step if step else -1
        folder = str(run.path / "tensorboard")
        self._writer = SummaryWriter(folder, purge_step=step + 1 if step else None, flush_secs=30)

    def record(self, values: Mapping[str, Any]) -> None:
        """Terms, learning rates and seconds by their names; what stays the same in a run is no curve."""
        for name, value in values.items():
            if "." in name or name == "seconds":
                tag = name.replace(".", "/", 1)
                self._writer.add_scalar(tag, value, values["step"])
        self._show()

    def _show(self) -> None:
        import numpy as np
        from PIL import Image

        for path in sorted(self._samples.glob("[0-9]*.png")):
            step = int(path.stem)
            if step > self._shown:
                with Image.open(path) as picture:
                    pixels = np.asarray(picture.convert("RGB"))
                self._writer.add_image("samples", pixels, step, dataformats="HWC")
                self._shown = step

    def close(self) -> None:
        """Show the last grid and write what waits."""
        self._show()
        self._writer.close()


_LOGGERS: dict[str, Callable[[RunFolder, int], Logger]] = {"tensorboard": TensorBoard}
_PACKAGES = {"tensorboard": "tensorboard"}


def names() -> list[str]:
    """All loggers, whether their packages are installed or not."""
    return sorted(_LOGGERS)


def check(wanted: Sequence[str]) -> None:
    """Refuse what cannot log.

    Raises: UsageError for an unknown name; ResourceError for a logger whose package is not installed.
    """
    for name in wanted:
        if name not in _LOGGERS:
            near = suggestion(name, _LOGGERS) or [f"loggers: {', '.join(names())}"]
            raise error("E-NAME-08", name=name, details=near)
        if not find_spec(_PACKAGES[name]):
            raise error("E-ENV-21", name=name)


@contextlib.contextmanager
def logging(wanted: Sequence[str], run: RunFolder, step: int) -> Iterator[list["Beside"]]:
    """Loggers as watchers of a run, from this step on. Whatever goes wrong with one is told in the run's log.

    Args:
        wanted: Names that `check` has passed; one counts once.
    """
    begun = [Beside(name, partial(_LOGGERS[name], run, step)) for name in dict.fromkeys(wanted)]
    try:
        yield begun
    finally:
        for each in begun:
            if trouble := each.finish():
                with contextlib.suppress(GanworksError):  # a full disk must not hide how the training ended
                    run.log(trouble)


class Beside:
    """A logger in a thread of its own: the training neither waits for it nor hears its errors, except once.

    As a watcher it raises what the logger has raised, so that the loop drops it and says so.
    """

    def __init__(self, name: str, make: Callable[[], Logger]) -> None:
        self.__qualname__ = f"logger {name}"
        self._make = make
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_WAITING)
        self._failure: Exception | None = None
        self._told = False
        # A thread that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=self.__qualname__, daemon=True)
        self._thread.start()

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Hand a record over; messages and other news are none."""
        if self._failure is not None:
            self._told = True
            raise self._failure
        if "step" in record:
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(record)

    def _work(self) -> None:
        try:
            logger = self._make()
            while (record := self._waiting.get()) is not None:
                logger.record(record)
            logger.close()
        except Exception as caught:
            self._failure = caught

    def finish(self) -> str:
        """Let the logger close; gives what went wrong and was not told yet."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=_GOODBYE)
        self._thread.join(_GOODBYE)
        if self._thread.is_alive():
            return f"the {self.__qualname__} did not finish within {_GOODBYE:g} s and is left behind"
        if self._failure is None or self._told:
            return ""
        return f"the {self.__qualname__} failed: {type(self._failure).__name__}: {self._failure}"
