"""StarGAN: one generator for all domains, told which one is wanted (Choi et al. 2017).

D judges a sample and names its domain; G makes of x, of domain c, a sample of domain c', and of that x again:

    L_D = -E f(x) + E f(G(x, c')) + λ_gp E (‖∇f(x̂)‖ - 1)² + λ_cls E (-log P(c | x)),  x̂ between both, λ_gp = 10
    L_G = -E f(G(x, c')) + λ_cls E (-log P(c' | G(x, c'))) + λ_rec E |x - G(G(x, c'), c)|,  λ_cls = 1, λ_rec = 10

(equations 1 to 6 and 8). D learns domains from real samples only; |·| is a mean over pixels and channels. c' are the
batch's own domains in another order, as in the authors' code.

- networks/translation.py: a ResNet with six blocks, told the domain as planes beside the picture, with zeros around it:
  where edges are mirrored a plane stays a constant, which the first instance norm takes away; D halves a picture until
  two pixels are left, without norms, with a PatchGAN's and a domain's head;
- Adam 1e-4 with β = (0.5, 0.999), batches of 16, five updates of D for one of G; rates fall to 0 over the second half.

Departures: domains exclude each other, -log P is a cross-entropy over them; the authors' attributes are one number
each. Below 128 px `suited` has small networks for CPU minutes, and G is `masked`: it makes x + m (y - x), y a picture
and m in (0, 1) for each pixel (Pumarola et al. 2018, GANimation, arXiv:1807.09251, equation 1). Instance norms take
away how bright a picture is; without a mask it is lost there and back, and what is to be kept has to be learnt.

Letters: B batch, K domains, C channels, H, W height and width.
"""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor, nn

from ganworks.adversarial import Adversarial
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import error
from ganworks.game import Draw, Further, Round, Rows, Terms
from ganworks.networks import translation
from ganworks.objective import full
from ganworks.random import Streams
from ganworks.schedules import DECAY
from ganworks.settings import Count, GameSettings, ObjectiveSettings, PlayerSettings, TurnSettings, Weight

_LARGE, _MEDIUM = 128, 64
"""From these sides on the paper's networks are the default, and G halves a picture twice."""


class StarGANSettings(GameSettings):
    """Section 4 and appendix 7.2."""

    batch: int = Field(16, ge=1, description="samples of one update")
    classification: Weight = Field(1.0, description="λ_cls, the weight of -log P in both players' losses")
    reconstruction: Weight = Field(10.0, description="λ_rec, the weight of E |x - G(G(x, c'), c)| in G's loss")
    blocks: Count = Field(6, description="residual blocks of G")
    halvings: Count = Field(2, description="times that G halves a picture, and doubles it again")
    masked: bool = Field(False, description="G also says where a picture is to change; elsewhere it is kept")
    objective: ObjectiveSettings = ObjectiveSettings(loss="wasserstein", gradient_penalty=10.0)
    turns: TurnSettings = TurnSettings(discriminator=5)
    generator: PlayerSettings = PlayerSettings(lr=[1e-4, DECAY], betas=(0.5, 0.999), width=64)
    discriminator: PlayerSettings = PlayerSettings(lr=[1e-4, DECAY], betas=(0.5, 0.999), width=64)


