"""What a training is asked to be, and its judgement: settings in their order, before any data is opened."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from ganworks import model, plan, systems
from ganworks.errors import error, in_a_shell
from ganworks.session.origin import Origin, origin_of
from ganworks.settings import RunSettings, build, fit, inline, merge, nested, read
from ganworks.training import loggers


@dataclass(frozen=True)
class Order:
    """What a training is asked to be; None and {} leave it to the settings file and the defaults."""

    data: Any = None
    system: str | None = None
    steps: int | None = None
    time: float | None = None
    seed: int | None = None
    run: Path | None = None
    batch: int | str | None = None
    """`auto`: measured."""
    size: int | None = None
    mirror: bool | None = None
    on_bad: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    config: Path | None = None
    start_from: Path | None = None
    held_out: Any = None
    log: tuple[str, ...] = ()
    device: str | None = None
    patience: int | None = None
    processes: int | None = None


class Judged(NamedTuple):
    """An order that can be meant, as far as it can be told without the data.

    Attributes:
        given: The system's settings as far as somebody gave them, nested.
        where: The settings file, for messages.
    """

    run: RunSettings
    given: dict[str, Any]
    where: str
    measure_batch: bool
    origin: Origin | None


_OWN = ("system", "steps", "seed", "size", "mirror", "on_bad", "patience", "device")
_NAMES = ("data", "held_out", "start_from")


def judge(order: Order) -> Judged:
    """Settings in their order: defaults, the model that is started from, file, --set, own options.

    Raises: UsageError for what cannot be meant; ModelError for a model that cannot be started from.
    """
    _refuse_unbuilt(order)
    loggers.check(order.log)
    ours, theirs = model.split(read(order.config) if order.config else {})
    set_ours, set_theirs = model.split(nested(order.overrides))
    own = {name: getattr(order, name) for name in _OWN}
    own |= {name: str(getattr(order, name)) for name in _NAMES if is_named(getattr(order, name))}
    own = {name: value for name, value in own.items() if value is not None}
    if "start_from" in own:
        own["start_from_sha256"] = ""
    where = str(order.config or "")
    run = build(RunSettings, ours, set_ours, own, where=where)
    asked = {} if order.batch in (None, "auto") else {"batch": order.batch}
    if not run.start_from:
        return Judged(run, _given(run.system, theirs, set_theirs, asked), where, order.batch == "auto", None)
    _given(run.system, theirs, set_theirs, asked)  # what is wrong with them is said before a model is read
    origin = origin_of(run, where)
    run = run.model_copy(update={"system": origin.system, "start_from_sha256": origin.sha256})
    given = _given(run.system, origin.settings, theirs, set_theirs, asked)
    return Judged(run, given, where, order.batch == "auto", origin)


def _given(system: str, *layers: Mapping[str, Any]) -> dict[str, Any]:
    made = systems.get(system or plan.DEFAULT).Settings
    given: dict[str, Any] = {}
    for layer in layers:
        given = merge(given, fit(made, layer))
    return given


def is_named(data: object) -> bool:
    """Whether data are given by a name or a path, and not as such."""
    return isinstance(data, str | Path)


def _refuse_unbuilt(order: Order) -> None:
    if order.steps is not None and order.time is not None:
        raise error("E-USE-01", verb="train", reason="--steps and --time both say how long; give one")
    unbuilt = {
        "--processes": order.processes not in (None, 1),
    }
    for option, asked in unbuilt.items():
        if asked:
            raise error("E-USE-02", verb=option)
    if order.run is not None and order.run.exists():
        raise error("E-RUN-01", path=order.run)


def command(order: Order, **changes: Any) -> str:
    """The order as it is typed, with some of it changed. Data that have no name are DATA."""
    told = replace(order, **changes)
    words = [] if told.data is None else [in_a_shell(Path(told.data)) if is_named(told.data) else "DATA"]
    for each in fields(told):
        value = getattr(told, each.name)
        if each.name in ("data", "overrides") or value is None or value is False:
            continue
        option = "--from" if each.name == "start_from" else f"--{each.name.replace('_', '-')}"
        for one in value if isinstance(value, tuple) else (value,):
            words += [option] if one is True else [option, _typed(one)]
    for key, value in told.overrides.items():
        words += ["--set", shlex.quote(f"{key}={inline(value)}")]
    return " ".join(["ganworks train", *words])


def _typed(value: object) -> str:
    if isinstance(value, Path):
        return in_a_shell(value)
    return shlex.quote(str(value)) if isinstance(value, str | int | float) else "DATA"
