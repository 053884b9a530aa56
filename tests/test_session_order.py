"""An order: what it becomes before any data is opened, and how it is typed."""

import shlex
from pathlib import Path

import pytest

from ganworks.cli import options
from ganworks.cli.app import _verb_first, build
from ganworks.errors import ResourceError, UsageError
from ganworks.session.order import Order, command, judge
from ganworks.settings import dump


def test_defaults_then_the_file_then_set_then_own_options(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'data = "ring"\nsystem = "gan"\nsize = 32\nmirror = true\nbatch = 16\n[objective]\nloss = "hinge"\n'
    )
    overrides = {"size": 48, "on_bad": "skip", "objective.loss": "least_squares"}
    judged = judge(Order(config=path, overrides=overrides, size=64, batch=8))
    assert (judged.run.data, judged.run.system) == ("ring", "gan")
    assert (judged.run.size, judged.run.mirror, judged.run.on_bad) == (64, True, "skip")
    assert judged.given == {"batch": 8, "objective": {"loss": "least_squares"}}


def test_without_a_system_the_default_ones_settings_are_judged() -> None:
    judged = judge(Order(overrides={"turns.one_pass": False}))
    assert judged.run.system == ""
    assert judged.given == {"turns": {"one_pass": False}}


def test_a_batch_to_be_measured_is_no_setting() -> None:
    judged = judge(Order(batch="auto"))
    assert judged.measure_batch
    assert judged.given == {}


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order(steps=3, time=1.0), "--steps and --time"),
        (Order(patience=-1), "setting 'patience'"),
        (Order(processes=2), "'--processes' is not built yet"),
        (Order(overrides={"on_bad": "ignore"}), "setting 'on_bad'"),
        (Order(size=-1), "setting 'size'"),
        (Order(log=("tensorbord",)), "unknown logger 'tensorbord'"),
        (Order(start_from=Path("nowhere")), "nowhere is no run"),
    ],
)
def test_what_cannot_be_meant(order: Order, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        judge(order)


def test_a_run_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E-RUN-01"):
        judge(Order(run=tmp_path))


def test_a_logger_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganworks.training.loggers.find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="E-ENV-21") as caught:
        judge(Order(log=("tensorboard",)))
    assert caught.value.remedy == "pip install 'ganworks[tensorboard]'"


ORDERS = [
    Order(),
    Order(data="ring", system="gan", time=90.0, seed=0, batch="auto"),
    Order(data=Path("-my photos"), steps=300, size=64, mirror=True, on_bad="skip", log=("tensorboard",)),
    Order(data="x", start_from=Path("runs/a b"), run=Path("it's"), held_out="y", config=Path("a.toml")),
    Order(data="x", overrides={"objective.loss": "hinge", "generator.betas": [0.5, 0.9], "name": "5", "on": True}),
    Order(data="x", overrides={"generator.lr": {"from": 1e-3, "to": 0.0}}, patience=3, processes=1, device="cpu"),
]


@pytest.mark.parametrize("order", ORDERS)
def test_typed_and_read_it_is_the_same_order(order: Order) -> None:
    program, *words = shlex.split(command(order))
    assert program == "ganworks"
    verb, bound, _ = build().parse_args(options.spread(_verb_first(words)), exit_on_error=False, print_error=False)
    assert verb.__name__ == "train"
    given = dict(bound.arguments)
    read = Order(
        data=given.pop("data", None),
        overrides=options.overrides(given.pop("settings", []), "train"),
        batch=options.batch(given.pop("batch"), "train") if "batch" in given else None,
        time=options.seconds(given.pop("time"), "train") if "time" in given else None,
        log=tuple(given.pop("log", ())),
        **given,
    )
    assert command(read) == command(order)
    for name in ("system", "steps", "time", "seed", "batch", "size", "mirror", "overrides", "log", "run", "config"):
        assert getattr(read, name) == getattr(order, name)


def test_changes_are_laid_over_it() -> None:
    order = Order(data="ring", batch=512, run=Path("here"), overrides={"view.pack": 2})
    assert command(order, batch=256, run=None) == "ganworks train ring --batch 256 --set view.pack=2"


def test_data_without_a_name() -> None:
    assert command(Order(data=[[1.0]], steps=3)) == "ganworks train DATA --steps 3"


def test_settings_that_are_written_are_judged_again(tmp_path: Path) -> None:
    judged = judge(Order(data="ring", size=64, mirror=True, on_bad="skip", seed=5))
    (tmp_path / "config.toml").write_text(dump(judged.run))
    assert judge(Order(config=tmp_path / "config.toml")).run == judged.run
