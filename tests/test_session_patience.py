"""When to stop: what counts as better, what is kept, and that a kill changes neither."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import at_step, left, records, start

from ganworks import GAN, history
from ganworks.errors import UsageError
from ganworks.history import Look
from ganworks.metrics.interval import interval
from ganworks.optimum import Distance
from ganworks.session import Order, Result, Session, patience, resume, train
from ganworks.session.forecast import forecast
from ganworks.session.patience import standing
from ganworks.settings import RunSettings
from ganworks.training import disk

LOOKS = {"sample_every": 2, "checkpoint_every": 5}


def written(run: Path, *values: float, half: float = 1.0) -> Path:
    """A run's records with these values, each with an interval of so much on both sides."""
    run.mkdir()
    lines = [
        {"step": 10 * n, "score.jsd": value, "score.jsd.low": value - half, "score.jsd.high": value + half}
        for n, value in enumerate(values, 1)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [{"step": 1}, *lines]))
    return run


def scripted(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Let looks at steps 2, 4, ... see these values instead of what they see."""
    found = {2 * n: value for n, value in enumerate(values, 1)}

    def look(self: patience.Watch, step: int) -> dict[str, float]:
        return {"score.jsd": found[step], "score.jsd.low": found[step] - 1, "score.jsd.high": found[step] + 1}

    monkeypatch.setattr(patience.Watch, "__call__", look)


# What counts as better


@pytest.mark.parametrize(
    ("values", "best", "waited"),
    [
        ([9], 10, 0),
        ([9, 8.5, 8.1], 10, 2),
        ([9, 7.9], 20, 0),
        ([9, 8.5, 7.5, 9, 9], 30, 2),
        ([9, 8.4, 7.8, 7.2], 30, 1),
        ([5, 50, 5, 4.5], 10, 3),
    ],
)
def test_only_what_exceeds_the_interval_is_better(values: list[float], best: int, waited: int, tmp_path: Path) -> None:
    """Small steps add up: each is compared with the best one and not with the one before."""
    now = standing(written(tmp_path / "run", *values))
    assert now is not None
    assert (now.best.step, now.waited, now.last.step) == (best, waited, 10 * len(values))


def test_looks_are_read_from_whole_records_only(tmp_path: Path) -> None:
    run = written(tmp_path / "run", 3.0)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(
            '{"step": 20, "score.jsd": 2.0}\n{"step": 30, "score.jsd": true}\nnonsense "score.jsd"\n{"step": 40, "sco'
        )
    assert history.looks(run) == [Look(10, "jsd", 3.0, 2.0, 4.0)]
    assert standing(tmp_path) is None


# The stop


def test_a_run_stops_after_so_many_looks_and_ships_the_best(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, 9, 5, 4.9, 7, 6, 5)
    result = start(tmp_path / "run", "gan", 40, patience=3, **LOOKS)
    assert (result.step, result.stopped) == (10, "patience")
    assert result.looks is not None
    assert (result.looks.best.step, result.looks.last.value) == (4, 6)
    assert GAN.load(tmp_path / "run/best").sample(3).isfinite().all()
    assert patience.held(tmp_path / "run") == 4
    assert result.next[0].startswith(f"ganworks sample {tmp_path}/run/best ")
    assert "patience=0" in result.next[1]
    assert [score.metric for score in result.scores] == ["modes", "high_quality", "reverse_kl", "std_ratio"]
    assert not [each.name for each in (tmp_path / "run").iterdir() if "best" in each.name and each.name != "best"]


def test_what_is_kept_is_the_model_of_that_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, 9, 5, 9, 9)
    start(tmp_path / "run", "gan", 8, patience=9, **LOOKS)
    start(tmp_path / "four", "gan", 8, sample_every=4, checkpoint_every=4)
    shutil.rmtree(tmp_path / "four/checkpoints/000008")
    assert torch.equal(GAN.load(tmp_path / "run/best").sample(40), GAN.load(tmp_path / "four").sample(40))


def test_patience_changes_no_bit_up_to_the_stop(tmp_path: Path) -> None:
    for system in ("gan", "dcgan"):
        with_it = tmp_path / f"{system}-with"
        start(with_it, system, 6, patience=50, **LOOKS)
        start(tmp_path / system, system, 6, **LOOKS)
        ours, plain = left(with_it), left(tmp_path / system)
        assert ours["state"] == plain["state"]
        lines = [{k: v for k, v in line.items() if not k.startswith("score.")} for line in ours["records"]]
        assert [line["step"] for line in lines] == sorted({*(line["step"] for line in plain["records"]), 2, 4, 6})
        assert [line for line in lines if line in plain["records"]] == plain["records"]
        assert not (tmp_path / system / "best").exists()


@pytest.mark.parametrize("kill", [3, 6, 9])
def test_a_kill_changes_neither_the_stop_nor_the_best(
    kill: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scripted(monkeypatch, 9, 5, 4.9, 7, 6, 5)
    start(tmp_path / "whole", "gan", 40, patience=3, record_every=1, **LOOKS)
    killed = tmp_path / "killed"

    def die() -> None:
        shutil.copytree(killed, tmp_path / "as it was")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(killed, "gan", 40, at_step(kill, die), patience=3, record_every=1, **LOOKS)
    result = resume(tmp_path / "as it was")
    assert (result.step, result.stopped) == (10, "patience")
    assert left(tmp_path / "as it was") == left(tmp_path / "whole")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "as it was/best" / name).read_bytes() == (tmp_path / "whole/best" / name).read_bytes()


def test_a_kill_between_the_checkpoint_and_its_best(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, 9, 5, 4.9, 7, 6, 5)

    def die(self: patience.Keeper) -> None:
        if self.current().step == 4:
            raise KeyboardInterrupt
        real(self)

    real = patience.Keeper._keep
    monkeypatch.setattr(patience.Keeper, "_keep", die)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "run", "gan", 40, patience=3, **LOOKS)
    assert patience.held(tmp_path / "run") == 2
    monkeypatch.setattr(patience.Keeper, "_keep", real)
    assert resume(tmp_path / "run").step == 10
    assert patience.held(tmp_path / "run") == 4


def test_patience_can_be_changed_on_a_resume(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, *range(9, 30))
    assert start(tmp_path / "run", "gan", 40, patience=2, **LOOKS).step == 6
    assert resume(tmp_path / "run", overrides={"patience": 4}).step == 10
    assert resume(tmp_path / "run").step == 12, "the count goes on"
    result = resume(tmp_path / "run", overrides={"patience": 0}, steps=14)
    assert (result.stopped, result.looks) == ("steps", None)


def test_after_a_rollback_a_step_has_another_model() -> None:
    session = playing("ring")
    assert session.engine is not None
    before = session.model
    assert session.model is before
    session.engine.roll_back({name: tensor.clone() for name, tensor in session.engine.state().items()})
    assert (session.model.step, session.model is before) == (before.step, False)


def test_a_score_that_fails_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(self: patience.Watch, step: int) -> dict[str, float]:
        raise ValueError("no")

    monkeypatch.setattr(patience.Watch, "__call__", fail)
    heard: list[Any] = []
    result = start(tmp_path / "run", "gan", 6, heard.append, patience=1, **LOOKS)
    assert (result.stopped, result.looks) == ("steps", None)
    assert any("the score of --patience failed" in record.get("message", "") for record in heard)
    assert not (tmp_path / "run/best").exists()


# The score


def ring_of(count: int, spread: float, generator: torch.Generator) -> torch.Tensor:
    """2,500 points on so many of the ring's 8 modes, of a std of so many times theirs."""
    angle = torch.randint(count, (2500,), generator=generator) * (2 * torch.pi / count)
    noise = 0.02 * spread * torch.randn(2500, 2, generator=generator)
    return 2 * torch.stack([angle.cos(), angle.sin()], 1) + noise


class Gives:
    """A model that makes these samples."""

    def __init__(self, samples: torch.Tensor) -> None:
        self.samples = samples

    def sample(self, count: int, seed: int) -> torch.Tensor:
        return self.samples[:count]


def playing(data: Any) -> Session:
    """A game that is about to begin, with patience."""
    session = Session(RunSettings(patience=1), {"generator": {"width": 4}, "discriminator": {"width": 4}})
    session.open(data)
    session.begin(1)
    return session


def watch(data: Any, samples: torch.Tensor) -> dict[str, float]:
    """What the probe sees where the model gives these samples."""
    probe = next(each for each in playing(data).probes() if isinstance(each, patience.Watch))
    probe.current = lambda: Gives(samples)  # type: ignore[assignment,return-value]  # only sampled from
    return {name.partition(".")[2].partition(".")[2] or "value": number for name, number in probe(1).items()}


def test_a_collapsed_or_blurred_generator_never_wins_on_a_known_density() -> None:
    """Four of eight modes have the mean and the covariance of all: a Fréchet distance of points would take them."""
    generator = torch.Generator().manual_seed(0)
    good = watch("ring", ring_of(8, 1.5, generator))
    for modes, spread in ((4, 1.0), (1, 1.0), (8, 6.0)):
        bad = watch("ring", ring_of(modes, spread, generator))
        assert good["high"] < bad["low"]
    exact = watch("ring", ring_of(8, 1.0, generator))
    assert exact["high"] < good["low"]


def test_a_collapsed_generator_never_wins_on_other_points_and_pictures() -> None:
    generator = torch.Generator().manual_seed(0)
    points = np.concatenate([ring_of(8, 1.0, generator).numpy(), ring_of(8, 1.0, generator).numpy()])
    good, half = (watch(points, ring_of(modes, 1.0, generator)) for modes in (8, 4))
    assert good["high"] < half["low"]
    pictures = np.random.default_rng(0).integers(0, 256, (800, 8, 8, 1), dtype=np.uint8)
    fresh = torch.rand(600, 1, 8, 8, generator=generator) * 2 - 1
    good, same = watch(pictures, fresh), watch(pictures, fresh[:1].expand(600, 1, 8, 8))
    assert good["high"] < same["low"]


def test_the_interval_of_the_jensen_shannon_divergence_holds_what_other_samples_give() -> None:
    """Of 24 draws of one law, at least 20 have the mean of all in their interval of 95 %."""
    distance = next(each for each in playing("ring").probes() if isinstance(each, Distance))
    generator = torch.Generator().manual_seed(1)
    found = [distance.estimate(ring_of(8, 3.0, generator)) for _ in range(24)]
    mean = sum(each.value for each in found) / len(found)
    inside = [low <= mean <= high for low, high in (interval(each, 0.95) for each in found)]
    assert sum(inside) >= 20
    assert np.std([each.value for each in found]) > 0.3 * found[0].error


def test_real_looks_come_from_fixed_latents(tmp_path: Path) -> None:
    """Two looks at weights that do not move see the same."""
    start(tmp_path / "run", "gan", 4, patience=5, sample_every=2, generator_lr=0.0)
    values = [look.value for look in history.looks(tmp_path / "run")]
    assert values[0] == values[1]


# What is refused, and the disk


def test_too_few_rows_to_compare_with(tmp_path: Path) -> None:
    few = np.random.default_rng(0).normal(size=(19, 2)).astype(np.float32)
    with pytest.raises(UsageError, match="--patience needs 20 rows"):
        train(Order(data=few, system="gan", steps=2, run=tmp_path / "run", patience=1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("able", [True, False])
def test_a_folder_takes_the_place_of_another(able: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not able:
        monkeypatch.setattr(disk, "_exchange", lambda a, b: False)
    for text in ("one", "two", "three"):
        shop = tmp_path / "shop"
        (shop / "new").mkdir(parents=True)
        (shop / "new/file").write_text(text)
        disk.put(shop / "new", tmp_path / "place")
        disk.discard(shop)
        assert (tmp_path / "place/file").read_text() == text


def test_a_record_names_the_score_once(tmp_path: Path) -> None:
    start(tmp_path / "run", "gan", 4, patience=5, sample_every=2)
    last = records(tmp_path / "run")[-1]
    assert [name for name in last if name.startswith("score.")] == ["score.jsd", "score.jsd.low", "score.jsd.high"]
    assert "the score of --patience is jsd" in (tmp_path / "run/log.txt").read_text()


def test_in_python_the_object_holds_the_last_and_the_run_the_best(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scripted(monkeypatch, 9, 7, 7, 7)
    gan = GAN("gan", **{"batch": 4, "generator.width": 4, "discriminator.width": 4})
    gan.fit("ring", steps=40, patience=2, run=tmp_path / "run")
    assert records(tmp_path / "run")[-1]["step"] == 8
    assert patience.held(tmp_path / "run") == 4
    assert not torch.equal(gan.sample(4), GAN.load(tmp_path / "run/best").sample(4))


def test_the_end_tells_the_best_beside_the_last(tmp_path: Path) -> None:
    """What stands on the screen: how much of the best is lost, or that chance may be all."""
    from ganworks.cli.report import _lines

    def told(*values: float, stopped: Any = "patience") -> str:
        run = written(tmp_path / str(values), *values, half=0.5)
        result = Result(run, 30, stopped, [], None, looks=standing(run))
        return "\n".join(_lines(result)).replace(str(tmp_path), "")

    assert "best  step 20: jsd 2 [1.5, 2.5]; at step 30 4 [3.5, 4.5], 2.00 times that: conv" in told(9, 2, 4)
    assert "stopped at step 30: 1 look since step 20 without a better jsd (patience)" in told(9, 3, 5)
    assert "[1.6, 2.6], no difference that the interval shows; " in told(9, 2, 2.1)
    assert "jsd 1 [0.5, 1.5], the last look; " in told(9, 2, 1, stopped="steps")


def test_the_plan_counts_best_and_its_records(tmp_path: Path) -> None:
    order = Order(data="ring", system="gan", steps=4, run=tmp_path / "run", overrides={"batch": 4})
    plain, kept = (forecast(dataclasses.replace(order, patience=each)) for each in (None, 2))
    assert kept.files["best/"] > 0
    assert "best/" not in plain.files
    assert kept.files["metrics.jsonl"] > plain.files["metrics.jsonl"]
