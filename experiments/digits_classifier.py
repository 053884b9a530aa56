"""Train the classifier behind the `digits` feature space.

    python experiments/digits_classifier.py FOLDER

FOLDER holds the four IDX files of MNIST. It is trained on the 60,000 training pictures; the packed `digits` come from
the test file, so that none of them is seen here. Bar: 98.5 % of the packed held-out digits.
"""

import json
import platform
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from ganworks import data
from ganworks.metrics.digits import WEIGHTS, Network

EPOCHS, BATCH, SEED, RATE = 5, 128, 0, 3e-3
RESULT = Path(__file__).parent / "results" / "digits_classifier.json"


def idx(path: Path) -> Tensor:
    """The array of an IDX file of bytes."""
    content = path.read_bytes()
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy())


def shifted(images: Tensor) -> Tensor:
    """The batch moved by up to two pixels each way."""
    down, right = torch.randint(0, 5, (2,)).tolist()
    return F.pad(images, (2, 2, 2, 2), value=-1.0)[..., down : down + 28, right : right + 28]


def train(images: Tensor, labels: Tensor) -> Network:
    torch.manual_seed(SEED)
    network = Network()
    steps = EPOCHS * (len(images) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(network(shifted(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    chosen = torch.cat([network(part).argmax(1) for part in images.split(500)])
    return float((chosen == labels).double().mean())


def packed() -> tuple[Tensor, Tensor]:
    """The packed held-out digits."""
    held_out = data.open("digits").held_out
    samples = [held_out[i] for i in range(len(held_out))]
    return torch.stack([s["x"] for s in samples]), torch.tensor([int(s["label"]) for s in samples])


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    started = time.process_time()
    images = idx(folder / "train-images-idx3-ubyte")[:, None] / 127.5 - 1
    network = train(images, idx(folder / "train-labels-idx1-ubyte").long())
    seconds = time.process_time() - started
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, WEIGHTS)
    test = idx(folder / "t10k-images-idx3-ubyte")[:, None] / 127.5 - 1
    result = {
        "command": "python experiments/digits_classifier.py FOLDER",
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seed": SEED,
        "training_pictures": len(images),
        "epochs": EPOCHS,
        "cpu_seconds": round(seconds, 1),
        "parameters": sum(p.numel() for p in network.parameters()),
        "bytes": WEIGHTS.stat().st_size,
        "accuracy_test_file": accuracy(network, test, idx(folder / "t10k-labels-idx1-ubyte").long()),
        "accuracy_packed_held_out": accuracy(network, *packed()),
        "bar": 0.985,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
