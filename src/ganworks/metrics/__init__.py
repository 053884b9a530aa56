"""How good a generator is: numbers from features, with their uncertainty. The first argument is the real data."""

from ganworks.metrics import features
from ganworks.metrics.classes import ClassHistogram, class_histogram, label_accuracy
from ganworks.metrics.frechet import frechet_distance
from ganworks.metrics.kernel import kernel_distance
from ganworks.metrics.modes import ModeCoverage, mode_coverage
from ganworks.metrics.neighbours import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from ganworks.metrics.score import Score, names, score, scores

__all__ = [
    "ClassHistogram",
    "DensityCoverage",
    "ModeCoverage",
    "PrecisionRecall",
    "Score",
    "class_histogram",
    "density_coverage",
    "features",
    "frechet_distance",
    "kernel_distance",
    "label_accuracy",
    "mode_coverage",
    "names",
    "precision_recall",
    "score",
    "scores",
]
