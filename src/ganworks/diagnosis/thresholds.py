"""Every bound of the diagnosis in one table, with where it comes from. docs/diagnosis.md shows it.

A bound whose source is "set here" lies between what planted failures and healthy trainings showed on the seeds that it
was set on; the confusion table holds other seeds to it.
"""

from typing import NamedTuple


class Bound(NamedTuple):
    """A number, what it bounds, and its source."""

    value: float
    meaning: str
    source: str


_SET = "set here"
_RING = "ring of eight modes, five seeds, docs/classics.md"
TABLE: dict[str, Bound] = {
    "looks.least": Bound(
        6, "looks before any verdict but not_finite and frozen: about the first third of a usual run", _SET
    ),
    "looks.steps": Bound(200, "steps before any of them: every G begins with few kinds of samples", _SET),
    "looks.share": Bound(0.75, "share of the last third of looks, at least three, at which a sign must be seen", _SET),
    "preflight.accuracy": Bound(
        0.6, "share of pairs of real rows and first samples that D rates right after 50 updates", _SET
    ),
    "frozen.moved": Bound(
        1e-6,
        "length of an update over that of the weights, below which a player stands still; Adam at 2e-4: 1e-3",
        _SET,
    ),
    "frozen.share": Bound(0.9, "share of the records in which it does", _SET),
    "saturated.accuracy": Bound(
        0.99, "share of pairs rated right from which D is saturated", "Arjovsky and Bottou 2017, section 2"
    ),
    "saturated.steps": Bound(200, "steps for which it is, or a tenth of the run", "Arjovsky and Bottou 2017, figure 2"),
    "vanishing.saturation": Bound(
        0.05,
        "E D(G) / E(1 - D(G)): the pull of minimax on the samples over that of the non-saturating loss",
        "Goodfellow et al. 2014, section 3; normals 4 apart have 0.036, 8 apart 5e-5",
    ),
    "vanishing.gradient": Bound(1e-3, "G's gradient over its median in the first 100 steps", _SET),
    "overfitting.memory": Bound(
        0.5,
        "r_v: where D puts held-out rows between its training rows (0) and samples (1)",
        "Karras et al. 2020, equation 1 and figure 1",
    ),
    "overfitting.sign": Bound(
        0.8, "r_t: mean sign of f on training rows; shown beside the others", "Karras et al. 2020, section 3.1: 0.6"
    ),
    "overfitting.gap": Bound(0.1, "accuracy on training rows minus that on held-out rows", _SET),
    "weak.accuracy": Bound(0.6, "share of pairs rated right up to which D tells nothing; a coin has 0.5", _SET),
    "weak.penalty": Bound(
        0.9, "share of the penalties in what D minimises, from which they are what keeps it from telling", _SET
    ),
    "weak.told_apart": Bound(
        0.9,
        "share that the nearest row tells right where D does not: there is much to tell",
        "Lopez-Paz and Oquab 2017, section 3",
    ),
    "collapse.kinds": Bound(0.5, "effective number of kinds among samples over that among held-out rows", _SET),
    "collapse.spread": Bound(
        0.5,
        "mean distance of two samples over that of two held-out rows",
        "as a minibatch statistic: Karras et al. 2018",
    ),
    "oscillation.path": Bound(
        1.0, "how far the samples' mean moves from look to look, in standard deviations of the data", _SET
    ),
    "oscillation.reach": Bound(
        1.1, "how far the samples' mean lies from the middle of the data, over how far real rows do", _SET
    ),
    "oscillation.low": Bound(0.3, "D's accuracy at one look in ten: G has got away; or else the reach", _SET),
    "oscillation.high": Bound(0.7, "D's accuracy at another one in ten: it has caught up", _SET),
    "oscillation.repeats": Bound(
        0.5,
        "autocorrelation of D's logit of samples at its period; shown beside the others",
        "a cycle of the Dirac-GAN has 1",
    ),
    "oscillation.average": Bound(
        1.2, "distance of averaged samples over that of the playing weights'; shown beside the others", _RING
    ),
    "oscillation.back": Bound(
        -0.2,
        "cosine of two updates of G in a row; shown beside the others",
        "a bouncing step of gradient descent has -1",
    ),
    "divergence.logits": Bound(88.0, "distance of D's mean logits of real and fake", "exp of more overflows float32"),
    "divergence.growth": Bound(30.0, "the same over what it was in the first ten steps", _SET),
    "divergence.distance": Bound(
        3.0, "distance of samples from held-out rows over that at the first look, or 1 if that is more", _RING
    ),
    "overtrained.worse": Bound(1.5, "distance of samples from held-out rows over the best one before", _RING),
    "overtrained.learnt": Bound(
        0.5, "the best distance over the first one, or 1 if that is more, below which G had learnt something", _SET
    ),
    "condition.told": Bound(0.25, "how far above chance samples show their label, where real rows are 1", _SET),
    "condition.rising": Bound(0.1, "how much nearer to real rows than in the first half of looks is progress", _SET),
    "condition.floor": Bound(0.3, "how far above chance real rows show theirs, below which nothing can be said", _SET),
}
"""By the name that rules use."""


def bound(name: str) -> float:
    """The number of a row."""
    return TABLE[name].value
