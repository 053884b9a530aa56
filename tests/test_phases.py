"""Phases: boundaries, a fresh optimizer, what `begin` and `after` write."""

import pytest
import torch
from house import STEPS, differing, engine, played
from torch import nn

from ganworks import systems
from ganworks.data.spec import Batch
from ganworks.game import Phase, Player, System, Turn


class TwoPhases(System):
    """A pretraining of G on its own, then the game: phases, a fresh optimizer, a buffer that `after` writes."""

    name, paper, accepts, gives = "two_phases", "none", ("points",), "points"
    Settings = systems.get("gan").Settings

    def __init__(self, settings, data):
        super().__init__(settings, data)
        self.generator, self.discriminator = nn.Linear(4, 2), nn.Linear(2, 1)
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("level", torch.zeros(()))

    def players(self):
        return (
            Player("generator", ("generator",), self.generator_loss, self.settings.generator, self.remember),
            Player("discriminator", ("discriminator",), self.discriminator_loss, self.settings.discriminator),
        )

    def phases(self):
        both = (Turn("discriminator"), Turn("generator"))
        return (
            Phase("content", (Turn("generator"),), share=0.4),
            Phase("game", both, fresh=("generator",)),
        )

    def begin(self, round):
        self.level.fill_(round.phase_progress)

    def fake(self, round):
        return self.generator(round.random.normal("z", 4)) * (1 + self.level)

    def generator_loss(self, round):
        fake = self.fake(round)
        round.notes["mean"] = fake.detach().mean(0)
        if round.phase == "content":
            return {"content": (fake - round.real["x"] - self.mean).square().mean()}
        return {"adversarial": -self.discriminator(fake).mean(), "mean": (fake - self.mean).square().mean()}

    def remember(self, round):
        self.mean.lerp_(round.notes["mean"], 0.5)

    def discriminator_loss(self, round):
        real, fake = self.discriminator(round.real["x"]), self.discriminator(round.hold(self.fake(round)))
        return {"adversarial": fake.mean() - real.mean()}

    def generate(self, count, random, **given):
        return Batch({"x": self.generator(random.normal("z", 4)) * (1 + self.level)})


@pytest.fixture
def two_phases(monkeypatch):
    known = systems.get
    monkeypatch.setattr(systems, "get", lambda name: TwoPhases if name == "two_phases" else known(name))


@pytest.mark.parametrize("cut", range(1, STEPS))
def test_phases_resume_at_their_boundaries_too(two_phases, cut):
    assert differing(played("two_phases", "points"), played("two_phases", "points", cut)) == []


@pytest.mark.parametrize("lost", ["system/mean", "optimizer/generator/generator.weight.exp_avg", "counter/reads"])
def test_phases_need_what_they_save(two_phases, lost):
    changed = played("two_phases", "points", 5, lambda state: state[lost].zero_())
    assert differing(played("two_phases", "points"), changed)


def test_a_fresh_optimizer_starts_at_its_phase(two_phases):
    playing = engine("two_phases", "points")
    counts = []
    for _ in range(STEPS):
        playing.round()
        counts.append(int(playing.state()["optimizer/generator/step"]))
    assert counts == [1, 2, 3, 1, 2, 3, 4]
