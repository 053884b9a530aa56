"""What results.png shows: which numbers become which panel, and that nothing a file holds breaks the drawing."""

import io
import json
import math
import random
from pathlib import Path

import pytest
from PIL import Image
from report_runs import COLLAPSE, HEALTHY, a_run, few_records, png, records

from ganworks import history, report
from ganworks.report import pictures
from ganworks.report.drawing import picture
from ganworks.report.panels import Panel, panels

TITLES = [
    "Loss of each player", "Parts of the discriminator's loss", "What D says (logits)", "Size of the gradients",
    "Learning rates", "How often D tells real from generated", "Variety of samples, as a share of real data's",
    "Distance to held-out data", "Beside the best there is", "Score: recall",
]  # fmt: skip


def by_title(lines: list[dict[str, float]]) -> dict[str, Panel]:
    return {panel.title: panel for panel in panels(lines)}


def test_every_panel_is_there_where_its_numbers_are_and_only_there() -> None:
    assert list(by_title(records())) == TITLES
    assert list(by_title(few_records())) == ["Loss of each player"]
    assert panels([]) == []
    for family, title in (("logit.", 2), ("gradient.", 3), ("probe.distance", 7), ("optimum.", 8), ("score.", 9)):
        fewer = [{name: value for name, value in each.items() if not name.startswith(family)} for each in records()]
        assert list(by_title(fewer)) == TITLES[:title] + TITLES[title + 1 :]


def test_a_loss_is_the_sum_of_its_terms_and_no_probe_is_a_term() -> None:
    """Without learning rates every name with a dot might be taken for a player's term."""
    for dropped in ("", ".lr"):
        lines = [{k: v for k, v in each.items() if not dropped or not k.endswith(dropped)} for each in records()]
        whole, parts = (by_title(lines)[title] for title in TITLES[:2])
        assert [line.name for line in whole.lines] == ["discriminator", "generator"]
        assert whole.lines[0].curve.values[-1] == pytest.approx(0.4 + 0.05)
        assert [line.name for line in parts.lines] == ["adversarial", "r1"]


def test_sparse_numbers_keep_the_steps_they_were_measured_at() -> None:
    accuracy = by_title(records())["How often D tells real from generated"]
    assert accuracy.level == (0.5, "by chance")
    assert accuracy.lines[0].curve.steps == list(range(20, 201, 20))
    assert accuracy.lines[0].curve.values == pytest.approx([place / 10 for place in range(1, 11)])


def test_floors_intervals_and_scales() -> None:
    found = by_title(records())
    assert [line.floor for line in found["Distance to held-out data"].lines] == [False, False, True]
    (score,) = found["Score: recall"].lines
    assert score.band is not None
    assert [curve.values[0] for curve in score.band] == pytest.approx([0.0, 0.2])
    assert found["Size of the gradients"].log
    assert found["Variety of samples, as a share of real data's"].level == (1.0, "as real")
    without = by_title([{k: v for k, v in each.items() if k != "score.recall.low"} for each in records()])
    assert without["Score: recall"].lines[0].band is None


def test_equal_curves_are_one_line_under_both_names() -> None:
    lines = [{**each, "generator.lr": each["discriminator.lr"]} for each in records()]
    (rate,) = by_title(lines)["Learning rates"].lines
    assert rate.name == "discriminator, generator"


def test_long_runs_are_thinned_from_end_to_end() -> None:
    (loss,) = panels({"step": step, "generator.adversarial": float(step)} for step in range(1, 50_001))[0].lines
    assert 2_000 <= len(loss.curve.steps) <= 4_000
    assert loss.curve.steps[0] == 1
    assert loss.curve.steps[-1] > 49_900
    assert loss.curve.values == loss.curve.steps


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        return opened.size


def test_the_picture_has_three_frames_a_row() -> None:
    shown = panels(records())
    assert size(picture(shown, {})) == (1260, 1200)
    assert size(picture(shown[:2], {})) == (840, 300)
    assert size(picture([], {"frozen": 3})) == (420, 300)


