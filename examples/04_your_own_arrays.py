"""Your own numbers: an array in, samples in its units out, judged on rows that training has not seen.

python examples/04_your_own_arrays.py [STEPS]
"""

import sys

import numpy as np

import ganworks

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000

# Heights in cm and weights in kg of two groups: any array of shape (rows, columns) will do.
random = np.random.default_rng(0)
group = random.integers(2, size=3000)
height = random.normal(np.where(group, 178, 165), 6)
weight = random.normal(0.9 * (height - 100), 5)
table = np.stack([height, weight], axis=1)

gan = ganworks.GAN("r3gan").fit(table, steps=steps, seed=0)
new = gan.sample(1000, seed=0).numpy()  # centimetres and kilograms again

for name, column in (("height", 0), ("weight", 1)):
    real, fake = table[:, column], new[:, column]
    print(f"{name}: real {real.mean():.1f} ± {real.std():.1f}, generated {fake.mean():.1f} ± {fake.std():.1f}")
print(f"correlation: real {np.corrcoef(table.T)[0, 1]:.2f}, generated {np.corrcoef(new.T)[0, 1]:.2f}")

for score in gan.score(samples=1000):
    if score.metric in ("precision", "recall", "coverage"):  # neighbours; distances depend on the columns' units
        print(f"{score.metric}: {score.value:.3f} [{score.low:.3f}, {score.high:.3f}], real data {score.real:.3f}")
