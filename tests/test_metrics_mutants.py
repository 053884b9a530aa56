"""Wrong implementations, each a mistake that somebody has published, and the test that notices each.

A mutant is the plain version of a metric (`plain_metrics.py`) with one convention broken. It is put in the metric's
place, and the named test must fail. With the plain version as it is, and with ours, the same test must pass: so what
it noticed is the mistake.
"""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import plain_metrics as plain
import pytest

from ganworks import metrics


class Mutant(NamedTuple):
    """What is wrong with a metric, how the plain version is told to do so, and the test that must fail."""

    metric: str
    mistake: str
    wrong: dict[str, Any]
    test: str


FORMS = "test_metrics_closed_forms"
MUTANTS = [
    Mutant(metric, mistake, wrong, f"{FORMS}::{test}")
    for metric, mistake, wrong, test in (
        ("frechet_distance", "covariances over n", {"ddof": 0}, "test_frechet_of_a_shift_and_a_scale"),
        ("frechet_distance", "second moments not centred", {"center": False}, "test_frechet_of_a_shift_and_a_scale"),
        ("frechet_distance", "means left out", {"means": False}, "test_frechet_of_a_shift_and_a_scale"),
        ("frechet_distance", "float32 moments and roots", {"precision": "float32"},
         "test_frechet_of_scales_and_offsets_far_apart"),
        ("frechet_distance", "covariances taken to commute", {"commute": True},
         "test_frechet_of_covariances_that_do_not_commute"),
        ("frechet_extrapolated", "not extrapolated", {"extrapolated": False},
         "test_frechet_extrapolated_of_moments_without_sampling_error"),
        ("frechet_extrapolated", "extrapolated the wrong way", {"sign": -1},
         "test_frechet_extrapolated_of_moments_without_sampling_error"),
        ("kernel_distance", "the biased diagonal kept", {"estimator": "biased"}, "test_kernel_of_two_points_each"),
        ("kernel_distance", "degree 2", {"degree": 2}, "test_kernel_of_two_points_each"),
        ("kernel_distance", "no constant in the kernel", {"constant": 0}, "test_kernel_of_two_points_each"),
        ("kernel_distance", "products not over d", {"per_dimension": False},
         "test_kernel_of_corners_of_a_shifted_cube"),
        ("precision_recall", "a sample counted as its own neighbour", {"own": True},
         "test_neighbours_on_a_line_with_one_neighbour"),
        ("precision_recall", "k one too large", {"more": 1}, "test_neighbours_on_a_line_with_one_neighbour"),
        ("precision_recall", "precision and recall exchanged", {"swapped": True},
         "test_neighbours_on_a_line_with_one_neighbour"),
        ("precision_recall", "k of 5 where 3 is meant", {"k": 5},
         "test_neighbours_k_is_three_for_the_one_pair_and_five_for_the_other"),
        ("density_coverage", "a sample counted as its own neighbour", {"own": True},
         "test_neighbours_on_a_line_with_one_neighbour"),
        ("density_coverage", "coverage counted on the fakes", {"of_fakes": True},
         "test_neighbours_on_a_line_with_one_neighbour"),
        ("density_coverage", "density not over k", {"over_k": False}, "test_neighbours_on_a_line_with_two_neighbours"),
        ("inception_score", "std over splits - 1", {"ddof": 1}, "test_inception_score_of_parts_in_order"),
        ("inception_score", "shuffled before the splits", {"shuffled": True}, "test_inception_score_of_parts_in_order"),
        ("inception_score", "the classes of all samples in every split", {"marginal": "all"},
         "test_inception_score_of_parts_in_order"),
        ("sliced_wasserstein", "mean of distances, not the root of mean squares", {"root_each": True},
         "test_sliced_of_a_shift_is_the_shift_along_the_lines"),
        ("sliced_wasserstein", "W1 along the lines", {"power": 1},
         "test_sliced_of_numbers_is_the_distance_of_their_quantiles"),
        ("psnr", "the range ignored", {"use_range": False}, "test_psnr_of_constant_errors"),
        ("psnr", "decibels of the mean error of all pictures", {"pooled": True}, "test_psnr_of_constant_errors"),
        ("ssim", "a flat window", {"flat": True}, "test_ssim_of_an_impulse_weighs_by_a_gaussian"),
        ("ssim", "the range ignored", {"use_range": False}, "test_ssim_of_flat_pictures_is_their_luminance"),
        ("ms_ssim", "luminance at every scale", {"luminance": "all"}, "test_ssim_of_flat_pictures_is_their_luminance"),
        ("ms_ssim", "four scales", {"scales": 4}, "test_ssim_of_flat_pictures_is_their_luminance"),
        ("mode_coverage", "a reach of 4 std", {"reach": 4}, "test_modes_reach_to_three_std"),
        ("mode_coverage", "KL from the weights to the samples", {"forward": True},
         "test_modes_are_weighed_from_samples_to_weights"),
        ("mode_coverage", "width not set against that of cut normals", {"cut": False},
         "test_modes_of_points_that_are_placed"),
        ("mode_coverage", "width not of each coordinate", {"per_axis": False}, "test_modes_of_points_that_are_placed"),
        ("class_histogram", "KL the other way round", {"turned": True}, "test_class_kl_of_counts"),
        ("class_histogram", "probabilities summed, not choices", {"soft": True}, "test_class_kl_of_counts"),
        ("label_accuracy", "the two best choices", {"top": 2}, "test_label_accuracy_of_three_in_four"),
        ("gan_test", "labels of other samples", {"shuffled": True}, "test_gan_test_of_samples_on_the_wrong_side"),
        ("gan_train", "judged on the samples", {"on_fakes": True}, "test_gan_train_of_samples_that_are_shifted"),
        ("gan_train", "trained on real data", {"from_real": True}, "test_gan_train_of_samples_that_are_shifted"),
        ("memorization", "samples and held-out rows exchanged", {"turned": True},
         "test_memorization_of_copies_and_of_the_held_out"),
        ("memorization", "distances not over those to the second nearest", {"second": False},
         "test_memorization_of_copies_and_of_the_held_out"),
        ("memorization", "the test's other side", {"greater": True},
         "test_memorization_of_copies_and_of_the_held_out"),
        ("different_bins", "the variance of one proportion without the sizes", {"pooled": False},
         "test_different_bins_of_heaps"),
        ("different_bins", "a one-sided test", {"sided": 1}, "test_different_bins_of_heaps"),
        ("birthday_support", "a sample counted as its own twin", {"own": True},
         "test_birthday_support_of_counted_pairs"),
        ("birthday_support", "every pair counted twice", {"ordered": True}, "test_birthday_support_of_counted_pairs"),
        ("mel_cepstral_distortion", "coefficient 0 counted", {"loudness": True},
         "test_mel_cepstral_distortion_of_a_constant_difference"),
        ("mel_cepstral_distortion", "the 2 under the root forgotten", {"doubled": False},
         "test_mel_cepstral_distortion_of_a_constant_difference"),
        ("mel_cepstral_distortion", "the sum along the path, not the mean", {"mean": False},
         "test_mel_cepstral_distortion_of_a_constant_difference"),
        ("mel_cepstral_distortion", "frames paired by their number", {"warped": False},
         "test_mel_cepstral_distortion_warps_time"),
    )
]  # fmt: skip
each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: f"{each.metric}, {each.mistake}")
METRICS = {
    name for name in metrics.__all__
    if name[0].islower() and name not in ("features", "names", "score", "scores")
}  # fmt: skip


def named(test: str) -> Callable[[], None]:
    module, _, function = test.partition("::")
    return getattr(importlib.import_module(module), function)


@each_mutant
def test_a_mutant_is_noticed_by_its_test(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, mutant.metric, partial(getattr(plain, mutant.metric), **mutant.wrong))
    with pytest.raises(AssertionError):
        named(mutant.test)()


@pytest.mark.parametrize(("metric", "test"), sorted({(each.metric, each.test) for each in MUTANTS}))
def test_without_the_mistake_the_same_test_passes(metric: str, test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named(test)()
    monkeypatch.setattr(metrics, metric, getattr(plain, metric))
    named(test)()


def test_every_metric_has_a_mutant() -> None:
    assert {each.metric for each in MUTANTS} == METRICS
    assert len(MUTANTS) >= 10


def test_what_is_put_in_a_metrics_place_is_what_the_named_tests_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reached a metric by another way would pass whatever stands in its place."""
    for metric, test in {(each.metric, each.test) for each in MUTANTS}:
        with monkeypatch.context() as patched:
            patched.delattr(metrics, metric)
            with pytest.raises(AttributeError):
                named(test)()
