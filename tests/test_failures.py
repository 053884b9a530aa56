"""The gallery of failures: each can be meant, its remedy changes it, and what is trained is what the verdict types."""

import json
import math
import shlex
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import asking, at_step, left, signalling

from ganworks import data, history
from ganworks.cli.app import main
from ganworks.data import pictures
from ganworks.diagnosis import remedies
from ganworks.diagnosis.rules import Finding
from ganworks.diagnosis.series import Series
from ganworks.diagnosis.verdict import NAMES, Verdict
from ganworks.errors import UsageError
from ganworks.failures import staging
from ganworks.failures.recipes import GALLERY, Failure, named
from ganworks.failures.staging import FEW, Staged, Training, measured, stage
from ganworks.session import Order, resume, session_of

SMALL = {"generator.width": 8, "discriminator.width": 8, "sample.every": 16}
CAUSES = {"frozen": "generator.lr", "vanishing_gradient": "minimax"}
"""What of several causes a recipe plants."""

each_failure = pytest.mark.parametrize("failure", GALLERY, ids=lambda failure: failure.name)


def small(name: str, steps: int = 48, **changes: Any) -> Failure:
    """A failure of a second."""
    failure = named(name)
    assert failure
    return replace(failure, steps=steps, settings={**failure.settings, **SMALL}, **changes)


# Recipes


def test_there_is_a_failure_for_each_verdict_but_the_good_one() -> None:
    assert sorted(failure.name for failure in GALLERY) == sorted(set(NAMES) - {"healthy"})
    assert named("healthy") is None


@each_failure
def test_a_recipe_can_be_meant_and_so_can_its_remedy(failure: Failure, tmp_path: Path) -> None:
    order = staging.ordered(failure, tmp_path, seed=3)
    session = session_of(order)
    session.open("digits" if failure.data == FEW else failure.data)
    session.begin(failure.steps)
    settings, shape = session.settings, session.data.spec.shape if session.data else ()
    told = Series([], settings, failure.steps)
    finding = Finding(failure.name, 1, 9, 9, [], CAUSES.get(failure.name, ""))
    changed = dict(remedies.changes(finding, told, math.prod(shape)))
    assert changed
    assert all(told.setting(key) != value for key, value in changed.items())
    patience = changed.pop("patience", None)
    session_of(replace(order, patience=patience, overrides={**failure.settings, **changed}))


@each_failure
def test_a_recipe_claims_more_than_nothing(failure: Failure) -> None:
    assert failure.factor > 1
    assert failure.shows.endswith(".")


# On the stage


def test_the_mended_run_is_what_the_verdict_types(tmp_path: Path) -> None:
    """The classic mistake: a demonstration with a remedy of its own, better than the one that users are told."""
    frozen = stage(small("frozen"), tmp_path / "failures", seed=5)
    assert [training.run.name for training in frozen.runs] == ["failing", "mended"]
    assert {training.run.parent.name for training in frozen.runs} == {"frozen"}
    for training in frozen.runs:
        run = history.read(training.run)
        assert (run.state, run.step, run.checkpoint) == ("finished", 48, 48)
        assert history.configured(training.run)["seed"] == 5
    remedy = frozen.failing.verdicts[0].remedy
    assert main([*shlex.split(remedy)[1:], "--run", str(tmp_path / "typed"), "--quiet"]) == 0
    assert frozen.mended
    assert left(tmp_path / "typed") == left(frozen.mended.run)
    assert left(tmp_path / "typed")["state"] != left(frozen.failing.run)["state"]


def test_the_first_verdict_is_that_of_the_failure(tmp_path: Path) -> None:
    frozen = stage(small("frozen"), tmp_path)
    assert frozen.failing.verdicts[0].name == "frozen"
    assert frozen.mended
    assert "frozen" not in [verdict.name for verdict in frozen.mended.verdicts]
    looks = [record["probe.spread"] for record in history.records(frozen.failing.run) if "probe.spread" in record]
    assert frozen.failing.value == np.median(looks[-3:])
    config = frozen.failing.run / "config.toml"
    order = staging.remedied(frozen.failing.run, tmp_path / "new")
    assert order == Order(config=config, run=tmp_path / "new", overrides={"generator.lr": 1e-3})


def test_a_training_that_ends_with_numbers_that_are_not_finite_is_diagnosed_and_mended(tmp_path: Path) -> None:
    staged = stage(small("not_finite", steps=100), tmp_path)
    assert history.read(staged.failing.run).state == "failed"
    assert staged.failing.verdicts[0].name == "not_finite"
    assert staged.mended
    assert staged.failing.value
    assert staged.failing.value < 40
    assert (history.read(staged.mended.run).state, staged.mended.value) == ("finished", 100)
    assert staged.factor == 100 / staged.failing.value


