"""Emoji in several styles as a second data set of `experiments.stargan`: those of the extra, and folders of others.

A style changes every pixel, and so G is not `masked` here. With the mask, which `suited` has, it learns to keep before
it learns to change: of 340 translations, each to the style after its own, the judge saw the asked style in 0.17 after
the same 1,200 steps, and in 0.96 without the mask. That was with fewer pictures of two of the styles; with all of them
it is 0.86.
"""

from functools import partial
from pathlib import Path

import torch

from ganworks import data as datasets
from ganworks.data.emoji import DRAWN, NAME

from .asked import Asked, copied, played, real, trained
from .record import Record

SOURCES = ("experiments/styles.py", "src/ganworks/data/emoji.py")
SIDE = 32
STEPS = 1_200


def on_styles(record: Record, folder: Path, steps: int, judged: int) -> None:
    """Train on drawings in several styles, and judge. Arms and floors carry the data's fingerprint."""
    further = sorted(each for each in folder.iterdir() if each.is_dir())
    data = datasets.open(f"{NAME}:{','.join([*DRAWN, *map(str, further)])}", size=SIDE)
    assert data.held_out is not None
    rows = data.rows(torch.arange(len(data)))
    judge = trained((len(data.spec.classes),), rows["x"], rows["domain"][:, None], judged)
    asked = Asked(data.held_out, judge)
    name = f"styles {data.spec.fingerprint[:8]}"
    truth = asked.domain[:, None]
    record.floor(f"{name}: the judge on real ones", partial(real, judge, asked.pictures, truth))
    record.floor(f"{name}: the source itself", lambda: asked.score(copied))
    play = partial(played, data=data, asked=asked, steps=steps, seed=0, masked=False)
    arm = record.arm(f"{name}, seed 0", partial(play, "stargan-styles"), SOURCES)
    without = record.arm(
        f"{name}, without the class term", partial(play, "stargan-styles-deaf", classification=0.0), SOURCES
    )
    record.bar("styles: asked", arm["asked"], ">=", 0.85)
    record.bar("styles: asked, without the class term", without["asked"], "<=", asked.chance + 0.05)
