"""`generators.md`: the systems for pictures side by side, from the results of `fashion` and `truncation`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.record import RESULTS, stale

from .markdown import number, table

DOCS = Path(__file__).parent
_HEAD = """\
# Generators side by side

*Made by `python -m docs.make` from the results in the repository. Do not edit.*

The same data, computer and time for all; one seed, so small differences mean nothing. Each system has a page.

## How to read it

- **GAN-test**: a classifier trained on real pictures names the class that was asked for. It is high where samples are
  typical, and no less so where they are all alike.
- **GAN-train**: a classifier trained on the samples alone, tested on real pictures. It falls where forms are missing.
- **Fréchet and kernel distance**: how far samples are from real pictures as a whole; 0 would be no difference.
- **precision**: samples that lie among real pictures; **recall**, **coverage**: real pictures that lie among samples.
"""
_SCORES = {
    "gan_test": "GAN-test",
    "gan_train": "GAN-train",
    "frechet_distance": "Fréchet",
    "kernel_distance": "kernel",
    "precision": "precision",
    "recall": "recall",
    "coverage": "coverage",
}
_TASKS = {
    "Fashion-MNIST, 15 CPU minutes each": "fashion",
    "Truncation: precision for recall": "truncation",
}


def page() -> str:
    """Both tables; one that has not been made is said to be missing."""
    lines = _HEAD.splitlines()
    for heading, name in _TASKS.items():
        path = RESULTS / f"{name}.json"
        lines += ["", f"## {heading}", ""]
        if not path.exists():
            lines.append(f"Not measured yet: `python -m experiments.{name} --fashion FOLDER`.")
            continue
        found = json.loads(path.read_text())
        lines += _fashion(found) if name == "fashion" else _truncation(found)
        fresh = "**stale**" if stale(path) else "fresh"
        lines += ["", f"*{found['date'][:10]}, {fresh}, `{found['command']}`.*"]
    return "\n".join(lines) + "\n"


def _fashion(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Each by `ganworks train`, told its `--system` and `--time 15m`, on one core; 5,000 samples, 500 a class."
    yield "`r3gan` and the hand-written DCGAN loops are not told a class."
    yield ""
    rows = [(f"`{name}`", *_lengths(arm), *_cells(arm)) for name, arm in found["arms"].items()]
    floors = dict(found["floors"])
    accuracy = floors.pop("classifier")["accuracy"]
    rows += [(name, *_lengths(arm), *_cells(arm)) for name, arm in floors.items()]
    yield from table(("", "updates", "CPU s", *_SCORES.values()), rows)
    yield ""
    yield f"The classifier names {accuracy:.3f} of real test pictures. `--time` becomes a number of steps before"
    yield "the first of them; what else the computer does then makes the seconds more or fewer."
    for what, each in found.get("missed", {}).items():
        yield f"**Missed**: {what} is {number(each['value'])}, and was to be {each['bar']}."
    yield ""
    yield "Ten samples of each class in its row, as they came; those of `r3gan` in no order:"
    yield ""
    files = {name: f"pictures/fashion_{name}.png" for name in found["arms"]}
    drawn = {name: file for name, file in files.items() if (DOCS / file).exists()}
    yield from table(drawn, [[f"![samples of {name}, Fashion-MNIST]({file})" for name, file in drawn.items()]])


def _lengths(arm: Mapping[str, Any]) -> tuple[str, str]:
    """Updates and CPU seconds of a training; of real data none."""
    return (number(arm["step"]), f"{arm['training_seconds']:.0f}") if "step" in arm else ("", "")


def _cells(arm: Mapping[str, Any]) -> list[str]:
    return [f"{arm[name]:.3g}" if name in arm else "" for name in _SCORES]


def _truncation(found: Mapping[str, Any]) -> Iterator[str]:
    yield "The models above, 2,000 samples from the same latents at each truncation: biggan cuts z off at ± t,"
    yield "stylegan2 moves its styles to the mean of their class. In brackets 95 % intervals."
    yield ""
    arms = [*found["arms"].items(), *found["floors"].items()]
    yield from table(
        ("", "precision", "recall"), [(name, *(_interval(arm, each) for each in _SHARES)) for name, arm in arms]
    )
    files = [f"pictures/{file}" for file in _TRUNCATED if (DOCS / "pictures" / file).exists()]
    if files:
        yield ""
        yield "stylegan2, the most varied and the most typical:"
        yield ""
        yield " ".join(f"![stylegan2 truncated, Fashion-MNIST]({file})" for file in files)


_SHARES = ("precision", "recall")
_TRUNCATED = ("truncation_stylegan2_1.0.png", "truncation_stylegan2_0.6.png")


def _interval(arm: Mapping[str, Any], name: str) -> str:
    low, high = arm[f"{name}_interval"]
    return f"{arm[name]:.3f} ({low:.3f} to {high:.3f})"
