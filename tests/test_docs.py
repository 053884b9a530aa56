"""The pages and the examples: every block runs, every command parses, every link leads somewhere."""

import ast
import json
import math
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import test_house

from docs import make
from ganworks import data, errors, systems
from ganworks.cli import options
from ganworks.cli.app import _verb_first, build, main
from ganworks.cli.systems import _settings, _written
from ganworks.diagnosis import thresholds
from ganworks.diagnosis.verdict import NAMES
from ganworks.errors import UsageError
from ganworks.session import Order, session_of
from ganworks.settings import GameSettings, RunSettings, keys
from ganworks.settings import build as build_settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
WRITTEN = [page for page in PAGES if page.name != "errors.md"]  # its remedies are checked in test_errors.py
SYSTEM_PAGES = sorted((DOCS / "systems").glob("*.md"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
HEADINGS = [
    "What it is",
    "The paper",
    "Use it",
    "Settings that matter",
    "What the recorded numbers mean",
    "Where we depart and why",
    "Results",
]  # fmt: skip
PENALTIES = {"r1", "r2", "gradient_penalty", "dragan", "roth", "lecam", "consistency", "consistency_fake", "orthogonal"}
HEARD = {"information", "information_continuous", "classification", "classification_fake"}
TERMS = {"adversarial", "drift", "feature_matching", "supervised", "lr", *HEARD, *PENALTIES}
OF_GENERATORS = ("path_length", "cycle", "identity", "l1", "reconstruction")
TERMS_OF = {"autoencoder": ("reconstruction", "kl"), "generator": OF_GENERATORS}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
each_system = pytest.mark.parametrize("page", SYSTEM_PAGES, ids=lambda page: page.stem)
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)


class Block(NamedTuple):
    """What stands between two fences: its language, the file it names, its text."""

    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*[*info.split(), "", ""][:2], text) for info, text in found]


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


# Python


SOURCES = [path.read_text() for path in (ROOT / "src").rglob("*.py")]


def story(page: Path) -> list[str]:
    """The Python of a page that stands in no file of ours and is none of its own: what a reader may run."""
    found = [block.text for block in blocks(page) if block[:2] == ("python", "")]
    return [text for text in found if not any(text in source for source in SOURCES)]


@each_page
def test_python_is_python(page: Path) -> None:
    """An excerpt of the sources that these no longer hold counts as a story, and fails here or when it runs."""
    for text in [*story(page), *(block.text for block in blocks(page) if block.file)]:
        ast.parse(text)


def tiny(code: str) -> str:
    """The same code with a few steps, two more for each doubling, and few samples."""
    code = re.sub(r"\bsteps=([\d_]+)", lambda found: f"steps={max(2, round(2 * math.log2(int(found[1]) / 100)))}", code)
    return re.sub(r"\bsamples=[\d_]+", "samples=100", code)


