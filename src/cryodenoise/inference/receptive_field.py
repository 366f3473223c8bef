"""How far a network looks, and which shifts it does not notice: measured, since its code may be anyone's.

A pixel that is NaN makes all NaN that is computed from it: sums, products, maxima and ReLU pass it on, whatever the
weights are. (Fast algorithms of convolution may take it some pixels further: then halos are wider than they need be.)
Code can hide it, though, so what NaN tells is held against parts of an image, computed alone.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cryodenoise.baselines.baseline import Denoise
from cryodenoise.errors import UserError

_MULTIPLES_PX = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_LENGTHS_PX = (128, 512, 1024)
"""Of images that NaN is put into the middle of: it must not get to their ends."""
_CUT_PX = 256  # what parts of an image lack on either side
_WIDTH_PX = 32  # enough for a network's padding, little to compute
_TOLERANCE = 1e-5  # of the range, for sums in another order


def multiple_px(module: nn.Module, name: str) -> int:
    """The smallest power of two, up to 64, that sides and shifts of images must be multiples of.

    It takes images whose sides are odd multiples of it, and what comes out does not change, away from the edges, where
    the image is shifted by an odd multiple. Where the whole image is looked at, or no shift is without effect, it is
    the smallest whose sides are taken.

    Args:
        module: On the processor, in evaluation mode.
        name: Its name, for messages.

    Raises:
        UserError: If it takes no such sides.
    """
    taken = [multiple for multiple in _MULTIPLES_PX if _takes(module, multiple)]
    if not taken:
        raise UserError(
            f"model: {name}: found a network that takes none of the sides tried, odd multiples of 1, 2, 3, 4, "
            "6, …, 128 pixels, expected one for images of many sizes: mend it"
        )
    for multiple in taken:
        reach = _reach_of_nan(module, multiple)
        if reach is None:
            break
        if is_the_same_in_parts(module, multiple, reach):
            return multiple
    return taken[0]


def reach_px(module: nn.Module, multiple_px: int) -> int | None:
    """The furthest that an output pixel depends on, along rows or columns, counted from the pixel itself.

    Args:
        module: On the processor, in evaluation mode.
        multiple_px: The sides of images are multiples of it, and shifts by it change nothing.

    Returns:
        None where it is without limit, beyond 500 pixels, or where an output pixel depends on its place in the image.
    """
    reach = _reach_of_nan(module, multiple_px)
    return reach if reach is not None and is_the_same_in_parts(module, multiple_px, reach) else None


class _Probe(NamedTuple):
    """A denoiser that is given images which are long in one direction."""

    module: Denoise
    turned: bool

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """Denoise an image of shape (length, width), turned for the network and back again."""
        turned = image.T if self.turned else image
        denoised: Tensor = self.module(turned[None, None].clone(memory_format=torch.contiguous_format))[0, 0]
        return denoised.T if self.turned else denoised


def _odd_multiple(multiple: int, at_least_px: int) -> int:
    return multiple * (-(-at_least_px // multiple) | 1)


def _random(length_px: int, width_px: int) -> Tensor:
    return torch.rand(length_px, width_px, generator=torch.Generator().manual_seed(length_px))


@torch.inference_mode()
def _takes(module: nn.Module, multiple: int) -> bool:
    height = _odd_multiple(multiple, _WIDTH_PX)
    image = _random(height, height + 2 * multiple)[None, None]
    try:
        denoised = module(image.clone())
    except Exception:  # noqa: BLE001  that is the question
        return False
    return isinstance(denoised, Tensor) and denoised.shape == image.shape


def _reach_of_nan(module: nn.Module, multiple: int) -> int | None:
    """The furthest that NaN gets; None if it gets everywhere."""
    reaches = [_reach_along(_Probe(module, turned), multiple) for turned in (False, True)]
    return None if None in reaches else max(reach for reach in reaches if reach is not None)


def _reach_along(probe: _Probe, multiple: int) -> int | None:
    lengths = [_odd_multiple(multiple, length) for length in _LENGTHS_PX]
    longest = lengths[-1]
    for length in lengths:
        middle = length // 2 // multiple * multiple
        lost = {row: _rows_lost(probe, row, length, multiple) for row in range(middle, middle + multiple)}
        if any(rows and (rows[0] == 0 or rows[-1] == length - 1) for rows in lost.values()):
            continue
        reach = max(_furthest(row, rows) for row, rows in lost.items())
        # It may leap beyond the ends (dilation), or from one end to the other (circular padding).
        distant = (0, longest // 2, longest - 1)
        if all(_furthest(row, _rows_lost(probe, row, longest, multiple)) <= reach for row in distant):
            return reach
    return None


def _rows_lost(probe: _Probe, row: int, length: int, multiple: int) -> list[int]:
    """The rows that NaN gets to from all of one row, in which it has all places of columns."""
    image = _random(length, _odd_multiple(multiple, _WIDTH_PX))
    image[row] = torch.nan
    lost: list[int] = probe(image).isnan().any(dim=1).nonzero().flatten().tolist()
    return lost


def _furthest(row: int, lost: list[int]) -> int:
    return max(row - lost[0], lost[-1] - row) if lost else 0  # none where NaN is hidden


def is_the_same_in_parts(module: Denoise, multiple: int, reach: int) -> bool:
    """Whether the middle of an image is denoised alike without what is beyond the reach, which is far brighter.

    Args:
        module: A network, or anything else that maps images of shape (1, 1, h, w) to as many.
        multiple: Sides are multiples of it.
        reach: In pixels.
    """
    halo = -(-reach // multiple) * multiple
    cut = _odd_multiple(multiple, _CUT_PX)
    part_length = 2 * halo + _odd_multiple(multiple, _WIDTH_PX // 4)
    image = _random(part_length + 2 * cut, _odd_multiple(multiple, _WIDTH_PX))
    for beyond in (image[:cut], image[-cut:]):
        beyond.mul_(3).add_(1)
    for turned in (False, True):
        probe = _Probe(module, turned)
        whole, part = probe(image)[cut:-cut], probe(image[cut:-cut])
        core = slice(halo, part_length - halo)
        tolerance = _TOLERANCE * float(whole.max() - whole.min())
        if not torch.allclose(part[core], whole[core], rtol=0, atol=tolerance):
            return False
    return True
