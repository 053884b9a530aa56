"""Which numbers a model is scored by, against which data, beside which floor."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganworks.data.dataset import DataSet
from ganworks.data.spec import DataSpec
from ganworks.metrics import features
from ganworks.metrics.score import Score, scores
from ganworks.theory import Mixture

_MODES = ["modes", "high_quality", "reverse_kl", "std_ratio"]
_FEATURES = ["kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage"]
_FLOOR_SEED = 1
"""Draws of the floor on known densities; any number that training's own draws do not use."""


def usual_samples(spec: DataSpec, *, quick: bool) -> int:
    """Samples for the scores at the end of a run: at most 20 CPU s of work, 2 s where the run itself was quick."""
    if spec.kind == "points":
        return 2_500 if quick else 10_000
    if quick:
        return 200
    return 1_000 if space_for(spec) == "effnet-lite0" else 2_000


def space_for(spec: DataSpec) -> str:
    """The feature space that suits the data and can be used here."""
    if spec.kind == "points":
        return "points"
    if spec.name.startswith("digits"):
        return "digits"
    return "effnet-lite0" if "effnet-lite0" in features.available() else "pixels"


def evaluate(draw: Callable[[int], Tensor], data: DataSet, samples: int, *, trained_on: bool) -> list[Score]:
    """Scores of a generator on a data set.

    Args:
        draw: Gives so many samples, in user units.
        data: Known densities are compared with exactly; otherwise the held-out part is the reference if the model was
            trained on this data, all of it if not.
        samples: How many are drawn, and at most how many real ones they are compared with.
    """
    if data.density is not None:
        return _against_density(draw(samples), data, samples)
    reference, second = data, None
    if trained_on and data.held_out is not None:
        reference, second = data.held_out, data
    real = _head(reference, samples)
    floor = None if second is None else _head(second, len(real))
    fake = draw(samples)
    space = features.get(space_for(data.spec))
    if space.name == "points":  # in the units of the networks: a column in grams must not outweigh one in metres
        real, fake = data.spec.encode(real), data.spec.encode(fake)
        floor = None if floor is None else data.spec.encode(floor)
    seen = [space(x) if x is not None else None for x in (real, fake, floor)]
    assert seen[0] is not None
    assert seen[1] is not None
    found = scores(_FEATURES, seen[0], seen[1], seen[2], feature_space=space.name)
    if space.name == "digits":
        from ganworks.metrics.digits import Digits

        assert isinstance(space, Digits)
        logits = [space.logits(x) if x is not None else None for x in (real, fake, floor)]
        assert logits[0] is not None
        assert logits[1] is not None
        found += scores(["class_kl"], logits[0], logits[1], logits[2], feature_space=space.name)
    return found


def _against_density(fake: Tensor, data: DataSet, samples: int) -> list[Score]:
    floor = data.fresh(samples, _FLOOR_SEED)["x"]
    if isinstance(data.density, Mixture):
        return scores(_MODES, data.density, fake, floor)
    few = min(samples, 2_500)  # neighbours and kernels cost the square of it
    real = data.fresh(few, _FLOOR_SEED + 1)["x"]
    return scores(_FEATURES, real, fake[:few], floor[:few])


def _head(data: DataSet, count: int) -> Tensor:
    """The first rows: the packed and the held-out parts are shuffled already, others are spread evenly."""
    count = min(count, len(data))
    return data.rows(torch.arange(count) * len(data) // count)["x"]
