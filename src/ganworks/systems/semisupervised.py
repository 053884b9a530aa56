"""Semi-supervised learning: K classes of data and one of samples, and feature matching (Salimans et al. 2016).

D gives K logits l, and the logit of the class "generated" is fixed at 0. With Z = logsumexp(l) a sample is real with
probability D(x) = σ(Z). D minimises (section 5; the halves are those of the authors' code)

    E -log p(y | x, real) over the few labelled samples  +  ½ E sp(-Z(x)) + ½ E sp(Z(G)),

G minimises ‖E φ(x) - E φ(G)‖², φ D's last hidden layer, E the mean of a batch (section 3.1). What is wanted is D: a
classifier that has seen all data, and the labels of a few. Samples come second, by design.

D is that of the authors' MNIST code: weight-normalised ReLU layers of 1000-500-250-250-250, whose first outputs on data
have mean 0 and deviation 1, noise of 0.3 on pixels in [0, 1] and of 0.5 on every layer. So are z, uniform of 100, Adam
3e-3 with β₁ = 0.5, batches of 100, and the average of D's weights that is tested.

Departures, for minutes instead of 300 epochs: D has layers of 500-250-250-250-250, and the last is a plain one; G is
the small convolutional one of r3gan instead of two layers of 500 softplus and batch norm, which need some thousand
steps to draw a digit, and only against such samples does D learn what helps to classify; the learning rate decays to
0; D and G of a round see the same samples. Points have smaller networks, with a tenth of the noise.

Letters: B batch, Z latent, K classes.
"""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from ganworks import losses
from ganworks.adversarial import Adversarial
from ganworks.data.order import Order
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.game import Draw, Further, Round, Rows, Terms
from ganworks.networks import compact, mlp
from ganworks.random import Streams, shared
from ganworks.settings import AverageSettings, GameSettings, LatentSettings, ObjectiveSettings, PlayerSettings, Ramp

_DECAY = Ramp.model_validate({"from": 3e-3, "to": 0.0, "over": [0.5, 1.0]})
_SETTLED = 500
"""Rows from which D's first lengths are taken."""
_AT_ONCE = 1_000
"""Rows that are read together only to look at their labels."""


class SemiSupervisedSettings(GameSettings):
    """The authors' MNIST experiment, in CPU minutes."""

    batch: int = Field(100, ge=1, description="samples of one update, and as many labelled ones beside them")
    labelled: int = Field(100, ge=0, description="labelled samples that D is told, evenly from the classes; 0: all")
    latent: LatentSettings = LatentSettings(size=100, prior="uniform")
    objective: ObjectiveSettings = ObjectiveSettings(feature_matching=1.0)
    average: AverageSettings = AverageSettings(half_life=500_000.0, rampup=0.05)
    generator: PlayerSettings = PlayerSettings(lr=_DECAY, width=32)
    discriminator: PlayerSettings = PlayerSettings(lr=_DECAY, width=500)


