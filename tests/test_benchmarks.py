"""Small versions of the benchmarks: they run, and they can fail."""

import pytest
import torch

from benchmarks import memory, overhead, step_cost
from ganworks import data as datasets


def test_a_short_run_does_not_grow_and_a_leak_is_seen():
    assert memory.slope(400)["slope"] < 100  # over so few steps allocators still settle
    assert memory.slope(160, leak=500_000)["slope"] > 300  # 500 kB at each of 1,000 records is 500 MB


def test_the_engine_is_measured_beside_a_bare_loop():
    found = overhead.compare("gan", datasets.open("ring"), rounds=5, joint=True, blocks=3)
    assert found["ratio"] > 0.5  # nothing to do with the bar: here every call is checked for its shapes
    assert found["low"] <= found["ratio"] <= found["high"]


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
