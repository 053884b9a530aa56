"""Claim: a folder or archive of a million pictures is listed in under 30 seconds and 300 MB.

Ours: `list_pictures` in a process of its own, on empty files in the folder of temporary files: all in one folder, in a
hundred folders of classes, and as the entries of a zip. The first listing after the files are made, so most of what the
disk holds is in the system's cache; CPU seconds do not depend on that.
Bars: a million names; at most 30 s by the clock, and at most 300 MB of the process's memory at its peak.
Floors: `os.scandir` over the same folder that keeps nothing (the zip: Python's own `zipfile`).
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .record import RESULTS, Arm, Record

SOURCES = (
    *(f"src/ganworks/reading/{name}.py" for name in ("listing", "walk", "archives", "sidecar", "places")),
    "experiments/million.py",
)
FULL, SMOKE = 1_000_000, 20_000
LEFT = 100_000
"""Files that the disk must be able to take after ours."""
LIST = "from ganworks.reading.listing import list_pictures; found = list_pictures(Path(sys.argv[1]))"
SCAN = """\
def count(folder):
    with os.scandir(folder) as entries:
        return sum(count(entry.path) if entry.is_dir() else 1 for entry in entries)
found = range(count(sys.argv[1]))"""
UNZIP = "import zipfile; found = zipfile.ZipFile(sys.argv[1]).infolist()"
CHILD = """\
import json, os, sys, time
from pathlib import Path
start = time.perf_counter()
{what}
seconds, used = time.perf_counter() - start, os.times()
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps(dict(files=len(found), seconds=seconds, cpu_seconds=used.user + used.system,
    peak_megabytes=int(status["VmHWM"].split()[0]) / 1000)))
"""


def in_a_child(what: str, path: Path) -> Arm:
    """What a piece of Python on a path takes in a process of its own, its start included in the CPU seconds.

    The peak is Linux's VmHWM: what getrusage says begins with the memory of whoever started the process.
    """
    program = CHILD.format(what=what)
    done = subprocess.run([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    found: Arm = json.loads(done.stdout)
    return found


def room(count: int, folder: Path) -> int:
    """How many files the disk can take, up to a count."""
    return min(count, max(shutil.disk_usage(folder).free // 8192 - LEFT, 0))


def make(folder: Path, count: int, classes: int) -> None:
    """Empty files with the names of a camera, evenly in folders of classes; 1 puts all into the folder itself."""
    homes = [folder] if classes == 1 else [folder / f"class {number:03d}" for number in range(classes)]
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (homes[number % classes] / f"IMG_{number:07d}.JPG").touch()


def make_zip(path: Path, count: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(zipfile.ZipInfo(f"class {number % 100:03d}/IMG_{number:07d}.JPG"), b"")


def measure(record: Record, name: str, count: int) -> None:
    """List one kind of place and what its floor is, and remove it again."""
    if name in record.arms and name in record.floors:
        return
    with tempfile.TemporaryDirectory(prefix="million-") as temporary:
        path = Path(temporary) / ("photos.zip" if name == "zip" else "photos")
        if name == "zip":
            make_zip(path, count)
        else:
            make(path, count, 1 if name == "one folder" else 100)
        record.floor(name, lambda: in_a_child(UNZIP if name == "zip" else SCAN, path))
        record.arm(name, lambda: in_a_child(LIST, path))


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.million", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help=f"{SMOKE:,} files: does it run?")
    options = parser.parse_args(words)
    count = room(SMOKE if options.smoke else FULL, Path(tempfile.gettempdir()))
    name = "million-smoke" if options.smoke else "million"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, {"files": count}, folder=folder)
    for kind in ("one folder", "a hundred classes", "zip"):
        measure(record, kind, count)
        arm = record.arms[kind]
        record.bar(f"{kind}: files", arm["files"], ">=", FULL)
        record.bar(f"{kind}: seconds", arm["seconds"], "<=", 30)
        record.bar(f"{kind}: peak memory, MB", arm["peak_megabytes"], "<=", 300)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
