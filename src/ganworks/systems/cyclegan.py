"""CycleGAN: two domains without pairs, and a translation that can be taken back (Zhu et al. 2017).

G makes b's of a's, F makes a's of b's; D_B judges b's and G(a), D_A judges a's and F(b). Both games are of least
squares (section 4), and what was translated there and back is to be what it was (equations 2 and 3):

    L_D = ½ E (f_B(b) - 1)² + ½ E f_B(G(a))²  and the same of f_A, F(b)
    L_G,F = ½ E (f_B(G(a)) - 1)² + ½ E (f_A(F(b)) - 1)²
            + λ (E |F(G(a)) - a| + E |G(F(b)) - b|) + λ_id (E |G(b) - b| + E |F(a) - a|),  λ = 10, λ_id = 5

|·| is a mean over pixels and channels. The identity term is for pictures whose colours are to stay (section 5.2); it
needs domains of one shape. Both D see old translations half of the time, of the last 50 that were made (section 4,
Shrivastava et al. 2017): `view.replay`; a pool for each, kept without graphs, in D's turn only.

- networks/translation.py: a ResNet with six blocks (nine from 256 px on), mirrored edges, and PatchGANs; on points
  fully connected ones; Adam 2e-4 with β = (0.5, 0.999), one picture of each a batch; both G's are one player, both D's
  another;
- the learning rate falls to 0 over the second half.

Departures: the ½ of least squares stands in both players' losses, where the code halves D's; Adam does not notice.
Below 128 px `suited` has small networks for CPU minutes.

Letters: B batch, D coordinates, C channels, H, W height and width.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from ganworks.data.order import Order
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Draw, Further, Player, Round, Rows, System, Terms
from ganworks.networks import mlp, translation
from ganworks.objective import Objective, full
from ganworks.random import Streams
from ganworks.schedules import DECAY
from ganworks.settings import Count, GameSettings, ObjectiveSettings, PlayerSettings, ViewSettings, Weight

_LARGE, _FULL = 128, 256
"""From these sides on the paper's networks are the default, with six blocks and with nine."""


class CycleGANSettings(GameSettings):
    """Section 4 and appendix 7.1."""

    batch: int = Field(1, ge=1, description="samples of each domain in one update")
    cycle: Weight = Field(10.0, description="λ, the weight of E |F(G(a)) - a| and its twin")
    identity: Weight = Field(5.0, description="weight of E |G(b) - b| and its twin; needs domains of one shape")
    blocks: Count = Field(9, description="residual blocks of a translator of pictures")
    objective: ObjectiveSettings = ObjectiveSettings(loss="least_squares")
    view: ViewSettings = ViewSettings(replay=50)
    generator: PlayerSettings = PlayerSettings(lr=[2e-4, DECAY], betas=(0.5, 0.999), width=64)
    discriminator: PlayerSettings = PlayerSettings(lr=[2e-4, DECAY], betas=(0.5, 0.999), width=64)


