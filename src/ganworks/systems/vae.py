"""VAE: the variational autoencoder (Kingma and Welling 2013). No game: one player, whose loss is a bound of -log p(x).

An encoder gives q(z|x) = N(m(x), s²(x)), a decoder p(x|z) = N(μ(z), σ² I), and p(z) = N(0, I). The player minimises

    -ELBO = E_q [-log p(x|z)]  +  KL(q(z|x) ‖ p(z)),   z = m + s ε,  ε ~ N(0, I)        equations 3, 4 and 10

where KL = ½ Σ (m² + s² - 1 - log s²) (appendix B). With K draws z_k of q(z|x) the log-likelihood has the tighter bound
log 1/K Σ p(x|z_k) p(z_k) / q(z_k|x), the ELBO where K = 1 (Burda et al. 2015, equation 8).

Samples are draws of the model: z from p(z), then x from p(x|z), noise of σ included; `noise=0` gives the means, as most
pictures of VAEs show them. Noise beyond the range of pictures is cut off.

The networks are those of the paper, one hidden layer of 500 tanh units each (appendix C, section 5), batches of 100.

Departures: Adam instead of Adagrad, and PyTorch's initial weights instead of N(0, 0.01); one σ for all numbers, learnt,
instead of one for each that depends on z (appendix C.2), which runs away where a pixel is constant; a Gaussian decoder
for pictures too, as the paper has for faces: grey levels are no probabilities of a coin. Pictures above 32 px have
small convolutional networks. The decoder's last bias begins at the data's mean, σ at a part of its deviation. Samples
are drawn by an average of the weights.

Letters: B batch, Z latent, D numbers of one sample, K importance draws.
"""

import math
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ganworks.data.spec import Batch, DataSpec
from ganworks.explicit import ExplicitSettings
from ganworks.game import Phase, Player, Round, Rows, System, Terms, Turn, latent
from ganworks.networks import compact, mlp
from ganworks.objective import full
from ganworks.random import Streams, generator
from ganworks.settings import AverageSettings, LatentSettings, PlayerSettings, Weight

_AT_ONCE = 3_200
"""Draws of z that are decoded together."""
_SMALL = 32
"""Side in pixels up to which pictures have the paper's networks."""
_LOOKED_AT = 1_000
"""Rows that say how much data differ."""
_BEGUN = {"points": 0.1, "images": 0.5}
"""σ before the first step, as a share of the data's deviation. From 1 on the ring's decoder learns nothing but the mean
in 6,000 steps; from 0.1 that of digits needs 10,000 for its σ (both measured 2026-11-26)."""
_MOST = 0.995
"""Of a pixel's mean, which tanh is to reach before the first step."""
_LEAST = 1e-3
"""Of σ then, for data that do not differ."""


class NormalLatent(LatentSettings):
    """z ~ N(0, I): the KL knows no other prior."""

    prior: ClassVar[Literal["normal", "uniform"]] = "normal"  # type: ignore[misc]  # a field no more, on purpose


class AutoencoderSettings(PlayerSettings):
    """Encoder and decoder, and their optimizer."""

    spectral_norm: ClassVar[bool] = False  # type: ignore[misc]  # a field no more: nothing asks for it here


class VAESettings(ExplicitSettings):
    """The paper's MNIST experiment."""

    batch: int = Field(100, ge=1, description="samples of one update")
    latent: NormalLatent = NormalLatent(size=20)
    layers: Literal["linear", "convolutional"] = Field("linear", description="what the networks are made of")
    depth: int = Field(1, ge=1, description="hidden layers of each network, where they are linear")
    noise: Weight = Field(1.0, description="share of the decoder's σ in samples; 0: the means alone")
    draws: int = Field(100, ge=1, description="z of each sample in the bound of its log-likelihood")
    average: AverageSettings = AverageSettings(half_life=10_000.0)
    autoencoder: AutoencoderSettings = AutoencoderSettings(lr=1e-3, betas=(0.9, 0.999), width=500)


