"""An objective is an adversarial loss, its penalties and remedies, and D's view. It turns batches into terms."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganworks import losses, penalties
from ganworks.errors import error
from ganworks.networks.pair import Featured
from ganworks.round import Round, Terms
from ganworks.settings import SLOPES, ObjectiveSettings, ViewSettings
from ganworks.views import Inputs, See, View

Critic = Callable[..., Tensor]
"""A discriminator: named inputs, `x` among them, to logits. Feature matching needs its `features`."""

_MEMORY = 0.99
"""How much of LeCam's running means stays in an update. Source: Tseng et al. 2021."""


def loss_of(settings: ObjectiveSettings) -> losses.AdversarialLoss:
    """The adversarial loss that the settings name.

    Raises: UsageError for an unknown loss, or for `real_target` where the loss has no target.
    """
    smoothed = {} if settings.real_target == 1 else {"real_target": settings.real_target}
    return losses.get(settings.loss, **smoothed)


@dataclass
class _Judged:
    """One look of D at a batch: what it saw, through which draw of the view, and what it said."""

    critic: Critic
    round: Round
    real: Inputs
    fake: Inputs
    see_real: See
    see_fake: See
    real_logits: Tensor
    fake_logits: Tensor
    moved: dict[str, list[Tensor]]
    """For `r1` and `r2` by finite differences: the logits a random step away."""


