"""From a path to content: who reads which file or folder."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ganworks.data.arrays import LABELS, SAMPLES, from_array, from_columns
from ganworks.data.csv_points import read_csv
from ganworks.data.dataset import Content
from ganworks.data.folders import Reading, read_folder
from ganworks.data.idx import images_in, is_idx, labels_beside, read_idx, refuse_bomb
from ganworks.errors import GanworksError, error
from ganworks.reading.listing import array_in
from ganworks.reading.places import Place
from ganworks.reading.sidecar import labels_of

READABLE = (
    "readable: the built-in names (digits, ring, grid, swissroll, bimodal),",
    "  folders, .zip and .tar files of pictures (PNG, JPEG, WebP, GIF, BMP, TIFF, PPM, TGA),",
    "  IDX files (packed with gzip or not) and folders that hold them, .npy, .npz, .csv of points,",
    "  NumPy arrays, torch tensors, and dictionaries of them with x and label",
)


ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def from_path(path: Path, reading: Reading) -> tuple[Content, Content | None]:
    """Read a file or folder: its rows, and the part that its names hold out, if they do.

    Raises: DataError if nothing is there, nothing reads it, or what reads it finds it broken.
    """
    try:
        if path.is_dir():
            return _folder(path, reading)
        if not path.exists():
            raise error("E-DATA-01", path=path)
        if not path.is_file():
            raise error("E-DATA-02", what="what is neither a file nor a folder", where=str(path), details=READABLE)
        return _file(path, reading), None
    except OSError as problem:
        raise error("E-DATA-03", path=path, reason=problem.strerror or str(problem)) from problem


def _file(path: Path, reading: Reading) -> Content:
    ending = path.suffix.lower()
    if path.name.lower().endswith(ARCHIVES):
        return read_folder(path, reading)
    if ending in (".csv", ".tsv"):
        return read_csv(path)
    if ending == ".npy":
        return _npy(path)
    if ending == ".npz":
        return _npz(path)
    if is_idx(path):
        return _idx(path)
    if path.stat().st_size == 0:
        raise error("E-DATA-03", path=path, reason="it is empty")
    raise error("E-DATA-02", what=f"'{ending}' files" if ending else "it", where=str(path), details=READABLE)


def _folder(path: Path, reading: Reading) -> tuple[Content, Content | None]:
    """IDX files: one, or two of which one trains and the other is held out. Else a single array. Else pictures."""
    files = images_in(path)
    trains = [file for file in files if "train" in file.name.lower()]
    held = [file for file in files if file not in trains and _tests(file)]
    if len(trains) == len(held) == 1 and len(files) == 2:
        return _idx(trains[0], path.resolve().name), _idx(held[0])
    if len(files) == 1:
        return _idx(files[0], path.resolve().name), None
    if files:
        found = ", ".join(file.name for file in files)
        raise error("E-DATA-02", what="several sets of images", where=str(path), details=[found, "name one of them"])
    array = array_in(path)
    return (read_folder(path, reading) if array is None else _labelled(_file(array, reading), path)), None


def _labelled(content: Content, folder: Path) -> Content:
    """Rows with the labels of the table beside them, as `ganworks sample` writes it for points."""
    table = Place(str(folder / "labels.csv"))
    found = None if "label" in content.columns else labels_of(table, (b"%06d" % row for row in range(len(content))))
    if found is None:
        return content
    classes, labels, note = found
    columns = {**content.columns, "label": torch.from_numpy(labels)}
    return replace(content, columns=columns, classes=classes, note=[*content.note, *note])


def _tests(file: Path) -> bool:
    return "t10k" in file.name.lower() or "test" in file.name.lower()


def _idx(path: Path, name: str | None = None) -> Content:
    array = read_idx(path)
    if array.ndim == 1:
        raise error("E-DATA-03", path=path, reason="it holds labels: name the file of the images")
    beside = labels_beside(path)
    labels = None if beside is None else read_idx(beside)
    return from_array(array, labels, name or path.name.removesuffix(".gz"), str(path))


def _npy(path: Path) -> Content:
    try:
        # Mapped first: a header that promises more than the file holds fails before any memory is taken.
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as problem:  # whatever NumPy trips over is in the file
        raise _refusal(path, problem) from problem
    return from_array(array, None, path.stem, str(path))


def _npz(path: Path) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        refuse_bomb(path, path.stat().st_size, sum(member.file_size for member in members))
        with np.load(path, allow_pickle=False) as archive:
            columns = {key: archive[key] if key in SAMPLES + LABELS else None for key in archive.files}
    except GanworksError:
        raise
    except Exception as problem:  # whatever NumPy, zip or zlib trip over is in the file
        raise _refusal(path, problem) from problem
    return from_columns(columns, path.stem, str(path))


def _refusal(path: Path, problem: Exception) -> GanworksError:
    """NumPy says only in words that it met Python objects, or that the file is of another kind."""
    text = str(problem) or type(problem).__name__
    if "Object arrays" in text or "Python objects" in text:
        return error("E-DATA-04", where=str(path))
    if text.startswith("the magic string"):
        text = "it does not begin as a NumPy file does"
    return error("E-DATA-03", path=path, reason=text.splitlines()[0])
