"""What keeps the discriminator smooth. Every function returns the unweighted scalar; the objective applies the weight.

Two forms: on logits already computed from an input that requires a gradient (one forward pass shared with the loss), or
on a `critic`, any callable from a batch to logits. The logits of patch outputs are summed before the gradient is taken.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganworks.errors import error

Critic = Callable[[Tensor], Tensor]
Logits = Float[Tensor, "b ..."]
Samples = Float[Tensor, "b ..."]


def input_gradients(function: str, logits: Logits, inputs: Sequence[Tensor]) -> list[Tensor]:
    """∂ Σ logits / ∂ inputs, itself differentiable: without `create_graph` a penalty would be a constant.

    Raises: ShapeError if the batch sizes differ; GradientError, in the name of `function`, if there is no gradient.
    """
    for tensor in inputs:
        if logits.dim() == 0 or len(tensor) != len(logits):
            got = f"logits of shape {tuple(logits.shape)} and inputs of shape {tuple(tensor.shape)}"
            raise error("E-SHAPE-01", function=function, needed="a logit for every input", got=got)
    if not (logits.requires_grad and all(tensor.requires_grad for tensor in inputs)):
        raise error("E-GRAD-01", function=function, tensor="inputs")
    gradients = torch.autograd.grad(logits.sum(), inputs, create_graph=True, allow_unused=True)
    found = [gradient for gradient in gradients if gradient is not None]
    if len(found) < len(gradients):
        raise error("E-GRAD-01", function=function, tensor="inputs")
    return found


def squared_norms(gradients: Sequence[Tensor]) -> Float[Tensor, " b"]:
    """‖g_b‖² of each sample, over all its numbers and all the tensors that make it up."""
    return torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients]).sum(0)


def half_mean_square(gradients: Sequence[Tensor]) -> Float[Tensor, ""]:
    """½ E_b ‖g_b‖², the value of R1 and R2."""
    return 0.5 * squared_norms(gradients).mean()


def _zero_centred(function: str, logits: Tensor, inputs: Tensor | Sequence[Tensor]) -> Tensor:
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    return half_mean_square(input_gradients(function, logits, given))


def r1(logits: Logits, inputs: Samples | Sequence[Tensor]) -> Float[Tensor, ""]:
    """Penalise the gradient of D on real samples: ½ E_b ‖∂f/∂x_b‖², unweighted.

    The factor ½ is the paper's. GAN_stability leaves it out: its reg_param of 10 is a weight of 20 here.

    Args:
        logits: (B, ...), unbounded, computed from `inputs`; summed over patches.
        inputs: (B, ...) with requires_grad on, or several such tensors that make up a sample. The square is summed over
            all axes but B.
    Returns: scalar, 0 or more, with a graph for the backward pass.
    Raises: ShapeError if the batch sizes differ; GradientError if the logits do not depend on `inputs`.
    Source: Mescheder, Geiger and Nowozin 2018, equation 9.
    """
    return _zero_centred("r1", logits, inputs)


def r2(logits: Logits, inputs: Samples | Sequence[Tensor]) -> Float[Tensor, ""]:
    """The same on fake samples: ½ E_b ‖∂f/∂G_b‖². Source: Mescheder, Geiger and Nowozin 2018, equation 10."""
    return _zero_centred("r2", logits, inputs)


def gradient_penalty(
    critic: Critic,
    real: Samples,
    fake: Samples,
    target: float = 1.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """E (‖∇f(x̂)‖₂ - target)² at x̂ = εx + (1 - ε)G, one ε ~ U[0, 1) per sample (per pack when packed).

    At target 2 and norm 4 the value is 4; some libraries divide by the target and get 1.

    Args:
        critic: From a batch like `real` to logits (B, ...).
        real: (B, ...). fake: (B, ...), of the same shape.
        target: The norm the critic should have; 0 gives the zero-centred penalty.
        generator: Where ε comes from.
    Returns: scalar, 0 or more; its gradient is finite where the norm is 0.
    Raises: ShapeError if real and fake differ in shape.
    Source: Gulrajani et al. 2017, equation 3.
    """
    epsilon = torch.rand(len(real), generator=generator, dtype=real.dtype).to(real.device)
    return norm_penalty(critic, between(real, fake, epsilon), target)


def between(real: Samples, fake: Samples, epsilon: Float[Tensor, " b"]) -> Samples:
    """εx + (1 - ε)G: one point on the line from each fake to its real sample. Shapes must be equal."""
    if real.shape != fake.shape:
        got = f"{tuple(real.shape)} and {tuple(fake.shape)}"
        raise error("E-SHAPE-01", function="gradient_penalty", needed="reals and fakes of equal shape", got=got)
    return torch.lerp(fake, real, epsilon.reshape(-1, *(1,) * (real.dim() - 1)))


def norm_penalty(critic: Critic, at: Samples, target: float = 1.0) -> Float[Tensor, ""]:
    """E (‖∇f‖₂ - target)² at given points, finite in value and gradient where the norm is 0."""
    points = leaf(at)
    squares = squared_norms(input_gradients("gradient_penalty", critic(points), [points]))
    # The square root has an infinite slope at 0. Where the norm is exactly 0 its subgradient 0 is taken instead.
    norms = torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)
    return (norms - target).square().mean()


def leaf(samples: Samples) -> Samples:
    """Samples that a gradient can be taken at: as they are where they carry a graph already (a look-ahead)."""
    return samples if samples.requires_grad else samples.detach().requires_grad_()


def clip_weights(module: nn.Module, bound: float) -> None:
    """Clamp every parameter to [-bound, bound], in place.

    Raises: UsageError if `bound` is not above 0.
    Source: Arjovsky, Chintala and Bottou 2017, algorithm 1.
    """
    if not bound > 0:
        raise error("E-ARG-01", reason=f"clip_weights needs a bound above 0, got {bound}")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.clamp_(-bound, bound)
