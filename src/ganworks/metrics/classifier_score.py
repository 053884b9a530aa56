"""The Inception Score: how sure a classifier is of each sample, and how many classes it sees in all of them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ganworks.metrics.inputs import Samples, rows, unfit
from ganworks.metrics.interval import Estimate

SPLITS = 10


class InceptionScore(NamedTuple):
    """Mean and standard deviation (ddof 0) over the parts; from 1 to the number of classes."""

    mean: float
    std: float


def inception_score(logits: Samples | Iterable[Samples], splits: int = SPLITS, count: int = 0) -> InceptionScore:
    """exp(mean KL(p(class | x) || p(class))) within each of the parts, and its mean and std over them.

    Part i begins at row i*N // splits, in the order the rows have, as in the authors' code: a set that is sorted by
    class has to be mixed first. It is the number of papers only in the logits of the 2015 Inception, without the
    softmax's bias, and for 50,000 samples.

    Args:
        logits: (N, K) of any classifier; or batches of them one after the other, of which sums alone are kept.
        splits: Parts, at most N.
        count: How many samples the batches hold together, since the parts depend on it; an array knows it.
    Raises: UsageError E-METRIC-01 (shapes, too few, another count) or E-METRIC-02 (not finite).
    Source: Salimans et al. 2016, section 4.
    """
    scores = _of_parts(logits, splits, count)
    return InceptionScore(scores.mean().item(), scores.std(correction=0).item())


def estimates(real: Samples, fake: Samples, groups: int = 0, splits: int = SPLITS) -> dict[str, Estimate]:
    """The mean over the parts; they share no sample, so the error of their mean is their spread over its root."""
    scores = _of_parts(fake, splits, 0)
    if not groups or splits == 1:
        return {"inception_score": Estimate(scores.mean().item())}
    return {"inception_score": Estimate(scores.mean().item(), (scores.std() / splits**0.5).item(), splits - 1)}


def _of_parts(logits: Samples | Iterable[Samples], splits: int, count: int) -> Float64[Tensor, " splits"]:
    """The score of each part, from its sums of p and of sum p log p."""
    batches: Iterable[Samples] = logits
    if isinstance(logits, Tensor | np.ndarray):
        batches, count = [logits], len(logits)
    if not 1 <= splits <= count:
        raise unfit("inception_score", f"from 1 to {count} parts for {count} samples", f"splits = {splits}")
    borders = [part * count // splits for part in range(splits + 1)]
    sizes = torch.tensor(borders).diff().double()
    shares: Tensor | None = None
    certain = torch.zeros(splits, dtype=torch.float64)
    for part, p in _pieces(batches, borders):
        shares = torch.zeros(splits, p.shape[1], dtype=torch.float64) if shares is None else shares
        if p.shape[1] != shares.shape[1]:
            raise unfit("inception_score", f"{shares.shape[1]} classes in every batch", p.shape[1])
        shares[part] += p.sum(0)
        certain[part] -= torch.special.entr(p).sum()
    assert shares is not None
    unsure = torch.special.entr(shares / sizes[:, None]).sum(1)
    return (certain / sizes + unsure).clamp(min=0).exp()


def _pieces(batches: Iterable[Samples], borders: list[int]) -> Iterator[tuple[int, Tensor]]:
    """Probabilities, batch by batch, cut where a part ends: (part, (n, K))."""
    part, seen = 0, 0
    for batch in batches:
        left = torch.softmax(rows("inception_score", "logits", batch, least=1), 1)
        if seen + len(left) > borders[-1]:
            raise unfit("inception_score", f"batches of {borders[-1]} samples together, as count says", "more")
        while len(left):
            piece = left[: borders[part + 1] - seen]
            yield part, piece
            left, seen = left[len(piece) :], seen + len(piece)
            part += seen == borders[part + 1]
    if seen < borders[-1]:
        raise unfit("inception_score", f"batches of {borders[-1]} samples together, as count says", seen)
