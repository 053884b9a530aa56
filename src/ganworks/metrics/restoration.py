"""How near restored pictures are to the originals: signal-to-noise ratio and structural similarity."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional as F

from ganworks.errors import error
from ganworks.metrics.inputs import Samples, unfit

_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents from the finest scale to the coarsest. Source: Wang, Simoncelli and Bovik 2003, section 3.2."""
_BLOCK = 1 << 21
"""Pixels filtered at once."""


def psnr(a: Samples, b: Samples, data_range: float) -> float:
    """10 log10(data_range^2 / mean squared error) in dB: of each picture, then the mean; inf where two are equal.

    Args:
        a, b: (N, C, H, W), or one picture (C, H, W) or (H, W), in any order.
        data_range: Largest less smallest possible value: 255 for bytes, 2 for [-1, 1].
    Raises: UsageError E-METRIC-01 (shapes, no range) or E-METRIC-02 (not finite).
    """
    x, y = _pictures("psnr", a, b, data_range)
    errors = (x - y).square().mean((1, 2, 3))
    return (10 * (data_range**2 / errors).log10()).mean().item()


def ssim(a: Samples, b: Samples, data_range: float) -> float:
    """The mean structural similarity, of each channel of each picture; 1 where they are equal, at least -1.

    A Gaussian window of 11 x 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03, where the window lies wholly inside.

    Args, Raises: As for `psnr`; sides of at least 11 pixels.
    Source: Wang et al. 2004, equation 13.
    """
    x, y = _pictures("ssim", a, b, data_range, side=_WINDOW)
    return torch.cat([_similarity(*block, data_range)[0] for block in _blocks(x, y)]).mean().item()


def ms_ssim(a: Samples, b: Samples, data_range: float) -> float:
    """Contrast and structure at five scales, luminance at the coarsest, with the published exponents; from 0 to 1.

    Each scale halves the one before by means over 2 x 2 pixels; the last row or column of an odd side counts twice. A
    negative similarity at one scale makes the whole 0.

    Args, Raises: As for `psnr`; sides of at least 161 pixels, so that the coarsest scale holds one window.
    Source: Wang, Simoncelli and Bovik 2003, equation 7.
    """
    x, y = _pictures("ms_ssim", a, b, data_range, side=(_WINDOW - 1) * 2 ** (len(_SCALES) - 1) + 1)
    return torch.cat([_at_all_scales(*block, data_range) for block in _blocks(x, y)]).mean().item()


def _at_all_scales(x: Float64[Tensor, "n 1 h w"], y: Float64[Tensor, "n 1 h w"], data_range: float) -> Tensor:
    product = torch.ones(len(x), dtype=torch.float64)
    for scale, exponent in enumerate(_SCALES, 1):
        whole, without_luminance = _similarity(x, y, data_range)
        product *= (whole if scale == len(_SCALES) else without_luminance).clamp(min=0) ** exponent
        x, y = _halved(x), _halved(y)
    return product


def _halved(x: Float64[Tensor, "n 1 h w"]) -> Float64[Tensor, "n 1 _h _w"]:
    odd = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate")
    return F.avg_pool2d(odd, 2)


def _similarity(
    x: Float64[Tensor, "n 1 h w"], y: Float64[Tensor, "n 1 h w"], data_range: float
) -> tuple[Float64[Tensor, " n"], Float64[Tensor, " n"]]:
    """The mean over the picture of l*c*s and of c*s. Variances are those of the weights, without a correction."""
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    # Variances do not change with an offset, but E x^2 - (E x)^2 loses its digits to a large one.
    offset = x.mean((1, 2, 3), keepdim=True)
    u, v = x - offset, y - offset
    u_mean, v_mean, uu, vv, uv = (_filtered(each) for each in (u, v, u * u, v * v, u * v))
    x_mean, y_mean = u_mean + offset, v_mean + offset
    spread = (uu - u_mean**2).clamp(min=0) + (vv - v_mean**2).clamp(min=0)
    structure = (2 * (uv - u_mean * v_mean) + c2) / (spread + c2)
    luminance = (2 * x_mean * y_mean + c1) / (x_mean**2 + y_mean**2 + c1)
    return (luminance * structure).mean((1, 2, 3)), structure.mean((1, 2, 3))


def _filtered(x: Float64[Tensor, "n 1 h w"]) -> Float64[Tensor, "n 1 _h _w"]:
    """Means over the window, which is a product of two of one row each."""
    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    weights = (-offsets.square() / (2 * _SIGMA**2)).exp()
    weights = (weights / weights.sum()).view(1, 1, 1, -1)
    return F.conv2d(F.conv2d(x, weights), weights.transpose(2, 3))


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Every channel as a picture of its own, some at once."""
    x, y = x.flatten(0, 1)[:, None], y.flatten(0, 1)[:, None]
    step = max(1, _BLOCK // (x.shape[2] * x.shape[3]))
    yield from zip(torch.split(x, step), torch.split(y, step), strict=True)


def _pictures(metric: str, a: Samples, b: Samples, data_range: float, side: int = 1) -> tuple[Tensor, Tensor]:
    """Both as (N, C, H, W) float64."""
    first, second = (torch.as_tensor(each if isinstance(each, Tensor) else np.asarray(each)) for each in (a, b))
    if first.shape != second.shape or first.ndim not in (2, 3, 4) or not first.numel():
        shapes = " and ".join(str(tuple(each.shape)) for each in (first, second))
        raise unfit(metric, "two sets of pictures of one shape, (N, C, H, W) or (C, H, W)", shapes)
    if min(first.shape[-2:]) < side:
        raise unfit(metric, f"sides of at least {side} pixels", f"{first.shape[-2]} x {first.shape[-1]}")
    if not (math.isfinite(data_range) and data_range > 0):
        raise unfit(metric, "a data_range above 0", data_range)
    pair = [each.detach().to("cpu", torch.float64) for each in (first, second)]
    if not all(bool(each.isfinite().all()) for each in pair):
        raise error("E-METRIC-02", metric=metric, got="pixels")
    shape = (1,) * (4 - first.ndim) + tuple(first.shape)
    return pair[0].view(shape), pair[1].view(shape)
