"""The pages that are made and not written: errors.md from the table of errors, the others from what was measured.

Of diagnosis.md and features.md only what stands between two marks is made.

python -m docs.make
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from experiments import confusion, linear_probes
from experiments.record import ROOT, stale
from ganworks.diagnosis import thresholds
from ganworks.errors import TABLE

from .generators import page as generators_page
from .markdown import number, table

DOCS = Path(__file__).parent
RESULTS = (ROOT / "experiments" / "results", ROOT / "benchmarks" / "results")
GOLDEN = ROOT / "tests" / "golden" / "metrics.json"
_EXITS = {
    2: "usage or settings",
    3: "data",
    4: "disk, memory, device or lock",
    5: "a model file that is refused",
    6: "training failed",
    1: "a fault of ours",
}
_ERRORS = """\
# Errors

*Made by `python -m docs.make` from `src/ganworks/errors.py`. Do not edit.*

An error has three parts: what happened and where, details, and one thing to do. The command prints them on standard
error and ends with the exit code of the error's class; with `--json` they stand on standard output too. In Python each
is an exception: a subclass of `ganworks.errors.GanworksError` with `code`, `what`, `where`, `details`, `remedy` and
`exit_code`. Words in braces are filled in. `ganworks explain CODE` says the same of one.
"""
_EVIDENCE = """\
# Evidence

*Made by `python -m docs.make` from the results in the repository. Do not edit.*

Every claim has a script with its bars and, where there is one, the floor: what real data, or the exact density, scores
under the same protocol. A result is **stale** when a source it depends on has changed since it was measured, as of the
making of this page; `python -m experiments.record` says how it stands now.
"""


_CLASSICS = """\
# The classics on the ring

*Made by `python -m docs.make` from the results in the repository. Do not edit.*

The ring has eight modes on a circle of radius 2, each a normal of std 0.02. Its density is known, so the truth is known
too. What each system and each remedy is stands on [its page](README.md) and in [remedies.md](remedies.md).

## How to read it

- **modes**: of eight, one number a seed. A mode counts with a single sample within 3 std of its mean. Modes alone prove
  nothing: a cloud over the whole square reaches all eight.
- **high quality**: the share of samples within 3 std of the nearest mean. It cannot exceed 0.989, except by chance:
  that is what real points have. Clearly more means modes that are too narrow.
- **reverse KL**: how unevenly the high-quality samples are spread over the modes, in nats. It is never 0: even 10,000
  fresh draws have about 0.0004. 2.08 is one mode, or nothing at all.
- **std ratio**: how wide the modes are; 1 is right. Below it a system has bought quality with narrow modes.

Read the four together, and beside the floor. They are medians over the seeds, except for the modes.
"""


_PRECISION = """\
# Precision

*Made by `python -m docs.make` from `tests/golden/metrics.json`, which `make crosscheck` writes. Do not edit.*

