"""What the discriminator sees, the same for real and fake and in every player's turn: instance noise and packing."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from ganworks.round import Round
from ganworks.settings import ViewSettings

Inputs = Mapping[str, Tensor]
See = Callable[[Inputs], Inputs]


class View(nn.Module):
    """Named inputs on their way to the discriminator. First `pack`, then one `fixed` draw per side of an update.

    Penalties are taken with respect to what `pack` returns and look through the same draw as the loss.
    """

    def __init__(self, settings: ViewSettings) -> None:
        super().__init__()
        self.settings = settings

    def pack(self, inputs: Inputs) -> Inputs:
        """Join `pack` neighbouring rows into one sample: (B, C, ...) → (B / m, m · C, ...), labels (B / m, m).

        Rows of a batch are independent, so neighbours are new partners in every update.
        Source: Lin et al. 2018, section 3.
        """
        m = self.settings.pack
        if m == 1:
            return inputs
        return {name: t.reshape(-1, m * t.shape[1] if t.dim() > 1 else m, *t.shape[2:]) for name, t in inputs.items()}

    def fixed(self, round: Round, side: str) -> See:
        """One draw of everything random in the view: applied twice, in one update, it does the same twice.

        Players who move at once see through one draw too: it stays in the notes of their round.

        Args:
            round: Where the noise comes from; its progress anneals it.
            side: `real` or `fake`: names the stream.
        """
        std = round.at(self.settings.noise)

        def see(inputs: Inputs) -> Inputs:
            x = inputs["x"]
            row = x[0].numel() // self.settings.pack
            drawn = f"noise.{side}.{row}"
            if drawn not in round.notes:
                round.notes[drawn] = round.random.normal(f"noise.{side}", row)
            return {**inputs, "x": x + std * round.notes[drawn].reshape(x.shape).to(x)}

        return see if std else lambda inputs: inputs
