"""What an experiment found, as JSON: written after every arm, taken up again where it stopped.

An arm is one training with its scores. Finished arms are skipped as long as the sources that the experiment depends on
are the same; otherwise it starts anew. An arm may have sources of its own, and then it alone is measured anew.
`python -m experiments.record` lists the results and which are stale.
"""

import ast
import hashlib
import json
import operator
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments" / "results"
OURS = ("src/ganworks",)
"""What every experiment that trains with ganworks depends on."""
PLAY = (
    "src/ganworks/theory",
    *(f"src/ganworks/data/{name}.py" for name in ("builtin", "dataset", "order", "spec", "split")),
    "src/ganworks/data/digits.npz",
    *(
        f"src/ganworks/{name}.py"
        for name in ("settings", "schedules", "random", "losses", "penalties", "round", "views")
    ),
    *(f"src/ganworks/{name}.py" for name in ("objective", "game", "adversarial")),
    *(f"src/ganworks/training/{name}.py" for name in ("engine", "lookahead", "optimizers", "average")),
)
"""What the numbers of a game in one process depend on; an experiment adds its system, networks and metric."""
TRAIN = (
    *PLAY,
    "src/ganworks/networks",
    "src/ganworks/training",
    "src/ganworks/plan",
    "src/ganworks/session",
    "src/ganworks/model.py",
)
"""What the numbers of `ganworks train` depend on; an experiment adds its systems and metrics."""
_FACES = ("src/ganworks/cli", "src/ganworks/studio")
_COMPARE = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}

Arm = dict[str, Any]


def source_hash(paths: Iterable[str]) -> str:
    """SHA-256 over the files under some paths of the repository; how commands look counts only where it is named.

    Of Python files the code counts, without comments and docstrings: words cannot change a number.

    Raises: FileNotFoundError for a path that is not there: what is not looked at can never go stale.
    """
    digest = hashlib.sha256()
    found: set[Path] = set()
    for path in paths:
        if not (ROOT / path).exists():
            raise FileNotFoundError(path)
        files = {ROOT / path, *(ROOT / path).rglob("*")}
        named = path.startswith(_FACES)
        found |= {file for file in files if named or not file.relative_to(ROOT).as_posix().startswith(_FACES)}
    for file in sorted(found):
        name = file.relative_to(ROOT).as_posix()
        if file.is_file() and "__pycache__" not in name:
            content = _code(file.read_text()) if file.suffix == ".py" else file.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _code(text: str) -> bytes:
    """A module's code as a tree, without the strings that stand alone."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]  # it has one
    return ast.dump(tree).encode()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def processor() -> str:
    """The processor's name, as the system gives it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class Record:
    """The result file of one experiment.

    Args:
        name: Of the experiment; the file is `results/<name>.json`.
        claim: What is claimed, in one sentence.
        sources: Files and folders of the repository that the result depends on.
        options: What else makes two runs of it different, such as the data's fingerprint.
        folder: Where the file is written.
    """

    def __init__(
        self, name: str, claim: str, sources: Iterable[str], options: object = None, folder: Path = RESULTS
    ) -> None:
        self.path = folder / f"{name}.json"
        self._sources = tuple(sources)
        self._hash = source_hash(self._sources)
        head: dict[str, Any] = {
            "experiment": name,
            "claim": claim,
            "command": shlex.join(["python", "-m", f"{folder.parent.name}.{name}", *sys.argv[1:]]),
            "options": options,
            "sources": {"paths": list(self._sources), "sha256": self._hash},
            "versions": {"python": platform.python_version(), **{p: version(p) for p in ("torch", "numpy")}},
            "processor": processor(),
        }
        self.content: dict[str, Any] = head | {"date": "", "passed": None, "bars": [], "own": {}}
        self.content |= {"floors": {}, "arms": {}}
        if self.path.exists():
            before = json.loads(self.path.read_text())
            if all(before.get(key) == json.loads(json.dumps(head[key])) for key in ("options", "sources", "versions")):
                self.content |= {key: before[key] for key in ("floors", "arms")} | {"own": before.get("own", {})}
        self.arms: dict[str, Arm] = self.content["arms"]
        self.floors: dict[str, Arm] = self.content["floors"]
        self.own: dict[str, dict[str, Any]] = self.content["own"]
        self.bars: list[dict[str, object]] = self.content["bars"]

    def arm(self, name: str, measure: Callable[[], Arm], sources: Sequence[str] = ()) -> Arm:
        """The result of an arm: from the file, or measured and written now.

        Args:
            sources: What this arm depends on and the others do not, such as its system.
        """
        own = {"paths": list(sources), "sha256": source_hash(sources)}
        if sources and self.own.get(name) != own:
            self.arms.pop(name, None)
            self.own[name] = own
        return self._once(self.arms, name, measure, sources)

    def floor(self, name: str, measure: Callable[[], Arm]) -> Arm:
        """What real data, or the exact density, scores under the same protocol."""
        return self._once(self.floors, name, measure)

    def _once(self, table: dict[str, Arm], name: str, measure: Callable[[], Arm], sources: Sequence[str] = ()) -> Arm:
        if name not in table:
            before = (self._hash, source_hash(sources))
            found = measure()
            if (source_hash(self._sources), source_hash(sources)) != before:
                raise RuntimeError(f"the sources changed while '{name}' ran; it is not kept")
            table[name] = found
            self.write()
            print(f"{name}: {json.dumps(table[name])}", file=sys.stderr, flush=True)
        return table[name]

    def bar(self, what: str, value: float, compare: str, limit: float) -> bool:
        """Judge a number; `compare` is <=, >= or ==."""
        passed = bool(_COMPARE[compare](value, limit))
        self.bars.append({"what": what, "value": value, "bar": f"{compare} {limit:.4g}", "passed": passed})
        return passed

    def write(self) -> None:
        """Replace the file by what is known now; a crash leaves the old or the new one."""
        self.content["date"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".tmp")
        beside.write_text(json.dumps(self.content, indent=1) + "\n")
        os.replace(beside, self.path)

    def finish(self) -> int:
        """Write the verdict, print the bars, and give the exit code: 0 where every bar is passed, else 6."""
        passed = all(bool(bar["passed"]) for bar in self.bars)
        self.content["passed"] = passed
        self.write()
        for bar in self.bars:
            print(f"{'passed' if bar['passed'] else 'FAILED'}  {bar['what']}: {bar['value']:.4g} (bar {bar['bar']})")
        print(f"result: {self.path}")
        return 0 if passed else 6


def stale(result: Path) -> bool:
    """Whether a result was measured with other sources than those in the tree."""
    found = json.loads(result.read_text())
    try:
        return any(
            source_hash(sources["paths"]) != sources["sha256"]
            for sources in (found["sources"], *found.get("own", {}).values())
        )
    except FileNotFoundError:  # moved or deleted since
        return True


if __name__ == "__main__":
    for path in sorted(RESULTS.glob("*.json")):
        if "bars" in (found := json.loads(path.read_text())):
            verdict = {True: "passed", False: "FAILED", None: "unfinished"}[found["passed"]]
            print(f"{path.stem:16} {verdict:10} {'stale' if stale(path) else 'fresh'}  {found['date']}")
