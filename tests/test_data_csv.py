"""CSV of points: right however it is written, or refused with the row, the column and what stands there."""

import contextlib
import csv
import random
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganworks import data
from ganworks.data import csv_points
from ganworks.data.csv_points import read_csv
from ganworks.data.dataset import Content
from ganworks.errors import DataError


def read(folder: Path, text: str | bytes, name: str = "points.csv") -> Content:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_csv(path)


def labels(content: Content) -> list[str]:
    return [content.classes[each] for each in content.columns["label"].tolist()]


def reason(folder: Path, text: str | bytes, code: str = "E-DATA-15") -> str:
    """Why a table is refused: all of what the error says."""
    with pytest.raises(DataError) as caught:
        read(folder, text)
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    assert str(folder / "points.csv") in str(caught.value)
    return str(caught.value)


def test_a_decimal_comma_is_no_delimiter(tmp_path: Path) -> None:
    found = read(tmp_path, "a;b\n1,5;2,25\n-3,125;4\n")
    assert found.columns["x"].tolist() == [[1.5, 2.25], [-3.125, 4.0]]


def test_x_and_y_are_two_coordinates(tmp_path: Path) -> None:
    found = read(tmp_path, "x,y\n1,2\n3,4\n")
    assert found.columns["x"].tolist() == [[1, 2], [3, 4]]
    assert "label" not in found.columns


