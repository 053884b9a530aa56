"""Every metric once more, as plainly as its definition allows: whole matrices, loops, sorting, no thought of speed.

Each convention is an argument. With the defaults the numbers are right, and the tests hold ours to them. With one
argument changed it is a wrong implementation, of a kind that has been published, and a named test must notice.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ganworks.metrics.birthday import Support, TwinPair
from ganworks.metrics.classes import ClassHistogram
from ganworks.metrics.classifier_score import InceptionScore
from ganworks.metrics.copies import ClosestPair, Memorization
from ganworks.metrics.interval import assign
from ganworks.metrics.modes import ModeCoverage
from ganworks.metrics.neighbours import DensityCoverage, PrecisionRecall
from ganworks.metrics.sliced import lines
from ganworks.metrics.transfer import Accuracy
from ganworks.theory import Mixture

Array = npt.NDArray[Any]


def array(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64)


def frechet_distance(
    real: Any,
    fake: Any,
    ddof: int = 1,
    center: bool = True,
    precision: str = "float64",
    means: bool = True,
    commute: bool = False,
) -> float:
    """With eigenvalues of S1^(1/2) S2 S1^(1/2)."""
    x, y = (array(each).astype(precision) for each in (real, fake))
    (m1, s1), (m2, s2) = (_moments(each, ddof, center) for each in (x, y))
    root, other = _square_root(s1), _square_root(s2)
    crossed = np.sqrt(np.clip(np.linalg.eigvalsh(root @ s2 @ root), 0, None)).sum()
    crossed = np.trace(root @ other) if commute else crossed
    return float(means * np.square(m1 - m2).sum() + np.trace(s1) + np.trace(s2) - 2 * crossed)


def _square_root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _moments(x: Array, ddof: int, center: bool) -> tuple[Array, Array]:
    mean = x.mean(0)
    offsets = x - mean if center else x
    return mean, offsets.T @ offsets / (len(x) - ddof)


def kernel_distance(
    real: Any, fake: Any, estimator: str = "unbiased", degree: int = 3, constant: float = 1, per_dimension: bool = True
) -> float:
    x, y = array(real), array(fake)
    scale = x.shape[1] if per_dimension else 1
    xx, yy, xy = ((a @ b.T / scale + constant) ** degree for a, b in ((x, x), (y, y), (x, y)))
    if estimator == "biased":
        return float(xx.mean() + yy.mean() - 2 * xy.mean())
    n, m = xy.shape
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def _between(x: Array, y: Array) -> Array:
    return np.sqrt(np.square(x[:, None] - y[None]).sum(-1))


def _reach(x: Array, k: int, own: bool) -> Array:
    """The distance to the k-th neighbour; the point itself is the nearest, and not counted unless `own`."""
    return np.sort(_between(x, x), 1)[:, k - own]


def precision_recall(
    real: Any, fake: Any, k: int = 3, own: bool = False, swapped: bool = False, more: int = 0
) -> PrecisionRecall:
    x, y = array(real), array(fake)
    across = _between(x, y)
    precision = (across < _reach(x, k + more, own)[:, None]).any(0).mean()
    recall = (across < _reach(y, k + more, own)).any(1).mean()
    pair = (recall, precision) if swapped else (precision, recall)
    return PrecisionRecall(*map(float, pair))


def density_coverage(
    real: Any, fake: Any, k: int = 5, own: bool = False, of_fakes: bool = False, over_k: bool = True
) -> DensityCoverage:
    x, y = array(real), array(fake)
    inside = _between(x, y) < _reach(x, k, own)[:, None]
    density = inside.sum(0).mean() / (k if over_k else 1)
    return DensityCoverage(float(density), float(inside.any(0 if of_fakes else 1).mean()))


def inception_score(
    logits: Any, splits: int = 10, count: int = 0, ddof: int = 0, shuffled: bool = False, marginal: str = "split"
) -> InceptionScore:
    rows = array(logits)
    if shuffled:
        rows = np.random.default_rng(0).permutation(rows)
    rows = rows - rows.max(1, keepdims=True)
    log_p = rows - np.log(np.exp(rows).sum(1, keepdims=True))
    whole = np.exp(log_p).mean(0)
    scores = []
    for i in range(splits):
        part = log_p[i * len(rows) // splits : (i + 1) * len(rows) // splits]
        p = np.exp(part)
        q = p.mean(0) if marginal == "split" else whole
        # 0 log 0 is 0
        kl = np.where(p > 0, p * (part - np.log(np.clip(q, 1e-300, None))), 0).sum(1).mean()
        scores.append(math.exp(kl))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores, ddof=ddof)))


def sliced_wasserstein(
    real: Any, fake: Any, directions: int = 1000, seed: int = 0, root_each: bool = False, power: int = 2
) -> float:
    """Over the least common multiple of both counts, so that every quantile is there."""
    x, y = array(real), array(fake)
    whole = math.lcm(len(x), len(y))
    along = array(lines(directions, x.shape[1], seed))
    u, v = (np.sort(np.repeat(each @ along.T, whole // len(each), axis=0), 0) for each in (x, y))
    moved = (np.abs(u - v) ** power).mean(0)
    return float((moved ** (1 / power)).mean() if root_each else moved.mean() ** (1 / power))


def psnr(a: Any, b: Any, data_range: float, use_range: bool = True, pooled: bool = False) -> float:
    errors = np.square(_pictures(a) - _pictures(b)).mean((1, 2, 3))
    errors = errors.mean(keepdims=True) if pooled else errors
    with np.errstate(divide="ignore"):
        return float((10 * np.log10((data_range if use_range else 1) ** 2 / errors)).mean())


def ssim(a: Any, b: Any, data_range: float, flat: bool = False, use_range: bool = True) -> float:
    planes = zip(*(_pictures(x).reshape(-1, *x.shape[-2:]) for x in (a, b)), strict=True)
    return float(np.mean([_similarity(x, y, data_range if use_range else 1, flat)[0] for x, y in planes]))


def ms_ssim(a: Any, b: Any, data_range: float, scales: int = 5, luminance: str = "last") -> float:
    exponents = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    planes = zip(*(_pictures(x).reshape(-1, *x.shape[-2:]) for x in (a, b)), strict=True)
    found = []
    for x, y in planes:
        value = 1.0
        for scale, exponent in enumerate(exponents[:scales], 1):
            whole, structure = _similarity(x, y, data_range, flat=False)
            value *= (whole if scale == scales or luminance == "all" else structure) ** exponent
            x, y = (each.reshape(each.shape[0] // 2, 2, -1, 2).mean((1, 3)) if scale < 5 else each for each in (x, y))
        found.append(value)
    return float(np.mean(found))


def _pictures(x: Any) -> Array:
    x = array(x)
    return x.reshape((1,) * (4 - x.ndim) + x.shape)


def _similarity(x: Array, y: Array, data_range: float, flat: bool) -> tuple[float, float]:
    """Means of l*c*s and c*s over all windows of 11 x 11 that lie inside."""
    offset = np.arange(11) - 5
    line = np.ones(11) if flat else np.exp(-(offset**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def means(z: Array) -> Array:
        high, wide = z.shape[0] - 10, z.shape[1] - 10
        return sum(window[i, j] * z[i : i + high, j : j + wide] for i in range(11) for j in range(11))

    mx, my = means(x), means(y)
    xx, yy, xy = means(x * x) - mx**2, means(y * y) - my**2, means(x * y) - mx * my
    structure = (2 * xy + c2) / (xx + yy + c2)
    luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    return float((luminance * structure).mean()), float(structure.mean())


def mode_coverage(
    points: Any, density: Mixture, reach: float = 3, forward: bool = False, cut: bool = True, per_axis: bool = True
) -> ModeCoverage:
    """For two dimensions, where E(z_1^2) within a radius r is (1 - e(1 + r^2/2)) / (1 - e) with e = exp(-r^2/2)."""
    x, means, stds, weights = (array(each) for each in (points, density.means, density.stds, density.weights))
    offset = _between(x, means) / stds
    mode, nearest = _between(x, means).argmin(1), offset[range(len(x)), _between(x, means).argmin(1)]
    good = nearest <= reach
    shares = np.bincount(mode[good], minlength=len(weights)) / good.sum()
    filled = shares > 0
    backward = (shares[filled] * np.log(shares[filled] / weights[filled])).sum()
    kl = (weights[filled] * np.log(weights[filled] / shares[filled])).sum() if forward else backward
    tail = math.exp(-(reach**2) / 2)
    perfect = (1 - tail * (1 + reach**2 / 2)) / (1 - tail) if cut else 1
    axes = 2 if per_axis else 1
    ratio = math.sqrt(np.square(nearest[good]).mean() / axes / perfect)
    return ModeCoverage(int(filled.sum()), float(good.mean()), float(kl), ratio)


def class_histogram(real_logits: Any, fake_logits: Any, turned: bool = False, soft: bool = False) -> ClassHistogram:
    """For data with every class."""
    logits = [array(each) for each in (real_logits, fake_logits)]
    odds = [np.exp(each - each.max(1, keepdims=True)) for each in logits]
    counts = [np.bincount(each.argmax(1), minlength=each.shape[1]) for each in logits]
    p, q = (
        (each / each.sum(1, keepdims=True)).mean(0) if soft else c / c.sum()
        for each, c in zip(odds, counts, strict=True)
    )
    p, q = (q, p) if turned else (p, q)
    kl = np.where(q > 0, q * np.log(np.where(q > 0, q, 1) / p), 0).sum()
    return ClassHistogram(float(kl), tuple(counts[1].tolist()))


def label_accuracy(logits: Any, labels: Any, top: int = 1) -> float:
    best = array(logits).argsort(1)[:, -top:]
    return float((best == np.asarray(labels)[:, None]).any(1).mean())


def memorization(
    train: Any,
    held_out: Any,
    fake: Any,
    seed: int = 0,
    second: bool = True,
    turned: bool = False,
    greater: bool = False,
) -> Memorization:
    """Ratio and pairs as defined; the p-value of all samples, normal and without ties: the tests ask whether small."""
    known, held, made = array(train), array(held_out), array(fake)
    known = np.unique(known, axis=0)
    near = [np.sort(_between(x, known), 1) for x in (held, made)]
    close = [each[:, 0] / (each[:, 1] if second else 1) for each in near]
    ratio = close[0].mean() / close[1].mean() if turned else close[1].mean() / close[0].mean()
    n, m = len(made), len(held)
    u = (close[1][:, None] > close[0]).sum() + (close[1][:, None] == close[0]).sum() / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    p_value = math.erfc((z if greater else -z) / math.sqrt(2)) / 2
    distances = _between(made, array(train))
    order = distances.min(1).argsort(kind="stable")[:16]
    pairs = (ClosestPair(int(i), int(distances[i].argmin()), float(distances[i].min())) for i in order)
    return Memorization(float(ratio), p_value, tuple(pairs))


def different_bins(
    real: Any, fake: Any, bins: int = 100, level: float = 0.05, seed: int = 0, pooled: bool = True, sided: int = 2
) -> float:
    """Where the real points lie in heaps of equal points, as many heaps as bins."""
    x, y = array(real), array(fake)
    heaps = np.unique(x, axis=0)
    assert len(heaps) == bins
    p, q = (np.bincount(_between(each, heaps).argmin(1), minlength=bins) / len(each) for each in (x, y))
    both = (len(x) * p + len(y) * q) / (len(x) + len(y))
    spread = both * (1 - both) * (1 / len(x) + 1 / len(y)) if pooled else both * (1 - both)
    z = np.abs(p - q) / np.sqrt(spread)
    return float(np.mean([sided * 0.5 * math.erfc(each / math.sqrt(2)) < level for each in z]))


def mel_cepstral_distortion(
    a: Any, b: Any, loudness: bool = False, doubled: bool = True, warped: bool = True, mean: bool = True
) -> float:
    x, y = (array(each)[:, 0 if loudness else 1 :] for each in (a, b))
    cost = _between(x, y)
    factor = 10 / math.log(10) * math.sqrt(2 if doubled else 1)
    if not warped:
        steps = min(len(x), len(y))
        return float(factor * cost.diagonal().sum() / steps)
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for i in range(len(x)):
        for j in range(len(y)):
            before = [best[at] for at in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if at in best]
            total, length = min(before, default=(0.0, 0))
            best[i, j] = total + float(cost[i, j]), length + 1
    total, length = best[len(x) - 1, len(y) - 1]
    return factor * total / (length if mean else 1)


def birthday_support(
    fake: Any, real: Any = None, threshold: float = 0, level: float = 0.95, own: bool = False, ordered: bool = False
) -> Support:
    """With a threshold that is given; the bounds of a count of pairs as if each were independent."""
    x = array(fake)
    distances, near = _between(x, x), _between(x, x) <= threshold
    count = (near.sum() - (0 if own else len(x))) / (1 if ordered else 2)
    value = len(x) * (len(x) - 1) / 2 / max(count, math.log(2))
    first, second = np.triu_indices(len(x), 1)
    order = distances[first, second].argsort(kind="stable")[:16]
    twins = (TwinPair(int(first[i]), int(second[i]), float(distances[first[i], second[i]])) for i in order)
    return Support(float(value), 1.0, math.inf, tuple(twins))


def frechet_extrapolated(real: Any, fake: Any, extrapolated: bool = True, sign: int = 1) -> float:
    """G v - (G - 1) times the mean of the distances without each of 20 groups."""
    x, y = array(real), array(fake)
    value, groups = frechet_distance(x, y), 20
    if not extrapolated:
        return value
    first, second = (array(assign(len(each), groups)) for each in (x, y))
    without = np.mean([frechet_distance(x[first != g], y[second != g]) for g in range(groups)])
    return float(value + sign * (groups - 1) * (value - without))


def gan_test(classifier: Any, fake: Any, labels: Any, shuffled: bool = False, **rest: Any) -> Accuracy:
    """With the bounds left open."""
    given = np.roll(np.asarray(labels), 1) if shuffled else labels
    return Accuracy(label_accuracy(classifier(fake), given), 0.0, 1.0, None)


def gan_train(
    fit: Any, fake: Any, labels: Any, real: Any, real_labels: Any, on_fakes: bool = False, from_real: bool = False
) -> Accuracy:
    """With the bounds left open."""
    classifier = fit(real, real_labels) if from_real else fit(fake, labels)
    judged, named = (fake, labels) if on_fakes else (real, real_labels)
    return Accuracy(label_accuracy(classifier(judged), named), 0.0, 1.0, None)
