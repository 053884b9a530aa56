"""`ganworks eval`: how good a model, a run or samples are, beside data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from ganworks.aims import AIMS, FAMILIES
from ganworks.cli import options
from ganworks.cli.output import DEFAULT, Output
from ganworks.cli.progress import Progress
from ganworks.cli.scores import how_far, score_table
from ganworks.cli.train import Seed
from ganworks.errors import error
from ganworks.registry import suggestion
from ganworks.training.disk import check_out

VERB = "eval"
_ELSEWHERE = {
    "fid": "frechet_distance",
    "fid_infinity": "frechet_extrapolated",
    "kid": "kernel_distance",
    "mmd": "kernel_distance",
    "prdc": "precision_recall",
    "swd": "sliced_wasserstein",
    "is": "inception_score",
    "isc": "inception_score",
    "ndb": "different_bins",
    "authpct": "memorization",
    "birthday": "birthday_support",
}
"""What other tools call a metric, which here has a name that does not promise their network."""


def metrics_of(text: str) -> list[str]:
    """Metrics by their names, or by the function that gives several of them, without those named before.

    Raises: UsageError for an unknown name, with the nearest.
    """
    wanted: list[str] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in AIMS and name not in FAMILIES:
            near = [f"here it is: {_ELSEWHERE[name.lower()]}"] if name.lower() in _ELSEWHERE else []
            details = near or suggestion(name, [*AIMS, *FAMILIES]) or [f"known: {', '.join(AIMS)}"]
            raise error("E-NAME-05", name=name, details=details)
        wanted += [each for each in FAMILIES.get(name, (name,)) if each not in wanted]
    if not wanted:
        raise error("E-USE-01", verb=VERB, reason="--metrics names none", details=[f"known: {', '.join(AIMS)}"])
    return wanted


def evaluate(
    source: str,
    /,
    *,
    against: str | None = None,
    metrics: str | None = None,
    samples: Annotated[int | None, options.at_least(1)] = None,
    seed: Seed = 0,
    space: str | None = None,
    level: float = 0.95,
    on_bad: Literal["stop", "skip"] = "stop",
    out: Path | None = None,
    output: Output = DEFAULT,
) -> int:
    """Score a model, a run or samples against data: each number with its interval, beside what real data score.

    A model is compared with the held-out part of the data it was trained on, and with all of other data. Picture files
    are brought to the model's shape.

    Examples:
      ganworks eval runs/digits-0001
      ganworks eval my-gan --against digits --metrics frechet_distance,recall --samples 5000
      ganworks eval samples --against photos --out scores

    Parameters
    ----------
    source
        Folder of a model or of a run, or samples: a folder, an archive, a file, or a built-in data set's name.
    against
        Data to compare with: a built-in name or a path. Without it, for a model or run: what it was trained on.
    metrics
        Names with commas between, such as recall,kernel_distance; without them those that suit the data.
    samples
        How many are scored; without it as many as suit the data.
    seed
        Of the samples that a model draws.
    space
        The feature space, such as pixels, effnet-lite0 or inception:FILE; without it the one that suits the data.
    level
        Share of intervals that hold the true value, between 0 and 1.
    on_bad
        What happens where a picture file cannot be read.
    out
        A new or empty folder for scores.json and a picture of both sides, sides.png; with the metric memorization also
        for closest.png, the samples closest to training pictures above those.
    """
    wanted = [] if metrics is None else metrics_of(metrics)
    if not 0 < level < 1:
        raise error("E-USE-01", verb=VERB, reason=f"--level lies between 0 and 1, and {level:g} does not")
    if out is not None:
        check_out(out)

    from ganworks import evaluation
    from ganworks.metrics import features

    features.get(space or "pixels")  # a wrong name is refused before anything is opened
    with Progress.for_output(output) as progress:

        def tell(record: Mapping[str, Any]) -> None:
            for watcher in progress.watchers:
                watcher(record)

        sides = evaluation.sides(source, against, on_bad=on_bad, tell=tell)
        wish = evaluation.Wish(wanted, samples, seed, space or "", level)
        found = evaluation.evaluate(sides, wish, tell)
        if out is not None:
            evaluation.write(found, out)
        for note in found.notes:
            tell({"message": note})
    scores = [score.as_dict() for score in found.scores]
    lines = [f"{sides.name} against {sides.data.name}", "", *score_table(scores), how_far(scores)]
    lines += [] if out is None else ["", f"picture of both sides  {out / 'sides.png'}"]
    lines += [] if out is None or found.closest is None else [f"closest pairs          {out / 'closest.png'}"]
    output.result({"scores": scores}, lambda: [line for line in lines if line or line is lines[1]])
    return 0
