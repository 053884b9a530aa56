"""`ganworks features`: what a trained discriminator, encoder or generator knows of data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ganworks.cli import options
from ganworks.cli.output import DEFAULT, Output, table
from ganworks.cli.progress import Progress
from ganworks.cli.train import Seed

Of = Annotated[Literal["discriminator", "encoder", "generator"], Parameter(name="--of")]


def features(
    model: Path,
    /,
    *,
    data: str | None = None,
    out: Path = Path("features.npz"),
    side: Of = "discriminator",
    probe: Annotated[int | None, options.at_least(1)] = None,
    seed: Seed = 0,
    on_bad: Literal["stop", "skip"] = "stop",
    output: Output = DEFAULT,
) -> int:
    """Write what a model sees in data, as one row of numbers for each sample, for other programs to learn from.

    The file holds the arrays features (N, F), label and classes where there are labels, row, and held_out: first the
    rows that the data train on, then those that they hold out.

    Examples:
      ganworks features runs/digits-0001
      ganworks features my-gan --data photos --out photos.npz
      ganworks features my-gan --probe 1000

    Parameters
    ----------
    model
        Folder of a model or of a run.
    data
        A built-in data set's name or a path; without it what the model was trained on.
    out
        A new .npz file.
    side
        discriminator: what its last layer judges. encoder: latents, of systems that have an encoder. generator: what
        its last layer makes a sample of, on the way back from those latents.
    probe
        So many labels of the training part teach a linear classifier of the features, which the held-out part tests;
        beside it the same of untrained weights, and of the samples themselves.
    seed
        Of the labels that a probe is given, and of the untrained weights.
    on_bad
        What happens where a picture file cannot be read.
    """
    from ganworks import evaluation
    from ganworks import model as models
    from ganworks.use import features as use

    use.check_file(out)
    loaded = models.load(model)
    with Progress.for_output(output) as progress:

        def tell(record: Mapping[str, Any]) -> None:
            for watcher in progress.watchers:
                watcher(record)

        opened = evaluation.data_for(loaded.system.data, data or loaded.run.data, on_bad=on_bad, tell=tell)
        probed = use.probes(loaded.still, opened, probe, side, seed) if probe else []
        found = use.table(
            loaded.still, opened, side, lambda done, total: tell({"task": "features", "done": done, "total": total})
        )
        found.write(out, opened.spec.classes)
    rows, count = found.features.shape
    result = {
        "out": out,
        "of": side,
        "rows": rows,
        "features": count,
        "held_out": found.held_out,
        "labels": found.label is not None,
        "probes": (probes := [each.as_dict() for each in probed]),
    }
    said = f"{rows} rows of {count} numbers in {out}, the last {found.held_out} held out"
    output.result(result, lambda: [said, *_probes(probes)])
    return 0


def _probes(probes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Probes as a table, with 95 % intervals."""
    if not probes:
        return []
    rows = [["linear probe of", "numbers", "right", "95 % interval"]]
    rows += [
        [each["name"], str(each["features"]), f"{each['accuracy']:.4f}", f"{each['low']:.4f} to {each['high']:.4f}"]
        for each in probes
    ]
    told = f"{probes[0]['labels']} labels of the training part; {probes[0]['tested']} held-out rows"
    return ["", *table(rows), told]
