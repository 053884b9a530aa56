"""Our numbers beside the peers' on the same matrices: `make crosscheck` writes tests/golden/metrics.json.

The peers run in an environment of their own, ours here. Where the definition is the same the relative difference must
be at most 1e-6; where it is another, `DIFFERS` says how, and the difference is only written down. The tests compare
ours with the file on the small matrices, and docs/precision.md is made from it.

    python -m benchmarks.crosscheck [--peers .venv-crosscheck] [--metric NAME ...]
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import matrices
from benchmarks.cost import ONE_THREAD
from experiments.record import ROOT, processor
from ganworks import metrics, theory
from ganworks.metrics import interval, ranks, sliced

GOLDEN = ROOT / "tests" / "golden" / "metrics.json"
PEERS = ROOT / ".venv-crosscheck"
BOUND = 1e-6
DIRECTIONS = 100
SAME = {
    "frechet_distance": ("torch-fidelity", "torchmetrics", "pytorch-fid", "scipy", "mpmath"),
    "kernel_distance": ("torch-fidelity", "torchmetrics", "scikit-learn"),
    "neighbours": ("prdc", "torch-fidelity"),
    "sliced_wasserstein": ("POT",),
    "inception_score": ("torch-fidelity",),
    "pictures": ("torchmetrics", "torchmetrics, inner windows", "scikit-image"),
    "classes": ("scipy",),
    "ranks": ("scipy",),
    "quantile": ("scipy",),
    "theory": ("scipy",),
}
"""The peers of each metric of `matrices.CASES`."""
OTHERS = {
    "kernel_distance": ("torch-fidelity, its 100 subsets", "torchmetrics, its 100 subsets"),
    "inception_score": ("torch-fidelity, shuffled", "torchmetrics"),
}
"""Peers as they come, where that is another definition."""
DIFFERS = {
    ("kernel_distance", "torch-fidelity, its 100 subsets"): "the mean over 100 random subsets of 1,000, not all pairs",
    ("kernel_distance", "torchmetrics, its 100 subsets"): "the mean over 100 random subsets of 1,000, not all pairs",
    ("inception_score", "torch-fidelity, shuffled"): "shuffles before it splits, as it comes; other splits",
    ("inception_score_std", "torch-fidelity, shuffled"): "shuffles before it splits, as it comes; other splits",
    ("inception_score", "torchmetrics"): "always shuffles before it splits; other splits",
    ("inception_score_std", "torchmetrics"): "always shuffles before it splits, and divides by splits - 1",
    ("ssim", "torchmetrics"): "mirrors the pictures at their borders, and averages over those windows too",
    (
        "ms_ssim",
        "torchmetrics",
    ): "mirrors the borders at the coarsest scale, takes all colours at once, drops the last of an odd side",
}
"""What is known to be another definition, by number and peer."""


def ours(metric: str, arrays: tuple[Any, ...]) -> dict[str, float]:
    """Our numbers for one case."""
    if metric == "neighbours":
        return {**metrics.precision_recall(*arrays)._asdict(), **metrics.density_coverage(*arrays)._asdict()}
    if metric == "inception_score":
        mean, std = metrics.inception_score(*arrays)
        return {"inception_score": mean, "inception_score_std": std}
    if metric == "pictures":
        return {name: getattr(metrics, name)(*arrays, data_range=1.0) for name in ("psnr", "ssim", "ms_ssim")}
    if metric == "classes":
        return {"class_kl": metrics.class_histogram(*arrays).kl}
    if metric == "ranks":
        return {"rank_test_p": ranks.smaller(*(torch.from_numpy(x) for x in arrays))}
    if metric == "quantile":
        return {"student_quantile": interval.student_quantile(arrays[0], int(arrays[1]))}
    if metric == "theory":
        pair = theory.Normal(0, 1), theory.Normal(*arrays)
        names = ("jensen_shannon", "kullback_leibler", "wasserstein_1")
        return {name: getattr(theory, name)(*pair) for name in names}
    options = {"directions": DIRECTIONS} if metric == "sliced_wasserstein" else {}
    return {metric: getattr(metrics, metric)(*arrays, **options)}


class Peers:
    """A process of the peers' environment that answers one request after another."""

    def __init__(self, environment: Path) -> None:
        python = environment / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"there is no {python}: make crosscheck makes it")
        self.told = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by close()
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.peers"], cwd=ROOT, env=os.environ | ONE_THREAD, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.told,
        )  # fmt: skip

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.told.seek(0)
            raise SystemExit(f"{self.told.read()[-2000:]}\nno answer to {request}")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.told.close()


