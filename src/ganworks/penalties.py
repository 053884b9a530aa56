"""What keeps the discriminator smooth. Every function returns the unweighted scalar; the objective applies the weight.

Two forms: on logits already computed from an input that requires a gradient (one forward pass shared with the loss), or
on a `critic`, any callable from a batch to logits. The logits of patch outputs are summed before the gradient is taken.
Below, f is the logit, D = σ(f), x a real sample and G a fake one, ∇f the slope of f with respect to the sample, E or
E_b the mean over a batch.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

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


def _slopes(function: str, logits: Tensor, inputs: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return input_gradients(function, logits, [inputs] if isinstance(inputs, Tensor) else list(inputs))


def _same_shape(function: str, logits: Tensor, others: Tensor) -> None:
    """Refuse what broadcasting would make into a wrong number: (B,) against (B, 1), or unequal batches."""
    if logits.shape != others.shape or logits.dim() == 0:
        got = f"{tuple(logits.shape)} and {tuple(others.shape)}"
        raise error("E-SHAPE-01", function=function, needed="a logit for every sample, of equal shape", got=got)


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
    return half_mean_square(_slopes("r1", logits, inputs))


def r2(logits: Logits, inputs: Samples | Sequence[Tensor]) -> Float[Tensor, ""]:
    """The same on fake samples: ½ E_b ‖∂f/∂G_b‖². Source: Mescheder, Geiger and Nowozin 2018, equation 10."""
    return half_mean_square(_slopes("r2", logits, inputs))


def finite_difference(
    critic: Critic, inputs: Samples, scale: float, generator: torch.Generator | None = None
) -> Float[Tensor, ""]:
    """R1 or R2 without a second derivative: ½ E_b (f(x + σn) - f(x))² / σ², one n ~ N(0, I) a sample.

    Its expectation is R1's where f is linear, and tends to R1's as σ → 0. Do not take σ below 1e-3 in float32: f's
    rounding errors are divided by it.

    Args:
        critic: From a batch like `inputs` to logits (B, ...), summed over patches. It is called twice.
        inputs: (B, ...), real or fake.
        scale: σ, above 0, in the units of `inputs`.
        generator: Where n comes from.
    Returns: scalar, 0 or more.
    Raises: UsageError if `scale` is not above 0.
    Source: E (n·g)² = ‖g‖² for n ~ N(0, I), with g·n ≈ (f(x + σn) - f(x)) / σ.
    """
    noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype).to(inputs.device)
    return squared_difference(critic(inputs), critic(inputs + scale * noise), scale)


def squared_difference(logits: Logits, moved_logits: Logits, scale: float) -> Float[Tensor, ""]:
    """½ E_b (Σ f(x + σn) - Σ f(x))² / σ², the value of `finite_difference`, from logits already there.

    Raises: ShapeError if the shapes differ; UsageError if `scale` is not above 0.
    """
    _same_shape("finite_difference", logits, moved_logits)
    if not scale > 0:
        raise error("E-ARG-01", reason=f"finite_difference needs a scale above 0, got {scale}")
    slopes = (moved_logits - logits).reshape(len(logits), -1).sum(1) / scale
    return 0.5 * slopes.square().mean()


def roth(
    real_logits: Logits, real: Samples | Sequence[Tensor], fake_logits: Logits, fake: Samples | Sequence[Tensor]
) -> Float[Tensor, ""]:
    """½ (E (1 - D(x))² ‖∇f(x)‖² + E D(G)² ‖∇f(G)‖²), with the gradient of the logit, not of the probability.

    At the optimal D, weight γ adds to the cross entropy what instance noise of variance γ adds, up to O(γ²). The paper
    writes the ½ outside: its γ is the weight here.

    Args:
        real_logits, fake_logits: (B, ...), of equal shape.
        real, fake: (B, ...) with requires_grad on, or several tensors that make up a sample, as in `r1`.
    Returns: scalar, 0 or more. Gradient flows through the slopes and through the weights (1 - D)² and D².
    Raises: ShapeError if sizes differ; GradientError if logits do not depend on their input.
    Source: Roth, Lucchi, Nowozin and Hofmann 2017, section 3 and algorithm 1.
    """
    slopes = _slopes("roth", real_logits, real), _slopes("roth", fake_logits, fake)
    return weighted_half_mean_square(real_logits, fake_logits, *slopes)


def weighted_half_mean_square(
    real_logits: Logits, fake_logits: Logits, real_slopes: Sequence[Tensor], fake_slopes: Sequence[Tensor]
) -> Float[Tensor, ""]:
    """The value of `roth` from ∂ Σ f / ∂ inputs already computed with `create_graph`.

    On patches the slope is that of their sum, and its weight the mean of the patches' (1 - D)² or D².
    """
    _same_shape("roth", real_logits, fake_logits)
    doubt = torch.sigmoid(-real_logits), torch.sigmoid(fake_logits)
    weights = [probability.square().reshape(len(probability), -1).mean(1) for probability in doubt]
    sides = zip(weights, (real_slopes, fake_slopes), strict=True)
    return 0.5 * torch.stack([(weight * squared_norms(slopes)).mean() for weight, slopes in sides]).sum()


def consistency(logits: Logits, other_logits: Logits) -> Float[Tensor, ""]:
    """E (f(x) - f(Tx))² over samples and patches, T a change that should mean nothing; both sides carry gradient.

    Raises: ShapeError if the shapes differ.
    Source: Zhang, Zhang, Odena and Lee 2020, section 3.
    """
    _same_shape("consistency", logits, other_logits)
    return (logits - other_logits).square().mean()


def lecam(
    real_logits: Logits, fake_logits: Logits, average_real: float | Tensor, average_fake: float | Tensor
) -> Float[Tensor, ""]:
    """E relu(f(x) - ā_fake)² + E relu(ā_real - f(G))², over samples and patches.

    The paper writes E (f(x) - ā_fake)² + E (f(G) - ā_real)²; the relu is that of the authors' code.

    Args:
        real_logits, fake_logits: (B, ...), of equal shape.
        average_real, average_fake: Running means of D's logits on reals and on fakes, one number each.
    Raises: ShapeError if the logits' shapes differ, or an average is not one number.
    Source: Tseng, Jiang, Liu, Yang and Yang 2021, section 3.
    """
    _same_shape("lecam", real_logits, fake_logits)
    for average in (average_real, average_fake):
        if isinstance(average, Tensor) and average.dim():
            got = f"an average of shape {tuple(average.shape)}"
            raise error("E-SHAPE-01", function="lecam", needed="one number for each average", got=got)
    above, below = torch.relu(real_logits - average_fake), torch.relu(average_real - fake_logits)
    return above.square().mean() + below.square().mean()


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


def dragan(critic: Critic, real: Samples, generator: torch.Generator | None = None) -> Float[Tensor, ""]:
    """E (‖∇f‖₂ - 1)² at x + ε·½·std(batch)·u, near the data rather than between data and fakes.

    Args:
        critic: From a batch like `real` to logits (B, ...).
        real: (B, ...), with more than one number in all.
        generator: Where ε ~ U[0, 1), one per sample, and then u ~ U[0, 1), one per number, come from.
    Returns: scalar, 0 or more.
    Source: Kodali, Abernethy, Hays and Kira 2017, algorithm 1; u, ε and ½·std are those of the authors' code, where the
        paper has normal noise.
    """
    epsilon = torch.rand(len(real), generator=generator, dtype=real.dtype).to(real.device)
    noise = torch.rand(real.shape, generator=generator, dtype=real.dtype).to(real.device)
    return norm_penalty(critic, around(real, epsilon, noise), function="dragan")


def around(real: Samples, epsilon: Float[Tensor, " b"], noise: Samples) -> Samples:
    """x + ε·½·std·u, with std over all numbers of the batch at once, not one of each feature."""
    return real + 0.5 * real.std() * epsilon.reshape(-1, *(1,) * (real.dim() - 1)) * noise


def norm_penalty(
    critic: Critic, at: Samples, target: float = 1.0, function: str = "gradient_penalty"
) -> Float[Tensor, ""]:
    """E (‖∇f‖₂ - target)² at given points, finite in value and gradient where the norm is 0.

    Errors are told in the name of `function`.
    """
    points = leaf(at)
    squares = squared_norms(input_gradients(function, critic(points), [points]))
    # The square root has an infinite slope at 0. Where the norm is exactly 0 its subgradient 0 is taken instead.
    norms = torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)
    return (norms - target).square().mean()


def leaf(samples: Samples) -> Samples:
    """Samples that a gradient can be taken at: as they are where they carry a graph already (a look-ahead)."""
    return samples if samples.requires_grad else samples.detach().requires_grad_()


def orthogonal(module: nn.Module) -> Float[Tensor, ""]:
    """½ Σ_W ‖WWᵀ∘(1 - I)‖²_F: the filters of a layer should point in different directions, whatever their lengths.

    Every parameter with two axes or more counts, embeddings too, flattened to (out, rest); biases and vectors do not.
    A transposed convolution has its outputs in axis 1. Normalised weights count as the layer uses them.

    Returns: scalar, 0 or more; 0 for a module without such weights.
    Source: Brock, Donahue and Simonyan 2019, section 3.1 (R_β without its β), with the ½ of its gradient in their code.
    """
    # By identity: a weight that two layers share counts once.
    found = {id(weight): (weight, groups) for weight, groups in _weights(module) if weight.dim() > 1}
    matrices = [output_rows(weight, groups) for weight, groups in found.values()]
    return sum(map(_off_diagonal, matrices), torch.zeros(()))


def _off_diagonal(rows: Float[Tensor, "out rest"]) -> Float[Tensor, ""]:
    """½ of all squares of WWᵀ off its diagonal."""
    if len(rows) > rows.shape[1]:
        # ‖WWᵀ‖ = ‖WᵀW‖, which is smaller here: a layer from few numbers to a picture has thousands of rows.
        lengths = rows.square().sum(1)
        return torch.relu((rows.T @ rows).square().sum() - lengths.square().sum()) / 2
    # The product is symmetric: half of them are those above it.
    return torch.triu(rows @ rows.T, 1).square().sum()


def _weights(module: nn.Module) -> Iterator[tuple[Tensor, int]]:
    """Every parameter with its layer's `transposed_groups`; instead of what a weight is computed from, the weight."""
    for layer in module.modules():
        if not isinstance(layer, ParametrizationList):
            own = [name for name, _ in layer.named_parameters(recurse=False)]
            for name in (*own, *getattr(layer, "parametrizations", ())):
                yield getattr(layer, name), transposed_groups(layer)


def transposed_groups(layer: nn.Module) -> int:
    """The groups of a transposed convolution, whose weight has the outputs in axis 1; 0 for any other layer."""
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return layer.groups
    return 0


def output_rows(weight: Float[Tensor, "..."], groups: int = 0) -> Float[Tensor, "out rest"]:
    """A layer's weight as a matrix with one row for each output. groups: see `transposed_groups`."""
    if groups:
        weight = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
    return weight.flatten(1)


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
