"""The report of a run: whole, safe and honest, whatever the folder holds."""

import errno
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from faulty_disk import Disk, from_now_on
from report_runs import COLLAPSE, EVIL, HEALTHY, SCORE, a_run, few_records, png, records, without

from ganworks import report
from ganworks.errors import ResourceError, UsageError

VOID = {"meta", "img"}
PARTS = [
    "Verdicts", "Curves", "Samples through time", "Scores", "Closest training pictures", "Settings", "Environment",
    "Going on",
]  # fmt: skip


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, headings, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]

    @property
    def text(self) -> str:
        return "".join(text for name, text in self.texts if name != "style")


def written(run: Path, **given: bytes) -> Page:
    _, page = report.write(run, run, **given)
    return Page(page.read_text())


def test_both_files_stand_in_the_folder_and_nothing_else(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    before = sorted(run.rglob("*"))
    assert report.write(run, tmp_path / "a/b") == (tmp_path / "a/b/results.png", tmp_path / "a/b/report.html")
    assert sorted(each.name for each in (tmp_path / "a/b").iterdir()) == ["report.html", "results.png"]
    assert sorted(run.rglob("*")) == before


def test_the_same_run_gives_the_same_bytes_and_replaces_the_old_ones(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    first = [path.read_bytes() for path in report.write(run, run)]
    assert [path.read_bytes() for path in report.write(run, run)] == first


def test_the_page_has_its_parts_in_their_order(tmp_path: Path) -> None:
    page = written(a_run(tmp_path / "run"))
    assert page.of("h1") == ["r3gan on digits"]
    assert page.of("h2") == PARTS
    assert page.source.startswith("<!DOCTYPE html>\n<html")
    assert page.all("html") == [{"lang": "en"}]
    assert "step 200 of 200 · finished · begun 26 November 2026, 04:23 (UTC+0000) · 1.0 s of training" in page.text
    assert "ganworks sample " in page.of("code")[-2]
    assert page.of("code")[-1].endswith(" --steps 400")


@pytest.mark.parametrize(("kind", "verb"), [("images", "sample"), ("pairs", "translate"), ("domains", "translate")])
def test_a_translator_is_given_pictures(kind: str, verb: str, tmp_path: Path) -> None:
    """`ganworks sample` draws from latents, of which it has none."""
    run = a_run(tmp_path / "run")
    (run / "data.json").write_text(json.dumps({"kind": kind}))
    page = written(run)
    assert page.of("code")[-2].startswith(f"ganworks {verb} ")
    assert ("same latents" in page.text) == (verb == "sample")


def test_nothing_is_fetched_and_nothing_runs(tmp_path: Path) -> None:
    page = written(a_run(tmp_path / "run"))
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert (policy or "").startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline';")
    assert page.all("img")
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form", "a"}
        assert not [name for name in attributes if name.startswith("on") or name in {"href", "srcset", "style"}]
        assert (attributes.get("src") or "data:").startswith("data:")
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert not re.search("https?://", page.source)


def test_pictures_say_what_they_show_and_tables_have_heads(tmp_path: Path) -> None:
    page = written(a_run(tmp_path / "run"))
    assert all(each["alt"] and each["width"] and each["height"] for each in page.all("img"))
    assert {each.get("scope") for each in page.all("th")} == {"col", "row"}
    assert len(page.all("caption")) == len(page.all("table")) == 3


def test_names_from_outside_are_text_everywhere(tmp_path: Path) -> None:
    verdict = COLLAPSE | {
        "name": EVIL, "confidence": EVIL, "remedy": EVIL,
        "evidence": [dict.fromkeys(["says", "measure", "value", "bound"], EVIL) | {"lines": [EVIL, EVIL]}],
    }  # fmt: skip
    lines = [{f"{EVIL}.lr": 1.0, f"{EVIL}.{EVIL}": 1.0, f"score.{EVIL}": 1.0, **each} for each in records()]
    run = a_run(tmp_path / "run", lines, [verdict], data=EVIL, log="step 3 failed: <script>alert(3)</script>")
    told = {EVIL: EVIL, "started": EVIL, "more": {EVIL: [EVIL]}}
    (run / "environment.json").write_text(json.dumps(told))
    scores = [SCORE | {"metric": EVIL, "feature_space": EVIL}]
    (run / "scores.json").write_text(json.dumps({"step": 1, "scores": scores}))
    page = written(run)
    assert {tag for tag, _ in page.tags} <= set(
        "html head meta title style body main header section h1 h2 h3 p div pre code table caption thead tbody tr th "
        "td figure figcaption img details summary".split()
    )
    assert all((each["src"] or "").startswith("data:image/png;base64,") for each in page.all("img"))
    assert page.of("h1") == ["r3gan on " + EVIL.replace("\x00", "").replace("\ud800", "")]
    assert page.of("h3") == [EVIL.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")]
    assert page.text.count("<script>alert(2)</script>") >= 10
    assert "<script>alert(3)</script>" in page.text


def test_the_last_look_counts_with_its_evidence_and_its_remedy(tmp_path: Path) -> None:
    page = written(a_run(tmp_path / "run"))
    assert page.of("h3") == ["mode collapse"]
    assert "since step 120, confidence 0.93" in page.of("p")
    assert "samples are alike" in page.of("th")
    assert page.of("td")[:3] == ["0.41", "0.5", "60 to 100"]
    assert "ganworks train digits --set view.pack=2" in page.of("code")


def test_a_healthy_run_says_so_and_an_unmeasured_one_too(tmp_path: Path) -> None:
    healthy = written(a_run(tmp_path / "a", verdicts=[COLLAPSE | {"step": 50}, HEALTHY]))
    assert healthy.of("h3") == ["healthy"]
    assert {"class": "verdict good"} in healthy.all("div")
    assert "Nothing was measured" in written(a_run(tmp_path / "b", verdicts=())).text


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    foreign = '7\n[]\n{"step": 300}\n{"step": 900, "name": 3}\nnull\n\xff\n' + "[" * 5_000 + '\n{"step": 999, "na'
    for name in ("metrics.jsonl", "verdicts.jsonl"):
        with (run / name).open("a", encoding="latin-1") as file:
            file.write(foreign)
    assert written(run).of("h3") == ["mode collapse"]


def test_evidence_in_an_unknown_form_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    odd = {
        "step": 300,
        "name": "frozen",
        "since_step": "x",
        "confidence": None,
        "evidence": [3, {"lines": 7}],
        "remedy": [],
    }
    page = written(a_run(tmp_path / "run", verdicts=[odd, odd | {"evidence": {}, "remedy": None}]))
    assert page.of("h3") == ["frozen", "frozen"]
    assert page.of("td")[:3] == ["-", "-", "7"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metrics.jsonl", "Nothing was recorded yet."),
        ("verdicts.jsonl", "Nothing was measured"),
        ("scores.json", "This run was not scored yet."),
        ("samples", "No grid was drawn yet."),
        ("config.toml", "config.toml is not there or cannot be read."),
        ("environment.json", "There is no environment.json that can be read."),
        ("checkpoints", "broken: it has no checkpoints/"),
        ("log.txt", "killed before its end"),
    ],
)
def test_what_is_missing_is_said(name: str, said: str, tmp_path: Path) -> None:
    page = written(without(a_run(tmp_path / "run"), name))
    assert said in page.text
    assert page.of("h2") == PARTS


def test_a_run_of_which_only_a_folder_is_left_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    page = written(tmp_path / "run")
    assert page.of("h1") == ["a run on unknown data"]
    assert page.of("code")[-1] == "ganworks runs"


def test_a_failed_run_tells_why_and_how_to_go_on(tmp_path: Path) -> None:
    page = written(a_run(tmp_path / "it's", log="step 3 failed: weights are not finite"))
    assert "failed: weights are not finite" in page.text
    assert page.of("code")[-2].startswith("ganworks resume '")


def test_grids_are_few_with_the_first_and_the_last_and_real_data_beside_it(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", grids=range(10, 201, 10))
    assert len(written(run).of("figcaption")) == 8
    (run / "real.png").write_bytes(png())
    shown = written(run).of("figcaption")
    assert len(shown) == 8
    assert (shown[0], shown[-2], shown[-1]) == ("step 10", "step 200", "real data")


def test_a_grid_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    (run / "samples/000100.png").write_bytes(png(noise=True)[:-2000])
    page = written(run)
    assert page.of("figcaption") == ["step 20", "step 200"]
    assert "Cannot be read: the grid of step 100." in page.text


def test_closest_pictures_come_from_the_caller_or_the_run(tmp_path: Path) -> None:
    run, alt = a_run(tmp_path / "run"), "Samples beside their closest training pictures"
    assert "Not looked for" in written(run).text
    assert alt in [each["alt"] for each in written(run, closest=png()).all("img")]
    assert "That picture cannot be read." in written(run, closest=b"no picture").text
    (run / "closest.png").write_bytes(png(32))
    (from_the_run,) = (each for each in written(run).all("img") if each["alt"] == alt)
    assert from_the_run["width"] == "32"
    (given,) = (each for each in written(run, closest=png(48)).all("img") if each["alt"] == alt)
    assert given["width"] == "48"


def test_the_page_stays_below_five_megabytes_whatever_the_grids_show(tmp_path: Path) -> None:
    loud = png(900, noise=True)
    run = a_run(tmp_path / "run", grids=range(20, 201, 20), grid=loud)
    (run / "real.png").write_bytes(loud)
    page = written(run, closest=loud)
    assert len(loud) > 2_000_000
    assert len(page.source) < 5_000_000
    assert len(page.all("img")) == 10


def test_a_full_disk_leaves_the_old_files_and_nothing_half(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    out = tmp_path / "out"
    old = {path.name: path.read_bytes() for path in report.write(run, out)}
    (run / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in few_records(50)))
    with Disk(out).watching() as counting:
        report.write(run, tmp_path / "elsewhere")
        report.write(run, out)
    new = {path.name: path.read_bytes() for path in out.iterdir()}
    assert all(old[name] != new[name] for name in old)
    for number in range(len(counting.seen) - 1):  # the last one removes the page's partial file, which is gone
        for name, content in old.items():
            (out / name).write_bytes(content)
        with (
            Disk(out, from_now_on(number, errno.ENOSPC)).watching() as disk,
            pytest.raises(ResourceError, match="full"),
        ):
            report.write(run, out)
        assert disk.refused
        left = {path.name: path.read_bytes() for path in out.iterdir()}
        assert left.keys() == old.keys()
        assert all(left[name] in (old[name], new[name]) for name in old)


def test_what_is_no_run_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="E-RUN-02"):
            report.write(place, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResourceError, match="E-ENV-02"):
        report.write(a_run(tmp_path / "run"), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_it_needs_no_torch_and_says_nothing_where_nothing_may_be_kept(tmp_path: Path) -> None:
    """Matplotlib warns of a folder for its fonts that it cannot make; a person's own style would change the picture."""
    run = a_run(tmp_path / "run")
    expected = report.write(run, tmp_path / "here")[0].read_bytes()
    code = f"""
import sys
from pathlib import Path
from ganworks import report
early = "matplotlib" in sys.modules
report.write(Path({str(run)!r}), Path({str(tmp_path / "there")!r}))
sys.exit(early or "torch" in sys.modules)
"""
    style = tmp_path / "style"
    style.mkdir()
    (style / "matplotlibrc").write_text("text.usetex: True\nfont.size: 40\n")
    for place in ("/proc/nowhere", str(style)):
        surroundings = {"PATH": "", "HOME": "/proc/nowhere", "MPLCONFIGDIR": place, "TMPDIR": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=surroundings, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (tmp_path / "there/results.png").read_bytes() == expected
