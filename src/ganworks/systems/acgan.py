"""AC-GAN: a discriminator that also names the class (Odena et al. 2016).

G makes an x of class c from a latent, D says of a sample whether it is real and of which class, by two linear heads on
the same layers. The log-likelihoods of the right source and of the right class (equations 2 and 3)

    L_S = E log P(real | x) + E log P(fake | G(z, c))        L_C = E log P(c | x) + E log P(c' | G(z, c'))

D maximises L_S + L_C, G maximises L_C - L_S: both want a sample to be of its class. D is not told the class, so nothing
but L_C makes G keep it; and L_C asks for samples that are easy to name, not for all samples of a class. With a weight
that is too large, the samples of a class become alike.

The networks are those of dcgan, with the label one-hot beside z of 100; Adam 2e-4 with β₁ = 0.5 and batches of 100 are
the paper's for CIFAR-10.

Departures: strides of 4 × 4 in D instead of the paper's 3 × 3 with dropout, and no noise on its layers; samples come
from an average of G's weights; D has no batch norm where its slope is penalised. For CPU minutes, and on points, the
networks, the paired loss and the penalties of r3gan, with G's and D's turns; on pictures L_C counts a fifth.

Letters: B batch, Z latent, K classes, F features.
"""

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from ganworks.adversarial import Adversarial, ClassConditional
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.game import Round, Terms
from ganworks.networks import compact, convolutional, mlp
from ganworks.networks.pair import Headless, Heard, Sizes
from ganworks.networks.projection import Labelled
from ganworks.objective import full
from ganworks.settings import GameSettings, LatentSettings, Rate, merge
from ganworks.systems.r3gan import R3GAN

_OF_R3GAN = {"batch", "latent", "objective", "average", "generator", "discriminator"}
"""Its settings that are taken for CPU minutes."""
_WEIGHT = 0.2
"""On Fashion-MNIST, 6,000 steps, nearly twice the recall of the paper's 1 after 8,000 (2026-11-26)."""


class ACGANSettings(GameSettings):
    """The paper's, for pictures of 32 px."""

    batch: int = Field(100, ge=1, description="samples of one update")
    classification: Rate = Field(1.0, description="weight of the classes of real samples in D's loss, of fakes in G's")
    classification_fake: Rate = Field(1.0, description="weight of the classes of fake samples in D's loss")
    networks: Literal["paper", "small"] = Field("paper", description="on pictures: those of dcgan, or those of r3gan")
    latent: LatentSettings = LatentSettings(size=100)