Our metrics beside other people's on the same matrices. `make crosscheck` installs theirs in an environment of their
own, makes the matrices there and here from one seed, and fails where two numbers of one definition differ by more than
1e-6 of the number. The tests hold ours to the same file, on all but the largest matrices. What the calls cost stands in
[evidence.md](evidence.md); what the metrics are, in [metrics.md](metrics.md).
"""
_SMALL_PRINT = """\
`mpmath` computes the Fréchet distance with 40 digits. With no more samples than numbers a sample (40 x 40 x 64 and
64 x 64 x 64) covariances are singular, and roots of rounding show. `rank_test_p` is the p-value of `memorization`,
`student_quantile` what intervals are made with. `torchmetrics, inner windows` is made from torchmetrics' maps, without
the windows that reach over the border.
"""
_NOT_OURS = """\
Here the difference says nothing about precision: it is what another definition makes. Numbers from there cannot be
compared with ours, nor with each other.
"""


def errors_page() -> str:
    """Every error, by exit code."""
    lines = _ERRORS.splitlines()
    for code, meaning in _EXITS.items():
        rows = [
            (f"`{name}`", entry.kind.__name__, f"`{entry.sentence}`", f"`{entry.remedy}`")
            for name, entry in sorted(TABLE.items())
            if entry.kind.exit_code == code
        ]
        lines += ["", f"## Exit code {code}: {meaning}", "", *table(("code", "class", "what", "do"), rows)]
    return "\n".join(lines) + "\n"


def results() -> list[Path]:
    """Every result file of the repository; smokes are none."""
    return [path for folder in RESULTS for path in sorted(folder.glob("*.json")) if not path.stem.endswith("-smoke")]


def evidence_page() -> str:
    """Every claim with what was found."""
    lines = _EVIDENCE.splitlines()
    for path in results():
        lines += ["", *_result(path, json.loads(path.read_text()))]
    return "\n".join(lines) + "\n"


def _result(path: Path, found: Mapping[str, Any]) -> Iterator[str]:
    place = path.relative_to(ROOT)
    yield f"## {path.stem}"
    yield ""
    if "bars" not in found:
        yield f"[{place}](../{place}) has no bars."
        return
    verdict = {True: "passed", False: "**failed**", None: "**unfinished**"}[found["passed"]]
    yield f"{found['claim']} {verdict.capitalize()}, {'**stale**' if stale(path) else 'fresh'}."
    yield ""
    bars = [
        (bar["what"], number(bar["value"]), bar["bar"], "yes" if bar["passed"] else "**no**") for bar in found["bars"]
    ]
    yield from table(("bar", "value", "must be", "passed"), bars)
    if found["floors"]:
        yield ""
        yield from table(
            ("floor", "what it scores"), [(name, _numbers(floor)) for name, floor in found["floors"].items()]
        )
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    yield f"- {found['date'][:10]}, {found['processor']}, {versions}"
    # A benchmark's record has the name of its folder wrong.
    yield f"- `{found['command'].replace('experiments.', f'{place.parts[0]}.', 1)}`"
    yield f"- all numbers: [{place}](../{place})"


def _numbers(scored: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in scored.items() if isinstance(value, int | float))


def classics_page() -> str:
    """Three experiments on the ring as tables; one that has not been made is said to be missing."""
    lines = _CLASSICS.splitlines()
    for heading, name, tell in (
        ("Systems", "classics", _systems),
        ("Losses and penalties", "ring_table", _losses),
        ("Turns", "turns", _turns),
    ):
        path = RESULTS[0] / f"{name}.json"
        lines += ["", f"## {heading}", ""]
        if path.exists():
            found = json.loads(path.read_text())
            lines += [*tell(found), "", f"{found['date'][:10]}, `python -m experiments.{name}`."]
            lines += ["**Stale**: the sources have changed since."] if stale(path) else []
        else:
            lines.append(f"Not measured yet: `python -m experiments.{name}`.")
    return "\n".join(lines) + "\n"


def _systems(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Every system with its defaults, by the command; `unrolled, K = 0` is the same without looking ahead. The"
    yield "nearest KL is that of all samples, each counted to its nearest mode, so that clouds can be compared."
    yield ""
    groups = _grouped(found)
    head = ("system", *_NUMBERS, "nearest KL", "rounds", "CPU seconds")
    rows = [
        (f"`{name}`", *_scores(arms), f"{_median(arms, 'nearest_kl'):.3g}", arms[0]["step"], _seconds(arms))
        for name, arms in groups.items()
    ]
    yield from table(head, [*rows, *((floor, *_scores([arm]), "", "", "") for floor, arm in found["floors"].items())])
    files = {name: f"pictures/ring_{name.replace(', K = ', '_')}.png" for name in groups}
    drawn = {name: file for name, file in files.items() if (DOCS / file).exists()}
    if drawn:
        yield ""
        yield "Seed 0, samples in blue over real points in grey:"
        yield ""
        yield from table(drawn, [[f"![samples of {name} on the ring]({file})" for name, file in drawn.items()]])


def _losses(found: Mapping[str, Any]) -> Iterator[str]:
    yield "The same networks, optimizer and number of updates in every cell: modes of each seed, then high quality ·"
    yield "reverse KL · std ratio. R1 and R2 have γ = 0.1, the gradient penalty λ = 0.1, clipping the bound 0.05."
    yield ""
    groups = {tuple(name.split(", ")): arms for name, arms in _grouped(found).items()}
    columns = list(dict.fromkeys(penalty for _, penalty in groups))
    rows = [
        (f"`{loss}`", *(_cell(groups.get((loss, penalty), [])) for penalty in columns))
        for loss in dict.fromkeys(loss for loss, _ in groups)
    ]
    floors = [(name, _cell([arm]), *("" for _ in columns[1:])) for name, arm in found["floors"].items()]
    yield from table(("loss", *columns), [*rows, *floors])


def _turns(found: Mapping[str, Any]) -> Iterator[str]:
    yield "As many updates of each player, one after another, for an epoch at a time, or both at once."
    yield ""
    rows = [(*name.split(", "), *_scores(arms)) for name, arms in _grouped(found).items()]
    floors = [(name, "", *_scores([arm])) for name, arm in found["floors"].items()]
    yield from table(("game", "turns", *_NUMBERS), [*rows, *floors])


_NUMBERS = ("modes", "high quality", "reverse KL", "std ratio")


def _grouped(found: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The arms by what they are, one for each seed."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, arm in found["arms"].items():
        groups.setdefault(name.rpartition(", seed ")[0], []).append(arm)
    return groups


def _median(arms: list[dict[str, Any]], name: str) -> float:
    return median(float(arm[name]) for arm in arms)


def _seconds(arms: list[dict[str, Any]]) -> str:
    return f"{_median(arms, 'command_seconds'):.0f}"


def _scores(arms: list[dict[str, Any]]) -> list[str]:
    """Modes of every seed, medians of the rest."""
    modes = " ".join(str(arm["modes"]) for arm in arms)
    return [modes, *(f"{_median(arms, name):.3g}" for name in ("high_quality", "reverse_kl", "std_ratio"))]


def _cell(arms: list[dict[str, Any]]) -> str:
    """The same in one cell."""
    if not arms:
        return ""
    modes, *others = _scores(arms)
    return f"{modes}<br>{' · '.join(others)}"


def precision_page() -> str:
    """How near our metrics are to the peers', by number and peer."""
    golden = json.loads(GOLDEN.read_text())
    how = {(each["name"], each["peer"]): each["how"] for each in golden["differs"]}
    cases: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for entry in golden["entries"]:
        off = abs(entry["ours"] - entry["value"]) / (abs(entry["value"]) or 1)
        at = " x ".join(number(each) for each in entry["shape"])
        cases.setdefault((entry["name"], entry["peer"]), []).append((off, at))
    same = [(key, found) for key, found in cases.items() if key not in how]
    other = [(key, found) for key, found in cases.items() if key in how]
    lines = [*_PRECISION.splitlines(), "", "## Where the definition is the same", ""]
    rows = [(f"`{name}`", peer, len(found), *_worst(found)) for (name, peer), found in same]
    lines += table(("number", "peer", "cases", "largest relative difference", "at"), rows)
    lines += ["", *_SMALL_PRINT.splitlines()]
    lines += ["", "## Where it is another", "", *_NOT_OURS.splitlines(), ""]
    rows = [(f"`{key[0]}`", key[1], how[key], f"{max(found)[0]:.0e}") for key, found in other]
    lines += table(("number", "peer", "what the peer does", "difference up to"), rows)
    shapes = dict.fromkeys(tuple(e["shape"]) for e in golden["entries"] if e["metric"] == "frechet_distance")
    lines += ["", "## The cases", "", "Features are real rows x fake rows x numbers a row:"]
    lines += [", ".join(" x ".join(number(each) for each in shape) for shape in shapes) + "."]
    versions = ", ".join(f"{name} {version}" for name, version in golden["versions"].items())
    lines += ["", f"- {golden['date'][:10]}, {golden['processor']}, `{golden['command']}`, seed {golden['seed']}"]
    lines += [f"- peers: {versions}"]
    lines += [f"- ours: {', '.join(f'{name} {version}' for name, version in golden['ours'].items())}"]
    return "\n".join(lines) + "\n"


