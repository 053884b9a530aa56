"""Every code of the table, met by a person: through the command, or through the package's public names."""

import contextlib
import io
import json
import re
import resource
import shlex
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_files import SMALL

from ganworks import GAN, data, losses, metrics, penalties, systems, theory
from ganworks.cli import app, options
from ganworks.cli.output import DEFAULT, Output
from ganworks.data import emoji
from ganworks.data.pictures import write_png
from ganworks.errors import TABLE, GanworksError
from ganworks.metrics import features, weights
from ganworks.training import loggers
from ganworks.training.folder import RunFolder


class Told(Exception):
    """An error of the command: its code, what to do, and the exit code."""

    def __init__(self, code: str, remedy: str, exit_code: int) -> None:
        super().__init__(code, remedy)
        self.code, self.remedy, self.exit_code = code, remedy, exit_code


def command(*words: str) -> None:
    """Run the command; what it says with --json is raised."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        exit_code = app.main([*words, "--json"])
    if exit_code:
        problem = json.loads(said.getvalue())["error"]
        raise Told(problem["code"], problem["do"], exit_code)


class Here:
    """A place with a run and a model, and what a test may spoil."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, monkeypatch
        self.run, self.model = folder / "run", folder / "model"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def changed(self, change: Callable[[dict[str, Any]], object]) -> Path:
        """The model, with its config changed."""
        config = json.loads((self.model / "config.json").read_text())
        change(config)
        (self.model / "config.json").write_text(json.dumps(config))
        return self.model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and a model of a second."""
    folder = tmp_path_factory.mktemp("made")
    GAN("gan", **SMALL).fit("ring", steps=2, run=folder / "run").save(folder / "model")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, monkeypatch)


RAISED: dict[str, Callable[[Here], object]] = {}
"""How each code comes about."""


def raises(code: str) -> Callable[[Callable[[Here], object]], Callable[[Here], object]]:
    """Enter a function into the table."""

    def enter(provoke: Callable[[Here], object]) -> Callable[[Here], object]:
        assert code not in RAISED, f"{code} is provoked twice"
        RAISED[code] = provoke
        return provoke

    return enter


POINTS = torch.linspace(-1, 1, 40).reshape(20, 2)
RAISED |= {
    "E-NAME-01": lambda here: systems.get("wgan_pg"),
    "E-NAME-02": lambda here: data.open("rng"),
    "E-NAME-03": lambda here: losses.get("hinje"),
    "E-NAME-04": lambda here: GAN(**{"objective.los": "hinge"}),
    "E-NAME-05": lambda here: metrics.score("recal", POINTS, POINTS),
    "E-NAME-06": lambda here: features.get("pixel"),
    "E-NAME-07": lambda here: GAN("conditional", **SMALL).start("digits", steps=1).sample(2, label=12),
    "E-NAME-08": lambda here: command("train", "ring", "--log", "tensorbord"),
    "E-NAME-09": lambda here: command("explain", "hinje"),
    "E-NAME-11": lambda here: command("failure", "mode_colapse"),
    "E-SET-01": lambda here: GAN(batch=0),
    "E-SET-02": lambda here: GAN(**{"turns.unroll": 5, "turns.simultaneous": True}),
    "E-SET-03": lambda here: command("train", "--config", str(here.write("mine.toml", "batch = = 3"))),
    "E-SET-04": lambda here: command("train", "--config", "none.toml"),
    "E-USE-01": lambda here: command("train", "--steps", "3", "--time", "3s"),
    "E-USE-02": lambda here: command("studio"),
    "E-USE-03": lambda here: command("sample", "model", "--out", "run"),
    "E-USE-04": lambda here: command("trian"),
    "E-USE-05": lambda here: GAN("gan").sample(),
    "E-RUN-01": lambda here: GAN("gan").fit("ring", run=here.run),
    "E-RUN-02": lambda here: command("resume", "nothing"),
    "E-RUN-03": lambda here: command("resume", "run", "--steps", "1"),
    "E-RUN-04": lambda here: command("resume", "run", "--set", "batch=3"),
    "E-RUN-05": lambda here: command("train", "ring", "--from", "run", "--system", "wgan"),
    "E-ARG-01": lambda here: penalties.clip_weights(torch.nn.Linear(2, 2), 0.0),
    "E-SHAPE-01": lambda here: losses.get("hinge").discriminator(POINTS, POINTS[:3]),
    "E-GRAD-01": lambda here: penalties.r1(POINTS, POINTS),
    "E-DATA-01": lambda here: data.open("no/where"),
    "E-DATA-02": lambda here: data.open(object()),
    "E-DATA-03": lambda here: data.open(here.write("broken.npy", b"\x93NUMPY\x01\x00\x10")),
    "E-DATA-05": lambda here: data.open(np.array([[0.0, np.nan]] * 3)),
    "E-DATA-06": lambda here: data.open(np.full((4, 16, 16), 300.0)),
    "E-DATA-07": lambda here: data.open(np.zeros((2, 2, 2, 2, 2))),
    "E-DATA-08": lambda here: data.open({"x": POINTS, "label": np.zeros(3)}),
    "E-DATA-09": lambda here: data.open(POINTS[:1]),
    "E-DATA-10": lambda here: data.open("ring", held_out=np.zeros((5, 3))),
    "E-DATA-12": lambda here: data.open(pictures(here, broken=True)),
    "E-DATA-13": lambda here: data.open("digits", size=64),
    "E-DATA-15": lambda here: data.open(here.write("points.csv", "1.0,2.0\n3.0,4.0,5.0\n6.0,7.0\n")),
    "E-THEORY-01": lambda here: theory.Normal(0.0, -1.0),
    "E-METRIC-01": lambda here: metrics.frechet_distance(POINTS, POINTS[:1]),
    "E-METRIC-02": lambda here: metrics.frechet_distance(POINTS, POINTS / 0),
    "E-METRIC-03": lambda here: metrics.score("recall", POINTS, POINTS, estimator="biased"),
    "E-MODEL-01": lambda here: GAN.load(here.write("model/model.safetensors", b"no tensors").parent),
    "E-MODEL-02": lambda here: GAN.load(here.changed(lambda config: config["settings"]["generator"].update(width=5))),
    "E-MODEL-03": lambda here: GAN.load(here.changed(lambda config: config.update(format=99))),
    "E-MODEL-05": lambda here: command(*"train ring --from model --set".split(), *OTHERS),
    "E-MODEL-20": lambda here: weights.read(here.write("weights.pth", b"not those"), weights.EFFNET),
    "E-TRAIN-01": lambda here: GAN("gan", **SMALL, **{"generator.lr": 1e38}).fit(
        "ring", steps=9, run=here.folder / "b"
    ),
    "E-TRAIN-02": lambda here: GAN("gan", **SMALL, **{"generator.lr": 1e39}).fit(
        "ring", steps=1, run=here.folder / "b"
    ),
    "E-ENV-02": lambda here: GAN.load(here.model).save("a" * 300),
    "E-ENV-06": lambda here: command("train", "ring", "--device", "nowhere"),
}
OTHERS = ["generator.width=7", "discriminator.width=7", "latent.size=3"]


def pictures(here: Here, *, broken: bool) -> Path:
    """A folder of four pictures."""
    from PIL import Image

    folder = here.folder / "photos"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (32, 32), (60 * number, 0, 0)).save(folder / f"{number}.png")
    if broken:
        (folder / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@raises("E-RUN-06")
def _(here: Here) -> None:
    (here.folder / "failures" / "frozen").mkdir(parents=True)
    command("failure", "frozen")


@raises("E-DATA-04")
def _(here: Here) -> object:
    np.save(here.folder / "objects.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return data.open(here.folder / "objects.npy")


@raises("E-DATA-11")
def _(here: Here) -> None:
    np.save(here.folder / "mine.npy", POINTS.numpy())
    GAN("gan", **SMALL).fit(here.folder / "mine.npy", steps=1, run=here.folder / "mine")
    np.save(here.folder / "mine.npy", -POINTS.numpy())
    command("resume", "mine", "--steps", "3")


@raises("E-DATA-14")
def _(here: Here) -> None:
    (here.folder / "empty").mkdir()
    command("train", "empty")


@raises("E-DATA-16")
def _(here: Here) -> None:
    for name, number in (("source", 1), ("source", 2), ("target", 1), ("target", 3)):
        (here.folder / "halves" / name).mkdir(parents=True, exist_ok=True)
        write_png(here.folder / "halves" / name / f"{number}.png", np.zeros((16, 16, 1), np.uint8))
    command("train", "halves", "--system", "pix2pix")


@raises("E-ENV-23")
def _(here: Here) -> None:
    here.patch.setattr(emoji, "find_spec", lambda name: None)
    command("train", "emoji")


@raises("E-MODEL-04")
def _(here: Here) -> None:
    command("train", "ring", "--from", "model", "--steps", "1", "--run", "second")
    shutil.rmtree(here.model)
    GAN("gan", **SMALL).start("ring", seed=5, steps=1).save(here.model)
    command("train", "--config", "second/config.toml")


@raises("E-ENV-01")
def _(here: Here) -> object:
    """A limit on the size of files is a full disk, too."""
    model = GAN.load(here.model)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        return model.save(here.folder / "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failing(reason: BaseException) -> Callable[..., int]:
    """A verb that fails so."""

    def verb(*, output: Output = DEFAULT) -> int:
        raise reason

    return verb


@raises("E-ENV-03")
def _(here: Here) -> None:
    here.patch.setitem(app.BUILT, "systems", failing(MemoryError()))
    command("systems")


@raises("E-ENV-04")
def _(here: Here) -> None:
    with RunFolder.existing(here.run):
        command("resume", "run", "--steps", "5")


@raises("E-ENV-05")
def _(here: Here) -> object:
    run = here.folder / "gone"
    return GAN("gan", **SMALL).fit("ring", steps=9, run=run, watchers=[lambda record: shutil.rmtree(run)])


@raises("E-ENV-20")
def _(here: Here) -> object:
    here.patch.setattr(features, "find_spec", lambda name: None)
    return features.get("effnet-lite0")


def _of_other_packages(*values: str) -> Any:
    return lambda group: [EntryPoint("theirs", value, group) for value in values]


@raises("E-NAME-10")
def _(here: Here) -> object:
    here.patch.setattr(features, "entry_points", _of_other_packages("a:Space", "b:Space"))
    return features.get("theirs")


@raises("E-ENV-22")
def _(here: Here) -> object:
    here.patch.setattr(features, "entry_points", _of_other_packages("no_such_module:Space"))
    return features.get("theirs")


@raises("E-ENV-21")
def _(here: Here) -> None:
    here.patch.setattr(loggers, "find_spec", lambda name: None)
    command("train", "ring", "--log", "tensorboard")


@raises("E-BUG-01")
def _(here: Here) -> None:
    here.patch.setitem(app.BUILT, "systems", failing(KeyError("lost")))
    command("systems")


def test_every_code_of_the_table_has_its_cause_here() -> None:
    assert set(RAISED) == set(TABLE)


def commands_in(remedy: str) -> Iterator[list[str]]:
    """What a remedy offers to paste. The words in capitals stand for what a person fills in."""
    for part in re.split(r"\bor\b|;|: ", remedy):
        if part.strip().startswith("ganworks "):
            yield shlex.split(part.strip())[1:]


def parses(words: list[str]) -> None:
    """By the command's own parser, without running anything."""
    ordered = options.spread(app._verb_first(words))
    app.build().parse_args(ordered, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("code", sorted(TABLE))
def test_a_code_is_raised_with_a_remedy_that_can_be_followed(code: str, here: Here) -> None:
    with pytest.raises((GanworksError, Told)) as caught:
        RAISED[code](here)
    found = caught.value
    assert found.code == code, found
    assert found.exit_code == TABLE[code].kind.exit_code
    assert found.remedy
    assert not re.search(r"\{[a-z]*\}", found.remedy), "a field that nobody filled in"
    for words in commands_in(found.remedy):
        parses(words)


@pytest.mark.parametrize("code", sorted(TABLE))
def test_a_remedy_of_the_table_parses_with_its_fields_filled_in(code: str) -> None:
    fields = {
        "verb": "train",
        "player": "generator",
        "path": "runs/a",
        "config": "mine.toml",
        "more": 5,
        "found": "gan",
    }
    names = re.findall(r"{(\w+)}", TABLE[code].remedy)
    filled = TABLE[code].remedy.format(**{name: fields.get(name, "gan") for name in names})
    for words in commands_in(filled):
        parses(words)
    for extra in re.findall(r"ganworks\[(\w+)\]", filled):
        assert extra in ("features", "gan"), extra  # a field, or one that pyproject has


def test_a_remedy_that_does_not_parse_is_found() -> None:
    """The seeded mistake."""
    assert [*commands_in("free some space, then ganworks resum runs/a or ganworks train --stesp 3")] == [
        ["train", "--stesp", "3"]
    ]
    with pytest.raises(Exception, match="resum"):
        parses(["resum", "runs/a"])
    with pytest.raises(Exception, match="stesp"):
        parses(["train", "--stesp", "3"])
