"""Claim: whatever stands in a settings file or an option, `ganworks train` runs it or refuses it by name.

Ours: 2,000 random and mutated settings, as TOML files, as --set and as options, through the command itself up to the
point where data would be opened. Each ends with exit code 0, or with 2 and one error that names a key, an option or the
file that is wrong.
Bars: 2,000 cases, no traceback, none without a name, none slower than a second, less than 100 MB of memory for all of
them; and the same judge must catch two seeded mistakes: a message of the validator that nobody translated, and one that
forgets the key.
"""

import argparse
import contextlib
import io
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from ganworks import data, machine, settings, systems
from ganworks.cli import options
from ganworks.cli.app import main as command
from ganworks.errors import error
from ganworks.session import order
from ganworks.settings import RunSettings, choices, keys

from .record import RESULTS, Arm, Record

SOURCES = (
    *(f"src/ganworks/{name}.py" for name in ("settings", "errors", "registry", "losses")),
    *(f"src/ganworks/cli/{name}.py" for name in ("app", "complaint", "options", "train")),
    "src/ganworks/session",
    "src/ganworks/systems",
    "experiments/settings_fuzz.py",
)
CASES, SEEDED = 2_000, 300
LONG = 1_000_000
WRONG = (
    *("0 -1 -0 1 2 3 64 2.5 -2.5 0.0 1e-4 1e400 -1e400 nan inf -inf +nan 0x10 0o7 0b1 1_000 08 12:30 no yes".split()),
    *("true false [] {} [1] [[1]] [[[]]] [0.5,0.9] [0.5,1.5] [0.5] [1,2,3] [true,'a'] [nan] '' hinge".split()),
    *("2020-01-02 2020-13-45 12:30:00 2020-01-02T03:04:05Z -2020-01-02".split()),
    *("18446744073709551616 -9223372036854775809 9007199254740993 1e308 5e-324 0.1e-999".split()),
    '"64"', '"é世界🙂"', '"\\u0000"', '"\\u001b[2J"', '"a\\nb"', '"{name}{0}"', "'''\n'''", '"%s%n"', '"NaN"',
    "{from = 1.0, to = 0.0}", "{from = 1.0}", "{to = 1.0}", "{from = 1, to = 0, over = [5, 2]}", "{from = nan, to = 1}",
    "{from = 1.0, to = 0.0, over = [0.0, 0.5], shape = 'cosine'}", "{from = 1, to = 0, shape = 'square'}",
    "{from = 1, to = 0, over = [0, 10], shape = 'exponential'}", "{from = -1, to = -2}", "{from = {from = 1}, to = 2}",
    "{from = 1, to = 0, steps = 3}", "[{from = 1.0, to = 0.0}, 2]", "[[{from = 1.0, to = 0.0}]]", "[{}]",
    "{from = 1, to = 0, over = []}", "{from = 1, to = 0, over = [0, 1e400]}", "{from = 1, to = 0, over = ['a', 'b']}",
    "9" * 400, "9" * 5_000, "[" * 5 + "]" * 5, "[" * 200 + "]" * 200, "[" * 20_000 + "]" * 20_000, "[" * 20_000,
    "{a=" * 50 + "1" + "}" * 50, '"' + "x" * LONG + '"', "[" + "1," * 50_000 + "1]",
)  # fmt: skip
TOML = [text for text in WRONG if options.value(text) != text]
STRANGE = (
    *("learning_rate lr batch_size n_critic epochs latent_dim objective.gp objective.lambda channels".split()),
    *("Batch BATCH batch.size objective.loss.name turns optimizer objective view generator.lr.from record".split()),
    *("record.every.step sample checkpoint.interval 1 1.2 -a a-b _ __proto__ __class__ model_config".split()),
    '""', '"é"', '"世界🙂"', '"a b"', '"\\u001b[2J"', '"a.b"', "'from'", "objective.''", ".".join("a" * 60),
    ".".join(["objective"] * 3_000), "k" * LONG,
)  # fmt: skip
FILES: tuple[tuple[bytes, bool], ...] = (
    (b"", True), (b"# nothing\n", True), (b"\xef\xbb\xbfbatch = 3\n", True), (b"batch = 3\r\nsteps = 5\r\n", True),
    (b"\xef\xbb\xbf", True), (b"batch = 3", True), (b"batch = 3\nbatch = 4\n", False), (b"[view]\n[view]\n", False),
    (b"view.pack = 2\n[view]\npack = 2\n", False), (b"\xff\xfebatch", False), (b"batch = \xff\n", False),
    ("batch = 3\n".encode("utf-16"), False), (b"batch =\n", False), (b"batch\n", False), (b"= 3\n", False),
    (b"[view\n", False), (b"batch = 'a\n", False), (b"\x00\x00\x00", False), (b"batch = 3\x00\n", False),
    (b"batch = 3 steps = 4\n", False), (b"x = " + b"[" * 50_000, False), (b"x = " + b"9" * 5_000, False),
    (b"#" * (9 << 20), False), (b"objective.x.y = 1\nobjective.x = 2\n", False), (b"[[view]]\npack = 2\n", False),
    (b"PK\x03\x04" + bytes(200), False), (b"\x80\x04\x95", False), (b"{\"batch\": 3}", False), (b"batch: 3\n", False),
)  # fmt: skip
"""Whole files, and whether they can be meant."""
OPTIONS = {
    "--batch": "auto 1 64 0 -1 2.5 Auto 1e3 ٣ nan 99999999999999999999 1_000 0x10 /".split(),
    "--steps": "1 100 0 -1 2.5 1e3 nan inf ٣ 99999999999999999999999999999999999 1_000 0x10 many".split(),
    "--seed": f"0 1 -1 2.5 {2**63 - 1} {2**63} {2**80} nan seed".split(),
    "--time": "90 90s 10m 2h 0 -3 3d 1h30m soon nan inf 1e400 1e3".split(),
    "--system": "gan dcgan r3gan GAN gna stylegan3 ../gan gan.py 0 é".split(),
    "--set": ["batch", "=3", "batch==3", "batch=", ".=1", "a..b=3", "=", " = ", "batch=3=4", "é=1", "\udcff=1", "-=1"],
}