class Noise(nn.Module):
    """Adds N(0, std²) to every number, in training only; drawn for the global batch."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        if not self.training:
            return x
        return x + self.std * shared(lambda count: torch.randn((count, *x.shape[1:])), len(x)).to(x.device)


class WeightNormed(nn.Linear):
    """A linear layer that learns its rows' directions; their lengths are set once, by `settle`.

    Source: Salimans and Kingma 2016, section 2; D's code leaves the lengths as they begin.
    """

    gain: Tensor

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer)
        nn.init.normal_(self.weight, 0.0, 0.1)
        nn.init.zeros_(self.bias)
        self.register_buffer("gain", torch.ones(outer))

    def forward(self, x: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        # Outputs are divided instead of weights: there are fewer of them.
        lengths = torch.linalg.vector_norm(self.weight, dim=1).clamp(min=1e-12)
        return F.linear(x, self.weight) * (self.gain / lengths) + self.bias

    @torch.no_grad()
    def settle(self, x: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        """Let every output have mean 0 and deviation 1 on some data. Source: the same, section 3."""
        y = self(x)
        deviation = y.std(0).clamp(min=1e-2)
        self.gain.div_(deviation)
        self.bias.copy_((self.bias - y.mean(0)) / deviation)
        return self(x)


class Discriminator(nn.Module):
    """From samples (B, *shape) to the logits of K classes, and to Z, the one logit of being real.

    Args:
        sizes: Units of the hidden layers.
        noise: Standard deviations on the input and on every layer.
        scale, shift: What x is multiplied by and then moved by.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        sizes: list[int],
        classes: int,
        noise: tuple[float, float],
        scale: float = 1.0,
        shift: float = 0.0,
    ) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift
        parts: list[nn.Module] = [Noise(noise[0])]
        for inner, outer in pairwise([math.prod(shape), *sizes]):
            parts += [WeightNormed(inner, outer), nn.ReLU(), Noise(noise[1])]
        self.body = nn.Sequential(*parts)
        self.head = nn.Linear(sizes[-1], classes)

    def settle(self, x: Float[Tensor, "b ..."]) -> None:
        """Set the lengths of all rows on some data, layer by layer."""
        y = self.scale * x.flatten(1) + self.shift
        for part in self.body:
            if isinstance(part, Noise):
                y = y + part.std * torch.randn_like(y)
            else:
                y = part.settle(y) if isinstance(part, WeightNormed) else part(y)

    def features(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """φ: what the last layer judges."""
        return self.body(self.scale * x.flatten(1) + self.shift)

    def classes(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b k"]:
        """Logits of the classes, given that x is real."""
        return self.head(self.features(x))

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        """Z = logsumexp(l): the logit of D(x) = Σ exp(l) / (Σ exp(l) + 1)."""
        return self.classes(x).logsumexp(1)


class SemiSupervised(Adversarial):
    """A classifier of K classes that also tells data from samples, and a G that matches its features."""

    name = "semisupervised"
    paper = "Salimans et al. 2016, Improved Techniques for Training GANs, arXiv:1606.03498"
    accepts = ("points", "images")
    gives = "images"
    Settings = SemiSupervisedSettings
    averaged = ("generator", "discriminator")
    discriminator: Discriminator
    labelled_rows: Tensor

    def __init__(self, settings: SemiSupervisedSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if not data.classes:
            raise error("E-SET-02", reason="semisupervised needs data with labels", system=self.name)
        if settings.view.pack > 1:
            raise error("E-SET-02", reason="a pack of samples has no class: set view.pack=1", system=self.name)
        z, classes = settings.latent.size, len(data.classes)
        g_width, d_width = settings.generator.width, settings.discriminator.width
        if data.kind == "points":
            generator: nn.Module = mlp.Generator(z, g_width, 3, data.shape, nn.ReLU, nn.Identity())
            discriminator = Discriminator(data.shape, [d_width] * 3, classes, (0.03, 0.05))
        else:
            generator = compact.Generator(z, g_width, data.shape)
            sizes = [d_width, *[d_width // 2] * 4]
            discriminator = Discriminator(data.shape, sizes, classes, (0.3, 0.5), scale=0.5, shift=0.5)
        # Reals and fakes apart: the noise of a row does not depend on what it is judged with.
        self.set_up(generator, discriminator, joint=False)
        told = min(settings.labelled or data.count, data.count)
        self.register_buffer("labelled_rows", torch.zeros(told, dtype=torch.int64))

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small networks for points."""
        if data.kind != "points":
            return {}
        player = {"width": 64, "lr": {"from": 1e-3, "to": 0.0, "over": [0.5, 1.0]}}
        return {"batch": 128, "latent": {"size": 16}, "generator": player, "discriminator": player}

    def prepare(self, data: Rows) -> None:
        """Choose the labelled rows, evenly from the classes, and set the lengths of D's rows on unlabelled data."""
        labels = torch.cat([data.rows(rows)["label"] for rows in torch.split(torch.arange(len(data)), _AT_ONCE)])
        self.labelled_rows.copy_(balanced(labels, len(self.labelled_rows)))
        seen = data.rows(torch.randperm(len(data))[:_SETTLED])["x"]
        self.discriminator.settle(self.data.encode(seen))

    def sampler(self, data: Rows) -> Draw:
        """Batches in the usual order, each with as many labelled samples in an order of their own."""
        usual, orders = super().sampler(data), dict[int, Order]()

        def draw(index: int, count: int, random: Streams) -> tuple[Tensor, Further]:
            if count not in orders:
                orders[count] = Order(len(self.labelled_rows), count, random.seed)
            told = data.rows(self.labelled_rows.cpu()[orders[count].rows(index)])
            x = self.data.encode(told["x"])
            return usual(index, count, random)[0], {"labelled_x": x, "labelled_label": told["label"]}

        return draw

    def supervised(self, round: Round) -> Float[Tensor, ""]:
        """The cross entropy of the classes on what D is told."""
        see = self.objective.view.fixed(round, "labelled")
        logits = self.discriminator.classes(**see({"x": round.real["labelled_x"]}))
        return F.cross_entropy(logits, round.real["labelled_label"])

    def discriminator_loss(self, round: Round) -> Terms:
        """What D is told and what it finds out, and its penalties. The unlabelled batch counts half."""
        terms = super().discriminator_loss(round)
        return {"supervised": self.supervised(round), **terms, "adversarial": terms["adversarial"] / 2}

    def generator_loss(self, round: Round) -> Terms:
        """Feature matching alone. Without it G plays the adversarial game against Z."""
        weight = round.at(self.settings.objective.feature_matching)
        if not weight:
            return super().generator_loss(round)
        see_real, see_fake = (self.objective.view.fixed(round, side) for side in ("real", "fake"))
        real = self.discriminator.features(**see_real(self.real(round)))
        fake = self.discriminator.features(**see_fake(self.fake(round)))
        return {"feature_matching": weight * losses.feature_matching(round.hold(real), fake)}

    @torch.no_grad()
    def classify(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b k"]:
        """Logits of the classes for samples in the data's units, without noise."""
        training = self.discriminator.training
        self.discriminator.eval()
        logits = self.discriminator.classes(self.data.encode(x))
        self.discriminator.train(training)
        return logits


def balanced(labels: Int64[Tensor, " n"], count: int) -> Int64[Tensor, " c"]:
    """Rows chosen at random, one of each class in turn; a class that has run out leaves its turns to the others."""
    order = torch.randperm(len(labels))
    turns = torch.empty_like(order)
    for label in range(int(labels.max()) + 1):
        (own,) = torch.where(labels[order] == label)
        turns[own] = torch.arange(len(own))
    return order[turns.argsort(stable=True)[:count]]
