"""Movers: a player's weights, their flat gradient and the rule that moves them."""

import pytest
import torch
from torch import nn

from ganworks.settings import PlayerSettings
from ganworks.training.optimizers import Mover

RULES = {
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.1, betas=(0.5, 0.9), fused=False, foreach=False),
    "rmsprop": lambda weights: torch.optim.RMSprop(weights, lr=0.1, alpha=0.9, foreach=False),
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1, fused=False, foreach=False),
}


def layers(memory_format: torch.memory_format) -> nn.Module:
    """Weights whose layouts differ in every way: several channels, one channel in, one out, a matrix, biases."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 6, 4), nn.Conv2d(6, 5, 3), nn.ConvTranspose2d(5, 1, 2), nn.Linear(4, 3))
    return made.to(memory_format=memory_format)


def mover(module: nn.Module, rule: str) -> Mover:
    settings = PlayerSettings(optimizer=rule, betas=(0.5, 0.9))
    return Mover(dict(module.named_parameters()), settings)


def gradients(module: nn.Module, step: int) -> None:
    for number, weight in enumerate(module.parameters()):
        random = torch.Generator().manual_seed(100 * step + number)
        drawn = torch.randn(weight.shape, generator=random)
        if weight.grad is None:
            weight.grad = drawn
        else:
            weight.grad.copy_(drawn)


@pytest.mark.parametrize("rule", RULES)
def test_channels_last_weights_move_as_a_plain_loop_moves_them(rule: str) -> None:
    """Not fused, not foreach, contiguous: PyTorch's simplest form of the rule."""
    ours, plain = layers(torch.channels_last), layers(torch.contiguous_format)
    moving, reference = mover(ours, rule), RULES[rule](plain.parameters())
    for step in range(4):
        gradients(ours, step)
        gradients(plain, step)
        moving.step(0.1)
        reference.step()
    for weight, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(weight, other)


def test_gradients_are_parts_of_one_buffer() -> None:
    module = layers(torch.channels_last)
    moving = mover(module, "adam")
    moving.flat.fill_(2.0)
    assert all((weight.grad == 2).all() and weight.grad.stride() == weight.stride() for weight in module.parameters())
    assert all(weight.data_ptr() % 64 == 0 for weight in module.parameters())
    places = [weight.grad.data_ptr() for weight in module.parameters()]
    assert min(places) >= moving.flat.data_ptr()
    assert max(places) < moving.flat.data_ptr() + moving.flat.nbytes


def test_weights_stay_what_they_were() -> None:
    module, before = layers(torch.channels_last), layers(torch.channels_last)
    mover(module, "adam")
    for weight, same in zip(module.parameters(), before.parameters(), strict=True):
        assert torch.equal(weight, same)
        assert weight.stride() == same.stride()


def test_between_the_weights_nothing_moves() -> None:
    module = layers(torch.channels_last)
    moving = mover(module, "adam")
    gradients(module, 0)
    moving.step(0.1)
    between = moving._weights.clone()
    for name in moving.parameters:
        moving._part(between, name).zero_()
    assert not between.any()


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_moments_have_their_weights_names_and_shapes(rule: str) -> None:
    """A checkpoint says nothing of the layout: moments from one layout are taken up in the other."""
    module, other = layers(torch.channels_last), layers(torch.contiguous_format)
    moving, following = mover(module, rule), mover(other, rule)
    gradients(module, 0)
    moving.step(0.1)
    state = moving.state()
    shapes = {name: weight.shape for name, weight in module.named_parameters()}
    assert {key.rsplit(".", 1)[0] for key in state} == {*shapes, "step"}
    assert all(value.shape == shapes[key.rsplit(".", 1)[0]] for key, value in state.items() if key != "step")
    other.load_state_dict(module.state_dict())
    following.load(state)
    for each, moved in ((module, moving), (other, following)):
        gradients(each, 1)
        moved.step(0.1)
    for weight, twin in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(weight, twin)
