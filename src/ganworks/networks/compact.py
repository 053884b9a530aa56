"""Small convolutional networks for CPU minutes: a smooth start, and every convolution cheap where it stands.

Letters: B batch, Z latent, C channels, H, W size.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.errors import error
from ganworks.networks import mlp
from ganworks.networks.pair import Pair, Sizes


def up(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Twice as large, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """A smooth picture from a quarter of the size, detail from half of it, and fine detail in the pixels.

    picture = tanh(up(up(smooth) + middle) + fine): at the start the fine layer is close to zero, so samples are smooth
    from step 0 and detail is learnt, like progressive growing without stages.
    """

    def __init__(self, latent: int, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        c, h, w = shape
        if h % 4 or w % 4:
            raise error("E-SET-02", reason=f"small networks need sizes that divide by 4, not {h} x {w}", system="")
        self.start = (h // 4, w // 4, width)
        self.latent = nn.Linear(latent, 4 * width)
        self.project = nn.Linear(4 * width, width * (h // 4) * (w // 4))
        self.refine = nn.Conv2d(width, width, 3, 1, 1)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.smooth = nn.Conv2d(width, c, 1)
        self.middle = nn.Conv2d(width // 2, c, 1)
        self.fine = nn.Conv2d(width // 2, 4 * c, 3, 1, 1)
        mlp.he(self)
        mlp.he(self.smooth, 0.5)
        mlp.he(self.middle, 0.5)
        mlp.he(self.fine, 0.1)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b c h w"]:
        x = F.leaky_relu(self.project(F.leaky_relu(self.latent(z), 0.2)), 0.2)
        # Read as (B, H, W, C): the channels-last layout without a copy.
        x = x.view(-1, *self.start).permute(0, 3, 1, 2)
        x = x + F.leaky_relu(self.refine(x), 0.2)
        y = F.leaky_relu(F.pixel_shuffle(self.widen(x), 2), 0.2)
        return F.tanh(up(up(self.smooth(x)) + self.middle(y)) + F.pixel_shuffle(self.fine(y), 2))


class Discriminator(nn.Module):
    """Four pixels to one position, three convolutions, two linear layers; logits (B,)."""

    def __init__(self, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        c, h, w = shape
        self.first = nn.Conv2d(4 * c, width, 3, 2, 1)
        self.second = nn.Conv2d(width, width, 3, 1, 1)
        self.third = nn.Conv2d(width, 2 * width, 3, 2, 1)
        # Each stride of 2 rounds up: 28 px are 14, then 7, then 4 positions wide.
        positions = (-(-h // 8)) * (-(-w // 8))
        self.judge = nn.Linear(2 * width * positions, 4 * width)
        self.head = nn.Linear(4 * width, 1)
        mlp.he(self)
        mlp.he(self.head, 0.5)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        x = F.leaky_relu(self.first(F.pixel_unshuffle(x, 2)), 0.2)
        x = x + F.leaky_relu(self.second(x), 0.2)
        x = F.leaky_relu(self.third(x), 0.2)
        return F.leaky_relu(self.judge(x.flatten(1)), 0.2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)


def pair(sizes: Sizes) -> Pair:
    """Both, with their initial weights."""
    generator = Generator(sizes.latent, sizes.generator, sizes.sample)
    return generator, Discriminator(sizes.discriminator, sizes.judged)
