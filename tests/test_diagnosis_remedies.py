"""Remedies: what a verdict says to do is a command that can be meant, for every system, and that changes the run."""

import json
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from diagnosed import PLAIN, told
from test_docs import arguments

from ganworks import history, systems
from ganworks.cli import options
from ganworks.cli.app import _verb_first
from ganworks.diagnosis import ward
from ganworks.diagnosis.verdict import Verdict
from ganworks.session import Order, session_of
from ganworks.settings import dump

NAMES = [name for name in PLAIN if name != "ignored_condition"]
SYSTEMS = ("gan", "r3gan", "wgan_gp", "conditional", "semisupervised")
"""One of each kind of settings; ten would take twice the time and show nothing else."""


FAILING: dict[str, dict[str, Any]] = {
    "vanishing_gradient": {"objective.loss": "minimax"},
    "frozen": {"generator.lr": 0.0},
}
"""What must be so in the settings of a run for its verdict to be given."""


@cache
def files(system: str, given: str) -> tuple[str, str]:
    """Settings, and what is known of the data, as `train` leaves them; the same for every test."""
    source = "ring" if "points" in systems.get(system).accepts else "digits"
    session = session_of(Order(data=source, system=system, overrides=json.loads(given)))
    session.open(source)
    settings = session.begin(1200).system.settings
    return dump(session.run, settings), session.about


def run(folder: Path, system: str, name: str, **given: Any) -> Path:
    """The folder of a run that fails in a way."""
    path = folder / "a run" / system
    path.mkdir(parents=True)
    for file, text in zip(
        ("config.toml", "data.json"), files(system, json.dumps(FAILING.get(name, {}) | given)), strict=True
    ):
        (path / file).write_text(text)
    return path


def verdict(path: Path, name: str) -> Verdict:
    """On records that show it, of a run with these settings."""
    found = ward.of_series(told(PLAIN[name][0], settings=history.configured(path)), path)
    assert found[0].name == name
    return found[0]


def told_to(remedy: str) -> Order:
    """The order that a command gives."""
    given = arguments(options.spread(_verb_first(shlex.split(remedy)[1:])))
    overrides = options.overrides(given.get("settings") or [], "train")
    return Order(config=Path(given["config"]), patience=given.get("patience"), overrides=overrides)


def flat(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def changed(path: Path, remedy: str) -> dict[str, tuple[Any, Any]]:
    """What the training that a command starts has other than the run: (before, after)."""
    session = session_of(told_to(remedy))
    session.open(session.run.data)
    session.begin(session.run.steps)
    before, after = flat(history.configured(path)), flat(session.settings)
    return {key: (before.get(key), value) for key, value in after.items() if before.get(key) != value}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_remedy_is_a_training_that_can_begin_and_differs(system: str, name: str, tmp_path: Path) -> None:
    path = run(tmp_path, system, name)
    remedy = verdict(path, name).remedy
    given = told_to(remedy)
    differs = changed(path, remedy)
    asked = {*given.overrides} | ({"patience"} if given.patience else set())
    assert asked
    assert asked <= set(differs), "a setting that stays as it was mends nothing"
    assert set(differs) <= asked, "nothing else changes"


def test_the_remedy_for_labels_that_are_ignored(tmp_path: Path) -> None:
    for weight in (0.0, 1.0):
        path = run(tmp_path / str(weight), "conditional", "ignored_condition", projection=weight)
        before, after = changed(path, verdict(path, "ignored_condition").remedy)["projection"]
        assert after > before


@pytest.mark.parametrize(("system", "key"), [("acgan", "classification"), ("biggan", "turns.discriminator")])
def test_systems_without_a_projection_of_their_own_have_another_remedy(system: str, key: str, tmp_path: Path) -> None:
    path = run(tmp_path, system, "ignored_condition")
    differs = changed(path, verdict(path, "ignored_condition").remedy)
    assert {*differs} == {key}
    before, after = differs[key]
    assert after > before


@pytest.mark.parametrize(
    ("name", "settings", "key"),
    [
        ("weak_discriminator", {"view.noise": 5.0}, "view.noise"),
        ("weak_discriminator", {"objective.flip": 0.4}, "objective.flip"),
        ("weak_discriminator", {"turns.generator": 5}, "turns.generator"),
        ("mode_collapse", {"objective.loss": "minimax"}, "objective.loss"),
        ("oscillation", {"turns.simultaneous": True}, "turns.simultaneous"),
        ("frozen", {}, "generator.lr"),
        ("vanishing_gradient", {}, "objective.loss"),
        ("divergence", {"generator.lr": 0.1}, "generator.lr"),
        ("overtrained", {}, "patience"),
        ("not_finite", {"discriminator.lr": 0.5}, "discriminator.lr"),
    ],
)
def test_a_remedy_goes_to_the_cause(name: str, settings: dict[str, Any], key: str, tmp_path: Path) -> None:
    path = run(tmp_path, "gan", name, **settings)
    assert key in changed(path, verdict(path, name).remedy)


def test_penalties_that_are_most_of_the_loss_are_taken_down(tmp_path: Path) -> None:
    path = run(tmp_path, "gan", "weak_discriminator", **{"objective.r1": 50.0})
    columns = PLAIN["weak_discriminator"][0] | {"discriminator.adversarial": 0.7, "discriminator.r1": 60.0}
    (found,) = ward.of_series(told(columns, settings=history.configured(path)), path)
    before, after = changed(path, found.remedy)["objective.r1"]
    assert (before, after) == (50, 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_remedy_of_a_mended_run_goes_further(name: str, tmp_path: Path) -> None:
    """What has been tried and has not helped is not said again."""
    path = run(tmp_path, "gan", name)
    for attempt in range(3):
        settings = history.configured(path)
        if "patience" in settings or (name == "frozen" and settings["generator"]["lr"]):
            return  # it has been given all that there is to give
        order = told_to(verdict(path, name).remedy)
        differs = changed(path, verdict(path, name).remedy)
        assert {*order.overrides} <= {*differs}, f"attempt {attempt + 1} changes nothing"
        session = session_of(order)
        session.open("ring")
        engine = session.begin(1200)
        (path / "config.toml").write_text(dump(session.run, engine.system.settings))


def test_schedules_have_remedies_too(tmp_path: Path) -> None:
    falling = {"from": 1e-2, "to": 1e-4, "over": [0.0, 1.0]}
    given = {"generator.lr": falling, "view.noise": falling, "objective.r1": falling, "objective.loss": "minimax"}
    path = run(tmp_path, "gan", "mode_collapse", **given)
    for name in NAMES:
        assert changed(path, verdict(path, name).remedy)


def test_a_healthy_run_has_nothing_to_mend() -> None:
    assert [each.remedy for each in ward.of_series(told(), Path("run"))] == [""]


def test_a_remedy_that_changes_nothing_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: the settings that the run has already."""
    monkeypatch.setattr("ganworks.diagnosis.remedies.changes", lambda *told: {"objective.loss": "non_saturating"})
    with pytest.raises(AssertionError):
        test_a_remedy_is_a_training_that_can_begin_and_differs("gan", "mode_collapse", tmp_path)
