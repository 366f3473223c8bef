"""What training makes small: differences of denoised images and targets, a number a sample."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from cryodenoise.config.run_files import PairsKind
from cryodenoise.config.training import ObjectiveParameters
from cryodenoise.errors import UserError

_PIXEL_TERMS: dict[str, Callable[..., Tensor]] = {"mse": functional.mse_loss, "l1": functional.l1_loss}


def losses(parameters: ObjectiveParameters) -> Callable[[Tensor, Tensor], Tensor]:
    """The objective as a function of denoised images and targets.

    It takes two tensors of shape (n, 1, h, w) and any floating type, and returns float32 of shape (n,): each sample's
    loss, so that a mean over a batch, or over parts of it, is a mean over samples.
    """
    pixel_term, weight = _PIXEL_TERMS[parameters.name], parameters.fourier_amplitude_weight

    def of(denoised: Tensor, target: Tensor) -> Tensor:
        denoised, target = denoised.float(), target.float()
        values = pixel_term(denoised, target, reduction="none").mean(dim=(1, 2, 3))
        return values + weight * amplitude_difference(denoised, target) if weight else values

    return of


def amplitude_difference(denoised: Tensor, target: Tensor) -> Tensor:
    """Mean over all frequencies of (|F(denoised)| − |F(target)|)², where F is the orthonormal Fourier transform.

    In the units of a mean squared error, which it never exceeds: moduli differ by no more than the numbers
    themselves, and squares add up to the same sum on both sides of F (Parseval). Its gradient is finite everywhere;
    where F(denoised) is zero, PyTorch takes that of the modulus to be zero.

    Args:
        denoised: Shape (n, 1, h, w), float32 or float64.
        target: Likewise.

    Returns:
        Shape (n,).
    """
    height, width = denoised.shape[-2:]
    difference = torch.fft.rfft2(denoised, norm="ortho").abs() - torch.fft.rfft2(target, norm="ortho").abs()
    # Frequencies ±kx have the same moduli; 0, and of an even width the highest, stand alone.
    times = torch.full((width // 2 + 1,), 2.0, dtype=difference.dtype, device=difference.device)
    times[0] = 1
    if width % 2 == 0:
        times[-1] = 1
    values: Tensor = (difference.square() * times).sum(dim=(1, 2, 3)) / (height * width)
    return values


def require_suits(parameters: ObjectiveParameters, pairs: PairsKind, place: str) -> list[str]:
    """Refuse an objective that would teach the noise of the targets.

    Args:
        parameters: The objective.
        pairs: What the dataset's inputs and targets are.
        place: Where the objective stands, for the message: `run/train.yaml: objective`.

    Returns:
        Sentences that a reader of the results must know.

    Raises:
        UserError: If the moduli of noisy targets are asked for: noise adds to a modulus and does not average out.
    """
    if pairs != "halves":
        return []
    if weight := parameters.fourier_amplitude_weight:
        raise UserError(
            f"{place}.fourier_amplitude_weight: found {weight:g} with pairs of kind `halves`, expected 0, since noise "
            "adds to the moduli of the targets and the network would learn to add it: remove the key, or preprocess "
            "pairs of another kind"
        )
    if parameters.name == "l1":
        return [
            "The objective l1 on halves learns the median of a noisy half, which is not its mean where the noise is "
            "skewed, as that of electron counts is."
        ]
    return []
