"""InfoGAN: a part of the latent that the sample must tell (Chen et al. 2016).

G starts from noise z and from codes c: categorical ones, of K equal values, and continuous ones, uniform in [-1, 1). Q
reads the codes from a sample, and how well it does is a lower bound on their mutual information (equation 5):

    min over G, Q, max over D:  V(D, G) - λ L_I(G, Q),     L_I = E log Q(c | G(z, c)) + H(c) <= I(c; G(z, c))

Q of a categorical code is a softmax, H = log K; Q of a continuous one is N(μ(x), σ(x)²), σ the exp of an output, H =
log 2 (appendix C). Q is a head on D's layers, so D's player learns it, and -λ L_I stands in both players' losses, as in
the authors' code: in D's it moves Q and the layers that both share, in G's it moves G. No label is used anywhere.

The networks are those of the authors' MNIST experiment (table 1): a layer of 1,024 before the strided convolutions of G
and after those of D, 128 units in Q, batch norm. So are z of 62 numbers, one code of ten values and two continuous
ones, Adam 2e-4 for D and 1e-3 for G with β₁ = 0.5, and λ = 1; for continuous codes the paper says "smaller": 0.1.

Departures: G is given √K times the one-hot code, or the code would be the weakest of its inputs at first. σ is 0.1 and
an exp. D has no batch norm where its slope is penalised. Samples come from an average of G's weights. Below 128 px
`suited` has a quarter of the channels and half of the batch for CPU minutes, and on points loss and rates of r3gan.

Letters: B batch, Z latent, C all numbers of the codes, K values of a categorical code, F features.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Round, Terms, latent
from ganworks.networks import convolutional, mlp
from ganworks.networks.pair import Headless, Heard, Sizes
from ganworks.objective import full
from ganworks.random import Streams
from ganworks.settings import GameSettings, LatentSettings, PlayerSettings, Rate, merge
from ganworks.systems.r3gan import R3GAN

_OF_R3GAN = {"batch", "objective", "average", "generator", "discriminator"}
"""Its settings that are taken on points."""
_LARGE = 128
"""From this side on the paper's sizes are the default."""
_FLOOR = 0.1
"""The least σ of a continuous code: of a smaller one, a Q that is a little late is off by many nats, and D with it."""
_MOST = 100
"""Classes that a code is made for."""
Values = Annotated[int, Field(ge=2)]


