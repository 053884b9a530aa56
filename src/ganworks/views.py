"""What the discriminator sees: augmentations, shifts, instance noise and packing, the same for real and fake and in
every player's turn; and old fakes beside new ones.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ganworks.augment import Augmentation, moved
from ganworks.errors import error
from ganworks.round import Round
from ganworks.settings import ViewSettings

Inputs = Mapping[str, Tensor]
See = Callable[[Inputs], Inputs]

_SHIFT = 8
"""A nudge moves a picture by at most its size divided by this: 3 of 28 pixels."""
_JITTER = 0.01
"""A nudge moves a point by so much of the batch's standard deviation."""


class View(nn.Module):
    """Named inputs on their way to the discriminator. First `pack`, then one `fixed` draw per side of an update.

    Penalties are taken with respect to what `pack` returns and look through the same draw as the loss.

    Args:
        settings: What is done to them.
        row: One row of each input, for its shape and type; needed where old fakes are kept.
    Raises: UsageError where pictures are to be augmented and there are none.
    """

    def __init__(self, settings: ViewSettings, row: Inputs | None = None) -> None:
        super().__init__()
        self.settings = settings
        if settings.replay:
            assert row is not None, "a pool must know what it keeps"
            self.pool = Pool(settings.replay, row)
        if settings.augment:
            if row is not None and row["x"].dim() != 3:
                reason = "view.augment changes pictures, and this data has none: set view.augment = []"
                raise error("E-SET-02", reason=reason, system="")
            self.augmentation = Augmentation(settings.augment, settings.adaptive)

    def replay(self, fake: Inputs, round: Round) -> Inputs:
        """New fakes, some of them exchanged for old ones; in D's turn only."""
        return self.pool.exchange(fake, round) if self.settings.replay else fake

    def observe(self, round: Round, real_logits: Tensor, fake_logits: Tensor, middle: float | None) -> None:
        """After D's update: how sure D is of training samples sets the strength of the augmentations.

        r_t is E sign(f(x) - middle). Where a loss leaves f's constant open it is E sign(f(x) - f(G)), as the sign of f
        alone would say nothing there.

        Source: Karras et al. 2020, equation 1; for relativistic losses Huang et al. 2024.
        """
        self.augmentation.observe(round, (real_logits - (fake_logits if middle is None else middle)).sign().mean())

    def remember(self, round: Round) -> None:
        """After D's update: keep some of the fakes that were new in it."""
        if self.settings.replay:
            self.pool.store(round)

    def pack(self, inputs: Inputs) -> Inputs:
        """Join `pack` neighbouring rows into one sample: (B, C, ...) → (B / m, m · C, ...), labels (B / m, m).

        Rows of a batch are independent, so neighbours are new partners in every update.
        Source: Lin et al. 2018, section 3.
        """
        m = self.settings.pack
        if m == 1:
            return inputs
        return {name: t.reshape(-1, m * t.shape[1] if t.dim() > 1 else m, *t.shape[2:]) for name, t in inputs.items()}

    def fixed(self, round: Round, side: str, *, other: bool = False) -> See:
        """One draw of everything random in the view: applied twice, in one update, it does the same twice.

        Players who move at once see through one draw too: it stays in the notes of their round.

        Args:
            round: Where the noise comes from; its progress anneals it.
            side: `real` or `fake`: names the stream.
            other: Through other augmentations, all of them at full strength; the rest as it is.
        """
        std, share, pack = round.at(self.settings.noise), self.settings.shift, self.settings.pack
        augment = bool(self.settings.augment)

        def see(inputs: Inputs) -> Inputs:
            if augment:
                numbers = self.augmentation.draw(round, f"{'other' if other else 'augment'}.{side}")
                inputs = self.augmentation.see(inputs, numbers, pack, always=other)
            x = inputs["x"]
            if share and x.dim() == 4:
                x = self._moved(x, round, f"shift.{side}", share)
            if std:
                drawn = f"noise.{side}.{x[0].numel()}"
                if drawn not in round.notes:
                    round.notes[drawn] = self.normal(round, f"noise.{side}", x)
                x = x + std * round.notes[drawn]
            return {**inputs, "x": x}

        return see if std or share or augment else lambda inputs: inputs

    def normal(self, round: Round, name: str, like: Tensor) -> Tensor:
        """Standard normal numbers for packed samples, from a named stream."""
        row = like[0].numel() // self.settings.pack
        return round.random.normal(name, row).reshape(like.shape).to(like)

    def uniform(self, round: Round, name: str, count: int) -> Tensor:
        """(count,) uniform numbers in [0, 1), one a packed sample, from a named stream."""
        return round.random.uniform(name)[:: self.settings.pack][:count]

    def nudged(self, inputs: Inputs, round: Round, side: str) -> Inputs:
        """What D sees of packed samples that mean the same and are not the same: after other augmentations, or a nudge.

        A nudge moves pictures by a few pixels, edges repeated, and points by 1 % of the batch's standard deviation.

        Source: Zhang et al. 2020, section 3.1; without its flips, which change the meaning of letters and digits.
        """
        if self.settings.augment:
            return self.fixed(round, side, other=True)(inputs)
        x, name = inputs["x"], "nudge" if side == "real" else f"nudge.{side}"
        if x.dim() == 4:
            x = self._moved(x, round, name, 1 / _SHIFT)
        else:
            x = x + _JITTER * x.detach().std() * self.normal(round, name, x)
        return self.fixed(round, side)({**inputs, "x": x})

    def _moved(self, x: Tensor, round: Round, name: str, share: float) -> Tensor:
        """(B, C, H, W) pictures, each moved by whole pixels, at most a share of its size, edges repeated.

        One draw a name and a round: players who move at once see pictures moved alike.
        """
        steps = []
        for axis, size in (("rows", x.shape[2]), ("columns", x.shape[3])):
            most, drawn = int(share * size), f"{name}.{axis}"
            if drawn not in round.notes:
                round.notes[drawn] = round.random.integers(drawn, 2 * most + 1)[:: self.settings.pack]
            steps.append((round.notes[drawn][: len(x)] - most).to(x.device))
        return moved(x, *steps)