@dataclass
class Case:
    """One call of the command.

    Args:
        words: Arguments behind `train`.
        file: The settings file, if there is one.
        wrong: The keys of which an error has to name one.
        fine: Whether it may run.
    """

    words: list[str] = field(default_factory=list)
    file: bytes | None = None
    wrong: list[str] = field(default_factory=list)
    kind: str = ""
    fine: bool = True


def all_keys() -> dict[str, list[tuple[str, Any]]]:
    """Every setting of each system, those of the run included."""
    own = list(keys(RunSettings))
    return {name: [*own, *keys(systems.get(name).Settings)] for name in systems.names()}


def cases(count: int) -> Iterator[Case]:
    """The same cases each time: files, `--set`, options."""
    known = all_keys()
    draw = random.Random(20)
    for content, fine in FILES[:count]:
        yield Case(file=content, wrong=["view"], kind="whole file", fine=fine)
    single = [(option, value) for option, values in OPTIONS.items() for value in values]
    for option, value in single[: max(count - len(FILES), 0)]:
        yield Case([f"{option}={value}"], wrong=[value.partition("=")[0]], kind="option")
    for number in range(len(FILES) + len(single), count):
        system = draw.choice(list(known))
        yield settings_of(draw, system, known[system], in_file=number % 2 == 0)


def settings_of(draw: random.Random, system: str, known: list[tuple[str, Any]], *, in_file: bool) -> Case:
    """Some settings that can be meant, and up to three that perhaps cannot."""
    lines = {f'system="{system}"': ""}
    for key, about in draw.sample(known, draw.randrange(4)):
        if value := fitting(draw, key, about):
            lines[f"{key}={value}"] = ""
    for _ in range(draw.randrange(4)):
        strange = draw.random() < 0.3
        key = draw.choice(STRANGE) if strange else draw.choice(known)[0]
        if not strange and draw.random() < 0.2:
            place = draw.randrange(len(key))
            key = draw.choice([key[:place] + key[place + 1 :], key.upper(), f"{key}.{key}", key.replace(".", "_")])
        # Most of a file has to be TOML: the first line that is not hides the others.
        value = draw.choice(TOML if in_file and draw.random() < 0.95 else WRONG)
        lines[f"{key}={value}"] = key
    wrong = [name for key in lines.values() if key for name in (key, written(key))]
    if in_file:
        text = draw.choice(["\n", "\r\n"]).join(lines)
        return Case(file=text.encode(), wrong=wrong, kind="settings file")
    return Case([word for line in lines for word in ("--set", line)], wrong=wrong, kind="--set")


def fitting(draw: random.Random, key: str, about: Any) -> str:
    """A value that a setting may have, as TOML; empty where only few would do."""
    default = about.default
    if key in ("objective.loss", "system", "objective.real_target", "view.pack", "turns.unroll") or default is None:
        return ""
    if words := choices(about.annotation):
        return f'"{draw.choice(words)}"'
    if isinstance(default, bool):
        return draw.choice(["true", "false"])
    if isinstance(default, int):
        return draw.choice(["1", "2", "0x10", "1_000"])
    if isinstance(default, str):
        return draw.choice(['"ring"', "'é'", '"a b"'])
    if isinstance(default, tuple):
        return draw.choice(["[0.0, 0.9]", "[0, 0]"])
    return draw.choice(["0.5", "1", "1e-3"])


def written(key: str) -> str:
    """A key as an error writes it: without quotes, and with nothing that steers a terminal."""
    plain = key.encode().decode("unicode_escape") if "\\" in key else key
    return re.sub(r"[\x00-\x1f]", "?", re.sub(r"[\"']", "", plain))


def outcome(case: Case, folder: Path) -> Arm:
    """What the command does with a case: its exit code, what it says, and the seconds."""
    words = [*case.words]
    if case.file is not None:
        (folder / "settings.toml").write_bytes(case.file)
        words += ["--config", str(folder / "settings.toml")]
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace")
    begun = time.process_time()
    with contextlib.redirect_stderr(said):
        code = command(["train", *words])
    seconds = time.process_time() - begun
    said.flush()
    text = said.buffer.getvalue().decode()
    return {"code": code, "text": text, "seconds": seconds}


