"""Unrolled GAN: G looks K updates of D ahead (Metz et al. 2016).

D's next weights are functions of G's: θ_D⁽ᵏ⁺¹⁾ = θ_D⁽ᵏ⁾ + η ∂V/∂θ_D (equation 5), K times. G minimises
V(θ_G, θ_D⁽ᴷ⁾(θ_G)) with the gradient through all K steps, so it feels how D will answer; D itself makes one ordinary
update (equations 7 and 8). V is the value of the original game with both its sides: what D will say of real samples
depends on G too.

On points two layers of tanh units, orthogonal weights with gain 0.8, D sees a quarter of the coordinates, z of 256
(appendix A). K = 5 as in the authors' demonstration; the paper's figure has 10.

Departures: on points layers of 64 instead of 128, batch 128 instead of 512 and Adam 3e-3 decaying to 0 for both
players, half a minute instead of 25,000 steps of 80 ms; pictures have the networks of DCGAN without batch norm in D,
and K = 3; samples come from an average of G's weights.
"""

from collections.abc import Callable
from typing import Any

from pydantic import Field
from torch import nn

from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.networks import convolutional, mlp
from ganworks.networks.pair import Pair, Sizes
from ganworks.objective import Critic, Objective
from ganworks.round import Round, Terms
from ganworks.settings import GameSettings, LatentSettings, ObjectiveSettings, TurnSettings
from ganworks.views import Inputs


class UnrolledSettings(GameSettings):
    """Section 3 and appendix A."""

    batch: int = Field(64, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=256)
    objective: ObjectiveSettings = ObjectiveSettings(loss="minimax")
    turns: TurnSettings = TurnSettings(unroll=3)


class ZeroSum(Objective):
    """G minimises what D maximises, all of it: looking ahead, D's answer to real samples depends on G."""

    def generator(self, critic: Critic, fake: Inputs, round: Round, real: Callable[[], Inputs] | None = None) -> Terms:
        """G's terms; a loss that is not zero-sum is played as it is."""
        if self.loss.name != "minimax" or real is None:
            return super().generator(critic, fake, round, real)
        fake, given = self.view.pack(fake), self.view.pack(real())
        see_real, see_fake = self.view.fixed(round, "real"), self.view.fixed(round, "fake")
        (real_logits,), (fake_logits,) = self._judge(critic, [see_real(given)], [see_fake(fake)])
        return {"adversarial": -self.loss.discriminator(real_logits, fake_logits)}


class Unrolled(Adversarial):
    """The original game, with a generator that thinks ahead."""

    name = "unrolled"
    paper = "Metz et al. 2016, Unrolled Generative Adversarial Networks, arXiv:1611.02163"
    accepts = ("points", "images")
    gives = "images"
    Settings = UnrolledSettings

    def __init__(self, settings: UnrolledSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        make = for_points if data.kind == "points" else convolutional.pair
        self.set_up(*make(self.sizes()), objective=ZeroSum)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """The ring's networks and look-ahead for points."""
        if data.kind != "points":
            return {}
        player = {"lr": {"from": 3e-3, "to": 0.0}}
        return {"batch": 128, "turns": {"unroll": 5}, "generator": player, "discriminator": player}


def for_points(sizes: Sizes) -> Pair:
    """The ring's networks (appendix A)."""
    generator = mlp.Generator(sizes.latent, sizes.generator, 2, sizes.sample, nn.Tanh, nn.Identity())
    discriminator = mlp.Discriminator(sizes.judged, sizes.discriminator, 2, nn.Tanh, scale=0.25)
    for network in (generator, discriminator):
        mlp.orthogonal(network, 0.8)
    return generator, discriminator
