"""Ask for a class: train on labelled digits, then draw one row of each digit, and one digit alone.

python examples/06_conditional.py [STEPS]
"""

import sys
from pathlib import Path

import torch

import ganworks
from ganworks import metrics
from ganworks.data.pictures import grid, write_png
from ganworks.metrics.digits import Digits

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1500

gan = ganworks.GAN("conditional").fit("digits", steps=steps, seed=0)
print(f"the run is in {gan.run}")

labels = torch.arange(10).repeat_interleave(10)  # ten of each digit
images = gan.sample(100, seed=1, label=labels)
write_png(Path(gan.run or "") / "rows.png", grid(images, columns=10))

# GAN-test: does a classifier that knows real digits name what was asked for? Real digits: 0.996. Guessing: 0.1.
logits = Digits().logits(images)
print(f"named as asked for: {metrics.label_accuracy(logits, labels):.2f}")

sevens = gan.sample(64, seed=1, label=7)
print(f"{len(sevens)} sevens; and without a label, as the data has them:")
drawn = gan.draw(1000, seed=1)
print(torch.bincount(drawn["label"], minlength=10).tolist())
