"""What the engine costs over the best loop one would write by hand for the same game.

Both play the same networks, losses and updates on the same data: two alternating players, shared fakes, fused Adam,
gradients for the mover's weights only. The bare loop does nothing else: no records, no finite check, no named streams,
no average. Interleaved in one process, process CPU time, one thread; a ratio of medians with its spread.

Bar: at most 1.12 on the ring's small networks, at most 1.03 on DCGAN at 32 px.

    python -m benchmarks.overhead [--blocks 40]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from experiments.record import Record
from ganworks import data as datasets
from ganworks import systems
from ganworks.data.dataset import DataSet
from ganworks.settings import build, fit, nested
from ganworks.training.building import laid_out
from ganworks.training.engine import Engine

BARS = {"ring": 1.12, "dcgan at 32 px": 1.03}
SOURCES = ("src/ganworks/training", "src/ganworks/game.py", "src/ganworks/round.py", "benchmarks/overhead.py")


def bare(generator: nn.Module, discriminator: nn.Module, data: DataSet, batch: int, z: int, joint: bool) -> Callable:
    """One round of the non-saturating game, as a careful hand writes it."""
    g_weights, d_weights = list(generator.parameters()), list(discriminator.parameters())
    g_rule = torch.optim.Adam(g_weights, 1e-4, (0.5, 0.999), fused=True)
    d_rule = torch.optim.Adam(d_weights, 1e-4, (0.5, 0.999), fused=True)

    def round_() -> None:
        rows = torch.randint(len(data), (batch,))
        real = data.rows(rows)["x"]
        fake = generator(torch.randn(batch, z))
        if joint:
            logits = discriminator(torch.cat([real, fake.detach()]))
            a, b = logits[:batch], logits[batch:]
        else:
            a, b = discriminator(real), discriminator(fake.detach())
        d_rule.zero_grad()
        (F.softplus(-a).mean() + F.softplus(b).mean()).backward(inputs=d_weights)
        d_rule.step()
        g_rule.zero_grad()
        F.softplus(-discriminator(fake)).mean().backward(inputs=g_weights)
        g_rule.step()

    return round_


def engine(name: str, data: DataSet, **settings: object) -> Engine:
    made = systems.get(name)
    torch.manual_seed(0)
    given = build(made.Settings, made.suited(data.spec), fit(made.Settings, nested(settings)))
    return Engine(laid_out(made(given, data.spec)), data, seed=0, steps=10**6)


def measured(ours: Callable, theirs: Callable, rounds: int, blocks: int) -> dict[str, float]:
    """Median ratio of CPU seconds over interleaved blocks, and its quartiles."""
    for each in (ours, theirs):
        for _ in range(rounds):
            each()
    ratios, costs = [], []
    for _ in range(blocks):
        spent = []
        for each in (ours, theirs):
            begun = time.process_time()
            for _ in range(rounds):
                each()
            spent.append((time.process_time() - begun) / rounds)
        ratios.append(spent[0] / spent[1])
        costs.append(spent)
    low, middle, high = statistics.quantiles(ratios, n=4)
    ours_ms, theirs_ms = (1e3 * statistics.median(column) for column in zip(*costs, strict=True))
    return {"ratio": middle, "low": low, "high": high, "ours_ms": ours_ms, "bare_ms": theirs_ms}


def pictures() -> DataSet:
    random = torch.Generator().manual_seed(0)
    return datasets.open((torch.rand(2000, 3, 32, 32, generator=random) * 255).byte())


def compare(system: str, data: DataSet, *, rounds: int, joint: bool, blocks: int) -> dict[str, float]:
    """One game by the engine and by hand."""
    ours, twin = engine(system, data), engine(system, data)
    for parameter in twin.system.parameters():
        parameter.grad = None
    settings = ours.system.settings
    networks = twin.system.generator, twin.system.discriminator
    theirs = bare(*networks, data, settings.batch, settings.latent.size, joint)
    return measured(ours.round, theirs, rounds, blocks)


def main(words: list[str], folder: Path = Path(__file__).parent / "results") -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--blocks", type=int, default=40)
    blocks = parser.parse_args(words).blocks
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    record = Record("overhead", str(__doc__).splitlines()[0], SOURCES, {"blocks": blocks}, folder)
    games = {
        "ring": partial(compare, "gan", datasets.open("ring"), rounds=50, joint=True, blocks=blocks),
        "dcgan at 32 px": partial(compare, "dcgan", pictures(), rounds=2, joint=False, blocks=blocks),
    }
    for name, game in games.items():
        found = record.arm(name, game)
        record.bar(f"{name}, CPU time over the bare loop's", found["ratio"], "<=", BARS[name])
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
