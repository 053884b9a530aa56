"""WGAN-GP on a spiral: the one loss that falls as samples approach the data, watched while it trains.

python examples/05_wgan_gp.py [STEPS]
"""

import sys
from collections.abc import Mapping
from typing import Any

import ganworks
from ganworks import metrics, theory

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 700


def watch(record: Mapping[str, Any]) -> None:
    """Called with every record, and with messages that have no step."""
    step = record.get("step", 0)
    if step and step & (step - 1) == 0:  # 1, 2, 4, 8, …
        distance, penalty = -record["discriminator.adversarial"], record["discriminator.gradient_penalty"]
        print(f"step {step:4}: distance {distance:6.3f}, penalty {penalty:6.3f}")


# Five critic updates are one step. The distance is in the critic's own unit: its slope where the penalty is small.
gan = ganworks.GAN("wgan_gp")
gan.fit("swissroll", steps=steps, seed=0, watchers=[watch])

real, other = (theory.swissroll().sample(2000) for _ in range(2))
found = metrics.score("kernel_distance", real, gan.sample(2000), floor=other)
print(f"kernel distance {found.value:.4f} [{found.low:.4f}, {found.high:.4f}], real data {found.real:.4f}")
