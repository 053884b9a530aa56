"""Which classes a generator makes, as a classifier sees them."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Samples, pair
from ganworks.metrics.interval import sums_without_each
from ganworks.metrics.modes import reverse_kl


class ClassHistogram(NamedTuple):
    """`kl` in nats, `counts` the fakes of each class."""

    kl: float
    counts: tuple[int, ...]


def class_histogram(real_logits: Samples, fake_logits: Samples) -> ClassHistogram:
    """KL(fake classes || real classes), each sample counted for its most likely class.

    A class that no real sample has counts there as half a sample: the result stays finite and large.

    Args:
        real_logits, fake_logits: (N, K) and (M, K), at least one sample each; probabilities give the same.
    Raises: UsageError E-METRIC-01 (shapes, too few) or E-METRIC-02 (not finite).
    """
    real, fake = pair("class_histogram", real_logits, fake_logits, least=1)
    counts = torch.bincount(fake.argmax(1), minlength=fake.shape[1])
    return ClassHistogram(float(replicates(real, fake)["class_kl"][0]), tuple(counts.tolist()))


def replicates(real: Samples, fake: Samples, groups: int = 0) -> dict[str, Float64[Tensor, " g"]]:
    """The KL on all samples and without each group: (G + 1,)."""
    sets = pair("class_histogram", real, fake, least=2 if groups else 1)
    real_counts, fake_counts = (
        sums_without_each(torch.ones(len(logits)).double(), logits.argmax(1), logits.shape[1], groups)
        for logits in sets
    )
    shares = torch.where(real_counts > 0, real_counts, 0.5)
    shares = shares / shares.sum(1, keepdim=True)
    values = [reverse_kl(row[None], share) for row, share in zip(fake_counts, shares, strict=True)]
    return {"class_kl": torch.cat(values)}
