"""What is known exactly: densities, and the best discriminator between two of them."""

from ganworks.theory.densities import Density, Mixture, MultivariateNormal, Normal, grid, ring
from ganworks.theory.optimal import optimal_discriminator, optimal_logit
from ganworks.theory.swissroll import SwissRoll, swissroll

__all__ = [
    "Density",
    "Mixture",
    "MultivariateNormal",
    "Normal",
    "SwissRoll",
    "grid",
    "optimal_discriminator",
    "optimal_logit",
    "ring",
    "swissroll",
]
