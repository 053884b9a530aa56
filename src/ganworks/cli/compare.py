"""`ganworks compare`: two runs or models beside each other."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganworks.aims import COVERS, SHARP
from ganworks.cli.output import DEFAULT, Output, table
from ganworks.cli.progress import Progress, duration
from ganworks.cli.scores import number
from ganworks.training.disk import check_out

_LONGEST = 48
"""Letters of a value in a table."""


def _written(value: Any) -> str:
    """A value in a table: words as they are, the rest as JSON, cut where it is long."""
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…") or "(empty)"


def _differences(title: str, same: str, found: Sequence[Mapping[str, Any]]) -> list[str]:
    if not found:
        return [f"{title}: {same}"]
    rows = [["", "A", "B"], *([each["key"], _written(each["a"]), _written(each["b"])] for each in found)]
    return [f"{title}:", *(f"  {line}" for line in table(rows))]


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "-"
    between = "" if score["low"] is None else f" ({number(score['low'])} to {number(score['high'])})"
    return f"{number(score['value'])}{between}"


def _scores(found: Mapping[str, Any]) -> list[str]:
    rows = [["", "in", "A", "B", "better"]]
    for pair in found["scores"]:
        spaces = dict.fromkeys(each["feature_space"] or "-" for each in (pair["a"], pair["b"]) if each)
        verdict = pair["better"].upper() if pair["better"] else pair["remark"]
        rows.append([pair["metric"], ", ".join(spaces), _score(pair["a"]), _score(pair["b"]), verdict])
    contrast = _contrast(found["scores"])
    missing = [name.upper() for name in ("a", "b") if found[name]["scored_at"] is None]
    lines = ["scores:", *(f"  {line}" for line in table(rows)), *contrast] if found["scores"] else []
    if missing:
        lines.append(f"no scores are kept of {' and '.join(missing)}: a run writes them at its end")
    return lines


def _contrast(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who leaves out less of the data, and whose samples are more like data: often not the same one."""
    said = []
    for word, names in (("covers more", COVERS), ("is sharper", SHARP)):
        by = {side: [each["metric"] for each in scores if each["better"] == side and each["metric"] in names]
              for side in ("a", "b")}  # fmt: skip
        said += [f"{side.upper()} {word} ({', '.join(told)})" for side, told in by.items() if told]
    return ["; ".join(said)] if said else []


def _side(letter: str, side: Mapping[str, Any]) -> str:
    taken = "" if side["seconds"] is None else f" in {duration(side['seconds'])}"
    scored = side["scored_at"]
    when = f", scored at step {scored}" if scored not in (None, side["step"]) else ""
    return f"{letter}  {side['path']}: a {side['kind']} at step {side['step']} of {side['steps']}{taken}{when}"


def _lines(found: Mapping[str, Any], files: Sequence[Path]) -> list[str]:
    return [
        _side("A", found["a"]),
        _side("B", found["b"]),
        "",
        *_differences("settings", "none differs", found["settings"]),
        *_differences("data", "the same", found["data"]),
        *_differences("versions and machine", "the same, as far as both tell", found["environment"]),
        *_scores(found),
        *(f"written  {path}" for path in files),
    ]


def compare(a: Path, b: Path, /, *, out: Path | None = None, output: Output = DEFAULT) -> int:
    """Show what differs between two runs or models: settings, data, versions, and scores where intervals tell.

    Examples:
      ganworks compare runs/digits-0001 runs/digits-0002
      ganworks compare runs/digits-0001 my-gan --out beside

    Parameters
    ----------
    a
        Folder of a run or of a model.
    b
        Folder of another.
    out
        A new or empty folder for the last sample grids beside each other, and the loss curves of runs.
    """
    if out is not None:
        check_out(out)

    from ganworks import comparison

    found = comparison.compare(comparison.side(a), comparison.side(b))
    files: list[Path] = []
    with Progress.for_output(output) as progress:
        if out is not None:
            files, notes = comparison.write(found, out)
            for note in notes:
                for watcher in progress.watchers:
                    watcher({"message": note})
    data = found.as_dict()
    output.result(data, lambda: _lines(data, files))
    return 0
