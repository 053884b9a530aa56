"""Arrays and tensors: what they are taken for, and what is refused."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ganworks import data
from ganworks.errors import DataError, GanworksError


def refusal(source: object, code: str, held_out: object = None) -> GanworksError:
    """The three-part error of a source that must be refused."""
    with pytest.raises(DataError) as caught:
        data.open(source, held_out)
    assert caught.value.exit_code == 3
    assert caught.value.code == code
    assert caught.value.what
    assert caught.value.remedy
    return caught.value


def points(rows: int = 50, columns: int = 3) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(5, 2, (rows, columns))


def test_points_stay_in_the_users_units() -> None:
    array = points()
    d = data.open(array)
    assert d.spec.kind == "points"
    assert d.spec.shape == (3,)
    assert d[7]["x"].dtype == torch.float32
    np.testing.assert_allclose(d[7]["x"].numpy(), array[7].astype(np.float32))
    np.testing.assert_allclose(d[-1]["x"].numpy(), array[-1].astype(np.float32))


def test_encoding_standardises_the_training_part_and_decoding_undoes_it() -> None:
    array = points(1000) * [1, 100, 1e-3] + [0, 1e4, 0]
    d = data.open(array)
    x = d.rows(torch.arange(len(d)))["x"]
    inside = d.spec.encode(x)
    torch.testing.assert_close(inside.mean(0), torch.zeros(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(inside.std(0, correction=0), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(d.spec.decode(inside), x, rtol=1e-5, atol=1e-5)


def test_center_and_scale_are_those_of_the_training_part() -> None:
    d = data.open(points(1000))
    x = d.rows(torch.arange(len(d)))["x"].double()
    np.testing.assert_allclose(d.spec.center, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(d.spec.scale, x.std(0, correction=0), rtol=1e-12)
    assert d.held_out is not None
    assert d.held_out.spec.center == d.spec.center


def test_a_constant_column_has_scale_one() -> None:
    # 0.1 is not exact: the mean of many 0.1 differs from 0.1, and a naive deviation is 1e-17 instead of 0.
    array = np.stack([np.full(1000, 0.1), np.arange(1000.0)], 1)
    assert data.open(array).spec.scale[0] == 1.0


def test_bytes_become_exact_ends_and_come_back() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(2, 8, 16)
    x = data.open(ramp).rows(torch.tensor([0, 1]))["x"]
    assert x.shape == (2, 1, 8, 16)
    assert x.min() == -1
    assert x.max() == 1
    np.testing.assert_array_equal(((x + 1) * 127.5).round().to(torch.uint8).numpy()[:, 0], ramp)


def test_every_layout_of_pictures_is_one_layout_inside() -> None:
    first = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
    a, b = data.open(first), data.open(np.ascontiguousarray(first.transpose(0, 2, 3, 1)))
    assert a.spec.shape == b.spec.shape == (3, 5, 6)
    assert torch.equal(a[2]["x"], b[2]["x"])
    assert a[2]["x"][1, 4, 5] == first[2, 1, 4, 5] / np.float32(127.5) - 1


def test_a_range_of_0_to_1_is_doubled_and_one_of_minus_1_to_1_is_not() -> None:
    unit = np.array([0.0, 0.5, 1.0, 0.25]).reshape(2, 1, 1, 2)
    taken = data.open(unit)
    assert taken.rows(torch.arange(2))["x"].flatten().tolist() == [-1, 0, 1, -0.5]
    assert "[0, 1]" in taken.note[0]
    both = data.open(unit * 2 - 1)
    assert both.rows(torch.arange(2))["x"].flatten().tolist() == [-1, 0, 1, -0.5]
    assert "[-1, 1]" in both.note[0]


def test_rounding_crumbs_do_not_change_the_range_that_is_taken() -> None:
    array = np.full((4, 1, 2, 2), 0.5)
    array[0, 0, 0, 0], array[0, 0, 0, 1] = -1e-7, 1 + 1e-7
    x = data.open(array)[0]["x"]
    assert x.flatten().tolist() == [-1, 1, 0, 0]


@pytest.mark.parametrize("low_high", [(0, 255), (-2, 2), (0, 1.01), (-1.01, 0)])
def test_floats_outside_both_ranges_are_refused(low_high: tuple[float, float]) -> None:
    array = np.zeros((4, 1, 2, 2))
    array[0, 0, 0] = low_high
    assert f"{low_high[0]:g} and {low_high[1]:g}" in refusal(array, "E-DATA-06").what


def test_whole_numbers_that_are_not_bytes_are_no_pictures() -> None:
    assert "int64" in refusal(np.zeros((4, 1, 2, 2), dtype=np.uint16), "E-DATA-06").what
    refusal(torch.zeros(4, 1, 2, 2, dtype=torch.int32), "E-DATA-06")


@pytest.mark.parametrize("shape", [(9,), (9, 0), (9, 2, 4, 4), (9, 4, 4, 4), (9, 1, 1, 1, 1), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    assert str(shape) in refusal(np.zeros(shape), "E-DATA-07").what


@pytest.mark.parametrize("rows", [0, 1])
def test_none_or_one_row_is_refused(rows: int) -> None:
    refusal(np.zeros((rows, 2)), "E-DATA-09")
    refusal(torch.zeros(rows, 1, 4, 4, dtype=torch.uint8), "E-DATA-09")


def test_two_rows_are_enough_and_nothing_is_held_out() -> None:
    d = data.open(np.eye(2))
    assert len(d) == 2
    assert d.held_out is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_a_value_that_is_not_finite_in_float32_is_named_by_its_row(bad: float) -> None:
    array = points()
    array[17, 1] = bad
    found = refusal(array, "E-DATA-05")
    assert "1 value" in found.what
    assert "row 17" in found.details[0]
    pictures = np.zeros((30, 4, 4))
    pictures[17, 1, 1] = bad
    refusal(pictures, "E-DATA-05")


@pytest.mark.parametrize(
    "array",
    [
        points().astype(">f8"),
        np.asfortranarray(points()),
        points(100)[::2],
        points().astype(np.float32),
        torch.from_numpy(points()),
        torch.from_numpy(points()).float().requires_grad_(),
    ],
    ids=["big-endian", "fortran", "strided", "float32", "tensor", "with-gradient"],
)
def test_memory_layout_does_not_matter(array: NDArray[np.floating] | torch.Tensor) -> None:
    expected = array.detach().numpy() if isinstance(array, torch.Tensor) else array
    d = data.open(array)
    np.testing.assert_array_equal(d.rows(torch.arange(len(d)))["x"].numpy(), expected.astype(np.float32))
    assert not d[0]["x"].requires_grad


@pytest.mark.parametrize("rows", [50, 500])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_data_set_has_its_own_memory(rows: int, kind: str) -> None:
    array = np.ones((rows, 2), dtype=np.float32)
    d = data.open(array if kind == "numpy" else torch.from_numpy(array))
    array[:] = 7
    assert (d.rows(torch.arange(len(d)))["x"] == 1).all()


def test_labels_number_the_sorted_values() -> None:
    d = data.open({"x": points(4), "label": np.array([7, 3, 7, 3])})
    assert d.spec.classes == ("3", "7")
    assert [int(d[i]["label"]) for i in range(4)] == [1, 0, 1, 0]
    assert d[0]["label"].dtype == torch.int64
    assert d[0]["label"].shape == ()


def test_numbers_sort_as_numbers_and_strings_as_strings() -> None:
    assert data.open({"x": points(3), "y": [10, 9, 2]}).spec.classes == ("2", "9", "10")
    assert data.open({"x": points(3), "labels": ["dog", "cat", "dog"]}).spec.classes == ("cat", "dog")
    assert data.open({"x": points(3), "labels": np.array([[2.0], [0.0], [2.0]])}).spec.classes == ("0", "2")
    assert data.open({"x": points(3), "labels": torch.tensor([True, False, True])}).spec.classes == ("0", "1")


def test_class_weights_are_the_shares_of_the_training_part() -> None:
    labels = np.repeat([0, 1], [900, 100])
    d = data.open({"x": points(1000), "label": labels})
    trained = d.rows(torch.arange(len(d)))["label"]
    assert len(d) == 900
    assert d.spec.class_weights == (float((trained == 0).double().mean()), float((trained == 1).double().mean()))
    assert d.held_out is not None
    assert d.held_out.spec.class_weights == d.spec.class_weights


def test_labels_stay_with_their_rows_through_the_split() -> None:
    x = np.arange(500.0)[:, None]
    d = data.open({"x": x, "label": (x[:, 0] % 7).astype(int)})
    for part in (d, d.held_out):
        assert part is not None
        batch = part.rows(torch.arange(len(part)))
        assert torch.equal(batch["x"][:, 0] % 7, batch["label"].float())


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0, 1], "there are 4 samples"),
        (np.eye(4), "there are 4 samples"),
        ([0.5, 1, 2, 3], "whole numbers"),
        ([0, 1, math.nan, 3], "whole numbers"),
        (np.array([None, "a", "b", "c"], dtype=object), "whole numbers"),
        ([[1], [1, 2], [1], [1]], "inhomogeneous"),
        (np.array([b"a"] * 4), "whole numbers"),
    ],
)
def test_labels_that_fit_nothing_are_refused(labels: object, reason: str) -> None:
    assert reason in refusal({"x": points(4), "label": labels}, "E-DATA-08").what


def test_arrays_that_are_not_used_are_named() -> None:
    assert data.open({"x": points(), "weights": points()}).note == ["not used: weights"]
    assert "x_train" in refusal({"x_train": points()}, "E-DATA-02").what


@pytest.mark.parametrize(
    "source",
    [
        3,
        [1.0, 2.0],
        None,
        np.array(["a", "b"]),
        np.zeros((3, 2), dtype=complex),
        np.zeros(3, dtype=[("a", "f4"), ("b", "f4")]),
        np.array(["2020-01-01"] * 2, dtype="datetime64[D]"),
        torch.zeros(3, 2, dtype=torch.complex64),
        torch.eye(3).to_sparse(),
    ],
    ids=str,
)
def test_what_has_no_reader_is_refused_by_its_type(source: object) -> None:
    refusal(source, "E-DATA-02")


def test_an_array_of_objects_is_refused() -> None:
    refusal(np.array([[1.0, None]], dtype=object), "E-DATA-04")


def test_a_held_out_source_replaces_the_split() -> None:
    d = data.open(points(1000), held_out=points(150) + 1)
    assert len(d) == 1000
    assert d.held_out is not None
    np.testing.assert_array_equal(d.held_out[3]["x"].numpy(), (points(150) + 1)[3].astype(np.float32))
    assert d.held_out.spec.center == d.spec.center


def test_held_out_labels_number_the_training_classes() -> None:
    d = data.open({"x": points(4), "y": list("abca")}, held_out={"x": points(3), "y": list("cbc")})
    assert d.held_out is not None
    assert [int(d.held_out[i]["label"]) for i in range(3)] == [2, 1, 2]


def test_held_out_data_of_another_form_are_refused() -> None:
    refusal(points(10, 3), "E-DATA-10", held_out=points(10, 2))
    refusal(points(10, 3), "E-DATA-10", held_out=np.zeros((5, 3, 3)))
    with_labels = {"x": points(4), "y": list("abca")}
    assert "'d'" in refusal(with_labels, "E-DATA-10", held_out={"x": points(3), "y": list("abd")}).what
    assert "without labels" in refusal(with_labels, "E-DATA-10", held_out=points(3)).what
    assert data.open(points(4), held_out=with_labels).held_out is not None


def test_the_fingerprint_is_that_of_the_content() -> None:
    array = points(300)
    whole = data.open(array)
    assert len(whole.spec.fingerprint) == 64
    assert data.open(torch.from_numpy(array)).spec.fingerprint == whole.spec.fingerprint
    assert data.open(array, held_out=points(5)).spec.fingerprint == whole.spec.fingerprint
    changed = array.copy()
    changed[-1, -1] += 1e-3
    assert data.open(changed).spec.fingerprint != whole.spec.fingerprint
    assert data.open(array.reshape(450, 2)).spec.fingerprint != whole.spec.fingerprint
    assert data.open({"x": array, "y": [0] * 300}).spec.fingerprint != whole.spec.fingerprint


def test_a_data_set_is_a_sequence_that_ends() -> None:
    d = data.open(points(5))
    assert len(list(d)) == 5  # type: ignore[call-overload]
    for index in (5, -6):
        with pytest.raises(IndexError):
            d[index]


def test_a_data_set_is_its_own_source() -> None:
    d = data.open(points(500))
    assert data.open(d) is d
    other = data.open(d, held_out=points(50))
    assert len(other) == len(d)
    assert other.held_out is not None
    assert len(other.held_out) == 50
