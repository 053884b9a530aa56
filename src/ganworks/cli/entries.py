"""Every topic that can be explained, from docstrings, papers, settings, the table of errors and a glossary."""

import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.resources import files
from types import ModuleType
from typing import Any

from ganworks.cli.topics import Topic, paragraphs, plain

_SECTIONS = re.compile(r"^(Args|Returns|Raises|Source|Args, Raises|Attributes|Examples):", re.MULTILINE)
_LONG = 60


def collect() -> dict[str, list[Topic]]:
    """Every topic by its plain name and its other names; several may share one."""
    rows = _rows()
    glossary = _glossary()
    found = [
        *_losses(), *_penalties(), *_systems(rows), *_metrics(), *_spaces(), *_data(), *_settings(rows),
        *_groups(), *_verbs(), *_errors(),
    ]  # fmt: skip
    explained = {topic.name for topic in found if topic.kind in ("loss", "penalty", "system")}
    found = [_with_notes(topic, glossary, rows) for topic in found]
    words = [_with_notes(Topic(name, "word"), glossary, rows) for name in glossary if name not in explained]
    named: dict[str, list[Topic]] = {}
    for topic in [*words, *found]:
        for name in dict.fromkeys(map(plain, [topic.name, *topic.also])):
            named.setdefault(name, []).append(topic)
    return named


def _with_notes(topic: Topic, glossary: Mapping[str, Any], rows: Mapping[str, str]) -> Topic:
    """A topic with what the glossary says of it."""
    notes = glossary.get(topic.name, {}) if topic.kind in ("word", "loss", "penalty", "system") else {}
    return replace(
        topic,
        text=topic.text + paragraphs(notes.get("text", "")),
        paper=", ".join(part for part in (topic.paper.rstrip("."), notes.get("paper", "")) if part),
        settings=topic.settings + [rows[key] for key in notes.get("settings", []) if key in rows],
        set=topic.set + notes.get("set", []),
        avoid=notes.get("avoid", ""),
        see=topic.see + notes.get("see", []),
        also=topic.also + notes.get("also", []),
    )


def _glossary() -> dict[str, Any]:
    return tomllib.loads((files("ganworks.cli") / "glossary.toml").read_text("utf-8"))


def _documented(name: str, kind: str, documented: object, **more: Any) -> Topic:
    """A topic from a docstring: its paragraphs without the sections on arguments, and its source as the paper."""
    text = inspect.getdoc(documented) or ""
    text, _, source = text.partition("Source:")
    cut = _SECTIONS.search(text)
    return Topic(name, kind, paragraphs(text[: cut.start()] if cut else text), paper=" ".join(source.split()), **more)


def _letters(module: ModuleType) -> str:
    """What a module's docstring says of the letters in its formulas."""
    found = re.search(r"(?:Letters: |Below, )(.*?)(?:\n\n|\Z)", inspect.getdoc(module) or "", re.DOTALL)
    return " ".join(found[1].split()).rstrip(".") if found else ""


def _losses() -> Iterator[Topic]:
    from ganworks import losses

    for name in losses.names():
        made = getattr(losses, name)
        options = losses.get(name).family.options
        takes = [f"options: {', '.join(options)}"] if options else []
        topic = _documented(name, "loss", made, letters=_letters(losses))
        extra = " --set objective.r1=0.1 objective.r2=0.1" if losses.get(name).relativistic else ""
        command = f"ganworks train ring --system gan --set objective.loss={name}{extra.replace(' --set', '')}"
        yield replace(topic, text=topic.text + takes, set=[command])


def _penalties() -> Iterator[Topic]:
    from ganworks import penalties

    rows = _rows()
    for name in PENALTIES:
        key = f"objective.{name}"
        settings = [rows[key]] if key in rows else []
        yield _documented(name, "penalty", getattr(penalties, name), letters=_letters(penalties), settings=settings)


PENALTIES = (
    "r1", "r2", "finite_difference", "gradient_penalty", "dragan", "roth", "consistency", "lecam", "orthogonal",
    "clip_weights",
)  # fmt: skip
"""Functions of `ganworks.penalties` that a setting of the objective applies."""


def _systems(rows: Mapping[str, str]) -> Iterator[Topic]:
    from ganworks import systems
    from ganworks.cli.systems import rows_of
    from ganworks.settings import GameSettings

    usual = {row["key"]: row["default"] for row in rows_of(GameSettings)}
    for name in systems.names():
        made = systems.get(name)
        own = [row for row in rows_of(made.Settings) if usual.get(row["key"]) != row["default"]]
        topic = _documented(name, "system", import_module(made.__module__))
        takes = f"Takes {' and '.join(made.accepts)}. Of its settings these are not the usual ones:"
        told = [f"{row['key']} = {_shown(row['default'])}" for row in own]
        data = "ring" if "points" in made.accepts else "digits"
        commands = [f"ganworks train {data} --system {name}", f"ganworks systems {name}"]
        text = [part for part in topic.text if not part.startswith("Letters:")]
        letters = _letters(import_module(made.__module__))
        yield replace(topic, text=[*text, takes], paper=made.paper, settings=told, set=commands, letters=letters)


