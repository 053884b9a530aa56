"""How well translations are what was asked for: a judge that no GAN has seen, and what it says of held-out pictures."""

import itertools
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from ganworks.data import DataSet
from ganworks.data.pictures import grid, write_png
from ganworks.gan import GAN

from . import translations
from .protocol import CACHE, whole_grey
from .record import Arm

SHOWN = 32
"""Held-out pictures of a saved grid."""
Labels = Int64[Tensor, " n"]
Pictures = Float[Tensor, "n c h w"]
Translate = Callable[[Pictures, Labels], Pictures]


class Judge(nn.Module):
    """Colour pictures of 32 px in [-1, 1] to the logits of several questions, side by side.

    Args:
        answers: Of each question.
    """

    def __init__(self, *answers: int) -> None:
        super().__init__()
        widths = (3, 24, 48, 64)
        blocks = [
            nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
            for i, o in itertools.pairwise(widths)
        ]
        self.layers = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 16, sum(answers)))
        self.answers = answers

    def forward(self, pictures: Float[Tensor, "b 3 32 32"]) -> list[Tensor]:
        return list(self.layers(pictures).split(self.answers, 1))

    @torch.no_grad()
    def named(self, pictures: Pictures) -> Int64[Tensor, "n q"]:
        """The answer to each question."""
        parts = [torch.stack([each.argmax(1) for each in self(part)], 1) for part in torch.split(pictures, 500)]
        return torch.cat(parts)


def trained(answers: tuple[int, ...], pictures: Pictures, labels: Int64[Tensor, "n q"], steps: int) -> Judge:
    """A judge, trained on real pictures moved by up to 2 px; the learning rate rises for a tenth and falls to zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judge = Judge(*answers)
        optimizer = torch.optim.Adam(judge.parameters(), fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps + 1, pct_start=0.1)
        for _ in range(steps):
            rows = torch.randint(len(pictures), (64,))
            x, y = torch.randint(5, (2,)).tolist()
            moved = functional.pad(pictures[rows], (2, 2, 2, 2), "replicate")[:, :, y : y + 32, x : x + 32]
            terms = [functional.cross_entropy(each, labels[rows, i]) for i, each in enumerate(judge(moved))]
            optimizer.zero_grad()
            torch.autograd.backward(torch.stack(terms).sum())
            optimizer.step()
            schedule.step()
    return judge.eval()


def others(domain: Labels, domains: int) -> tuple[Labels, Labels]:
    """Each row with each domain but its own: numbers of rows, and what is asked of them."""
    rows = torch.arange(len(domain)).repeat_interleave(domains - 1)
    return rows, (domain[rows] + 1 + torch.arange(len(rows)) % (domains - 1)) % domains


def translation(gan: GAN) -> Translate:
    """What a GAN makes of pictures, as they are once saved with 8 bits."""

    def translate(pictures: Pictures, to: Labels) -> Pictures:
        made = torch.empty_like(pictures)
        for domain in to.unique().tolist():
            rows = to == domain
            made[rows] = gan.translate(pictures[rows], domain)
        return whole_grey(made)

    return translate


def copied(pictures: Pictures, to: Labels) -> Pictures:
    """The pictures themselves."""
    return pictures


class Asked:
    """Held-out pictures and what is asked of them.

    Args:
        held_out: Pictures with their domains.
        judge: Its first question is the domain.
    """

    def __init__(self, held_out: DataSet, judge: Judge) -> None:
        rows = held_out.rows(torch.arange(len(held_out)))
        self.pictures, self.domain, self.judge = rows["x"], rows["domain"], judge
        self.domains = len(held_out.spec.classes)
        self.rows, self.to = others(self.domain, self.domains)
        self.chance = 1 / (self.domains - 1)
        """Of a G that does not hear what is asked, at most."""

    def score(self, translate: Translate) -> Arm:
        """How often the judge sees what was asked, and what is left there and back."""
        source = self.pictures[self.rows]
        made = translate(source, self.to)
        back = translate(made, self.domain[self.rows])
        right = self.judge.named(made)[:, 0] == self.to
        each = [round(share(right[self.to == to]), 3) for to in range(self.domains)]
        scores = {"translations": len(made), "asked": share(right), "asked_of_each": each}
        return scores | self.kept(made) | {"there_and_back_l1": (back - source).abs().mean().item()}

    def kept(self, made: Pictures) -> Arm:
        """What else is known of translations: nothing."""
        return {}

    def show(self, name: str, translate: Translate) -> None:
        """Keep a picture: a line for each of some sources, with its translation to each domain on its right."""
        some = self.pictures[:: max(1, len(self.pictures) // SHOWN)][:SHOWN]
        to = [torch.full((len(some),), domain) for domain in range(self.domains)]
        lines = torch.stack([some, *(translate(some, each) for each in to)], 1)
        CACHE.mkdir(exist_ok=True)
        write_png(CACHE / f"{name}.png", grid(lines.flatten(0, 1), self.domains + 1))


def share(true: Tensor) -> float:
    """Of the rows where something holds."""
    return true.double().mean().item()


def played(name: str, data: DataSet, asked: Asked, steps: int, seed: int, **settings: float) -> Arm:
    """Train once, and judge the translations."""
    gan, facts = translations.trained("stargan", data, steps, seed, **settings)
    translate = translation(gan)
    asked.show(name, translate)
    return facts | asked.score(translate)


def real(judge: Judge, pictures: Pictures, labels: Int64[Tensor, "n q"]) -> Arm:
    """Share of right answers to each question about real pictures."""
    right = (judge.named(pictures) == labels).double().mean(0)
    return {"pictures": len(pictures), "accuracy": [round(each, 4) for each in right.tolist()]}
