"""The pictures of docs/theory.md: paths that the engine plays, and gradients that `experiments.dirac` has measured."""

import argparse
import json
import sys
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from ganworks import theory

from . import dirac, shifted
from .record import RESULTS, ROOT

PICTURES = ROOT / "docs" / "pictures"
PATHS = {
    "minimax, at once": "leaves, slowly",
    "minimax, in turn": "goes round for ever",
    "non-saturating, at once": "ends in a cycle of radius √(2h)",
    "r1 = 0.3, at once": "arrives",
}
BLUE, RED, GREEN = "#2166ac", "#b2182b", "#1b7837"


def draw_path(axes: Axes, method: str, what: str, rounds: int = 250) -> None:
    """One method's way in the plane of the two weights."""
    places = dirac.play(dirac.game(dirac.STEP, dirac.FAR[method]), dirac.START, rounds)
    axes.plot(places[:, 0], places[:, 1], color=BLUE, linewidth=0.8, marker=".", markersize=2.5)
    axes.plot(*dirac.START, "o", color=RED, markersize=6)
    axes.plot(0, 0, "+", color="black", markersize=10, markeredgewidth=1.5)
    if method.startswith("non-saturating"):
        radius = theory.limit_cycle_radius(dirac.STEP)
        axes.add_patch(plt.Circle((0, 0), radius, fill=False, color=RED, linestyle="--", zorder=5))
    axes.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", title=f"{method}:\n{what}", xlabel="ψ, the slope of D")
    axes.grid(alpha=0.2)


def draw_paths() -> None:
    figure, row = plt.subplots(1, len(PATHS), figsize=(13, 3.9), sharey=True, layout="constrained")
    for axes, (method, what) in zip(row, PATHS.items(), strict=True):
        draw_path(axes, method, what)
    row[0].set_ylabel("θ, where G puts its mass")
    figure.savefig(PICTURES / "dirac.png", dpi=90)


def draw_sides(axes: Axes, shift: float) -> None:
    """Both densities, and the probability that the best D gives a point."""
    x = torch.linspace(-4, 4 + shift, 500, dtype=torch.float64)
    p, q = theory.Normal(0.0, 1.0), theory.Normal(shift, 1.0)
    axes.fill_between(x, p.log_prob(x).exp(), color=BLUE, alpha=0.35, label="real, N(0, 1)")
    axes.fill_between(x, q.log_prob(x).exp(), color=RED, alpha=0.35, label=f"G, N({shift:g}, 1)")
    axes.plot(x, theory.optimal_discriminator(p, q)(x), color="black", label="D, the best there is")
    axes.set(xlabel="x", title=f"μ = {shift:g}: D is flat where G's samples are", ylim=(0, 1.25))
    axes.legend(loc="upper right", fontsize=8.5, frameon=False)


def draw_gradients(axes: Axes, result: Path) -> None:
    """|dL_G/dμ| over μ: exact lines, measured dots."""
    arms = json.loads(result.read_text())["arms"]
    fine = torch.linspace(0.25, 8.5, 60).tolist()
    exact = [shifted.exact(shift) for shift in fine]
    for loss, name, color in (
        ("non_saturating", "non-saturating", BLUE),
        ("wasserstein", "Wasserstein, slope 1", GREEN),
        ("minimax", "minimax (saturating)", RED),
    ):
        axes.plot(fine, [float(found[loss]) for found in exact], color=color, label=name)
        kind, key = ("clipped line", "gradient_over_steepest") if loss == "wasserstein" else ("cross-entropy", loss)
        dots = [arms[f"{kind}, μ = {shift:g}"][key] for shift in shifted.SHIFTS]
        axes.plot(shifted.SHIFTS, dots, "o", color=color, markersize=5)
    axes.set(yscale="log", ylim=(1e-4, 20), xlabel="μ, how far G is off", ylabel="|dL_G/dμ|")
    axes.set_title("what G is told at the best D: lines exact, dots measured")
    axes.grid(alpha=0.2)
    axes.legend(loc="lower left", fontsize=8.5, frameon=False)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m experiments.dirac_pictures", description=__doc__)
    parser.add_argument(
        "--result", type=Path, default=RESULTS / "dirac.json", help="what experiments.dirac has written"
    )
    options = parser.parse_args(words)
    draw_paths()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    draw_sides(left, 4.0)
    draw_gradients(right, options.result)
    figure.savefig(PICTURES / "vanishing.png", dpi=90)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
