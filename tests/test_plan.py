"""What a training will be: which system suits which data, and why."""

from pathlib import Path

import pytest
from small_pictures import arrays, folder
from small_runs import left

from ganworks import plan
from ganworks.data.spec import DataSpec
from ganworks.gan import Order
from ganworks.session import Session, session_of, train
from ganworks.settings import RunSettings, read

SMALL = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4, "batch": 4}


def pictures_of(classes: int) -> DataSpec:
    names = tuple(f"class {number}" for number in range(classes))
    return DataSpec(kind="images", shape=(3, 32, 32), count=1000, name="photos", classes=names)


@pytest.mark.parametrize(
    ("counts", "system", "runner_up", "why"),
    [
        ([120, 300, 50], "conditional", "r3gan", "there are 3 classes of 50 pictures or more"),
        ([50, 50], "conditional", "r3gan", "there are 2 classes of 50 pictures or more"),
        ([50] * 100, "conditional", "r3gan", "there are 100 classes of 50 pictures or more"),
        ([50] * 101, "r3gan", "conditional", "101 classes are more than conditional can tell apart"),
        ([120, 49], "r3gan", "conditional", "class 'class 1' has 49 pictures, and conditional wants 50"),
        ([900], "r3gan", "dcgan", "there are no classes"),
        ([], "r3gan", "dcgan", "there are no classes"),
    ],
)
def test_classes_decide_about_pictures(counts: list[int], system: str, runner_up: str, why: str) -> None:
    choice = plan.choose(pictures_of(len(counts)), counts, built_in=False)
    assert (choice.system, choice.runner_up, choice.why) == (system, runner_up, why)


def test_built_in_data_have_the_default_whatever_their_classes() -> None:
    assert plan.choose(pictures_of(10), [800] * 10, built_in=True).system == "r3gan"
    points = DataSpec(kind="points", shape=(2,), count=10, classes=("a", "b"))
    assert plan.choose(points, [500, 500], built_in=False).system == "r3gan"


def test_pictures_held_out_count_too(tmp_path: Path) -> None:
    """220 pictures of four classes are 55 each; a hundred of them are held out."""
    session = Session(RunSettings(), {})
    session.open(arrays(tmp_path / "data.npz", 4, 55))
    assert session.choice is not None
    assert session.choice.why == "there are 4 classes of 55 pictures or more"
    assert (session.run.system, session.run.size) == ("conditional", 16)


def test_mirrored_pictures_do_not(tmp_path: Path) -> None:
    session = Session(RunSettings(mirror=True), {})
    session.open(arrays(tmp_path / "data.npz", 2, 30))
    assert session.data is not None
    assert len(session.data) == 120
    assert session.run.system == "r3gan"


@pytest.mark.parametrize("name", ["ring", "digits", "digits:7"])
def test_what_comes_with_ganworks_stays_what_it_is(name: str) -> None:
    session = session_of(Order(data=name))
    session.open(name)
    assert session.run.system == "r3gan"


def test_a_system_that_is_named_is_not_chosen(tmp_path: Path) -> None:
    session = session_of(Order(system="r3gan"))
    session.open(arrays(tmp_path / "data.npz", 4, 60))
    assert session.choice is None
    assert session.run.system == "r3gan"


def test_the_first_line_says_what_and_why_and_what_else(tmp_path: Path) -> None:
    data = arrays(tmp_path / "data.npz", 4, 60)
    order = Order(data=data, steps=2, run=tmp_path / "run", overrides=SMALL)
    line = train(order).notes[0]
    assert line == (
        "conditional on data: 140 images of 16 x 16, 2 steps of 4, because there are 4 classes of 60 pictures or more; "
        f"r3gan ignores them: ganworks train {data} --system r3gan --steps 2 --set generator.width=4 "
        "--set discriminator.width=4 --set latent.size=4 --set batch=4"
    )
    assert read(tmp_path / "run" / "config.toml")["system"] == "conditional"


def test_a_folder_of_pictures_by_class(tmp_path: Path) -> None:
    """From the files to the settings: what was chosen runs again to the same bits."""
    data = folder(tmp_path / "photos", 2, 60)
    first = train(Order(data=data, steps=3, run=tmp_path / "a", overrides=SMALL, mirror=True, on_bad="skip"))
    written = read(first.run / "config.toml")
    assert {name: written[name] for name in ("system", "size", "mirror", "on_bad", "steps")} == {
        "system": "conditional", "size": 16, "mirror": True, "on_bad": "skip", "steps": 3
    }  # fmt: skip
    second = train(Order(config=first.run / "config.toml", run=tmp_path / "b"))
    assert left(first.run) == left(second.run)
    assert (first.run / "data.json").read_bytes() == (second.run / "data.json").read_bytes()


def test_larger_pictures_are_priced_where_there_is_more_to_see(tmp_path: Path) -> None:
    for side, priced in ((150, True), (70, False)):
        session = session_of(Order(overrides=SMALL))
        session.open(folder(tmp_path / str(side), 0, 4, side))
        session.begin(2)
        found = [note for note in session.notes if note.startswith("pictures of 128 px would take ")]
        assert bool(found) is priced
    assert session.run.size == 64
    for asked in (Order(overrides=SMALL, size=32), Order(overrides=SMALL)):
        session = session_of(asked)
        session.open(tmp_path / "150" if asked.size else arrays(tmp_path / "data.npz", 2, 30))
        session.begin(2)
        assert session.notes == []
