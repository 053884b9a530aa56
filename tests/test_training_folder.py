"""The run folder: whole or not there, one process at a time, and words instead of tracebacks when something is odd."""

import errno
import gc
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import Disk, PowerCuts, Tree, from_now_on, lay_out, once
from small_runs import left, start

from ganworks.cli.app import main
from ganworks.errors import ResourceError, UsageError
from ganworks.training import disk
from ganworks.training.folder import RunFolder, create_next, differences, next_free, surroundings

# Python 3.12 warns of a fork beside threads; these children use neither threads nor their locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

SETTINGS, FILES = "steps = 3\n", {"data.json": "{}\n"}
WHOLE = {"config.toml", "environment.json", "data.json", "request", "samples", "checkpoints"}


def create(path: Path) -> RunFolder:
    return RunFolder.create(path, SETTINGS, {"threads": 1}, FILES)


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


# A new folder


def test_a_new_run_has_its_files_and_nothing_else(tmp_path: Path) -> None:
    create(tmp_path / "runs" / "digits-0001")
    assert names(tmp_path / "runs") == {"digits-0001"}
    assert names(tmp_path / "runs/digits-0001") == WHOLE
    assert (tmp_path / "runs/digits-0001/request").read_text() == "run\n"


@pytest.mark.parametrize("what", ["a folder", "an empty folder", "a file", "a broken link"])
def test_what_is_there_already_is_left_alone(what: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    if what.endswith("folder"):
        path.mkdir()
    if what == "a folder":
        (path / "mine").write_text("x")
    if what == "a file":
        path.write_text("x")
    if what == "a broken link":
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="E-RUN-01"):
        create(path)
    assert names(tmp_path) == {"run"}


def test_several_at_once_get_a_number_each(tmp_path: Path) -> None:
    start_line = threading.Barrier(8)
    made: list[RunFolder] = []

    def ask() -> None:
        start_line.wait()
        made.append(create_next(tmp_path, "ring", SETTINGS, {}, FILES))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {run.path.name for run in made} == names(tmp_path) == {f"ring-{n:04d}" for n in range(1, 9)}
    assert next_free(tmp_path, "ring").name == "ring-0009"


def test_a_file_where_runs_should_be_is_said_once(tmp_path: Path) -> None:
    """And not tried for ever."""
    (tmp_path / "runs").write_text("x")
    with pytest.raises(ResourceError, match="E-ENV-02"):
        create_next(tmp_path / "runs", "ring", SETTINGS, {}, FILES)


