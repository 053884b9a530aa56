"""The report in a real browser: it opens offline, shows everything, runs nothing, and fits on a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_runs import COLLAPSE, EVIL, a_run, png, records

from ganworks import report

CHROMIUM = shutil.which("chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")

WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, and with what must not run or widen it."""
    evidence = [{"says": "x" * 300, "measure": "probe.spread", "value": 0.4, "bound": "y " * 60, "lines": [1, 9]}]
    verdicts = [COLLAPSE, COLLAPSE | {"name": EVIL, "evidence": evidence, "remedy": f"ganworks train {'z' * 300}"}]
    folder = tmp_path_factory.mktemp("report")
    run = a_run(folder / "run", records(), verdicts, grids=range(10, 201, 10), data=EVIL + "w" * 200)
    (run / "real.png").write_bytes(png())
    return report.write(run, folder / "out", closest=png(200))[1]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_offline_and_fits(browser: Any, page_file: Path, size: dict[str, int], scheme: str) -> None:
    context = browser.new_context(offline=True, viewport=size, color_scheme=scheme)
    page, heard, asked = context.new_page(), [], []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert heard == []
    assert [address for address in asked if not address.startswith("data:")] == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    images = page.evaluate("[...document.images].map(each => [each.naturalWidth, each.getBoundingClientRect().width])")
    assert len(images) == 10
    assert all(natural > 0 and shown > 100 for natural, shown in images)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light is (scheme == "light")
    assert page.evaluate("document.compatMode") == "CSS1Compat"
    context.close()


def test_a_script_in_the_page_would_not_run(browser: Any, page_file: Path, tmp_path: Path) -> None:
    """The policy is the second wall: it holds where a name was not escaped."""
    source = page_file.read_text()
    broken = tmp_path / "broken.html"
    hole = "<script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">"
    for policy, title in ((True, False), (False, True)):
        kept = source if policy else source.replace("Content-Security-Policy", "no-policy")
        broken.write_text(kept.replace("<main>", f"<main>{hole}", 1))
        page = browser.new_page()
        page.goto(broken.as_uri())
        page.wait_for_load_state("load")
        assert (page.title() == "ran") is title
        page.close()
