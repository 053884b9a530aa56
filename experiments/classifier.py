"""A small classifier, trained by an experiment on a data set's training part, to judge samples of that set.

It is no part of ganworks and shares no weights with its `digits` feature space. Trained weights are cached beside the
experiments under the hash of the data and of this file.
"""

import hashlib
import itertools
import json
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from ganworks.data import DataSet

from .protocol import CACHE, all_pictures

SEEN = 200_000
"""Pictures of the training, repeats counted: 3 epochs of MNIST, 25 of the packed digits."""
BATCH = 100


class Classifier(nn.Module):
    """28 x 28 grey pictures in [-1, 1] to logits."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        widths = (1, 16, 32, 64)
        blocks = [
            nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
            for i, o in itertools.pairwise(widths)
        ]
        self.layers = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 9, classes))
        self.accuracy = 0.0
        """Share of the held-out pictures that it names right."""

    def forward(self, pictures: Float[Tensor, "b 1 28 28"]) -> Float[Tensor, "b k"]:
        logits: Tensor = self.layers(pictures)
        return logits

    @torch.no_grad()
    def logits(self, pictures: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n k"]:
        """Logits of any number of pictures."""
        return torch.cat([self(part) for part in torch.split(pictures, 500)])


def moved(pictures: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Turned up to 10 degrees, scaled up to 10 % and shifted up to 2 pixels of 28, each picture by itself."""
    angle, scale, x, y = (torch.rand(4, len(pictures)) * 2 - 1) * torch.tensor([[0.175], [0.1], [0.143], [0.143]])
    sine, cosine = angle.sin() * (1 + scale), angle.cos() * (1 + scale)
    matrix = torch.stack([torch.stack([cosine, -sine, x], 1), torch.stack([sine, cosine, y], 1)], 1)
    grid = functional.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures + 1, grid, align_corners=False) - 1  # zeros outside are black


def fit(network: Classifier, pictures: Float[Tensor, "n 1 28 28"], labels: Int[Tensor, " n"], seen: int) -> None:
    """Train until `seen` pictures have been shown; the learning rate rises for a tenth and falls to zero."""
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    steps = max(1, seen // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps + 1, pct_start=0.1)
    for _ in range(steps):
        rows = torch.randint(len(pictures), (BATCH,))
        loss = functional.cross_entropy(network(moved(pictures[rows])), labels[rows])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    network.eval()


def trained(data: DataSet, seen: int = SEEN) -> Classifier:
    """The classifier of a data set with labels and a held-out part, trained now or read from the cache."""
    held_out = data.held_out
    assert held_out is not None
    about = json.dumps([data.spec.fingerprint, seen, Path(__file__).read_text()])
    path = CACHE / f"classifier-{hashlib.sha256(about.encode()).hexdigest()[:16]}.safetensors"
    network = Classifier(len(data.spec.classes))
    if path.exists():
        with safe_open(path, "pt") as file:
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            network.accuracy = float(file.metadata()["accuracy"])
        return network.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Classifier(len(data.spec.classes))
        fit(network, all_pictures(data), data.rows(torch.arange(len(data)))["label"], seen)
    chosen = network.logits(all_pictures(held_out)).argmax(1)
    network.accuracy = (chosen == held_out.rows(torch.arange(len(held_out)))["label"]).double().mean().item()
    CACHE.mkdir(exist_ok=True)
    save_file(network.state_dict(), path, {"accuracy": repr(network.accuracy)})
    return network
