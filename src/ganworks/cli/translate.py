"""`ganworks translate`: what a trained translator makes of pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ganworks.cli.output import DEFAULT, Output
from ganworks.cli.progress import Progress
from ganworks.cli.train import Seed
from ganworks.training.disk import check_out


def translate(
    model: Path,
    pictures: Path,
    /,
    *,
    to: str | None = None,
    out: Path = Path("translated"),
    seed: Seed = 0,
    on_bad: Literal["stop", "skip"] = "stop",
    output: Output = DEFAULT,
) -> int:
    """Translate a picture, or those of a folder or archive, into a new folder.

    Pictures may have any size. Names and sizes stay, and sheet.png shows some before and after.

    Examples:
      ganworks translate runs/emoji-0001 drawings --out coloured
      ganworks translate my-cyclegan photo.jpg --to b --out translated

    Parameters
    ----------
    model
        Folder of a model or of a run of pix2pix, cyclegan or stargan.
    pictures
        A picture, or a folder or archive of them. Of a folder of pairs the sources are translated; of one with a
        sub-folder for each domain those of the other domains.
    to
        The domain that pictures are to be of, by its name or number: for cyclegan and stargan.
    out
        A new or empty folder.
    seed
        Of a translator's noise.
    on_bad
        What to do where a picture file cannot be read: stop, or skip it.
    """
    check_out(out)

    from ganworks import model as models
    from ganworks.use import translated

    loaded = models.load(model)
    with Progress.for_output(output) as progress:

        def tell(record: Mapping[str, Any]) -> None:
            for watcher in progress.watchers:
                watcher(record)

        found = translated.write(loaded.still, pictures, out, to, seed, on_bad=on_bad, tell=tell)
    result: dict[str, Any] = {"out": out, "pictures": found.pictures, "to": to, "seed": seed, "notes": found.notes}
    result["bad"] = [{"file": name, "reason": reason} for name, reason in found.bad]
    said = [f"{found.pictures} {'picture' if found.pictures == 1 else 'pictures'} in {out}", *found.notes]
    said += [f"left out: {name}   {reason}" for name, reason in found.bad]
    output.result(result, lambda: said)
    return 0
