"""Spectral normalisation: σ against the SVD, one power iteration a training forward, and all that a game does to it."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganworks import GAN, penalties, systems
from ganworks import data as datasets
from ganworks.networks import convolutional, mlp
from ganworks.networks.spectral import Spectral, spectral_norm
from ganworks.settings import build, nested
from ganworks.training.engine import Engine
from ganworks.training.lookahead import loss_after

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(7, 5), (3, 7)),
    "wide linear": (lambda: nn.Linear(4, 9), (3, 4)),
    "one output": (lambda: nn.Linear(6, 1), (3, 6)),
    "convolution": (lambda: nn.Conv2d(3, 4, 3), (2, 3, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 4, 3), (2, 3, 5, 5)),
    "transposed in groups": (lambda: nn.ConvTranspose2d(4, 6, 2, groups=2), (2, 4, 5, 5)),
    "audio": (lambda: nn.Conv1d(3, 4, 5), (2, 3, 9)),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A normalised layer, its weight before the normalisation, and inputs for it."""
    torch.manual_seed(3)
    layer, shape = LAYERS[name][0](), LAYERS[name][1]
    weight = layer.get_parameter("weight").detach().clone()
    return spectral_norm(layer), weight, torch.randn(shape, generator=seeded())


def matrix(layer: nn.Module, weight: Tensor) -> np.ndarray:
    """(out, rest), written out anew: output by output, as the convolutions' definitions have them."""
    w = weight.detach().double().numpy()
    if not isinstance(layer, nn.ConvTranspose2d):
        return w.reshape(len(w), -1)
    inner, outer = w.shape[0] // layer.groups, w.shape[1]
    return np.stack(
        [w[group * inner : (group + 1) * inner, o].ravel() for group in range(layer.groups) for o in range(outer)]
    )


def u_of(layer: nn.Module) -> Tensor:
    (spectral,) = (module for module in layer.modules() if isinstance(module, Spectral))
    return spectral.u


def forget(network: nn.Module) -> None:
    """Random u, as the paper begins."""
    for module in network.modules():
        if isinstance(module, Spectral):
            u = torch.randn(module.u.shape, generator=seeded(5)).to(module.u)
            module.u.copy_(u / u.norm())


# σ


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("start", ["exact", "random"])
def test_sigma_is_the_largest_singular_value_after_50_forwards(name: str, start: str) -> None:
    """Within 0.1 % of an SVD: the weight seen has the norm 1 as a matrix (out, rest)."""
    layer, weight, x = made(name)
    if start == "random":
        forget(layer)
    for _ in range(50):
        layer(x)
    sigma = np.linalg.svd(matrix(layer, weight), compute_uv=False)[0]
    torch.testing.assert_close(layer.weight, weight / sigma, rtol=1e-3, atol=0.0)
    assert np.linalg.norm(matrix(layer, layer.weight), 2) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_sigma_is_right_before_the_first_forward(name: str) -> None:
    layer, _, _ = made(name)
    assert np.linalg.norm(matrix(layer, layer.weight), 2) == pytest.approx(1.0, abs=1e-5)


def test_embeddings_are_normalized() -> None:
    torch.manual_seed(0)
    table = spectral_norm(nn.Embedding(9, 4))
    rows = table(torch.arange(9))
    assert torch.linalg.matrix_norm(rows, 2).item() == pytest.approx(1.0, abs=1e-5)


def test_sigma_is_found_again_when_the_weight_is_another() -> None:
    """σ₁ = 3 and σ₂ = 2.7: what is left of the second direction falls by 0.9² an iteration, the error of σ by 0.9⁴."""
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(8, 6, bias=False).double())
    left, right = (torch.linalg.qr(torch.randn(n, 6, generator=seeded(n)).double()).Q for n in (6, 8))
    weight = left @ torch.diag(torch.tensor([3.0, 2.7, 2.0, 1.0, 0.5, 0.1]).double()) @ right.T
    with torch.no_grad():
        layer.get_parameter("parametrizations.weight.original").copy_(weight)
    errors = []
    for _ in range(50):
        layer(torch.zeros(1, 8, dtype=torch.float64))
        errors.append(torch.linalg.matrix_norm(layer.weight, 2).item() - 1)
    assert errors[0] > 1e-2
    assert errors[29] / errors[19] == pytest.approx(0.9**40, rel=0.1)
    assert abs(errors[-1]) < 1e-6


