"""How long work says how far it is, and a training what happened: to whoever listens."""

from collections.abc import Callable, Mapping
from typing import Any

Tell = Callable[[Mapping[str, Any]], None]
"""Takes a record: of a step, `{"task", "done", "total"}` of other work, or a `{"message"}`."""


def report(tell: Tell | None, task: str, done: int, total: int, every: int = 1) -> None:
    """Say how far a task is: at each `every`-th part, and at its end."""
    if tell is not None and (done % every == 0 or done == total):
        tell({"task": task, "done": done, "total": total})
