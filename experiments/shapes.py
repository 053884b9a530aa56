"""Coloured shapes with known truth: a circle, square or triangle a picture; red, green or blue; filled or outlined.

Domains are the six pairs of colour and fill. Everything else of a shape, its form, place, size, turn and tint and what
lies behind it, belongs to the picture: the same shape can be drawn in any domain.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from ganworks.data.dataset import Content, DataSet, build, hold_out

SIDE = 32
COLORS, FILLS, FORMS = ("red", "green", "blue"), ("filled", "outlined"), ("circle", "square", "triangle")
DOMAINS = tuple(f"{color} {fill}" for color in COLORS for fill in FILLS)
_SIDES = torch.tensor([0, 4, 3])
"""Of each form; a circle has none."""
_LINE = 2.5
"""Pixels of an outline, inside the edge: both fills have the same extent."""
_DARK, _BRIGHT = 40.0, 205.0
_NOISE = 4.0
"""Standard deviation of the background's grey levels."""
Values = Float[Tensor, " n"]
Labels = Int64[Tensor, " n"]
Pictures = Float[Tensor, "n 3 h w"]


@dataclass(frozen=True)
class Shapes:
    """Shapes that are not drawn yet. Lengths are pixels.

    Args:
        domain: colour * 2 + fill.
        form: Of `FORMS`.
        place: Of the centre, x and y.
        radius: From the centre to the edge of a circle; polygons have about its area.
        turn: Radians.
        tint: What each channel differs by from the pure colour, in grey levels.
        behind: The background, in grey levels.
    """

    domain: Labels
    form: Labels
    place: Float[Tensor, "n 2"]
    radius: Values
    turn: Values
    tint: Float[Tensor, "n 3"]
    behind: Float[Tensor, "n 3 h w"]

    def __len__(self) -> int:
        return len(self.domain)

    def drawn(self) -> UInt8[Tensor, "n 3 h w"]:
        """Pictures, edges smoothed over one pixel."""
        distance = self._distance()
        hole = (0.5 - (distance + _LINE)).clamp(0, 1) * (self.domain % 2)[:, None, None]
        ink = ((0.5 - distance).clamp(0, 1) - hole)[:, None]
        pure = torch.full((len(self), 3), _DARK).scatter(1, (self.domain // 2)[:, None], _BRIGHT)
        color = (pure + self.tint)[:, :, None, None]
        return (self.behind * (1 - ink) + color * ink).round().clamp(0, 255).to(torch.uint8)

    def _distance(self) -> Float[Tensor, "n h w"]:
        """Of each pixel from the edge, negative inside; beyond a corner it is that from the longer side's line."""
        across = torch.arange(SIDE) + 0.5
        x, y = across - self.place[:, :1, None], across[:, None] - self.place[:, 1:, None]
        sides = _SIDES[self.form][:, None, None]
        inner = self.radius * torch.tensor([1.0, 0.886, 0.778])[self.form]
        lines = []
        for side in range(4):
            angle = self.turn[:, None, None] + 2 * math.pi * side / sides.clamp(min=1) - math.pi / 2
            lines.append((x * angle.cos() + y * angle.sin()).where(side < sides, torch.tensor(-math.inf)))
        return torch.hypot(x, y).where(sides == 0, torch.stack(lines).amax(0)) - inner[:, None, None]

    def asked(self, domain: Labels) -> "Shapes":
        """The same shapes in other domains: what a translation should be."""
        return replace(self, domain=domain)


def random(count: int, seed: int) -> Shapes:
    """Shapes by chance, every domain and form as likely."""
    draw = torch.Generator().manual_seed(seed)

    def between(low: float, high: float, *more: int) -> Tensor:
        return torch.rand(count, *more, generator=draw) * (high - low) + low

    radius = between(6.0, 9.5)
    room = (SIDE / 2 - 1.5 * radius).clamp(min=1.0)
    light = between(200, 240, 1, 1, 1) + between(-8, 8, 3, 1, 1)
    return Shapes(
        domain=torch.randint(len(DOMAINS), (count,), generator=draw),
        form=torch.randint(len(FORMS), (count,), generator=draw),
        place=SIDE / 2 + between(-1, 1, 2) * room[:, None],
        radius=radius,
        turn=between(-0.25, 0.25),
        tint=between(-25, 25, 3),
        behind=light + _NOISE * torch.randn(count, 3, SIDE, SIDE, generator=draw),
    )


def content(shapes: Shapes) -> Content:
    """Shapes as a reader gives them."""
    return Content("shapes", "domains", {"x": shapes.drawn(), "domain": shapes.domain}, classes=DOMAINS)


def data(count: int, seed: int, held_out: Shapes) -> DataSet:
    """Shapes to train on, with others held out."""
    made = build(content(random(count, seed)))
    hold_out(made, content(held_out))
    return made


def extent(pictures: Pictures) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """Centre and lengths, x and y in pixels, of the box around what is coloured.

    Coloured is a pixel whose channels differ by more than half of the most that they differ by in its picture.
    """
    colored = pictures.amax(1) - pictures.amin(1)
    colored = colored > colored.amax((1, 2), keepdim=True) / 2
    low, high = [], []
    for axis in (1, 2):
        line = colored.any(axis).float()
        low.append(line.argmax(1))
        high.append(line.shape[1] - line.flip(1).argmax(1))
    first, last = torch.stack(low, 1).float(), torch.stack(high, 1).float()
    return (first + last) / 2, last - first
