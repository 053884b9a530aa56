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


def loss_of(settings: ObjectiveSettings) -> losses.AdversarialLoss:
    """The adversarial loss that the settings name.

    Raises: UsageError for an unknown loss, or for `real_target` where the loss has no target.
    """
    smoothed = {} if settings.real_target == 1 else {"real_target": settings.real_target}
    return losses.get(settings.loss, **smoothed)


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
        self.loss = loss_of(settings)

    def discriminator(self, critic: Critic, real: Inputs, fake: Inputs, round: Round) -> Terms:
        """D's terms. `fake` is held constant by the caller (`round.hold`)."""
        due = self._due(round)
        real, fake = self.view.pack(real), self.view.pack(fake)
        see_real, see_fake = self.view.fixed(round, "real"), self.view.fixed(round, "fake")
        if "r1" in due:
            real = {**real, "x": penalties.leaf(real["x"])}
        if "r2" in due:
            fake = {**fake, "x": penalties.leaf(fake["x"])}
        real_logits, fake_logits = self._judge(critic, see_real(real), see_fake(fake))
        round.notes["logits"] = (real_logits.detach(), fake_logits.detach())
        terms = {"adversarial": self.loss.discriminator(real_logits, fake_logits)}
        terms |= self._slopes(due, {"r1": (real_logits, real["x"]), "r2": (fake_logits, fake["x"])}, round)
        if "gradient_penalty" in due:
            epsilon = round.random.uniform("epsilon")[:: self.view.settings.pack].to(real["x"])
            # Held here too: the penalty is D's alone, and its slope has no business on what `r1` or `keep` look at.
            points = penalties.between(round.hold(real["x"]), round.hold(fake["x"]), epsilon)
            seen = penalties.norm_penalty(lambda x: critic(**see_real({**real, "x": x})), points)
            terms["gradient_penalty"] = due["gradient_penalty"] * seen
        return terms

    def _due(self, round: Round) -> dict[str, float]:
        """The penalties of this update with their weights: a lazy one makes up for the updates that it leaves out."""
        every = self.settings.every
        if (round.update + 1) % every:
            return {}
        weights = {name: getattr(self.settings, name) for name in ("r1", "r2", "gradient_penalty")}
        return {name: every * weight for name, weight in weights.items() if weight}

    def _judge(self, critic: Critic, real: Inputs, fake: Inputs) -> tuple[Tensor, Tensor]:
        """Logits of real and fake, in one pass where that changes nothing."""
        if not self.joint:
            return critic(**real), critic(**fake)
        logits = critic(**{name: torch.cat([real[name], fake[name]]) for name in real})
        count = len(real["x"])
        return logits[:count], logits[count:]

    def _slopes(self, due: dict[str, float], sides: dict[str, tuple[Tensor, Tensor]], round: Round) -> Terms:
        """R1 and R2 on the logits that the loss has used. Both together take one pass through D's graph."""
        wanted = {name: side for name, side in sides.items() if name in due}
        if not wanted:
            return {}
        outputs, inputs = [logits.sum() for logits, _ in wanted.values()], [x for _, x in wanted.values()]
        slopes = dict(zip(wanted, torch.autograd.grad(outputs, inputs, create_graph=True), strict=True))
        if "r2" in slopes:
            round.notes["fake_slope"] = slopes["r2"].detach()
        return {name: due[name] * penalties.half_mean_square([slope]) for name, slope in slopes.items()}

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
        assert settings.loss == "relativistic_paired"

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
