"""Ours beside the peers' numbers, which `make crosscheck` wrote into tests/golden/metrics.json."""

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import crosscheck, matrices
from benchmarks.peers import torchvision
from docs import make

GOLDEN = json.loads(crosscheck.GOLDEN.read_text())
ENTRIES: list[dict[str, Any]] = GOLDEN["entries"]
MOST = 1_000_000
"""Numbers in the inputs of a case that this file computes anew; `make crosscheck` computes all."""
CASES = [(metric, shape) for metric, shapes in matrices.CASES.items() for shape in shapes]
SMALL = [case for case in CASES if case[0] not in matrices.OF_FEATURES or (case[1][0] + case[1][1]) * case[1][2] < MOST]


def entries(metric: str, shape: tuple[float, ...]) -> list[dict[str, Any]]:
    return [each for each in ENTRIES if each["metric"] == metric and each["shape"] == list(shape)]


@pytest.mark.parametrize(("metric", "shape"), SMALL, ids=lambda part: str(part).replace(" ", ""))
def test_ours_are_the_peers_numbers(metric: str, shape: tuple[float, ...]) -> None:
    arrays = matrices.inputs(metric, shape)
    assert {each["inputs"] for each in entries(metric, shape)} == {matrices.fingerprint(*arrays)}, "other matrices"
    found = crosscheck.ours(metric, arrays)
    same = [each for each in entries(metric, shape) if (each["name"], each["peer"]) not in crosscheck.DIFFERS]
    assert same
    assert crosscheck.judged(each | {"ours": found[each["name"]]} for each in same) == []


def test_the_file_has_every_peer_on_every_case() -> None:
    wanted = {
        (metric, shape, peer)
        for metric, shape in CASES
        for peer in crosscheck.SAME[metric] + crosscheck.OTHERS.get(metric, ())
        if crosscheck.takes(metric, peer, shape)
    }
    assert {(each["metric"], tuple(each["shape"]), each["peer"]) for each in ENTRIES} == wanted
    assert GOLDEN["seed"] == matrices.SEED
    assert crosscheck.GOLDEN.stat().st_size < 100_000


def test_the_shapes_go_from_eight_by_four_to_ten_thousand_by_two_thousand() -> None:
    assert len(matrices.SHAPES) == 12
    assert (matrices.SHAPES[0], matrices.SHAPES[-1]) == ((8, 8, 4), (10_000, 10_000, 2048))
    assert any(n != m for n, m, _ in matrices.SHAPES)
    assert any(n < d for n, _, d in matrices.SHAPES)
    for metric in matrices.OF_FEATURES:
        assert {tuple(each["shape"]) for each in ENTRIES if each["metric"] == metric} == set(matrices.SHAPES)


def test_every_number_of_one_definition_is_within_the_bound_also_on_the_largest() -> None:
    assert crosscheck.judged(ENTRIES) == []
    assert GOLDEN["bound"] == crosscheck.BOUND == 1e-6


def test_a_number_that_is_off_by_more_than_the_bound_is_judged_wrong() -> None:
    entry: Mapping[str, Any] = {"name": "frechet_distance", "peer": "scipy", "value": 2.0, "ours": 2.0}
    assert crosscheck.judged([dict(entry)]) == []
    for wrong in (2.000003, 1.999997, float("nan")):
        assert len(crosscheck.judged([dict(entry) | {"ours": wrong}])) == 1


def test_another_definition_is_said_to_be_one_and_shows() -> None:
    """An entry of DIFFERS that no longer differs would hide a number that could be held to the bound."""
    assert {(each["name"], each["peer"]): each["how"] for each in GOLDEN["differs"]} == crosscheck.DIFFERS
    for name, peer in crosscheck.DIFFERS:
        off = [crosscheck.relative(e["ours"], e["value"]) for e in ENTRIES if (e["name"], e["peer"]) == (name, peer)]
        assert max(off) > 10 * crosscheck.BOUND, (name, peer)


def test_the_stand_in_for_torchvision_has_whatever_is_looked_for_and_nothing_that_is_not() -> None:
    spec = torchvision._NoTorchvision.find_spec("torchvision.models.inception")
    module = importlib.util.module_from_spec(spec)
    assert isinstance(module.InceptionA, type)
    assert isinstance(module.utils.Anything, type)
    assert not hasattr(module, "__wrapped__")
    assert torchvision._NoTorchvision.find_spec("torchaudio") is None


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 12))
def test_matrices_are_the_same_whenever_they_are_made(n: int, m: int, d: int) -> None:
    first, again = matrices.features(n, m, d), matrices.features(n, m, d)
    assert [x.shape for x in first] == [(n, d), (m, d)]
    assert matrices.fingerprint(*first) == matrices.fingerprint(*again) != matrices.fingerprint(*first[::-1])


def test_the_page_of_precision_is_what_the_file_gives() -> None:
    page = (make.DOCS / "precision.md").read_text()
    assert page == make.precision_page(), "run: python -m docs.make"
    for name in {each["name"] for each in ENTRIES}:
        assert f"`{name}`" in page
    assert all(how in page for how in crosscheck.DIFFERS.values())
