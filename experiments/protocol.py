"""How good are 28 x 28 pictures: one protocol for ours, the rivals and real data.

5,000 samples, rounded to whole grey levels, against 5,000 test pictures. The test pictures are permuted first
(`RandomState(0)`), because the two halves of MNIST's test file differ in difficulty: the first 5,000 are the
reference, the others score as if they were samples and give the floor. Feature space: EfficientNet-Lite0 at 64 x 64,
1,280 dimensions. k = 5 for the neighbour metrics. The kernel distance is not scaled; the Frechet distance is biased
upwards by the number of samples and is compared at equal numbers only. A bar judges the worst seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ganworks import metrics
from ganworks.data import DataSet
from ganworks.data.pictures import grid, write_png

CACHE = Path(__file__).parent / ".cache"
"""Trained classifiers, samples and pictures; not in the repository."""
NEIGHBOURS = 5
Pictures = Float[Tensor, "n c h w"]
Space = Callable[[Tensor], Tensor]


def whole_grey(pictures: Pictures) -> Pictures:
    """Pictures in [-1, 1] as they are after being saved with 8 bits and read again."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def all_pictures(data: DataSet) -> Pictures:
    """Every picture of a data set, in order."""
    return data.rows(torch.arange(len(data)))["x"]


def halves(test: Pictures, count: int = 5000) -> tuple[Pictures, Pictures]:
    """The reference and the floor's pictures: `count` each from the permuted test pictures."""
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(test)))
    return test[order[:count]], test[order[count : 2 * count]]


@dataclass
class Reference:
    """Real pictures that samples are scored against.

    Args:
        pictures: (N, C, H, W) in [-1, 1].
        space: Pictures to features, `features.get("effnet-lite0")`.
        classify: Pictures to logits (N, K).
    """

    pictures: Pictures
    space: Space
    classify: Space

    def __post_init__(self) -> None:
        self.features = self.space(self.pictures)

    def score(self, fake: Pictures) -> dict[str, Any]:
        """Every number of the protocol for some samples; distances first, then the classifier's view."""
        fake = whole_grey(fake)
        features = self.space(fake)
        neighbours = metrics.precision_recall(self.features, features, k=NEIGHBOURS)
        return {
            "samples": len(fake),
            "reference_samples": len(self.pictures),
            "kernel_distance": metrics.kernel_distance(self.features, features),
            "frechet_distance": metrics.frechet_distance(self.features, features),
            "precision": neighbours.precision,
            "recall": neighbours.recall,
            "coverage": metrics.density_coverage(self.features, features, k=NEIGHBOURS).coverage,
            **class_view(self.classify(fake)),
        }


def class_view(logits: Float[Tensor, "n k"]) -> dict[str, Any]:
    """Mean top probability, the shares of the classes, and KL(shares, uniform) in nats."""
    top, chosen = logits.double().softmax(1).max(1)
    classes = logits.shape[1]
    shares = torch.bincount(chosen, minlength=classes).double() / len(logits)
    kl = torch.special.xlogy(shares, shares * classes).sum()
    return {
        "confidence": top.mean().item(),
        "class_kl": kl.item(),
        "class_shares": [round(share, 4) for share in shares.tolist()],
    }


def saved_grid(name: str, samples: Pictures) -> None:
    """Keep the first hundred samples, unpicked, for a person to look at."""
    CACHE.mkdir(exist_ok=True)
    write_png(CACHE / f"{name}.png", grid(samples[:100], 10))
