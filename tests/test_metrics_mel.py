"""Mel-cepstral distortion against its closed form and a search of all warping paths."""

import math
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import mel_cepstral_distortion


def cepstra(frames: int, coefficients: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(frames, coefficients, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_search(a: Tensor, b: Tensor) -> float:
    """Recursion over all monotone paths, from the definition."""
    cost = (a[:, None, 1:] - b[None, :, 1:]).square().sum(2).sqrt()

    @cache
    def best(i: int, j: int) -> tuple[float, int]:
        if i == j == 0:
            return float(cost[0, 0]), 1
        ways = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        total, length = min(best(*way) for way in ways if min(way) >= 0)
        return total + float(cost[i, j]), length + 1

    total, length = best(len(a) - 1, len(b) - 1)
    return 10 / math.log(10) * math.sqrt(2) * total / length


def test_a_uniform_difference() -> None:
    """6.1419 delta sqrt(D) on D coefficients; without the factor 2 it would be 4.3429."""
    x = torch.zeros(20, 14, dtype=torch.float64)
    shifted = x.clone()
    shifted[:, 1:] += 0.3
    assert mel_cepstral_distortion(x, shifted) == pytest.approx(6.141851463713754 * 0.3 * math.sqrt(13))


def test_loudness_does_not_count() -> None:
    x = cepstra(10)
    louder = x.clone()
    louder[:, 0] += 7
    assert mel_cepstral_distortion(x, louder) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 50))
def test_it_takes_the_best_of_all_paths_and_is_symmetric(t: int, u: int, seed: int) -> None:
    x, y = cepstra(t, seed=seed), cepstra(u, seed=seed + 1)
    assert mel_cepstral_distortion(x, y) == pytest.approx(by_search(x, y))
    assert mel_cepstral_distortion(x, y) == pytest.approx(mel_cepstral_distortion(y, x))


def test_slower_speech_is_the_same_speech() -> None:
    x = cepstra(12)
    assert mel_cepstral_distortion(x, x) == 0
    assert mel_cepstral_distortion(x, x.repeat_interleave(3, 0)) == 0


def test_it_grows_with_noise() -> None:
    x, noise = cepstra(40), cepstra(40, seed=1)
    found = [mel_cepstral_distortion(x, x + scale * noise) for scale in (0.0, 0.1, 0.3, 1.0)]
    assert found == sorted(found)
    assert found[0] < found[1]


def test_unfit_cepstra_are_refused() -> None:
    for a, b in ((cepstra(3, 1), cepstra(3, 1)), (cepstra(3), cepstra(3, 4)), (cepstra(0), cepstra(3))):
        with pytest.raises(UsageError, match="E-METRIC-01"):
            mel_cepstral_distortion(a, b)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        mel_cepstral_distortion(cepstra(3), cepstra(3) / 0)
