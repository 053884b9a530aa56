"""The probe `optimum`: how far a training on a known density is from its optimum, at a step.

Letters: p the data, q the generator's samples, n draws of each, r = log p/q.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ganworks.game import System
from ganworks.metrics.interval import Estimate
from ganworks.optimum.best import critic_gap, gap, judge
from ganworks.optimum.laws import Law, blurred, kernels, narrowest
from ganworks.random import Streams, generator
from ganworks.theory.densities import Density
from ganworks.training.average import for_sampling
from ganworks.training.engine import Engine

DRAWS = 2_000
"""n."""
_BLURS = (0.25, 0.5, 0.7, 1.0)
"""Of the blur's std to the narrowest std of p: the sharpest one at which real draws look like p counts, or the last."""
_LIKE = 0.012
"""Nats of JSD between p and real draws of it up to which they do. By chance they differ by about the number of blurs
that p has room for, over 8 n."""
_HALVINGS = 10
_DENSER = 0.15
"""Nats a coordinate: by half the blur, samples as wide as it gain 0.1, half as wide 0.2, a point 0.69."""
_ASKED = 10
"""One sample in so many tells how close together they lie: only a median is taken."""
_FLOORS = 2
"""Sets of real draws that the floor is the mean of."""


class Distance:
    """Called with a step, it measures the engine's game there, without a trace in it.

    | it gives | and that is |
    | --- | --- |
    | `optimum.jsd` | JSD(p, q) in nats: 0 where G makes the data, log 2 where nothing is shared |
    | `optimum.jsd_floor` | the same of real draws in place of samples: what chance makes of 0 |
    | `optimum.discriminator_gap` | D's adversarial loss minus that of the best D between p and this q |

    q is that of the averaged weights, which samples are drawn from; D is the one that plays, in evaluation. The gap is
    left out where D judges more than points, where its loss has no best D that is known, and where it is not finite.

    Args:
        engine: Whose game it is. Real draws are the same at every step, samples are fresh.
        density: p, of one or two dimensions.
        still: The system with its averaged weights, where it is there already.
    """

    def __init__(self, engine: Engine, density: Density, still: Callable[[], System] | None = None) -> None:
        assert density.dimensions in (1, 2)
        self._still = still or (lambda: for_sampling(engine.system, engine.average, engine.seed))
        self.engine, self.density = engine, density
        seed = engine.seed
        self.real = density.sample(DRAWS, generator(seed, "probe", "real"))
        others = [density.sample(DRAWS, generator(seed, "probe", f"floor {index}")) for index in range(_FLOORS)]
        self.narrowest = narrowest(density, self.real)
        self._laws: dict[float, tuple[Law | Density, Tensor]] = {}
        for blur in _BLURS:
            self.blur = blur * self.narrowest
            self.floor = sum(jensen_shannon(*self.ratios(other)) for other in others) / _FLOORS
            if self.floor <= _LIKE:
                break

    def ratios(self, fake: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " m"], Float[Tensor, " n"]]:
        """r at the real draws and at the samples, in float64; -inf at samples that are not finite: p is not there."""
        finite = fake.isfinite().all(1)
        rows = fake[finite].double()
        at_fake = torch.full((len(fake),), -torch.inf, dtype=torch.float64)
        if not len(rows):
            return torch.full((len(self.real),), torch.inf, dtype=torch.float64), at_fake
        blur = self._sharpened(rows)
        law, at_real = self._law(blur)
        both = kernels(rows, blur).log_prob(torch.cat([self.real.double(), rows]))
        both += math.log(len(rows) / len(fake))
        at_fake[finite] = law.log_prob(rows) - both[len(self.real) :]
        return at_real - both[: len(self.real)], at_fake

    def _law(self, blur: float) -> tuple[Law | Density, Tensor]:
        """p through a blur, and its logarithm at the real draws."""
        if blur not in self._laws:
            law = blurred(self.density, blur)
            self._laws[blur] = law, law.log_prob(self.real.double())
        return self._laws[blur]

    def _sharpened(self, rows: Float[Tensor, "n d"]) -> float:
        """The blur, halved while most samples lie so close together that they look much denser for it.

        Through a fixed blur a generator that makes one point over and over would look as wide as the blur.
        """
        blur, dimensions = self.blur, rows.shape[1]
        others = _others(rows, blur)
        for _ in range(_HALVINGS):
            closer = _others(rows, blur / 2)
            denser = (closer - others).nan_to_num(-torch.inf) + dimensions * math.log(2)
            if float(denser.median()) < _DENSER * dimensions:
                break
            blur, others = blur / 2, closer
        return blur

    def draw(self, step: int) -> Float[Tensor, "n d"]:
        """Fresh samples of the averaged weights, in the data's units."""
        system = self._still()
        random = Streams((self.engine.seed, "probe"), DRAWS).at(step)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(random.key())
            return system.data.decode(system.generate(DRAWS, random)["x"])

    def estimate(self, fake: Float[Tensor, "n d"]) -> Estimate:
        """JSD(p, q) of samples, with its error: the best D is a maximum, so what samples change in r does not count to
        first order, and both means vary as if r were known.

        Measured on the ring: 16 draws of a law of 3 times its std spread by 0.0061, and the error is 0.0069.
        """
        at_real, at_fake = self.ratios(fake)
        parts = F.softplus(-at_real), F.softplus(at_fake)
        error = 0.5 * math.sqrt(sum(part.double().var().item() / len(part) for part in parts))
        return Estimate(jensen_shannon(at_real, at_fake), error, 2 * len(fake))

    def __call__(self, step: int) -> dict[str, float]:
        """What is recorded of a step."""
        fake = self.draw(step)
        ratios = self.ratios(fake)
        found = {"optimum.jsd": jensen_shannon(*ratios), "optimum.jsd_floor": self.floor}
        away = self._gap(fake, ratios)
        return found if away is None or not math.isfinite(away) else found | {"optimum.discriminator_gap": away}

    def _gap(self, fake: Tensor, ratios: Sequence[Tensor]) -> float | None:
        system = self.engine.system
        says, settings = judge(system), system.settings
        if says is None:
            return None
        pack, sides = settings.view.pack, (self.real, fake)
        packs = [side[: len(side) // pack * pack].reshape(-1, pack * side.shape[1]) for side in sides]
        said = says(packs[0]), says(packs[1])
        if settings.objective.loss == "wasserstein":
            return critic_gap((self.real[:, 0], fake[:, 0]), said) if packs[0].shape[1] == 1 else None
        summed = [each[: len(each) // pack * pack].reshape(-1, pack).sum(1) for each in ratios]
        return gap(settings.objective, said, (summed[0], summed[1]))


def jensen_shannon(at_real: Float[Tensor, " n"], at_fake: Float[Tensor, " m"]) -> float:
    """JSD = log 2 - ½ E_p log(1 + q/p) - ½ E_q log(1 + p/q), from r at draws of both, in nats."""
    told = F.softplus(-at_real).mean() + F.softplus(at_fake).mean()
    return max(0.0, math.log(2) - 0.5 * float(told))


def _others(rows: Float[Tensor, "n d"], blur: float) -> Float[Tensor, " some"]:
    """log of the kernels of all other samples at some, in units of a kernel's peak; -inf where none is near."""
    peak = -rows.shape[1] * (math.log(blur) + 0.5 * math.log(2 * math.pi)) - math.log(len(rows))
    sums = (kernels(rows, blur).log_prob(rows[::_ASKED]) - peak).exp() - 1
    return torch.where(sums > 1e-5, sums, 0).log()
