"""Peers on features: (N, D) and (M, D) arrays, real first. Each imports its package, and gives what runs it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Values = dict[str, float]


# Fréchet distance


def _moments(x: Array) -> tuple[Array, Array]:
    return x.mean(0), np.cov(x, rowvar=False)


def frechet_torch_fidelity() -> Callable[..., Values]:
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    def run(real: Array, fake: Array) -> Values:
        statistics = (fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake))
        return {"frechet_distance": next(iter(fid_statistics_to_metric(*statistics, verbose=False).values()))}

    return run


def frechet_torchmetrics() -> Callable[..., Values]:
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Features(torch.nn.Module):
        """What turns pictures into features, where they are features."""

        def __init__(self, dimensions: int) -> None:
            super().__init__()
            self.num_features = dimensions

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    def run(real: Array, fake: Array) -> Values:
        metric = FrechetInceptionDistance(feature=Features(real.shape[1]))
        for x, is_real in ((real, True), (fake, False)):
            metric.update(torch.from_numpy(x), real=is_real)
        return {"frechet_distance": float(metric.compute())}

    return run


def frechet_pytorch_fid() -> Callable[..., Values]:
    from pytorch_fid.fid_score import calculate_frechet_distance

    def run(real: Array, fake: Array) -> Values:
        return {"frechet_distance": float(calculate_frechet_distance(*_moments(real), *_moments(fake)))}

    return run


def frechet_scipy() -> Callable[..., Values]:
    from scipy.linalg import sqrtm

    def run(real: Array, fake: Array) -> Values:
        (m1, s1), (m2, s2) = _moments(real), _moments(fake)
        root = np.trace(sqrtm(s1 @ s2)).real
        return {"frechet_distance": float((m1 - m2) @ (m1 - m2) + np.trace(s1) + np.trace(s2) - 2 * root)}

    return run


def frechet_mpmath() -> Callable[..., Values]:
    """With 40 digits: the root's trace is the sum of the singular values of R1 R2^T, where R^T R is a covariance."""
    import mpmath

    def rows(x: Array) -> tuple[Any, Any]:
        made = mpmath.matrix(x.tolist())
        mean = [mpmath.fsum(made[:, j]) / made.rows for j in range(made.cols)]
        for i in range(made.rows):
            for j in range(made.cols):
                made[i, j] = (made[i, j] - mean[j]) / mpmath.sqrt(made.rows - 1)
        return mean, made

    def run(real: Array, fake: Array) -> Values:
        with mpmath.workdps(40):
            (m1, r1), (m2, r2) = rows(real), rows(fake)
            squares = mpmath.fsum((a - b) ** 2 for a, b in zip(m1, m2, strict=True))
            traces = mpmath.fsum(x**2 for r in (r1, r2) for x in r)
            root = mpmath.fsum(mpmath.svd_r(r1 * r2.T, compute_uv=False))
            return {"frechet_distance": float(squares + traces - 2 * root)}

    return run


# Kernel distance


def kernel_torch_fidelity(subsets: int = 1, size: int | None = None) -> Callable[..., Values]:
    import torch
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    def run(real: Array, fake: Array) -> Values:
        found = kid_features_to_metric(
            torch.from_numpy(real), torch.from_numpy(fake),
            kid_subsets=subsets, kid_subset_size=size or len(real), verbose=False,
        )  # fmt: skip
        return {"kernel_distance": found[KEY_METRIC_KID_MEAN]}

    return run


def kernel_torchmetrics(subsets: int = 1, size: int | None = None) -> Callable[..., Values]:
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    def run(real: Array, fake: Array) -> Values:
        metric = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=subsets, subset_size=size or len(real))
        for x, is_real in ((real, True), (fake, False)):
            metric.update(torch.from_numpy(x), real=is_real)
        return {"kernel_distance": float(metric.compute()[0])}

    return run


def kernel_scikit_learn() -> Callable[..., Values]:
    from sklearn.metrics.pairwise import polynomial_kernel

    def run(real: Array, fake: Array) -> Values:
        xx, yy, xy = (polynomial_kernel(a, b, degree=3) for a, b in ((real, real), (fake, fake), (real, fake)))
        n, m = xy.shape
        within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
        return {"kernel_distance": float(within - 2 * xy.mean())}

    return run


# Neighbours


def neighbours_prdc() -> Callable[..., Values]:
    from prdc import compute_prdc

    def run(real: Array, fake: Array) -> Values:
        three, five = (compute_prdc(real, fake, nearest_k=k) for k in (3, 5))
        return {name: float((three if name in ("precision", "recall") else five)[name]) for name in five}

    return run


def neighbours_prdc_once() -> Callable[..., Values]:
    """One call, all four at k = 5: what is compared in time."""
    from prdc import compute_prdc

    return lambda real, fake: {name: float(value) for name, value in compute_prdc(real, fake, nearest_k=5).items()}


def neighbours_torch_fidelity() -> Callable[..., Values]:
    import torch
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    def run(real: Array, fake: Array) -> Values:
        found = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), verbose=False)
        return {"precision": found[KEY_METRIC_PRECISION], "recall": found[KEY_METRIC_RECALL]}

    return run


# Sliced Wasserstein distance


def sliced_pot() -> Callable[..., Values]:
    from ot import sliced_wasserstein_distance

    def run(real: Array, fake: Array, directions: Array) -> Values:
        found = sliced_wasserstein_distance(real, fake, projections=directions.T, p=2)
        return {"sliced_wasserstein": float(found)}

    return run
