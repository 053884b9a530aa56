"""WGAN: the Wasserstein game with clipped weights (Arjovsky, Chintala and Bottou 2017).

The critic minimises E f(G) - E f(x), G minimises -E f(G). A critic whose weights lie in [-c, c] is K-Lipschitz for some
unknown K, so its loss estimates K times the Wasserstein-1 distance. Clipping is "clearly a terrible way" to have that
(section 3), and it shows: see `wgan_gp`.

RMSprop 5e-5, c = 0.01, batch 64, five critic updates a round (algorithm 1); 100 of them in each of the first 25 rounds
and in every 500th, as in the authors' code. No momentum: the critic's loss is not stationary.

Departures: no batch norm in the critic, whose scale would be clipped too; weights are clipped after each critic update
and once at the start, which is the code's order; on points c = 0.1 and RMSprop 5e-4, for with c = 0.01 three layers of
64 units are flat; samples come from an average of G's weights.
"""

from typing import Any

from pydantic import Field

from ganworks import penalties
from ganworks.adversarial import Adversarial
from ganworks.data.spec import DataSpec
from ganworks.game import Phase, Round, Turn
from ganworks.networks import convolutional, mlp
from ganworks.settings import GameSettings, LatentSettings, ObjectiveSettings, PlayerSettings, TurnSettings

_FIRST, _OFTEN = 25, 500
"""Rounds that are eager: so many at the start, and one in so many later on."""


class Turns(TurnSettings):
    """Who moves, and how often."""

    discriminator: int = Field(5, ge=1, description="updates of D in a round")
    eager: int = Field(100, ge=0, description="at least so many in each of the first 25 rounds and in every 500th")


class WGANSettings(GameSettings):
    """Algorithm 1."""

    batch: int = Field(64, ge=1, description="samples of one update")
    latent: LatentSettings = LatentSettings(size=100)
    objective: ObjectiveSettings = ObjectiveSettings(loss="wasserstein", clip=0.01)
    turns: Turns = Turns()
    generator: PlayerSettings = PlayerSettings(optimizer="rmsprop", lr=5e-5, betas=(0.0, 0.99))
    discriminator: PlayerSettings = PlayerSettings(optimizer="rmsprop", lr=5e-5, betas=(0.0, 0.99))


class WGAN(Adversarial):
    """A critic with clipped weights, trained until its slope is worth following."""

    name = "wgan"
    paper = "Arjovsky, Chintala and Bottou 2017, Wasserstein GAN, arXiv:1701.07875"
    accepts = ("points", "images")
    gives = "images"
    Settings = WGANSettings
    shared_fakes = False

    def __init__(self, settings: WGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        make = mlp.pair if data.kind == "points" else convolutional.pair
        generator, discriminator = make(self.sizes())
        if settings.objective.clip:
            penalties.clip_weights(discriminator, settings.objective.clip)
        self.set_up(generator, discriminator)

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """A wider bound and faster steps for points."""
        if data.kind != "points":
            return {}
        player = {"lr": 5e-4}
        clip = {"clip": 0.1}
        return {
            "batch": 128,
            "latent": {"size": 16},
            "objective": clip,
            "generator": player,
            "discriminator": player,
        }

    def phases(self) -> tuple[Phase, ...]:
        """The critic's turn is longer where it must first become worth following."""
        (game,) = super().phases()
        critic, *rest = game.turns
        if self.settings.turns.simultaneous:
            return (game,)
        return (Phase(game.name, (Turn(critic.player, self.critic_updates), *rest)),)

    def critic_updates(self, round: Round) -> int:
        """How many in this round."""
        turns = self.settings.turns
        assert isinstance(turns, Turns)
        eager = round.step < _FIRST or round.step % _OFTEN == 0
        return max(turns.eager, turns.discriminator) if eager else turns.discriminator
