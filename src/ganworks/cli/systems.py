"""`ganworks systems`: the GANs there are, and every setting of one."""

from typing import Annotated, Any, get_args

from cyclopts import Parameter

from ganworks.cli.output import DEFAULT, Output, table

# Not in the docstring: of a single parameter beside examples the parser would see nothing.
Name = Annotated[str | None, Parameter(help="The system to show; without it all are listed.")]
_LONGEST = 24


def _row(name: str) -> dict[str, Any]:
    from ganworks import systems

    system = systems.get(name)
    return {"name": name, "paper": system.paper, "accepts": list(system.accepts), "gives": system.gives}


def _bounds(field: Any) -> str:
    """The values a setting may take, as a person writes them."""
    from ganworks.settings import Rate, choices

    words = choices(field.annotation)
    if words:
        return " | ".join(words)
    if get_args(Rate)[-1] in field.metadata:
        return ">= 0 or a schedule"
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [
        f"{sign} {getattr(mark, limit)}"
        for mark in field.metadata
        for limit, sign in signs.items()
        if getattr(mark, limit, None) is not None
    ]
    return ", ".join(found)


def _settings(name: str) -> list[dict[str, str]]:
    from ganworks import systems

    return rows_of(systems.get(name).Settings)


def rows_of(model: Any) -> list[dict[str, str]]:
    """Every setting of a model by its dotted key, with what --set would have to say for its default."""
    from ganworks.settings import keys

    defaults = model().model_dump(mode="json", by_alias=True)
    return [
        {"key": key, "default": _written(defaults, key), "allowed": _bounds(field), "meaning": field.description or ""}
        for key, field in keys(model)
    ]


def _written(defaults: dict[str, Any], key: str) -> str:
    """A default as --set takes it."""
    from ganworks.settings import inline

    value: Any = defaults
    for part in key.split("."):
        value = value[part]
    return inline(value)


def _lines(settings: list[dict[str, str]]) -> list[str]:
    """Settings as a table; long defaults, such as schedules, stand below it."""
    long = {row["key"]: row["default"] for row in settings if len(row["default"]) > _LONGEST}
    rows = [list((row | {"default": "(below)"} if row["key"] in long else row).values()) for row in settings]
    below = [f"{key} = {default}" for key, default in long.items()]
    return table([["setting", "default", "allowed", "meaning"], *rows]) + (["", *below] if below else [])


def systems(name: Name = None, /, *, output: Output = DEFAULT) -> int:
    """List the systems, or show one with its paper and every setting.

    Examples:
      ganworks systems
      ganworks systems r3gan
    """
    from ganworks import systems as known

    if name is None:
        rows = [_row(each) for each in known.names()]
        head = [["system", "takes", "paper"]]
        output.result(rows, lambda: table(head + [[r["name"], ", ".join(r["accepts"]), r["paper"]] for r in rows]))
        return 0
    shown = _row(name)
    settings = _settings(name)
    lines = [f"{name}: {shown['paper']}", f"takes {', '.join(shown['accepts'])}; gives {shown['gives']}", ""]
    output.result(shown | {"settings": settings}, lambda: lines + _lines(settings))
    return 0
