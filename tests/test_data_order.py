"""The order of rows: epochs that are permutations, as a function of (seed, step) alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganworks.data import Order

sizes = st.integers(1, 40)


@given(count=sizes, batch=sizes, seed=st.integers(0, 5))
def test_every_epoch_visits_every_row_once(count: int, batch: int, seed: int) -> None:
    order = Order(count, batch, seed)
    epochs = 3
    steps = -(-epochs * count // batch)
    seen = torch.cat([order.rows(step) for step in range(steps)])[: epochs * count].reshape(epochs, count)
    assert torch.equal(seen.sort(1).values, torch.arange(count).expand(epochs, count))


@given(count=sizes, batch=sizes, steps=st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_a_batch_depends_on_its_number_and_not_on_what_was_asked_before(
    count: int, batch: int, steps: list[int]
) -> None:
    jumping = Order(count, batch, seed=1)
    for step in steps:
        assert torch.equal(jumping.rows(step), Order(count, batch, seed=1).rows(step))


def test_a_batch_runs_on_into_the_next_epoch() -> None:
    order = Order(count=10, batch=4, seed=0)
    third = order.rows(2)
    assert len(third) == 4
    assert set(third[:2].tolist()).isdisjoint(torch.cat([order.rows(0), order.rows(1)]).tolist())


def test_epochs_and_seeds_differ() -> None:
    order = Order(count=1000, batch=1000, seed=0)
    assert not torch.equal(order.rows(0), order.rows(1))
    assert not torch.equal(order.rows(0), Order(count=1000, batch=1000, seed=1).rows(0))
    assert not torch.equal(order.rows(0), torch.arange(1000))


def test_the_order_is_untouched_by_the_default_generator() -> None:
    torch.manual_seed(1)
    first = Order(100, 10, seed=0).rows(3).clone()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, Order(100, 10, seed=0).rows(3))
    assert torch.equal(state, torch.get_rng_state())


def test_a_batch_larger_than_the_data_repeats_whole_epochs() -> None:
    rows = Order(count=3, batch=9, seed=0).rows(5)
    assert rows.bincount().tolist() == [3, 3, 3]


def test_no_rows_are_a_mistake() -> None:
    with pytest.raises(AssertionError):
        Order(count=0, batch=1, seed=0)
