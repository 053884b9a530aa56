"""`stylegan2`: path lengths against a Jacobian by hand, lazy terms, mixing, truncation, labels or none."""

import copy
import math

import pytest
import torch
from house import STEPS, differing, engine, resumed, two_more_rounds
from torch import Tensor

from ganworks import GAN, systems
from ganworks import data as datasets
from ganworks.data.spec import Batch, DataSpec
from ganworks.errors import UsageError
from ganworks.networks import progressive, style
from ganworks.random import Streams
from ganworks.settings import build, nested
from ganworks.systems.stylegan2 import StyleGAN2, path_lengths
from ganworks.training.average import for_sampling, sample
from ganworks.training.engine import Engine


def playing(**settings) -> Engine:
    return engine("stylegan2", "images", **settings)


def unlabelled() -> Engine:
    rows, made = datasets.open({"x": torch.rand(64, 1, 16, 16) * 2 - 1}), systems.get("stylegan2")
    small = nested({"generator.width": 8, "discriminator.width": 8, "latent.size": 4, "batch": 8})
    system = made(build(made.Settings, made.suited(rows.spec), small), rows.spec)
    return Engine(system, rows, seed=3, steps=STEPS)


# Path lengths


def test_path_lengths_are_those_of_a_jacobian_by_hand():
    """Pictures of 2 × 2 from styles of two layers of two numbers: x = A w₁ + (B w₂)², so J = (A, 2 B w₂ B)."""
    torch.manual_seed(0)
    a, b, y = torch.randn(4, 2), torch.randn(4, 2), torch.randn(3, 1, 2, 2)
    styles = torch.randn(3, 2, 2, requires_grad=True)
    pictures = (styles[:, 0] @ a.t() + (styles[:, 1] @ b.t()).square()).reshape(3, 1, 2, 2)
    lengths = path_lengths(pictures, styles, y)
    for n in range(3):
        push = y[n].reshape(4) / math.sqrt(2 * 2)
        of_first = a.t() @ push
        of_second = b.t() @ (2 * (b @ styles[n, 1]) * push)
        by_hand = ((of_first.square().sum() + of_second.square().sum()) / 2).sqrt()
        assert lengths[n].item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_path_lengths_do_not_grow_with_the_size_of_a_picture():
    """y / √(HW): a linear map of one strength for each pixel has one length at any size."""
    torch.manual_seed(0)
    means = []
    for size in (8, 32):
        styles = torch.ones(64, 1, 4, requires_grad=True)
        pictures = (styles.sum((1, 2)) / 2)[:, None, None, None].expand(-1, 1, size, size)
        means.append(path_lengths(pictures, styles, torch.randn(64, 1, size, size)).square().mean().item())
    assert means == [pytest.approx(1, rel=0.4)] * 2  # |∂/∂w|² = 4 (½ Σ y / √(HW))²


def path_term(game: Engine, update: int) -> tuple[Tensor | None, Tensor]:
    """The term of an update of G, and the lengths that it was made from."""
    system, seen = game.system, []
    lengths = system.lengths

    def watched(round):
        seen.append(lengths(round))
        return seen[-1]

    system.lengths = watched
    game.round_.begin_update("generator", update)
    terms = system.generator_loss(game.round_)
    del system.lengths
    return terms.get("path_length"), seen[0] if seen else torch.zeros(0)


def test_the_path_term_is_due_on_every_fourth_update_with_four_times_the_weight():
    game = playing(path_every=4)
    game.system.mean_path.fill_(0.3)
    for update in (0, 1, 2):
        assert path_term(game, update)[0] is None
    term, lengths = path_term(game, 3)
    assert lengths.shape == (4,)  # half of a batch of 8
    assert term.item() == pytest.approx(4 * 2 * (lengths - 0.3).square().mean().item(), rel=1e-5)
    assert path_term(playing(path_length=0.0), 3)[0] is None


def test_the_path_term_reaches_g_through_a_second_derivative():
    game = playing()
    game.system.mean_path.fill_(0.3)
    term, _ = path_term(game, 3)
    weights = dict(game.system.generator.named_parameters())
    found = torch.autograd.grad(term, list(weights.values()), allow_unused=True)
    reached = {name for name, gradient in zip(weights, found, strict=True) if gradient is not None and gradient.any()}
    assert {"layers.1.modulated.weight", "layers.0.modulated.style.weight", "mapping.layers.0.weight"} <= reached
    assert "constant" in reached
    # What is added to a picture has no part in its slope.
    assert "to_pixels.0.bias" not in reached


