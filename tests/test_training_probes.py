"""Probes: what they find stands in the record, and nothing else changes."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_runs import records
from test_training_loop import careless, final, ready

from ganworks.errors import error
from ganworks.training.loop import Pace


def curious(step: int) -> dict[str, float]:
    """A probe that uses the default generators and computes gradients."""
    careless({})
    return {"probe.step": step, "probe.half": step / 2}


@pytest.mark.parametrize("system", ["gan", "sngan", "lsgan"])
def test_probes_do_not_change_the_bits(system: str, tmp_path: Path) -> None:
    quiet = ready(tmp_path / "quiet", Pace(1000, 1000, 1000), system)
    quiet.play(8)
    asked = ready(tmp_path / "asked", Pace(1, 2, 1000), system, probes=[curious])
    asked.play(8)
    assert final(tmp_path / "quiet") == final(tmp_path / "asked")


def test_what_a_probe_finds_stands_in_the_record_of_its_step(tmp_path: Path) -> None:
    """At the steps of a grid and at the last, also where no record is due, always in the same order."""
    heard: list[Mapping[str, Any]] = []
    loop = ready(tmp_path / "run", Pace(3, 4, 1000), probes=[curious], watchers=[heard.append])
    loop.play(10)
    lines = {line["step"]: line for line in records(tmp_path / "run")}
    assert list(lines) == [1, 3, 4, 6, 8, 9, 10]
    assert {step: line["probe.half"] for step, line in lines.items() if "probe.half" in line} == {4: 2, 8: 4, 10: 5}
    assert list(lines[8]) == [*lines[9], "probe.step", "probe.half"]
    assert [line["step"] for line in heard if "probe.half" in line] == [4, 8, 10]
    assert loop.found == {"probe.step": 10, "probe.half": 5}


def test_a_probe_may_not_replace_what_is_recorded_and_finds_no_nan(tmp_path: Path) -> None:
    odd = {"step": 99.0, "probe.nan": math.nan, "probe.inf": math.inf, "probe.one": 1.0}
    ready(tmp_path / "run", Pace(1, 2, 1000), probes=[lambda step: odd]).play(2)
    text = (tmp_path / "run/metrics.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert records(tmp_path / "run")[-1] | {"step": 2, "probe.one": 1} == records(tmp_path / "run")[-1]


@pytest.mark.parametrize("bad", [ValueError("no"), MemoryError(), error("E-ARG-01", reason="no")])
def test_a_probe_that_fails_is_named_and_dropped(bad: Exception, tmp_path: Path) -> None:
    calls: list[int] = []

    def broken(step: int) -> dict[str, float]:
        calls.append(step)
        raise bad

    assert ready(tmp_path / "run", Pace(1, 2, 1000), probes=[broken, curious]).play(6) == "steps"
    assert calls == [2]
    assert (tmp_path / "run/log.txt").read_text().count("broken failed and is not called again") == 1
    assert [line["step"] for line in records(tmp_path / "run") if "probe.half" in line] == [2, 4, 6]


def test_a_probes_time_is_no_training_time(tmp_path: Path) -> None:
    def slow(step: int) -> dict[str, float]:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return {}

    loop = ready(tmp_path / "run", Pace(1, 1, 1000), probes=[slow])
    begun = time.process_time()
    loop.play(4)
    assert time.process_time() - begun > 1.2
    assert loop.seconds < time.process_time() - begun - 1.2
