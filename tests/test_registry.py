"""A mistyped name is answered with the right one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganworks.registry import close, suggestion

NAMES = ["minimax", "non_saturating", "wasserstein", "least_squares", "hinge", "relativistic_paired"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("hinje", "hinge"),  # a wrong letter
        ("hnige", "hinge"),  # two swapped: one mistake, not two
        ("non-saturating", "non_saturating"),
        ("Wasserstein", "wasserstein"),
        ("minmax", "minimax"),
        ("paired", "relativistic_paired"),  # a part of the name
    ],
)
def test_typical_slips(typed: str, meant: str) -> None:
    assert close(typed, NAMES)[0] == meant


def test_nothing_is_suggested_for_something_else() -> None:
    assert close("transformer", NAMES) == []
    assert suggestion("transformer", NAMES) == []
    assert close("", NAMES) == []


def test_at_most_three_nearest_first() -> None:
    assert close("aaaa", ["aaab", "aabb", "aaac", "aaad", "aaae"]) == ["aaab", "aaac", "aaad"]


def _slips(name: str) -> st.SearchStrategy[str]:
    """One letter replaced, added or left out."""
    places = st.integers(0, len(name) - 1)
    letters = st.sampled_from(string.ascii_lowercase)
    return st.one_of(
        st.builds(lambda i, c: name[:i] + c + name[i + 1 :], places, letters),
        st.builds(lambda i, c: name[:i] + c + name[i:], places, letters),
        st.builds(lambda i: name[:i] + name[i + 1 :], places),
    )


@given(st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), _slips(name))))
def test_one_slip_anywhere_finds_the_name(pair: tuple[str, str]) -> None:
    name, typed = pair
    assert close(typed, NAMES)[0] == name


def test_the_line_of_an_error() -> None:
    assert suggestion("hinje", NAMES) == ["names close to it: hinge"]