class CycleGAN(System):
    """Two games, one for each direction, tied by the way back."""

    name = "cyclegan"
    paper = (
        "Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, "
        "arXiv:1703.10593"
    )
    accepts = ("domains",)
    gives = "images"
    averaged = ("generator",)
    Settings = CycleGANSettings
    settings: CycleGANSettings
    conditions: tuple[str, ...] = ("source", "to")
    generator: nn.ModuleList
    discriminator: nn.ModuleList
    objectives: nn.ModuleList

    def __init__(self, settings: CycleGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if len(data.classes) != 2:
            reason = f"cyclegan is for two domains, and these are {len(data.classes)}: see stargan"
            raise error("E-SET-02", reason=reason, system=self.name)
        row = {"x": torch.empty(data.shape)}
        self.generator = nn.ModuleList(self._translator() for _ in range(2))
        """Number i makes samples of domain i of those of the other one."""
        self.discriminator = nn.ModuleList(self._judge() for _ in range(2))
        self.objectives = nn.ModuleList(
            Objective(settings.objective, settings.view, joint=True, row=row) for _ in range(2)
        )

    def _translator(self) -> nn.Module:
        width, shape = self.settings.generator.width, self.data.shape
        if len(shape) == 1:
            return translation.Moved(mlp.Generator(shape[0], width, 3, shape, nn.ReLU, nn.Identity()))
        return translation.ResNet(shape[0], shape[0], width, self.settings.blocks, mirrored=True)

    def _judge(self) -> nn.Module:
        width, shape, pack = self.settings.discriminator.width, self.data.shape, self.settings.view.pack
        if len(shape) == 1:
            return mlp.Discriminator((pack * shape[0],), width, 3)
        return translation.Patches(pack * shape[0], width, translation.patch_layers(min(shape[1:])))

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Fewer blocks below 256 px; small networks for CPU minutes below 128 px, and for points.

        Points begin where they are, at a cycle without loss: the paper's weight keeps them there.
        """
        if len(data.shape) == 1:
            player = {"width": 64, "lr": [1e-3, DECAY]}
            return {"batch": 128, "cycle": 0.1, "identity": 0.0, "generator": player, "discriminator": player}
        side = max(data.shape[1:])
        if side >= _FULL:
            return {}
        if side >= _LARGE:
            return {"blocks": 6}
        rate = [2e-3, DECAY]
        players = {"generator": {"width": 16, "lr": rate}, "discriminator": {"width": 24, "lr": rate}}
        return {"batch": 4, "blocks": 3, **players}

    def sampler(self, data: Rows) -> Draw:
        """Rows of the first domain as the batch, of the second one as `other`: each in an order of its own."""
        rows = [(data.labels == each).nonzero()[:, 0] for each in range(2)]
        orders: dict[tuple[int, int], Order] = {}

        def draw(index: int, count: int, random: Streams) -> tuple[Tensor, Further]:
            found = []
            for each, of in enumerate(rows):
                if (count, each) not in orders:
                    orders[count, each] = Order(len(of), count, random.seed + each)
                found.append(of[orders[count, each].rows(index)])
            return found[0], {"other": lambda: self.data.encode(data.rows(found[1])["x"])}

        return draw

    def players(self) -> tuple[Player, ...]:
        """Both D's as one, both G's as one; D moves first."""
        settings = self.settings
        return (
            Player("discriminator", ("discriminator",), self.discriminator_loss, settings.discriminator, self.judged),
            Player("generator", ("generator",), self.generator_loss, settings.generator),
        )

    def pair(self, round: Round) -> tuple[Tensor, Tensor]:
        """Samples of both domains."""
        return round.real["x"], round.real["other"]

    def translated(self, round: Round) -> tuple[Tensor, Tensor]:
        """F(b) and G(a): samples of both domains, made of those of the other one."""
        a, b = self.pair(round)

        def make() -> tuple[Tensor, Tensor]:
            return full(self.generator[0](b)), full(self.generator[1](a))

        return round.once("fake", make, uses=("generator",)) if self.settings.turns.simultaneous else make()

    def _games(self, round: Round) -> Iterator[tuple[Objective, nn.Module]]:
        """Each domain's objective and D. What they note of a round is kept apart."""
        for domain, (objective, judge) in enumerate(zip(self.objectives, self.discriminator, strict=True)):
            assert isinstance(objective, Objective)
            with round.apart(f"domain {domain}"):
                yield objective, judge

    def discriminator_loss(self, round: Round) -> Terms:
        """Both D's terms, with the G's held constant, and their sums."""
        real, fake = self.pair(round), [round.hold(each) for each in self.translated(round)]
        return summed(
            objective.discriminator(judge, {"x": real[domain]}, {"x": fake[domain]}, round)
            for domain, (objective, judge) in enumerate(self._games(round))
        )

    def generator_loss(self, round: Round) -> Terms:
        """Both G's terms, and what ties them: the way back, and that what is there already stays."""
        real, fake = self.pair(round), self.translated(round)

        def of(domain: int) -> Callable[[], dict[str, Tensor]]:
            return lambda: {"x": real[domain]}

        terms = summed(
            objective.generator(judge, {"x": fake[domain]}, round, real=of(domain))
            for domain, (objective, judge) in enumerate(self._games(round))
        )
        if weight := round.at(self.settings.cycle):
            back = self.generator[0](fake[1]), self.generator[1](fake[0])
            terms |= {"cycle": weight * _distance(back, real)}
        if weight := round.at(self.settings.identity):
            same = self.generator[0](real[0]), self.generator[1](real[1])
            terms |= {"identity": weight * _distance(same, real)}
        return terms

    def judged(self, round: Round) -> None:
        """After the D's update."""
        for objective, judge in self._games(round):
            objective.after(round, judge)

    def given(self, rows: Batch) -> dict[str, Tensor]:
        """The rows, to be samples of the other domain."""
        return {"source": self.data.encode(rows["x"]), "to": 1 - rows["domain"]}

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Translations of `source` to the domains `to`, one for each row."""
        return Batch({"x": self.translate(given["source"], given["to"]), "domain": given["to"]})

    def translate(self, x: Float[Tensor, "b ..."], to: Int64[Tensor, " b"]) -> Float[Tensor, "b ..."]:
        """Samples of the other domain as samples of this one."""
        made = [network(x) for network in self.generator]
        return torch.where((to == 1).reshape(-1, *(1,) * (x.dim() - 1)), made[1], made[0])


def _distance(made: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """The sum of both domains' mean absolute differences."""
    return torch.stack([(one - other).abs().mean() for one, other in zip(made, wanted, strict=True)]).sum()


def summed(games: Iterable[Terms]) -> Terms:
    """Sums of terms over games."""
    found = list(games)
    return {name: torch.stack([terms[name] for terms in found]).sum() for name in found[0]}
