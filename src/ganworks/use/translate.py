"""What a translator makes of samples that somebody has.

A picture is translated whole, as it is: the networks are convolutions. One of more than 2 megapixels is translated in
tiles that overlap and fade into each other, so that memory stays bounded and no seam is seen.

Letters: N samples, C channels, H, W height and width.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.game import System
from ganworks.random import key
from ganworks.registry import suggestion

WHOLE = 1 << 21
"""Pixels of a picture that is translated at once."""
TILE, OVERLAP = 1024, 256
"""Pixels of a tile's sides, and of what it shares with the next one at least."""


@runtime_checkable
class Translator(Protocol):
    """A system that makes samples of samples. `to` numbers the domain of each, where there are several."""

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor: ...


def direction(system: System, to: int | str | None) -> int | None:
    """The number of the domain that is asked for; None where a system has one direction.

    Raises: UsageError for a system that translates nothing, for a domain that is unknown, missing, or not to be chosen.
    """
    if not isinstance(system, Translator):
        raise error("E-SET-02", reason=f"{system.name} does not translate", system=system.name)
    if "to" not in system.conditions:
        if to is not None:
            raise error("E-SET-02", reason=f"{system.name} has one direction, and takes no domain", system=system.name)
        return None
    domains = system.data.classes
    if to is None:
        raise error("E-USE-01", verb="translate", reason=f"say to which domain, with --to: {', '.join(domains[:20])}")
    if isinstance(to, str) and to in domains:
        return domains.index(to)
    if str(to).isascii() and str(to).isdigit() and int(to) < len(domains):
        return int(to)
    raise error("E-NAME-07", name=to, classes=", ".join(domains[:20]), details=suggestion(str(to), domains))


@torch.no_grad()
def of(system: System, x: Float[Tensor, "n ..."], to: int | str | None = None, seed: int = 0) -> Float[Tensor, "n ..."]:
    """Translations of samples in the data's units, one by one: each is the same alone and among others.

    Args:
        system: In evaluation, as `for_sampling` returns it.
        x: Points (N, D), or pictures (N, C, H, W) in [-1, 1] of any height and width.
        to: Name or number of the domain, where there are several.
        seed: Of a translator's noise.
    Raises: UsageError as `direction`, and for samples of another shape.
    """
    number = direction(system, to)
    channels, form = taken(system.data)
    if x.dim() != len(system.data.shape) + 1 or x.shape[1] != channels:
        raise error("E-SHAPE-01", function="translate", needed=f"samples {form}", got=tuple(x.shape))
    if not len(x):
        return x.new_empty(0, system.data.shape[0], *x.shape[2:])
    encoded = system.data.encode(x.float())
    return system.data.decode(torch.cat([one(system, row, number, seed) for row in torch.split(encoded, 1)]))


def taken(spec: DataSpec) -> tuple[int, str]:
    """Channels or coordinates of what is translated, and its form in words."""
    shape = spec.source or spec.shape
    return shape[0], f"(N, {shape[0]})" if len(shape) == 1 else f"(N, {shape[0]}, H, W) in [-1, 1]"


def one(system: System, x: Float[Tensor, "1 ..."], to: int | None, seed: int) -> Float[Tensor, "1 ..."]:
    """The translation of one sample, as the networks have it. Needs a system whose `direction` was asked for."""
    assert isinstance(system, Translator)
    wanted = None if to is None else torch.tensor([to])
    with torch.random.fork_rng(devices=[]):
        if x.dim() < 4 or x.shape[2] * x.shape[3] <= WHOLE:
            torch.default_generator.manual_seed(key(seed, "translate"))
            return system.translate(x, wanted)
        return tiled(lambda part: system.translate(part, wanted), x, seed)


def tiled(
    make: Callable[[Tensor], Tensor], x: Float[Tensor, "1 c h w"], seed: int, side: int = TILE, overlap: int = OVERLAP
) -> Float[Tensor, "1 c2 h w"]:
    """A picture made tile by tile. Where tiles overlap they fade into each other, linearly.

    Args:
        make: From a tile to one of the same height and width.
    """
    h, w = x.shape[2:]
    total, weight = torch.zeros(1), torch.zeros(1, 1, h, w)
    for top in _starts(h, side, overlap):
        for left in _starts(w, side, overlap):
            rows, columns = slice(top, min(top + side, h)), slice(left, min(left + side, w))
            torch.default_generator.manual_seed(key(seed, "translate", top, left))
            made = make(x[:, :, rows, columns])
            fade = _fade(top, rows.stop, h, overlap)[:, None] * _fade(left, columns.stop, w, overlap)
            if total.dim() < 4:
                total = torch.zeros(1, made.shape[1], h, w)
            total[:, :, rows, columns] += made * fade
            weight[:, :, rows, columns] += fade
    return total / weight


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles begin, evenly: the fewest that share `overlap` pixels or more."""
    if length <= side:
        return [0]
    count = math.ceil((length - overlap) / (side - overlap))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _fade(start: int, stop: int, length: int, overlap: int) -> Float[Tensor, " n"]:
    """Weights of a tile's pixels along a side: 1 but where another tile shares them."""
    place = torch.arange(start, stop)
    rise = torch.ones(stop - start) if start == 0 else (place - start + 1) / overlap
    fall = torch.ones(stop - start) if stop == length else (stop - place) / overlap
    return torch.minimum(rise, fall).clamp_max(1.0).float()