def _metrics() -> Iterator[Topic]:
    """Each function of `metrics`, under its own name and under the names of the numbers that it gives."""
    from ganworks import metrics
    from ganworks.aims import AIMS, FAMILIES

    for name in metrics.__all__:
        function = inspect.isfunction(getattr(metrics, name)) and name not in ("names", "score", "scores")
        numbers = FAMILIES.get(name, (name,) if function else ())
        for number in numbers:
            also = [] if number == name else [name]
            command = [f"ganworks eval RUN --metrics {number}"] if number in AIMS else []
            yield _documented(number, "metric", getattr(metrics, name), set=command, also=also, see=["score"])


def _spaces() -> Iterator[Topic]:
    from ganworks.metrics import features, spaces

    described: dict[str, object] = {
        "points": spaces.Points,
        "pixels": spaces.Pixels,
        "digits": import_module("ganworks.metrics.digits"),
        "effnet-lite0": import_module("ganworks.metrics.effnet"),
        "inception": import_module("ganworks.metrics.inception"),
    }
    needs = {
        "effnet-lite0": "Not installed here: pip install 'ganworks[features]'",
        "inception": "It is asked for with its file: --space inception:FILE",
    }
    for name in features.names():
        missing = [needs[name]] if name in needs and name not in features.available() else []
        if name not in described:
            yield Topic(name, "feature space", ["It comes from another package, by an entry point."])
            continue
        topic = _documented(name, "feature space", described[name])
        yield replace(topic, text=topic.text + missing, see=["feature_space"])


def _data() -> Iterator[Topic]:
    from ganworks import data

    for each in data.names():
        text = [
            f"{each.description}. {each.count} {each.kind} to train on.",
            f"Licence: {each.licence}; {each.source}.",
        ]
        yield Topic(each.name, "data", text, set=[f"ganworks train {each.name}"])


def _rows() -> dict[str, str]:
    """Every setting of any system as a line: what it means, what it may be, and its defaults."""
    from ganworks import systems
    from ganworks.cli.systems import rows_of
    from ganworks.settings import RunSettings

    found: dict[str, dict[str, list[str]]] = {}
    about: dict[str, dict[str, str]] = {}
    for name in ["", *systems.names()]:
        for row in rows_of(systems.get(name).Settings if name else RunSettings):
            about.setdefault(row["key"], row)
            found.setdefault(row["key"], {}).setdefault(row["default"], []).append(name)
    return {key: _line(about[key], defaults) for key, defaults in found.items()}


def _line(row: Mapping[str, str], defaults: Mapping[str, list[str]]) -> str:
    """A setting in a line. Where systems differ in the default, the usual one stands first."""
    usual, *others = sorted(defaults, key=lambda default: -len(defaults[default]))
    told = [f"default {_shown(usual)}", *(f"{_shown(other)} in {', '.join(defaults[other])}" for other in others)]
    allowed = f"; {row['allowed']}" if row["allowed"] else ""
    return f"{row['key']}: {row['meaning']}{allowed}; {'; '.join(told)}"


def _shown(default: str) -> str:
    if not default:
        return "empty"
    return default if len(default) <= _LONG else f"{default[:_LONG]}..."


def _settings(rows: Mapping[str, str]) -> Iterator[Topic]:
    from ganworks.settings import RunSettings, keys

    run = {key for key, _ in keys(RunSettings)}
    for key, line in rows.items():
        group, _, last = key.rpartition(".")
        about = [name for name in (last, "clip_weights" if last == "clip" else "") if name in PENALTIES]
        about += ["loss"] if key == "objective.loss" else []
        about += ["schedule"] if "schedule" in line else []
        about += [group] if group else []
        where = [f"It belongs to the run: {_OPTIONS.get(key, '--set ' + key + '=...')}"] if key in run else []
        yield Topic(key, "setting", where, settings=[line], set=_commands(key), see=about)


_OPTIONS = {"data": "the first word behind `ganworks train`"}


def _commands(key: str) -> list[str]:
    """How a setting of a system is set, with the value that the first system that has it takes."""
    from ganworks import systems
    from ganworks.cli.systems import rows_of

    for name in ["gan", *systems.names()]:
        made = systems.get(name)
        for row in rows_of(made.Settings):
            if row["key"] == key:
                data = "ring" if "points" in made.accepts else "digits"
                return [f"ganworks train {data} --system {name} --set {shlex.quote(key + '=' + row['default'])}"]
    return []


def _groups() -> Iterator[Topic]:
    from ganworks import systems
    from ganworks.settings import GameSettings, RunSettings, Settings, keys

    told = set[str]()
    models: list[type[Settings]] = [RunSettings, GameSettings]
    for model in [*models, *(systems.get(name).Settings for name in systems.names())]:
        for name, about in model.model_fields.items():
            made = about.annotation
            if name not in told and isinstance(made, type) and issubclass(made, Settings):
                told.add(name)
                below = [f"{name}.{key}" for key, _ in keys(made)]
                yield Topic(name, "group of settings", paragraphs(inspect.getdoc(made) or ""), see=below)


def _verbs() -> Iterator[Topic]:
    from ganworks.cli.app import BUILT

    for verb, made in BUILT.items():
        text = made.__doc__ if inspect.isfunction(made) else getattr(made, "help", "")
        yield Topic(verb, "verb", paragraphs(inspect.cleandoc(text or ""))[:1], set=[f"ganworks {verb} --help"])


def _errors() -> Iterator[Topic]:
    from ganworks.errors import TABLE

    for code, entry in TABLE.items():
        text = [f"{entry.sentence}", f"do: {entry.remedy}"]
        text.append(f"Exit code {entry.kind.exit_code}. {inspect.getdoc(entry.kind)} Words in braces are filled in.")
        yield Topic(code, "error", text)