def test_few_digits_are_a_few_of_the_training_part_beside_many_of_the_held_out_one(tmp_path: Path) -> None:
    staged = stage(small("frozen", steps=4, data=FEW), tmp_path)
    assert staged.mended is None, "four steps are too short to tell"
    assert (staged.failing.verdicts, staged.factor, staged.held) == ([], None, False)
    few, held_out = (np.load(tmp_path / "frozen" / name) for name in ("few.npy", "held_out.npy"))
    digits = data.open("digits")
    assert digits.held_out is not None
    parts = [
        {row.tobytes() for row in pictures.pixels(part.rows(torch.arange(len(part)))["x"])}
        for part in (digits, digits.held_out)
    ]
    assert len({row.tobytes() for row in few}) == len(few) == 64
    assert len(held_out) == 500
    assert {row.tobytes() for row in few} <= parts[0]
    assert {row.tobytes() for row in held_out} <= parts[1]
    spec = json.loads((staged.failing.run / "data.json").read_text())
    assert (spec["count"], spec["shape"]) == (64, [1, 28, 28])
    assert history.configured(staged.failing.run)["held_out"] == str(tmp_path / "frozen" / "held_out.npy")


# What is measured


def run_of(path: Path, values: list[float | None], best: int = 0) -> Path:
    """The records of a run with a look every ten steps, which has kept the model of one of them."""
    path.mkdir()
    lines = []
    for place, value in enumerate(values, 1):
        step = 10 * place
        score = {f"score.jsd{end}": abs(step - best) + width for end, width in (("", 0), (".low", -1), (".high", 1))}
        found = {"step": step, "probe.accuracy": 0.5, "probe.kinds": value, **(score if best else {})}
        lines += [{"step": step - 5, "probe.kinds": 99.0}, found]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if best:
        (path / "best").mkdir()
        (path / "best" / "config.json").write_text(json.dumps({"step": best}))
    return path


def test_the_measure_is_the_median_over_the_last_third_of_the_looks(tmp_path: Path) -> None:
    assert measured(run_of(tmp_path / "a", [9, 9, 9, 9, 9, 9, 9, 9, 1, 4, 2, 30]), "probe.kinds") == 3
    assert measured(run_of(tmp_path / "b", [9, 9, 1, None, 3]), "probe.kinds") == 2
    assert measured(tmp_path / "b", "probe.unheard_of") is None
    assert measured(tmp_path / "b", "step") == 50
    assert measured(run_of(tmp_path / "c", []), "step") is None


def test_a_run_that_has_kept_its_best_look_is_measured_there(tmp_path: Path) -> None:
    assert measured(run_of(tmp_path / "a", [1, 2, 3, 4, 5, 6, 7], best=20), "probe.kinds") == 2


@pytest.mark.parametrize(
    ("better", "before", "after", "factor"),
    [
        ("more", 2.0, 6.0, 3.0), ("less", 6.0, 2.0, 3.0), ("more", 6.0, 2.0, 1 / 3), ("more", 0.0, 1.0, math.inf),
        ("less", 1.0, 0.0, math.inf), ("more", 0.0, 0.0, 1.0), ("more", None, 1.0, None), ("less", 1.0, None, None),
        ("more", -1.0, 1.0, None),
    ],
)  # fmt: skip
def test_the_factor_is_that_of_an_improvement(
    better: str, before: float | None, after: float | None, factor: float | None
) -> None:
    verdicts: list[Verdict] = []
    ends = Training(Path("a"), verdicts, before), Training(Path("b"), verdicts, after)
    staged = Staged(replace(GALLERY[0], better=better, factor=3.0), *ends)
    assert staged.factor == factor
    assert staged.held is (factor is not None and factor >= 3)


# What goes wrong


def test_a_failure_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError) as caught:
        stage(small("frozen"), tmp_path)
    assert caught.value.code == "E-RUN-06"
    assert caught.value.remedy == f"ganworks failure frozen --out {tmp_path}-2"
    assert [path.name for path in tmp_path.rglob("*")] == ["frozen", "mine.txt"]


def test_what_cannot_be_meant_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        stage(small("frozen", system="gun"), tmp_path / "failures")
    with pytest.raises(UsageError):  # that is known once the data are open
        stage(small("frozen", system="dcgan"), tmp_path / "others")
    assert list(tmp_path.rglob("*")) == [tmp_path / "others"]


@pytest.mark.parametrize("how", ["signal", "request"])
def test_a_stop_ends_it_with_a_run_that_can_be_resumed(tmp_path: Path, how: str) -> None:
    assert threading.current_thread() is threading.main_thread()
    run = tmp_path / "frozen" / "failing"
    stop = signalling(signal.SIGINT) if how == "signal" else asking(run, "stop")
    told: list[str] = []

    def hear(record: Mapping[str, Any]) -> None:
        told.append(str(record.get("message", "")))

    staged = stage(small("frozen"), tmp_path, 0, [at_step(20, stop), hear])
    assert staged.cut_short
    assert (staged.cut_short.stopped, staged.cut_short.signal) == (how, signal.SIGINT if how == "signal" else None)
    assert staged.mended is None
    assert not any(line.startswith("2 of 2") for line in told)
    assert resume(run).step == 48


# The page


@each_failure
def test_the_page_tells_of_every_failure_with_what_it_claims(failure: Failure) -> None:
    text = (Path(__file__).parent.parent / "docs" / "failures.md").read_text()
    assert f"\n## {failure.name}\n" in text
    (row,) = [line for line in text.splitlines() if line.startswith(f"| [`{failure.name}`]")]
    _, _, measure, _, _, factor, claimed, _ = (cell.strip() for cell in row.split("|"))
    assert (measure, float(claimed)) == (f"`{failure.measure}`", failure.factor)
    assert float(factor.replace(",", "")) >= failure.factor