def test_the_mean_path_follows_after_the_update():
    """The loss reads it and does not write it; the memory is 0.99."""
    game = playing(path_every=1)
    system = game.system
    system.mean_path.fill_(0.5)
    _, lengths = path_term(game, 0)
    assert system.mean_path.item() == 0.5
    system.generated(game.round_)
    assert system.mean_path.item() == pytest.approx(0.99 * 0.5 + 0.01 * lengths.mean().item(), rel=1e-5)
    before = system.mean_path.item()
    game.round_.begin_update("generator", 1)
    system.generated(game.round_)  # an update without the term
    assert system.mean_path.item() == before


def test_a_resumed_run_needs_the_mean_path():
    game = playing(path_every=1)
    game.round()
    saved = game.state()
    assert saved["system/mean_path"] > 0
    again = {"system/mean_path": torch.zeros(())}, {}
    without, whole = (
        two_more_rounds(resumed({**saved, **each}, "stylegan2", "images", path_every=1)) for each in again
    )
    assert "system/generator.constant" in differing(without, whole)


# The game


def test_lazy_r1_has_sixteen_times_the_weight_on_every_sixteenth_update():
    game = playing(**{"objective.every": 16, "objective.r1": 10.0})
    terms, seen = {}, {}
    for update in (0, 14, 15, 16):
        game.round_.begin_update("discriminator", update)
        terms[update] = game.system.discriminator_loss(game.round_)
        seen[update] = game.round_.real
    assert [update for update in terms if "r1" in terms[update]] == [15]
    real = seen[15]
    x = real["x"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(game.system.discriminator(x, real["label"]).sum(), x)
    assert terms[15]["r1"].item() == pytest.approx(16 * 10 / 2 * slope.square().sum((1, 2, 3)).mean().item(), rel=1e-4)


def test_both_losses_are_the_non_saturating_ones():
    game = playing()
    game.round_.begin_update("generator", 0)
    term = game.system.generator_loss(game.round_)["adversarial"]
    game.round_.begin_update("generator", 0)
    game.reads -= 1
    fake = game.system.fake(game.round_)
    logits = game.system.discriminator(**fake)
    assert term.item() == pytest.approx(torch.nn.functional.softplus(-logits).mean().item(), rel=1e-5)


def styles_of(game: Engine) -> Tensor:
    return game.system.styles(Streams((0, "mixing"), 400), torch.zeros(400, dtype=torch.int64)).detach()


def test_a_share_of_training_samples_is_mixed_from_a_random_layer_on():
    mixed, plain = styles_of(playing(mixing=0.9)), styles_of(playing(mixing=0.0))
    assert torch.equal(plain, plain[:, :1].expand(-1, 6, -1))
    assert torch.equal(mixed[:, 0], plain[:, 0])  # the first layer has the first style
    changed = (mixed[:, 1:] != mixed[:, :-1]).any(2)  # where the style changes
    assert changed.sum(1).max() == 1
    assert changed.any(1).float().mean().item() == pytest.approx(0.9, abs=0.05)
    assert changed.sum(0).min() > 40  # at every layer: a fifth of 360, give or take


def test_samples_are_not_mixed_and_change_with_truncation():
    """ψ = 1 leaves a sample as it is, near 0 it is the mean style's of its class, with the sample's own noise."""
    game = playing()
    for _ in range(STEPS):
        game.round()
    still = for_sampling(game.system, game.average, 0)
    label = torch.arange(64) % 4
    drawn = {psi: sample(still, 64, 0, label=label, truncation=torch.full((64,), psi))["x"] for psi in (1e-9, 0.5, 1.0)}
    assert torch.equal(drawn[1.0], sample(still, 64, 0, label=label)["x"])
    generator, random = still.generator, Streams((0, "sample"), 32).at(0)
    styles = generator.spread(generator.middle[label[:32]])
    with torch.no_grad():
        middle = generator(styles, still.noise(random)).clamp(-1, 1)
    assert torch.allclose(drawn[1e-9][:32], middle, atol=1e-6)
    apart = [(drawn[psi][:32] - middle).square().mean().item() for psi in (0.5, 1.0)]
    assert 0 < apart[0] < apart[1]


def test_mean_styles_follow_g_and_nothing_writes_them_in_a_forward_pass():
    game = playing()
    assert not game.system.generator.counted.any()
    before = copy.deepcopy(game.system.state_dict())
    game.round_.begin_update("discriminator", 0)
    game.system.discriminator_loss(game.round_)
    game.round_.begin_update("generator", 3)
    game.system.generator_loss(game.round_)
    assert all(torch.equal(before[name], tensor) for name, tensor in game.system.state_dict().items())
    for _ in range(STEPS):
        game.round()
    generator = game.system.generator
    assert generator.counted.sum() > STEPS  # several classes in a batch
    with torch.no_grad():
        z, label = torch.randn(4000, 4), torch.arange(4000) % 4
        w = generator.mapping(z, label)
    for each in range(4):
        true = w[label == each].mean(0)
        assert (generator.middle[each] - true).norm() < 0.5 * true.norm()


def test_data_without_labels_are_played_without():
    game = unlabelled()
    system = game.system
    assert system.conditions == ("truncation",)
    assert StyleGAN2.conditions == ("label", "truncation")
    for _ in range(4):
        assert all(value.isfinite() for value in game.round().values())
    drawn = sample(for_sampling(system, game.average, 0), 5, 0, truncation=torch.full((5,), 0.5))
    assert list(drawn) == ["x"]
    assert drawn["x"].shape == (5, 1, 16, 16)
    assert drawn["x"].abs().max() <= 1


def test_fakes_have_the_labels_of_the_batch_in_both_turns():
    game = playing()
    for player in ("discriminator", "generator"):
        game.round_.begin_update(player, 0)
        fake = game.system.fake(game.round_)
        assert torch.equal(fake["label"], game.round_.real["label"])


def test_another_label_is_another_picture():
    game = playing()
    for _ in range(3):
        game.round()
    still = for_sampling(game.system, game.average, 0)
    one, other = (sample(still, 16, 0, label=torch.full((16,), label))["x"] for label in (1, 2))
    assert (one - other).abs().mean() > 0.02 * one.std()


def test_groups_never_hold_reals_and_fakes():
    assert not playing().system.objective.joint


@pytest.mark.parametrize(
    "settings",
    [
        {"discriminator.spectral_norm": True, "generator.spectral_norm": True},
        {"view.pack": 2},
        {"view.augment": ["translate", "cutout"], "view.adaptive": 0.6},
        {"view.replay": 8, "objective.loss": "relativistic_paired", "objective.r2": 1.0},
        {"precision": "bf16", "path_every": 1, "objective.every": 1},
        {"turns.simultaneous": True},
        {"turns.unroll": 1},
        {"mixing": 0.0, "path_length": 0.0, "group": 1},
    ],
)
def test_remedies_play(settings):
    game = playing(**settings)
    for _ in range(4):
        assert all(value.isfinite() for value in game.round().values())


def test_pictures_that_cannot_be_halved_are_refused():
    with pytest.raises(UsageError, match="cannot be halved"):
        GAN("stylegan2").start(torch.zeros(8, 1, 9, 9))


def test_the_networks_of_configuration_f():
    """1024 px, no labels: 30,370,060 and 29,012,513 weights, as the authors' code prints; and a bias for each skip."""
    shape = (3, 1024, 1024)
    channels = progressive.widths(shape, 512, 32_768)
    assert channels == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    with torch.device("meta"):
        networks = style.Generator(512, 0, 8, channels, shape), style.Discriminator(0, 1, 8, channels, shape, 4)
    counts = [sum(weight.numel() for weight in network.parameters()) for network in networks]
    assert counts == [30_370_060, 29_012_513 + sum(channels[:-1])]


def test_it_scales_to_256_px():
    spec = DataSpec(kind="images", shape=(3, 256, 256), count=8)
    made = systems.get("stylegan2")
    assert made.suited(spec) == {}  # the paper's sizes

    class Rows:
        streamed = False
        labels = torch.empty(0).long()

        def __init__(self):
            self.spec = spec

        def __len__(self):
            return 8

        def rows(self, indices):
            return Batch({"x": torch.rand(len(indices), 3, 256, 256)})

        def expect(self, indices):
            pass

    small = {"generator.width": 4, "discriminator.width": 4, "taper": 256, "batch": 4, "latent.size": 4}
    lazy = {"objective.every": 1, "path_every": 1}
    game = Engine(made(build(made.Settings, nested({**small, **lazy})), spec), Rows(), seed=0, steps=1)
    terms = game.round()
    assert set(terms) == {f"discriminator.{n}" for n in ("adversarial", "r1")} | {
        f"generator.{n}" for n in ("adversarial", "path_length")
    }
    assert all(value.isfinite() for value in terms.values())
