"""The loop a person writes by hand: PyTorch's DCGAN tutorial, at 32 or 64 px. ganworks only reads the pictures.

Equal discipline: the same pictures, one thread, denormals flushed as ours does, process CPU seconds of training only.
The tutorial's recipe stays as it is: batch 128, Adam 2e-4 (0.5, 0.999), binary cross-entropy, batch norm, N(0, 0.02)
weights, the discriminator run on real and fake batches apart. For pictures up to 32 px its networks for 64 x 64 lose
one layer; 28 x 28 pictures are padded with black to 32 and cropped back for the score. Samples are the raw generator's
in train mode, as the tutorial shows them: batch statistics of 128 samples at a time.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ganworks.data import open as open_data

from .protocol import all_pictures

BATCH = 128
LATENT = 100


@dataclass(frozen=True)
class Loop:
    """One hand-written loop.

    `cheap` changes the cost of a step and not its mathematics: channels-last, fused Adam, no discriminator weight
    gradients in the generator's turn. `bf16` runs convolutions in bfloat16 by autocast.
    """

    width: int
    bf16: bool = False
    cheap: bool = False
    seed: int = 0


def networks(width: int, channels: int = 1, edge: int = 32) -> tuple[nn.Module, nn.Module]:
    """Generator (B, 100, 1, 1) to (B, C, edge, edge) in [-1, 1]; discriminator from there to logits (B, 1, 1, 1)."""
    inner = [width * 2**level for level in range(edge.bit_length() - 3)]
    up, down = [LATENT, *reversed(inner), channels], [channels, *inner, 1]
    generator: list[nn.Module] = []
    discriminator: list[nn.Module] = []
    for layer in range(len(up) - 1):
        first, last = layer == 0, layer == len(up) - 2
        generator.append(
            nn.ConvTranspose2d(up[layer], up[layer + 1], 4, 1 if first else 2, 0 if first else 1, bias=False)
        )
        generator += [nn.Tanh()] if last else [nn.BatchNorm2d(up[layer + 1]), nn.ReLU(True)]
        discriminator.append(nn.Conv2d(down[layer], down[layer + 1], 4, 1 if last else 2, 0 if last else 1, bias=False))
        if not last:
            discriminator += [] if first else [nn.BatchNorm2d(down[layer + 1])]
            discriminator.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*generator).apply(initialise), nn.Sequential(*discriminator).apply(initialise)


def initialise(module: nn.Module) -> None:
    """The tutorial's weights: N(0, 0.02) for convolutions, N(1, 0.02) and zero for batch norm."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def batches(pictures: Float[Tensor, "n c h w"]) -> Iterator[Float[Tensor, "b c h w"]]:
    """Endless shuffled epochs of whole batches."""
    while True:
        for rows in torch.split(torch.randperm(len(pictures)), BATCH):
            if len(rows) == BATCH:
                yield pictures[rows]


class Rival:
    """The networks and optimizers of one loop, and its step."""

    def __init__(self, loop: Loop, channels: int = 1, edge: int = 32) -> None:
        torch.manual_seed(loop.seed)
        self.loop = loop
        self.generator, self.discriminator = networks(loop.width, channels, edge)
        if loop.cheap:
            self.generator, self.discriminator = (
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                for network in (self.generator, self.discriminator)
            )
        fused = True if loop.cheap else None
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=fused)
            for network in (self.generator, self.discriminator)
        )

    def precision(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.loop.bf16)

    def step(self, real: Float[Tensor, "b c s s"]) -> None:
        """One update of the discriminator and one of the generator on the same fakes, as in the tutorial."""
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        cross_entropy = functional.binary_cross_entropy_with_logits
        with self.precision():
            fake = self.generator(torch.randn(len(real), LATENT, 1, 1))
            real_logits = self.discriminator(real).flatten()
            fake_logits = self.discriminator(fake.detach()).flatten()
        self.discriminator_optimizer.zero_grad()
        torch.autograd.backward([cross_entropy(real_logits.float(), ones), cross_entropy(fake_logits.float(), zeros)])
        self.discriminator_optimizer.step()

        if self.loop.cheap:
            self.discriminator.requires_grad_(False)
        with self.precision():
            fake_logits = self.discriminator(fake).flatten()
        self.generator_optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(fake_logits.float(), ones))
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)

    @torch.no_grad()
    def sample(self, count: int, size: int) -> Float[Tensor, "n c h w"]:
        """Samples cropped to size x size, from a stream of their own, so that a mark does not disturb the training."""
        stream = torch.Generator().manual_seed(self.loop.seed + 1000)
        latents = torch.randn(BATCH * math.ceil(count / BATCH), LATENT, 1, 1, generator=stream)
        with self.precision():
            pictures = torch.cat([self.generator(z).float() for z in torch.split(latents, BATCH)])[:count]
        edge = (pictures.shape[-1] - size) // 2
        return pictures[..., edge : edge + size, edge : edge + size]


def train(
    loop: Loop,
    pictures: Float[Tensor, "n c h w"],
    marks: tuple[float, ...],
    reached: Callable[[float, int, Rival], None],
) -> None:
    """Train until the last mark; call `reached(seconds, steps, rival)` at each. What it costs is not counted.

    Args:
        loop: The arm.
        pictures: In [-1, 1], square, at most 64 px.
        marks: Process CPU seconds of training, ascending.
        reached: Scores the state; called between steps. `seconds` are those really used.
    """
    torch.set_flush_denormal(True)
    edge = 32 if pictures.shape[-1] <= 32 else 64
    margin = (edge - pictures.shape[-1]) // 2
    draw = batches(functional.pad(pictures, (margin,) * 4, value=-1.0))
    rival = Rival(loop, pictures.shape[1], edge)
    start, steps = time.process_time(), 0
    for mark in marks:
        while time.process_time() - start < mark:
            rival.step(next(draw))
            steps += 1
        stop = time.process_time()
        reached(stop - start, steps, rival)
        start += time.process_time() - stop


def main(words: list[str]) -> None:
    """Train one loop, leave its samples at each mark as a file, and print what each took as JSON."""
    parser = argparse.ArgumentParser("python -m experiments.rivals", description=__doc__)
    parser.add_argument("data", help="a data set that ganworks reads: pictures")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--cheap", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--marks", type=float, nargs="+", default=[60.0, 240.0], help="CPU seconds")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=Path())
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    pictures = all_pictures(open_data(options.data))
    marks: list[dict[str, object]] = []

    def reached(seconds: float, steps: int, rival: Rival) -> None:
        file = f"mark-{len(marks)}.npy"
        np.save(options.out / file, rival.sample(options.samples, pictures.shape[-1]).numpy())
        marks.append({"step": steps, "training_seconds": round(seconds, 2), "file": file})

    train(Loop(options.width, options.bf16, options.cheap, options.seed), pictures, tuple(options.marks), reached)
    print(json.dumps(marks))


if __name__ == "__main__":
    main(sys.argv[1:])
