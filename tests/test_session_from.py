"""Starting from a model: what is taken over to the bit, what starts afresh and why, and that it can be repeated."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from small_runs import SYSTEMS, at_step, left

from ganworks.cli.app import main
from ganworks.errors import ModelError, UsageError
from ganworks.gan import GAN, Order, Result, resume, train
from ganworks.model import load
from ganworks.session import session_of
from ganworks.session.origin import origin_of
from ganworks.settings import RunSettings, read

SMALL = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}


def pictures(classes: int, side: int = 16) -> dict[str, Any]:
    x = np.random.default_rng(classes).integers(0, 256, (classes * 60, 1, side, side), dtype=np.uint8)
    return {"x": x, "label": np.arange(len(x)) % classes}


def points(seed: int) -> Any:
    return np.random.default_rng(seed).normal(3.0, 2.0, (300, 2)).astype("float32")


def fresh(run: Path, data: Any, steps: int = 5, **rest: Any) -> Result:
    overrides = {**SMALL, **rest.pop("overrides", {})}
    return train(Order(data=data, steps=steps, seed=1, run=run, overrides=overrides, **rest))


def started(run: Path, data: Any, start_from: Path, **rest: Any) -> Result:
    return train(Order(data=data, run=run, start_from=start_from, steps=rest.pop("steps", 4), **rest))


def tensors(run: Path, step: int) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "checkpoints" / f"{step:06d}" / "state.safetensors")


def at_start(order: Order) -> dict[str, torch.Tensor]:
    """The state at step 0."""
    session = session_of(order)
    session.open(order.data)
    return session.begin(order.steps).state()


@pytest.mark.parametrize("system", ["gan", "dcgan", "conditional", "semisupervised"])
def test_weights_and_averages_are_the_models_and_nothing_else_is(system: str, tmp_path: Path) -> None:
    data, settings = SYSTEMS[system]
    run = train(Order(data=data, system=system, steps=5, run=tmp_path / "run", overrides=settings)).run
    before, state = tensors(run, 5), at_start(Order(data=data, start_from=run, steps=9, seed=7))
    for name, tensor in before.items():
        if name.startswith(("system/generator.", "system/discriminator.", "average/")):
            assert torch.equal(state[name], tensor), name
    assert {name for name in state if name.startswith("optimizer/")} == set()  # no moments yet
    assert {name: int(state[name]) for name in state if name.startswith("counter/")} == dict.fromkeys(
        (name for name in before if name.startswith("counter/")), 0
    )


def test_a_model_folder_and_its_run_are_the_same_start(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", points(0)).run
    GAN.load(run).save(tmp_path / "model")
    one, other = (
        started(tmp_path / f"from-{name}", points(1), tmp_path / name, seed=3).run for name in ("run", "model")
    )
    assert tensors(one, 4).keys() == tensors(other, 4).keys()
    assert all(torch.equal(a, b) for a, b in zip(tensors(one, 4).values(), tensors(other, 4).values(), strict=True))
    assert read(one / "config.toml")["start_from_sha256"] == read(other / "config.toml")["start_from_sha256"] != ""


def test_two_lines_say_what_is_taken_over_and_what_is_not(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", points(0)).run
    notes = started(tmp_path / "new", points(1), run).notes
    numbers = sum(weight.numel() for weight in GAN.load(run).system.state_dict().values())
    count = len(GAN.load(run).system.state_dict())
    assert notes[1:] == [
        f"taken over from {run}, r3gan after 5 steps: the weights of discriminator and generator "
        f"({count} tensors, {numbers:,} numbers), and the average of generator",
        "starts afresh: optimizers, schedules and counters",
    ]


def test_system_and_settings_are_the_models_unless_others_are_named(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", points(0), overrides={"objective.loss": "hinge"}, system="gan").run
    new = started(tmp_path / "new", points(1), run, batch=8).run
    written = read(new / "config.toml")
    assert (written["system"], written["objective"]["loss"]) == ("gan", "hinge")
    assert (written["generator"]["width"], written["batch"], written["steps"]) == (4, 8, 4)
    assert written["start_from"] == str(run)


@pytest.mark.parametrize("how", ["option", "file"])
def test_another_system_is_refused(how: str, tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", points(0)).run
    (tmp_path / "mine.toml").write_text('system = "gan"\n')
    given: dict[str, Any] = {"system": "gan"} if how == "option" else {"config": tmp_path / "mine.toml"}
    with pytest.raises(UsageError, match=r"E-RUN-05.*is a r3gan, and no gan can start from it"):
        started(tmp_path / "new", points(1), run, **given)
    assert not (tmp_path / "new").exists()


def test_other_classes_take_over_all_but_what_counts_them(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", pictures(4), system="conditional").run
    notes = started(tmp_path / "new", pictures(3), run).notes
    (afresh,) = [note for note in notes if note.startswith("starts afresh")]
    assert "(4 classes there, 3 here)" in afresh
    assert re.search(r"generator\.\S+: 16 x 8 there, 16 x 7 here", afresh)
    (over,) = [note for note in notes if note.startswith("taken over")]
    assert "discriminator and generator" in over


def test_averages_that_do_not_fit_begin_at_the_new_weights(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", pictures(4), system="conditional").run
    state = at_start(Order(data=pictures(3), start_from=run, steps=9))
    name = next(name for name in state if name.endswith("latent.weight") and name.startswith("average/"))
    assert torch.equal(state[name], state[name.replace("average/", "system/")])
    before = tensors(run, 5)
    same = [each for each in before if each.startswith("average/") and before[each].shape == state[each].shape]
    assert len(same) > 5
    assert all(torch.equal(state[each], before[each]) for each in same)


def test_classes_of_other_names_are_said(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", pictures(4), system="conditional").run
    origin = origin_of(RunSettings(start_from=str(run)), "")
    renamed = origin.spec.model_copy(update={"classes": ("0", "1", "cats", "dogs")})
    assert origin._renamed(renamed) == ["classes are taken over by their number: 2 is cats now, 3 is dogs now"]
    assert origin._renamed(origin.spec) == []


def test_another_size_takes_over_what_does_not_depend_on_it(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", pictures(2, 16), system="r3gan").run
    notes = started(tmp_path / "new", pictures(2, 32), run).notes
    (afresh,) = [note for note in notes if note.startswith("starts afresh")]
    assert "(images of 1 x 16 x 16 there, images of 1 x 32 x 32 here)" in afresh
    assert read(tmp_path / "new" / "config.toml")["size"] == 32


@pytest.mark.parametrize("what", ["wider", "points and pictures"])
def test_nothing_that_fits_is_an_error_that_names_both_shapes(what: str, tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", points(0)).run
    if what == "wider":
        given = {"overrides": {"generator.width": 8, "discriminator.width": 8, "latent.size": 6}}
        words, detail = "generator.width is 4 there, 8 here", r"4 x 4 there, 8 x 6 here"
        data = points(1)
    else:
        given, data = {}, pictures(2)
        words, detail = "points of 2 there, images of 1 x 16 x 16 here", "nothing there, 4 x "
    with pytest.raises(ModelError, match="E-MODEL-05") as caught:
        started(tmp_path / "new", data, run, **given)
    assert words in str(caught.value)
    assert detail in str(caught.value)
    assert caught.value.exit_code == 5
    assert not (tmp_path / "new").exists()


# Again


def test_the_written_settings_run_again_to_the_same_bits(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", points(1))
    run = fresh(tmp_path / "run", points(0)).run
    one = started(tmp_path / "one", str(tmp_path / "points.npy"), run).run
    two = train(Order(config=one / "config.toml", run=tmp_path / "two")).run
    assert left(two) == left(one)


def test_a_model_that_has_changed_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", points(1))
    run = fresh(tmp_path / "run", points(0)).run
    new = started(tmp_path / "new", str(tmp_path / "points.npy"), run).run
    resume(run, steps=8, data=points(0))
    with pytest.raises(ModelError, match="E-MODEL-04") as caught:
        train(Order(config=new / "config.toml", run=tmp_path / "again"))
    assert caught.value.remedy == f"ganworks train --config {new}/config.toml --from {run}"
    assert not (tmp_path / "again").exists()
    taken = train(Order(config=new / "config.toml", start_from=run, run=tmp_path / "again")).run
    assert read(taken / "config.toml")["start_from_sha256"] != read(new / "config.toml")["start_from_sha256"]


def test_it_resumes_without_the_model(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", points(0)).run
    whole = started(tmp_path / "whole", points(1), run, steps=8).run
    part = tmp_path / "part"
    order = Order(data=points(1), run=part, start_from=run, steps=8)
    train(order, [at_step(3, lambda: (part / "request").write_text("stop"))])
    run.rename(tmp_path / "gone")
    resume(part, data=points(1))
    assert left(part)["state"] == left(whole)["state"]


def test_killed_before_its_first_checkpoint_it_starts_from_the_model_again(tmp_path: Path) -> None:
    run = fresh(tmp_path / "run", points(0)).run
    new = started(tmp_path / "new", points(1), run).run
    before = left(new)["state"]
    for each in (new / "checkpoints").iterdir():
        shutil.rmtree(each)
    resume(new, data=points(1))
    assert left(new)["state"] == before


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fresh(tmp_path / "run", "ring", system="gan").run
    words = ["train", "ring", "--from", str(run), "--steps", "3", "--run", str(tmp_path / "new")]
    assert main(words) == 0
    assert "taken over from" in capsys.readouterr().err
    assert load(tmp_path / "new").run.system == "gan"
    assert main(["train", "ring", "--from", str(tmp_path / "nowhere")]) == 2
