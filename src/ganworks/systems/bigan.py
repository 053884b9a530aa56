"""BiGAN, or ALI: an encoder beside G, and a D that judges pairs (Donahue et al. 2016; Dumoulin et al. 2016).

D tells (x, E(x)), x a real sample, from (G(z), z). G and E are one player, whose loss is D's with the labels exchanged:

    L_D    = E sp(-f(x, E(x))) + E sp(f(G(z), z))
    L_G,E  = E sp(f(x, E(x))) + E sp(-f(G(z), z))          sp(t) = log(1 + e^t)

At the optimum both kinds of pairs have one law: E(x) is distributed as z, and G and E undo each other (Donahue et al.,
theorem 2), although no loss compares x with G(E(x)). Both sides carry gradient to this player: E's is not cut.

Batches of 128, 50 numbers uniform in z and Adam 2e-4 with β₁ = 0.5 are those of Donahue et al. for permuted digits
(section 4.1). E is deterministic as theirs, or `gaussian` as that of Dumoulin et al. (arXiv:1606.00704, section 2),
where z = μ(x) + σ(x) ε.

Departures: networks/compact.py without batch norm instead of layers of 1,024 units, AlexNet or maxout. R1 and R2 take
D's slope in x and z together: E moves its z as G its x, and a D that is steep in either is chased by one of them. On
points E may see Fourier features (Tancik et al. 2020): it has to spread a narrow mode over a part of N(0, I), and a
plain E is too flat for that. Samples and codes come from an average of G's and E's weights. `suited` has the loss, the
penalties and the rates of r3gan, for CPU minutes.

Letters: B batch, Z latent, D coordinates, F features, M samples in a pack.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ganworks import losses
from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.game import Player, Round, Terms, latent
from ganworks.networks import compact, mlp
from ganworks.networks.pair import Featured, Headless
from ganworks.objective import Critic, Objective, full
from ganworks.random import Streams
from ganworks.settings import GameSettings, LatentSettings, PlayerSettings, merge
from ganworks.systems.r3gan import R3GAN
from ganworks.views import Inputs

_WAVES = 64
"""Frequencies by which E sees points."""
_OF_R3GAN = {"batch", "objective", "average", "generator", "discriminator"}
"""Its settings that are taken for CPU minutes."""


class BiGANSettings(GameSettings):
    """Those of Donahue et al. for permuted digits. The encoder has the generator's width and optimizer."""

    batch: int = Field(128, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=50, prior="uniform")
    frequency: float = Field(20.0, gt=0, description="on points: deviation of the frequencies that E sees them by")
    encoder: Literal["deterministic", "gaussian"] = Field(
        "deterministic", description="E gives z, or the mean and deviation of a normal z"
    )
    generator: PlayerSettings = PlayerSettings(lr=2e-4)
    discriminator: PlayerSettings = PlayerSettings(lr=2e-4)


class Discriminator(nn.Module):
    """From samples (B, *shape) and latents (B, Z) to logits (B,): what is seen of x, beside z, goes through layers.

    Args:
        look: From x to (B, F).
        seen: F.
        latent: Z.
        sizes: Units of the layers that see both.
    """

    def __init__(self, look: nn.Module, seen: int, latent: int, sizes: list[int]) -> None:
        super().__init__()
        self.look = look
        self.body = mlp.layers([seen + latent, *sizes], mlp.leaky)
        self.head = nn.Linear(sizes[-1], 1)

    def features(self, x: Float[Tensor, "b ..."], z: Float[Tensor, "b z"]) -> Float[Tensor, "b f"]:
        """What the last layer judges."""
        return self.body(torch.cat([self.look(x), z], 1))

    def forward(self, x: Float[Tensor, "b ..."], z: Float[Tensor, "b z"]) -> Float[Tensor, " b"]:
        return self.head(self.features(x, z)).squeeze(1)


