"""GAN-test and GAN-train: what a classifier of real data sees in samples, and what one learns from them alone."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from ganworks.metrics.classes import label_accuracy
from ganworks.metrics.inputs import Labels, Samples, unfit
from ganworks.metrics.interval import interval, share

Classifier = Callable[[Tensor], Samples]
"""From pictures or points to logits (N, K)."""
Fit = Callable[[Tensor, Labels], Classifier]
"""From pictures or points and their labels to a classifier of its own."""


class Accuracy(NamedTuple):
    """The share named right, the interval of that share, and what real data reach in the samples' place."""

    value: float
    low: float
    high: float
    real: float | None


def gan_test(
    classifier: Classifier,
    fake: Tensor,
    labels: Labels,
    real: Tensor | None = None,
    real_labels: Labels | None = None,
    level: float = 0.95,
) -> Accuracy:
    """The share of samples that a classifier trained on real data names as they were asked for: are they realistic?

    Args:
        classifier: From a batch to logits; it is given all samples at once.
        fake, labels: (N, ...) samples and the (N,) classes that were asked for.
        real, real_labels: Held-out data with their classes: the floor.
        level: Of the interval, between 0 and 1.
    Raises: UsageError E-METRIC-01 (shapes, no such label) or E-METRIC-02 (logits that are not finite).
    Source: Shmelkov et al. 2018, section 3.
    """
    floor = None if real is None else label_accuracy(classifier(real), _given(real_labels))
    return _accuracy(classifier(fake), labels, floor, level)


def gan_train(
    fit: Fit,
    fake: Tensor,
    labels: Labels,
    real: Tensor,
    real_labels: Labels,
    train: Tensor | None = None,
    train_labels: Labels | None = None,
    level: float = 0.95,
) -> Accuracy:
    """The share of held-out real data that a classifier names right which has seen samples only: are they diverse?

    Args:
        fit: Trains a new classifier; it should start from the same weights each time.
        fake, labels: (N, ...) samples and the (N,) classes that were asked for, to train on.
        real, real_labels: Held-out data with their classes, to be named.
        train, train_labels: As many rows of the training data: what a classifier learns from them is the floor.
        level: Of the interval, between 0 and 1. It is that of other held-out data, not of another training.
    Raises: UsageError E-METRIC-01 (shapes, no such label) or E-METRIC-02 (logits that are not finite).
    Source: Shmelkov et al. 2018, section 3; as the classification accuracy score: Ravuri and Vinyals 2019.
    """
    floor = None if train is None else label_accuracy(fit(train, _given(train_labels))(real), real_labels)
    return _accuracy(fit(fake, labels)(real), real_labels, floor, level)


def _accuracy(logits: Samples, labels: Labels, floor: float | None, level: float) -> Accuracy:
    if not 0 < level < 1:
        raise unfit("an interval", "a level between 0 and 1", level)
    value = label_accuracy(logits, labels)
    return Accuracy(value, *interval(share(value, len(logits)), level), floor)


def _given(labels: Labels | None) -> Labels:
    if labels is None:
        raise unfit("label_accuracy", "labels of the real data", "none")
    return labels
