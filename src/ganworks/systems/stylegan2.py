"""StyleGAN2: a generator driven by styles, with a smooth map from them to pictures (Karras et al. 2019).

    L_D = E sp(f(G)) + E sp(-f(x)) + γ/2 E‖∇f(x)‖²,  γ = 10          on every 16th update, then × 16 ("lazy", section 4)
    L_G = E sp(-f(G)) + 2 E_{w,y} (‖J_wᵀ y‖ - a)²                    on every 4th update, then × 4 (equation 4)

sp(t) = log(1 + e^t). J_w is the Jacobian of the picture with respect to its style, y ~ N(0, 1) a picture of noise,
a the running mean of ‖J_wᵀ y‖ with a memory of 0.99: a step in w is to change the picture by as much wherever it is
taken. ‖·‖ is a mean square over layers, y is divided by √(HW), and half a batch is enough (appendix B and code).

- networks/style.py: mapping network, modulated and demodulated convolutions, noise, skips in G, a residual D, and
  networks/resampling.py for the filters; standard deviation over groups of four in D, equalised learning rates;
- style mixing: nine of ten samples have a second latent's style from a random layer on, in training only;
- Adam 2e-3 with β = (0, 0.99), batches of 32, samples from an average of G's weights with a half-life of 10,000;
- truncation: styles ψ times as far from their mean, which has a memory of 0.998;
- where the data have labels, both networks are told, as in the code of Karras et al. 2020 (arXiv:2006.06676), and the
  mean style is one of each class. That paper's augmentation is `view.augment` with `view.adaptive = 0.6`.

Departures: lazy terms leave the learning rate and β as they are, where the paper adapts them by k / (k + 1); a stands
still in the loss that it enters, and follows after the update; mean styles are plain means in their first 500 updates;
the first style of a layer to pixels is that of the next layer, as in later code; D's skips have a bias; √2 stands
before noise and bias are added, which scales both. Samples are clamped to [-1, 1]. The fakes of an update have the
labels of its real batch. Below 128 px smaller networks and another loss, for CPU minutes
(docs/systems/stylegan2.md).

Letters: B batch, Z latent, S numbers of a style, L layers that take one, K classes, C channels, H, W height and width.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch, DataSpec
from ganworks.game import Player, Round, Terms, latent
from ganworks.networks import progressive, style
from ganworks.objective import full
from ganworks.random import Streams
from ganworks.settings import (
    AverageSettings,
    Count,
    GameSettings,
    LatentSettings,
    ObjectiveSettings,
    PlayerSettings,
    Ramp,
    Rate,
    Share,
)

_LARGE = 128
"""From this side on the paper's sizes are the default."""
_MEMORY = 0.99
"""How much of a, the mean path length, stays in an update."""
_SHRINK = 2
"""Path lengths are taken of one sample in so many."""


class StyleGAN2Settings(GameSettings):
    """Configuration F, section 2 and appendix B."""

    batch: int = Field(32, ge=1, description="samples of one update")
    depth: Count = Field(8, description="layers of the mapping networks")
    taper: Count = Field(32_768, description="channels of a level times its side, at most")
    group: Count = Field(4, description="samples whose standard deviation D hears; 1: it hears nothing")
    mixing: Share = Field(0.9, description="share of training samples that have two styles")
    path_length: Rate = Field(2.0, description="weight of E(|Jᵀy| - a)² in G's loss, which makes G smooth in w")
    path_every: Count = Field(4, description="path lengths on every k-th update of G only, with weight × k")
    latent: LatentSettings = LatentSettings(size=512)
    objective: ObjectiveSettings = ObjectiveSettings(r1=10.0, every=16)
    average: AverageSettings = AverageSettings(half_life=10_000.0, rampup=0.05)
    generator: PlayerSettings = PlayerSettings(lr=2e-3, betas=(0.0, 0.99), width=512)
    discriminator: PlayerSettings = PlayerSettings(lr=2e-3, betas=(0.0, 0.99), width=512)