def _reached(*_: object, **__: object) -> None:
    """Stands in for opening data, or a model that is started from: everything before it is done."""
    raise SystemExit


def judge(case: Case, found: Arm) -> str:
    """Empty where a case ends as it should; else what is wrong."""
    code, text = found["code"], found["text"]
    if "Traceback" in text or "E-BUG" in text or code not in (0, 2):
        return "traceback"
    if code == 0:
        return "" if case.fine else "runs, and should not"
    if text.count("error[") != 1 or "\ndo:  " not in text:
        return "not one error with a remedy"
    if len(text) > 8_000:
        return "a flood"
    return "" if names_what_is_wrong(case, text) else "no name"


def names_what_is_wrong(case: Case, text: str) -> bool:
    """Whether an error is about something that the case got wrong, by its name."""
    code, said = text[len("error[") :].split("]: ", 1)
    if code == "E-SET-03":
        return case.file is not None and "settings.toml" in said
    if code in ("E-NAME-01", "E-NAME-03"):  # a system or a loss that does not exist
        key = {"E-NAME-01": "system", "E-NAME-03": "objective.loss"}[code]
        return key in case.wrong or any(word.startswith(f"--{key}") for word in case.words)
    if code.startswith("E-USE"):
        return any(option in said for option in OPTIONS)
    if code == "E-SET-02":  # two that do not go together: keys without quotes
        return bool(re.search(r"\b(batch|(turns|view|objective)\.\w+)\b", said))
    name = re.search(r"setting '(.*?)(?:'|\.\.\. \()", said, re.DOTALL)
    return bool(name) and any(each.startswith(name[1]) or name[1].startswith(f"{each}.") for each in case.wrong)


def run(count: int) -> Arm:
    """All cases: how they end, by kind, and the worst of each number."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    slowest = 0.0
    before = 0
    opening = mock.patch.object(data, "open", _reached), mock.patch.object(order, "origin_of", _reached)
    with tempfile.TemporaryDirectory() as place, opening[0], opening[1]:
        outcome(Case(), Path(place))  # what is imported once counts for none
        before = machine.peak()
        for case in cases(count):
            found = outcome(case, Path(place))
            slowest = max(slowest, found["seconds"])
            fault = judge(case, found)
            code = re.match(r"error\[(E-[A-Z]+-\d+)\]", found["text"])
            ends[f"{case.kind}: {code[1] if code else 'runs'}"] += 1
            if fault:
                faults.append(f"{fault}: {case.words} {(case.file or b'')[:200]!r} {found['text'][:300]}"[:800])
    kinds = Counter(fault.partition(":")[0] for fault in faults)
    return {
        "cases": sum(ends.values()),
        "run": sum(count for end, count in ends.items() if end.endswith("runs")),
        "tracebacks": kinds["traceback"],
        "without_a_name": sum(kinds.values()) - kinds["traceback"],
        "slowest_seconds": slowest,
        "memory_mb": (machine.peak() - before) / 2**20,
        "ends": dict(sorted(ends.items())),
        "faults": faults[:20],
    }


def seeded(count: int, stand_in: Callable[..., Exception]) -> Arm:
    """The same cases where the renderer of wrong settings has a mistake."""
    with mock.patch.object(settings, "_wrong_setting", stand_in):
        found = run(count)
    return {name: found[name] for name in ("cases", "tracebacks", "without_a_name")}


def untranslated(caught: Exception, *_: object) -> Exception:
    return caught


def nameless(*_: object) -> Exception:
    return error("E-SET-02", reason="a setting is wrong", system="")


def main(words: list[str], folder: Path = RESULTS) -> int:
    parser = argparse.ArgumentParser("python -m experiments.settings_fuzz", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="120 cases: does it run?")
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    count, few = (120, 100) if asked.smoke else (CASES, SEEDED)
    name = "settings_fuzz-smoke" if asked.smoke else "settings_fuzz"
    record = Record(name, str(__doc__).splitlines()[0], SOURCES, folder=folder)
    found = record.arm("random and mutated settings", partial(run, count))
    record.bar("cases", found["cases"], ">=", CASES)
    record.bar("tracebacks", found["tracebacks"], "<=", 0)
    record.bar("refused without a name, or accepted though it is not TOML", found["without_a_name"], "<=", 0)
    record.bar("of all cases, share that runs", found["run"] / found["cases"], ">=", 0.1)
    record.bar("slowest, seconds", found["slowest_seconds"], "<=", 1)
    record.bar("memory for all of them, MB", found["memory_mb"], "<=", 100)
    raw = record.arm("mistake: the validator's own message", partial(seeded, few, untranslated))
    record.bar("caught: the validator's own message", raw["tracebacks"], ">=", 1)
    mute = record.arm("mistake: a message without the key", partial(seeded, few, nameless))
    record.bar("caught: a message without the key", mute["without_a_name"], ">=", 1)
    return record.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
