"""Samples on disk: one file each and a sheet, or one array."""

import csv
import io
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ganworks.data.pictures import grid, pixels, write_png
from ganworks.data.spec import DataSpec
from ganworks.errors import error
from ganworks.registry import suggestion
from ganworks.training.disk import check_out

Format = Literal["files", "npz"]

SHEET = 64
"""Images on the sheet, at most."""


def label_index(spec: DataSpec, label: str) -> int:
    """The number of a class, from its name or its number.

    Raises: UsageError if the data had no classes, or none like this.
    """
    if not spec.classes:
        raise error("E-USE-01", verb="sample", reason="--label needs a model of data with classes")
    if label in spec.classes:
        return spec.classes.index(label)
    if label.isascii() and label.isdigit() and int(label) < len(spec.classes):
        return int(label)
    raise error("E-NAME-07", name=label, classes=", ".join(spec.classes[:20]), details=suggestion(label, spec.classes))


def _write_files(samples: Tensor, folder: Path) -> None:
    if samples.ndim == 2:
        encoded = io.BytesIO()  # NumPy's own way into a file hides why the disk refused
        np.save(encoded, samples.numpy(), allow_pickle=False)
        (folder / "samples.npy").write_bytes(encoded.getbuffer())
        return
    for index, picture in enumerate(pixels(samples)):
        write_png(folder / f"{index:06d}.png", picture)
    write_png(folder / "sheet.png", grid(samples[:SHEET], columns=8))


def _write_labels(labels: Sequence[str], path: Path) -> None:
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows([("sample", "label"), *((f"{i:06d}", name) for i, name in enumerate(labels))])
    path.write_bytes(lines.getvalue().encode())


def write(samples: Float[Tensor, "n ..."], out: Path, form: Format = "files", labels: Sequence[str] = ()) -> None:
    """Write samples into a new folder; it appears whole or not at all.

    Args:
        samples: (N, D) points, written as `samples.npy` (float32); or (N, C, H, W) images in [-1, 1], written as
            `000000.png`, … and `sheet.png` with the first 64.
        out: A folder that does not exist, or is empty.
        form: `npz` writes either kind as one array called `samples` in `samples.npz`, images as they are, in [-1, 1].
        labels: The class of each sample, where they have one: written as `labels.csv`, or as the array `label`.

    Raises: UsageError if the folder holds something; OSError as the disk gives it.
    """
    out = out.resolve()
    check_out(out)
    samples = samples.detach().float().cpu()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        if form == "npz":
            named: dict[str, Any] = {"label": np.array(labels)} if labels else {}
            np.savez(partial / "samples.npz", samples=samples.numpy(), **named)
        else:
            _write_files(samples, partial)
            if labels:
                _write_labels(labels, partial / "labels.csv")
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
