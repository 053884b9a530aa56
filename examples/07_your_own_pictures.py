"""A folder of pictures in, new pictures out, judged on pictures that training has not seen.

python examples/07_your_own_pictures.py [STEPS] [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import torch

import ganworks
from ganworks.data.pictures import pixels, write_png

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000


def borrowed(folder: Path, count: int = 400) -> Path:
    """Some of the packed digits as PNG files, for want of your own pictures."""
    for index, picture in enumerate(pixels(ganworks.data.open("digits").rows(torch.arange(count))["x"])):
        write_png(folder / f"{index:04d}.png", picture)
    return folder


with tempfile.TemporaryDirectory() as place:
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else borrowed(Path(place))
    data = ganworks.data.open(folder, on_bad="skip")
    print(f"{len(data)} pictures of {data.spec.shape}, {len(data.held_out or [])} held out", *data.note, sep="\n  ")

    gan = ganworks.GAN("r3gan").fit(data, steps=steps, seed=0)
    print(f"the run is {gan.run}, its last grid in {gan.run}/samples")
    for score in gan.score(samples=200):
        print(f"{score.metric} in {score.feature_space}: {score.value:.3g}, real data {score.real}")
