"""Train the classifier behind the `digits` feature space.

    python -m experiments.digits_classifier FOLDER

FOLDER holds the four IDX files of MNIST. It is trained on the 60,000 training pictures; the packed `digits` come from
the test file, so that none of them is seen here. Bar: 98.5 % of the packed held-out digits.
"""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from ganworks import data
from ganworks.metrics.digits import WEIGHTS, Network

from .record import Arm, Record

EPOCHS, BATCH, SEED, RATE = 5, 128, 0, 3e-3
SOURCES = ("src/ganworks/metrics/digits.py", "src/ganworks/data/digits.npz", "experiments/digits_classifier.py")


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
    return scaled(network.eval(), images)


@torch.no_grad()
def scaled(network: Network, images: Tensor) -> Network:
    """The same classifier with features of mean square 1, the range that the cubic kernel is made for."""
    features = torch.cat([network.features(part) for part in images.split(500)])
    size = features.square().mean().sqrt()
    network.hidden.weight /= size
    network.hidden.bias /= size
    network.classes.weight *= size
    return network


@torch.no_grad()
def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    chosen = torch.cat([network(part).argmax(1) for part in images.split(500)])
    return float((chosen == labels).double().mean())


def packed() -> tuple[Tensor, Tensor]:
    """The packed held-out digits."""
    held_out = data.open("digits").held_out
    samples = [held_out[i] for i in range(len(held_out))]
    return torch.stack([s["x"] for s in samples]), torch.tensor([int(s["label"]) for s in samples])


def measure(folder: Path) -> Arm:
    """Train, write the weights, and count the right answers."""
    started = time.process_time()
    images = idx(folder / "train-images-idx3-ubyte")[:, None] / 127.5 - 1
    network = train(images, idx(folder / "train-labels-idx1-ubyte").long())
    seconds = time.process_time() - started
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, WEIGHTS)
    test = idx(folder / "t10k-images-idx3-ubyte")[:, None] / 127.5 - 1
    return {
        "seed": SEED,
        "epochs": EPOCHS,
        "training_pictures": len(images),
        "cpu_seconds": round(seconds, 1),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "bytes": WEIGHTS.stat().st_size,
        "weights_sha256": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(),
        "accuracy_test_file": accuracy(network, test, idx(folder / "t10k-labels-idx1-ubyte").long()),
        "accuracy_packed_held_out": accuracy(network, *packed()),
    }


def main(folder: Path) -> int:
    torch.set_num_threads(1)
    claim = "The classifier behind the digits feature space knows handwritten digits that it has not seen."
    record = Record("digits_classifier", claim, SOURCES)
    arm = record.arm("classifier", lambda: measure(folder))
    record.bar("share of the packed held-out digits", float(str(arm["accuracy_packed_held_out"])), ">=", 0.985)
    record.bar("bytes of the weights", float(str(arm["bytes"])), "<=", 1e6)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
