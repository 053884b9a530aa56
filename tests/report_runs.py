"""Run folders as a training leaves them, written by hand: every number that a report may show, in a millisecond."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EVIL = "<img src=x onerror=alert(1)>\"'&</pre></style><script>alert(2)</script>\x00\ud800"
COLLAPSE = {
    "step": 200,
    "name": "mode_collapse",
    "since_step": 120,
    "confidence": 0.93,
    "evidence": [
        {"says": "samples are alike", "measure": "probe.spread", "value": 0.41, "bound": 0.5, "lines": [60, 100]}
    ],
    "remedy": "ganworks train digits --set view.pack=2",
}
HEALTHY = {"step": 100, "name": "healthy", "since_step": 0, "confidence": 1.0, "evidence": [], "remedy": "go on"}
SCORE = {
    "metric": "kernel_distance", "feature_space": "digits", "value": 1.25, "low": 1.06, "high": 1.46, "level": 0.95,
    "samples": 200, "reference_samples": 1500, "real": -0.014,
}  # fmt: skip


def few_records(count: int = 100) -> list[dict[str, Any]]:
    """Losses and nothing else: one frame, drawn in a tenth of a second."""
    return [{"step": 2 * i, "generator.adversarial": 1 / i, "seconds": 0.01 * i} for i in range(1, count + 1)]


def records(count: int = 100) -> list[dict[str, Any]]:
    """Every number by the name that training gives it; probes in each tenth record."""
    found = []
    for i in range(1, count + 1):
        share = i / count
        record = {
            "step": 2 * i,
            "discriminator.adversarial": 0.7 - 0.3 * share,
            "discriminator.r1": 0.05,
            "generator.adversarial": 0.7 + share,
            "discriminator.lr": 2e-3 * (1 - share),
            "generator.lr": 1e-3 * (1 - share),
            "logit.real": share,
            "logit.fake": -share,
            "gradient.generator": 0.1,
            "gradient.discriminator": 0.2,
            "seconds": 0.01 * i,
        }
        if i % 10 == 0:
            record |= {f"probe.{name}": share for name in "accuracy accuracy_trained spread rank bins distance".split()}
            record |= {"probe.distance_online": 0.5, "probe.distance_floor": 0.05, "probe.calibration": 0.1}
            record |= {"optimum.jsd": 0.6, "optimum.jsd_floor": 0.01, "optimum.discriminator_gap": 0.2}
            record |= {"score.recall": share, "score.recall.low": share - 0.1, "score.recall.high": share + 0.1}
        found.append(record)
    return found


def png(side: int = 64, noise: bool = False) -> bytes:
    """A square picture; noise cannot be compressed."""
    shape = (side, side, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8) if noise else np.full(shape, 90, np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def a_run(
    path: Path,
    lines: Sequence[Mapping[str, Any]] | None = None,
    verdicts: Sequence[Mapping[str, Any]] = (HEALTHY, COLLAPSE),
    grids: Sequence[int] = (20, 100, 200),
    grid: bytes = b"",
    data: str = "digits",
    log: str = "stopped at step 200: steps",
) -> Path:
    """A run of 200 steps; `lines` are its records, `grids` the steps of its grids, `log` its last line."""
    saved = path / "checkpoints/000200"
    saved.mkdir(parents=True)
    (saved / "state.safetensors").write_bytes(b"four")
    (saved / "manifest.json").write_text(json.dumps({"step": 200, "until": 200, "bytes": 4}))
    plain = json.dumps(data.replace("\x00", "").replace("\ud800", ""))  # TOML has neither
    (path / "config.toml").write_text(f'data = {plain}\nsystem = "r3gan"\nsteps = 200\n')
    told = {"started": "2026-11-26T04:23:02+0000", "torch": "2.13.0", "command": f"ganworks train {data}"}
    (path / "environment.json").write_text(json.dumps(told))
    written = few_records() if lines is None else lines
    (path / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in written))
    if verdicts:
        (path / "verdicts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in verdicts))
    (path / "scores.json").write_text(json.dumps({"step": 200, "scores": [SCORE]}))
    (path / "log.txt").write_text(f"2026-11-26 04:23:03  {log}\n")
    (path / "samples").mkdir()
    for step in grids:
        (path / "samples" / f"{step:06}.png").write_bytes(grid or png())
    return path


def without(run: Path, name: str) -> Path:
    """A run that has lost a file or a folder."""
    place = run / name
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()
    return run