ROWS = [[0.5, -1.25], [3.0, 4e-3], [1e3, 7.0]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("header", [["a", "b"], []])
@pytest.mark.parametrize("quotes", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_every_way_to_write_it(
    tmp_path: Path, delimiter: str, end: str, start: str, header: list[str], quotes: int
) -> None:
    with (tmp_path / "points.csv").open("w", newline="") as file:
        file.write(start)
        csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quotes).writerows(
            [header, *ROWS] if header else ROWS
        )
    found = read_csv(tmp_path / "points.csv")
    assert np.array_equal(found.columns["x"].numpy(), np.float32(ROWS))
    assert (found.name, found.kind) == ("points", "points")


def test_utf_16_and_windows_letters(tmp_path: Path) -> None:
    text = "a;b;class\n1;2;Größe\n3;4;klein\n"
    assert read(tmp_path, text.encode("utf-16")).classes == ("Größe", "klein")
    found = read(tmp_path, text.encode("cp1252"))
    assert found.classes == ("Größe", "klein")
    assert any("Windows-1252" in line for line in found.note)


def test_blank_lines_blanks_and_empty_columns_at_the_edge_do_not_count(tmp_path: Path) -> None:
    found = read(tmp_path, "\na, b ,\n 1 , 2,\n,,\n\n3,4,\n\n")
    assert found.columns["x"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("title", ["label", "Class", "TARGET", "y"])
def test_a_column_of_labels_by_its_name(tmp_path: Path, title: str) -> None:
    found = read(tmp_path, f"a,{title},b\n1,10,2\n3,9,4\n5,10,6\n")
    assert found.columns["x"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert labels(found) == ["10", "9", "10"]
    assert found.classes == ("9", "10")  # in the order of numbers


def test_the_only_column_of_text_is_the_labels(tmp_path: Path) -> None:
    for text in ("a,b,animal\n1,2,dog\n3,4,cat\n", "1,2,dog\n3,4, cat \n", '1;2;"dog"\n3;4;cat\n'):
        found = read(tmp_path, text)
        assert found.columns["x"].tolist() == [[1, 2], [3, 4]]
        assert labels(found) == ["dog", "cat"]


def test_labels_may_be_words_and_numbers(tmp_path: Path) -> None:
    assert labels(read(tmp_path, "a,label\n1,x\n2,7\n")) == ["x", "7"]


def test_fractions_are_no_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "a,target\n1,0.5\n2,7\n")
    assert found.columns["x"].tolist() == [[1, 0.5], [2, 7]]
    assert any("fractions" in line for line in found.note)


@pytest.mark.parametrize("title", ["", "Unnamed: 0", "id"])
def test_the_index_of_a_data_frame_is_no_coordinate(tmp_path: Path, title: str) -> None:
    found = read(
        tmp_path, f"{title},0,1\n0,5,6\n1,7,8\n2,9,9\n" if not title else f"{title},a,b\n0,5,6\n1,7,8\n2,9,9\n"
    )
    assert found.columns["x"].tolist() == [[5, 6], [7, 8], [9, 9]]
    assert any("left out" in line for line in found.note)
    assert read(tmp_path, "id,a\n3,5\n9,7\n").columns["x"].shape == (2, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["it is empty"]),
        ("\n\n", ["it is empty"]),
        ("a,b\n", ["nothing is below its header"]),
        ("a\n1\n2\n", ["one column", "comma, semicolon or tab"]),
        ("1 2\n3 4\n", ["one column"]),
        ("a,b\n1,2\n3,4,5\n", ["row 3 has 3 cells", "the first row 2"]),
        ("a,b\n1,2\n\n3\n", ["row 4 has 1 cells"]),
        ("a,b\n1,2\n3,\n", ["row 3, column 'b' is empty"]),
        ("1,2\n,4\n", ["row 2, column 1 is empty"]),
        ("a,b\n1,2\n3,n/a\n", ["row 3, column 'b' holds 'n/a'"]),
        ("a,b\n1,n/a\n3,4\n5,6\n", ["row 2, column 'b' holds 'n/a'"]),
        ("a,b\n1,x\n3,y\n5,6\n", ["row 4, column 'b' holds '6'"]),
        ("a,b,c\n1,u,v\n2,u,v\n", ["row 2, column 'c' holds 'v'"]),
        ("a,b,label\n1,u,v\n2,u,v\n", ["row 2, column 'b' holds 'u'"]),
        ("day,b\n2020-01-31,2\n2020-02-01,3\n", ["row 2, column 'day' holds '2020-01-31' (a date)"]),
        ("a,b\n1,2\n3,=cmd|' /C calc'!A0\n", ["row 3, column 'b' holds '=cmd|"]),
        ("a,b\n1,2\n3,1_000\n", ["row 3, column 'b' holds '1_000'"]),
        ('a,b\n1,2\n3,"1,000"\n', ["row 3, column 'b' holds '1,000'"]),
        ("a;b\n1,5;2\n1.5;2\n", ["row 3, column 'a' holds '1.5'", "decimal mark"]),
        ("a;b\n1.234,5;2\n3,5;4\n", ["row 2, column 'a' holds '1.234,5'"]),
        ("a,b\n1,2\n3,\x1b[2J\u202e\n", ["holds '\\x1b[2J\\u202e'"]),
        ("a,b,z\n1,2,\n3,4,\n", ["column 'z' is empty"]),
        ("a,label\n1,u\n2,\n", ["row 3, column 'label' is empty"]),
        ("name,kind\ncat,good\ndog,bad\n", ["row 2, column 'kind' holds 'good'"]),
        ("kind,label\ncat,good\n", ["row 2, column 'kind' holds 'cat'"]),
        ("label,b\ncat,\n", ["column 'b' is empty"]),
        ('a,b\n1,"2\n' + "3,4\n" * 50_000, ["quote"]),
        (b"\0\1\2,\3\n", ["it is not text"]),
        (b"\x89PNG\r\n\x1a\n\0\0", ["it is not text"]),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str | bytes, words: list[str]) -> None:
    said = reason(tmp_path, text)
    for word in words:
        assert word in said
    assert len(said.splitlines()) < 12
    assert all(letter.isprintable() or letter == "\n" for letter in said)


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e39", "1e999"])
def test_what_is_not_finite_is_refused_with_row_and_column(tmp_path: Path, value: str) -> None:
    said = reason(tmp_path, f"a,b\n1,2\n3,{value}\n5,{value}\n", "E-DATA-05")
    assert "found 2 values" in said
    assert "row 3, column 'b'" in said


def test_numbers_are_read_in_float64_before_they_become_float32(tmp_path: Path) -> None:
    text = "0.1000000000000000055,16777217\n1,2\n"
    assert read(tmp_path, text).columns["x"].tolist() == np.float32([[0.1, 16777217], [1, 2]]).tolist()


def test_many_classes_are_named_and_names_are_no_classes(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b,city\n" + "".join(f"1,2,c{row % 150}\n" for row in range(600)))
    assert len(found.classes) == 150
    assert any("column 'city' holds 150 classes" in line for line in found.note)
    said = reason(tmp_path, "a,b,city\n" + "".join(f"1,2,c{row}\n" for row in range(100_000)))
    assert "column 'city' holds 100,000 different texts in 100,000 rows" in said


def test_a_label_of_a_page_is_none(tmp_path: Path) -> None:
    said = reason(tmp_path, f"a,label\n1,u\n2,{'long ' * 100}\n")
    assert "row 3, column 'label'" in said
    assert len(said) < 400


def test_rows_are_told_right_in_every_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_points, "_CHUNK", 3)
    rows = [f"{row},{row * 2},{'odd' if row % 2 else 'even'}" for row in range(10)]
    found = read(tmp_path, "\n".join(["a,b,label", *rows]))
    assert found.columns["x"][:, 1].tolist() == [row * 2 for row in range(10)]
    assert labels(found) == ["even", "odd"] * 5
    rows[7] = "7,oops,odd"
    assert "row 9, column 'b' holds 'oops'" in reason(tmp_path, "\n".join(["a,b,label", *rows]))


def test_open_reads_a_csv_and_holds_rows_out(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("a,b\n" + "".join(f"{row},{row % 7}\n" for row in range(400)))
    found = data.open(tmp_path / "points.csv")
    assert (found.spec.kind, found.spec.shape, len(found)) == ("points", (2,), 300)
    assert found.held_out is not None
    assert len(found.held_out) == 100


cells = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers().map(str),
    st.text(max_size=5),
    st.sampled_from([",", ";", '"', "\n"]),
)


@given(st.lists(st.lists(cells, max_size=4).map(lambda row: ",".join(row)), max_size=6).map("\n".join))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    with contextlib.suppress(DataError):
        assert len(read_csv(path)) >= 2


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        read_csv(path)


def test_two_hundred_thousand_rows_are_a_matter_of_a_second(tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = [f"{draw.random():.6f},{draw.random():.6f},c{row % 3}\n" for row in range(200_000)]
    (tmp_path / "points.csv").write_text("a,b,label\n" + "".join(lines))
    start = time.process_time()
    assert len(read_csv(tmp_path / "points.csv")) == 200_000
    assert time.process_time() - start < 3