def requests(names: Iterable[str], folder: Path) -> Iterator[dict[str, Any]]:
    """Every peer on every case that it can take."""
    for metric in names:
        for shape in matrices.CASES[metric]:
            for peer in SAME[metric] + OTHERS.get(metric, ()):
                if not takes(metric, peer, shape):
                    continue
                request = {"metric": metric, "peer": peer, "shape": shape}
                if metric == "sliced_wasserstein":
                    request["directions"] = str(_directions(folder, int(shape[-1])))
                yield request


def takes(metric: str, peer: str, shape: Sequence[float]) -> bool:
    """Whether a peer can take a shape, in reasonable time."""
    if peer == "mpmath":
        return max(shape) <= 64
    if peer.endswith("subsets"):
        return 1000 < shape[0] == shape[1] <= 3000
    return metric != "kernel_distance" or peer == "scikit-learn" or shape[0] == shape[1]


def _directions(folder: Path, dimensions: int) -> Path:
    path = folder / f"{dimensions}.npy"
    if not path.exists():
        np.save(path, sliced.lines(DIRECTIONS, dimensions).numpy())
    return path


def relative(found: float, peer: float) -> float:
    """The difference over the peer's number; where that is 0, the difference itself."""
    return abs(found - peer) / (abs(peer) or 1.0)


def compare(
    names: Iterable[str], peers: Callable[[dict[str, Any]], dict[str, Any]], told: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """One entry for each metric, shape and peer."""
    entries: list[dict[str, Any]] = []
    last: tuple[object, ...] = ()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for request in requests(names, Path(folder)):
            metric, shape = request["metric"], request["shape"]
            if last != (metric, shape):
                arrays = matrices.inputs(metric, shape)
                last, found, made = (metric, shape), ours(metric, arrays), matrices.fingerprint(*arrays)
            answered = peers(request)
            if metric != "sliced_wasserstein" and answered["inputs"] != made:
                raise SystemExit(f"the two environments made different matrices for {request}")
            for name, value in answered["values"].items():
                entry = {"metric": metric, "shape": list(shape), "name": name, "peer": request["peer"]}
                entries.append(entry | {"value": value, "ours": found[name], "inputs": made})
                told(f"{name} {shape} {request['peer']}: {value!r}, off by {relative(found[name], value):.1e}")
    return entries


def judged(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of one definition that differ by more than the bound."""
    same = (each for each in entries if (each["name"], each["peer"]) not in DIFFERS)
    return [each for each in same if not relative(each["ours"], each["value"]) <= BOUND]


def packed(entries: Iterable[dict[str, Any]]) -> str:
    """JSON with a line for each entry."""
    return "[\n  " + ",\n  ".join(json.dumps(entry) for entry in entries) + "\n ]"


def main(words: list[str], golden: Path = GOLDEN) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.crosscheck", description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="their environment")
    parser.add_argument("--metric", action="append", choices=list(SAME), help="only these, and write nothing")
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    peers = Peers(given.peers)
    head = {
        "about": "peers' numbers and ours on the matrices of benchmarks/matrices.py",
        "command": "make crosscheck",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": matrices.SEED,
        "directions": DIRECTIONS,
        "bound": BOUND,
        "versions": peers({"versions": True}),
        "ours": {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__},
        "processor": processor(),
        "differs": [{"name": name, "peer": peer, "how": how} for (name, peer), how in DIFFERS.items()],
    }
    entries = compare(given.metric or SAME, peers)
    peers.close()
    if not all(math.isfinite(each["value"]) for each in entries):
        raise SystemExit("a peer's number is not finite")
    if given.metric is None:
        golden.parent.mkdir(exist_ok=True)
        beside = golden.with_suffix(".tmp")
        beside.write_text(json.dumps(head, indent=1)[:-2] + f',\n "entries": {packed(entries)}\n}}\n')
        os.replace(beside, golden)
        print(f"written: {golden}")
    for each in (wrong := judged(entries)):
        print(f"FAILED  {each['name']} {each['shape']} {each['peer']}: {each['value']!r}, ours {each['ours']!r}")
    print(f"{len(entries)} numbers compared, {len(wrong)} of one definition differ by more than {BOUND:g}")
    return 6 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