def _worst(found: list[tuple[float, str]]) -> tuple[str, str]:
    """The largest difference and where it is."""
    off, at = max(found)
    return (f"{off:.0e}", at) if off else ("0", "")


def diagnosis_page() -> str:
    """The written page with its made parts as they are now."""
    return _with_parts("diagnosis.md", {"thresholds": _thresholds, "confusion": _confusion})


def features_page() -> str:
    """The same of the page of features, whose claims are those of the result."""
    return _with_parts("features.md", {"probes": _probes})


def _with_parts(page: str, parts: Mapping[str, Callable[[], Iterator[str]]]) -> str:
    text = (DOCS / page).read_text()
    for name, part in parts.items():
        marks = rf"(<!-- made by python -m docs.make: {name} -->\n).*?(<!-- end -->\n)"
        made = "\n".join(part())
        text, count = re.subn(marks, lambda found, made=made: f"{found[1]}{made}\n{found[2]}", text, flags=re.DOTALL)
        assert count == 1, f"{page} has no place for {name}"
    return text


def _thresholds() -> Iterator[str]:
    rows = [(f"`{name}`", number(each.value), each.meaning, each.source) for name, each in thresholds.TABLE.items()]
    yield from table(("bound", "value", "of what", "source"), rows)


def _confusion() -> Iterator[str]:
    """What was planted, what was said first, and how often that was right."""
    path = ROOT / "experiments" / "results" / "confusion.json"
    if not path.exists():
        yield "*Not measured yet: `python -m experiments.confusion`.*"
        return
    found = json.loads(path.read_text())
    rows = []
    for what, said, right, (low, high) in confusion.table(found):
        told = ", ".join(f"{name} {count}" for name, count in sorted(said.items(), key=lambda each: -each[1]))
        rows.append((what, sum(said.values()), told, f"{right:.2f} ({low:.2f} to {high:.2f})"))
    yield from table(("planted", "trainings", "said first", "right, 95 % interval"), rows)
    yield ""
    remedies = [bar for bar in found["bars"] if bar["what"].startswith("remedy of")]
    yield from table(("remedy", "held", ""), [(bar["what"], number(bar["value"]), bar["bar"]) for bar in remedies])
    yield ""
    yield f"*{found['date'][:10]}, {'stale' if stale(path) else 'fresh'}, `{found['command']}`.*"


