"""What is known exactly: densities, the best discriminator between two, how far apart they are, the Dirac-GAN."""

from ganworks.theory.densities import Density, Mixture, MultivariateNormal, Normal, grid, ring
from ganworks.theory.dirac import LocalDynamics, dirac, limit_cycle_radius
from ganworks.theory.divergences import (
    discriminator_loss_at_optimum,
    jensen_shannon,
    kullback_leibler,
    wasserstein_1,
)
from ganworks.theory.optimal import optimal_discriminator, optimal_logit
from ganworks.theory.swissroll import SwissRoll, swissroll

__all__ = [
    "Density",
    "LocalDynamics",
    "Mixture",
    "MultivariateNormal",
    "Normal",
    "SwissRoll",
    "dirac",
    "discriminator_loss_at_optimum",
    "grid",
    "jensen_shannon",
    "kullback_leibler",
    "limit_cycle_radius",
    "optimal_discriminator",
    "optimal_logit",
    "ring",
    "swissroll",
    "wasserstein_1",
]
