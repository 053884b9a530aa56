"""How much a straight cut knows: multinomial logistic regression on fixed features, the linear probe.

min over W, b of mean over n of -log softmax(W x_n + b)[y_n] + λ/2 ‖W‖². Features are standardised by the labelled rows
and divided by √F, so that a row has a length of about 1 and λ means the same for few features and for many.
λ is the one of `PENALTIES` whose cross-entropy is least on a fifth of the labelled rows, fitted on the others; then all
of them are fitted with it. Nothing is chosen by the rows that it is tested on.

Letters: N labelled rows, M others, F features, K classes.

Source: Alain and Bengio 2016, arXiv:1610.01644, for probing by linear classifiers.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float64, Int64
from torch import Tensor

from ganworks.metrics.inputs import Labels, Samples

PENALTIES = tuple(10.0**power for power in range(-6, 0))
_STEPS = 200
"""Iterations of L-BFGS, at most; it ends before where the gradient is nothing."""


class LinearProbe(NamedTuple):
    """What the probe says of the rows that it was not fitted on, and the penalty that was chosen."""

    predicted: Int64[Tensor, " m"]
    penalty: float


def linear_probe(
    features: Samples, labels: Labels, others: Samples, classes: int, penalties: tuple[float, ...] = PENALTIES
) -> LinearProbe:
    """Fit on labelled rows, name the classes of others.

    Args:
        features: (N, F), of the labelled rows.
        labels: (N,), from 0 to K - 1.
        others: (M, F).
        classes: K.
        penalties: λ to choose from.
    """
    known, asked = _standard(torch.as_tensor(features).double(), torch.as_tensor(others).double())
    answers = torch.as_tensor(labels)
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(len(known)))
    kept, fitted = order[: len(order) // 5], order[len(order) // 5 :]
    chosen = penalties[0]
    if len(penalties) > 1:
        losses = []
        for penalty in penalties:
            weights = fit(known[fitted], answers[fitted], classes, penalty)
            losses.append(float(F.cross_entropy(logits(known[kept], weights), answers[kept])))
        chosen = penalties[losses.index(min(losses))]
    weights = fit(known, answers, classes, chosen)
    return LinearProbe(logits(asked, weights).argmax(1), chosen)


def fit(
    x: Float64[Tensor, "n f"], labels: Int64[Tensor, " n"], classes: int, penalty: float
) -> Float64[Tensor, "f1 k"]:
    """W and, in the last row, b."""
    weights = x.new_zeros(x.shape[1] + 1, classes).requires_grad_()
    descent = torch.optim.LBFGS(
        [weights], max_iter=_STEPS, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        descent.zero_grad()
        value = F.cross_entropy(logits(x, weights), labels) + penalty / 2 * weights[:-1].square().sum()
        torch.autograd.backward(value)
        return value

    descent.step(loss)  # type: ignore[no-untyped-call]  # torch's own is not annotated
    return weights.detach()


def logits(x: Float64[Tensor, "n f"], weights: Float64[Tensor, "f1 k"]) -> Float64[Tensor, "n k"]:
    """W x + b."""
    return x @ weights[:-1] + weights[-1]


def _standard(
    known: Float64[Tensor, "n f"], asked: Float64[Tensor, "m f"]
) -> tuple[Float64[Tensor, "n g"], Float64[Tensor, "m g"]]:
    """Both by the mean and the deviation of the first; features that do not vary there are left out of the sum.

    Where there are more features than rows they are turned into the space of the rows: the best W lies in it, because
    whatever stands upright on all rows costs penalty and changes no logit. So the fit is the same, and cheap.
    """
    center, deviation = known.mean(0), known.std(0, correction=0)
    varies = deviation > 1e-9 * known.abs().amax(0).clamp(min=1e-300)
    scale = torch.where(varies, 1 / (deviation.clamp(min=1e-300) * known.shape[1] ** 0.5), 0)
    known, asked = (known - center) * scale, (asked - center) * scale
    if known.shape[1] > len(known):
        turn = torch.linalg.qr(known.T).Q
        known, asked = known @ turn, asked @ turn
    return known, asked
