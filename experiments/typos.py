"""Claim: a mistyped name is answered with the right one.

Ours: every slip of one letter (left out, added, replaced, swapped with its neighbour) of every option of every verb,
every verb, system, setting, data name, loss, metric, feature space and topic, or forty of a name where there are more
(five of a topic); asked of the command and of the package themselves. A slip that is another valid name is left out.
Bars: in 95 of 100 the right name stands among those that the error suggests, for each kind. A suggester that always
names the same three must fail.
Floor: `difflib`, with which most commands do this, one name at most.
"""

import argparse
import contextlib
import difflib
import io
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import torch

from ganworks import data, losses, metrics, systems
from ganworks.cli import app, entries, topics
from ganworks.cli.candidates import options_of
from ganworks.data import sources
from ganworks.errors import GanworksError
from ganworks.metrics import features
from ganworks.registry import suggestion
from ganworks.settings import GameSettings, RunSettings, keys

from .record import RESULTS, Arm, Record

SOURCES = (
    *(f"src/ganworks/{name}.py" for name in ("registry", "errors", "settings", "losses", "aims", "metrics/features")),
    *(f"src/ganworks/cli/{name}.py" for name in ("app", "complaint", "options", "candidates", "topics", "entries")),
    *(f"src/ganworks/cli/{name}.py" for name in ("train", "resume", "sample", "eval", "runs", "compare", "data")),
    "src/ganworks/data/sources.py",
    "experiments/typos.py",
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"
A_NAME = 40
BAR = 0.95

Ask = Callable[[str], str]
"""From a typed name to what the error says."""


def slips(name: str, most: int) -> list[str]:
    """Every slip of one letter, or a fixed choice of them; the two dashes of an option stay, or lose one."""
    dashes = re.match(r"-*", name)
    start = len(dashes[0]) if dashes else 0
    places = range(start, len(name))
    found = {name[:i] + name[i + 1 :] for i in places}
    found |= {name[:i] + letter + name[i + 1 :] for i in places for letter in LETTERS}
    found |= {name[:i] + letter + name[i:] for i in range(start, len(name) + 1) for letter in LETTERS}
    found |= {name[:i] + name[i + 1] + name[i] + name[i + 2 :] for i in list(places)[:-1]}
    found |= {name[1:]} if start == 2 else set()
    chosen = sorted(found - {name, ""})
    return random.Random(name).sample(chosen, min(most, len(chosen)))


def said(*words: str) -> str:
    """What the command says of these words."""
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        app.main(words)
    return text.getvalue()


def raised(call: Callable[[str], object], name: str) -> str:
    """What the package says of a name."""
    try:
        call(name)
    except GanworksError as caught:
        return str(caught)
    return ""


def suggested(text: str) -> list[str]:
    """The names in the details of an error."""
    found = re.search(r"^  (?:names close to it|built in|known): (.*)$", text, re.MULTILINE)
    return found[1].split(", ") if found else []


def leaves(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb with the words that lead to it."""
    below = [name for name in command if not name.startswith("-")]
    for name in below:
        yield from leaves(command[name], (*path, name))
    if not below:
        yield path


def kinds() -> dict[str, tuple[list[str], Ask]]:
    """Every kind of name: all of them, and what is asked with a mistyped one."""
    command = app.build()
    found: dict[str, tuple[list[str], Ask]] = {}
    for path in leaves(command):
        inner = command
        for word in path:
            inner = inner[word]
        options = {name for each in inner.assemble_argument_collection() for name in options_of(each)}
        long = sorted(name for name in options | {"--help"} if name.startswith("--"))
        found[f"options of {' '.join(path)}"] = (long, partial(said, *path, "x"))
        if len(path) > 1:
            others = [name for name in command[path[0]] if not name.startswith("-")]
            found[f"verbs below {path[0]}"] = (others, partial(said, path[0]))
    named = entries.collect()
    spelt = topics.spelt(named)
    general = {key for model in (GameSettings, RunSettings) for key, _ in keys(model)}
    found["settings"] = (sorted(general), lambda typed: said("train", "--set", f"{typed}=1"))
    for name in systems.names():
        if own := {key for key, _ in keys(systems.get(name).Settings)} - general:
            found[f"settings of {name}"] = (sorted(own), partial(setting, name))
    return found | {
        "verbs": ([*app.BUILT, *app.PLANNED], said),
        "systems": (systems.names(), partial(said, "systems")),
        "data": ([row.name for row in data.names()], partial(raised, sources.open)),
        "losses": (losses.names(), partial(raised, losses.get)),
        "metrics": (metrics.names(), lambda typed: said("eval", "ring", "--metrics", typed)),
        "feature spaces": (features.names(), partial(raised, features.get)),
        "topics": (spelt, lambda typed: "\n".join(f"  {line}" for line in suggestion(typed, spelt))),
    }


def setting(system: str, typed: str) -> str:
    """What the command says of a setting of one system."""
    return said("train", "--system", system, "--set", f"{typed}=1")


def measure(names: list[str], ask: Ask, most: int) -> Arm:
    """How often the right name is suggested, and how often first."""
    valid = {name.replace("_", "-") for name in names}
    asked = right = first = 0
    missed: list[str] = []
    for name in names:
        for typed in slips(name, most):
            if typed.replace("_", "-") in valid:
                continue
            near = suggested(ask(typed))
            asked += 1
            right += name in near
            first += near[:1] == [name]
            missed += [] if name in near else [f"{typed} for {name}: {', '.join(near) or 'nothing'}"]
    return {
        "names": len(names),
        "slips": asked,
        "right": right / asked,
        "first": first / asked,
        "missed": missed[:10],
    }


def difflibs(names: list[str]) -> Ask:
    """What others suggest."""
    return lambda typed: f"  known: {', '.join(difflib.get_close_matches(typed, names, 1, 0.6))}"


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.typos", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one slip of a name: does it run?")
    most = 1 if parser.parse_args(words).smoke else A_NAME
    torch.set_num_threads(1)
    name = "typos-smoke" if most < A_NAME else "typos"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, folder=folder.resolve())
    with (
        tempfile.TemporaryDirectory() as empty,
        contextlib.chdir(empty),
        mock.patch.object(data, "open", _stop),
    ):
        for kind, (names, ask) in kinds().items():
            few = max(most // 8, 1) if kind == "topics" else most  # hundreds of names, each compared with all
            record.floor(kind, partial(measure, names, difflibs(names), few))
            arm = record.arm(kind, partial(measure, names, ask, few))
            record.bar(f"{kind}: the right name is suggested", arm["right"], ">=", BAR)
        systems_ = systems.names()
        same = record.arm("mistake: always the same", partial(measure, systems_, lambda _: "  known: gan, dcgan", most))
        record.bar("caught: always the same", same["right"], "<=", 0.5)
        assert not os.listdir(empty), "asking left something behind"
    return record.finish()


def _stop(*_: object, **__: object) -> None:
    """Nothing is opened, should a slip be valid."""
    raise SystemExit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
