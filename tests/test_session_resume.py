"""What may change on a resume, and that everything else is refused with both values, wherever it was changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_pictures import folder
from small_runs import asking, at_step, left, start, steps_of

from ganworks.cli.app import main
from ganworks.errors import UsageError
from ganworks.session import changes, resume
from ganworks.settings import read
from ganworks.training import checkpoint
from ganworks.training.checkpoint import latest


def stopped(run: Path, at: int = 20, **overrides: Any) -> Path:
    """A run of 40 steps that has been stopped half way."""
    return start(run, "gan", 40, at_step(at, asking(run, "stop")), **overrides).run


def edit(run: Path, *pairs: tuple[str, str]) -> None:
    text = (run / "config.toml").read_text()
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after, 1)
    (run / "config.toml").write_text(text)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


# What may change


def test_how_often_it_records_and_saves_may_change(tmp_path: Path) -> None:
    whole = start(tmp_path / "whole", "gan", 40).run
    run = stopped(tmp_path / "run")
    resume(run, overrides={"record.every": 5, "checkpoint.every": 15, "sample.every": 10})
    assert left(run)["state"] == left(whole)["state"]
    assert [step for step in steps_of(run) if step > 20] == [25, 30, 35, 40]
    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == ["000030", "000040"]
    assert (run / "samples/000030.png").exists()
    written = read(run / "config.toml")
    assert (written["record"]["every"], written["steps"]) == (5, 40)  # it goes on like that


def test_what_has_changed_holds_for_the_next_part_too(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run", at=10)
    resume(run, overrides={"record.every": 4}, watchers=[at_step(20, asking(run, "stop"))])
    resume(run)
    assert steps_of(run)[-5:] == [24, 28, 32, 36, 40]


@pytest.mark.parametrize("how", ["option", "file"])
def test_more_steps_are_an_extension_and_no_new_horizon(how: str, tmp_path: Path) -> None:
    ramp = {"generator.lr": {"from": 1e-3, "to": 1e-4}}
    straight, run = start(tmp_path / "straight", "gan", 20, **ramp).run, start(tmp_path / "run", "gan", 20, **ramp).run
    resume(straight, steps=30)
    if how == "file":
        edit(run, ("steps = 20", "steps = 30"))
    assert resume(run, overrides={"steps": 30} if how == "option" else None).step == 30
    assert left(run) == left(straight)
    assert read(run / "config.toml")["steps"] == 20


def test_two_lengths_are_refused(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    with pytest.raises(UsageError, match="E-USE-01"):
        resume(run, steps=50, overrides={"steps": 60})


# What may not


def test_every_other_setting_is_named_with_both_values(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    before = tree(run)
    asked = {"batch": 8, "seed": 2, "objective.loss": "hinge", "generator.lr": {"from": 0.1, "to": 0.0}}
    with pytest.raises(UsageError, match="E-RUN-04") as caught:
        resume(run, overrides={**asked, "record.every": 2})
    assert caught.value.details == (
        "batch is 4 in the run, and asked for is 8",
        "generator.lr is 0.001 in the run, and asked for is {from = 0.1, to = 0.0}",
        "objective.loss is non_saturating in the run, and asked for is hinge",
        "seed is 1 in the run, and asked for is 2",
    )
    assert caught.value.remedy == (
        f"ganworks train ring --from {run} --set batch=8 --set 'generator.lr={{from = 0.1, to = 0.0}}' "
        "--set objective.loss=hinge --set seed=2"
    )
    assert tree(run) == before


def test_a_file_that_was_edited_is_found_the_same_way(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    edit(run, ("batch = 4", "batch = 8"), ("mirror = false", "mirror = true"), ('loss = "non_', 'loss = "hinge" # "'))
    before = tree(run)
    with pytest.raises(UsageError, match="E-RUN-04") as caught:
        resume(run)
    assert caught.value.details == (
        "batch is 4 in the run, and config.toml says 8",
        "mirror is false in the run, and config.toml says true",
        "objective.loss is non_saturating in the run, and config.toml says hinge",
    )
    assert caught.value.remedy == f"ganworks train --config {run}/config.toml --from {run}"
    assert tree(run) == before


def test_what_was_edited_and_what_is_asked_for_are_told_apart(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    edit(run, ("batch = 4", "batch = 8"))
    with pytest.raises(UsageError, match="E-RUN-04") as caught:
        resume(run, overrides={"objective.loss": "hinge"})
    assert caught.value.details == (
        "batch is 4 in the run, and config.toml says 8",
        "objective.loss is non_saturating in the run, and asked for is hinge",
    )


def test_another_system_is_found_before_its_settings_are_judged(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    edit(run, ('system = "gan"', 'system = "wgan"'))
    with pytest.raises(UsageError, match="E-RUN-04") as caught:
        resume(run)
    assert caught.value.details == ("system is gan in the run, and config.toml says wgan",)


def test_however_many_they_are_each_is_named(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace(" = 0.0\n", " = 0.5\n"))
    changed = text.count(" = 0.0\n")
    assert changed > 10
    with pytest.raises(UsageError, match="E-RUN-04") as caught:
        resume(run)
    assert len(caught.value.details) <= 10
    assert "; ".join(caught.value.details).count(" is 0.0 in the run, and config.toml says 0.5") == changed


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"bach": 8}, "unknown setting 'bach'"),
        ({"record.every": -1}, "setting 'record.every'"),
        ({"record.every": "often"}, "setting 'record.every'"),
        ({"batch": "many"}, "setting 'batch'"),
    ],
)
def test_what_cannot_be_meant_is_said_as_such(overrides: dict[str, Any], words: str, tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    with pytest.raises(UsageError, match=words):
        resume(run, overrides=overrides)


def test_the_same_value_is_no_change(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    assert resume(run, overrides={"batch": 4, "objective.loss": "non_saturating"}).step == 40


def test_a_line_that_is_missing_is_as_it_was(tmp_path: Path) -> None:
    whole, run = start(tmp_path / "whole", "gan", 40).run, stopped(tmp_path / "run")
    edit(run, ("batch = 4\n", ""), ("width = 4\n", ""))
    resume(run)
    assert left(run)["state"] == left(whole)["state"]


def test_comments_and_order_are_no_change(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    text = "# mine\n" + (run / "config.toml").read_text()
    (run / "config.toml").write_text(text)
    resume(run)
    assert (run / "config.toml").read_text() == text


def test_the_way_out_parses(tmp_path: Path) -> None:
    """What the refusal says instead can be typed, and starts from the run."""
    run = stopped(tmp_path / "run")
    with pytest.raises(UsageError) as caught:
        resume(run, overrides={"objective.loss": "hinge"})
    words = caught.value.remedy.split()
    assert main([*words[1:], "--steps", "3", "--run", str(tmp_path / "new")]) == 0
    assert read(tmp_path / "new" / "config.toml")["objective"]["loss"] == "hinge"


# Where it is kept


def test_every_checkpoint_has_the_settings_under_its_seal(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    for each in (run / "checkpoints").iterdir():
        assert json.loads((each / "manifest.json").read_text())["settings"] == read(run / "config.toml")
    manifest = run / "checkpoints/000020/manifest.json"
    manifest.write_text(manifest.read_text().replace('"batch": 4', '"batch": 8'))
    found = latest(run / "checkpoints")
    assert found is not None
    assert found.step < 20
    assert "its manifest is not what was written" in found.notes[0]


def test_checkpoints_of_the_first_format_have_none_and_go_on(tmp_path: Path) -> None:
    whole, run = start(tmp_path / "whole", "gan", 40).run, stopped(tmp_path / "run")
    as_before(run)
    found = latest(run / "checkpoints")
    assert found is not None
    assert (found.step, found.settings) == (20, None)
    resume(run)
    assert left(run)["state"] == left(whole)["state"]


def as_before(run: Path) -> None:
    """Checkpoints as the first format had them."""
    for each in (run / "checkpoints").iterdir():
        manifest = json.loads((each / "manifest.json").read_text())
        del manifest["settings"], manifest["seal"]
        old = checkpoint._Manifest(**{**manifest, "format": 1}).sealed()
        (each / "manifest.json").write_bytes(checkpoint._text(old))


def test_flat_settings_keep_a_schedule_whole() -> None:
    nested = {"a": {"b": 1, "lr": {"from": 1.0, "to": 0.0}}, "c": [1, 2]}
    assert dict(changes.flat(nested)) == {"a.b": 1, "a.lr": {"from": 1.0, "to": 0.0}, "c": [1, 2]}


# What decodes pictures


def test_other_decoders_are_told_where_the_data_are_picture_files(tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 0, 8)
    for data, told in (("digits", False), (str(photos), True)):
        run = tmp_path / f"run-{told}"
        words = ["train", data, "--system", "r3gan", "--steps", "2", "--run", str(run), "-q", "--set", "batch=4"]
        assert main([*words, "generator.width=4", "discriminator.width=4"]) == 0
        environment = json.loads((run / "environment.json").read_text())
        assert environment["pillow"]
        assert environment["libjpeg"]
        environment |= {"pillow": "1.0", "libjpeg": "6b"}
        (run / "environment.json").write_text(json.dumps(environment))
        notes = " ".join(resume(run, steps=3).notes)
        assert ("pillow was 1.0 and is " in notes) is told
        assert ("libjpeg was 6b and is " in notes) is told


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = stopped(tmp_path / "run")
    assert main(["resume", str(run), "--set", "batch=8", "seed=5"]) == 2
    said = capsys.readouterr().err
    assert "batch is 4 in the run, and asked for is 8" in said
    assert said.splitlines()[-1] == f"do:  ganworks train ring --from {run} --set batch=8 --set seed=5"
    assert main(["resume", str(run), "--set", "record.every=10", "-q"]) == 0
