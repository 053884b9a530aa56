"""Claim: whatever a folder holds under a picture's name comes out right, or is refused by name, in bounded memory.

Each file is made by code, and what must come out is worked out without the decoder: pixels with a tolerance, or words
that the reason must contain. All are decoded in a child whose peak of memory is set back before each.
Bars: every one is right or refused by name; no traceback; each refusal takes under 2 s and 300 MB.
Floor: what `Image.open(file).convert("RGB")` makes of those that have a right answer.
"""

import argparse
import json
import subprocess
import sys
import time
import traceback
import warnings
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ganworks.reading.decoding import Unreadable, decode, examine

from .odd_makers import Odd
from .odd_refused import refused_ones
from .odd_right import right_ones
from .record import RESULTS, ROOT, Arm, Record

SOURCES = (
    *(f"src/ganworks/reading/{name}.py" for name in ("color", "decoding", "formats", "places", "stills")),
    *(f"experiments/{name}.py" for name in ("odd_makers", "odd_pictures", "odd_refused", "odd_right")),
)
MEGABYTES, SECONDS = 300, 2
"""What a refusal may take."""


@cache
def odd_pictures() -> list[Odd]:
    """All of them."""
    return [*right_ones(), *refused_ones()]


def outcome(odd: Odd) -> tuple[str, str]:
    """`right`, `refused`, `wrong` or `traceback`, and how."""
    try:
        if odd.right is None:
            examine(odd.content())
            return "wrong", "it was taken"
        height, width = odd.right.shape[:2]
        channels = 1 if odd.right.ndim == 2 else 3
        found = decode(odd.content(), height, width, channels).reshape(odd.right.shape)
        examine(odd.content())
        off = int(np.abs(found.astype(int) - odd.right.astype(int)).max())
        return "right" if off <= odd.tolerance else "wrong", f"off by {off}"
    except Unreadable as refusal:
        named = odd.right is None and all(word in refusal.reason for word in odd.words)
        return "refused" if named else "wrong", refusal.reason
    except Exception:
        return "traceback", traceback.format_exc()


def plain_pillow(odd: Odd) -> bool:
    """Whether the plain lines get it right."""
    assert odd.right is not None
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(odd.content())) as image:
            found = np.asarray(image.convert("RGB")).astype(int)
    except Exception:
        return False
    wanted = odd.right.reshape(*odd.right.shape[:2], -1)
    return found.shape[:2] == wanted.shape[:2] and int(np.abs(found - wanted).max()) <= odd.tolerance


def _status(key: str) -> int:
    """A line of the process's status in bytes, 0 where the system has none."""
    about = Path("/proc/self/status")
    lines = about.read_text().splitlines() if about.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def _set_peak_back() -> None:
    if (door := Path("/proc/self/clear_refs")).exists():
        door.write_text("5")


def child(names: list[str]) -> list[Arm]:
    """Decode some of them, and measure."""
    found = []
    for odd in odd_pictures():
        if not names or odd.name in names:
            odd.content()  # made before memory is measured
            _set_peak_back()
            before, start = _status("VmRSS"), time.perf_counter()
            what, how = outcome(odd)
            seconds = time.perf_counter() - start
            grown = max(0, _status("VmHWM") - before) / 2**20
            found.append(
                {
                    "name": odd.name,
                    "outcome": what,
                    "how": how,
                    "seconds": round(seconds, 3),
                    "megabytes": round(grown, 1),
                }
            )
            odd.content.cache_clear()
    return found


def all_of_them(names: list[str]) -> Arm:
    """What the child found."""
    command = [sys.executable, "-m", "experiments.odd_pictures", "--child", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the child ended with {done.returncode}:\n{done.stderr}")
    return {"pictures": json.loads(done.stdout)}


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.odd_pictures", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="five pictures only: does it run?")
    parser.add_argument("--child", nargs="*", metavar="NAME", help="decode here, and print what was found")
    options = parser.parse_args(words)
    if options.child is not None:
        print(json.dumps(child(options.child)))
        return 0
    pictures = odd_pictures()[:5] if options.smoke else odd_pictures()
    name = "odd_pictures-smoke" if options.smoke else "odd_pictures"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, folder=folder)
    names = [odd.name for odd in pictures] if options.smoke else []
    found = record.arm("all", partial(all_of_them, names))["pictures"]
    whole = [odd for odd in pictures if odd.right is not None]
    record.floor("plain Pillow", lambda: {"right": sum(map(plain_pillow, whole)), "of": len(whole)})
    counts = {what: sum(one["outcome"] == what for one in found) for what in ("right", "refused", "wrong", "traceback")}
    refusals = [one for one in found if one["outcome"] != "right"]
    record.bar("pictures", len(found), ">=", 60)
    record.bar("neither right nor refused by name", counts["wrong"], "==", 0)
    record.bar("tracebacks", counts["traceback"], "==", 0)
    record.bar(
        "MB that a refusal takes, at most", max((one["megabytes"] for one in refusals), default=0), "<=", MEGABYTES
    )
    record.bar(
        "seconds that a refusal takes, at most", max((one["seconds"] for one in refusals), default=0), "<=", SECONDS
    )
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
