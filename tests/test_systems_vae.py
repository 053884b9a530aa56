"""The variational autoencoder against formulas written by hand, and the ways in which it is usually got wrong."""

import math

import pytest
import torch
from house import engine
from torch.distributions import Normal, kl_divergence

from ganworks import data
from ganworks.errors import UsageError
from ganworks.explicit import score
from ganworks.game import owned
from ganworks.random import Streams
from ganworks.settings import build, nested
from ganworks.systems.vae import VAE, VAESettings, divergence
from ganworks.training.engine import Engine


def vae(name: str = "ring", **settings) -> VAE:
    spec = data.open(name).spec
    torch.manual_seed(0)
    return VAE(build(VAESettings, VAE.suited(spec), nested(settings)), spec)


def test_the_divergence_is_that_of_normal_densities() -> None:
    """The classic mistakes: s in place of s² or log s², the mean over Z in place of the sum."""
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    q = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(q, Normal(torch.zeros(3), torch.ones(3))).sum(1)
    assert torch.allclose(divergence(mean, log_variance), expected, atol=1e-5)
    assert divergence(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0, 0]


def test_the_reconstruction_is_a_density_with_its_constant_and_its_deviation() -> None:
    """Mean squared error alone has the wrong weight beside the KL: a decoder of σ = 1 that nobody chose."""
    decoder = vae().decoder
    with torch.no_grad():
        decoder.log_std.fill_(math.log(0.3))
    x, mean = torch.randn(6, 2), torch.randn(6, 2)
    assert torch.allclose(decoder.log_prob(x, mean), Normal(mean, 0.3).log_prob(x).sum(1), atol=1e-5)


def test_the_loss_is_the_negative_bound_of_its_z() -> None:
    """One z for each sample, numbers summed over a sample and averaged over the batch."""
    playing = engine("vae", "points")
    system, round = playing.system, playing.round_
    round.begin(0, "bound", 0.0)
    round.begin_update("autoencoder", 0)
    noise = round.random.normal("posterior", 4)
    round.begin_update("autoencoder", 0, shared=True)
    terms = system.loss(round)
    x = round.real["x"]
    mean, log_variance = system.encoder(x)
    z = mean + (0.5 * log_variance).exp() * noise
    p = Normal(system.decoder(z), system.decoder.log_std.exp())
    assert torch.allclose(terms["reconstruction"], -p.log_prob(x).sum(1).mean(), atol=1e-4)
    assert torch.allclose(terms["kl"], divergence(mean, log_variance).mean())


def linear_model() -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """p(x|z) = N(Wz + b, σ²): then p(x) is N(b, WWᵀ + σ² I), and q can be exact."""
    system = vae(depth=1, draws=3000)

    class Line(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = torch.nn.Linear(2, 2)

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.map(z)

    system.decoder.network = Line()
    with torch.no_grad():
        system.decoder.log_std.fill_(math.log(0.5))
    weight, shift = system.decoder.network.map.weight.detach(), system.decoder.network.map.bias.detach()
    return system, weight @ weight.T + 0.25 * torch.eye(2), shift


def test_both_bounds_lie_below_the_exact_likelihood_and_the_importance_bound_is_the_tighter() -> None:
    system, covariance, shift = linear_model()
    x = shift + torch.randn(200, 2) @ torch.linalg.cholesky(covariance).T
    exact = torch.distributions.MultivariateNormal(shift, covariance).log_prob(x).mean()
    loose, tight = system.evidence_bound(x).mean(), system.log_likelihood(x).mean()
    assert loose < tight - 0.05
    assert loose < exact
    assert -0.03 < tight - exact < 0.01  # of a q that knows nothing


def test_the_bounds_are_in_the_datas_units() -> None:
    """Points a thousand times as wide have a density a thousand times as low for each coordinate."""
    small = torch.randn(400, 2)
    found = []
    for scale in (1.0, 1000.0):
        spec = data.open(scale * small).spec
        torch.manual_seed(0)
        system = VAE(build(VAESettings, VAE.suited(spec)), spec)
        found.append(system.log_likelihood(scale * small).mean())
    assert torch.allclose(found[0] - found[1], torch.tensor(2 * math.log(1000.0)), atol=1e-3)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_samples_have_the_decoders_noise_unless_they_are_told_not_to(noise: float) -> None:
    system = vae(noise=noise)
    with torch.no_grad():
        system.decoder.log_std.fill_(math.log(3.0))
        x = system.generate(4000, Streams((0, "sample"), 4000).at(0))["x"]
    assert abs(x.std() - 3.0) < 0.1 if noise else x.std() < 1.0


def test_pictures_stay_in_range() -> None:
    playing = engine("vae", "images", **{"autoencoder.width": 4})
    with torch.no_grad():
        playing.system.decoder.log_std.fill_(1.0)
        x = playing.system.generate(32, Streams((0, "sample"), 32).at(0))["x"]
    assert x.min() == -1
    assert x.max() == 1


def test_one_player_owns_everything() -> None:
    system = vae()
    (player,) = system.players()
    assert set(owned(system, player)) == dict(system.named_parameters()).keys()


def test_a_prior_that_the_divergence_does_not_know_and_a_discriminator_are_refused() -> None:
    for key, value in (("latent.prior", "uniform"), ("objective.loss", "hinge"), ("discriminator.lr", 0.1)):
        with pytest.raises(UsageError, match="E-NAME-04"):
            build(VAESettings, nested({key: value}), system="vae")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_large_pictures_play_a_round(precision: str) -> None:
    x = torch.rand(8, 3, 256, 256) * 2 - 1
    opened = data.open(x)
    given = nested({"batch": 2, "autoencoder.width": 4, "latent.size": 4, "draws": 2, "precision": precision})
    system = VAE(build(VAESettings, VAE.suited(opened.spec), given), opened.spec)
    system.prepare(opened)
    terms = Engine(system.train(), opened, seed=0, steps=1).round()
    assert all(value.isfinite() for value in terms.values())
    found = score(system.eval(), opened, 4, trained_on=True)
    assert found.feature_space == "nats, bound of 2 draws"
    assert found.real is None
    assert math.isfinite(found.value)


def test_every_setting_of_its_own_has_an_effect() -> None:
    plain = vae()
    deeper, narrow = vae(depth=3), vae(**{"autoencoder.width": 8})
    assert len(list(deeper.parameters())) > len(list(plain.parameters()))
    assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in plain.parameters())
    assert vae(draws=7).likelihood == "bound of 7 draws"
    assert vae("digits").encoder.linear
    assert not vae("digits", layers="convolutional").encoder.linear
