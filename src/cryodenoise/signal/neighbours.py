"""How alike neighbouring pixels are: what tells white noise from noise that was smoothed, binned or interpolated."""

import numpy as np

_ROUNDING = 1e-12  # a variance that is less of the mean square is what sums leave of equal values


def neighbour_correlation(image: np.ndarray) -> float:
    """Pearson correlation of pixels next to each other along rows, summed in float64 without a float64 copy.

    Rows are independent of each other: patches of one width may be given one above the other.

    Args:
        image: float32, shape (h, w), of a normalised image: a mean far above the spread would cost digits.

    Returns:
        A value in [−1, 1]; 0 where pixels do not vary or have no neighbours.
    """
    if image.shape[1] < 2:
        return 0.0
    left, right = image[:, :-1], image[:, 1:]
    pairs = left.size
    means = [float(side.mean(dtype=np.float64)) for side in (left, right)]
    square = _sum_of_products(image, image)
    squares = [(square - _sum_of_products(edge, edge)) / pairs for edge in (image[:, -1:], image[:, :1])]
    variances = [each - mean * mean for each, mean in zip(squares, means, strict=True)]
    if any(variance <= _ROUNDING * each for variance, each in zip(variances, squares, strict=True)):
        return 0.0
    covariance = _sum_of_products(left, right) / pairs - means[0] * means[1]
    return float(min(max(covariance / (variances[0] * variances[1]) ** 0.5, -1.0), 1.0))


def _sum_of_products(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.einsum("ij,ij->", first, second, dtype=np.float64))
