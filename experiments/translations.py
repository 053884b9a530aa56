"""What translations are measured by, and how a translator is trained: for the experiments on pairs and domains."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

import ganworks
from ganworks import metrics
from ganworks.data.dataset import DataSet
from ganworks.data.pictures import grid, write_png

from . import protocol
from .protocol import Pictures, Space, whole_grey
from .record import Arm

BINS = 64
"""Of a histogram of gradient sizes, from 0 to the most that three colours can change by from pixel to pixel."""
_MOST = 4.0
SHOWN = 32
"""Translations in a picture."""


def trained(name: str, data: DataSet, steps: int, seed: int, **settings: Any) -> tuple[ganworks.GAN, Arm]:
    """A translator after so many steps, with the CPU seconds that they took."""
    gan = ganworks.GAN(name, **settings).start(data, seed=seed, steps=steps)
    begun = time.process_time()
    for _ in range(steps):
        gan.round()
    return gan, {"steps": steps, "training_seconds": round(time.process_time() - begun, 1)}


def gradients(x: Pictures) -> Float[Tensor, " bins"]:
    """The histogram of gradient sizes: differences to the next pixel along both axes, over all colours."""
    along, down = x[:, :, :-1, 1:] - x[:, :, :-1, :-1], x[:, :, 1:, :-1] - x[:, :, :-1, :-1]
    size = torch.cat([along, down], 1).square().sum(1).sqrt()
    counts = torch.histc(size.flatten().float(), BINS, 0.0, _MOST)
    return counts / counts.sum()


def gradient_error(x: Pictures, real: Pictures) -> float:
    """The total variation distance of two histograms of gradient sizes: 0 for equal ones, 1 for disjoint ones."""
    return 0.5 * (gradients(x) - gradients(real)).abs().sum().item()


def power(x: Pictures) -> Float[Tensor, "c h w"]:
    """Mean power at each frequency, over pictures, a plane for each colour."""
    return torch.fft.fft2(x.double()).abs().square().mean(0)


def matched_noise(x: Pictures, missing: Float[Tensor, "c h w"]) -> Pictures:
    """Pictures with Gaussian noise of a spectrum: the null competitor of a network that adds detail."""
    white = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = torch.fft.ifft2(missing.clamp(min=0).sqrt() * torch.fft.fft2(white, norm="ortho")).real
    return (x + noise.to(x)).clamp(-1, 1)


def kernel_distance(space: Space, real: Float[Tensor, "n f"], pictures: Pictures) -> float:
    """Of pictures as they are saved, to the features of real ones."""
    return metrics.kernel_distance(real, space(whole_grey(pictures)))


def shown(name: str, columns: Sequence[Pictures]) -> None:
    """Keep the same rows of several columns, unpicked and spread evenly, for a person to look at."""
    few = torch.arange(SHOWN) * len(columns[0]) // SHOWN
    channels = max(column.shape[1] for column in columns)
    rows = [column[few].expand(-1, channels, -1, -1) for column in columns]
    protocol.CACHE.mkdir(exist_ok=True)
    sheet = grid(torch.stack(rows, 1).flatten(0, 1), columns=len(columns) * max(1, 12 // len(columns)))
    write_png(protocol.CACHE / f"{name}.png", sheet)
