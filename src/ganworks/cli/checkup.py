"""What `ganworks doctor` looks at. Nothing that is found holds a path, a user's name or a token."""

import contextlib
import math
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

from ganworks import machine

Level = Literal["OK", "note", "PROBLEM"]
_GB = 1 << 30
_SAFETY = {"torch", "pillow", "safetensors"}
"""Packages that read files: below our floors they have known holes."""
_EXTRAS = {
    "features": "scores of colour pictures in a network's features (effnet-lite0)",
    "emoji": "pictures for the emoji experiment",
    "tensorboard": "train --log tensorboard",
}


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        what: What was looked at.
        found: What it is.
        do: One thing to do, where the level is not OK.
    """

    what: str
    found: str
    level: Level = "OK"
    do: str = ""


class Requirement(NamedTuple):
    """A package as this one's metadata ask for it: its lowest version, and the extra it belongs to."""

    name: str
    least: str
    extra: str


def findings() -> Iterator[Finding]:
    """Everything, in the order of the report. What fails in an unforeseen way is a finding too."""
    for look in (
        versions,
        extras,
        codecs,
        processor,
        accelerators,
        memory,
        disk,
        kept,
        rights,
        console,
        arithmetic,
        game,
    ):
        try:
            yield from look()
        except Exception as caught:
            # Its own words may hold a path.
            reason = ", ".join(
                [type(caught).__name__, *([caught.name or ""] if isinstance(caught, ImportError) else [])]
            )
            yield Finding(look.__name__, f"cannot be looked at: {reason}", "PROBLEM", "install ganworks again")


def needed() -> list[Requirement]:
    """What this package asks for, from its own metadata."""
    found = []
    for line in requires("ganworks") or ():
        name = re.match(r"[\w.-]+", line)
        least, extra = re.search(r"[>=]=\s*([\d.]+)", line), re.search(r"extra == [\"']([\w-]+)", line)
        if name:
            found.append(Requirement(name[0], least[1] if least else "0", extra[1] if extra else ""))
    return found


def older(found: str, least: str) -> bool:
    """Whether a version comes before another one, by its numbers: 2.9.1 before 2.10."""
    a, b = ([int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3]] for text in (found, least))
    length = max(len(a), len(b))
    return a + [0] * (length - len(a)) < b + [0] * (length - len(b))


def versions() -> Iterator[Finding]:
    """ganworks, Python and the packages that it cannot do without, each against its floor."""
    yield Finding("ganworks", version("ganworks"))
    yield Finding("python", f"{platform.python_version()}, {platform.platform(terse=True)}, {platform.machine()}")
    for name, least, extra in needed():
        if extra:
            continue
        pip = f"pip install --upgrade '{name}>={least}'"
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(name, "missing", "PROBLEM", pip)
            continue
        if not older(found, least):
            yield Finding(name, found)
        elif name in _SAFETY:
            yield Finding(name, f"{found}: versions before {least} have known holes in reading files", "PROBLEM", pip)
        else:
            yield Finding(name, f"{found}, and {least} is the least", "PROBLEM", pip)


def extras() -> Iterator[Finding]:
    """What can be added by `pip install 'ganworks[...]'`, where all of it is there and where not."""
    names = metadata("ganworks").get_all("Provides-Extra") or []
    for extra in names:
        parts = {each.name: _version_of(each.name) for each in needed() if each.extra == extra}
        if extra == "test" or not parts:
            continue
        missing = [name for name, found in parts.items() if not found]
        meaning = _EXTRAS.get(extra, "optional")
        if missing:
            pip = f"for {meaning}: pip install 'ganworks[{extra}]'"
            yield Finding(f"[{extra}]", f"not installed: {', '.join(missing)}", "note", pip)
        else:
            yield Finding(f"[{extra}]", ", ".join(f"{name} {found}" for name, found in parts.items()))


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def codecs() -> Iterator[Finding]:
    """What decodes pictures: their bits depend on it."""
    from PIL import features

    if not features.check("jpg"):
        yield Finding("libjpeg", "Pillow was built without it", "PROBLEM", "pip install --force-reinstall pillow")
        return
    turbo = features.version("libjpeg_turbo")
    others = [f"{name} {features.version(name)}" for name in ("zlib", "webp", "libtiff") if features.check(name)]
    yield Finding("libjpeg", ", ".join([f"turbo {turbo}" if turbo else str(features.version("jpg")), *others]))


def processor() -> Iterator[Finding]:
    """The processor, its instructions as torch uses them, and how many threads a run takes."""
    from ganworks import plan
    from ganworks.data.spec import DataSpec
    from ganworks.training.folder import surroundings

    points = plan.threads(DataSpec(kind="points", shape=(2,), count=1))
    pictures = plan.threads(DataSpec(kind="images", shape=(3, 64, 64), count=1))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    half = "bf16 in hardware" if plan.halves() else "no bf16"
    yield Finding("processor", f"{surroundings(points)['processor']}, {half}")
    told = f"{points} for points and small pictures, {pictures} for larger ones; {cores} cores may be used"
    if max(points, pictures) > cores:
        yield Finding(
            "threads", told, "note", f"set OMP_NUM_THREADS={cores}: threads without a core wait for each other"
        )
    else:
        yield Finding("threads", told)


