"""A run as a page and a picture, from its folder alone. It takes no lock and needs no torch."""

import secrets
from pathlib import Path

from ganworks import history
from ganworks.errors import error
from ganworks.training import disk


def write(run: Path, out: Path, closest: bytes | None = None, *, judged: bool = False) -> tuple[Path, Path]:
    """Write `results.png`, the curves, and `report.html`, which holds them too; a run may be going on or be broken.

    What is missing is left out, or said in the page. Each file is the new one or the old one, whole at any moment.

    Args:
        run: Its folder.
        out: Where to; made where it is missing. It may be the run's own folder.
        closest: A PNG of samples beside the training pictures nearest to them; None takes `closest.png` of the run.
        judged: Whether the run is judged as it is now; else the page tells what `verdicts.jsonl` holds.
    Returns: the paths of the picture and of the page.
    Raises: UsageError if there is no run; ResourceError if the disk is full or refuses.
    """
    from ganworks.report import drawing, page, panels, pictures
    from ganworks.report.verdicts import judge, present

    if not history.is_run(run):
        raise error("E-RUN-02", path=run, reason="it holds nothing that a run leaves")
    standing, found = history.read(run), judge(run) if judged else present(run)
    shown = panels.panels(history.records(run))
    since = {each.name: each.since for each in found.verdicts if each.since and not each.healthy} if found else {}
    picture = drawing.picture(shown, since)
    drawn = [panel.title for panel in shown]
    html = page.page(standing, found, pictures.embedded(picture), drawn, closest)
    return _put(out, "results.png", picture), _put(out, "report.html", html.encode("utf-8", "replace"))


def _put(out: Path, name: str, content: bytes) -> Path:
    partial = out / f".{name}.{secrets.token_hex(4)}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        disk.write_synced(partial, content)
        partial.replace(out / name)
    except OSError as caught:
        raise disk.refusal(caught, out / name) from caught
    finally:
        disk.discard(partial)
    return out / name
