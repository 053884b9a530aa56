"""Grey patches of equal contrast, whole photographs held out; and made-up photographs, for a smoke without any.

The photographs are the twelve in `nature/` of the Debian package `mate-backgrounds` (GPL-2+ and CC BY-SA 4.0) and
eleven of `plasma-workspace-wallpapers` (GPL-2+ and LGPL-3; the rest of both is drawn); the packages' `copyright` files
name the authors. They are not in the repository:

    apt-get download mate-backgrounds plasma-workspace-wallpapers
    for each in *.deb; do dpkg -x $each experiments/.cache/photographs; done
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .protocol import CACHE, Pictures

FOLDER = CACHE / "photographs"
_PLASMA = {
    *("BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf", "Grey", "Kite"),
    *("OneStandsOut", "Path", "summer_1am"),
}
_HEIGHT = 400
"""All photographs are brought to it, so that patches of all hold something, and are sharp."""
_STRIDE = 16
_FLAT = 0.05
"""Patches whose grey levels, from 0 to 1, deviate less from their mean are left out: sky, and what is out of focus."""
_EVERY, _FIRST = 4, 1
"""Of the photographs in order of how much detail they have every fourth is held out, so that both sides have all kinds:
they differ by a factor of a hundred. Beginning with the second the two sides' top octaves were nearly as strong, 632
and 617, before contrasts were made equal; another beginning left them apart by up to a factor of three."""
_CONTRAST = 0.3
"""Patches have a mean of 0 and this standard deviation: else a few with strong edges hold nearly all the power."""


def found(folder: Path) -> list[Path]:
    """Photographs below a folder, by name."""
    plasma = [path for name in _PLASMA for path in folder.rglob(f"{name}/contents/images/2560x1600.jpg")]
    nature = [path for path in folder.rglob("*.jpg") if path.parent.name == "nature"]
    return sorted([*plasma, *nature], key=str)


def split(folder: Path, size: int) -> tuple[Pictures, Pictures]:
    """Patches of `size` px in [-1, 1], for training and held out; none of a photograph is on both sides.

    Those for training are there four times: mirrored, and turned by a quarter.
    """
    training, held_out = [], []
    sharp = [_patches(path, size) for path in found(folder)]
    order = sorted(range(len(sharp)), key=lambda number: _detail(sharp[number]))
    for place, number in enumerate(order):
        if place % _EVERY == _FIRST:
            held_out.append(sharp[number])
        else:
            training.append(sharp[number])
    once = torch.cat(training)
    mirrored = torch.cat([once, once.flip(3)])
    return torch.cat([mirrored, mirrored.transpose(2, 3)]).contiguous(), torch.cat(held_out)


def _patches(path: Path, size: int) -> Pictures:
    with Image.open(path) as picture:
        width = round(picture.width * _HEIGHT / picture.height)
        small = np.asarray(picture.convert("L").resize((width, _HEIGHT), Image.Resampling.LANCZOS))
    whole = torch.from_numpy(small.copy()).float() / 127.5 - 1
    cut = whole.unfold(0, size, _STRIDE).unfold(1, size, _STRIDE).reshape(-1, 1, size, size)
    cut = cut[cut.flatten(1).std(1) > 2 * _FLAT]
    cut = cut - cut.mean((1, 2, 3), keepdim=True)
    return (_CONTRAST * cut / cut.flatten(1).std(1)[:, None, None, None]).clamp(-1, 1)


def _detail(patches: Pictures) -> float:
    """How much a pixel differs from the mean of its two neighbours, squared."""
    return patches.diff(n=2, dim=3).square().mean().item() if len(patches) else 0.0


def make(folder: Path, count: int) -> None:
    """Pictures that have a photograph's spectrum, power falling with the square of the frequency, and nothing else."""
    (folder / "nature").mkdir(parents=True)
    draw = np.random.RandomState(0)
    rows, columns = np.fft.fftfreq(200)[:, None], np.fft.fftfreq(300)[None]
    falling = 1 / np.maximum(np.hypot(rows, columns), 1 / 300)
    for number in range(count):
        noise = np.fft.fft2(draw.standard_normal((200, 300)))
        picture = np.fft.ifft2(noise * falling).real
        levels = np.clip(127 + 50 * picture / picture.std(), 0, 255).astype(np.uint8)
        Image.fromarray(levels).save(folder / "nature" / f"{number:02}.jpg", quality=95)
