"""The command as a whole: what it knows, what it prints where, and how it ends."""

import inspect
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from experiments import record, settings_fuzz, typos
from ganworks.cli.app import BUILT, EXAMPLES, PLANNED, SUB_VERBS, build, main
from ganworks.cli.options import spread

VERBS = (
    "train resume sample eval diagnose failure systems explain data runs compare interpolate invert inpaint translate "
    "upscale speak augment features export sweep studio doctor"
).split()
HEAVY = "torch numpy scipy matplotlib pandas sklearn pydantic PIL".split()
PAGES = [["--help"], *([verb, "--help"] for verb in BUILT)]
PAGES += [[verb, inner, "--help"] for verb, below in SUB_VERBS.items() for inner in below]


def run_command(*tokens: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ganworks", *tokens], capture_output=True, text=True, timeout=60)


def test_every_verb_is_known_from_the_first_day() -> None:
    assert sorted([*BUILT, *PLANNED]) == sorted(VERBS)


@pytest.mark.parametrize("verb", PLANNED)
@pytest.mark.parametrize("rest", [[], ["--help"], ["some", "--option", "3"]])
def test_a_verb_that_is_not_built_yet_says_so(verb: str, rest: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, *rest]) == 2
    said = capsys.readouterr()
    assert said.err == f"error[E-USE-02]: '{verb}' is not built yet\ndo:  ganworks --help\n"
    assert said.out == ""


def examples(text: str) -> list[str]:
    """The commands that a text offers to paste."""
    commands = re.findall(r"^  (ganworks .*?)(?:   .*)?$", inspect.cleandoc(text), re.MULTILINE)
    assert commands
    return commands


def test_bare_command_shows_six_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert len(examples(capsys.readouterr().out)) == 6


@pytest.mark.parametrize("text", [EXAMPLES, *(verb.__doc__ for verb in BUILT.values())])
def test_every_example_is_a_command_that_parses(text: str) -> None:
    for command in examples(text):
        _, *tokens = command.split()
        verb, _, _ = build().parse_args(spread(tokens), exit_on_error=False, print_error=False)
        assert verb is SUB_VERBS.get(tokens[0], BUILT).get(tokens[1 if tokens[0] in SUB_VERBS else 0])


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_help_imports_nothing_heavy(page: list[str]) -> None:
    code = (
        "import sys; from ganworks.cli.app import main; code = main(sys.argv[2:])\n"
        "found = [name for name in sys.argv[1].split() if name in sys.modules]\n"
        "print('loaded:', *found); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, " ".join(HEAVY), *page], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: ganworks" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("page", PAGES[1:], ids=" ".join)
def test_help_says_what_every_word_means(page: list[str]) -> None:
    verb = build()
    for word in page[:-1]:
        verb = verb[word]
    assert verb.help
    for argument in verb.assemble_argument_collection(parse_docstring=True):
        assert argument.parameter.help or argument.name == "*", argument.name


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_help_takes_less_than_three_tenths_of_a_second(page: list[str]) -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_command(*page)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    seconds()  # the first one fills the caches
    assert min(seconds() for _ in range(3)) < 0.3


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, ganworks; print([name for name in sys.argv[1].split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, " ".join(HEAVY)], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == version("ganworks") + "\n"


def test_a_mistyped_verb_gets_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert capsys.readouterr().err == (
        "error[E-USE-04]: unknown verb 'trian'\n  names close to it: train\ndo:  ganworks --help\n"
    )


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        (["train", "--stesp", "3"], "--steps"),
        (["train", "-steps", "3"], "--steps"),  # a dash too few
        (["train", "--helb"], "--help"),
        (["sample", "model", "--fromat=npz"], "--format"),
        (["data", "check", "photos", "--uot", "look"], "--out"),
        (["--vesion"], "--version"),
        (["-train"], "train"),
    ],
)
def test_a_mistyped_option_gets_the_right_one(tokens: list[str], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tokens) == 2
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith("error[E-USE-01]: unknown option '-")
    assert second.startswith("  names close to it: ")
    assert name in second.partition(": ")[2].split(", ")
    assert last == " ".join(
        ["do:  ganworks", *[word for word in tokens[:2] if word in ("train", "sample", "data", "check")], "--help"]
    )


