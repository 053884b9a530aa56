"""Generator and discriminator of StyleGAN2, its configuration F (Karras et al. 2019, arXiv:1912.04958, section 2).

G's picture grows out of a learned constant. What makes one sample differ from another is a style w = f(z), f the
mapping network: in each convolution w scales the input channels, and the outputs are divided by the size that they then
have ("demodulation"). Every level adds to the picture (skips in G), and D goes down in residual blocks.

A label has a code of its own beside z in the mapping network, and in D a mapping network for its code
(Karras et al. 2020, arXiv:2006.06676, and its code).

Letters: B batch, Z latent, S numbers of a style, L layers that take one, K classes, M samples in a pack, C channels,
H, W height and width, I, O channels in and out.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ganworks.networks.convolutional import pyramid
from ganworks.networks.equalized import HE, EqualConv2d, EqualLinear, PixelNorm, minibatch_std, scaled
from ganworks.networks.progressive import active
from ganworks.networks.resampling import down_convolution, downsample, up_convolution, upsample

_SLOW = 0.01
"""The mapping network's learning rate, as a share of the others'. Source: Karras et al. 2018, appendix C."""
_KEPT = 0.998
"""How much of a mean style stays in an update. Source: Karras et al. 2021's code."""
_SMALL = 1e-8
"""Added under the root of the demodulation, as in equation 3."""
Pictures = Float[Tensor, "b c h w"]
Label = Int64[Tensor, "b ..."] | None


