"""What a shell offers at the Tab key: asked for directly, and through bash, zsh and fish themselves."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganworks import data, losses, systems
from ganworks.cli import candidates, completion
from ganworks.cli.app import BUILT, build, main
from ganworks.metrics import features
from ganworks.settings import GameSettings, RunSettings, keys
from ganworks.training import loggers

OURS = str(Path(sys.executable).parent)
"""Where the command `ganworks` is."""
each_shell = pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])


def offered(*words: str) -> list[str]:
    return [each.value for each in candidates.complete(words, build())]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, a folder of pictures and a settings file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/digits-0001").mkdir(parents=True)
    (tmp_path / "runs/digits-0001/config.toml").touch()
    (tmp_path / "runs/broken").mkdir()
    (tmp_path / "my photos").mkdir()
    (tmp_path / "rings.toml").touch()
    (tmp_path / ".hidden").touch()
    return tmp_path


# What is offered


def test_verbs() -> None:
    assert offered("tr") == ["train", "translate"]
    assert offered("trai") == ["train"]
    assert set(BUILT) | {"--help", "--install-completion"} <= set(offered(""))
    assert offered("-q", "sys") == ["systems"]
    assert offered("data", "ch") == ["check"]


def test_options_with_their_meaning() -> None:
    assert offered("train", "--ste") == ["--steps"]
    assert "--json" in offered("sample", "--")
    assert not any("--no-" in each and each != "--no-color" for each in offered("train", "--"))
    (candidate,) = candidates.complete(["train", "--ste"], build())
    assert "rounds" in candidate.help


def test_systems_losses_and_data(place: Path) -> None:
    assert offered("train", "--system", "wg") == ["wgan", "wgan_gp"]
    assert offered("train", "--system=wg") == ["--system=wgan", "--system=wgan_gp"]
    assert offered("systems", "dc") == ["dcgan"]
    assert offered("train", "ri") == ["ring", "rings.toml"]
    assert offered("train", "digits:7") == ["digits:7"]
    assert offered("eval", "runs/digits-0001", "--against", "swi") == ["swissroll"]


def test_setting_keys_and_their_words() -> None:
    assert offered("train", "--set", "objective.gr") == ["objective.gradient_penalty="]
    assert offered("train", "--set", "objective.loss=h") == ["objective.loss=hinge"]
    assert offered("train", "--set", "latent.prior=") == ["latent.prior=normal", "latent.prior=uniform"]
    assert offered("train", "--set", "turns.simultaneous=t") == ["turns.simultaneous=true"]
    assert offered("train", "--set", "batch=8", "view.p") == ["view.pack="]
    assert offered("train", "--set", "record.e") == ["record.every="]


def test_runs_folders_and_files(place: Path) -> None:
    assert offered("resume", "runs/d") == ["runs/digits-0001", "runs/digits-0001/"]
    assert offered("sample", "")[0] == "runs/digits-0001"
    assert offered("train", "--config", "r") == ["rings.toml", "runs/"]
    assert offered("train", "my") == ["my photos/"]
    assert ".hidden" not in offered("train", "")
    assert ".hidden" in offered("train", ".h")


def test_words_of_options(place: Path) -> None:
    assert offered("sample", "model", "--format", "") == ["files", "npz"]
    assert offered("eval", "model", "--metrics", "recall,frechet_d") == ["recall,frechet_distance"]
    assert offered("eval", "model", "--space", "eff") == ["effnet-lite0"]
    assert offered("train", "--steps", "") == []
    assert offered("doctor", "") == []
    assert "ring" in offered("data", "check", "")
    assert offered("nonsense", "") == offered("")


def test_what_can_be_explained() -> None:
    found = offered("explain", "")
    for name in ("mode_collapse", "r1", "hinge", "wgan_gp", "recall", "objective.loss", "E-USE-01", "ring"):
        assert name in found


def test_names_that_are_written_twice_are_the_same() -> None:
    """Completion must not import torch, beside which these names stand."""
    assert list(candidates.DATA) == [row.name for row in data.names()]
    assert list(candidates.SPACES) == features.names()
    assert list(candidates.LOSSES) == losses.names()
    assert list(candidates.LOGGERS) == loggers.names()
    general = {key for model in (GameSettings, RunSettings) for key, _ in keys(model)}
    special = {key for name in systems.names() for key, _ in keys(systems.get(name).Settings)} - general
    assert set(candidates.OWN_SETTINGS) == special


# How a shell asks


def asked(*tokens: str, folder: Path | None = None) -> list[str]:
    done = subprocess.run([sys.executable, "-m", "ganworks", "--complete", *tokens], cwd=folder, capture_output=True)
    assert done.stderr == b""
    return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize(
    ("line", "current", "answer"),
    [
        ("ganworks train --sy", "--sy", ["--system"]),
        ("ganworks train --set objective.loss=hi", "hi", ["hinge"]),  # bash breaks words at = and :
        ("ganworks train --set objective.loss=", "", list(losses.names())),
        ("ganworks train digits:7", "7", ["7"]),
        ("ganworks train my\\ ph", "my\\ ph", ["my photos/"]),
        ('ganworks train "my ph', '"my ph', ["my photos/"]),
        ("ganworks resume ", "", ["runs/digits-0001", "my photos/", "rings.toml", "runs/"]),
    ],
)
def test_from_bash_comes_the_line(place: Path, line: str, current: str, answer: list[str]) -> None:
    assert asked("bash", line, current, folder=place) == answer


def test_from_others_come_the_words(place: Path) -> None:
    assert asked("zsh", "train", "--set", "objective.loss=hi", folder=place) == ["objective.loss=hinge"]
    assert asked("fish", "", folder=place)[0] == "train"


@pytest.mark.parametrize("tokens", [[], ["bash"], ["bash", "", ""], ["zsh"], ["tcsh", "train", "\udcff"]])
def test_whatever_a_shell_sends_it_hears_no_message(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([completion.ASK, *tokens])
    said = capsys.readouterr()
    assert said.err == ""
    assert "Traceback" not in said.out


@pytest.mark.parametrize("line", ["tr", "train --set objective.", "explain m", "eval --metrics r"])
def test_an_answer_is_quick_and_imports_no_torch(line: str) -> None:
    code = (
        "import sys; from ganworks.cli.app import main; main(sys.argv[1:])\n"
        "print('loaded:', *[name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    )
    begun = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code, "--complete", "zsh", *line.split()], capture_output=True, text=True
    )
    ended = os.times()
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert len(done.stdout.splitlines()) > 1
    spent = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    assert spent < 1.0


# The shells themselves


@each_shell
def test_a_script_is_valid(shell: completion.Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--show-completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    assert script.read_text().strip() == completion.SCRIPTS[shell].strip()
    if shutil.which(shell):
        done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def in_shell(shell: str, program: str, folder: Path) -> list[str]:
    """What a program in a shell prints, with the completion of ganworks there as $SCRIPT."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (folder / "script").write_text(completion.SCRIPTS[shell])  # type: ignore[index]
    environment = {**os.environ, "PATH": f"{OURS}:{os.environ['PATH']}", "SCRIPT": str(folder / "script")}
    options = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *options, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


