"""`ganworks sample`: what a trained generator makes."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ganworks.cli import options
from ganworks.cli.output import DEFAULT, Output
from ganworks.cli.train import Seed
from ganworks.training.disk import check_out

Format = Annotated[Literal["files", "npz"], Parameter(name="--format")]


def sample(
    model: Path,
    /,
    *,
    number: Annotated[int, Parameter(name=("-n", "--number")), options.at_least(1)] = 64,
    seed: Seed = 0,
    out: Path = Path("samples"),
    label: str | None = None,
    truncation: float | None = None,
    form: Format = "files",
    output: Output = DEFAULT,
) -> int:
    """Write samples of a model or run into a new folder. The same seed gives the same samples.

    Examples:
      ganworks sample runs/digits-0001 -n 64 --seed 1 --out samples
      ganworks sample my-gan -n 1000 --out data --format npz
      ganworks sample my-gan --label 7 --out sevens

    Parameters
    ----------
    model
        Folder of a model or of a run.
    number
        How many.
    seed
        The first ten of 64 are the ten of another call with this seed.
    out
        A new or empty folder.
    label
        One class only, by its name or number, where the system takes labels. Without it they are drawn as the data has
        them, and written beside the samples.
    truncation
        For biggan and stylegan2: the smaller, the more typical and the more alike are the samples; 0.5 is usual.
    form
        One file a sample (points: one .npy), or a single array.
    """
    check_out(out)

    from ganworks.gan import GAN
    from ganworks.use import sample as writer

    gan = GAN.load(model)
    given = None if label is None else writer.label_index(gan.spec, label)
    drawn = gan.draw(number, seed=seed, label=given, truncation=truncation)
    names = [gan.spec.classes[each] for each in drawn["label"].tolist()] if "label" in drawn else []
    writer.write(drawn["x"], out, form, names)
    output.result({"out": out, "samples": number, "seed": seed}, lambda: [f"{number} samples in {out}"])
    return 0
