"""Small versions of the benchmarks: they run, and they can fail."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import memory, metrics, overhead, probes, step_cost
from benchmarks.cost import cost
from experiments.record import Record
from ganworks import data as datasets


def test_a_short_run_does_not_grow_and_a_leak_is_seen():
    assert memory.slope(400)["slope"] < 100  # over so few steps allocators still settle
    assert memory.slope(160, leak=500_000)["slope"] > 300  # 500 kB at each of 1,000 records is 500 MB


def test_the_engine_is_measured_beside_a_bare_loop():
    found = overhead.compare("gan", datasets.open("ring"), rounds=5, joint=True, blocks=3)
    assert found["ratio"] > 0.5  # nothing to do with the bar: here every call is checked for its shapes
    assert found["low"] <= found["ratio"] <= found["high"]


def test_the_probes_are_measured_beside_the_training():
    settings = {"generator.width": 4, "discriminator.width": 4, "batch": 4}
    found = probes.share("ring", steps=52, system="gan", **settings)
    assert found["share"] > probes.BAR  # so few steps have as many looks as the whole run
    parts = ("prepared_seconds", "preflight_seconds", "Distance_seconds", "Examination_seconds")
    assert all(found[part] > 0 for part in parts)
    assert found["share"] == pytest.approx(sum(found[part] for part in parts) / found["training_seconds"])


@pytest.mark.parametrize("linear", [True, False])
def test_a_step_is_measured_beside_the_tutorials(linear):
    found = step_cost.compare("float32", linear, blocks=2, rounds=1, **{"generator.width": 4, "discriminator.width": 4})
    assert found["ratio"] > 0.3
    assert found["low"] <= found["ratio"] <= found["high"]


@pytest.mark.parametrize("linear", [True, False])
def test_the_plain_loop_plays_the_same_networks(linear):
    """The same pictures and the same logits from the same weights, which are as many."""
    ours = overhead.engine("dcgan", overhead.pictures(), **{"generator.width": 8, "discriminator.width": 8}).system
    generator, discriminator = step_cost.networks(ours, linear)
    z, x = torch.randn(16, 100), torch.rand(16, 3, 32, 32) * 2 - 1
    drawn = generator(z if linear else z[:, :, None, None])
    torch.testing.assert_close(drawn, ours.generator(z), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(discriminator(x).view(-1), ours.discriminator(x), rtol=1e-4, atol=1e-6)
    plain = [*generator.parameters(), *discriminator.parameters()]
    assert sorted(p.numel() for p in plain) == sorted(p.numel() for p in ours.parameters())
    assert all(p.is_contiguous() and p.dtype == torch.float32 and p.grad is None for p in plain)


def test_the_cost_of_a_call_is_its_own_time_that_of_its_children_and_its_peak():
    def run(megabytes: float) -> int:
        subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"], check=True)
        return np.ones(int(megabytes * 125_000)).nbytes

    found = cost(lambda: (300.0,), run)
    assert found["value"] == 300_000_000
    assert 250 < found["megabytes"] < 500
    assert 0.1 < found["cpu_seconds"] < 10
    nothing = cost(lambda: (0.0,), lambda _: 0)
    assert nothing["cpu_seconds"] < 0.1


@pytest.mark.parametrize("metric", [task["metric"] for task in metrics.TASKS.values()])
def test_a_call_of_ours_is_measured(metric):
    shape = [80, 8] if metric == "kernel_distance" else [80, 70, 8]
    found = metrics.ours(metric, shape)
    assert found["cpu_seconds"] >= 0
    assert len(found["value"]) == (4 if metric == "neighbours" else 1)


def test_metrics_are_compared_in_turn_in_processes_of_their_own(tmp_path):
    told = tmp_path / "order"
    child = tmp_path / "child.py"
    child.write_text(
        "import json, os, sys\n"
        f"open({str(told)!r}, 'a').write(f'{{os.getpid()}} {{os.environ[\"OMP_NUM_THREADS\"]}}\\n')\n"
        "asked = json.load(sys.stdin)\n"
        "print(json.dumps({'cpu_seconds': asked['seconds'], 'megabytes': 1.0, 'value': {'a': 2.0}}))\n"
    )
    runs = {
        name: partial(metrics.asked, Path(sys.executable), ("child",), {"seconds": seconds})
        for name, seconds in (("ours", 1.0), ("theirs", 4.0))
    }
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(tmp_path)
    try:
        found = metrics.compared(runs, repeats=2)
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    assert found["theirs"] == {"cpu_seconds": 4.0, "all_cpu_seconds": [4.0, 4.0], "megabytes": 1.0, "value": {"a": 2.0}}
    lines = told.read_text().split("\n")[:-1]
    assert len(set(lines)) == 4
    assert all(line.endswith(" 1") for line in lines)


def judged(tmp_path: Path, **changes: dict[str, Any]) -> list[object]:
    """Whether each bar of the neighbours is passed, from numbers that pass them all but for some changes."""
    name, task = list(metrics.TASKS.items())[2]
    found: dict[str, Any] = {
        "ours": {"cpu_seconds": 3.0, "megabytes": 400.0, "value": {"recall": 0.5}},
        "prdc, one call, float64": {"cpu_seconds": 10.0, "megabytes": 2000.0, "value": {"recall": 0.5}},
        "prdc, one call, float32": {"cpu_seconds": 12.0, "megabytes": 1500.0, "value": {"recall": 0.5}},
    }
    for contender, change in changes.items():
        found["ours" if contender == "ours" else f"prdc, one call, {contender}"] |= change
    record = Record("metrics", "claim", (), folder=tmp_path / "benchmarks" / "results")
    metrics.judge(record, name, task, found)
    return [bar["passed"] for bar in record.bars]


def test_the_bars_of_the_metrics_can_fail(tmp_path):
    """Against the better of the peers, time and memory apart; a peer whose number is wrong does not count."""
    assert judged(tmp_path) == [True, True, True]
    assert judged(tmp_path, ours={"cpu_seconds": 3.6}) == [False, True, True]
    assert judged(tmp_path, float32={"cpu_seconds": 5.0}) == [False, True, True]
    assert judged(tmp_path, float32={"cpu_seconds": 5.0, "value": {"recall": 0.51}}) == [True, True, True]
    assert judged(tmp_path, ours={"megabytes": 460.0}) == [True, False, True]
    assert judged(tmp_path, ours={"megabytes": 1600.0}) == [True, False, False]