def test_a_normalized_network_does_not_stretch() -> None:
    """Linear layers of norm 1 with LeakyReLU between them: |f(x) - f(y)| ≤ ‖x - y‖, close to it along the way."""
    torch.manual_seed(0)
    network = spectral_norm(mlp.Discriminator((3,), 16, 3)).eval()
    x, y = torch.randn(2, 500, 3, generator=seeded())
    stretched = (network(x) - network(y)).abs() / (x - y).norm(dim=1)
    assert stretched.max() <= 1 + 1e-5


# one iteration for each training forward


@pytest.mark.parametrize("name", LAYERS)
def test_a_training_forward_makes_one_power_iteration(name: str) -> None:
    """v ∝ Wᵀu, u ∝ Wv, in NumPy beside it."""
    layer, weight, x = made(name)
    forget(layer)
    rows, u = matrix(layer, weight), u_of(layer).double().numpy().copy()
    for _ in range(3):
        layer(x)
        v = rows.T @ u
        u = rows @ (v / np.linalg.norm(v))
        u /= np.linalg.norm(u)
        np.testing.assert_allclose(u_of(layer).numpy(), u, rtol=0.0, atol=1e-6)


def test_whoever_only_looks_at_a_weight_makes_none() -> None:
    """Reading, the orthogonal penalty, a slope of second order, a copy, saving."""
    layer, _, x = made("linear")
    forget(layer)
    x.requires_grad_()
    out = layer(x).square().sum(1)
    after_one = u_of(layer).clone()
    penalties.r1(out, x).backward()
    penalties.orthogonal(layer).backward()
    _ = layer.weight, copy.deepcopy(layer).weight, layer.state_dict(), repr(layer)
    assert torch.equal(u_of(layer), after_one)


def test_evaluation_changes_nothing() -> None:
    torch.manual_seed(0)
    network = spectral_norm(convolutional.Discriminator(4, (1, 16, 16), norm=False))
    forget(network)
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x = torch.randn(4, 1, 16, 16, generator=seeded())
    first = network(x)
    assert torch.equal(network(x), first)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    network.train()(x)
    moved = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
    # A single output has one direction only.
    assert {name for name in before if name.endswith(".u") and not name.startswith("head")} == set(moved)


# gradients


def test_the_gradient_of_a_normalized_weight() -> None:
    """Miyato et al. 2018, equation 12 in matrix form: d⟨A, W/σ⟩/dW = (A - ⟨A, W/σ⟩ uvᵀ)/σ, with u and v of an SVD."""
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(4, 3).double()).eval()
    pull = torch.randn(3, 4, dtype=torch.float64, generator=seeded())
    (layer.weight * pull).sum().backward()
    weight = layer.get_parameter("parametrizations.weight.original")
    u, s, vt = torch.linalg.svd(weight.detach())
    expected = (pull - (pull * weight / s[0]).sum() * torch.outer(u[:, 0], vt[0])) / s[0]
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, expected.detach())


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_both_orders(name: str) -> None:
    """Against finite differences of W, with u held: it carries no gradient."""
    layer, _, x = made(name)
    layer, x = layer.double().eval(), x.double()
    forget(layer)  # far from the singular vector as well
    weight = layer.get_parameter("parametrizations.weight.original").detach().clone().requires_grad_()

    def out(weight: Tensor) -> Tensor:
        return functional_call(layer, {"parametrizations.weight.original": weight}, (x,)).sum(0)

    assert torch.autograd.gradcheck(out, (weight,))
    assert torch.autograd.gradgradcheck(out, (weight,))


def test_two_forwards_before_a_backward() -> None:
    """D(real) - D(fake): the second forward moves u under the first one's graph."""
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(4, 3))
    forget(layer)
    (layer(torch.ones(2, 4)) - layer(torch.zeros(2, 4))).sum().backward()
    weight = layer.get_parameter("parametrizations.weight.original")
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_a_weight_of_zeros_stays_one_and_can_grow() -> None:
    """0 / 0 would be NaN for good; and u must not be lost on the way."""
    layer = nn.Linear(4, 3, bias=False)
    nn.init.zeros_(layer.weight)
    spectral_norm(layer)
    out = layer(torch.ones(2, 4))
    assert not out.any()
    out.sum().backward()
    weight = layer.get_parameter("parametrizations.weight.original")
    assert weight.grad is not None
    assert weight.grad.isfinite().all()
    with torch.no_grad():
        weight.copy_(5 * torch.eye(3, 4))
    layer(torch.ones(2, 4))
    assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1.0)