class Discriminator(nn.Module):
    """From samples (B, *shape) to logits (B,), and to logits of the classes (B, K).

    Args:
        trunk: From samples to features (B, F).
        features, classes: F, K.
    """

    def __init__(self, trunk: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(features, 1)
        self.naming = nn.Linear(features, classes)

    def features(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """What both heads judge."""
        return self.trunk(x)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)

    def classes(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b k"]:
        """Logits of the classes."""
        return self.naming(self.features(x))


class ACGAN(ClassConditional):
    """A G of classes and a D that finds them out."""

    name = "acgan"
    paper = "Odena et al. 2016, Conditional Image Synthesis With Auxiliary Classifier GANs, arXiv:1610.09585"
    accepts = ("points", "images")
    gives = "images"
    Settings = ACGANSettings
    settings: ACGANSettings
    discriminator: Discriminator

    def __init__(self, settings: ACGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if settings.view.pack > 1:
            raise error("E-SET-02", reason="a pack of samples has no class: set view.pack=1", system=self.name)
        # Unlike a D that is told the label, this one need not see fakes of the classes of its reals.
        self.shared_fakes = True
        make = self.on_points if data.kind == "points" else self.on_pictures
        generator, discriminator = make(self.sizes(), len(data.classes))
        self.set_up(Labelled(generator, len(data.classes)), discriminator, joint=self.plain)

    @property
    def plain(self) -> bool:
        """Whether D has no batch statistics."""
        return self.data.kind == "points" or self.settings.networks == "small" or self.settings.objective.penalised

    def on_points(self, sizes: Sizes, classes: int) -> tuple[nn.Module, Discriminator]:
        """Three layers each, as for every system on points."""
        generator, _ = mlp.pair(sizes)
        width = sizes.discriminator
        trunk = nn.Sequential(nn.Flatten(), mlp.layers([math.prod(sizes.judged), *[width] * 3], mlp.leaky))
        return generator, Discriminator(trunk, width, classes)

    def on_pictures(self, sizes: Sizes, classes: int) -> tuple[nn.Module, Discriminator]:
        """Strided convolutions, or the small networks."""
        small = self.settings.networks == "small"
        generator, judge = compact.pair(sizes) if small else convolutional.pair(sizes, norm=not self.plain)
        trunk = Headless(judge)
        discriminator = Discriminator(trunk, trunk.count, classes)
        if not small:
            convolutional.initialize(discriminator)
        return generator, discriminator

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """The networks, loss and rates of r3gan, for CPU minutes; on pictures, less weight for the classes."""
        small = merge(R3GAN.Settings().model_dump(by_alias=True, include=_OF_R3GAN), R3GAN.suited(data))
        weights = {} if data.kind == "points" else {"classification": _WEIGHT, "classification_fake": _WEIGHT}
        return small | weights | {"networks": "small"}

    def sizes(self) -> Sizes:
        """G starts from a latent and a label."""
        sizes = super().sizes()
        return sizes._replace(latent=sizes.latent + len(self.data.classes))

    def row(self) -> dict[str, Tensor]:
        """One row of what D sees: a sample without its label."""
        return Adversarial.row(self)

    def real(self, round: Round) -> dict[str, Tensor]:
        """What D sees of the data."""
        return Adversarial.real(self, round)

    def label(self, round: Round) -> Int64[Tensor, " b"]:
        """The classes of this round's fakes, with the shares of the data."""
        return round.once("label", lambda: self.labels(round.random))

    def fake(self, round: Round) -> dict[str, Tensor]:
        """Samples of them."""
        return {"x": self.drawn(round, self.label(round))}

    def discriminator_loss(self, round: Round) -> Terms:
        """D's terms: the source, and the class of both."""
        settings, heard = self.settings, Heard(self.discriminator)
        real, fake = self.real(round), {"x": round.hold(self.fake(round)["x"])}
        terms = self.objective.discriminator(heard, real, fake, round)
        if settings.view.replay or settings.objective.finite_difference:
            # D has judged old fakes too, or neighbours of its samples between them.
            sides = ("real", real), ("fake", fake)
            seen = [self.objective.view.fixed(round, side)(inputs) for side, inputs in sides]
            features = [self.discriminator.features(**inputs) for inputs in seen]
        else:
            features = list(torch.cat(heard.kept)[: 2 * round.count].chunk(2))
        labels = round.real["label"], self.label(round)
        weights = {"classification": settings.classification, "classification_fake": settings.classification_fake}
        for (name, schedule), judged, label in zip(weights.items(), features, labels, strict=True):
            if weight := round.at(schedule):
                terms[name] = weight * self.missed(judged, label)
        return terms

    def generator_loss(self, round: Round) -> Terms:
        """G's terms: to be taken for real, and for a sample of its class."""
        heard = Heard(self.discriminator)
        terms = self.objective.generator(heard, self.fake(round), round, real=lambda: self.real(round))
        if weight := round.at(self.settings.classification):
            # Behind the reals, where the loss compares with them.
            terms["classification"] = weight * self.missed(torch.cat(heard.kept)[-round.count :], self.label(round))
        return terms

    def missed(self, features: Float[Tensor, "b f"], label: Int64[Tensor, " b"]) -> Float[Tensor, ""]:
        """-E log P(c | x), in nats."""
        return F.cross_entropy(full(self.discriminator.naming(features)), label)

    @torch.no_grad()
    def classify(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b k"]:
        """Logits of the classes for samples in the data's units."""
        training = self.discriminator.training
        self.discriminator.eval()
        logits = self.discriminator.classes(self.data.encode(x))
        self.discriminator.train(training)
        return logits
