"""Where a game on a known density stands beside its optimum: how far G is from the data, and D from the best of all."""

from ganworks.optimum.best import best, judge
from ganworks.optimum.distance import DRAWS, Distance
from ganworks.optimum.laws import Law, blurred, kernels, narrowest

__all__ = ["DRAWS", "Distance", "Law", "best", "blurred", "judge", "kernels", "narrowest"]
