"""The shortest way: train the default system on real digits for a few seconds, look, score, keep.

python examples/01_first_gan.py [STEPS]
"""

import sys
from pathlib import Path

import ganworks
from ganworks.data.pictures import grid, write_png

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 500

gan = ganworks.GAN("r3gan").fit("digits", steps=steps, seed=0)
print(f"the run is in {gan.run}")

images = gan.sample(64, seed=1)  # (64, 1, 28, 28), in [-1, 1]
write_png(Path(gan.run or "") / "first.png", grid(images, columns=8))

for score in gan.score(samples=300):
    print(f"{score.metric:18} {score.value:8.3f}   real data {score.real:8.3f}   in {score.feature_space}")

folder = gan.save(Path(gan.run or "") / "model")
again = ganworks.GAN.load(folder)
assert (again.sample(64, seed=1) == images).all()
print(f"the model is in {folder}")
