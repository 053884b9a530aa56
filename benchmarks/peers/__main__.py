"""The peers: other people's functions on matrices of ours. It runs in their environment, which `make crosscheck` makes.

Requests on standard input, answers on standard output, a line of JSON each:

    {"metric": "frechet_distance", "peer": "scipy", "shape": [8, 8, 4]}     -> {"values": {...}, "inputs": "..."}
    the same with "cost": true                                              -> {"cpu_seconds": ..., "megabytes": ...}
    {"versions": true}                                                      -> {"scipy": "1.17.1", ...}

Nothing of ganworks is imported here. Features go in as float64 unless the request says float32: then the difference
between two numbers is one of method, not of rounding.

    .venv-crosscheck/bin/python -m benchmarks.peers < requests.jsonl
"""

import contextlib
import json
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks import matrices
from benchmarks.cost import cost
from benchmarks.peers import features, others, torchvision

PACKAGES = "torch numpy scipy scikit-learn scikit-image torch-fidelity torchmetrics pytorch-fid prdc POT mpmath".split()
PEERS: dict[str, dict[str, Callable[[], Callable[..., dict[str, float]]]]] = {
    "frechet_distance": {
        "torch-fidelity": features.frechet_torch_fidelity,
        "torchmetrics": features.frechet_torchmetrics,
        "pytorch-fid": features.frechet_pytorch_fid,
        "scipy": features.frechet_scipy,
        "mpmath": features.frechet_mpmath,
    },
    "kernel_distance": {
        "torch-fidelity": features.kernel_torch_fidelity,
        "torchmetrics": features.kernel_torchmetrics,
        "scikit-learn": features.kernel_scikit_learn,
        "torch-fidelity, its 100 subsets": partial(features.kernel_torch_fidelity, 100, 1000),
        "torchmetrics, its 100 subsets": partial(features.kernel_torchmetrics, 100, 1000),
    },
    "neighbours": {
        "prdc": features.neighbours_prdc,
        "prdc, one call": features.neighbours_prdc_once,
        "torch-fidelity": features.neighbours_torch_fidelity,
    },
    "sliced_wasserstein": {"POT": features.sliced_pot},
    "inception_score": {
        "torch-fidelity": others.score_torch_fidelity,
        "torch-fidelity, shuffled": partial(others.score_torch_fidelity, True),
        "torchmetrics": others.score_torchmetrics,
    },
    "pictures": {
        "torchmetrics": others.pictures_torchmetrics,
        "torchmetrics, inner windows": others.pictures_inner_torchmetrics,
        "scikit-image": others.pictures_scikit_image,
    },
    "classes": {"scipy": others.classes_scipy},
    "ranks": {"scipy": others.ranks_scipy},
    "quantile": {"scipy": others.quantile_scipy},
    "theory": {"scipy": others.theory_scipy},
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What is asked for in one request."""
    if request.get("versions"):
        return {name: version(name) for name in PACKAGES}
    run = PEERS[request["metric"]][request["peer"]]()
    if request.get("cost"):
        return cost(partial(_inputs, request), run)
    arrays = _inputs(request)
    return {"values": run(*arrays), "inputs": matrices.fingerprint(*arrays)}


def _inputs(request: dict[str, Any]) -> tuple[Any, ...]:
    made = matrices.inputs(request["metric"], request["shape"], request.get("precision", "float64"))
    return (*made, np.load(request["directions"])) if "directions" in request else made


def main() -> int:
    torchvision.install()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)  # some peers shuffle
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):  # and some print
            found = answer(json.loads(line))
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