class Mapping(nn.Module):
    """From latents, labels or both to styles (B, S): each to a mean square of 1, then layers that learn slowly.

    Args:
        latent: Numbers in z; 0: there is none.
        labels: K, or M · K for packs; 0: there are none.
        width: Numbers of a style.
        depth: Layers.
    """

    def __init__(self, latent: int, labels: int, width: int, depth: int) -> None:
        super().__init__()
        self.labels = labels
        self.norm = PixelNorm()
        if labels:
            self.embedding = EqualLinear(labels, width, gain=1.0)
        inner = latent + (width if labels else 0)
        sizes = [inner, *[width] * depth]
        self.layers = nn.ModuleList(EqualLinear(i, o, lr_multiplier=_SLOW) for i, o in pairwise(sizes))

    def forward(self, z: Float[Tensor, "b z"] | None, label: Label = None) -> Float[Tensor, "b s"]:
        parts = [] if z is None else [self.norm(z)]
        if label is not None:
            places = 1 if label.dim() == 1 else label.shape[1]
            hot = F.one_hot(label, self.labels // places).reshape(len(label), self.labels)
            parts.append(self.norm(self.embedding(hot.to(self.embedding.weight))))
        x = torch.cat(parts, 1)
        for layer in self.layers:
            x = active(layer(x))
        return x


class Modulated(EqualConv2d):
    """A convolution whose weights are those of a sample: w_ijk s_i, s = A(w), perhaps over their size (equations 1, 3).

    Computed on the activations: inputs times s_i, the convolution that all samples share, outputs over
    √(Σ_ik (w_ijk s_i)² + 1e-8). The same numbers as a convolution by groups with a weight for each sample, and faster
    on a CPU. Inputs of variance 1 that do not hang together come out with variance 1.

    Args:
        inner, outer: I, O.
        style: S.
        kernel_size: An odd side of the kernel.
        up: Twice as large.
        demodulated: Outputs are divided by their size.
    """

    def __init__(
        self, inner: int, outer: int, style: int, kernel_size: int = 3, *, up: bool = False, demodulated: bool = True
    ) -> None:
        super().__init__(inner, outer, kernel_size, gain=1.0)
        self.up, self.demodulated = up, demodulated
        self.style = EqualLinear(style, inner, gain=1.0)
        nn.init.ones_(self.style.bias)

    def forward(  # type: ignore[override]  # a convolution still, for spectral norm's sake, that is told a style
        self, x: Float[Tensor, "b i h w"], w: Float[Tensor, "b s"], noise: Float[Tensor, "b 1 h2 w2"] | None = None
    ) -> Float[Tensor, "b o h2 w2"]:
        """The noise is added to all channels before the bias, as it comes."""
        s, weight = self.style(w), scaled(self, self.equal)
        x = x * s[:, :, None, None]
        x = up_convolution(x, weight) if self.up else F.conv2d(x, weight, padding=self.padding)
        if self.demodulated:
            x = x * demodulation(weight, s)[:, :, None, None]
        if noise is not None:
            x = x + noise
        return x + _bias(self)


def demodulation(weight: Float[Tensor, "o i k k"], s: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
    """1 / √(Σ_ik (w_ijk s_i)² + 1e-8) of each output j."""
    return torch.rsqrt(s.square() @ weight.square().sum((2, 3)).t() + _SMALL)


def _bias(layer: nn.Conv2d) -> Float[Tensor, "o 1 1"]:
    assert layer.bias is not None
    return layer.bias[:, None, None]


class Layer(nn.Module):
    """A modulated convolution, noise times a learned strength, a bias, LeakyReLU times √2.

    Args:
        inner, outer: I, O.
        style: S.
        up: Twice as large.
    """

    def __init__(self, inner: int, outer: int, style: int, *, up: bool) -> None:
        super().__init__()
        self.modulated = Modulated(inner, outer, style, up=up)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(
        self, x: Float[Tensor, "b i h w"], w: Float[Tensor, "b s"], noise: Float[Tensor, "b 1 h2 w2"]
    ) -> Float[Tensor, "b o h2 w2"]:
        return HE * active(self.modulated(x, w, self.strength * noise))


class Generator(nn.Module):
    """From styles of every layer (B, L, S) and noise to pictures, unbounded. `mapping` makes styles.

    Each level has two layers (the first one) and a layer to pixels, which shares a style with the next level's first.

    Args:
        latent: Z, and S too.
        classes: K; 0: no labels.
        depth: Layers of the mapping network.
        channels: Of each level, the smallest first.
        shape: Of a picture.
    """

    middle: Tensor
    counted: Tensor

    def __init__(self, latent: int, classes: int, depth: int, channels: list[int], shape: tuple[int, ...]) -> None:
        super().__init__()
        h, w, _ = pyramid(*shape[1:])
        self.mapping = Mapping(latent, classes, latent, depth)
        self.constant = nn.Parameter(torch.randn(1, channels[0], h, w))
        layers = [Layer(channels[0], channels[0], latent, up=False)]
        for inner, outer in pairwise(channels):
            layers += [Layer(inner, outer, latent, up=True), Layer(outer, outer, latent, up=False)]
        self.layers = nn.ModuleList(layers)
        self.to_pixels = nn.ModuleList(Modulated(each, shape[0], latent, 1, demodulated=False) for each in channels)
        self.noises = [(h << (n + 1) // 2, w << (n + 1) // 2) for n in range(len(layers))]
        """Height and width of each layer's noise."""
        self.register_buffer("middle", torch.zeros(max(classes, 1), latent))
        self.register_buffer("counted", torch.zeros(max(classes, 1)))

    @property
    def styles(self) -> int:
        """L."""
        return 2 * len(self.to_pixels)

    def spread(self, w: Float[Tensor, "b s"]) -> Float[Tensor, "b l s"]:
        """One style for all layers."""
        return w[:, None].expand(-1, self.styles, -1)

    def mixed(
        self, w: Float[Tensor, "b s"], other: Float[Tensor, "b s"], crossover: Int64[Tensor, " b"]
    ) -> Float[Tensor, "b l s"]:
        """Style mixing: the style `w` up to the layer of the crossover, from there on the other.

        Source: Karras et al. 2018, section 3.1.
        """
        before = torch.arange(self.styles, device=w.device) < crossover[:, None]
        return torch.where(before[:, :, None], w[:, None], other[:, None])

    def forward(self, styles: Float[Tensor, "b l s"], noise: list[Tensor]) -> Pictures:
        """noise: (B, 1, H, W) for each layer, of the sizes `noises`."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        picture: Tensor | None = None
        for level, to_pixels in enumerate(self.to_pixels):
            for n in range(max(2 * level - 1, 0), 2 * level + 1):
                x = self.layers[n](x, styles[:, n], noise[n])
            added = to_pixels(x, styles[:, 2 * level + 1])
            picture = added if picture is None else upsample(picture) + added
        assert picture is not None
        return picture

    @torch.no_grad()
    def follow(self, w: Float[Tensor, "b s"], label: Int64[Tensor, " b"] | None) -> None:
        """Move the mean style, or that of each class in the batch, towards these. A plain mean in the first updates."""
        label = w.new_zeros(len(w), dtype=torch.int64) if label is None else label
        hot = F.one_hot(label, len(self.middle)).to(w)
        rows = hot.sum(0)
        self.counted += rows > 0
        # A class that is not in the batch stays as it is.
        moved = (rows > 0) * torch.clamp(1 / self.counted.clamp(min=1), min=1 - _KEPT)
        self.middle.lerp_(hot.t() @ w / rows.clamp(min=1)[:, None], moved[:, None])

    def truncated(
        self, w: Float[Tensor, "b s"], psi: Float[Tensor, " b"], label: Int64[Tensor, " b"] | None
    ) -> Float[Tensor, "b s"]:
        """w̄ + ψ (w - w̄): nearer to the mean style, of the class where there are any.

        Source: Karras et al. 2018, appendix B.
        """
        middle = self.middle[w.new_zeros(len(w), dtype=torch.int64) if label is None else label]
        return torch.lerp(middle, w, psi[:, None])


class DownConvolution(EqualConv2d):
    """The filter, then a convolution of 3 × 3 to half the size."""

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        return down_convolution(x, scaled(self, self.equal)) + _bias(self)


class Block(nn.Module):
    """D's block: two convolutions, the second to half the size, beside one of 1 × 1; their sum over √2."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.first = EqualConv2d(inner, inner, 3)
        self.second = DownConvolution(inner, outer, 3)
        self.skip = EqualConv2d(inner, outer, 1, gain=1.0)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        return (self.skip(downsample(x)) + active(self.second(active(self.first(x))))) / HE


class Discriminator(nn.Module):
    """From pictures, with labels or packs of them where there are any, to logits (B,).

    With labels a logit is the product of what the last layer says and of the mapped label, over the root of its size:
    the projection of Miyato and Koyama 2018, without a part that all classes share.

    Args:
        classes: K; 0: no labels.
        pack: M.
        depth: Layers of the label's mapping network.
        channels: Of each level, the smallest first.
        shape: Of a picture, or a pack of them.
        group: Samples whose standard deviation D hears.
    """

    def __init__(
        self, classes: int, pack: int, depth: int, channels: list[int], shape: tuple[int, ...], group: int
    ) -> None:
        super().__init__()
        h, w, _ = pyramid(*shape[1:])
        least, self.group = channels[0], group
        self.from_pixels = EqualConv2d(shape[0], channels[-1], 1)
        self.blocks = nn.Sequential(*[Block(inner, outer) for outer, inner in pairwise(channels)][::-1])
        self.last = EqualConv2d(least + 1, least, 3)
        self.dense = EqualLinear(h * w * least, least)
        self.head = EqualLinear(least, least if classes else 1, gain=1.0)
        if classes:
            self.mapping = Mapping(0, pack * classes, least, depth)

    def features(self, x: Pictures, label: Label = None) -> Float[Tensor, "b f"]:
        """What the last layer judges. The label has no part in it."""
        x = minibatch_std(self.blocks(active(self.from_pixels(x))), self.group)
        return active(self.dense(active(self.last(x)).permute(0, 2, 3, 1).flatten(1)))

    def forward(self, x: Pictures, label: Label = None) -> Float[Tensor, " b"]:
        said = self.head(self.features(x))
        if label is None:
            return said.squeeze(1)
        code = self.mapping(None, label)
        return (said * code).sum(1) / math.sqrt(code.shape[1])
