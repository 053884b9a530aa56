"""An objective is an adversarial loss, its penalties and the discriminator's view. It turns batches into terms."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganworks import losses, penalties
from ganworks.errors import error
from ganworks.round import Round, Terms
from ganworks.settings import ObjectiveSettings, ViewSettings
from ganworks.views import Inputs, View

Critic = Callable[..., Tensor]
"""A discriminator: named inputs, `x` among them, to logits."""


class Objective(nn.Module):
    """Both players' adversarial terms, and the penalties of the discriminator.

    Args:
        settings: Loss, penalties and how often they are due.
        view: What D sees.
        joint: D judges real and fake in one forward pass. Same numbers, fewer kernels; only for a D whose output for a
            sample does not depend on the others (no batch statistics).
    """

    def __init__(self, settings: ObjectiveSettings, view: ViewSettings, *, joint: bool = False) -> None:
        super().__init__()
        self.settings = settings
        self.view = View(view)
        self.joint = joint
        smoothed = {} if settings.real_target == 1 else {"real_target": settings.real_target}
        self.loss = losses.get(settings.loss, **smoothed)

    def discriminator(self, critic: Critic, real: Inputs, fake: Inputs, round: Round) -> Terms:
        """D's terms. `fake` is held constant by the caller (`round.hold`)."""
        wanted = self.settings
        due = (round.update + 1) % wanted.every == 0
        r1, r2, between = (due and weight > 0 for weight in (wanted.r1, wanted.r2, wanted.gradient_penalty))
        real, fake = self.view.pack(real), self.view.pack(fake)
        see_real, see_fake = self.view.fixed(round, "real"), self.view.fixed(round, "fake")
        if r1:
            real = {**real, "x": penalties.leaf(real["x"])}
        if r2:
            fake = {**fake, "x": penalties.leaf(fake["x"])}
        real_logits, fake_logits = self._judge(critic, see_real(real), see_fake(fake))
        terms = {"adversarial": self.loss.discriminator(real_logits, fake_logits)}
        round.notes["logits"] = (real_logits.detach(), fake_logits.detach())
        terms |= self._input_penalties(r1, r2, real_logits, fake_logits, real["x"], fake["x"], round)
        if between:
            epsilon = round.random.uniform("epsilon")[:: self.view.settings.pack].to(real["x"])
            points = penalties.between(real["x"], fake["x"], epsilon)
            weight = wanted.gradient_penalty * wanted.every
            seen = penalties.norm_penalty(lambda x: critic(**see_real({**real, "x": x})), points)
            terms["gradient_penalty"] = weight * seen
        return terms

    def _judge(self, critic: Critic, real: Inputs, fake: Inputs) -> tuple[Tensor, Tensor]:
        """Logits of real and fake, in one pass where that changes nothing."""
        if not self.joint:
            return critic(**real), critic(**fake)
        logits = critic(**{name: torch.cat([real[name], fake[name]]) for name in real})
        count = len(real["x"])
        return logits[:count], logits[count:]

    def _input_penalties(
        self, r1: bool, r2: bool, real_logits: Tensor, fake_logits: Tensor, real: Tensor, fake: Tensor, round: Round
    ) -> Terms:
        """R1 and R2 on the logits that the loss has used. Together they take one pass through D's graph."""
        wanted = self.settings
        if r1 and r2:
            both = real_logits.sum() + fake_logits.sum()
            slopes = torch.autograd.grad(both, (real, fake), create_graph=True)
            round.notes["fake_slope"] = slopes[1].detach()
            norms = [0.5 * penalties.squared_norms([slope]).mean() for slope in slopes]
            return {"r1": wanted.r1 * wanted.every * norms[0], "r2": wanted.r2 * wanted.every * norms[1]}
        if r1:
            return {"r1": wanted.r1 * wanted.every * penalties.r1(real_logits, real)}
        if r2:
            slope = penalties.input_gradients("r2", fake_logits, [fake])
            round.notes["fake_slope"] = slope[0].detach()
            return {"r2": wanted.r2 * wanted.every * 0.5 * penalties.squared_norms(slope).mean()}
        return {}

    def generator(self, critic: Critic, fake: Inputs, round: Round, real: Callable[[], Inputs] | None = None) -> Terms:
        """G's terms.

        Args:
            real: Gives real inputs where the loss compares with them; not called otherwise, so that nothing is read.
        """
        fake = self.view.pack(fake)
        see_fake = self.view.fixed(round, "fake")
        if not self.loss.relativistic:
            return {"adversarial": self.loss.generator(critic(**see_fake(fake)))}
        if real is None:
            raise error("E-SET-02", reason=f"this system gives no real samples to '{self.loss.name}'", system="")
        see_real = self.view.fixed(round, "real")
        real_logits, fake_logits = self._judge(critic, see_real(self.view.pack(real())), see_fake(fake))
        return {"adversarial": self.loss.generator(fake_logits, real_logits)}

    def after(self, round: Round, discriminator: nn.Module) -> None:
        """After D's update: the bound on its weights."""
        if self.settings.clip:
            penalties.clip_weights(discriminator, self.settings.clip)


class OnePass(Objective):
    """Both players' gradients from one backward pass through D, for the paired relativistic loss.

    With t = f(real) - f(fake), L_D = E sp(-t) and L_G = E sp(t) pull on a fake's logit with σ(-t)/n and -σ(t)/n: their
    ratio is -e^t, sample by sample. So the gradient that L_D leaves on the fakes, times -e^t, is L_G's gradient at the
    same D. It equals the simultaneous update in two passes, without a second pass through D.
    Needs a D without batch statistics and simultaneous turns.
    """

    def __init__(self, settings: ObjectiveSettings, view: ViewSettings) -> None:
        super().__init__(settings, view, joint=True)
        if settings.loss != "relativistic_paired":
            reason = f"turns.one_pass needs objective.loss = 'relativistic_paired', not '{settings.loss}'"
            raise error("E-SET-02", reason=reason, system="r3gan")

    def discriminator(self, critic: Critic, real: Inputs, fake: Inputs, round: Round) -> Terms:
        """D's terms; the gradient on the fakes is kept for `generator`."""
        leaf = fake["x"].detach().requires_grad_()
        round.keep(leaf)
        round.notes["leaf"] = leaf
        return super().discriminator(critic, real, {**fake, "x": leaf}, round)

    def generator(self, critic: Critic, fake: Inputs, round: Round, real: Callable[[], Inputs] | None = None) -> Terms:
        """G's term: a linear surrogate with the true gradient, recorded at its true value E sp(t)."""
        real_logits, fake_logits = round.notes["logits"]
        margin = real_logits - fake_logits
        samples = (-1, *(1,) * (fake["x"].dim() - 1))
        if "fake_slope" in round.notes:
            # R2 has added its own gradient to the leaf; but it has computed ∂Σb/∂fake, from which L_G's follows too.
            slope, pull = round.notes["fake_slope"].reshape(fake["x"].shape), -torch.sigmoid(margin) / len(margin)
        else:
            slope, pull = round.notes["leaf"].grad, -torch.exp(margin.clamp(max=60))
        pull = pull.repeat_interleave(self.view.settings.pack)
        surrogate = (fake["x"] * (slope * pull.reshape(samples))).sum()
        return {"adversarial": surrogate - surrogate.detach() + F.softplus(margin).mean()}