class Encoder(nn.Module):
    """From samples (B, *shape) to the mean and the log-variance of q(z|x), (B, Z) each."""

    def __init__(self, settings: VAESettings, shape: tuple[int, ...]) -> None:
        super().__init__()
        width, self.linear = settings.autoencoder.width, settings.layers == "linear"
        if self.linear:
            self.body: nn.Module = mlp.layers([math.prod(shape), *[width] * settings.depth], nn.Tanh)
            last = width
        else:
            network = compact.Discriminator(width, shape)
            last = network.head.in_features
            network.head = nn.Identity()  # type: ignore[assignment]  # its logit is nobody's
            self.body = network
        self.head = nn.Linear(last, 2 * settings.latent.size)

    def features(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b f"]:
        """What the last layer sees."""
        return self.body(x.flatten(1)) if self.linear else self.body.features(x)  # type: ignore[operator]  # compact's

    def forward(self, x: Float[Tensor, "b ..."]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        mean, log_variance = self.head(self.features(x)).chunk(2, 1)
        return mean, log_variance


class Decoder(nn.Module):
    """From latents (B, Z) to the mean of p(x|z), (B, *shape); its σ is one number, learnt."""

    def __init__(self, settings: VAESettings, data: DataSpec) -> None:
        super().__init__()
        z, width, bound = (
            settings.latent.size,
            settings.autoencoder.width,
            nn.Identity() if data.kind == "points" else nn.Tanh(),
        )
        self.network: nn.Module = (
            mlp.Generator(z, width, settings.depth, data.shape, nn.Tanh, bound)
            if settings.layers == "linear"
            else compact.Generator(z, width, data.shape)
        )
        self.log_std = nn.Parameter(torch.zeros(()))

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b ..."]:
        return self.network(z)

    def log_prob(self, x: Float[Tensor, "b ..."], mean: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        """log p(x|z), from the mean of p(x|z)."""
        squares = ((x - mean) * (-self.log_std).exp()).square().flatten(1)
        return -0.5 * squares.sum(1) - squares.shape[1] * (self.log_std + 0.5 * math.log(2 * math.pi))


def divergence(mean: Float[Tensor, "b z"], log_variance: Float[Tensor, "b z"]) -> Float[Tensor, " b"]:
    """KL(N(m, s²) ‖ N(0, I)) = ½ Σ (m² + s² - 1 - log s²), in nats. Source: appendix B."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def log_normal(
    z: Float[Tensor, "b z"], mean: Tensor | float = 0.0, log_variance: Tensor | None = None
) -> Float[Tensor, " b"]:
    """log N(z; m, s²), summed over Z; the standard normal where nothing else is given."""
    spread = torch.zeros_like(z) if log_variance is None else log_variance
    return -0.5 * ((z - mean).square() * (-spread).exp() + spread + math.log(2 * math.pi)).sum(1)


class VAE(System):
    """One player that codes samples and decodes them; its samples are decoded noise."""

    name = "vae"
    paper = "Kingma and Welling 2013, Auto-Encoding Variational Bayes, arXiv:1312.6114"
    accepts = ("points", "images")
    gives = "images"
    Settings = VAESettings
    averaged = ("encoder", "decoder")
    settings: VAESettings

    def __init__(self, settings: VAESettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        self.encoder = Encoder(settings, data.shape)
        self.decoder = Decoder(settings, data)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Deeper networks and as many latents as numbers for points; convolutions above 32 px."""
        if data.kind == "points":
            return {"batch": 256, "depth": 2, "latent": {"size": data.shape[0]}, "autoencoder": {"width": 64}}
        if max(data.shape[1:]) <= _SMALL:
            return {}
        return {"layers": "convolutional", "draws": 10, "latent": {"size": 64}, "autoencoder": {"width": 32}}

    def prepare(self, data: Rows) -> None:
        """σ begins as a part of the data's deviation, so that z is worth something from the start."""
        x = self.data.encode(data.rows(torch.randperm(len(data))[:_LOOKED_AT])["x"])
        with torch.no_grad():
            if isinstance(last := getattr(self.decoder.network, "head", None), nn.Linear):
                mean = x.mean(0).flatten()
                last.bias.copy_(mean if self.data.kind == "points" else mean.clamp(-_MOST, _MOST).atanh())
            deviation = x.double().var(0, correction=0).mean().sqrt()
            self.decoder.log_std.copy_((_BEGUN[self.data.kind] * deviation).clamp(min=_LEAST).log())

    def players(self) -> tuple[Player, ...]:
        """One, with both networks."""
        return (Player("autoencoder", ("encoder", "decoder"), self.loss, self.settings.autoencoder),)

    def phases(self) -> tuple[Phase, ...]:
        """An update a round."""
        return (Phase("bound", (Turn("autoencoder"),)),)

    def loss(self, round: Round) -> Terms:
        """-ELBO in nats a sample, from one z for each (L = 1): the reconstruction and the KL."""
        x = round.real["x"]
        mean, log_variance = (full(each) for each in self.encoder(x))
        z = mean + (0.5 * log_variance).exp() * round.random.normal("posterior", self.settings.latent.size)
        reconstruction = -self.decoder.log_prob(x, full(self.decoder(z))).mean()
        return {"reconstruction": reconstruction, "kl": divergence(mean, log_variance).mean()}

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Draws of p(x|z) for z from the prior; `noise` scales σ."""
        mean = self.decoder(latent(self.settings.latent, random))
        noise = self.settings.noise * self.decoder.log_std.exp()
        x = mean + noise * random.normal("noise", *self.data.shape)
        return Batch({"x": x.clamp(-1, 1) if self.data.kind == "images" else x})

    @property
    def likelihood(self) -> str:
        """What `log_likelihood` is."""
        return f"bound of {self.settings.draws} draws"

    def log_likelihood(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """A lower bound of log p(x) in nats, of samples in the data's units, by importance weights."""
        return self._bound(x, self.settings.draws)

    def evidence_bound(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """The ELBO in nats, of samples in the data's units: never above the former, but for chance."""
        return self._bound(x, 1)

    @torch.no_grad()
    def _bound(self, x: Float[Tensor, "n ..."], draws: int) -> Float[Tensor, " n"]:
        """log 1/K Σ w_k, w = p(x|z) p(z) / q(z|x). The ELBO has the KL itself for its mean: less noise."""
        random, found = generator("likelihood", draws), []
        for rows in torch.split(self.data.encode(x), max(1, _AT_ONCE // draws)):
            each, mean, log_variance = (t.repeat_interleave(draws, 0) for t in (rows, *self.encoder(rows)))
            z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=random)
            told = self.decoder.log_prob(each, self.decoder(z))
            if draws == 1:
                found.append(told - divergence(mean, log_variance))
                continue
            weights = told + log_normal(z) - log_normal(z, mean, log_variance)
            found.append(weights.view(-1, draws).logsumexp(1) - math.log(draws))
        return torch.cat(found) - sum(math.log(scale) for scale in self.data.scale)
