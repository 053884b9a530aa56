"""What a word of a command line may become. Nothing here imports torch: a shell waits for the answer."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import Argument

DATA = ("ring", "grid", "swissroll", "bimodal", "digits", "emoji")
SPACES = ("digits", "effnet-lite0", "inception", "pixels", "points")
LOGGERS = ("tensorboard",)
LOSSES = (
    "minimax", "non_saturating", "wasserstein", "least_squares", "hinge", "relativistic_paired", "relativistic_average",
)  # fmt: skip
OWN_SETTINGS = tuple(
    """adversarial attention autoencoder.betas autoencoder.lr autoencoder.optimizer autoencoder.width blocks categorical
    classification classification_fake coarsest code components continuous corrections cycle depth directions draws
    dropout encoder floor fold frequency gain group growing halvings identity information information_continuous inked
    l1 labelled layers masked mixing most networks noise objective.drift orthogonal path_every path_length projection
    reach reconstruction residual.blocks residual.group resized rounds rows starts taper texture tolerance turns.eager
    turns.one_pass units""".split()
)
"""Settings of single systems. These are known elsewhere, beside code that needs torch; a test compares them."""


class Candidate(NamedTuple):
    """What a word may become, and what that means."""

    value: str
    help: str = ""


def complete(words: Sequence[str], app: "App") -> list[Candidate]:
    """Candidates for the last of the words behind `ganworks`."""
    *before, last = words or [""]
    path, rest = _verbs(before, app)
    for verb in path:
        app = app[verb]
    below = [name for name in app if not name.startswith("-")]
    if below:
        return _starting(last, (Candidate(name, _first_line(app[name].help)) for name in [*below, *_flags(app)]))
    arguments = list(app.assemble_argument_collection(parse_docstring=True))
    options = {name: each for each in arguments for name in options_of(each)}
    positions = [each for each in arguments if each.field_info.is_positional]
    waiting, passed, setting = _walk(rest, options)
    if waiting is not None:
        return _starting(last, _values(path, waiting, last))
    name, equals, value = last.partition("=")
    if equals and name in options:
        values = _starting(value, _values(path, options[name], value))
        return [Candidate(f"{name}={each}", meaning) for each, meaning in values]
    if last.startswith("-"):
        return _starting(last, [Candidate(name, each.parameter.help or "") for name, each in options.items()])
    found: list[Candidate] = [*_settings(last)] if setting else []
    if positions:
        found += _values(path, positions[min(passed, len(positions) - 1)], last)
    return _starting(last, found)


def options_of(argument: "Argument") -> list[str]:
    """The names of an option, without the --no- forms that this command does not take."""
    return [name for name in argument.names if name.startswith("-") and name not in argument.negatives]


def _verbs(before: Sequence[str], app: "App") -> tuple[list[str], list[str]]:
    """The verb, perhaps with one below it, and the other words."""
    path: list[str] = []
    rest: list[str] = []
    for word in before:
        below = [name for name in app if not name.startswith("-")]
        if below and word in below:
            path.append(word)
            app = app[word]
        else:
            rest.append(word)
    return path, rest


def _flags(app: "App") -> list[str]:
    return [name for name in app if name.startswith("--")]


def _walk(rest: Sequence[str], options: dict[str, "Argument"]) -> "tuple[Argument | None, int, bool]":
    """The option that waits for its value, how many words stood alone, and whether --set may go on."""
    waiting: Argument | None = None
    passed, setting = 0, False
    for word in rest:
        if waiting is not None:
            waiting = None
        elif word.startswith("-"):
            option = options.get(word)
            setting = word == "--set"
            waiting = option if option is not None and not option.is_flag() else None
        elif not (setting and "=" in word):
            passed, setting = passed + 1, False
    return waiting, passed, setting


def _starting(last: str, found: Iterable[Candidate]) -> list[Candidate]:
    return [each for each in dict.fromkeys(found) if each.value.startswith(last)]


def _first_line(text: object) -> str:
    return str(text or "").strip().splitlines()[0] if str(text or "").strip() else ""


def _values(path: Sequence[str], argument: "Argument", last: str) -> list[Candidate]:
    """What an option or a position may be: words of its type, names by what it is called, or paths."""
    name = argument.field_info.name
    if choices := argument.get_choices():
        return [Candidate(choice) for choice in choices]
    source = _SOURCES.get((path[0], name)) or _SOURCES.get(("", name))
    if source is not None:
        return list(source(last))
    return list(_paths(last)) if "Path" in str(argument.hint) else []


def _named(*names: str) -> Callable[[str], Iterator[Candidate]]:
    return lambda _: map(Candidate, names)


def _systems(_: str) -> Iterator[Candidate]:
    from ganworks import systems

    return map(Candidate, systems.names())


def _data(last: str) -> Iterator[Candidate]:
    yield from map(Candidate, DATA)
    yield from (Candidate(f"digits:{digit}") for digit in range(10) if last.startswith("digits:"))
    yield from _paths(last)


def _settings(last: str) -> Iterator[Candidate]:
    """`key=`, or `key=value` where the values are few words."""
    from ganworks.settings import GameSettings, RunSettings, choices, keys

    known = {key: field for model in (GameSettings, RunSettings) for key, field in keys(model)}
    key, equals, _ = last.partition("=")
    if not equals:
        yield from (Candidate(f"{each}=", field.description or "") for each, field in known.items())
        yield from (Candidate(f"{each}=") for each in OWN_SETTINGS)
        return
    words: Sequence[str] = choices(known[key].annotation) if key in known else ()
    if key in known and known[key].annotation is bool:
        words = ("true", "false")
    words = {"objective.loss": LOSSES, "data": DATA}.get(key, words)
    yield from (Candidate(f"{key}={word}") for word in words)


def _failures(_: str) -> Iterator[Candidate]:
    from ganworks.failures.recipes import GALLERY

    return (Candidate(each.name, each.shows) for each in GALLERY)


def _metrics(last: str) -> Iterator[Candidate]:
    from ganworks.aims import AIMS, FAMILIES

    done = last[: last.rfind(",") + 1]
    return (Candidate(done + name) for name in [*AIMS, *FAMILIES] if name not in done.split(","))


def _topics(_: str) -> Iterator[Candidate]:
    import tomllib
    from importlib.resources import files

    from ganworks import systems
    from ganworks.aims import AIMS
    from ganworks.errors import TABLE
    from ganworks.settings import GameSettings, RunSettings, keys

    words = tomllib.loads((files("ganworks.cli") / "glossary.toml").read_text("utf-8"))
    settings = [key for model in (GameSettings, RunSettings) for key, _ in keys(model)]
    return map(Candidate, [*words, *LOSSES, *systems.names(), *AIMS, *DATA, *SPACES, *settings, *OWN_SETTINGS, *TABLE])


def _trained(last: str) -> Iterator[Candidate]:
    """Runs below runs/, then paths."""
    yield from _runs(last)
    yield from _paths(last)


def _runs(_: str) -> Iterator[Candidate]:
    found = sorted(Path("runs").glob("*/config.toml"), key=lambda path: path.stat().st_mtime, reverse=True)
    return (Candidate(str(path.parent)) for path in found)


def _sources_of_eval(last: str) -> Iterator[Candidate]:
    yield from _runs(last)
    yield from _data(last)


def _paths(last: str) -> Iterator[Candidate]:
    """Files and folders that begin so; hidden ones only if asked for."""
    head, _, start = last.rpartition("/")
    head = f"{head}/" if "/" in last else ""
    place = Path(os.path.expanduser(head) or ".")
    for each in sorted(place.iterdir()) if place.is_dir() else ():
        # A name that would break a line cannot be handed over.
        if (
            each.name.startswith(start)
            and (start or not each.name.startswith("."))
            and not re.search(r"\s*[\n\t]", each.name)
        ):
            yield Candidate(f"{head}{each.name}{'/' if each.is_dir() else ''}")


_SOURCES: dict[tuple[str, str], Callable[[str], Iterator[Candidate]]] = {
    ("", "system"): _systems,
    ("systems", "name"): _systems,
    ("explain", "name"): _topics,
    ("failure", "name"): _failures,
    ("", "data"): _data,
    ("", "held_out"): _data,
    ("", "against"): _data,
    ("eval", "source"): _sources_of_eval,
    ("", "settings"): _settings,
    ("", "metrics"): _metrics,
    ("", "space"): _named(*SPACES),
    ("", "batch"): _named("auto"),
    ("", "device"): _named("cpu"),
    ("", "log"): _named(*LOGGERS),
    ("resume", "run"): _trained,
    ("diagnose", "run"): _trained,
    ("", "model"): _trained,
    ("", "start_from"): _trained,
    ("compare", "a"): _trained,
    ("compare", "b"): _trained,
}
"""By verb and parameter, or by parameter for any verb."""