class StyleGAN2(Adversarial):
    """The non-saturating game with R1 and path lengths, for each class at once where the data have classes."""

    name = "stylegan2"
    paper = "Karras et al. 2019, Analyzing and Improving the Image Quality of StyleGAN, arXiv:1912.04958"
    accepts = ("images",)
    gives = "images"
    Settings = StyleGAN2Settings
    settings: StyleGAN2Settings
    conditions: tuple[str, ...] = ("label", "truncation")
    generator: style.Generator
    mean_path: Tensor

    def __init__(self, settings: StyleGAN2Settings, data: DataSpec) -> None:
        super().__init__(settings, data)
        classes, sizes = len(data.classes), self.sizes()
        if not classes:
            self.conditions = ("truncation",)
        # New latents for every update; but players who move at once share a batch, and so its labels and fakes.
        self.shared_fakes = settings.turns.simultaneous
        g_widths, d_widths = (
            progressive.widths(data.shape, width, settings.taper) for width in (sizes.generator, sizes.discriminator)
        )
        pack, depth = settings.view.pack, settings.depth
        self.set_up(
            style.Generator(sizes.latent, classes, depth, g_widths, sizes.sample),
            style.Discriminator(classes, pack, depth, d_widths, sizes.judged, settings.group),
            joint=False,  # a group of the standard deviation must not hold reals and fakes
        )
        self.register_buffer("mean_path", torch.zeros(()))

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small networks and r3gan's loss for CPU minutes below 128 px; docs/systems/stylegan2.md has the measurements.

        As the authors for CIFAR-10 (Karras et al. 2020): two mapping layers, no mixing and no path lengths.
        """
        if data.kind != "images" or max(data.shape[1:]) >= _LARGE:
            return {}
        decay = Ramp.model_validate({"from": 1.0, "to": 0.02, "over": [0.667, 1.0]})
        player = {"width": 32, "lr": [1e-2, decay]}
        return {
            "batch": 16,
            "depth": 2,
            "taper": 224,
            "mixing": 0.0,
            "path_length": 0.0,
            "latent": {"size": 64},
            "objective": {"loss": "relativistic_paired", "r1": 0.1, "r2": 0.1, "every": 8},
            "average": {"half_life": 500_000.0},
            "generator": player,
            "discriminator": player,
        }

    def players(self) -> tuple[Player, ...]:
        """After its update G's mean styles and a follow."""
        discriminator, generator = super().players()
        return discriminator, replace(generator, after=self.generated)

    def row(self) -> dict[str, Tensor]:
        """One row of D's inputs: a sample, and its label where there are any."""
        label = {"label": torch.zeros((), dtype=torch.int64)} if self.data.classes else {}
        return super().row() | label

    def real(self, round: Round) -> dict[str, Tensor]:
        """What D sees of the data."""
        return {name: round.real[name] for name in self.row()}

    def fake(self, round: Round) -> dict[str, Tensor]:
        """Samples, of the labels of the real batch where there are any."""
        if not self.data.classes:
            return {"x": self.drawn(round)}
        label = round.real["label"]
        return {"x": self.drawn(round, label), "label": label}

    def drawn(self, round: Round, *given: Tensor) -> Tensor:
        """G's samples from fresh latents, most of them of two styles."""

        def make() -> Tensor:
            label = given[0] if given else None
            styles = self.styles(round.random, label)
            return full(self.generator(styles, self.noise(round.random)))

        return round.once("fake", make, uses=("generator",)) if self.shared_fakes else make()

    def styles(self, random: Streams, label: Int64[Tensor, " b"] | None) -> Float[Tensor, "b l s"]:
        """Styles of every layer, for training: mixed ones with the probability `mixing`."""
        generator, share = self.generator, self.settings.mixing
        w = generator.mapping(latent(self.settings.latent, random), label)
        if not share:
            return generator.spread(w)
        # The stream goes on: a second latent.
        other = generator.mapping(latent(self.settings.latent, random), label)
        layers = generator.styles
        crossover = 1 + random.integers("crossover", layers - 1)
        crossover = torch.where(random.uniform("mixing") < share, crossover, layers)
        return generator.mixed(w, other, crossover)

    def noise(self, random: Streams) -> list[Tensor]:
        """(B, 1, H, W) normal numbers for each layer."""
        return [random.normal(f"noise.{n}", 1, h, w) for n, (h, w) in enumerate(self.generator.noises)]

    def generator_loss(self, round: Round) -> Terms:
        """G's terms, and now and then how evenly its pictures follow their styles."""
        terms, every = super().generator_loss(round), self.settings.path_every
        weight = round.at(self.settings.path_length)
        if weight and (round.update + 1) % every == 0:
            lengths = self.lengths(round)
            round.notes["path"] = lengths.detach().mean()
            terms |= {"path_length": every * weight * (lengths - self.mean_path).square().mean()}
        return terms

    def lengths(self, round: Round) -> Float[Tensor, " b"]:
        """‖J_wᵀ y‖ of some new samples, in full precision: a slope is a difference of nearly equal numbers."""
        with torch.autocast(self.mean_path.device.type, enabled=False):
            label = round.real["label"] if self.data.classes else None
            part = slice(None, None, _SHRINK)
            styles = self.styles(round.random, label)[part]
            pictures = self.generator(styles, [rows[part] for rows in self.noise(round.random)])
            return path_lengths(pictures, styles, round.random.normal("path", *self.data.shape)[part])

    def generated(self, round: Round) -> None:
        """After G's update: its mean styles and mean path length."""
        label = round.real["label"] if self.data.classes else None
        self.generator.follow(self.generator.mapping(latent(self.settings.latent, round.random), label), label)
        if "path" in round.notes:
            self.mean_path.lerp_(round.notes["path"], 1 - _MEMORY)

    def generate(
        self,
        count: int,
        random: Streams,
        label: Int64[Tensor, " b"] | None = None,
        truncation: Float[Tensor, " b"] | None = None,
        **given: Any,
    ) -> Batch:
        """Samples of one style each; of labels drawn as the data has them where there are any and none are given."""
        if self.data.classes and label is None:
            label = self.labels(random)
        w = self.generator.mapping(latent(self.settings.latent, random), label)
        if truncation is not None:
            w = self.generator.truncated(w, truncation, label)
        x = self.generator(self.generator.spread(w), self.noise(random)).clamp(-1, 1)
        return Batch({"x": x} if label is None else {"x": x, "label": label})


def path_lengths(
    pictures: Float[Tensor, "b c h w"], styles: Float[Tensor, "b l s"], y: Float[Tensor, "b c h w"]
) -> Float[Tensor, " b"]:
    """√(mean over layers of |∂(Σ y x / √(HW)) / ∂w_l|²), with a graph: how far a picture moves with its style.

    Args:
        pictures: Made from `styles`.
        y: N(0, 1).
    """
    h, w = pictures.shape[2:]
    (slope,) = torch.autograd.grad((pictures * y).sum() / math.sqrt(h * w), styles, create_graph=True)
    return slope.square().sum(2).mean(1).sqrt()