class Pool(nn.Module):
    """Old fakes. Each new fake is exchanged for an old one with probability ½, and then takes its place.

    D's loss reads the pool, `store` writes it after the update: a refused update leaves it as it was.
    Source: Shrivastava et al. 2017, section 2.3.

    Args:
        capacity: Fakes it holds.
        row: One row of each input.
    """

    kept: list[str]
    filled: Tensor

    def __init__(self, capacity: int, row: Inputs) -> None:
        super().__init__()
        self.kept = list(row)
        for name, one in row.items():
            self.register_buffer(name, one.new_zeros(capacity, *one.shape))
        self.register_buffer("filled", torch.zeros(capacity, dtype=torch.bool))

    def exchange(self, fake: Inputs, round: Round) -> Inputs:
        """Fakes (B, ...) with some old ones among them; rows beyond the pool's capacity stay as they are."""
        capacity, count = len(self.filled), len(fake["x"])
        order = torch.randperm(capacity, generator=round.random.stream("replay.place"))
        places = order[:count].to(self.filled.device)
        chosen = round.random.uniform("replay.choice")[: len(places)] < 0.5
        old = chosen & self.filled[places]
        enters = old | ~self.filled[places]
        new = {name: fake[name][: len(places)] for name in self.kept}
        round.notes["replay"] = (places[enters], {name: rows[enters].detach() for name, rows in new.items()})
        mixed = {
            name: torch.where(old.reshape(-1, *(1,) * (rows.dim() - 1)), self.get_buffer(name)[places].to(rows), rows)
            for name, rows in new.items()
        }
        return {name: torch.cat([rows, fake[name][len(places) :]]) for name, rows in mixed.items()}

    def store(self, round: Round) -> None:
        """After an accepted update."""
        places, new = round.notes["replay"]
        for name, rows in new.items():
            self.get_buffer(name)[places] = rows.to(self.get_buffer(name))
        self.filled[places] = True
