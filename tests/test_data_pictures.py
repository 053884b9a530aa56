"""Batches as pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganworks.data.pictures import PADDING, grid, limits_of, pixels, points_picture, write_png


def test_minus_one_is_black_zero_is_grey_one_is_white() -> None:
    images = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    assert pixels(images)[0, 0, :, 0].tolist() == [0, 128, 255]


def test_what_lies_outside_is_cut_off_and_never_wraps_around() -> None:
    images = torch.tensor([-9.0, 9.0, float("inf"), float("-inf"), float("nan")]).view(1, 1, 1, 5)
    assert pixels(images)[0, 0, :, 0].tolist() == [0, 255, 255, 0, 0]


def test_channels_go_last() -> None:
    images = torch.stack([torch.full((2, 5), shade) for shade in (-1.0, 0.0, 1.0)])[None]
    assert pixels(images).shape == (1, 2, 5, 3)
    assert pixels(images)[0, 0, 0].tolist() == [0, 128, 255]


def test_a_grid_reads_from_left_to_right_then_down() -> None:
    shades = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 3, 4)
    sheet = grid(shades, columns=3)
    assert sheet.shape == (2 * (3 + PADDING) + PADDING, 3 * (4 + PADDING) + PADDING, 1)
    tiles = [
        sheet[PADDING + row * (3 + PADDING), PADDING + column * (4 + PADDING), 0]
        for row in range(2)
        for column in range(3)
    ]
    assert tiles == sorted(tiles)
    assert (tiles[0], tiles[-1]) == (0, 255)


def test_pixels_of_a_tile_are_not_mixed_up() -> None:
    image = torch.linspace(-1, 1, 12).view(1, 1, 3, 4)
    sheet = grid(image)
    assert np.array_equal(sheet[PADDING:-PADDING, PADDING:-PADDING], pixels(image)[0])


@pytest.mark.parametrize(("count", "tiles"), [(1, (1, 1)), (5, (2, 3)), (64, (8, 8))])
def test_a_grid_is_nearly_square(count: int, tiles: tuple[int, int]) -> None:
    sheet = grid(torch.zeros(count, 1, 2, 2))
    assert sheet.shape[:2] == tuple(tile * (2 + PADDING) + PADDING for tile in tiles)


def blue(picture: np.ndarray) -> np.ndarray:
    """Where the picture is blue rather than grey or white."""
    return picture[..., 2].astype(int) - picture[..., 0] > 40


def grey(picture: np.ndarray) -> np.ndarray:
    """Where it is neither white nor coloured, away from the frame."""
    inside = np.zeros(picture.shape[:2], bool)
    inside[12:-12, 12:-12] = True
    return inside & (picture.max(-1) < 250) & (np.ptp(picture.astype(int), axis=-1) < 10)


def test_a_point_stands_where_its_coordinates_say() -> None:
    limits = (-1.0, 1.0, -1.0, 1.0)
    picture = points_picture(torch.tensor([[0.5, 0.5]]), limits=limits, size=256)
    rows, columns = np.nonzero(blue(picture))
    assert rows.mean() == pytest.approx(8 + 240 * 0.25, abs=1)  # up is up
    assert columns.mean() == pytest.approx(8 + 240 * 0.75, abs=1)


def test_missed_real_points_stay_visible_in_grey() -> None:
    real = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    picture = points_picture(torch.tensor([[1.0, 0.0]]).expand(40, 2), real=real, size=256)
    assert grey(picture)[:, :128].any()
    assert blue(picture)[:, 128:].any()
    assert not blue(picture)[:, :128].any()


def test_points_of_another_label_have_another_colour() -> None:
    points, limits = torch.tensor([[-0.5, 0.0], [0.5, 0.0]]).repeat(20, 1), (-1.0, 1.0, -1.0, 1.0)
    plain = points_picture(points, limits=limits, size=256)
    labelled = points_picture(points, limits=limits, size=256, label=torch.tensor([0, 1]).repeat(20))
    assert np.array_equal(plain[:, :128], labelled[:, :128])
    assert blue(plain)[:, 128:].any()
    assert not blue(labelled)[:, 128:].any()


def test_points_outside_or_not_finite_are_left_out() -> None:
    limits = (-1.0, 1.0, -1.0, 1.0)
    strays = torch.tensor([[9.0, 0.0], [float("nan"), 0.0], [float("inf"), 0.0], [0.0, -1e30]])
    assert not blue(points_picture(strays, limits=limits)).any()


def test_limits_follow_the_real_points_so_that_pictures_can_be_compared() -> None:
    real = torch.tensor([[-2.0, 0.0], [2.0, 1.0]])
    left, right, bottom, top = limits_of(real)
    assert right - left == pytest.approx(top - bottom)  # a circle stays a circle
    assert left < -2
    assert right > 2
    assert np.array_equal(
        points_picture(torch.tensor([[50.0, 50.0]]), real=real), points_picture(torch.tensor([[70.0, 50.0]]), real=real)
    )


@pytest.mark.parametrize("points", [torch.zeros(3, 2), torch.full((2, 2), float("nan")), torch.zeros(1, 1)])
def test_degenerate_points_make_a_picture(points: torch.Tensor) -> None:
    assert points_picture(points, size=64).shape == (64, 64, 3)


def test_one_dimension_is_drawn_as_its_distribution() -> None:
    picture = points_picture(torch.linspace(0, 1, 500)[:, None], size=256)
    rows, columns = np.nonzero(blue(picture))
    assert np.corrcoef(rows, columns)[0, 1] < -0.99  # uniform numbers: a straight line upwards


def test_more_dimensions_show_the_first_two() -> None:
    points = torch.rand(50, 5, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(points_picture(points), points_picture(points[:, :2]))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_png_round_trip(channels: int, mode: str, tmp_path: Path) -> None:
    array = np.arange(4 * 6 * channels, dtype=np.uint8).reshape(4, 6, channels)
    write_png(tmp_path / "a.png", array)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == mode
        assert np.array_equal(np.asarray(picture).reshape(array.shape), array)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    write_png(path, np.zeros((2, 2, 1), np.uint8))
    before = path.read_bytes()

    def full(self: Path, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_png(path, np.ones((2, 2, 1), np.uint8))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]
