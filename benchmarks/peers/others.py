"""Peers on logits, pictures and single numbers. Each imports its package, and gives what runs it."""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.peers.features import Array, Values

# Logits


def score_torch_fidelity(shuffle: bool = False) -> Callable[..., Values]:
    import torch
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    def run(logits: Array) -> Values:
        found = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=shuffle)
        return {"inception_score": found[KEY_METRIC_ISC_MEAN], "inception_score_std": found[KEY_METRIC_ISC_STD]}

    return run


def score_torchmetrics() -> Callable[..., Values]:
    import torch
    from torchmetrics.image.inception import InceptionScore

    def run(logits: Array) -> Values:
        metric = InceptionScore(feature=torch.nn.Identity(), splits=10)
        metric.update(torch.from_numpy(logits))
        mean, std = metric.compute()
        return {"inception_score": float(mean), "inception_score_std": float(std)}

    return run


# Pictures


def pictures_torchmetrics() -> Callable[..., Values]:
    import torch
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure,
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    def run(a: Array, b: Array) -> Values:
        pair = torch.from_numpy(b), torch.from_numpy(a)
        return {
            "psnr": float(peak_signal_noise_ratio(*pair, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")),
            "ssim": float(structural_similarity_index_measure(*pair, data_range=1.0)),
            "ms_ssim": float(multiscale_structural_similarity_index_measure(*pair, data_range=1.0)),
        }

    return run


def pictures_inner_torchmetrics() -> Callable[..., Values]:
    """From torchmetrics' own maps, with the windows that lie inside only, each colour by itself, as in the papers."""
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    exponents, edge = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), 5

    def inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        options = {"data_range": 1.0, "reduction": "none"}
        _, whole = structural_similarity_index_measure(b, a, return_full_image=True, **options)
        return whole[..., edge:-edge, edge:-edge].mean((1, 2, 3))

    def scales(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        value = torch.ones(len(a), dtype=a.dtype)
        for exponent in exponents[:-1]:
            options = {"data_range": 1.0, "reduction": "none", "return_contrast_sensitivity": True}
            value *= structural_similarity_index_measure(b, a, **options)[1] ** exponent
            a, b = (torch.nn.functional.avg_pool2d(x, 2) for x in (a, b))
        return value * inner(a, b) ** exponents[-1]

    def run(a: Array, b: Array) -> Values:
        planes = [(torch.from_numpy(a[:, [c]]), torch.from_numpy(b[:, [c]])) for c in range(a.shape[1])]
        return {
            name: float(torch.stack([measure(*each) for each in planes]).mean())
            for name, measure in (("ssim", inner), ("ms_ssim", scales))
        }

    return run


def pictures_scikit_image() -> Callable[..., Values]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    similarity = partial(
        structural_similarity, data_range=1.0, channel_axis=0,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip

    def run(a: Array, b: Array) -> Values:
        pairs = list(zip(a, b, strict=True))
        return {
            "psnr": float(np.mean([peak_signal_noise_ratio(x, y, data_range=1.0) for x, y in pairs])),
            "ssim": float(np.mean([similarity(x, y) for x, y in pairs])),
        }

    return run


# Numbers


def classes_scipy() -> Callable[..., Values]:
    from scipy.stats import entropy

    def run(real: Array, fake: Array) -> Values:
        counts = (np.bincount(x.argmax(1), minlength=x.shape[1]) for x in (fake, real))
        return {"class_kl": float(entropy(*counts))}

    return run


def ranks_scipy() -> Callable[..., Values]:
    from scipy.stats import mannwhitneyu

    def run(a: Array, b: Array) -> Values:
        few = min(len(a), len(b)) <= 8 and len(np.unique([*a, *b])) == len(a) + len(b)
        found = mannwhitneyu(a, b, alternative="less", method="exact" if few else "asymptotic")
        return {"rank_test_p": float(found.pvalue)}

    return run


def quantile_scipy() -> Callable[..., Values]:
    from scipy.stats import t

    return lambda probability, freedom: {"student_quantile": float(t.ppf(probability, freedom))}


def theory_scipy() -> Callable[..., Values]:
    """N(0, 1) against N(mean, std^2)."""
    from scipy.integrate import quad
    from scipy.stats import norm

    def run(mean: float, std: float) -> Values:
        p, q = norm(0, 1), norm(mean, std)
        low, high = min(-12.0, mean - 12 * std), max(12.0, mean + 12 * std)
        marks = sorted({0.0, mean, mean / 2, -1.0, 1.0, mean - std, mean + std})
        whole = partial(quad, a=low, b=high, points=marks, limit=2000, epsabs=1e-12, epsrel=1e-12)

        def shannon(x: float) -> float:
            log_p, log_q = p.logpdf(x), q.logpdf(x)
            log_m = np.logaddexp(log_p, log_q) - np.log(2)
            return (np.exp(log_p) * (log_p - log_m) + np.exp(log_q) * (log_q - log_m)) / 2

        return {
            "jensen_shannon": whole(shannon)[0],
            "kullback_leibler": whole(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)))[0],
            "wasserstein_1": whole(lambda x: abs(p.cdf(x) - q.cdf(x)))[0],
        }

    return run