@pytest.mark.parametrize("experiment", [typos, settings_fuzz])
def test_a_smoke_of_what_is_claimed(experiment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "source_hash", lambda paths: "the same")  # whoever edits while the tests run
    experiment.main(["--smoke"], tmp_path)
    (file,) = tmp_path.glob("*.json")
    missed = [bar for bar in json.loads(file.read_text())["bars"] if not bar["passed"]]
    assert [bar["what"] for bar in missed] == (["cases"] if experiment is settings_fuzz else [])


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["resume"], "'resume' needs RUN\n  RUN: Folder of the run.\n"),
        (["train", "--steps"], "--steps needs a value\n"),
        (["train", "--seed", "1", "--seed", "2"], "--seed is given more than once\n"),
        (["systems", "gan", "wgan"], "more words than 'systems' takes: wgan\n"),
    ],
)
def test_what_is_missing_or_too_much_is_named(tokens: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tokens) == 2
    assert capsys.readouterr().err == f"error[E-USE-01]: {said}do:  ganworks {tokens[0]} --help\n"


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["train", "--steps", "0"], "--steps"),
        (["train", "--steps", "2.5"], "2.5"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--seed", str(2**80)], "--seed"),
        (["train", "--steps", "3", "--time", "3s"], "--steps and --time"),
        (["resume", "run", "--steps", "3", "--time", "3s"], "--steps and --time"),
        (["train", "--time", "soon"], "'soon'"),
        (["train", "--time", "0"], "'0'"),
        (["train", "--batch", "2.5"], "'2.5'"),
        (["train", "--batch", "0"], "'0'"),
        (["train", "--set", "batch"], "'batch'"),
        (["train", "--set", "=3"], "'=3'"),
        (["train", "ring", "digits"], "digits"),
        (["train", "--patience", "0"], "--patience"),
        (["sample"], "MODEL"),
        (["sample", "model", "-n", "0"], "-n"),
        (["sample", "model", "--format", "zip"], "zip"),
        (["--nothing"], "--nothing"),
    ],
)
def test_options_are_judged_before_anything_is_opened(
    tokens: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ganworks.gan", None)  # importing it would fail
    assert main(tokens) == 2
    said = capsys.readouterr()
    first, *_, last = said.err.splitlines()
    assert first.startswith("error[E-USE-01]: ")
    assert words in first
    assert last.startswith("do:  ganworks ")
    assert "Traceback" not in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_error_with_json_is_an_object_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--batch", "none", "--json"]) == 2
    said = capsys.readouterr()
    parts = json.loads(said.out)["error"]
    assert sorted(parts) == ["code", "details", "do", "what", "where"]
    assert parts["code"] == "E-USE-01"
    assert parts["do"] == "ganworks train --help"
    assert "error[E-USE-01]" in said.err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--batch", "none", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "exit_code"),
    [
        (KeyError("lost"), "E-BUG-01", 1),
        (OSError(28, "No space left on device", "x.png"), "E-ENV-01", 4),
        (OSError(122, "Disk quota exceeded"), "E-ENV-01", 4),
        (OSError(27, "File too large"), "E-ENV-01", 4),
        (PermissionError(13, "Permission denied", "x.png"), "E-ENV-02", 4),
        (FileNotFoundError(2, "No such file or directory", "x.png"), "E-BUG-01", 1),
        (MemoryError(), "E-ENV-03", 4),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8"), "E-ENV-03", 4),
    ],
)
def test_what_nobody_translated_still_has_a_code(
    raised: Exception,
    code: str,
    exit_code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> int:
        raise raised

    monkeypatch.setitem(BUILT, "systems", fail)
    assert main(["systems"]) == exit_code
    said = capsys.readouterr().err
    assert said.startswith(f"error[{code}]")
    assert "Traceback" not in said


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(BUILT, "systems", interrupted)
    assert main(["systems"]) == 130


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    main(["\x1b[2Jtrain"])
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("tokens", [[], ["train", "--help"], ["trian"]])
def test_a_closed_pipe_is_no_crash(tokens: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ganworks", *tokens], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == (2 if "trian" in tokens else 0)
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "ganworks"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 4
    assert done.stderr.startswith("error[E-ENV-01]")


def help_on_a_terminal(tokens: list[str], **variables: str) -> str:
    """What `ganworks --help` writes to a pseudo-terminal."""
    import pty

    main_end, other_end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"} | variables
    for name in ("NO_COLOR", "FORCE_COLOR"):
        if name not in variables:
            environment.pop(name, None)
    command = [sys.executable, "-m", "ganworks", *tokens]
    process = subprocess.Popen(command, stdout=other_end, stderr=other_end, env=environment)
    os.close(other_end)
    written = b""
    while True:
        try:
            chunk = os.read(main_end, 65536)
        except OSError:  # how a pseudo-terminal says that the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(main_end)
    assert process.wait(30) == 0
    return written.decode()


def test_colour_is_there_on_a_terminal_and_can_be_refused() -> None:
    assert "\x1b[" in help_on_a_terminal(["--help"])
    assert "\x1b[" not in help_on_a_terminal(["--help"], NO_COLOR="1")
    assert "\x1b[" not in help_on_a_terminal(["--help"], TERM="dumb")
    assert "\x1b[" not in help_on_a_terminal(["train", "--help", "--no-color"])


def test_no_colour_into_a_pipe() -> None:
    assert "\x1b[" not in run_command("--help").stdout