# what a game does to a network


def test_twice_is_once_and_the_names_are_plain() -> None:
    layer = spectral_norm(spectral_norm(nn.Linear(4, 3)))
    names = ["bias", "parametrizations.weight.original", "parametrizations.weight.0.u"]
    assert list(layer.state_dict()) == names
    assert len(layer._forward_pre_hooks) == 1


def test_copies_are_independent() -> None:
    layer, _, x = made("convolution")
    forget(layer)
    twin = copy.deepcopy(layer)
    assert torch.equal(twin(x), layer(x))
    twin(x)
    assert not torch.equal(u_of(twin), u_of(layer))


def test_layout_and_precision() -> None:
    """Channels-last weights stay so, and a forward in bfloat16 iterates in float32."""
    layer, weight, x = made("convolution")
    forget(layer)
    other = copy.deepcopy(layer).to(memory_format=torch.channels_last)
    assert other.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    other(x)
    torch.testing.assert_close(u_of(layer), u_of(other), rtol=0.0, atol=1e-6)
    assert layer.weight.dtype == weight.dtype == torch.float32


def test_a_saved_model_is_loaded_with_its_u(tmp_path: Path) -> None:
    """Settings are checked on a network without storage first; then the samples are the same."""
    small = {"discriminator.width": 4, "generator.width": 4, "generator.spectral_norm": True}
    gan = GAN("sngan", **small).start("ring", steps=4)
    gan.round()
    gan.save(tmp_path / "model")
    loaded = GAN.load(tmp_path / "model")
    assert torch.equal(loaded.sample(8, seed=0), gan.sample(8, seed=0))
    for found, expected in zip(loaded.system.modules(), gan.system.modules(), strict=True):
        if isinstance(expected, Spectral):
            assert torch.equal(found.u, expected.u)


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def engine(name: str = "gan", **given: Any) -> Engine:
    """A small game with both networks normalised."""
    rows = datasets.open({"x": torch.randn(64, 2, generator=seeded())})
    made = systems.get(name)
    small = {"generator.width": 8, "discriminator.width": 8, "latent.size": 4, "batch": 8}
    normalized = {"generator.spectral_norm": True, "discriminator.spectral_norm": True}
    torch.manual_seed(1)
    settings = build(made.Settings, made.suited(rows.spec), nested({**small, **normalized, **given}))
    rows.columns["x"] = rows.columns["x"].to(torch.get_default_dtype())
    return Engine(made(settings, rows.spec), rows, seed=3, steps=8)


def test_the_engine_plays_it_and_resumes_to_the_same_bits() -> None:
    whole = engine()
    for _ in range(6):
        whole.round()
    first = engine()
    for _ in range(3):
        first.round()
    second = engine()
    second.load(first.state())
    for _ in range(3):
        second.round()
    found, expected = second.state(), whole.state()
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []
    assert sum(name.endswith(".u") for name in found) == len(
        [layer for layer in whole.system.modules() if isinstance(layer, Spectral)]
    )


def test_u_is_part_of_the_state() -> None:
    states = []
    for change in (False, True):
        playing = engine()
        state = playing.state()
        for name in state:
            if change and name.endswith(".u"):
                state[name].zero_()
        playing.load(state)
        playing.round()
        states.append(playing.state()["system/discriminator.head.parametrizations.weight.original"])
    assert states[1].isfinite().all()
    assert not torch.equal(*states)


def test_a_look_ahead_puts_u_back_and_reaches_g(double_precision: None) -> None:
    playing = engine(**{"discriminator.optimizer": "sgd", "discriminator.lr": 0.1})
    playing.round_.begin(0, "game", 0.0)
    before = playing.state()
    playing.round_.begin_update("generator", 0)
    g, d = playing.players["generator"], playing.players["discriminator"]
    terms = loss_after(playing.system, g, d, playing.round_, 3, 0)
    after = playing.state()
    changed = [name for name in after if not torch.equal(after[name], before[name])]
    # G plays in training: its own u moves as in a plain turn, D's does not.
    assert all(name.startswith(("system/generator", "counter/")) for name in changed)
    assert u_of(playing.system.discriminator.head).dtype == torch.float64
    weight = playing.system.generator.get_parameter("head.parametrizations.weight.original")
    (gradient,) = torch.autograd.grad(sum(terms.values()), weight)
    assert gradient.isfinite().all()
    assert gradient.any()
