"""What our metrics cost beside other people's on the same matrices: CPU seconds and peak memory.

Every call runs in a fresh process with one thread, ours and theirs in turn, several times over; theirs in their own
environment (`make crosscheck` makes it). CPU seconds are those of the call with its threads and children; memory is the
peak above the interpreter, matrices included. See benchmarks/cost.py. Ours is given float32, as features come, and
computes in float64; the peers are given float64 and float32, and the better of the two counts, time and memory apart.

A peer counts where its number is within 1e-6 of ours. The kernel distance is measured on two samples of one law, the
everyday case of a floor: there it is a small difference of large sums, and float32 keeps three digits of it. How the
peers that do not count compare stands in the record all the same.

Bars, as shares of the fastest peer's time: Fréchet distance at 10,000 x 2,048 at most 0.75; kernel distance at 5,000 x
2,048 at most 0.4; precision, recall, density and coverage together at 10,000 x 2,048 at most 0.35, with at most 0.3 of
its memory and under 1.5 GB.

    python -m benchmarks.metrics [--peers .venv-crosscheck] [--repeats 3]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import matrices
from benchmarks.cost import ONE_THREAD, cost
from experiments.record import ROOT, Arm, Record

SOURCES = (
    *(f"src/ganworks/metrics/{name}.py" for name in ("frechet", "moments", "kernel", "neighbours", "distances")),
    "src/ganworks/metrics/inputs.py",
    *(f"benchmarks/{name}.py" for name in ("metrics", "matrices", "cost")),
    "benchmarks/peers",
)
BOUND = 1e-6
TASKS: dict[str, dict[str, Any]] = {
    "Fréchet distance, 10,000 x 2,048": {
        "metric": "frechet_distance", "shape": (10000, 10000, 2048), "time": 0.75,
        "peers": ("torch-fidelity, float64", "torch-fidelity, float32", "torchmetrics, float64"),
    },
    "kernel distance, 5,000 x 2,048": {
        "metric": "kernel_distance", "shape": (5000, 2048), "time": 0.4,
        "peers": ("torchmetrics, float64", "scikit-learn, float64", "torchmetrics, float32"),
        "as they come": ("torchmetrics, its 100 subsets, float32",),
    },
    "precision, recall, density, coverage, 10,000 x 2,048": {
        "metric": "neighbours", "shape": (10000, 10000, 2048), "time": 0.35, "memory": 0.3, "megabytes": 1500.0,
        "peers": ("prdc, one call, float64", "prdc, one call, float32"),
    },
}  # fmt: skip
"""What is measured: time and memory as shares of the best peer's, and megabytes of ours.

Left out because they are slower than what is here (CPU seconds, 2026-11-26): pytorch-fid 13 for the Fréchet distance;
torch-fidelity 6 for the kernel distance, and 12 with its 100 subsets.
"""


def ours(metric: str, shape: Sequence[int]) -> dict[str, Any]:
    """The cost of one call of ours, in this process."""
    import torch

    from ganworks.metrics import frechet, kernel, neighbours

    torch.set_num_threads(1)
    families: dict[str, Callable[..., Mapping[str, Any]]] = {
        "frechet_distance": partial(frechet.estimates, names=("frechet_distance",)),
        "kernel_distance": kernel.estimates,
        "neighbours": partial(neighbours.estimates, k=5),  # one k for all four, as one call of prdc has
    }
    return cost(
        partial(matrices.inputs, metric, shape, "float32"),
        lambda x, y: {name: estimate.value for name, estimate in families[metric](x, y).items()},
    )


def asked(interpreter: Path, words: Sequence[str], request: Mapping[str, Any]) -> dict[str, Any]:
    """One request to a fresh process, `python -m words`: its answer."""
    done = subprocess.run(
        [interpreter, "-m", *words], input=json.dumps(request) + "\n", cwd=ROOT, env=os.environ | ONE_THREAD,
        text=True, capture_output=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{interpreter} -m {words[0]} failed on {request}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def compared(contenders: Mapping[str, Callable[[], dict[str, Any]]], repeats: int) -> Arm:
    """Each contender once in every repeat: all CPU seconds, the medians, and the number that came out."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            found[name].append(run())
    return {
        name: {
            "cpu_seconds": median(each["cpu_seconds"] for each in runs),
            "all_cpu_seconds": [round(each["cpu_seconds"], 2) for each in runs],
            "megabytes": median(each["megabytes"] for each in runs),
            "value": runs[0]["value"],
        }
        for name, runs in found.items()
    }


def contenders(task: Mapping[str, Any], peers: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Ours and the peers of a task."""
    request = {"metric": task["metric"], "shape": task["shape"], "cost": True}
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": partial(asked, Path(sys.executable), ("benchmarks.metrics", "--one"), request)
    }
    for name in (*task["peers"], *task.get("as they come", ())):
        peer, _, precision = name.rpartition(", ")
        full = request | {"peer": peer, "precision": precision}
        runs[name] = partial(asked, peers / "bin" / "python", ("benchmarks.peers",), full)
    return runs


def off(values: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """The largest relative difference of numbers that both have."""
    return max(abs(values[name] - number) / abs(number) for name, number in reference.items())


def judge(record: Record, name: str, task: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """The bars of one task: against the best of the peers that count, time and memory apart."""
    mine = found["ours"]
    right = [found[peer] for peer in task["peers"] if off(mine["value"], found[peer]["value"]) <= BOUND]
    fastest = min(each["cpu_seconds"] for each in right)
    record.bar(f"{name}: CPU time over the fastest peer's", mine["cpu_seconds"] / fastest, "<=", task["time"])
    if "as they come" in task:
        # Another number, so it is neither right nor wrong: what their users pay.
        common = min(found[peer]["cpu_seconds"] for peer in task["as they come"])
        record.bar(f"{name}: the same beside their 100 subsets", mine["cpu_seconds"] / common, "<=", task["time"])
    if "memory" in task:
        least = min(each["megabytes"] for each in right)
        record.bar(f"{name}: peak memory over the peer's", mine["megabytes"] / least, "<=", task["memory"])
        record.bar(f"{name}: MB above the interpreter", mine["megabytes"], "<=", task["megabytes"])


def main(words: list[str], folder: Path = Path(__file__).parent / "results") -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-crosscheck", help="their environment")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", action="store_true", help="one call of ours, asked for on standard input")
    given = parser.parse_args(words)
    if given.one:
        request = json.load(sys.stdin)
        print(json.dumps(ours(request["metric"], request["shape"])))
        return 0
    if not (given.peers / "bin" / "python").exists():
        raise SystemExit(f"there is no {given.peers}: make crosscheck makes it")
    versions = asked(given.peers / "bin" / "python", ("benchmarks.peers",), {"versions": True})
    options = {"repeats": given.repeats, "peers": versions}
    record = Record("metrics", str(__doc__).splitlines()[0], SOURCES, options, folder)
    for name, task in TASKS.items():
        judge(record, name, task, record.arm(name, partial(compared, contenders(task, given.peers), given.repeats)))
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
