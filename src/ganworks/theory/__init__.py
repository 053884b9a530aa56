"""What is known exactly: densities, the best discriminator between two, how far apart they are, the Dirac-GAN."""

from ganworks.theory.densities import Density, Mixture, MultivariateNormal, Normal, bimodal, grid, ring
from ganworks.theory.dirac import LocalDynamics, dirac, limit_cycle_radius
from ganworks.theory.divergences import jensen_shannon, kullback_leibler
from ganworks.theory.floors import discriminator_loss_at_optimum
from ganworks.theory.optimal import optimal_discriminator, optimal_logit
from ganworks.theory.sampling import Sampled, sampled
from ganworks.theory.swissroll import SwissRoll, swissroll
from ganworks.theory.transport import wasserstein_1

__all__ = [
    "Density",
    "LocalDynamics",
    "Mixture",
    "MultivariateNormal",
    "Normal",
    "Sampled",
    "SwissRoll",
    "bimodal",
    "dirac",
    "discriminator_loss_at_optimum",
    "grid",
    "jensen_shannon",
    "kullback_leibler",
    "limit_cycle_radius",
    "optimal_discriminator",
    "optimal_logit",
    "ring",
    "sampled",
    "swissroll",
    "wasserstein_1",
]