def _wrong(logits: Float[Tensor, "b k"], code: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
    """E -log Q of the one value that each row has."""
    return F.cross_entropy(logits, code.argmax(1))


class InfoGANSettings(GameSettings):
    """The authors' MNIST experiment."""

    batch: int = Field(128, ge=1, description="samples of one update")
    categorical: list[Values] = Field([10], description="values of each categorical code")
    continuous: int = Field(2, ge=0, description="continuous codes, uniform in [-1, 1)")
    information: Rate = Field(1.0, description="λ of the categorical codes: weight of the bound on their information")
    information_continuous: Rate = Field(0.1, description="λ of the continuous codes")
    latent: LatentSettings = LatentSettings(size=62)
    generator: PlayerSettings = PlayerSettings(lr=1e-3)
    discriminator: PlayerSettings = PlayerSettings(lr=2e-4)


def normed(inner: int, outer: int, activation: nn.Module, norm: bool = True) -> list[nn.Module]:
    """A linear layer, batch norm or not, and an activation."""
    return [nn.Linear(inner, outer, bias=not norm), *([nn.BatchNorm1d(outer)] if norm else []), activation]


class Discriminator(nn.Module):
    """From samples (B, *shape) to logits (B,), and to what is said of the codes: Q.

    Args:
        trunk: From samples to features (B, F).
        features: F.
        inner: Units of Q's hidden layer.
        told: Numbers that Q gives.
        norm: Batch norm in Q.
    """

    def __init__(self, trunk: nn.Module, features: int, inner: int, told: int, norm: bool) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(features, 1)
        self.recognition = nn.Sequential(*normed(features, inner, mlp.leaky(), norm), nn.Linear(inner, told))

    def features(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """What the last layer judges, and what Q reads."""
        return self.trunk(x)

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        return self.head(self.features(x)).squeeze(1)

    def recognise(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b q"]:
        """Logits of the categorical codes, then μ, then log(σ - its least) of the continuous ones."""
        return self.recognition(self.features(x))


class InfoGAN(Adversarial):
    """A G whose codes can be read from its samples, and a Q that reads them from data too."""

    name = "infogan"
    paper = "Chen et al. 2016, InfoGAN: Interpretable Representation Learning by Information Maximizing Generative \
Adversarial Nets, arXiv:1606.03657"
    accepts = ("points", "images")
    gives = "images"
    Settings = InfoGANSettings
    settings: InfoGANSettings
    conditions: tuple[str, ...] = ("code",)
    discriminator: Discriminator

    def __init__(self, settings: InfoGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if settings.view.pack > 1:
            raise error("E-SET-02", reason="a pack of samples has no code: set view.pack=1", system=self.name)
        if not settings.categorical and not settings.continuous:
            raise error("E-SET-02", reason="there is no code: set categorical or continuous", system=self.name)
        self.conditions = ("code",) if settings.categorical else ()
        make = self.on_points if data.kind == "points" else self.on_pictures
        self.set_up(*make(self.sizes()), joint=data.kind == "points")

    def on_points(self, sizes: Sizes) -> tuple[nn.Module, nn.Module]:
        """Three layers each, as for every system on points, and one more for Q."""
        generator, _ = mlp.pair(sizes)
        width = sizes.discriminator
        trunk = nn.Sequential(nn.Flatten(), mlp.layers([math.prod(sizes.judged), *[width] * 3], mlp.leaky))
        return generator, Discriminator(trunk, width, width, self.told, norm=False)

    def on_pictures(self, sizes: Sizes) -> tuple[nn.Module, nn.Module]:
        """Table 1, in the number of levels that the pictures want."""
        width = sizes.discriminator
        norm = not self.settings.objective.penalised
        inner = 16 * sizes.generator
        generator = nn.Sequential(
            *normed(sizes.latent, inner, nn.ReLU()), convolutional.Generator(inner, sizes.generator, sizes.sample)
        )
        look = Headless(convolutional.Discriminator(width, sizes.judged, norm=norm))
        trunk = nn.Sequential(look, *normed(look.count, 16 * width, mlp.leaky(), norm))
        discriminator = Discriminator(trunk, 16 * width, 2 * width, self.told, norm)
        for network in (generator, discriminator):
            convolutional.initialize(network)
        return generator, discriminator

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """As many values as the data have classes; for CPU minutes narrow networks; on points what r3gan has there."""
        count = len(data.classes)
        chosen: dict[str, Any] = {"categorical": [count if 2 <= count <= _MOST else 10]}
        if data.kind == "points":
            small = merge(R3GAN.Settings().model_dump(by_alias=True, include=_OF_R3GAN), R3GAN.suited(data))
            return small | chosen | {"latent": {"size": 16}}
        if max(data.shape[1:]) >= _LARGE:
            return chosen
        return chosen | {"batch": 64, "generator": {"width": 16}, "discriminator": {"width": 16}}

    @property
    def codes(self) -> int:
        """Values of the first categorical code; 0 without one."""
        return next(iter(self.settings.categorical), 0)

    @property
    def told(self) -> int:
        """Numbers that Q gives."""
        return sum(self.settings.categorical) + 2 * self.settings.continuous

    def sizes(self) -> Sizes:
        """G starts from a latent and the codes."""
        sizes = super().sizes()
        return sizes._replace(latent=sizes.latent + sum(self.settings.categorical) + self.settings.continuous)

    def start(self, random: Streams, code: Int64[Tensor, " b"] | None = None) -> Float[Tensor, "b zc"]:
        """What G starts from: z, the categorical codes as √K times one-hot, the continuous ones.

        Args:
            code: Values of the first categorical code; None: drawn like the others.
        """
        parts = [latent(self.settings.latent, random)]
        for index, values in enumerate(self.settings.categorical):
            drawn = random.integers(f"code.{index}", values)
            chosen = F.one_hot(drawn if index or code is None else code, values).to(parts[0])
            parts.append(chosen * math.sqrt(values))  # a mean square of 1, as the numbers in z have
        if self.settings.continuous:
            parts.append(random.uniform("code.continuous", self.settings.continuous) * 2 - 1)
        return torch.cat(parts, 1)

    def started(self, round: Round) -> Float[Tensor, "b zc"]:
        """What the fakes of this round start from."""
        return round.once("start", lambda: self.start(round.random))

    def fake(self, round: Round) -> dict[str, Tensor]:
        """Samples of latents and codes, once in a round."""
        start = self.started(round)
        return {"x": round.once("fake", lambda: full(self.generator(start)), uses=("generator",))}

    def information(self, features: Tensor, round: Round) -> Terms:
        """-λ L_I of both kinds of codes, as far as they have weight, from D's features of the fakes."""
        told = full(self.discriminator.recognition(features))
        codes = self.started(round)[:, self.settings.latent.size :]
        settings = self.settings
        weights = {"information": round.at(settings.information) if settings.categorical else 0.0}
        weights["information_continuous"] = round.at(settings.information_continuous) if settings.continuous else 0.0
        bounds = {"information": self.categorical_bound, "information_continuous": self.continuous_bound}
        return {name: -weight * bounds[name](told, codes) for name, weight in weights.items() if weight}

    def parts(self) -> Iterator[slice]:
        """Where each categorical code stands, among the codes and among what is told."""
        begin = 0
        for values in self.settings.categorical:
            yield slice(begin, begin + values)
            begin += values

    def categorical_bound(self, told: Float[Tensor, "b q"], codes: Float[Tensor, "b c"]) -> Float[Tensor, ""]:
        """Σ over codes of E log Q(c | x) + log K, in nats."""
        bounds = [math.log(part.stop - part.start) - _wrong(told[:, part], codes[:, part]) for part in self.parts()]
        return torch.stack(bounds).sum()

    def continuous_bound(self, told: Float[Tensor, "b q"], codes: Float[Tensor, "b c"]) -> Float[Tensor, ""]:
        """Σ over codes of E log N(c; μ(x), σ(x)²) + log 2, in nats."""
        begin = sum(self.settings.categorical)
        mean, free = told[:, begin:].chunk(2, 1)
        std = _FLOOR + free.exp()
        log_density = -0.5 * ((codes[:, begin:] - mean) / std).square() - std.log()
        return (log_density - 0.5 * math.log(2 * math.pi) + math.log(2)).mean(0).sum()

    def discriminator_loss(self, round: Round) -> Terms:
        """D's terms, and Q's on the same fakes."""
        real, fake, heard = self.real(round), round.hold(self.fake(round)["x"]), Heard(self.discriminator)
        terms = self.objective.discriminator(heard, real, {"x": fake}, round)
        if self.settings.view.replay or self.settings.objective.finite_difference:
            # D has judged other fakes too, or neighbours of them between.
            see = self.objective.view.fixed(round, "fake")
            features = self.discriminator.features(**see({"x": fake}))
        else:
            features = torch.cat(heard.kept)[round.count : 2 * round.count]  # behind the reals
        return terms | self.information(features, round)

    def generator_loss(self, round: Round) -> Terms:
        """G's terms: to be taken for real, and to be read."""
        heard = Heard(self.discriminator)
        terms = self.objective.generator(heard, self.fake(round), round, real=lambda: self.real(round))
        return terms | self.information(torch.cat(heard.kept)[-round.count :], round)

    def generate(self, count: int, random: Streams, code: Int64[Tensor, " b"] | None = None, **given: Any) -> Batch:
        """Samples of drawn codes, or of these values of the first categorical one."""
        start = self.start(random, code)
        drawn = {"x": self.generator(start)}
        if self.settings.categorical:
            begin = self.settings.latent.size
            drawn["code"] = start[:, begin : begin + self.codes].argmax(1)
        return Batch(drawn)

    @torch.no_grad()
    def classify(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b k"]:
        """Logits of the values of the first categorical code for samples in the data's units."""
        if not self.settings.categorical:
            raise error("E-SET-02", reason="there is no categorical code: set categorical", system=self.name)
        training = self.discriminator.training
        self.discriminator.eval()
        told = self.discriminator.recognise(self.data.encode(x))
        self.discriminator.train(training)
        return told[:, : self.codes]
