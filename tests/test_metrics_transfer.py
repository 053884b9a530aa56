"""GAN-test and GAN-train with classifiers whose answers are known."""

import pytest
import torch
from torch import Tensor

from ganworks.errors import UsageError
from ganworks.metrics import gan_test, gan_train
from ganworks.metrics.classes import label_accuracy
from ganworks.metrics.inputs import Labels
from ganworks.theory import ring


def nearest_mode(points: Tensor) -> Tensor:
    """The best classifier of the ring."""
    return -torch.cdist(points.double(), ring().means)


def fit_means(points: Tensor, labels: Labels) -> "NearestMean":
    return NearestMean(torch.stack([points[torch.as_tensor(labels) == label].double().mean(0) for label in range(8)]))


class NearestMean:
    def __init__(self, means: Tensor) -> None:
        self.means = means

    def __call__(self, points: Tensor) -> Tensor:
        return -torch.cdist(points.double(), self.means)


def draws(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    return ring().sample_with_component(count, torch.Generator().manual_seed(seed))


def test_gan_test_is_the_share_named_as_asked_for_with_wilsons_interval() -> None:
    fake, labels = draws(100)
    labels = torch.where(torch.arange(100) < 90, labels, (labels + 1) % 8)
    found = gan_test(nearest_mode, fake, labels)
    assert found.value == 0.9
    assert (found.low, found.high) == pytest.approx((0.8256, 0.9448), abs=2e-3)  # Wilson's, with 99 degrees of freedom
    assert found.real is None


def test_gan_test_has_real_data_beside_it() -> None:
    fake, labels = draws(100)
    found = gan_test(nearest_mode, fake, (labels + 4) % 8, *draws(50, seed=1))
    assert (found.value, found.real) == (0, 1)
    assert found.high > 0.01


def test_gan_train_fits_on_samples_and_judges_on_real_data() -> None:
    """Samples of half the ring, under twice their labels, teach half of it; GAN-test does not see that."""
    fake, labels = draws(800)
    real, train = draws(400, seed=1), draws(800, seed=2)
    assert gan_train(fit_means, fake, labels, *real, *train)[::3] == (1, 1)
    turned = (labels + 1) % 8
    wrong = gan_train(fit_means, fake, turned, *real, *train)
    assert (wrong.value, wrong.real) == (0, 1)
    assert gan_test(fit_means(*train), fake, turned).value == 0


def test_collapse_is_seen_by_gan_train_alone() -> None:
    """One point a class, and one class at another's place: precise where it is, and of no use elsewhere."""
    x = torch.tensor([[-3.0], [-1.0], [1.0], [3.0]])
    labels = torch.tensor([0, 1, 1, 0])
    fake, asked = torch.tensor([[-3.0], [-1.0]]), torch.tensor([0, 1])

    def fit(points: Tensor, of: Labels) -> "Neighbour":
        return Neighbour(points, torch.as_tensor(of))

    assert gan_test(fit(x, labels), fake, asked).value == 1
    assert gan_train(fit, fake, asked, x, labels, x, labels)[::3] == (0.75, 1)


class Neighbour:
    """The class of the nearest training point."""

    def __init__(self, points: Tensor, labels: Tensor) -> None:
        self.points, self.labels = points, labels

    def __call__(self, points: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(self.labels[torch.cdist(points, self.points).argmin(1)], 2).float()


def test_unfit_arguments_are_refused() -> None:
    fake, labels = draws(10)
    with pytest.raises(UsageError, match="labels of the real data"):
        gan_test(nearest_mode, fake, labels, fake)
    with pytest.raises(UsageError, match="labels of the real data"):
        gan_train(fit_means, *draws(800), fake, labels, fake)
    for wrong in (labels[:5], labels + 8):
        with pytest.raises(UsageError, match="E-METRIC-01"):
            gan_test(nearest_mode, fake, wrong)
    with pytest.raises(UsageError, match="level"):
        gan_test(nearest_mode, fake, labels, level=1.0)
    assert label_accuracy(nearest_mode(fake), labels) == 1
