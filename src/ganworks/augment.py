"""What D sees of few pictures: each one changed, differently every time, real and made ones alike (Zhao et al. 2020).

Each change takes pictures (B, C, H, W), uniform numbers u in [0, 1), (B, …), and which of the pictures it is done to,
(B,), and lets the gradient through. Pictures are in [-1, 1], as in the paper's code: what comes in at an edge, and a
hole, is 0, which is grey.

Adaptive (Karras et al. 2020): each change is done to a picture with probability p. p starts at 0 and, every four
updates of D, takes a step up where D is surer of its training pictures than a target, and down where it is less sure.

Departures: the changes of DiffAugment, and ADA's flip, under the control of ADA, whose own set is larger. ADA's p goes
from 0 to 1 in 500,000 images; here it does so in a tenth of the run where that is shorter, so that it arrives in short
runs too.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from ganworks.round import Round

Pictures = Float[Tensor, "b c h w"]
Uniform = Float[Tensor, "b n"]
Chosen = Bool[Tensor, " b"]
Change = Callable[[Pictures, Uniform, Chosen], Pictures]

_INTERVAL = 4
"""Updates of D between two steps of p. Source: Karras et al. 2020, section 3."""
_IMAGES, _RUN = 500_000, 0.1
"""p goes from 0 to 1 in so many images, or in this share of the run."""


def flip(x: Pictures, u: Uniform, chosen: Chosen) -> Pictures:
    """Left and right exchanged, with probability ½."""
    return torch.where(_each(chosen & (u[:, 0] < 0.5)), x.flip(3), x)


def color(x: Pictures, u: Uniform, chosen: Chosen) -> Pictures:
    """Brightness + U[-½, ½), then saturation × U[0, 2), then contrast × U[½, 1½).

    Saturation is the distance from a pixel's mean over its channels, contrast that from the mean of the picture.
    """
    brighter = x + _each(u[:, 0] - 0.5)
    grey = brighter.mean(1, keepdim=True)
    saturated = torch.lerp(grey, brighter, _each(2 * u[:, 1]).to(x))
    level = saturated.mean((1, 2, 3), keepdim=True)
    return torch.where(_each(chosen), torch.lerp(level, saturated, _each(0.5 + u[:, 2]).to(x)), x)


def translate(x: Pictures, u: Uniform, chosen: Chosen) -> Pictures:
    """Moved by whole pixels, each way at most an eighth of the size, rounded; 0 comes in."""
    steps, inside = [], []
    for axis, size in enumerate(x.shape[2:]):
        most = int(size / 8 + 0.5)
        step = (_whole(u[:, axis], 2 * most + 1) - most) * chosen
        place = torch.arange(size, device=x.device) + step[:, None]
        steps.append(step)
        inside.append((place >= 0) & (place < size))
    return moved(x, *steps) * (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def cutout(x: Pictures, u: Uniform, chosen: Chosen) -> Pictures:
    """A hole of half the size each way; its centre is anywhere in the picture, so a part of it may lie outside."""
    covered = []
    for axis, size in enumerate(x.shape[2:]):
        hole = int(size / 2 + 0.5)
        first = _whole(u[:, axis], size + 1 - hole % 2)[:, None] - hole // 2
        place = torch.arange(size, device=x.device)
        covered.append((place >= first) & (place < first + hole))
    hidden = covered[0][:, :, None] & covered[1][:, None, :] & chosen[:, None, None]
    return x * ~hidden[:, None]


def moved(x: Pictures, rows: Int64[Tensor, " b"], columns: Int64[Tensor, " b"]) -> Pictures:
    """Each picture read so many rows further down and columns further right; beyond an edge the edge is read."""
    read = [
        (torch.arange(size, device=x.device) + steps[:, None]).clamp(0, size - 1)
        for size, steps in zip(x.shape[2:], (rows, columns), strict=True)
    ]
    each = torch.arange(len(x), device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[each, read[0][:, :, None], read[1][:, None, :]].permute(0, 3, 1, 2)


def _each(values: Tensor) -> Tensor:
    """One number for each picture, in a form that meets pictures."""
    return values[:, None, None, None]


def _whole(u: Tensor, count: int) -> Tensor:
    """Whole numbers from 0 to count - 1; rounding could make a last uniform number into count."""
    return (u * count).long().clamp(max=count - 1)


_CHANGES: dict[str, tuple[Change, int]] = {
    "flip": (flip, 1),
    "color": (color, 3),
    "translate": (translate, 2),
    "cutout": (cutout, 2),
}
"""In their order, each with how many numbers it takes."""


class Augmentation(nn.Module):
    """Some of the changes, done always or with a probability that follows D's signs.

    Args:
        names: Of the changes.
        target: Of r_t, the mean sign of D on training pictures; 0: every change is done always.
    """

    probability: Tensor
    signs: Tensor

    def __init__(self, names: Sequence[str], target: float = 0.0) -> None:
        super().__init__()
        self.names = [name for name in _CHANGES if name in names]
        self.target = target
        if target:
            self.register_buffer("probability", torch.zeros(()))
            self.register_buffer("signs", torch.zeros(()))

    def draw(self, round: Round, stream: str) -> dict[str, Tensor]:
        """Everything random for one look at a batch: for each change (rows, 1 + n), the first says whether it is done.

        Rows have numbers of their own, so that a part of a batch sees what the whole would; one draw a round.
        """
        for name in self.names:
            drawn = f"{stream}.{name}"
            if drawn not in round.notes:
                round.notes[drawn] = round.random.uniform(drawn, 1 + _CHANGES[name][1])
        return {name: round.notes[f"{stream}.{name}"] for name in self.names}

    def see(
        self, inputs: Mapping[str, Tensor], drawn: Mapping[str, Tensor], pack: int, always: bool = False
    ) -> dict[str, Tensor]:
        """Named inputs, changed: places in all pictures alike, colours in `x` alone. Each picture of a pack by itself.

        Args:
            pack: Pictures that lie behind one another along the channels.
            always: Whatever p is.
        """
        seen = dict(inputs)
        for input, values in inputs.items():
            if values.dim() != 4:
                continue
            x = values.reshape(-1, values.shape[1] // pack, *values.shape[2:])
            for name in self.names:
                u = drawn[name][: len(x)].to(x.device)
                chosen = u[:, 0] < (self.probability if self.target and not always else 1)
                x = _CHANGES[name][0](x, u[:, 1:], chosen) if name != "color" or input == "x" else x
            seen[input] = x.reshape(values.shape)
        return seen

    def observe(self, round: Round, sign: Tensor) -> None:
        """After D's update: r_t over four of them, and a step of p towards more where it is above the target."""
        self.signs += sign / _INTERVAL
        if (round.update + 1) % _INTERVAL == 0:
            images = min(_IMAGES, _RUN * round.steps * round.batch) or _IMAGES
            self.probability += (self.signs - self.target).sign() * (_INTERVAL * round.batch / images)
            self.probability.clamp_(0, 1)
            self.signs.zero_()
        round.shown["augment.probability"] = self.probability.clone()
        round.shown["augment.sign"] = sign
