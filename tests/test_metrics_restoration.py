"""PSNR, SSIM and MS-SSIM against sums over windows written out, and against pictures whose value is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import ms_ssim, psnr, ssim

Picture = NDArray[np.float64]


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def window() -> Picture:
    """11 x 11 numbers of a Gaussian with sigma 1.5, of sum 1."""
    square = np.square(np.arange(11) - 5)
    weights = np.exp(-(square[:, None] + square[None, :]) / (2 * 1.5**2))
    return weights / weights.sum()


def by_windows(x: Picture, y: Picture, data_range: float) -> tuple[float, float]:
    """The means of l*c*s and of c*s over every window that lies inside, from the paper's equations 6, 9, 10 and 13."""
    w, c1, c2 = window(), (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    whole, structure = [], []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mean_a, mean_b = (w * a).sum(), (w * b).sum()
            var_a, var_b = (w * (a - mean_a) ** 2).sum(), (w * (b - mean_b) ** 2).sum()
            both = (w * (a - mean_a) * (b - mean_b)).sum()
            structure.append((2 * both + c2) / (var_a + var_b + c2))
            whole.append(structure[-1] * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1))
    return float(np.mean(whole)), float(np.mean(structure))


def halved(x: Picture) -> Picture:
    x = np.pad(x, ((0, x.shape[0] % 2), (0, x.shape[1] % 2)), mode="edge")
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


def test_psnr_of_a_constant_error() -> None:
    x = pictures(3, 1, 8, 8)
    assert psnr(x, x + 0.1, 1) == pytest.approx(20)
    assert psnr(x * 255, x * 255 + 25.5, 255) == pytest.approx(20)
    assert psnr(x, x + 0.1, 2) == pytest.approx(20 + 20 * math.log10(2))


def test_psnr_is_of_each_picture_and_then_the_mean() -> None:
    """Of the mean error of both it would be 15.05 dB here."""
    x = torch.zeros(2, 1, 4, 4)
    y = torch.stack((torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.01)))
    assert psnr(x, y, 1) == pytest.approx(30)


def test_equal_pictures() -> None:
    x = pictures(2, 3, 170, 161)
    assert psnr(x, x, 1) == math.inf
    assert ssim(x, x, 1) == pytest.approx(1, abs=1e-12)
    assert ms_ssim(x, x, 1) == pytest.approx(1, abs=1e-12)


def test_ssim_is_the_mean_over_windows_channels_and_pictures() -> None:
    x, y = pictures(2, 3, 14, 17), pictures(2, 3, 14, 17, seed=1)
    each = [by_windows(a.numpy(), b.numpy(), 1)[0] for a, b in zip(x.flatten(0, 1), y.flatten(0, 1), strict=True)]
    assert ssim(x, y, 1) == pytest.approx(np.mean(each))
    assert ssim(x[0, 0], y[0, 0], 1) == pytest.approx(each[0])
    assert ssim(x.numpy() * 255, y.numpy() * 255, 255) == pytest.approx(np.mean(each))


def test_ssim_of_constant_pictures_is_their_luminance() -> None:
    x, y = torch.full((1, 16, 16), 0.2), torch.full((1, 16, 16), 0.6)
    assert ssim(x, y, 1) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), rel=1e-6)


def test_ms_ssim_multiplies_five_scales() -> None:
    """An odd side keeps its last row: 161 pixels leave one window at the coarsest scale."""
    x = pictures(161, 165)
    y = (x + 0.3 * pictures(161, 165, seed=1)).clamp(0, 1)
    a, b, expected = x.numpy(), y.numpy(), 1.0
    for scale, exponent in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        whole, structure = by_windows(a, b, 1)
        expected *= (whole if scale == 4 else structure) ** exponent
        a, b = halved(a), halved(b)
    assert ms_ssim(x, y, 1) == pytest.approx(expected)


def test_ms_ssim_of_opposite_pictures_is_zero() -> None:
    x = pictures(1, 176, 176)
    assert ms_ssim(x, 1 - x, 1) == 0
    assert ssim(x, 1 - x, 1) < 0


def test_a_far_offset_costs_no_digits() -> None:
    x, y = pictures(1, 20, 20), pictures(1, 20, 20, seed=1)
    near, far = ms_structure(x, y), ms_structure(x + 2.0**20, y + 2.0**20)
    assert far == pytest.approx(near, abs=1e-6)


def ms_structure(x: Tensor, y: Tensor) -> float:
    """With a range of 1 and a far offset the luminance is 1, so this is the structure up to 1e-4."""
    return ssim(x, y, 1) if float(x.min()) > 100 else by_windows(x[0].numpy(), y[0].numpy(), 1)[1]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.integers(1, 3), st.integers(1, 3))
def test_both_are_symmetric_and_of_no_order(seed: int, count: int, channels: int) -> None:
    x, y = pictures(count, channels, 12, 13, seed=seed), pictures(count, channels, 12, 13, seed=seed + 1)
    order = torch.randperm(count)
    for metric in (psnr, ssim):
        assert metric(x, y, 1) == pytest.approx(metric(y, x, 1))
        assert metric(x[order], y[order], 1) == pytest.approx(metric(x, y, 1))


def test_both_fall_with_noise() -> None:
    x, noise = pictures(1, 176, 176), pictures(1, 176, 176, seed=1)
    for metric in (psnr, ssim, ms_ssim):
        found = [metric(x, x + scale * noise, 1) for scale in (0.05, 0.1, 0.2, 0.4)]
        assert found == sorted(found, reverse=True)


def test_bytes_are_not_subtracted_as_bytes() -> None:
    x, y = np.full((4, 4), 10, np.uint8), np.full((4, 4), 20, np.uint8)
    assert psnr(x, y, 255) == psnr(y, x, 255) == pytest.approx(20 * math.log10(25.5))


def test_unfit_pictures_are_refused() -> None:
    x = pictures(1, 1, 160, 200)
    with pytest.raises(UsageError, match="sides of at least 161 pixels, but got 160 x 200"):
        ms_ssim(x, x, 1)
    with pytest.raises(UsageError, match="sides of at least 11 pixels"):
        ssim(x[..., :10], x[..., :10], 1)
    for other in (x[..., 1:], x[0], x[:0]):
        with pytest.raises(UsageError, match="E-METRIC-01"):
            psnr(x, other, 1)
    for size in (0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="data_range"):
            psnr(x, x, size)
    with pytest.raises(UsageError, match="E-METRIC-02"):
        psnr(x, x / 0, 1)
