"""What may change between two parts of a run: how long it is or waits, and how often it records, samples and saves."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ganworks import model, systems
from ganworks.errors import error
from ganworks.session.order import Order, command
from ganworks.settings import RunSettings, build, fit, inline, merge, nested

FREE = ("steps", "patience", "record.every", "sample.every", "checkpoint.every")
_LINES, _LONGEST = 9, 60
"""Lines of an error's details, and characters of a value in them."""


class Judged(NamedTuple):
    """The settings that a run goes on with.

    Attributes:
        run: With the horizon that the run began with.
        given: The system's, nested.
        goal: The step to go on to, where `steps` was changed; 0 where it was not.
    """

    run: RunSettings
    given: dict[str, Any]
    goal: int


def judge(
    path: Path, config: Mapping[str, Any], recorded: Mapping[str, Any] | None, overrides: Mapping[str, Any]
) -> Judged:
    """Lay what is asked over what the run has, if only what is free changes.

    Args:
        path: The run's folder.
        config: Its config.toml as it is now; what is missing there is as it was.
        recorded: The settings as a checkpoint has kept them; None where there is none that did.
        overrides: What is asked for, by dotted key.
    Raises: UsageError for unknown names and values that cannot be meant, and for every other setting that differs.
    """
    before = config if recorded is None else recorded
    asked = _fitted(str(before.get("system", "")), before, nested(overrides))
    wanted = merge(merge(before, config), asked)
    was, now = dict(flat(before)), dict(flat(wanted))
    changed = [key for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key) and key not in FREE]
    if changed:
        words = dict(flat(asked))
        lines = [
            f"{key} is {_brief(was.get(key))} in the run, and "
            f"{'asked for is' if key in words else 'config.toml says'} {_brief(now.get(key))}"
            for key in changed
        ]
        raise error("E-RUN-04", path=path, details=_packed(lines), instead=_instead(path, wanted, asked, changed))
    ours, theirs = model.split(wanted)
    run = build(RunSettings, ours, where=str(path / "config.toml"))
    goal = 0 if run.steps == was.get("steps") else run.steps
    return Judged(run.model_copy(update={"steps": was.get("steps", run.steps)}), theirs, goal)


def _fitted(system: str, before: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked for in the types of the settings: a name or a value that cannot be meant is refused as such."""
    (ours, theirs), (our_asked, their_asked) = model.split(before), model.split(asked)
    made = systems.get(system).Settings
    build(RunSettings, ours, our_asked)
    build(made, theirs, their_asked, system=system)
    return fit(RunSettings, our_asked) | fit(made, their_asked)


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by dotted key; a schedule is one value."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and "from" not in value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def free(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What may change, by dotted key."""
    return {key: value for key, value in flat(settings) if key in FREE}


def _brief(value: Any) -> str:
    text = "missing" if value is None else inline(value) or "empty"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _packed(lines: list[str]) -> list[str]:
    """Every one of them, on as many lines as an error has."""
    each = -(-len(lines) // _LINES)
    return ["; ".join(lines[start : start + each]) for start in range(0, len(lines), each)]


def _instead(path: Path, wanted: Mapping[str, Any], asked: Mapping[str, Any], changed: list[str]) -> str:
    """A new run that starts from this one, with these changes."""
    given = dict(flat(asked))
    overrides = {key: given[key] for key in changed if key in given}
    if set(changed) <= overrides.keys():
        return command(Order(data=str(wanted["data"]), start_from=path, overrides=overrides))
    return command(Order(config=path / "config.toml", start_from=path, overrides=overrides))
