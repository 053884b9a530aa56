"""Small versions of the benchmarks: they run, and they can fail."""

from benchmarks import memory, overhead
from ganworks import data as datasets


def test_a_short_run_does_not_grow_and_a_leak_is_seen():
    assert memory.slope(160)["slope"] < 50  # over so few steps allocators still settle
    assert memory.slope(160, leak=500_000)["slope"] > 300  # 500 kB at each of 1,000 records is 500 MB


def test_the_engine_is_measured_beside_a_bare_loop():
    found = overhead.compare("gan", datasets.open("ring"), rounds=5, joint=True, blocks=3)
    assert found["ratio"] > 0.5  # nothing to do with the bar: here every call is checked for its shapes
    assert found["low"] <= found["ratio"] <= found["high"]