class Objective(nn.Module):
    """Both players' adversarial terms, and the penalties of the discriminator.

    Args:
        settings: Loss, penalties and how often they are due.
        view: What D sees.
        joint: D judges real and fake in one forward pass. Same numbers, fewer kernels; only for a D whose output for a
            sample does not depend on the others (no batch statistics).
        row: One row of each input, where the view keeps old fakes.
    """

    sloped: tuple[str, ...] = ("x",)
    """The inputs that `r1`, `r2` and `roth` take D's slope with respect to."""
    average_real: Tensor
    average_fake: Tensor

    def __init__(
        self, settings: ObjectiveSettings, view: ViewSettings, *, joint: bool = False, row: Inputs | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self.view = View(view, row)
        self.joint = joint
        self.loss = loss_of(settings)
        if settings.lecam != 0:
            self.register_buffer("average_real", torch.zeros(()))
            self.register_buffer("average_fake", torch.zeros(()))

    def discriminator(self, critic: Critic, real: Inputs, fake: Inputs, round: Round) -> Terms:
        """D's terms. `fake` is held constant by the caller (`round.hold`)."""
        slopes = self._slopes_due(round)
        device = real["x"].device.type
        # A slope is a difference of nearly equal numbers: half precision would drown it.
        half = bool(slopes) and torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if half else contextlib.nullcontext():
            judged = self._judgement(critic, real, self.view.replay(fake, round), round, slopes)
            real_logits, fake_logits = self._flipped(judged)
            terms = {"adversarial": self.loss.discriminator(real_logits, fake_logits)}
            if slopes:
                terms |= self._slopes(judged, slopes)
            return terms | self._others(judged)

    def _slopes_due(self, round: Round) -> dict[str, float]:
        """Penalties on D's slope that are due, with weights: a lazy one makes up for the updates that it leaves out."""
        every = self.settings.every
        if (round.update + 1) % every:
            return {}
        weights = {name: round.at(getattr(self.settings, name)) for name in SLOPES}
        return {name: every * weight for name, weight in weights.items() if weight}

    def _judgement(self, critic: Critic, real: Inputs, fake: Inputs, round: Round, slopes: dict[str, float]) -> _Judged:
        """Let D judge both sides, from inputs that a slope can be taken at where one is due."""
        real, fake = self.view.pack(real), self.view.pack(fake)
        see_real, see_fake = self.view.fixed(round, "real"), self.view.fixed(round, "fake")
        scale = self.settings.finite_difference
        if "roth" in slopes or ("r1" in slopes and not scale):
            real = {**real, **{name: penalties.leaf(real[name]) for name in self.sloped}}
        if "roth" in slopes or ("r2" in slopes and not scale):
            fake = {**fake, **{name: penalties.leaf(fake[name]) for name in self.sloped}}
        sides = [see_real(real)], [see_fake(fake)]
        if scale and "r1" in slopes:
            sides[0].append(see_real(self._moved(real, round, "real")))
        if scale and "r2" in slopes:
            sides[1].append(see_fake(self._moved(fake, round, "fake")))
        (real_logits, *moved_real), (fake_logits, *moved_fake) = self._judge(critic, *sides)
        round.notes["logits"] = (real_logits.detach(), fake_logits.detach())
        round.shown["logit.real"], round.shown["logit.fake"] = round.notes["logits"]
        moved = {"r1": moved_real, "r2": moved_fake}
        return _Judged(critic, round, real, fake, see_real, see_fake, real_logits, fake_logits, moved)

    def _moved(self, inputs: Inputs, round: Round, side: str) -> Inputs:
        """Every sample a random step away, for finite differences."""
        scale, moved = self.settings.finite_difference, dict(inputs)
        for name in self.sloped:
            stream = f"difference.{side}" if name == "x" else f"difference.{side}.{name}"
            moved[name] = inputs[name] + scale * self.view.normal(round, stream, inputs[name])
        return moved

    def _judge(
        self, critic: Critic, real: Sequence[Inputs], fake: Sequence[Inputs]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Logits of some batches of reals and of fakes, in one pass where that changes nothing."""
        if not self.joint:
            return _pass(critic, real), _pass(critic, fake)
        logits = _pass(critic, [*real, *fake])
        return logits[: len(real)], logits[len(real) :]

    def _flipped(self, judged: _Judged) -> tuple[Tensor, Tensor]:
        """The logits as the loss gets them: some pairs have exchanged their labels."""
        real, fake = judged.real_logits, judged.fake_logits
        if not self.settings.flip:
            return real, fake
        drawn = self.view.uniform(judged.round, "flip", len(real)) < self.settings.flip
        lies = drawn.reshape(-1, *(1,) * (real.dim() - 1))
        return torch.where(lies, fake, real), torch.where(lies, real, fake)

    def _slopes(self, judged: _Judged, due: dict[str, float]) -> Terms:
        """Every penalty on D's slope that is due."""
        # By a random step of each sample: no second derivative. Source: Lin et al. 2025, arXiv:2501.08316.
        logits, scale = {"r1": judged.real_logits, "r2": judged.fake_logits}, self.settings.finite_difference
        values: Terms = {
            name: penalties.squared_difference(logits[name], moved, scale)
            for name, found in judged.moved.items()
            for moved in found
        }
        values |= self._gradients(judged, [name for name in ("r1", "r2", "roth") if name in due.keys() - values.keys()])
        if "gradient_penalty" in due:
            epsilon = self.view.uniform(judged.round, "epsilon", len(judged.real["x"]))
            hold = judged.round.hold
            # Held here too: the penalty is D's alone, and its slope has no business on what `r1` or `keep` look at.
            points = penalties.between(hold(judged.real["x"]), hold(judged.fake["x"]), epsilon.to(judged.real["x"]))
            values["gradient_penalty"] = self._norm(judged, points)
        if "dragan" in due:
            real = judged.round.hold(judged.real["x"])
            epsilon = self.view.uniform(judged.round, "dragan.size", len(real))
            row = real[0].numel() // self.view.settings.pack
            noise = judged.round.random.uniform("dragan.noise", row).reshape(real.shape)
            values["dragan"] = self._norm(judged, penalties.around(real, epsilon.to(real), noise.to(real)))
        return {name: due[name] * value for name, value in values.items()}

    def _gradients(self, judged: _Judged, wanted: list[str]) -> Terms:
        """R1, R2 and Roth's penalty on the logits that the loss has used, from one pass through D's graph."""
        sides: dict[str, tuple[Tensor, Inputs]] = {}
        if {"r1", "roth"} & set(wanted):
            sides["real"] = (judged.real_logits, judged.real)
        if {"r2", "roth"} & set(wanted):
            sides["fake"] = (judged.fake_logits, judged.fake)
        if not sides:
            return {}
        outputs = [logits.sum() for logits, _ in sides.values()]
        inputs = [seen[name] for _, seen in sides.values() for name in self.sloped]
        found = iter(torch.autograd.grad(outputs, inputs, create_graph=True))
        slopes = {side: [next(found) for _ in self.sloped] for side in sides}
        if "fake" in slopes:
            judged.round.notes["fake_slope"] = slopes["fake"][0].detach()
        terms: Terms = {}
        for name, side in (("r1", "real"), ("r2", "fake")):
            if name in wanted:
                terms[name] = penalties.half_mean_square(slopes[side])
        if "roth" in wanted:
            logits = judged.real_logits, judged.fake_logits
            terms["roth"] = penalties.weighted_half_mean_square(*logits, slopes["real"], slopes["fake"])
        return terms

    def _norm(self, judged: _Judged, points: Tensor) -> Tensor:
        """E (‖∇f‖ - 1)² at some points, which share the real samples' other inputs."""
        return penalties.norm_penalty(lambda x: full(judged.critic(**judged.see_real({**judged.real, "x": x}))), points)

    def _others(self, judged: _Judged) -> Terms:
        """What needs no slope: logits near their running means, the same for a nudged sample, weights apart."""
        weights = {
            name: weight
            for name in ("lecam", "consistency", "consistency_fake", "orthogonal")
            if (weight := judged.round.at(getattr(self.settings, name)))
        }
        terms: Terms = {}
        if "lecam" in weights:
            terms["lecam"] = penalties.lecam(
                judged.real_logits, judged.fake_logits, self.average_real, self.average_fake
            )
        looks = {
            "consistency": ("real", judged.real, judged.real_logits),
            "consistency_fake": ("fake", judged.fake, judged.fake_logits),
        }
        for name, (side, inputs, logits) in looks.items():
            if name in weights:
                nudged = self.view.nudged(inputs, judged.round, side)
                terms[name] = penalties.consistency(logits, full(judged.critic(**nudged)))
        if "orthogonal" in weights:
            assert isinstance(judged.critic, nn.Module)
            terms["orthogonal"] = penalties.orthogonal(judged.critic)
        return {name: weights[name] * value for name, value in terms.items()}

    def generator(self, critic: Critic, fake: Inputs, round: Round, real: Callable[[], Inputs] | None = None) -> Terms:
        """G's terms.

        Args:
            real: Gives real inputs where the loss compares with them; not called otherwise, so that nothing is read.
        """
        fake = self.view.pack(fake)
        see_fake, see_real = self.view.fixed(round, "fake"), self.view.fixed(round, "real")
        matching = round.at(self.settings.feature_matching)
        if not (self.loss.relativistic or matching):
            return {"adversarial": self.loss.generator(full(critic(**see_fake(fake))))}
        if real is None:
            raise error("E-SET-02", reason=f"this system gives no real samples to '{self.loss.name}'", system="")
        seen = see_real(self.view.pack(real())), see_fake(fake)
        if self.loss.relativistic:
            (real_logits,), (fake_logits,) = self._judge(critic, seen[:1], seen[1:])
            terms = {"adversarial": self.loss.generator(fake_logits, real_logits)}
        else:
            terms = {"adversarial": self.loss.generator(full(critic(**seen[1])))}
        if matching:
            assert isinstance(critic, Featured), "feature matching needs D's features"
            features = [full(critic.features(**inputs)) for inputs in seen]
            terms["feature_matching"] = matching * losses.feature_matching(*features)
        return terms

    def after(self, round: Round, discriminator: nn.Module) -> None:
        """After D's update: the bound on its weights, the pool of old fakes, augmentations' strength, running means."""
        if self.settings.clip:
            penalties.clip_weights(discriminator, self.settings.clip)
        self.view.remember(round)
        if self.view.settings.adaptive or self.settings.lecam != 0:
            real_logits, fake_logits = round.notes["logits"]
        if self.view.settings.adaptive:
            self.view.observe(round, real_logits, fake_logits, self.loss.middle)
        if self.settings.lecam != 0:
            self.average_real.lerp_(real_logits.mean(), 1 - _MEMORY)
            self.average_fake.lerp_(fake_logits.mean(), 1 - _MEMORY)


def _pass(critic: Critic, batches: Sequence[Inputs]) -> list[Tensor]:
    """Logits of batches that D sees at once: layers that change with each pass are the same for all."""
    if len(batches) == 1:
        return [full(critic(**batches[0]))]
    joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    return list(torch.split(full(critic(**joined)), [len(each["x"]) for each in batches]))


def full(values: Tensor) -> Tensor:
    """Samples, logits and features in full precision: losses and their means are taken there."""
    return values.float() if values.dtype == torch.bfloat16 else values


class OnePass(Objective):
    """Both players' gradients from one backward pass through D, for the paired relativistic loss.

    With t = f(real) - f(fake), L_D = E sp(-t) and L_G = E sp(t) pull on a fake's logit with σ(-t)/n and -σ(t)/n: their
    ratio is -e^t, sample by sample. So the gradient that L_D leaves on the fakes, times -e^t, is L_G's gradient at the
    same D. It equals the simultaneous update in two passes, without a second pass through D.
    Needs a D without batch statistics and simultaneous turns.
    """

    def __init__(
        self, settings: ObjectiveSettings, view: ViewSettings, *, joint: bool = True, row: Inputs | None = None
    ) -> None:
        super().__init__(settings, view, joint=joint, row=row)
        assert self.allows(settings, view)

    @staticmethod
    def allows(settings: ObjectiveSettings, view: ViewSettings) -> bool:
        """Whether the gradient on the fakes comes from the paired loss and R2 alone."""
        others = ("roth", "lecam", "consistency_fake", "flip", "feature_matching", "finite_difference")
        plain = all(getattr(settings, name) == 0 for name in others) and not view.replay
        return settings.loss == "relativistic_paired" and plain

    def discriminator(self, critic: Critic, real: Inputs, fake: Inputs, round: Round) -> Terms:
        """D's terms; the gradient on the fakes is kept for `generator`."""
        leaf = fake["x"].detach().requires_grad_()
        round.keep(leaf)
        round.notes["leaf"] = leaf
        return super().discriminator(critic, real, {**fake, "x": leaf}, round)

    def generator(self, critic: Critic, fake: Inputs, round: Round, real: Callable[[], Inputs] | None = None) -> Terms:
        """G's term: a linear surrogate with the true gradient, recorded at its true value E sp(t)."""
        if "logits" not in round.notes:  # a turn on its own: D has judged nothing here
            return super().generator(critic, fake, round, real)
        real_logits, fake_logits = round.notes["logits"]
        margin = real_logits - fake_logits
        assert margin.numel() == len(margin), "one pass needs one logit a sample: patches mix in the leaf's gradient"
        samples = (-1, *(1,) * (fake["x"].dim() - 1))
        if "fake_slope" in round.notes:
            # R2 has added its own gradient to the leaf; but it has computed ∂Σb/∂fake, from which L_G's follows too.
            slope, pull = round.notes["fake_slope"].reshape(fake["x"].shape), -torch.sigmoid(margin) / len(margin)
        else:
            slope, pull = round.notes["leaf"].grad, -torch.exp(margin.clamp(max=60))
        pull = pull.repeat_interleave(self.view.settings.pack)
        surrogate = (fake["x"] * (slope * pull.reshape(samples))).sum()
        return {"adversarial": surrogate - surrogate.detach() + F.softplus(margin).mean()}