def accelerators() -> Iterator[Finding]:
    """What else torch could compute on."""
    import torch

    there = {"CUDA": torch.cuda.is_available(), "MPS": torch.backends.mps.is_available()}
    found = [name for name, yes in there.items() if yes]
    yield Finding(
        "accelerator", f"{', '.join(found)}: not used by this version" if found else "none, and none is needed"
    )


def memory() -> Iterator[Finding]:
    """What the computer or its container has, and what a limit on the process leaves of it."""
    total, free = machine.memory()
    if total == machine.UNKNOWN:
        yield Finding("memory", "the system does not say", "note", "begin with a small --batch")
        return
    limit = _address_limit()
    told = f"{free / _GB:.1f} GB of {total / _GB:.1f} GB available"
    told += f", {limit / _GB:.1f} GB for one process" if limit < total else ""
    least = min(free, limit)
    if least < _GB // 2:
        yield Finding("memory", told, "PROBLEM", "end other programs, or use a computer with more")
    elif least < 2 * _GB:
        yield Finding("memory", told, "note", "give a smaller --batch and --size")
    else:
        yield Finding("memory", told)


def _address_limit() -> int:
    with contextlib.suppress(ImportError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return limit if limit != resource.RLIM_INFINITY else machine.UNKNOWN
    return machine.UNKNOWN


def disk() -> Iterator[Finding]:
    """Room where the runs go."""
    free = shutil.disk_usage(Path.cwd()).free
    told = f"{free / _GB:.1f} GB free here"
    if free < _GB // 10:
        yield Finding("disk", told, "PROBLEM", "free some space, or change to a folder on another disk")
    else:
        yield Finding("disk", told, "note" if free < _GB else "OK", "free some space" if free < _GB else "")


def kept() -> Iterator[Finding]:
    """Features that scoring keeps for the next time. Their place would name the user."""
    from ganworks.metrics import cache

    if cache.folder() is None:
        yield Finding("feature cache", "off")
        return
    place = "where GANWORKS_CACHE says" if os.environ.get("GANWORKS_CACHE") else "in this system's cache folder"
    yield Finding("feature cache", f"{cache.size() / _GB:.2f} GB of at most {cache.MOST / _GB:.0f} GB, {place}")


def rights() -> Iterator[Finding]:
    """Whether files can be made where they will be."""
    places = {"this folder": Path.cwd(), "runs/": Path("runs"), "the temporary folder": None}
    for name, place in places.items():
        if name == "runs/" and not os.path.lexists("runs"):
            continue
        try:
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"ganworks")
                file.flush()
        except OSError as caught:
            do = "set TMPDIR to a folder of yours" if place is None else "change to a folder of yours"
            yield Finding("writing", f"{name}: {caught.strerror}", "PROBLEM", do)
        else:
            yield Finding("writing", f"{name} can be written")


def console() -> Iterator[Finding]:
    """What the terminal can show."""
    encoding = getattr(sys.stdout, "encoding", None) or "unknown"
    color = "no colour, as NO_COLOR asks" if os.environ.get("NO_COLOR") else "colour on a terminal"
    color = "no colour: TERM=dumb" if os.environ.get("TERM") == "dumb" else color
    where = f"a terminal of {shutil.get_terminal_size().columns} columns" if sys.stdout.isatty() else "no terminal"
    told = f"{encoding}, {color}, {where}"
    if encoding.lower().replace("-", "") == "utf8":
        yield Finding("output", told)
    else:
        yield Finding("output", told, "note", "set PYTHONUTF8=1: letters that this encoding lacks are shown as ?")


def arithmetic() -> Iterator[Finding]:
    """A product of two matrices whose result is known exactly: on some processors a broken kernel is chosen."""
    import torch

    row = torch.arange(128.0)
    found = (row[:, None] + row) @ torch.ones(128, 128)  # row i: the sum of i + j over j
    exact = 128 * row + row.sum()
    yield _right("matrix product", torch.equal(found, exact[:, None].expand(128, 128)), "exact")


def game() -> Iterator[Finding]:
    """Three steps on points, twice: finite, and the same bits. On one thread, as such a run takes."""
    import torch

    from ganworks import GAN

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first, second = (_three_steps(GAN("gan").start("ring", steps=3).round) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    finite = all(math.isfinite(value) for terms in first for value in terms.values())
    yield _right("training", finite and first == second, "three steps on points, twice to the same bits")


def _three_steps(play: Callable[[], dict[str, float]]) -> list[dict[str, float]]:
    return [play() for _ in range(3)]


def _right(what: str, right: bool, told: str) -> Finding:
    if right:
        return Finding(what, told)
    return Finding(what, f"not {told}: torch computes wrongly here", "PROBLEM", "pip install --force-reinstall torch")