BASH = r"""
. "$SCRIPT"
ask() {
    COMP_LINE=$1; COMP_POINT=${#1}
    read -r -a COMP_WORDS <<< "$1"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ganworks ganworks "$2" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}"
}
"""


def test_bash_completes(place: Path) -> None:
    program = BASH + (
        "ask 'ganworks trai' trai; ask 'ganworks train --sys' --sys; ask 'ganworks train --system sng' sng\n"
        "ask 'ganworks train swi' swi; ask 'ganworks train --set objective.loss=hi' hi\n"
        "ask 'ganworks resume runs/d' runs/d; ask 'ganworks train my' my; complete -p ganworks"
    )
    assert in_shell("bash", program, place) == [
        "train", "--system", "sngan", "swissroll", "hinge", "runs/digits-0001", "runs/digits-0001/", r"my\ photos/",
        "complete -F _ganworks ganworks",
    ]  # fmt: skip


def test_bash_completes_at_the_tab_key(place: Path) -> None:
    """In a terminal: a verb gets a blank behind it, a setting does not."""
    pty = pytest.importorskip("pty")
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    (place / "script").write_text(completion.SCRIPTS["bash"])
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PATH": f"{OURS}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "> "}
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=place, env=environment,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        os.write(ours, b". ./script; echo rea''dy\n")
        assert "ready" in read_until(ours, "ready\r\n> ")
        os.write(ours, b"ganworks trai\t--set objective.gra\t0.1 objective.loss=hi\t#")
        typed = read_until(ours, "#")
        assert "ganworks train --set objective.gradient_penalty=0.1 objective.loss=hinge #" in typed.replace("\x07", "")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read_until(terminal: int, end: str, seconds: float = 30) -> str:
    text, last = "", time.monotonic() + seconds
    while end not in text and time.monotonic() < last:
        text += os.read(terminal, 4096).decode()
    return text


