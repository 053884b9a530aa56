"""How many samples an update takes, where nobody says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ganworks import machine
from ganworks.gan import Order
from ganworks.plan import batch
from ganworks.plan.trial import Watermark, kept
from ganworks.session import Session, session_of, train
from ganworks.settings import RunSettings, nested, read
from ganworks.training.engine import Engine

MB = 1 << 20
PICTURES = np.random.default_rng(0).integers(0, 256, (1000, 1, 16, 16), dtype=np.uint8)
SMALL = {"generator.width": 4, "discriminator.width": 4, "latent.size": 4}


def session(**settings: object) -> Session:
    made = Session(RunSettings(system="r3gan"), nested({**SMALL, **settings}))
    made.open(PICTURES)
    return made


def maker() -> Callable[[int], Engine]:
    made = session()
    return lambda size: made.new_engine(batch=size)


def priced(monkeypatch: pytest.MonkeyPatch, rates: dict[int, float], seconds: float = 0.1) -> list[int]:
    """Let a step cost what the test wants; gives the batches that were tried."""
    tried: list[int] = []

    def rate(engine: Engine, size: int) -> tuple[float, float]:
        tried.append(size)
        return seconds, rates[size]

    monkeypatch.setattr(batch, "_rate", rate)
    return tried


def growing(monkeypatch: pytest.MonkeyPatch, each: float, free: int) -> None:
    """A step takes `each` bytes a sample, in a computer with so much free."""
    made: list[int] = []
    monkeypatch.setattr(machine, "memory", lambda: (free, free))
    monkeypatch.setattr(Watermark, "risen", property(lambda self: int(each * made[-1])))
    rate = batch._rate

    def counting(engine: Engine, size: int) -> tuple[float, float]:
        made.append(size)
        return rate(engine, size)

    monkeypatch.setattr(batch, "_rate", counting)


RISING = {8: 100.0, 16: 180.0, 32: 300.0, 64: 400.0, 128: 440.0, 256: 455.0, 512: 450.0}


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        (RISING, 512),  # within 5 % of the best, which is 256
        ({**RISING, 512: 430.0}, 256),
        ({**RISING, 256: 410.0, 512: 400.0}, 128),
        ({8: 100.0, 16: 99.0, 32: 96.0, 64: 90.0, 128: 80.0}, 32),
    ],
)
def test_the_largest_that_pays(monkeypatch: pytest.MonkeyPatch, rates: dict[int, float], chosen: int) -> None:
    tried = priced(monkeypatch, rates)
    found, note = batch.paying(maker(), 1000, 1)
    assert found == chosen
    assert note.startswith(f"batch {chosen}: samples in a CPU second are 100 with 8, ")
    assert tried == list(rates)[: len(tried)]


def test_it_must_fit_into_memory_before_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = priced(monkeypatch, RISING)
    growing(monkeypatch, each=MB, free=100 * MB)
    found, note = batch.paying(maker(), 1000, 1)
    assert (found, tried) == (64, [8, 16, 32, 64])
    assert note.endswith("; 128 would need 128 MB of memory and 100 MB is there")


def test_memory_that_runs_out_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    priced(monkeypatch, RISING)
    rate = batch._rate

    def failing(engine: Engine, size: int) -> tuple[float, float]:
        if size == 32:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
        return rate(engine, size)

    monkeypatch.setattr(batch, "_rate", failing)
    found, note = batch.paying(maker(), 1000, 1)
    assert found == 16
    assert note.endswith("; 32 does not fit into memory")


def test_the_search_ends_before_it_costs_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = priced(monkeypatch, RISING, seconds=3.0)
    batch.paying(maker(), 1000, 1)
    assert tried == [8, 16]


def test_no_more_than_there_are_rows_and_whole_packs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = priced(monkeypatch, {**RISING, 24: 100.0, 48: 200.0, 96: 400.0})
    assert batch.paying(maker(), 100, 1)[0] == 64
    assert batch.paying(maker(), 100, 3)[0] == 96
    assert batch.paying(maker(), 4, 1)[0] == 8
    assert tried == [8, 16, 32, 64, 24, 48, 96, 8]


def test_it_is_really_measured_and_stands_in_the_settings(tmp_path: Path) -> None:
    order = Order(data="ring", system="gan", steps=2, batch="auto", run=tmp_path / "run", overrides=SMALL)
    result = train(order)
    chosen = read(tmp_path / "run" / "config.toml")["batch"]
    assert chosen in (8, 16, 32, 64, 128, 256, 512)
    assert any(note.startswith(f"batch {chosen}: samples in a CPU second are ") for note in result.notes)


def test_measuring_leaves_no_trace(tmp_path: Path) -> None:
    auto = train(Order(data="ring", system="gan", steps=3, batch="auto", run=tmp_path / "auto", overrides=SMALL)).run
    size = read(auto / "config.toml")["batch"]
    given = train(Order(data="ring", system="gan", steps=3, batch=size, run=tmp_path / "given", overrides=SMALL)).run
    states = [run / "checkpoints" / "000003" / "state.safetensors" for run in (auto, given)]
    assert states[0].read_bytes() == states[1].read_bytes()


# The system's own batch, or less


def test_what_waits_for_the_backward_pass_grows_with_the_batch() -> None:
    make = maker()
    small, large = kept(make(8)), kept(make(64))
    assert 7.5 < large / small < 8.5
    assert small > 8 * PICTURES[0].size * 4  # at least the pictures themselves


def test_weights_do_not_count() -> None:
    made = session(**{"generator.width": 64, "discriminator.width": 64})
    engine = made.new_engine(batch=1)
    weights = sum(weight.nbytes for weight in engine.system.parameters())
    assert kept(engine) < weights


def test_the_usual_batch_where_it_fits_and_half_of_it_where_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    make = maker()
    needed = 2 * kept(make(32))
    for free, expected in ((2 * needed, 32), (0.9 * needed, 16), (0.4 * needed, 8), (0, 1)):
        monkeypatch.setattr(machine, "memory", lambda free=free: (int(free), int(free)))
        found, note = batch.fitting(make, 32, 1)
        assert found == expected
        assert note.startswith(f"batch {expected}, because 32 would need ") is (expected != 32)


def test_a_training_takes_the_smaller_batch_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: (MB // 4, MB // 4))
    for given, expected in ((None, 1), (32, 32)):
        made = session_of(Order(system="r3gan", batch=given, overrides=SMALL))
        made.open(PICTURES)
        engine = made.begin(3)
        assert (engine.system.settings.batch < 32) is (expected == 1)
        assert bool(made.notes) is (expected == 1)


def test_nothing_random_is_moved() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    session().begin(3)
    assert torch.equal(torch.get_rng_state(), before)
