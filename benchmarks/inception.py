"""Our Inception of 2015 beside torch-fidelity's, on invented weights.

The published weights cannot be had here, and are not needed to compare two programs: both read the same file of drawn
weights, and look at the same pictures, smaller and larger than 299 pixels. Every 64th of the features and logits is
kept, in tests/golden/inception.json; `make crosscheck` writes it.

    python -m benchmarks.inception [--peers .venv-crosscheck]
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.cost import ONE_THREAD
from experiments.record import ROOT, processor
from ganworks.metrics import weights
from ganworks.metrics.inception import Inception2015, Network

GOLDEN = ROOT / "tests" / "golden" / "inception.json"
SEED = 0
SIZES = ((32, 32), (41, 67), (299, 299), (400, 333))
BOUND = 1e-5
"""Of the largest number: both compute in float32, through 94 layers."""
KEPT = 64


def drawn_weights() -> dict[str, Tensor]:
    """Weights under which a signal neither dies nor explodes, with every statistic of batch norm at work."""
    random = np.random.Generator(np.random.PCG64(SEED))
    made = {}
    for name, shape in ((name, tuple(x.shape)) for name, x in Network().state_dict().items()):
        values = random.standard_normal(shape, dtype="float32")
        if name.endswith(("conv.weight", "fc.weight")):
            values *= (2 / math.prod(shape[1:])) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            values = np.exp(0.2 * values)
        elif name.endswith("num_batches_tracked"):
            values = np.array(7)
        else:
            values *= 0.1
        made[name] = torch.from_numpy(np.asarray(values))
    return made


def pictures() -> dict[str, npt.NDArray[np.uint8]]:
    """One colour picture of each size: (1, 3, H, W)."""
    random = np.random.Generator(np.random.PCG64(SEED))
    return {f"{h}x{w}": random.integers(0, 256, (1, 3, h, w), dtype="uint8") for h, w in SIZES}


def ours(path: Path) -> dict[str, dict[str, list[float]]]:
    """Every 64th of our features and logits, with the drawn weights written to a file."""
    torch.save(drawn_weights(), path)
    weights.KNOWN[hashlib.sha256(path.read_bytes()).hexdigest()] = weights.INCEPTION
    space = Inception2015(path)
    found = {}
    for name, x in pictures().items():
        features = space(torch.from_numpy(x).float() / 127.5 - 1)
        found[name] = {"features": features[0].tolist(), "logits": space.classify(features)[0].tolist()}
    return {name: {what: values[::KEPT] for what, values in each.items()} for name, each in found.items()}


def apart(found: Mapping[str, Any], peer: Mapping[str, Any]) -> float:
    """The largest difference, as a share of the largest number of its kind."""
    return max(
        float(np.abs(np.subtract(values, peer[name][what])).max() / np.abs(peer[name][what]).max())
        for name, each in found.items()
        for what, values in each.items()
    )


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.inception", description=__doc__)
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-crosscheck", help="their environment")
    python = parser.parse_args(words).peers / "bin" / "python"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        found = ours(path)
        np.savez(path.with_name("pictures.npz"), **pictures())  # type: ignore[arg-type]  # numpy's stub sees a bool
        said = subprocess.run(
            [python, "-m", "benchmarks.peers.inception", path, path.with_name("pictures.npz")],
            cwd=ROOT, env=os.environ | ONE_THREAD, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    answer = json.loads(said.splitlines()[-1])
    peer = {
        name: {what: [float(f"{value:.8g}") for value in values[0][::KEPT]] for what, values in each.items()}
        for name, each in answer["found"].items()
    }
    golden = {
        "about": "torch-fidelity's Inception, features and logits without bias, on weights of benchmarks/inception.py",
        "command": "make crosscheck",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": answer["versions"],
        "processor": processor(),
        "bound": BOUND,
        "ours differ by": apart(found, peer),
        "found": peer,
    }
    GOLDEN.parent.mkdir(exist_ok=True)
    beside = GOLDEN.with_suffix(".tmp")
    beside.write_text(json.dumps(golden, indent=1) + "\n")
    beside.replace(GOLDEN)
    print(f"written: {GOLDEN}; ours differ by {golden['ours differ by']:.2g}")
    return 0 if apart(found, peer) <= BOUND else 6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