def test_a_finding_is_a_line_in_the_picture_and_health_is_none(tmp_path: Path) -> None:
    drawn = {}
    for name, verdict in {"none": None, "healthy": HEALTHY | {"since_step": 100}, "collapse": COLLAPSE}.items():
        run = a_run(tmp_path / name, verdicts=[verdict] if verdict else [])
        drawn[name] = report.write(run, run)[0].read_bytes()
    assert drawn["none"] == drawn["healthy"] != drawn["collapse"]
    shown = panels(few_records())
    assert picture(shown, {"a": 50}) != picture(shown, {"a": 150})
    assert picture(shown, {"a": 50}) != picture(shown, {"b": 50})


def test_a_training_that_blows_up_shows_what_was_before() -> None:
    """On a linear scale all but the last values would lie on 0."""
    calm = [{"step": step, "generator.adversarial": 1.0} for step in range(1, 100)]
    rising = [{"step": 100 + place, "generator.adversarial": 10.0**place} for place in range(1, 10)]
    last = {"step": 110, "generator.adversarial": 1e30}
    flat = [{**each, "generator.adversarial": 1.0} for each in rising]
    assert picture(panels([*calm, *rising, last]), {}) != picture(panels([*calm, *flat, last]), {})


ODD = [0.0, -0.0, 1e99, -1e99, 1e-320, 10**400, -(10**30), math.nan, math.inf, None, True, "x", [], {}]


def test_nothing_that_a_line_may_hold_breaks_the_drawing(tmp_path: Path) -> None:
    """Every warning is an error here, so an overflow or a missing letter would fail too."""
    names = [
        *records()[-1],
        "probe.label",
        "probe.label_chance",
        "$x_{",
        "生成器.損失",
        "a.b.c",
        ".",
        "..lr",
        "x" * 300,
        *("$\\frac$.lr", "$\\frac$.$\\frac$", "_.lr", "_._", "_.__"),
    ]
    draw = random.Random(0)
    for trial in range(6):
        count = draw.choice((1, 2, 40))
        lines = [
            {name: draw.choice([*ODD, draw.gauss(0, 1)]) for name in names if draw.random() < 0.8}
            | {"step": draw.choice((0, place, 2**63 - 1))}
            for place in range(count)
        ]
        verdict = COLLAPSE | {"name": "検証 $\\frac", "since_step": draw.choice((0, 5, 2**63 - 1))}
        run = a_run(tmp_path / str(trial), lines, [verdict])
        image, _ = report.write(run, tmp_path / "out")
        assert size(image.read_bytes()) > (0, 0)


def test_names_without_end_are_left_out() -> None:
    shown = panels([{f"player{number}.lr": 1.0, f"player{number}.loss": 1.0, "step": 1} for number in range(500)])
    assert sum(len(line.name.split(", ")) for panel in shown for line in panel.lines) <= 200
    assert size(picture(shown, {}))[0] <= 1260


def test_a_picture_is_taken_as_it_is_unless_it_is_large() -> None:
    small = pictures.embedded(png(64))
    assert small is not None
    assert (small.width, small.height, small.wide) == (64, 64, False)
    assert small.address.startswith("data:image/png;base64,")
    large = pictures.embedded(png(2_000))
    assert large is not None
    assert (large.width, large.height) == (1_200, 1_200)
    loud = pictures.embedded(png(2_000, noise=True))
    assert loud is not None
    assert len(loud.address) < 410_000
    for broken in (b"", b"\x89PNG\r\n\x1a\n", png(64, noise=True)[:-500], b"GIF89a"):
        assert pictures.embedded(broken) is None


def test_verdicts_are_read_with_the_records_of_history(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", records())
    assert [each["name"] for each in history.records(run, file="verdicts.jsonl")] == ["healthy", "mode_collapse"]
    assert len(list(history.records(run))) == 100
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 200
