"""Scoring what is there: a model, a run or samples against data, and a picture of both sides."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ganworks import data as datasets
from ganworks import model, scoring
from ganworks.data import builtin, excerpt, pictures
from ganworks.data.dataset import DataSet
from ganworks.data.emoji import is_emoji
from ganworks.data.gallery import OnBad
from ganworks.data.spec import DataSpec
from ganworks.errors import DataError, GanworksError, UsageError, error
from ganworks.metrics.copies import Memorization
from ganworks.metrics.score import Score
from ganworks.metrics.spaces import FeatureSpace, bytes_of
from ganworks.model import Model
from ganworks.registry import suggestion
from ganworks.telling import Tell
from ganworks.training import disk
from ganworks.use.beside import beside

_IN_A_PICTURE = {"images": 64, "points": 2_500}
"""Samples of either side that are shown."""
_SIDE = 56
"""Pixels of the smallest pictures of a pair."""
_COPIED = 0.001
"""Chance below which samples are called copies: one true generator in a thousand is."""
_TRIED = ("no model: it has no config.json", "no run: it has no config.toml and checkpoints/")
"""What a source of samples is not."""


@dataclass(frozen=True)
class Wish:
    """How something is to be scored; what is empty suits the data."""

    metrics: Sequence[str] = ()
    samples: int | None = None
    seed: int = 0
    space: str | FeatureSpace = ""
    level: float = 0.95


@dataclass(frozen=True)
class Sides:
    """What is scored and what it is compared with.

    Args:
        name: What is scored.
        data: What it is compared with.
        model: Where it is a model.
        samples: Where it is samples.
        trained_on: Whether the model was trained on the data; or the samples are the data itself.
        notes: What was decided, one sentence each.
    """

    name: str
    data: DataSet
    model: Model | None = None
    samples: DataSet | None = None
    trained_on: bool = False
    notes: list[str] = field(default_factory=list)

    def parts(self, count: int, seed: int = 0) -> Iterator[Tensor]:
        """So many samples in user units, some at a time; fewer where there are no more."""
        if self.model is not None:
            return self.model.parts(count, seed)
        assert self.samples is not None
        return (excerpt.spread if self.trained_on else excerpt.whole)(self.samples, count).parts()

    @property
    def available(self) -> int | None:
        """How many samples there are; None: as many as one likes."""
        if self.samples is None:
            return None if self.model is None or self.model.most == sys.maxsize else self.model.most
        kept = self.samples.held_out
        return len(self.samples) + (0 if kept is None or self.trained_on else len(kept))


@dataclass(frozen=True)
class Evaluation:
    """Scores, what a reader should know of them, and a picture of both sides."""

    scores: list[Score]
    notes: list[str]
    picture: UInt8[np.ndarray, "h w c"]
    closest: UInt8[np.ndarray, "_h _w 3"] | None = None
    """The samples closest to training pictures above those, where that was asked for."""


def sides(source: str, against: str | None, *, on_bad: OnBad = "stop", tell: Tell | None = None) -> Sides:
    """Open what is to be scored and what it is compared with, in one shape.

    A model decides the shape of picture files; of two data sets the first does, unless only the second has a fixed one.

    Args:
        source: A model's folder, a run's, or data: a built-in name or a path.
        against: Data; None: what the model was trained on.
        on_bad: What happens where a picture file cannot be read.
        tell: Called with the progress of what takes long.
    Raises: UsageError, DataError and ModelError, as whatever is opened gives them.
    """
    if _is_model(Path(source)):
        return _of_model(source, against, on_bad, tell)
    if against is None:
        known = builtin.is_density(source) or builtin.is_digits(source) or is_emoji(source)
        if not (known or os.path.lexists(source)):
            raise _nothing_there(source)
        raise error("E-USE-01", verb="eval", reason="samples need data to be compared with: name them with --against")
    samples = _samples(source, on_bad, tell)
    try:
        data = data_for(samples.spec, against, on_bad=on_bad, tell=tell)
    except DataError as caught:
        if caught.code != "E-DATA-13" or not samples.spec.pictures:
            raise
        data = datasets.open(against, on_bad=on_bad, tell=tell)  # its pictures have a shape of their own
        samples = data_for(data.spec, source, on_bad=on_bad, tell=tell)
    notes = [*samples.note, *(note for note in data.note if note not in samples.note)]
    same = samples.spec.fingerprint == data.spec.fingerprint
    if same and data.density is None:
        notes.append(
            "the samples are the data itself: "
            + ("its training part is scored against its held-out part" if data.held_out else "equal sets score best")
        )
    return Sides(samples.name, data, samples=samples, trained_on=same and data.held_out is not None, notes=notes)


def data_for(
    spec: DataSpec, source: object, held_out: object = None, *, on_bad: OnBad = "stop", tell: Tell | None = None
) -> DataSet:
    """Data that can be compared with samples of a spec: picture files are brought to its shape.

    Raises: DataError E-DATA-13 for data of another kind or shape.
    """
    read = partial(datasets.open, source, held_out, on_bad=on_bad, tell=tell, **datasets.form(spec))
    if not spec.pictures:
        data = read()
    else:
        channels, height, width = spec.shape
        data = read(size=(height, width), channels=channels)
    if (data.spec.kind, data.spec.shape) != (spec.kind, spec.shape):
        raise error("E-DATA-13", name=data.name, got=_form(data.spec), needed=_form(spec))
    return data


def evaluate(sides: Sides, wish: Wish, tell: Tell | None = None) -> Evaluation:
    """Score one side against the other.

    Raises: UsageError for a metric or a feature space that cannot look at this data.
    """
    spec = sides.data.spec
    wanted = wish.samples or scoring.usual_samples(spec, quick=False)
    count = wanted if sides.available is None else min(wanted, sides.available)
    notes = list(sides.notes)
    if wish.samples is not None and count < wish.samples:
        notes.append(f"{sides.name} has {count} samples; all of them are taken")
    known = sides.model.likelihood if sides.model is not None else None
    scoring.judge(sides.data, wish.metrics, wish.space, trained_on=sides.trained_on, likelihood=known)
    pictured = "memorization" in wish.metrics and spec.pictures  # any sample may be one of the closest
    shown: list[Tensor] = []
    compared = scoring.compare(
        lambda count: _shown(sides.parts(count, wish.seed), count if pictured else _most_shown(sides), shown),
        sides.data,
        count,
        trained_on=sides.trained_on,
        metrics=wish.metrics,
        space=wish.space,
        level=wish.level,
        reference=max(count, scoring.usual_samples(spec, quick=False)),
        likelihood=known,
        tell=tell,
    )
    found, copies = compared
    notes += scoring.cautions(found, scoring.judge(sides.data, (), wish.space), spec)
    if not shown:  # a likelihood alone looks at no samples; the picture does
        most = min(count, _most_shown(sides))
        list(_shown(sides.parts(most, wish.seed), most, shown))
    drawn = torch.cat(shown)
    if copies is None:
        return Evaluation(found, notes, _picture(sides, drawn))
    notes.append(_verdict(copies, min(count, len(sides.data.held_out or drawn))))
    return Evaluation(found, notes, _picture(sides, drawn), _closest(sides, drawn, copies) if pictured else None)


def write(evaluation: Evaluation, out: Path) -> None:
    """Write `scores.json`, `sides.png` and, where there is one, `closest.png` into a new folder, whole or not at all.

    Raises: UsageError if the folder holds something; ResourceError if the disk is full or refuses.
    """
    with disk.appearing(out) as folder:
        scores = {"scores": [score.as_dict() for score in evaluation.scores]}
        (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
        pictures.write_png(folder / "sides.png", evaluation.picture)
        if evaluation.closest is not None:
            pictures.write_png(folder / "closest.png", evaluation.closest)


def _is_model(path: Path) -> bool:
    with contextlib.suppress(OSError):  # a name that is too long, or may not be looked at
        run = (path / "config.toml").is_file() and (path / "checkpoints").is_dir()
        return run or (path / "config.json").is_file()
    return False


def _of_model(source: str, against: str | None, on_bad: OnBad, tell: Tell | None) -> Sides:
    loaded = model.load(Path(source))
    spec, run = loaded.system.data, loaded.run
    name = Path(source).resolve().name
    held_out = run.held_out or None
    on_bad = "skip" if run.on_bad == "skip" else on_bad  # what the training left out is left out here too
    notes: list[str] = []
    if against is None:
        try:
            data = data_for(spec, run.data, held_out, on_bad=on_bad, tell=tell)
        except (DataError, UsageError) as caught:
            if caught.code not in ("E-DATA-01", "E-NAME-02"):
                raise
            reason = f"the data of {name} are not there: name data with --against"
            raise error("E-USE-01", verb="eval", reason=reason, details=[caught.what]) from None
    else:
        data = data_for(spec, against, on_bad=on_bad, tell=tell)
        if held_out and data.spec.fingerprint == spec.fingerprint:
            data = data_for(spec, against, held_out, on_bad=on_bad, tell=tell)
    loaded.rows = data.held_out or data
    same = data.spec.fingerprint == spec.fingerprint
    if against is None and not same:
        notes.append(f"{run.data} has changed since {name} was trained on it: all of it is compared with")
    if same and data.density is None and data.held_out is None:
        notes.append(f"nothing of {data.name} was held out: the scores are against what {name} was trained on")
    return Sides(name, data, model=loaded, trained_on=same, notes=[*data.note, *notes])


def _samples(source: str, on_bad: OnBad, tell: Tell | None) -> DataSet:
    """Samples that are there already; where there are none, what was tried."""
    try:
        return datasets.open(source, on_bad=on_bad, tell=tell)
    except GanworksError as caught:
        if caught.code in ("E-DATA-01", "E-NAME-02"):
            raise _nothing_there(source) from None
        if caught.code in ("E-DATA-02", "E-DATA-14"):
            caught.details = (*caught.details[:7], *_TRIED)
        raise


def _nothing_there(source: str) -> GanworksError:
    names = [row.name for row in builtin.names()]
    return error(
        "E-DATA-01", path=source, details=[*suggestion(source, names), *_TRIED, f"built in: {', '.join(names)}"]
    )


def _form(spec: DataSpec) -> str:
    if not spec.pictures:
        return f"{spec.kind} of {' x '.join(map(str, spec.shape))} numbers"
    channels, height, width = spec.shape
    return f"{'grey' if channels == 1 else 'colour'} pictures of {height} x {width} px"


def _most_shown(sides: Sides) -> int:
    return _IN_A_PICTURE["images" if sides.data.spec.pictures else "points"]


def _shown(parts: Iterator[Tensor], most: int, shown: list[Tensor]) -> Iterator[Tensor]:
    """Let samples pass, and keep the first of them for a picture: pictures as the bytes that they are shown as."""
    for part in parts:
        some = part[: most - sum(map(len, shown))]
        shown.append(bytes_of(some).to(torch.uint8) if part.ndim == 4 else some.clone())
        yield part


def _verdict(copies: Memorization, tested: int) -> str:
    """What the test of copies on so many samples and held-out rows says, in a sentence."""
    if copies.p_value < _COPIED:
        return f"samples lie closer to single training rows than held-out rows do (p = {copies.p_value:.2g}): copies"
    shown = min(1.0, 2 / tested**0.5)  # a share s of copies moves U by s/2, and that varies by 1/sqrt(6 n)
    return (
        f"samples lie no closer to single training rows than held-out rows do (p = {copies.p_value:.2g}); "
        f"{tested} of both show copies from a share of about {shown:.0%}"
    )


def _closest(sides: Sides, drawn: Tensor, copies: Memorization) -> UInt8[np.ndarray, "h w 3"]:
    """The samples that are closest to training pictures, each above the one it is closest to."""
    fakes = drawn[[pair.fake for pair in copies.pairs]] / 127.5 - 1
    trained = sides.data.rows(torch.tensor([pair.train for pair in copies.pairs])).made
    name = f"samples of {sides.name} above the training pictures of {sides.data.name} they are closest to"
    return pairs(fakes, trained, name)


def pairs(above: Float[Tensor, "n c h w"], below: Float[Tensor, "n c h w"], name: str) -> UInt8[np.ndarray, "_h _w 3"]:
    """Pictures in [-1, 1] each above another one, eight pairs in a row, under a name."""
    times = max(1, _SIDE // above.shape[2])
    above, below = (each.repeat_interleave(times, 2).repeat_interleave(times, 3) for each in (above, below))
    columns = min(8, len(above))
    lines = [
        np.pad(pictures.grid(torch.cat(pair), columns), ((0, _SIDE // 4), (0, 0), (0, 0)), constant_values=255)
        for pair in zip(torch.split(above, columns), torch.split(below, columns), strict=True)
        if len(pair[0]) == columns
    ]
    return beside([np.concatenate(lines)], [name])


def _picture(sides: Sides, drawn: Tensor) -> UInt8[np.ndarray, "h w c"]:
    """Equally many real and generated samples: pictures beside each other, points in one frame."""
    kept = sides.data.held_out if sides.trained_on else None
    most = _most_shown(sides)
    real = (excerpt.whole(sides.data, most) if kept is None else excerpt.spread(kept, most)).rows()
    count = min(most, len(real), len(drawn))
    real, drawn = real[torch.arange(count) * len(real) // count], drawn[:count]
    if sides.data.spec.pictures:
        names = [f"real: {sides.data.name}", f"samples: {sides.name}"]
        return beside([pictures.grid(real, columns=8), pictures.grid(drawn / 127.5 - 1, columns=8)], names)
    frame = pictures.points_picture(drawn, real, limits=pictures.limits_of(torch.cat([real, drawn])))
    return beside([frame], [f"{count} real points of {sides.data.name} in grey, {count} of {sides.name} in blue"])
