"""Systems with a density and without a discriminator, from the command to the scores: one player, or none at all."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganworks import GAN, data
from ganworks.cli.app import main
from ganworks.diagnosis import remedies
from ganworks.diagnosis.rules import Finding, Judge
from ganworks.diagnosis.series import Series
from ganworks.errors import UsageError
from ganworks.explicit import score

FEW = ["--set", "components=2", "rows=200", "starts=1"]


class Even:
    """Every value of [-1, 1] is as likely as any other."""

    likelihood = "exact"

    def log_likelihood(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), -math.log(2.0) * x[0].numel())


class Standard(Even):
    """N(0, I)."""

    def log_likelihood(self, x: Tensor) -> Tensor:
        return -0.5 * (x.square() + math.log(2 * math.pi)).flatten(1).sum(1)


def test_a_density_that_knows_nothing_gives_each_of_256_grey_levels_its_share() -> None:
    """The classic mistake: the density at exact grey levels, which can be as high as one likes, is no likelihood."""
    found = score(Even(), data.open(torch.rand(20, 1, 4, 4) * 2 - 1), 10, trained_on=True)
    assert found.value == pytest.approx(-16 * math.log(255), abs=1e-3)  # [-1, 1] is 255 levels wide
    assert found.real is None


def test_the_interval_is_that_of_a_mean_and_the_floor_that_of_the_density() -> None:
    opened = data.open("bimodal")
    found = score(Standard(), opened, 500, trained_on=True)
    x = opened.fresh(500, 2)["x"].double()
    values = Standard().log_likelihood(x)
    assert found.value == pytest.approx(float(values.mean()))
    assert found.low is not None
    assert found.value - found.low == pytest.approx(1.965 * float(values.std()) / 500**0.5, rel=1e-2)
    assert opened.density is not None
    assert found.real == pytest.approx(float(opened.density.log_prob(x).mean()))
    assert (found.samples, found.reference_samples) == (500, 0)


def test_held_out_rows_are_judged_where_the_model_knows_the_others() -> None:
    opened = data.open({"x": torch.randn(400, 2)})
    assert opened.held_out is not None
    assert score(Standard(), opened, 1000, trained_on=True).samples == len(opened.held_out)
    assert score(Standard(), opened, 1000, trained_on=False).samples == 400


def test_a_system_without_players_is_trained_scored_and_used(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ring", "--system", "mixture", "--steps", "30", "--run", "run", "--json", *FEW]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["step"], said["stopped"], said["verdicts"]) == (0, "steps", [])
    assert [each["metric"] for each in said["scores"]][-1] == "log_likelihood"
    assert sorted(each.name for each in Path("run/checkpoints").iterdir() if each.is_dir()) == ["000000"]
    assert Path("run/samples/000000.png").exists()
    assert main(["sample", "run", "-n", "40", "--out", "some"]) == 0
    assert main(["eval", "run", "--metrics", "log_likelihood", "--samples", "200", "--out", "scores"]) == 0
    assert main(["diagnose", "run", "--out", "page"]) == 0
    assert "there is nothing to diagnose" in capsys.readouterr().out
    assert main(["compare", "run", "run"]) == 0
    assert main(["resume", "run"]) == 2
    assert "mixture is fitted before the first step" in capsys.readouterr().err
    Path("run/scores.json").unlink()  # as if it had been killed before its scores
    assert main(["resume", "run"]) == 0
    assert Path("run/scores.json").exists()


def test_an_autoencoder_starts_from_another_and_a_fit_from_none(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--set", "autoencoder.width=4", "draws=2"]
    assert main(["train", "ring", "--system", "vae", "--steps", "3", "--run", "a", *few]) == 0
    assert main(["train", "ring", "--from", "a", "--steps", "3", "--run", "b"]) == 0
    assert "the weights of decoder and encoder" in capsys.readouterr().err
    assert main(["resume", "b", "--steps", "5"]) == 0
    assert main(["train", "ring", "--from", "a", "--set", "autoencoder.width=5", "--run", "c"]) == 5
    assert "autoencoder.width is 4 there, 5 here" in capsys.readouterr().err
    assert main(["train", "ring", "--system", "mixture", "--run", "d", *FEW]) == 0
    assert main(["train", "ring", "--from", "d", "--run", "e"]) == 2
    assert "takes nothing over" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_dir()) == ["a", "b", "d"]


def test_a_system_without_players_is_planned_without_being_played(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for length in ([], ["--time", "5s"], ["--batch", "auto"]):
        assert main(["train", "ring", "--system", "mixture", "--dry-run", *length, *FEW]) == 0
        assert "0: all is done before them" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_gan_has_no_likelihood() -> None:
    gan = GAN("gan", **{"generator.width": 4, "discriminator.width": 4}).start("ring", steps=3)
    assert "log_likelihood" not in {each.metric for each in gan.score("ring", 100)}
    for asked in (
        lambda: gan.score("ring", 100, metrics=["log_likelihood"]),
        lambda: gan.log_likelihood(torch.zeros(2, 2)),
    ):
        with pytest.raises(UsageError, match="density"):
            asked()


def test_a_model_gives_log_likelihoods_in_nats() -> None:
    gan = GAN("vae", **{"autoencoder.width": 4, "draws": 3}).start("ring", steps=3)
    gan.round()
    assert gan.log_likelihood(torch.randn(5, 2)).shape == (5,)
    found = gan.score("ring", 50)[-1]
    assert (found.metric, found.feature_space) == ("log_likelihood", "nats, bound of 3 draws")


SETTINGS = {"system": "vae", "steps": 1000, "autoencoder": {"lr": 0.0}}


def series(settings: dict, lr: float) -> Series:
    looks = [
        {"step": 50 * look, "autoencoder.lr": lr, "gradient.autoencoder": 1.0, "probe.moved.autoencoder": lr,
         "probe.distance_floor": 0.1, "probe.distance": 0.1, "probe.distance_online": 0.1, "probe.kinds": 0.9,
         "probe.spread": 0.9}
        for look in range(1, 21)
    ]  # fmt: skip
    return Series(list(enumerate(looks, 1)), settings, 1000)


def test_an_autoencoder_that_stands_still_is_found_and_one_that_moves_is_not_accused() -> None:
    (finding,) = Judge(series(SETTINGS, 0.0)).findings()
    assert (finding.name, finding.cause) == ("frozen", "autoencoder.lr")
    assert remedies.changes(finding, series(SETTINGS, 0.0), 2) == {"autoencoder.lr": 1e-3}
    assert list(Judge(series(SETTINGS, 1e-3)).findings()) == []


def test_a_remedy_names_no_setting_that_is_not_there() -> None:
    """`objective.loss` and `view.pack` would be refused: there is no game."""
    told = series({"system": "vae", "autoencoder": {"lr": 1e-3}}, 1e-3)
    found = remedies.changes(Finding("mode_collapse", 100, 5, 5, []), told, 2)
    assert found == {"autoencoder.lr": 1e-4}