def test_a_name_that_is_no_unicode_cannot_stand_in_the_settings(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E-ARG-01"):
        RunFolder.create(tmp_path / "run", "data = '\udcff'", {})
    assert names(tmp_path) == set()


def _in_place(path: Path) -> RunFolder:
    """Seeded bug: a folder that others see while it is made."""
    path.mkdir()
    for name in ("samples", "checkpoints"):
        (path / name).mkdir()
    for name in ("config.toml", "environment.json", "data.json", "request"):
        try:
            disk.write_synced(path / name, b"x")
        except OSError as caught:
            raise disk.refusal(caught, path) from None
    return RunFolder(path)


def refusals(at: Path, make: Callable[[Path], RunFolder]) -> Iterator[list[str]]:
    """Refuse every operation of a creation in turn; gives what went wrong each time."""
    (at / "0").mkdir(parents=True)
    watched = Disk(at / "0")
    with watched.watching():
        make(at / "0" / "run")
    for number in range(len(watched.seen)):
        for plan, code in [(once, errno.ENOSPC), (once, errno.EIO), (from_now_on, errno.EDQUOT)]:
            place = at / f"{number}{plan.__name__}{code}"
            place.mkdir()
            caught: BaseException | None = None
            try:
                with Disk(place, plan(number, code)).watching():
                    make(place / "run")
            except BaseException as error:
                caught = error
            wanted = "E-ENV-02" if code == errno.EIO else "E-ENV-01"
            problems = [] if caught is None or getattr(caught, "code", "") == wanted else [repr(caught)]
            problems += [f"left over: {each}" for each in names(place) - {"run"}]
            if (place / "run").exists() and names(place / "run") != WHOLE:
                problems.append("half of it is there")
            if caught is None and not (place / "run").exists():
                problems.append("it was said to be there")
            yield problems


def test_a_refused_operation_leaves_nothing_half(tmp_path: Path) -> None:
    found = list(refusals(tmp_path, create))
    assert len(found) > 60
    assert [problems for problems in found if problems] == []


def test_the_refusals_catch_a_folder_made_in_place(tmp_path: Path) -> None:
    assert any(refusals(tmp_path, _in_place))


def power_cuts(at: Path, make: Callable[[Path], RunFolder]) -> Iterator[str]:
    for each in ("now", "before"):
        (at / each).mkdir()
    watched = Disk(at / "now")
    with watched.watching():
        make(at / "now" / "run")
    seen: set[Tree] = set()
    for number, name, tree in PowerCuts(at / "before", watched.journal, at / "now").states():
        if tree in seen:
            continue
        seen.add(tree)
        place = at / f"cut-{len(seen)}"
        place.mkdir()
        lay_out(tree, place)
        wanted = {each.name: each.read_bytes() for each in (at / "now" / "run").iterdir() if each.is_file()}
        there = (place / "run").exists()
        if there and any(
            not (place / "run" / n).exists() or (place / "run" / n).read_bytes() != wanted[n] for n in wanted
        ):
            yield f"half a run after operation {number}, {name}"


def test_the_power_may_go_while_it_is_made(tmp_path: Path) -> None:
    assert list(power_cuts(tmp_path, create)) == []


def test_the_power_cuts_catch_a_folder_made_in_place(tmp_path: Path) -> None:
    assert any(power_cuts(tmp_path, _in_place))


# The lock


def holder(path: Path) -> int:
    """A process that holds a run and does nothing more."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with RunFolder(path):
            os.write(writing, b"x")
            signal.pause()
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    os.close(writing)
    return child


def test_a_second_process_is_told_who_has_it_and_kill_9_frees_it(tmp_path: Path) -> None:
    path = create(tmp_path / "run").path
    child = holder(path)
    try:
        with pytest.raises(ResourceError, match=f"E-ENV-04.*in use by process {child}") as caught, RunFolder(path):
            pass
        assert caught.value.exit_code == 4
        assert caught.value.remedy.endswith(f"echo stop > {path}/request")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with RunFolder(path):
        assert (path / ".owner").read_text() == str(os.getpid())
    assert not (path / ".owner").exists()


def test_the_command_on_a_run_in_use_is_exit_4_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(tmp_path / "run", "gan", 3).run
    before = left(run)
    child = holder(run)
    try:
        assert main(["resume", str(run), "--steps", "5"]) == 4
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert f"in use by process {child}" in capsys.readouterr().err
    assert left(run) == before


def test_it_is_held_once_in_one_process_too_and_until_the_end(tmp_path: Path) -> None:
    path = create(tmp_path / "run").path
    with RunFolder(path):
        gc.collect()
        with pytest.raises(ResourceError, match="E-ENV-04"), RunFolder(path):
            pass
        with pytest.raises(ResourceError, match="E-ENV-04"), RunFolder(path):
            pass
    with pytest.raises(KeyError), RunFolder(path):
        raise KeyError
    with RunFolder(path):
        pass


def test_a_full_disk_while_taking_it_frees_it_again(tmp_path: Path) -> None:
    path = create(tmp_path / "run").path
    full = Disk(path, lambda number, name: errno.ENOSPC if name == "write" else None)
    with pytest.raises(ResourceError, match="E-ENV-01"), full.watching(), RunFolder(path):
        pass
    with RunFolder(path):
        pass


def test_an_owner_file_of_nonsense_is_another_process(tmp_path: Path) -> None:
    path = create(tmp_path / "run").path
    with RunFolder(path):
        (path / ".owner").write_bytes(b"\xff\x1b[31m")
        with pytest.raises(ResourceError, match="in use by another process"), RunFolder(path):
            pass


# Records


def line(step: int, seconds: float = 0.5) -> bytes:
    return json.dumps({"step": step, "loss": 1.0, "seconds": seconds}).encode() + b"\n"


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        line(3),
        line(3) + line(4),
        line(3)[:-1],  # no end of line: torn
        line(3)[:20],
        b"\xff\xfe\x00\n",
        bytes(500),
        b"[]\n",
        b"7\n",
        b"null\n",
        b"{}\n",
        b'{"step": "x"}\n',
        b'{"step": 1e999}\n',
        b"[" * 100_000 + b"\n",
        b"{broken}\n" + line(2),  # nothing after a broken line is believed
    ],
)
def test_records_after_a_step_and_broken_ones_are_dropped(tail: bytes, tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.metrics.write_bytes(line(1, 0.25) + line(2, 0.75) + tail)
    assert run.cut_records(2) == 0.75
    assert run.metrics.read_bytes() == line(1, 0.25) + line(2, 0.75)


def test_no_records_took_no_seconds(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    assert run.cut_records(5) == 0.0
    run.record({"step": 1, "seconds": 2.0})
    assert run.cut_records(0) == 0.0
    assert run.metrics.read_bytes() == b""


def test_a_record_on_a_full_disk_is_exit_4_and_its_half_is_dropped(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.record({"step": 1, "seconds": 1.0})
    for number in range(3):  # opened, half written, written and not closed
        full = Disk(run.path, once(number, errno.ENOSPC))
        with pytest.raises(ResourceError, match=r"E-ENV-01.*metrics\.jsonl is not written"), full.watching():
            run.record({"step": 2, "seconds": 2.0})
        run.cut_records(1)
    assert run.metrics.read_bytes() == b'{"step": 1, "seconds": 1.0}\n'


# Requests and surroundings


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        (b"stop", "stop"),
        (b" stop\r\n", "stop"),
        (b"pause\n", "pause"),
        (b"run\n", "run"),
        (b"", "run"),
        (b"stopp", "run"),
        (b"stop it now, please", "run"),
        (b"\xff\xfe\x00", "run"),
        (b"x" * 1_000_000, "run"),
    ],
)
def test_a_request_is_one_of_three_words(content: bytes, meaning: str, tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    (run.path / "request").write_bytes(content)
    assert run.request == meaning


def test_a_request_that_is_no_file_is_none(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    (run.path / "request").unlink()
    assert run.request == "run"
    (run.path / "request").mkdir()
    assert run.request == "run"


@pytest.mark.parametrize("word", ["run", "pause", "stop"])
def test_what_is_asked_is_read(word: Any, tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.ask(word)
    assert run.request == word


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{",
        "\x00",
        "[" * 100_000,
        *(json.dumps({"threads": n}) for n in (0, -3, "many", None, 10**9, 1.5)),
    ],
)
def test_surroundings_of_nonsense_say_nothing_about_threads(text: str, tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    (run.path / "environment.json").write_text(text)
    assert "threads" not in run.environment


def test_another_computer_is_told(tmp_path: Path) -> None:
    now = surroundings(1)
    assert {"ganworks", "torch", "python", "processor", "threads", "started"} <= now.keys()
    run = RunFolder.create(tmp_path / "run", SETTINGS, now | {"torch": "1.0", "python": "3.99"})
    assert differences(run, 1) == [f"torch was 1.0 and is {now['torch']}: the bits may differ from an unbroken run"]
    assert len(differences(run, 2)) == 2