def _probes() -> Iterator[str]:
    """What each probe knew, and of every difference what may be said of it."""
    path = ROOT / "experiments" / "results" / "linear_probes.json"
    if not path.exists():
        yield "*Not measured yet: `python -m experiments.linear_probes`. Until then nothing is claimed.*"
        return
    yield from probe_lines(json.loads(path.read_text()))
    yield ""
    yield f"*{'stale' if stale(path) else 'fresh'}, `python -m experiments.linear_probes`.*"


def probe_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The result of `experiments/linear_probes.py` as a table and sentences."""
    groups = _grouped(found)
    rows = []
    for system, arms in groups.items():
        for name, what in linear_probes.NAMES.items():
            each = [arm[name] for arm in arms]
            low, high = (sum(arm[f"{name}_{end}"] for arm in arms) / len(arms) for end in ("low", "high"))
            told = (f"{sum(each) / len(each):.4f}", f"{min(each):.4f} to {max(each):.4f}", f"{low:.4f} to {high:.4f}")
            rows.append((f"`{system}`", what, *told))
    first, *others = next(iter(groups.values()))
    seeds = len(others) + 1
    yield f"{found['date'][:10]}: {first['labels']:,} labels, {first['tested']:,} held-out digits, {seeds} seeds."
    yield ""
    yield from table(("trained as", "features of", "right, mean", "seeds", "95 % interval of a seed, mean"), rows)
    yield ""
    for system, other, mean, error, said in linear_probes.told(found):
        what = linear_probes.NAMES[other]
        yield f"- `{system}`: trained features are **{said}** {what}: {mean:+.4f}, standard error {error:.4f}."


PAGES = {
    "diagnosis.md": diagnosis_page,
    "features.md": features_page,
    "errors.md": errors_page,
    "evidence.md": evidence_page,
    "classics.md": classics_page,
    "generators.md": generators_page,
    "precision.md": precision_page,
}


def main(folder: Path = DOCS) -> int:
    """Write the pages."""
    for name, page in PAGES.items():
        (folder / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