ZSH = r"""
compdef() { :; }
. "$SCRIPT"
compadd() {
    while [[ $1 != -- ]]; do [[ $1 == -S ]] && print -r -- 'open:'; shift; done
    shift; print -rl -- "$@"
}
ask() { words=("$@"); CURRENT=$#words; PREFIX=$words[-1]; _ganworks }
"""


def test_zsh_completes(place: Path) -> None:
    program = ZSH + (
        "ask ganworks trai; ask ganworks train --system sng; ask ganworks train --set objective.loss=hi\n"
        "ask ganworks train --set objective.gra; ask ganworks train my; ask ganworks resume runs/d; ask ganworks zzz\n"
    )
    assert in_shell("zsh", program, place) == [
        "train", "sngan", "objective.loss=hinge", "open:", "objective.gradient_penalty=", "open:", "my photos/",
        "runs/digits-0001", "open:", "runs/digits-0001/",
    ]  # fmt: skip


def test_fish_completes(place: Path) -> None:
    program = (
        '. "$SCRIPT"; for line in "ganworks trai" "ganworks train --system sng" "ganworks train my" '
        '"ganworks train --set objective.loss=hi" "ganworks resume runs/d"; complete -C "$line"; end'
    )
    assert [line.split("\t")[0] for line in in_shell("fish", program, place)] == [
        "train", "sngan", "my photos/", "objective.loss=hinge", "runs/digits-0001", "runs/digits-0001/",
    ]  # fmt: skip


# Installing


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("tokens", [[], ["--help"], ["systems"], ["--show-completion", "bash"]])
def test_nothing_is_installed_that_nobody_asked_for(home: Path, tokens: list[str]) -> None:
    assert main(tokens) == 0
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(("shell", "start"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_it_writes_a_script_and_adds_one_line(
    shell: completion.Shell, start: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / start).write_text("alias ll='ls -l'")  # no newline at its end
    for _ in range(2):
        assert main(["--install-completion", shell]) == 0
    script = home / f".local/share/ganworks/completion.{shell}"
    assert script.read_text() == completion.SCRIPTS[shell]
    lines = (home / start).read_text().splitlines()
    assert lines[0] == "alias ll='ls -l'"
    assert [line for line in lines if "ganworks" in line] == [lines[-1]]
    said = capsys.readouterr().out
    assert f"wrote ~/.local/share/ganworks/completion.{shell}" in said
    assert f"added one line to ~/{start}" in said
    assert f"~/{start} reads it already" in said
    if shutil.which(shell):
        done = subprocess.run([shell, "-c", f". {home / start}"], capture_output=True, text=True)
        assert done.stderr == ""


def test_fish_needs_no_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/local/bin/fish")
    assert main(["--install-completion"]) == 0
    files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    assert files == [".config/fish/completions/ganworks.fish"]


@pytest.mark.parametrize("shell", ["", "/bin/tcsh"])
def test_a_shell_that_is_not_known(
    shell: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", shell)
    assert main(["--install-completion"]) == 2
    assert "name your shell" in capsys.readouterr().err
    assert main(["--install-completion", "tcsh"]) == 2
    assert list(home.iterdir()) == []
