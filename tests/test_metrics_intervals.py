"""Intervals of all scores: the value lies inside, always, and they cover what they should."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import intervals
from ganworks import metrics
from ganworks.errors import UsageError
from ganworks.theory import ring


@given(
    seed=st.integers(0, 10**6),
    counts=st.tuples(st.integers(2, 60), st.integers(2, 60)),
    dimensions=st.integers(1, 6),
    kind=st.sampled_from(["normal", "few values", "copies", "constant", "half constant"]),
    level=st.sampled_from([0.5, 0.95, 0.999]),
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_value_lies_in_its_interval(
    seed: int, counts: tuple[int, int], dimensions: int, kind: str, level: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    real, fake = (torch.randn(count, dimensions, generator=random).double() for count in counts)
    if kind == "few values":
        real, fake = real.round(), fake.round()
    elif kind == "copies":
        fake = real[torch.randint(counts[0], (counts[1],), generator=random)]
    elif kind == "constant":
        real, fake = torch.zeros_like(real), torch.ones_like(fake)
    elif kind == "half constant":
        fake = torch.ones_like(fake)
    points = torch.randn(counts[1], 2, generator=random)
    for name in metrics.names():
        sets: tuple[Any, Any] = (ring(), points) if name in intervals.MODES else (real, fake)
        options = {"held_out": real.flip(0) + 0.1} if name in intervals.SETS_OF_THREE else {}
        try:
            found = metrics.score(name, *sets, level=level, **options)
        except UsageError:
            continue
        assert math.isfinite(found.value)
        if found.low is None or found.high is None:
            assert found.low is found.high
            continue
        assert math.isfinite(found.low)
        assert math.isfinite(found.high)
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("case", intervals.SMALL, ids=lambda case: case.name)
def test_intervals_hold_their_target(case: intervals.Case) -> None:
    """25 repetitions; with intervals that hold in 95 %, one count in 150 is below 0.84."""
    arm = intervals.measure(case, 25)
    found = {name: each["coverage"] for name, each in arm.items() if name != "cpu_seconds"}
    assert set(found) <= set(case.metrics)
    assert found
    assert min(found.values()) >= 0.84, found


def test_intervals_that_are_too_narrow_are_noticed() -> None:
    found = intervals.measure(intervals.SMALL[1], 60, level=0.5)
    assert max(found[name]["coverage"] for name in ("reverse_kl", "std_ratio")) < 0.85


def test_every_metric_is_in_a_case() -> None:
    assert {name for case in intervals.CASES for name in case.metrics} == set(metrics.names())


def test_smoke_of_the_experiment(tmp_path: Path) -> None:
    """Three repetitions cannot tell 95 % from all."""
    code = intervals.main(["--smoke"], tmp_path)
    found = json.loads((tmp_path / "intervals-smoke.json").read_text())
    assert list(found["arms"]) == [case.name for case in intervals.SMALL]
    assert code == (0 if found["passed"] else 6)
    assert not found["passed"]
