"""Mel-cepstral distortion: how far synthetic speech is from a recording of the same words."""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Samples, rows, unfit

_TO_DECIBEL = 10 / math.log(10) * math.sqrt(2)


def mel_cepstral_distortion(a: Samples, b: Samples) -> float:
    """(10/ln 10) sqrt(2 sum over d >= 1 of (c_d - c'_d)^2) in dB, the mean over the frames that time warping pairs.

    Coefficient 0 is the loudness and does not count. Frames are paired by the path of least total distance from both
    beginnings to both ends, by steps of one frame in either or in both; of equal ones, the shortest.

    Args:
        a, b: (T, D) and (T', D) mel cepstra, a frame a row; D of at least 2, coefficient 0 first.
    Raises: UsageError E-METRIC-01 (shapes, too few) or E-METRIC-02 (not finite).
    Source: Kubichek 1993.
    """
    x, y = (rows("mel_cepstral_distortion", name, each, least=1) for name, each in (("a", a), ("b", b)))
    if x.shape[1] != y.shape[1] or x.shape[1] < 2:
        raise unfit("mel_cepstral_distortion", "at least 2 coefficients, as many in both", (x.shape[1], y.shape[1]))
    distances = torch.cdist(x[:, 1:], y[:, 1:], compute_mode="donot_use_mm_for_euclid_dist")
    total, length = _shortest(distances)
    return _TO_DECIBEL * total / length


def _shortest(cost: Float64[Tensor, "t u"]) -> tuple[float, int]:
    """Total cost and number of pairs of the best path from the first corner to the last, one diagonal after the other.

    Entry i of a diagonal d is cell (i, d - i); its predecessors lie on the two diagonals before.
    """
    high, wide = cost.shape
    before = last = torch.full((high + 1,), math.inf, dtype=torch.float64)  # entry i + 1 is row i, entry 0 outside
    before_length = last_length = torch.zeros(high + 1, dtype=torch.long)
    for diagonal in range(high + wide - 1):
        first, end = max(0, diagonal - wide + 1), min(high, diagonal + 1)
        row = torch.arange(first, end)
        here = cost[row, diagonal - row]
        now, now_length = torch.full_like(last, math.inf), torch.zeros_like(last_length)
        if diagonal == 0:
            now[1], now_length[1] = here[0], 1
        else:
            costs = torch.stack((before[row], last[row], last[row + 1]))
            lengths = torch.stack((before_length[row], last_length[row], last_length[row + 1]))
            least = costs.min(0).values
            length = lengths.masked_fill(costs > least, high + wide).min(0).values
            now[row + 1], now_length[row + 1] = here + least, length + 1
        before, before_length, last, last_length = last, last_length, now, now_length
    return last[high].item(), int(last_length[high])
