"""Which classes a generator makes, as a classifier sees them, and whether they are those it was asked for."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Labels, Samples, pair, rows, unfit
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


def label_accuracy(logits: Samples, labels: Labels) -> float:
    """The share of samples whose most likely class is their label.

    GAN-test is that of generated samples, with the labels that were asked for, under a classifier trained on real data:
    are they what they should be? GAN-train is that of real held-out data under a classifier trained on generated
    samples and their labels: do these hold what a classifier needs? Real data in the samples' place give the floor.

    Args:
        logits: (N, K), at least one sample; probabilities give the same.
        labels: (N,), whole numbers from 0 to K - 1.
    Raises: UsageError E-METRIC-01 (shapes, too few, no such label) or E-METRIC-02 (not finite).
    Source: Shmelkov et al. 2018, How good is my GAN?, arXiv:1807.09499, section 3.
    """
    rated = rows("label_accuracy", "logits", logits, least=1)
    given = torch.as_tensor(labels)
    if given.shape != (len(rated),):
        raise unfit("label_accuracy", f"labels of shape ({len(rated)},)", f"shape {tuple(given.shape)}")
    if not bool(((given >= 0) & (given < rated.shape[1]) & (given == given.long())).all()):
        raise unfit("label_accuracy", f"whole numbers from 0 to {rated.shape[1] - 1} as labels", "others")
    return (rated.argmax(1) == given).double().mean().item()


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
