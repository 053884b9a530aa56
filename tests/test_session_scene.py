"""The picture of a training on points: what stands beside what, and that D and the best D look alike where they are."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_runs import asking, at_step, left, records
from torch import Tensor

from ganworks import data, theory
from ganworks.data.spec import Batch
from ganworks.errors import GanworksError
from ganworks.gan import GAN
from ganworks.optimum import best
from ganworks.session import Order, resume, train
from ganworks.session.scene import Scene, shown, told_best
from ganworks.settings import ObjectiveSettings

TINY = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}


def picture(source: Any, system: str = "gan", drawn: Tensor | None = None, **settings: object) -> NDArray[Any]:
    opened = data.open(source)
    gan = GAN(system, **TINY | settings).start(opened, steps=10)
    batch = gan.draw(300) if drawn is None else Batch({"x": drawn})
    return Scene(opened).picture(gan.system, batch)


def frames(sheet: NDArray[Any]) -> int:
    """Frames beside each other: grey lines of the height of a frame."""
    grey = (sheet == 200).all(2).sum(0) > 200
    return int((grey[1:] & ~grey[:-1]).sum() // 2)


@pytest.mark.parametrize(
    ("source", "system", "settings", "count"),
    [
        ("ring", "gan", {}, 3),
        ("swissroll", "wgan_gp", {}, 3),
        ("ring", "gan", {"view.pack": 2}, 2),  # D judges packs: only the best D of points is there
        ("ring", "conditional", {}, 2),
        (np.random.default_rng(0).normal(size=(500, 2)), "gan", {}, 2),  # no density: D alone
        (np.random.default_rng(0).normal(size=(500, 2)), "gan", {"view.pack": 2}, 1),
        (np.random.default_rng(0).normal(size=(500, 3)), "gan", {}, 1),
    ],
)
def test_what_stands_beside_the_samples(source: Any, system: str, settings: dict[str, object], count: int) -> None:
    assert frames(picture(source, system, **settings)) == count


def test_a_line_is_one_frame_of_curves() -> None:
    sheet = picture("bimodal")
    assert sheet.shape == (512, 768, 3)
    for color in ((0, 114, 178), (213, 94, 0), (0, 0, 0)):  # samples, D, the best D
        assert (np.abs(sheet.astype(int) - color).sum(2) < 60).sum() > 100
    unknown = picture(np.random.default_rng(0).normal(size=(500, 1)))
    assert (unknown[60:].max(2) < 30).sum() == 0  # no density, no best D


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 1e30])
@pytest.mark.parametrize("source", ["ring", "bimodal"])
def test_samples_that_are_none_can_be_drawn(value: float, source: str) -> None:
    width = data.open(source).spec.shape[0]
    assert picture(source, drawn=torch.full((50, width), value)).dtype == np.uint8


LOSSES = ("minimax", "non_saturating", "least_squares", "hinge", "relativistic_paired")


@pytest.mark.parametrize("loss", LOSSES)
def test_the_best_discriminator_is_shown_as_the_best_one(loss: str) -> None:
    """One that is right is drawn as the optimum is, and its constant does not matter where the loss leaves it open."""
    made, p, q = ObjectiveSettings(loss=loss), theory.Normal(0.0, 1.0), theory.Normal(1.0, 1.0)
    logit = theory.optimal_logit(p, q)
    x, real, fake = (
        each.double() for each in (torch.linspace(-3, 4, 50), p.sample(4_000)[:, 0], q.sample(4_000)[:, 0])
    )
    said = [best(made, logit(each.double())) for each in (x, real, fake)]
    moved = [each + 3 if loss == "relativistic_paired" else each for each in said if each is not None]
    found = shown(made, *moved)
    assert torch.allclose(found, told_best(made, logit(x.double()))[0], atol=0.03)


def test_critics_are_centred_and_scaled() -> None:
    made = ObjectiveSettings(loss="wasserstein")
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    for scale in (0.1, 7.0):
        found = shown(made, scale * x + 5, scale * torch.ones(4).double() + 5, -scale * torch.ones(4).double() + 5)
        assert found[4].item() == pytest.approx(0.5)
        assert (found[0].item(), found[-1].item()) == (0, 1)


def test_names_tell_the_optimum_from_what_is_none() -> None:
    ratio = torch.zeros(3, dtype=torch.float64)
    assert told_best(ObjectiveSettings(loss="hinge"), ratio)[1] == "the best D: real where p > q"
    assert "0.9 p / (p + q)" in told_best(ObjectiveSettings(real_target=0.9), ratio)[1]
    assert "not this loss's best" in told_best(ObjectiveSettings(loss="wasserstein"), ratio)[1]


# In a run


def test_a_run_records_its_distance_and_a_resume_finds_the_same(tmp_path: Any) -> None:
    order: dict[str, Any] = {"data": "ring", "system": "gan", "steps": 12, "seed": 1}
    order["overrides"] = TINY | {"record.every": 5, "sample.every": 4, "checkpoint.every": 3}
    whole = train(Order(**order, run=tmp_path / "whole"))
    train(Order(**order, run=tmp_path / "cut"), [at_step(5, asking(tmp_path / "cut", "stop"))])
    resume(tmp_path / "cut")
    assert left(tmp_path / "cut") == left(tmp_path / "whole")
    found = {line["step"]: line["optimum.jsd"] for line in records(tmp_path / "whole") if "optimum.jsd" in line}
    assert list(found) == [4, 8, 12]
    assert whole.found["optimum.jsd"] == found[12]


def test_a_density_that_is_given_is_trained_on_and_resumed_with(tmp_path: Any) -> None:
    density = theory.Normal([3.0, -200.0], [1.0, 5.0])
    GAN("gan", **TINY).fit(density, steps=3, run=tmp_path / "run")
    assert "Normal, D = 2" in (tmp_path / "run/log.txt").read_text()
    assert 'data = "normal"' in (tmp_path / "run/config.toml").read_text()
    with pytest.raises(GanworksError, match="E-NAME-02"):
        resume(tmp_path / "run", steps=5)
    assert resume(tmp_path / "run", steps=5, data=density).found["optimum.jsd"] > 0
    with pytest.raises(GanworksError, match="E-DATA-11"):
        resume(tmp_path / "run", steps=7, data=theory.Normal([3.0, -200.0], [1.0, 6.0]))