def test_tiny_keeps_the_order_of_steps() -> None:
    assert tiny("fit(steps=200, samples=10_000); resume(steps=400)") == "fit(steps=2, samples=100); resume(steps=4)"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if story(page)],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page are one story: they run one after another in one folder."""
    script = tmp_path / "page.py"
    script.write_text(tiny("\n".join(story(page))))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))


@each_example
def test_examples_run(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example), "4"])
    runpy.run_path(str(example), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) >= 3


@each_example
def test_examples_are_short_and_say_how_to_run_them(example: Path) -> None:
    text = example.read_text()
    assert len(text.splitlines()) < 40
    assert f"python examples/{example.name} [" in (ast.get_docstring(ast.parse(text)) or "")


# Commands


def commands(page: Path) -> Iterator[str]:
    """What a reader may paste: lines of blocks without a language, and spans. Descriptions stand two blanks apart."""
    lines = [line for block in blocks(page) if not block.language for line in block.text.splitlines()]
    for line in [*lines, *spans(page)]:
        if line.startswith(("ganworks ", "python -m ", "make ")):
            yield re.split(r" {2,}", line)[0]


def check(line: str) -> None:
    """Raise where a command could not be meant. A word in capitals stands for what the reader fills in."""
    program, *tokens = ["1" if re.fullmatch(r"[A-Z]{3,}", word) else word for word in shlex.split(line)]
    if program == "make":
        assert re.search(rf"^{tokens[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
    elif program == "python":
        assert find_spec(tokens[1]), line
    else:
        words = options.spread(_verb_first(tokens))
        if words in (["resume"], ["sample"]):  # the verb as a name, in prose
            return
        given = arguments(words)
        if words[0] == "train":
            session_of(order(given))


def arguments(words: list[str]) -> dict[str, Any]:
    """What a verb is given."""
    _, bound, _ = build().parse_args(words, exit_on_error=False, print_error=False)
    return dict(bound.arguments)


def order(given: dict[str, Any]) -> Order:
    """What `ganworks train` is told to do, as far as it can be judged without the data."""
    overrides = options.overrides(given.get("settings") or [], "train")
    batch = given.get("batch")
    size = None if batch is None else options.batch(batch, "train")
    return Order(data=given.get("data"), system=given.get("system"), batch=size, overrides=overrides)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_can_be_meant(page: Path) -> None:
    for line in commands(page):
        check(line)


@pytest.mark.parametrize(
    "line",
    [
        "ganworks train ring --sytem gan",
        "ganworks train ring --system wgan_pg",
        "ganworks train ring --set objective.lss=hinge",
        "ganworks train ring --set objective.loss=hing",
        "ganworks invert RUN",
        "make coffee",
        "python -m experiments.nothing",
    ],
)
def test_wrong_commands_are_found(line: str) -> None:
    with pytest.raises(Exception, match=r"."):
        check(line)


# Names


def known_keys() -> set[str]:
    models = [RunSettings, *(systems.get(name).Settings for name in systems.names())]
    return {key for model in models for key, _ in keys(model)}


@each_page
def test_settings_in_prose_exist(page: Path) -> None:
    known = known_keys()
    groups = {key.split(".")[0] for key in known if "." in key}
    known |= {f"{player}.{term}" for player in ("discriminator", "generator") for term in TERMS}
    known |= {f"{player}.{term}" for player, terms in TERMS_OF.items() for term in terms}
    named = {found[1] for span in spans(page) if (found := re.match(r"([a-z_]+\.[a-z_0-9]+)(?: ?=|$)", span))}
    assert {name for name in named if name.split(".")[0] in groups and not name.endswith(".py")} - known == set()


@each_page
def test_files_in_prose_exist(page: Path) -> None:
    for span in spans(page):
        if re.fullmatch(r"(docs|examples|tests|src|experiments|benchmarks|systems|training)/[\w/.-]*", span):
            assert (ROOT / span).exists() or (ROOT / "src/ganworks" / span).exists(), span


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in {slug(line) for line in re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)}, target


def test_every_page_is_linked_from_the_first() -> None:
    first = DOCS / "README.md"
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)\s]+)\)", first.read_text())}
    assert {page for page in PAGES if DOCS in page.parents} - linked == {first}


# Pages of systems


def test_every_system_has_a_page() -> None:
    ours = {name for name in systems.names() if systems.get(name).__module__.startswith("ganworks.")}
    assert {page.stem for page in SYSTEM_PAGES} == ours


@each_system
def test_system_pages_have_the_same_headings(page: Path) -> None:
    found = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS


@each_system
def test_system_pages_cite_the_paper_of_the_code(page: Path) -> None:
    paper = systems.get(page.stem).paper
    (arxiv,) = re.findall(r"arXiv:[\d.]+\d", paper)
    section = page.read_text().split("## The paper")[1].split("## Use it")[0]
    assert arxiv in section
    assert paper.split(",")[0].split()[0] in section


@each_system
def test_system_pages_give_the_defaults_of_the_code(page: Path) -> None:
    """`| setting | default | on points | … |`, the third column empty where points have the same."""
    system = systems.get(page.stem)
    defaults = {row["key"]: row["default"] for row in _settings(page.stem)}
    section = page.read_text().split("## Settings that matter")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert lines
    suited = system.suited(data.open("ring").spec) if "points" in system.accepts else {}
    ring = build_settings(system.Settings, suited).model_dump(mode="json", by_alias=True)
    for key, default, points, *_ in ([cell.strip().strip("`") for cell in line.split("|")[1:]] for line in lines):
        assert default == defaults[key], key
        if "points" in system.accepts:
            assert (points or default) == _written(ring, key), f"{key} on points"


# The page of remedies


REMEDIES = DOCS / "remedies.md"


def test_every_remedy_has_a_command() -> None:
    groups, singles = ("objective.", "view.", "turns."), {"latent.prior", "average.half_life", "precision"}
    wanted = {key for key, _ in keys(GameSettings) if key.startswith(groups) or key in singles}
    wanted |= {f"{player}.spectral_norm" for player in ("generator", "discriminator")}
    text = "\n".join(commands(REMEDIES))
    assert {key for key in wanted if f"{key}=" not in text} == set()


@pytest.mark.parametrize("line", [line for line in commands(REMEDIES) if line.startswith("ganworks train ")])
def test_every_remedy_plays(line: str) -> None:
    _, *tokens = shlex.split(line)
    told = order(arguments(options.spread(_verb_first(tokens))))
    session = session_of(told)
    session.open(told.data)
    engine = session.begin(3)
    for _ in range(3):
        terms = engine.round()
    assert all(math.isfinite(float(value)) for value in terms.values())


# The pages of errors, evidence, the classics and design


def test_the_page_of_errors_is_what_the_table_gives() -> None:
    assert (DOCS / "errors.md").read_text() == make.errors_page(), "run: python -m docs.make"
    assert all(f"`{code}`" in make.errors_page() for code in errors.TABLE)


def test_the_bounds_of_the_diagnosis_are_those_of_the_table() -> None:
    page = (DOCS / "diagnosis.md").read_text()
    assert page == make.diagnosis_page(), "run: python -m docs.make"
    assert all(f"| `{name}` | {make.number(row.value)} |" in page for name, row in thresholds.TABLE.items())


def test_the_page_of_the_diagnosis_has_every_verdict_and_every_number() -> None:
    page = (DOCS / "diagnosis.md").read_text()
    section = page.split("## The verdicts")[1].split("## Before")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == NAMES
    sources = "".join(path.read_text() for path in (ROOT / "src/ganworks/diagnosis").glob("*.py"))
    measured = set(re.findall(r'"(probe\.[a-z_.]+[a-z])"', sources))
    assert len(measured) >= 20
    assert {name for name in measured if f"`{name}`" not in page} == set()


def test_the_page_of_evidence_names_every_result(tmp_path: Path) -> None:
    make.main(tmp_path)
    page = (tmp_path / "evidence.md").read_text()
    for result in make.results():
        assert f"](../{result.relative_to(ROOT).as_posix()})" in page
    assert (DOCS / "evidence.md").read_text().splitlines()[:3] == page.splitlines()[:3]


def test_the_page_of_evidence_hides_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = [{"what": "recall", "value": 0.1234567, "bar": ">= 0.5", "passed": False}]
    found = {
        "claim": "It works.", "command": "python -m experiments.tiny --seeds 2", "passed": False, "bars": bars,
        "floors": {"real": {"recall": 0.9, "shares": [1, 2]}}, "date": "2026-01-02T03:04:05", "processor": "P",
        "versions": {"torch": "9"}, "sources": {"paths": [], "sha256": ""},
    }  # fmt: skip
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    (folder / "tiny.json").write_text(json.dumps(found))
    (folder / "tiny-smoke.json").write_text("no result")
    monkeypatch.setattr(make, "ROOT", tmp_path)
    monkeypatch.setattr(make, "RESULTS", (folder,))
    page = make.evidence_page()
    assert "It works. **failed**, **stale**." in page
    assert "| recall | 0.1235 | >= 0.5 | **no** |" in page
    assert "| real | recall 0.9 |" in page
    assert "`python -m benchmarks.tiny --seeds 2`" in page


def scored(modes: int, quality: float) -> dict[str, float]:
    arm = {"modes": modes, "high_quality": quality, "reverse_kl": 0.25, "std_ratio": 1.5}
    return arm | {"nearest_kl": 0.125, "step": 7, "command_seconds": 9}


def test_the_page_of_the_classics_shows_each_seeds_modes_and_medians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = {
        "date": "2026-01-02T03:04:05", "sources": {"paths": [], "sha256": ""},
        "floors": {"fresh draws": scored(8, 0.9899)},
    }  # fmt: skip
    seeds = [scored(8, 0.5), scored(3, 0.875), scored(8, 0.75)]
    table = {f"hinge, {penalty}, seed {seed}": arm for penalty in ("none", "R1") for seed, arm in enumerate(seeds)}
    (tmp_path / "ring_table.json").write_text(json.dumps(head | {"arms": table}))
    monkeypatch.setattr(make, "RESULTS", (tmp_path,))
    page = make.classics_page()
    cell = "8 3 8<br>0.75 · 0.25 · 1.5"
    assert f"| `hinge` | {cell} | {cell} |" in page
    assert "| fresh draws | 8<br>0.99 · 0.25 · 1.5 |  |" in page
    assert "**Stale**" in page
    assert "Not measured yet: `python -m experiments.classics`." in page

    arms = {f"unrolled, K = 0, seed {seed}": arm for seed, arm in enumerate(seeds)}
    (tmp_path / "classics.json").write_text(json.dumps(head | {"arms": arms}))
    turns = {f"default, epochs, seed {seed}": arm for seed, arm in enumerate(seeds)}
    (tmp_path / "turns.json").write_text(json.dumps(head | {"arms": turns}))
    page = make.classics_page()
    assert "| `unrolled, K = 0` | 8 3 8 | 0.75 | 0.25 | 1.5 | 0.125 | 7 | 9 |" in page
    assert "| default | epochs | 8 3 8 | 0.75 | 0.25 | 1.5 |" in page
    assert "Not measured yet" not in page


def test_the_page_of_the_classics_is_made() -> None:
    assert (DOCS / "classics.md").read_text().splitlines()[:8] == make.classics_page().splitlines()[:8]


def test_the_order_of_imports_is_that_of_the_contract() -> None:
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    section = (DOCS / "design.md").read_text().split("## The order of imports")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)`", section, re.MULTILINE) == contract["layers"]


def test_the_exit_codes_are_those_of_the_errors() -> None:
    section = (DOCS / "design.md").read_text().split("## Exit codes")[1]
    page = {int(code) for code in re.findall(r"^\| (\d) \|", section, re.MULTILINE)}
    assert page == {0, *(entry.kind.exit_code for entry in errors.TABLE.values())}


# The system that add-a-system.md writes


@pytest.fixture
def d2gan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's file as an installed package with the page's entry point."""
    (code,) = (block for block in blocks(DOCS / "add-a-system.md") if block.file == "d2gan.py")
    (project,) = (block for block in blocks(DOCS / "add-a-system.md") if block.language == "toml")
    (group, points), *_ = tomllib.loads(project.text)["project"]["entry-points"].items()
    (tmp_path / "d2gan.py").write_text(code.text)
    about = tmp_path / "d2gan-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: d2gan\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield "d2gan"
    sys.modules.pop("d2gan", None)


def test_the_written_system_is_found_and_trained(d2gan: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert systems.names()[-1] == d2gan
    (line,) = (b.text for b in blocks(DOCS / "add-a-system.md") if b.language == "text")
    check(line)
    assert main([*shlex.split(line)[1:], "--steps", "3", "--run", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 3
    last = json.loads((Path("run") / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"first.real", "first.fake", "second.real", "second.fake", "generator.first", "generator.second"} < set(last)
    with pytest.raises(UsageError, match="E-SET-01"):
        check("ganworks train ring --system d2gan --set alpha=1.5")


def test_the_written_system_passes_the_house_test(d2gan: str) -> None:
    test_house.test_resumes_to_the_same_bits(d2gan, "points", 3)
    test_house.test_everything_saved_is_needed(d2gan, "points")
    test_house.test_a_player_gets_gradients_for_all_its_own_weights_and_no_others(d2gan, "points")
    test_house.test_two_halves_give_the_gradients_of_the_whole(d2gan, "points")
    test_house.test_ten_samples_are_the_head_of_sixty_four(d2gan, "points")
