"""Rollbacks: a training that is no longer finite goes back, draws otherwise, and stays a function of its seed."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_disk import Disk
from small_runs import asking, at_step, records, start, steps_of
from test_training_loop import blank, files, final, ready
from torch import Tensor

from ganworks import GAN, history
from ganworks.errors import TrainingError
from ganworks.random import Streams
from ganworks.session import resume
from ganworks.training import checkpoint
from ganworks.training.checkpoint import clear_partial, latest
from ganworks.training.engine import Engine
from ganworks.training.folder import RunFolder
from ganworks.training.loop import Loop, Pace

PACE = Pace(record=1, sample=1000, checkpoint=3)
NAN = float("nan")


class Killed(BaseException):
    """The process ends here: nothing can catch it."""


def counted(run: Path) -> int:
    found = latest(run / "checkpoints")
    assert found is not None
    return int(found.tensors["counter/rollbacks"])


def again(run: Path, *rest: Any, **more: Any) -> Loop:
    """A loop of a fresh process, which goes on with what is on disk."""
    clear_partial(run / "checkpoints")
    return ready(run, *rest, **more)


def spoil_batch(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The very rows that an undisturbed run draws at a step give NaN there, and nowhere else."""
    drawn, poison = Engine._drawn, list[tuple[int, list[int]]]()

    def spoilt(self: Engine, index: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        indices, extra = drawn(self, index)
        if self.step == step and not poison:
            poison.append((index, indices.tolist()))
        if (index, indices.tolist()) in poison:
            return indices, {**extra, "poison": torch.tensor([NAN])}
        return indices, extra

    read = Engine._read

    def reading(self: Engine) -> Any:
        batch = read(self)
        return type(batch)({**batch, "x": batch["x"] * NAN}) if "poison" in batch else batch

    monkeypatch.setattr(Engine, "_drawn", spoilt)
    monkeypatch.setattr(Engine, "_read", reading)


def spoil_noise(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The very latents that an undisturbed run draws at a step are NaN."""
    normal, poison = Streams.normal, list[Tensor]()

    def spoilt(self: Streams, name: str, *shape: int) -> Tensor:
        values = normal(self, name, *shape)
        if name == "latent" and self._index == step:
            if not poison:
                poison.append(values)
            return values * NAN if torch.equal(values, poison[0]) else values
        return values

    monkeypatch.setattr(Streams, "normal", spoilt)


def spoil_always(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """From a step on every batch is NaN."""
    read = Engine._read

    def reading(self: Engine) -> Any:
        batch = read(self)
        return type(batch)({**batch, "x": batch["x"] * NAN}) if self.step >= step else batch

    monkeypatch.setattr(Engine, "_read", reading)


# It recovers


@pytest.mark.parametrize("spoil", [spoil_batch, spoil_noise])
def test_a_value_that_is_not_finite_once_costs_the_way_from_the_last_checkpoint(
    spoil: Callable[[pytest.MonkeyPatch, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 7)
    run, heard = tmp_path / "run", list[str]()
    loop = ready(run, PACE, watchers=[lambda record: heard.append(str(record.get("message", record.get("step"))))])
    assert loop.play(10) == "steps"
    assert (loop.engine.step, loop.engine.rollbacks, counted(run)) == (10, 1, 1)
    assert steps_of(run) == list(range(1, 11))
    told = "term 'adversarial' of the discriminator is not finite at step 8; the update was not made. Rollback 1 of 3: "
    told += "back to step 6, and on from there with other batches and other noise"
    assert [*map(str, range(1, 8)), told, "7", "8", "9", "10"] == heard
    assert told in (run / "log.txt").read_text()
    assert files(run / "checkpoints") == ["000009", "000010"]


def test_it_goes_back_to_step_0_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_batch(monkeypatch, 0)
    run = tmp_path / "run"
    assert ready(run, Pace(1, 1000, 1000)).play(3) == "steps"
    assert (counted(run), steps_of(run)) == (1, [1, 2, 3])
    assert files(run / "checkpoints") == ["000000", "000003"]


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    """An optimizer may overflow in the update before a checkpoint, which would then be no way back."""
    run, spoilt = tmp_path / "run", list[int]()
    loop = ready(run, PACE)

    weight = next(loop.engine.system.generator.parameters())  # type: ignore[union-attr]

    def spoil() -> None:
        if not spoilt:
            spoilt.append(loop.engine.step)
            weight.data.fill_(torch.inf)

    loop.watchers = [at_step(6, spoil)]
    assert loop.play(10) == "steps"
    assert (spoilt, counted(run)) == ([6], 1)
    told = "weights of the generator are not finite after step 6; they were not saved. Rollback 1 of 3: back to step 3"
    assert told in (run / "log.txt").read_text()
    found = latest(run / "checkpoints")
    assert found is not None
    assert all(tensor.isfinite().all() for tensor in found.tensors.values())


# It stays a function of its seed


@pytest.mark.parametrize("system", ["gan", "lsgan", "unrolled", "dcgan", "sngan", "semisupervised"])
def test_what_goes_on_is_what_a_fresh_process_makes_of_the_checkpoint(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the rounds that were given up is left: averages, moments, pools, batch statistics, epochs."""
    spoil_batch(monkeypatch, 7)
    ready(tmp_path / "whole", PACE, system).play(10)
    assert counted(tmp_path / "whole") == 1

    def kill(record: Mapping[str, Any]) -> None:
        if "message" in record:
            loop.watchers = []
            raise KeyboardInterrupt

    loop = ready(tmp_path / "killed", PACE, system, watchers=[kill])
    with pytest.raises(KeyboardInterrupt):
        loop.play(10)
    assert (latest(tmp_path / "killed/checkpoints").step, counted(tmp_path / "killed")) == (6, 1)  # type: ignore[union-attr]
    assert steps_of(tmp_path / "killed") == [1, 2, 3, 4, 5, 6]
    assert again(tmp_path / "killed", PACE, system).play(10) == "steps"
    assert final(tmp_path / "killed") == final(tmp_path / "whole")
    assert records(tmp_path / "killed") == records(tmp_path / "whole")


@pytest.mark.parametrize(("every", "spoilt", "until"), [(2, 3, 4), (1000, 1, 2)])
def test_killed_at_any_operation_of_a_rollback_it_comes_to_the_same_bits(
    every: int, spoilt: int, until: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_batch(monkeypatch, spoilt)
    pace = Pace(1, 1000, every)
    ready(tmp_path / "whole", pace).play(until)
    roll_back, operations, kill_at = Loop._roll_back, list[int](), list[int]()

    def watched(self: Loop, caught: TrainingError, goal: int) -> None:
        if not kill_at:
            shutil.copytree(self.run.path, tmp_path / "before")
        disk = Disk(self.run.path, refuse=lambda number, name: die(number))
        with disk.watching():
            roll_back(self, caught, goal)
        operations.append(len(disk.seen))

    def die(number: int) -> None:
        if kill_at and number >= kill_at[0]:
            raise Killed

    monkeypatch.setattr(Loop, "_roll_back", watched)
    engine = ready(tmp_path / "counted", pace).engine

    def go_on(run: Path) -> None:
        clear_partial(run / "checkpoints")
        found = latest(run / "checkpoints")
        assert found is not None, "a moment without any checkpoint"
        engine.load(found.tensors)
        folder = RunFolder.existing(run)
        folder.cut_records(found.step)
        Loop(engine, folder, pace, blank).play(until)

    ready(tmp_path / "counted", pace).play(until)
    (count,) = operations
    assert count > 10
    for number in range(count):
        run = tmp_path / f"killed {number}"
        shutil.copytree(tmp_path / "before", run)
        kill_at[:] = [number]
        with pytest.raises(Killed):
            go_on(run)
        kill_at[:] = [10_000]
        go_on(run)
        assert final(run) == final(tmp_path / "whole"), number
        assert records(run) == records(tmp_path / "whole")
        assert files(run / "checkpoints") == files(tmp_path / "whole/checkpoints"), "something is left over"


@pytest.mark.parametrize("stops", [[7], [6, 7], [7, 8, 9], [6, 7, 9]])
def test_where_it_was_stopped_before_does_not_matter(
    stops: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stop has saved is newer than the checkpoint that was due: an unbroken run has nothing there."""
    spoil_batch(monkeypatch, 9)
    pace = Pace(1, 1000, 5)
    ready(tmp_path / "whole", pace).play(12)
    run = tmp_path / "run"
    for step in stops:
        loop = again(run, pace, watchers=[at_step(step, asking(run, "stop"))])
        assert loop.play(12) == "request"
        (run / "request").write_text("run")
        assert len(files(run / "checkpoints")) == 2
    again(run, pace).play(12)
    assert counted(run) == 1
    assert final(run) == final(tmp_path / "whole")
    assert records(run) == records(tmp_path / "whole")


def test_a_run_that_never_went_back_draws_what_it_always_drew(tmp_path: Path) -> None:
    """Numbers from before there were rollbacks: the rows of three batches, and each player's fifth update."""
    engine = ready(tmp_path / "run").engine
    rows = [engine._drawn(index)[0].tolist() for index in range(3)]
    assert rows == [[98396, 67998, 88424, 37036], [33866, 26465, 89840, 48368], [43467, 7321, 18074, 37107]]
    engine.round_.begin(0, "game", 0.0)
    for player, key, drawn in [
        ("discriminator", 3972216415, [330, 76, 106, 220]),
        ("generator", 4247485093, [837, 626, 310, 779]),
    ]:
        engine.round_.begin_update(player, 5)
        assert engine.round_.random.key() == key
        assert engine.round_.random.integers("latent", 1000, 1).flatten().tolist() == drawn


def test_each_rollback_draws_otherwise_and_a_saved_count_draws_alike(tmp_path: Path) -> None:
    engine, other = ready(tmp_path / "run").engine, ready(tmp_path / "other").engine
    start_, seen = engine.state(), list[tuple[Any, ...]]()
    for rollbacks in range(4):
        assert engine.rollbacks == rollbacks
        other.load(engine.state())
        for each in (engine, other):
            each.round_.begin(0, "game", 0.0)
            each.round_.begin_update("generator", 0)
            rows, noise = each._drawn(0)[0], each.round_.random.normal("latent", 2)
            seen.append((tuple(rows.tolist()), tuple(noise.flatten().tolist()), torch.rand(1).item()))
        engine.roll_back(start_)
    assert seen[::2] == seen[1::2]
    assert all(len({one[place] for one in seen}) == 4 for place in range(3))


def test_a_checkpoint_from_before_there_were_rollbacks_has_none(tmp_path: Path) -> None:
    engine = ready(tmp_path / "run").engine
    old = {name: tensor for name, tensor in engine.state().items() if name != "counter/rollbacks"}
    engine.roll_back(old)
    assert engine.rollbacks == 1
    engine.load(old)
    assert engine.rollbacks == 0


# It gives up


@pytest.mark.parametrize(("pace", "stands"), [(PACE, 6), (Pace(1, 1000, 1000), 0)])
def test_three_rollbacks_that_do_not_help_end_it_and_the_last_checkpoint_stands(
    pace: Pace, stands: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_always(monkeypatch, 7)
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"E-TRAIN-01.*step 8") as caught:
        ready(run, pace).play(10)
    assert caught.value.exit_code == 6
    tried = "3 rollbacks, each with other batches and other noise, did not help"
    assert caught.value.details == (f"{tried}; the checkpoint of step {stands} stands",)
    assert caught.value.remedy == "ganworks train --set discriminator.lr=1e-4"
    log = (run / "log.txt").read_text()
    assert [f"Rollback {number} of 3: back to step {stands}" in log for number in (1, 2, 3, 4)] == [True] * 3 + [False]
    assert log.count("step 8 failed: error[E-TRAIN-01]") == 1
    found = latest(run / "checkpoints")
    assert found is not None
    assert (found.step, counted(run), steps_of(run)) == (stands, 3, list(range(1, 8)))
    assert all(tensor.isfinite().all() for tensor in found.tensors.values())


def test_a_resume_is_given_no_more_rollbacks(tmp_path: Path) -> None:
    """The learning rate is absurd. Three times in a run, however often it is resumed; what it has made can be used."""
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="E-TRAIN-01"):
        start(run, "gan", 40, generator_lr=1e30)
    assert history.read(run).state == "failed"
    with pytest.raises(TrainingError, match="3 rollbacks"):
        resume(run)
    assert (run / "log.txt").read_text().count("Rollback") == 3
    assert GAN.load(run).sample(3).isfinite().all()


def test_a_single_round_in_a_notebook_is_refused_and_nothing_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_always(monkeypatch, 1)
    gan = GAN("gan", **{"generator.width": 4, "discriminator.width": 4, "batch": 4}).start("ring", steps=9)
    gan.round()
    for play in (gan.round, lambda: gan.turn("discriminator")):
        with pytest.raises(TrainingError, match=r"E-TRAIN-01.*step 2") as caught:
            play()
        assert caught.value.details == ()
    engine = gan._engine()
    assert (engine.step, engine.rollbacks) == (1, 0)


# What a kill leaves of an exchange


def test_a_checkpoint_that_was_to_be_replaced_counts_until_another_is_there(tmp_path: Path) -> None:
    for step in (5, 10):
        checkpoint.save(tmp_path, step, 20, {"counter/step": torch.tensor(step)})
    (tmp_path / "000010").rename(tmp_path / ".000010.replaced")
    assert latest(tmp_path).step == 10  # type: ignore[union-attr]
    clear_partial(tmp_path)
    assert files(tmp_path) == ["000005", "000010"]
    shutil.copytree(tmp_path / "000005", tmp_path / ".000010.replaced")
    assert latest(tmp_path).step == 10  # type: ignore[union-attr]
    clear_partial(tmp_path)
    assert files(tmp_path) == ["000005", "000010"]
