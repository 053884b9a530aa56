"""Which classes a generator makes, as a classifier sees them, and whether they are those it was asked for."""

from typing import NamedTuple

import torch
from torch import Tensor

from ganworks.metrics.inputs import Labels, Samples, pair, rows, unfit
from ganworks.metrics.interval import Estimate, sums_of_groups
from ganworks.metrics.modes import estimated_kl


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
    return ClassHistogram(estimates(real, fake)["class_kl"].value, tuple(counts.tolist()))


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


def estimates(real: Samples, fake: Samples, groups: int = 0) -> dict[str, Estimate]:
    """The KL of `class_histogram`."""
    sets = pair("class_histogram", real, fake, least=2 if groups else 1)
    classes = sets[0].shape[1]
    counts = [sums_of_groups(torch.ones(len(each)).double(), each.argmax(1), classes, groups) for each in sets]

    def split(sums: Tensor) -> tuple[Tensor, Tensor]:
        shares = torch.where(sums[:, :classes] > 0.5, sums[:, :classes], 0.5)
        return sums[:, classes:], shares / shares.sum(1, keepdim=True)

    return {"class_kl": estimated_kl(torch.cat(counts, 1), split)}
