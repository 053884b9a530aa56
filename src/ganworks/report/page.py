"""The report of a run as one page: what was found first, then what it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import tomli_w

from ganworks import history
from ganworks.aims import AIMS
from ganworks.errors import in_a_shell
from ganworks.report import pictures
from ganworks.report.markup import Markup, element, shortened, table
from ganworks.report.pictures import Picture
from ganworks.report.style import STYLE
from ganworks.report.verdicts import FILE, Present, Verdict, as_text

_GRIDS = 8
_ROWS = 100
"""Of a table that comes from a file."""
_SETTINGS = 100_000
"""Characters."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is fetched and nothing runs, whatever the names in a run may hold."""
_STATES = {
    "finished": "finished",
    "stopped": "stopped before its end",
    "running": "still running",
    "paused": "paused",
    "stopping": "about to stop",
    "failed": "failed",
    "killed": "killed before its end",
    "broken": "broken",
}


def page(
    run: history.Run, found: Present | None, curves: Picture | None, drawn: Sequence[str], closest: bytes | None
) -> Markup:
    """The whole page.

    Args:
        found: The verdicts; None where nobody has looked.
        curves: `results.png`, and `drawn` the titles of its frames.
        closest: A PNG of samples beside the training pictures nearest to them.
    """
    name = f"{shortened(run.system, 60) or 'a run'} on {shortened(run.data, 80) or 'unknown data'}"
    told = history.described(run.path / "environment.json")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{name}: {_STATES[run.state]} at step {run.step}"),
        element("style", Markup(STYLE)),
    )
    parts = (
        element("header", element("h1", name), element("p", _standing(run, told), class_="soft")),
        _section("Verdicts", *_verdicts(found)),
        _section("Curves", *_curves(curves, drawn)),
        _section("Samples through time", *_samples(run.path)),
        _section("Scores", *_scores(run)),
        _section("Closest training pictures", *_closest(run.path, closest)),
        _section("Settings", *_settings(run.path)),
        _section("Environment", *_environment(told)),
        _section("Going on", *(_command(each) for each in _next(run))),
    )
    body = element("body", element("main", *parts))
    return Markup(f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n")


def _section(title: str, *content: str) -> Markup:
    return element("section", element("h2", title), *content)


def _soft(text: str) -> Markup:
    return element("p", text, class_="soft")


def _command(text: str) -> Markup:
    return element("pre", element("code", text), class_="command")


def _standing(run: history.Run, told: Mapping[str, Any]) -> str:
    parts = [f"step {run.step:,} of {run.steps:,}", _STATES[run.state] + (f": {run.reason}" if run.reason else "")]
    if started := told.get("started"):
        parts.append(f"begun {_moment(as_text(started))}")
    if taken := _duration(run.seconds):
        parts.append(f"{taken} of training")
    return " · ".join(parts)


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
        return f"{moment.day} {moment:%B %Y, %H:%M} {moment:(UTC%z)}" if moment.tzinfo else shortened(text, 60)
    except ValueError:
        return shortened(text, 60)


def _duration(seconds: float) -> str:
    if not 0 < seconds < 1e9:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _verdicts(found: Present | None) -> Iterator[Markup]:
    if found is None:
        yield element("p", f"Nothing was measured: this run has no {FILE} that can be read.")
        return
    if found.silence:
        yield element("p", f"{found.silence[:1].upper()}{found.silence[1:]}.")
        return
    yield _soft(f"As of step {found.step:,}; line numbers are those of metrics.jsonl.")
    yield from (_verdict(each) for each in found.verdicts[:_ROWS])


def _verdict(verdict: Verdict) -> Markup:
    since = f"since step {verdict.since:,}" if verdict.since is not None and not verdict.healthy else ""
    confidence = f"confidence {verdict.confidence}" if verdict.confidence else ""
    parts = [element("h3", verdict.name.replace("_", " ")), _soft(", ".join(filter(None, (since, confidence))))]
    if verdict.evidence:
        rows = [
            [each.says or "-", element("code", each.measure), each.value or "-", each.bound or "-", each.lines or "-"]
            for each in verdict.evidence[:_ROWS]
        ]
        parts.append(table("Evidence", ["what", "measure", "number", "bound", "lines"], rows))
    if verdict.remedy:
        parts.append(element("p", "What to do:"))
        parts.append(_command(verdict.remedy) if _typed(verdict.remedy) else element("p", verdict.remedy))
    return element("div", *parts, class_="verdict good" if verdict.healthy else "verdict")


def _typed(remedy: str) -> bool:
    """Whether a remedy is a command rather than a sentence."""
    return remedy.startswith("ganworks ")


def _curves(curves: Picture | None, drawn: Sequence[str]) -> Iterator[Markup]:
    if curves is None or not drawn:
        yield element("p", "Nothing was recorded yet.")
        return
    alt = f"Curves over the steps of the run: {'; '.join(drawn)}"
    yield element("div", _image(curves, alt), class_="curves", tabindex="0")
    yield _soft("A thin vertical line marks the step since which a verdict holds. The same picture is results.png.")


def _image(picture: Picture, alt: str) -> Markup:
    return element("img", src=picture.address, alt=alt, width=str(picture.width), height=str(picture.height))


def _samples(run: Path) -> Iterator[Markup]:
    real = pictures.read(run / "real.png")
    chosen = pictures.grids(run, _GRIDS - (real is not None))
    shown = [(step, picture) for step, path in chosen if (picture := pictures.read(path))]
    figures = [_figure(picture, f"step {step:,}", f"Samples at step {step}") for step, picture in shown]
    if real:
        figures.append(_figure(real, "real data", "Real data, drawn as the samples are"))
    if not figures:
        yield element("p", "No grid was drawn yet." if not chosen else "None of the grids can be read.")
        return
    same = "rows, each beside what is made of it" if _translates(run) else "latents"
    yield _soft(f"The same {same} at each step, so a place shows how one sample came about.")
    yield element("div", *figures, class_="grids")
    if unread := [f"{step:,}" for step, _ in chosen if step not in dict(shown)]:
        yield _soft(f"Cannot be read: the grid of step {', '.join(unread)}.")


def _figure(picture: Picture, caption: str, alt: str) -> Markup:
    content = (element("figcaption", caption), _image(picture, alt))
    return element("figure", *content, class_="broad") if picture.wide else element("figure", *content)


def _scores(run: history.Run) -> Iterator[Markup]:
    if run.scored is None or not run.scored.scores:
        yield element("p", "This run was not scored yet.")
        yield _command(f"ganworks eval {in_a_shell(run.path)} --against {in_a_shell(Path(run.data or 'DATA'))}")
        return
    rows = []
    for score in run.scored.scores[:_ROWS]:
        low, high = score["low"], score["high"]
        interval = f"{_number(low)} to {_number(high)}" if low is not None and high is not None else "-"
        value, real = _number(score["value"]), _number(score["real"])
        space = score["feature_space"] or "-"
        rows.append([score["metric"], space, value, interval, real, _best(score), _counts(score)])
    heads = ["score", "in", "value", "interval", "real data", "best", "samples"]
    yield table(f"At step {run.scored.step:,}", heads, rows)
    yield _soft("'real data' is the floor: what as many real samples score against the same reference.")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _counts(score: Mapping[str, Any]) -> str:
    reference = score["reference_samples"]
    return f"{score['samples']:,} against {f'{reference:,}' if reference else 'the exact density'}"


def _best(score: Mapping[str, Any]) -> str:
    aim = AIMS.get(score["metric"])
    return "-" if aim is None else "the more" if aim == float("inf") else f"{aim:g}"


def _closest(run: Path, given: bytes | None) -> Iterator[Markup]:
    shown = pictures.embedded(given) if given is not None else pictures.read(run / "closest.png")
    if shown:
        yield _soft("Samples beside the training pictures nearest to them: a copy would look the same.")
        yield element("div", _figure(shown, "", "Samples beside their closest training pictures"), class_="grids")
    elif given is not None or (run / "closest.png").exists():
        yield element("p", "That picture cannot be read.")
    else:
        yield element("p", "Not looked for in this run.")


def _settings(run: Path) -> Iterator[Markup]:
    try:
        text = tomli_w.dumps(history.configured(run))
    except ValueError as caught:
        yield element("p", f"config.toml {shortened(str(caught), 300)}.")
        return
    whole = element("pre", element("code", shortened(text, _SETTINGS)))
    yield element("details", element("summary", "config.toml, which can be run again"), whole)


def _environment(told: Mapping[str, Any]) -> Iterator[Markup]:
    if not told:
        yield element("p", "There is no environment.json that can be read.")
        return
    rows = [[shortened(name, 100), shortened(as_text(value))] for name, value in list(told.items())[:_ROWS]]
    whole = table("environment.json", ["what", "found"], rows, "words")
    yield element("details", element("summary", "Versions, processor and the command that began it"), whole)


def _next(run: history.Run) -> list[str]:
    typed = in_a_shell(run.path)
    best = run.path / "best" if (run.path / "best").is_dir() else run.path
    verb = f"translate {in_a_shell(best)} PICTURES" if _translates(run.path) else f"sample {in_a_shell(best)} -n 64"
    sample = f"ganworks {verb} --out {in_a_shell(Path(f'samples-{run.name}'))}"
    if run.state == "broken":
        return ["ganworks runs"]
    if run.pid is not None:
        return [sample, f"echo stop > {typed}/request"]
    resume = f"ganworks resume {typed}" + (f" --steps {2 * run.steps}" if run.state == "finished" else "")
    return [sample, resume] if run.state == "finished" else [resume, sample]


def _translates(run: Path) -> bool:
    """Whether the run's samples are made of others."""
    return history.described(run / "data.json").get("kind") in ("pairs", "domains")
