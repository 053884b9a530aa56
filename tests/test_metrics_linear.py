"""The linear probe: its optimum, what it does not depend on, and what chooses its penalty."""

import pytest
import torch
import torch.nn.functional as F

from ganworks.metrics import linear
from ganworks.metrics.linear import fit, linear_probe, logits


def mixture(count: int, features: int, seed: int, apart: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes around three corners."""
    random = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (count,), generator=random)
    x = torch.randn(count, features, generator=random, dtype=torch.float64)
    x[torch.arange(count), label] += apart
    return x, label


def test_the_fit_is_where_the_gradient_is_nothing() -> None:
    """∂/∂W: Xᵀ(p - y)/N + λ W = 0; ∂/∂b: mean of p - y = 0, as no penalty is on b."""
    x, label = mixture(200, 5, 0)
    weights = fit(x, label, 3, 0.01)
    wrong = logits(x, weights).softmax(1) - F.one_hot(label, 3)
    assert (x.T @ wrong / len(x) + 0.01 * weights[:-1]).abs().max() < 1e-6
    assert wrong.mean(0).abs().max() < 1e-6


def test_the_answer_does_not_depend_on_the_unit_of_a_feature() -> None:
    (x, label), (other, _) = mixture(100, 6, 0, 1.5), mixture(300, 6, 1, 1.5)
    scale, shift = torch.tensor([1e-3, 1.0, 7.0, 1e4, 0.5, 2.0]), torch.arange(6.0)
    plain = linear_probe(x, label, other, 3)
    moved = linear_probe(x * scale + shift, label, other * scale + shift, 3)
    assert torch.equal(plain.predicted, moved.predicted)
    assert plain.penalty == moved.penalty


def test_more_features_than_rows_give_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    (x, label), (other, _) = mixture(40, 60, 0, 2.0), mixture(200, 60, 1, 2.0)
    turned = linear_probe(x, label, other, 3)
    monkeypatch.setattr(torch.linalg, "qr", lambda a: type("Same", (), {"Q": torch.eye(60, dtype=torch.float64)}))
    assert torch.equal(turned.predicted, linear_probe(x, label, other, 3).predicted)


def test_a_feature_that_does_not_vary_says_nothing() -> None:
    (x, label), (other, _) = mixture(100, 4, 0), mixture(100, 4, 1)
    with_one, other_one = (torch.cat([each, torch.full((100, 1), 0.1)], 1) for each in (x, other))
    other_one[:, -1] = 1e6  # and where it does in the others, it cannot be known what that means
    assert torch.equal(
        linear_probe(x, label, other, 3, (0.01,)).predicted,
        linear_probe(with_one * 1.0, label, other_one, 3, (0.01 * 4 / 5,)).predicted,
    )


def test_noise_is_given_the_strongest_penalty_and_chance() -> None:
    random = torch.Generator().manual_seed(0)
    x, other = torch.randn(200, 100, generator=random), torch.randn(3000, 100, generator=random)
    label = torch.randint(3, (200,), generator=random)
    asked = torch.randint(3, (3000,), generator=random)
    probe = linear_probe(x, label, other, 3)
    assert probe.penalty == max(linear.PENALTIES)
    assert (probe.predicted == asked).double().mean().item() == pytest.approx(1 / 3, abs=0.03)


def test_what_can_be_told_apart_is() -> None:
    (x, label), (other, asked) = mixture(200, 5, 0, 8.0), mixture(500, 5, 1, 8.0)
    assert torch.equal(linear_probe(x, label, other, 3).predicted, asked)