class Translator(nn.Module):
    """A network of pictures that is told a domain, as planes of 0 and 1 beside the picture.

    Args:
        network: From C + K channels to C.
        domains: K.
    """

    def __init__(self, network: nn.Module, domains: int) -> None:
        super().__init__()
        self.network, self.domains = network, domains

    def forward(self, x: Float[Tensor, "b c h w"], to: Int64[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        planes = F.one_hot(to, self.domains).to(x)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.network(torch.cat([x, planes], 1))


class Judge(nn.Module):
    """Halves a picture until two pixels are left; a logit for each place, and one for each domain.

    Args:
        shape: Of what is judged at once.
        width: Channels of the first layer; they double.
        domains: K.
    """

    def __init__(self, shape: tuple[int, ...], width: int, domains: int) -> None:
        super().__init__()
        c, h, w = shape
        levels = max(1, min(6, int(math.log2(min(h, w))) - 1))
        widths = [c, *(width * 2**level for level in range(levels))]
        parts: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            parts += [nn.Conv2d(inner, outer, 4, 2, 1), nn.LeakyReLU(0.01)]
        self.body = nn.Sequential(*parts)
        self.head = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.naming = nn.Conv2d(widths[-1], domains, (h >> levels, w >> levels), bias=False)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """What the last layers judge, averaged over places."""
        return self.body(x).mean((2, 3))

    def domains(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the domains."""
        return self.naming(self.body(x)).flatten(1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h2 w2"]:
        return self.head(self.body(x)).squeeze(1)


class StarGAN(Adversarial):
    """The Wasserstein game on translations, and a D that names domains."""

    name = "stargan"
    paper = "Choi et al. 2017, StarGAN: Unified GANs for Multi-Domain Image-to-Image Translation, arXiv:1711.09020"
    accepts = ("domains",)
    gives = "images"
    Settings = StarGANSettings
    settings: StarGANSettings
    conditions: tuple[str, ...] = ("source", "to")
    discriminator: Judge

    def __init__(self, settings: StarGANSettings, data: DataSpec) -> None:
        super().__init__(settings, data)
        if len(data.classes) < 2:
            raise error("E-SET-02", reason="stargan needs pictures of at least two domains", system=self.name)
        channels, domains = data.shape[0], len(data.classes)
        network = translation.ResNet(
            channels + domains,
            channels,
            settings.generator.width,
            settings.blocks,
            mirrored=False,
            halvings=settings.halvings,
            masked=settings.masked,
        )
        judged = (settings.view.pack * channels, *data.shape[1:])
        self.shared_fakes = settings.turns.simultaneous
        self.set_up(Translator(network, domains), Judge(judged, settings.discriminator.width, domains))

    @classmethod
    def suited(cls, data: DataSpec) -> dict[str, Any]:
        """Small networks for CPU minutes below 128 px; docs/systems/stargan.md has the measurements."""
        if max(data.shape[1:]) >= _LARGE:
            return {}
        rate = [1e-3, DECAY]
        return {
            "blocks": 2,
            "halvings": 1 if max(data.shape[1:]) < _MEDIUM else 2,
            "masked": True,
            "turns": {"discriminator": 1},
            "generator": {"width": 16, "lr": rate},
            "discriminator": {"width": 32, "lr": rate},
        }

    def sampler(self, data: Rows) -> Draw:
        """Batches in the usual order; `to` is c', the batch's domains in another order."""
        usual = super().sampler(data)

        def draw(index: int, count: int, random: Streams) -> tuple[Tensor, Further]:
            rows, _ = usual(index, count, random)
            return rows, {"to": data.labels[rows][random.uniform("wanted").argsort()]}

        return draw

    def fake(self, round: Round) -> dict[str, Tensor]:
        """Translations of the real batch."""
        return {"x": self.drawn(round, round.real["x"], round.real["to"])}

    def latents(self, random: Streams) -> tuple[Tensor, ...]:
        """None: G has no noise."""
        return ()

    def discriminator_loss(self, round: Round) -> Terms:
        """D's terms, and how well it names real samples' domains."""
        terms, weight = super().discriminator_loss(round), round.at(self.settings.classification)
        if weight:
            terms |= {"classification": weight * self._missed(round.real["x"], round.real["domain"])}
        return terms

    def generator_loss(self, round: Round) -> Terms:
        """G's terms, whether D names what was wanted, and what is left of x on the way back."""
        x, domain, to = round.real["x"], round.real["domain"], round.real["to"]
        fake = self.drawn(round, x, to)
        terms = self.objective.generator(self.discriminator, {"x": fake}, round, real=lambda: {"x": x})
        if weight := round.at(self.settings.classification):
            terms |= {"classification": weight * self._missed(fake, to)}
        if weight := round.at(self.settings.reconstruction):
            terms |= {"reconstruction": weight * (self.generator(fake, domain) - x).abs().mean()}
        return terms

    def _missed(self, x: Float[Tensor, "b c h w"], domain: Int64[Tensor, " b"]) -> Float[Tensor, ""]:
        """-E log P(c | x), in nats."""
        return F.cross_entropy(full(self.discriminator.domains(x)), domain)

    def given(self, rows: Batch) -> dict[str, Tensor]:
        """The rows, each to be a sample of the domain after its own."""
        return {"source": rows["x"], "to": (rows["domain"] + 1) % len(self.data.classes)}

    def generate(self, count: int, random: Streams, **given: Any) -> Batch:
        """Translations of `source` to the domains `to`, one for each row."""
        return Batch({"x": self.translate(given["source"], given["to"]), "domain": given["to"]})

    def translate(self, x: Float[Tensor, "b c h w"], to: Int64[Tensor, " b"]) -> Float[Tensor, "b c h w"]:
        """Pictures of any domain as pictures of another."""
        return self.generator(x, to)
