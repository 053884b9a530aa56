"""How good a generator is: numbers from features, with their uncertainty. The first argument is the real data."""

from ganworks.metrics import features
from ganworks.metrics.bins import different_bins
from ganworks.metrics.birthday import Support, birthday_support
from ganworks.metrics.classes import ClassHistogram, class_histogram, label_accuracy
from ganworks.metrics.classifier_score import InceptionScore, inception_score
from ganworks.metrics.copies import Memorization, memorization
from ganworks.metrics.frechet import frechet_distance, frechet_extrapolated
from ganworks.metrics.kernel import kernel_distance
from ganworks.metrics.mel import mel_cepstral_distortion
from ganworks.metrics.modes import ModeCoverage, mode_coverage
from ganworks.metrics.moments import Moments
from ganworks.metrics.neighbours import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from ganworks.metrics.restoration import ms_ssim, psnr, ssim
from ganworks.metrics.score import Score, names, score, scores
from ganworks.metrics.sliced import sliced_wasserstein
from ganworks.metrics.transfer import Accuracy, gan_test, gan_train

__all__ = [
    "Accuracy",
    "ClassHistogram",
    "DensityCoverage",
    "InceptionScore",
    "Memorization",
    "ModeCoverage",
    "Moments",
    "PrecisionRecall",
    "Score",
    "Support",
    "birthday_support",
    "class_histogram",
    "density_coverage",
    "different_bins",
    "features",
    "frechet_distance",
    "frechet_extrapolated",
    "gan_test",
    "gan_train",
    "inception_score",
    "kernel_distance",
    "label_accuracy",
    "mel_cepstral_distortion",
    "memorization",
    "mode_coverage",
    "ms_ssim",
    "names",
    "precision_recall",
    "psnr",
    "score",
    "scores",
    "sliced_wasserstein",
    "ssim",
]
