"""Finding the one parameter of a baseline."""

import math
from collections.abc import Callable

_SECTION = (3 - math.sqrt(5)) / 2


def lowest(error: Callable[[float], float], low: float, high: float, points: int, precision: float = 0.01) -> float:
    """The parameter with the lowest error: a coarse grid, then golden sections (Kiefer 1953) around its best point.

    If that is an end of the grid, the grid goes on beyond it, once, by half as many points; should it again be the end,
    the sections are between it and its only neighbour. The parameters tried follow from the errors alone.

    Args:
        error: Of a parameter.
        low: Where the grid begins; above 0.
        high: Where it ends.
        points: Of the grid, at least 2, each the same factor above the one before.
        precision: The sections end between two parameters whose ratio is at most 1 + precision.

    Returns:
        Of all parameters that were tried, the best; the smallest of equals on the grid.
    """
    step = math.log(high / low) / (points - 1)
    tried: dict[float, float] = {}

    def at(place: float) -> float:
        if place not in tried:
            tried[place] = error(math.exp(place))
        return tried[place]

    grid = [math.log(low) + step * number for number in range(points)]
    best = min(grid, key=at)
    if best in (grid[0], grid[-1]):
        onward = step if best == grid[-1] else -step
        grid = sorted(grid + [best + onward * number for number in range(1, points // 2 + 1)])
        best = min(grid, key=at)
    number = grid.index(best)
    left, right = grid[max(number - 1, 0)], grid[min(number + 1, len(grid) - 1)]
    while right - left > math.log1p(precision):
        above = right - best > best - left
        probe = best + _SECTION * ((right if above else left) - best)
        if at(probe) < at(best):
            left, right = (best, right) if above else (left, best)
            best = probe
        else:
            left, right = (left, probe) if above else (probe, right)
    return math.exp(best)
