"""torch-fidelity's Inception of 2015 on weights and pictures of ours: its features and logits, for `make crosscheck`.

.venv-crosscheck/bin/python -m benchmarks.peers.inception WEIGHTS.pth PICTURES.npz    -> a line of JSON
"""

import json
import sys
from importlib.metadata import version

import numpy as np

from benchmarks.peers import torchvision


def main(weights: str, pictures: str) -> int:
    torchvision.install()
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.set_num_threads(1)
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights
    )
    found = {}
    with torch.no_grad(), np.load(pictures) as given:
        for name, x in given.items():
            features, logits = network(torch.from_numpy(x))
            found[name] = {"features": features.tolist(), "logits": logits.tolist()}
    print(json.dumps({"versions": {name: version(name) for name in ("torch", "torch-fidelity")}, "found": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