class Waves(nn.Module):
    """Points (B, D) as sin and cos of F/2 random projections: what is close together in x is far apart in these.

    Source: Tancik et al. 2020, arXiv:2006.10739, section 3.
    """

    directions: Tensor

    def __init__(self, dimensions: int, features: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("directions", scale * torch.randn(dimensions, features // 2))

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b f"]:
        phases = x @ self.directions
        return torch.cat([phases.sin(), phases.cos()], 1)


class Pairs(Objective):
    """The objective of pairs: G and E make one side each, so their loss has both."""

    sloped = ("x", "z")

    def generator(self, critic: Critic, fake: Inputs, round: Round, real: Callable[[], Inputs] | None = None) -> Terms:
        """The terms of G and E: what the loss has for G, on both sides."""
        assert real is not None
        seen = (
            self.view.fixed(round, "real")(self.view.pack(real())),
            self.view.fixed(round, "fake")(self.view.pack(fake)),
        )
        (real_logits,), (fake_logits,) = self._judge(critic, seen[:1], seen[1:])
        if self.loss.relativistic:
            terms = {"adversarial": self.loss.generator(fake_logits, real_logits)}
        else:
            # Real is to be taken for fake: the same loss of the logit on the other side of the middle.
            mirrored = 2 * (self.loss.middle or 0.0) - real_logits
            terms = {"adversarial": self.loss.generator(fake_logits) + self.loss.generator(mirrored)}
        return terms | self._matched(critic, seen, round)

    def _matched(self, critic: Critic, seen: tuple[Inputs, Inputs], round: Round) -> Terms:
        weight = round.at(self.settings.feature_matching)
        if not weight:
            return {}
        assert isinstance(critic, Featured)
        features = [full(critic.features(**inputs)) for inputs in seen]
        return {"feature_matching": weight * losses.feature_matching(*features)}


class BiGAN(Adversarial):
    """A generator and an encoder that undo each other, because D cannot tell whose pair it sees."""

    name = "bigan"
    paper = "Donahue et al. 2016, Adversarial Feature Learning, arXiv:1605.09782"
    accepts = ("points", "images")
    gives = "images"
    Settings = BiGANSettings
    settings: BiGANSettings
    averaged = ("generator", "encoder")

    def __init__(self, settings: BiGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        sizes, z = self.sizes(), settings.latent.size
        told = z * (2 if settings.encoder == "gaussian" else 1)
        judged = settings.view.pack * z
        if data.kind == "points":
            generator: nn.Module = mlp.pair(sizes)[0]
            discriminator = Discriminator(nn.Identity(), sizes.judged[0], judged, [sizes.discriminator] * 3)
            waves = Waves(data.shape[0], 2 * _WAVES, settings.frequency)
            self.encoder: nn.Module = nn.Sequential(
                waves, mlp.layers([2 * _WAVES, *[sizes.generator] * 3], mlp.leaky), nn.Linear(sizes.generator, told)
            )
            for network in (generator, self.encoder, discriminator):
                mlp.he(network)
            mlp.he(discriminator.head, 0.5)
        else:
            generator = compact.Generator(z, sizes.generator, data.shape)
            look = Headless(compact.Discriminator(sizes.discriminator, sizes.judged))
            mine = Headless(compact.Discriminator(sizes.generator, data.shape))
            discriminator = Discriminator(look, look.count, judged, [look.count] * 2)
            self.encoder = nn.Sequential(mine, nn.Linear(mine.count, told))
        self.set_up(generator, discriminator, objective=Pairs)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """What r3gan wants for the same data, in turns; on points as many numbers in z as in x."""
        player = R3GAN.Settings().model_dump(by_alias=True, include=_OF_R3GAN)
        size = data.shape[0] if data.kind == "points" else 64
        return merge(player, R3GAN.suited(data)) | {"latent": {"size": size, "prior": "normal"}}

    def row(self) -> dict[str, Tensor]:
        """One row of D's inputs: a sample and its latent."""
        return {**super().row(), "z": torch.empty(self.settings.latent.size)}

    def players(self) -> tuple[Player, ...]:
        """G and E are one player."""
        discriminator, generator = super().players()
        return discriminator, Player("generator", ("generator", "encoder"), generator.loss, generator.optimizer)

    def real(self, round: Round) -> dict[str, Tensor]:
        """(x, E(x))."""
        x = round.real["x"]
        return {"x": x, "z": full(self.encoded(x, round.random))}

    def fake(self, round: Round) -> dict[str, Tensor]:
        """(G(z), z)."""
        z = round.once("z", lambda: latent(self.settings.latent, round.random))
        return {"x": round.once("fake", lambda: full(self.generator(z)), uses=("generator",)), "z": z}

    def encoded(self, x: Float[Tensor, "b ..."], random: Streams | None = None) -> Float[Tensor, "b z"]:
        """E(x); a Gaussian encoder gives a draw, or without `random` its mean."""
        told = self.encoder(x)
        if self.settings.encoder == "deterministic":
            return told
        mean, log_std = told.chunk(2, 1)
        if random is None:
            return mean
        return mean + log_std.exp() * random.normal("encoder", self.settings.latent.size).to(mean)

    def discriminator_loss(self, round: Round) -> Terms:
        """D's terms, with G and E held constant."""
        real, fake = (
            {name: round.hold(values) for name, values in side.items()} for side in (self.real(round), self.fake(round))
        )
        return self.objective.discriminator(self.discriminator, real, fake, round)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b z"]:
        """The latents of samples in the data's units; a Gaussian encoder gives the means."""
        return self.encoded(self.data.encode(x))

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b ..."]:
        """The samples of latents, in the data's units."""
        return self.data.decode(self.generator(z))
