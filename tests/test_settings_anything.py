"""Whatever is given as a setting or a settings file: settings come out, or one error that names what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from ganworks.errors import UsageError
from ganworks.settings import GameSettings, build, keys, nested, read

LEAVES = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**400),  # no float holds the larger ones
    st.floats(),
    st.text(max_size=20),
    st.dates(),
    st.times(),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["from", "to", "over", "shape", "size", "", "é"]), inner, max_size=3),
    ),
    max_leaves=6,
)
KNOWN = [key for key, _ in keys(GameSettings)]
KEYS = st.one_of(
    st.sampled_from([*KNOWN, *sorted({key.partition(".")[0] for key in KNOWN})]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda key: all(key.split("."))),
)


def refusal(make: Callable[[], object]) -> UsageError | None:
    """The error of something that may go well."""
    try:
        make()
    except UsageError as caught:
        return caught
    return None


@effort(max_examples=300, deadline=None)
@given(key=KEYS, value=VALUES)
def test_anything_is_a_setting_or_an_error_with_its_key(key: str, value: Any) -> None:
    refused = refusal(lambda: build(GameSettings, nested({key: value}), system="gan"))
    if refused is not None:
        assert refused.code in ("E-SET-01", "E-SET-02", "E-NAME-04")
        assert key.partition(".")[0] in refused.what
        assert len(str(refused)) < 2_000


@effort(max_examples=100, deadline=None)
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_file_is_settings_or_an_error_with_its_name(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    refused = refusal(lambda: read(path))
    if refused is not None:
        assert refused.code == "E-SET-03"
        assert "any.toml" in refused.what
