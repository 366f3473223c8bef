"""Where particles lie: at random, and none over another."""

import math
from collections import defaultdict
from itertools import product

import numpy as np

from cryodenoise.errors import UserError

MOST_COVERED = 0.4
"""Share of the area that discs about the particles may cover; random placing gets stuck at 0.547
(Feder, J. Theor. Biol. 87, 237 (1980))."""
_MOST_TRIES = 20_000


def place(
    rng: np.random.Generator, radii: np.ndarray, box: tuple[float, float, float, float],
    hole: tuple[float, float, float, float] | None = None, taken: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:  # fmt: skip
    """Centres for discs of these radii, one after the other: each where there is room, uniformly (random sequential).

    Args:
        rng: The source of the draws.
        radii: Of the discs, shape (n,).
        box: Top, left, bottom and right of the area of the centres, in the unit of the radii.
        hole: An area within that no centre may lie in.
        taken: Centres (m, 2) and radii (m,) of discs that are there already.

    Returns:
        (y, x) of each, shape (n, 2).

    Raises:
        UserError: If one finds no room.
    """
    centres, sizes = (np.empty((0, 2)), np.empty(0)) if taken is None else taken
    placed = [(float(y), float(x), float(radius)) for (y, x), radius in zip(centres, sizes, strict=True)]
    known, step = len(placed), 2 * max((*radii, *sizes), default=1.0)  # discs that touch lie in neighbouring cells
    cells: dict[tuple[int, int], list[tuple[float, float, float]]] = defaultdict(list)
    for disc in placed:
        cells[int(disc[0] // step), int(disc[1] // step)].append(disc)
    for radius in map(float, radii):
        tries = 0
        while True:
            y, x = (float(each) for each in rng.uniform(box[:2], box[2:]))
            if hole and hole[0] <= y < hole[2] and hole[1] <= x < hole[3]:
                continue
            row, column = int(y // step), int(x // step)
            near = (cells.get(cell, ()) for cell in product(range(row - 1, row + 2), range(column - 1, column + 2)))
            if all(math.hypot(y - disc[0], x - disc[1]) >= radius + disc[2] for discs in near for disc in discs):
                break
            tries += 1
            if tries == _MOST_TRIES:
                raise UserError(
                    f"synthetic.specimen: {len(placed) - known} of {len(radii)} particles found room without overlap: "
                    "ask for fewer"
                )
        placed.append((y, x, radius))
        cells[row, column].append(placed[-1])
    return np.array([disc[:2] for disc in placed[known:]]).reshape(-1, 2)
