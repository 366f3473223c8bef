"""Several processes that share a task, on one machine or several with a common file system.

`torchrun` tells each its place in RANK and WORLD_SIZE; under Slurm a job script sets them. They agree by files alone.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryodenoise.errors import UserError

PATIENCE_S = 600.0
POLL_S = 0.2


@dataclass(frozen=True)
class Rank:
    """This process among those that share the work.

    Attributes:
        rank: Its number; 0 prepares the work and finishes it.
        world: How many there are.
        local_world: How many of them are on this machine.
        local_rank: Its number among these, and so of its GPU.
    """

    rank: int = 0
    world: int = 1
    local_world: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether it prepares the work and finishes it."""
        return self.rank == 0


def of_environment(variables: Mapping[str, str] = os.environ) -> Rank:
    """The place that a launcher gave this process; alone without one.

    Raises:
        UserError: If RANK and WORLD_SIZE are not a place and a number of processes.
    """
    given = {name: variables.get(name) for name in ("RANK", "WORLD_SIZE")}
    if given["RANK"] is None and given["WORLD_SIZE"] is None:
        return Rank()
    try:
        rank, world = int(given["RANK"] or ""), int(given["WORLD_SIZE"] or "")
        local_world = int(variables.get("LOCAL_WORLD_SIZE") or 1)
        local_rank = int(variables.get("LOCAL_RANK") or rank % max(local_world, 1))
    except ValueError:
        rank, world, local_world, local_rank = 0, 0, 0, 0
    among = local_world if variables.get("LOCAL_WORLD_SIZE") else world
    if not 0 <= rank < world or not 1 <= local_world <= world or not 0 <= local_rank < among:
        given |= {name: variables[name] for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE") if name in variables}
        found = ", ".join(f"{name}={value}" for name, value in given.items())
        raise UserError(
            f"environment: found {found}, expected a number of processes and one of 0 to that less 1: unset both, or "
            "let torchrun or a job script set them"
        )
    return Rank(rank, world, local_world, local_rank)


def wait_until(
    reached: Callable[[], bool],
    sign_of_life: Callable[[], object],
    waiting_for: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for other processes, as long as something changes.

    Args:
        reached: Whether to go on.
        sign_of_life: A value that changes while the others work.
        waiting_for: What is waited for, in words.
        clock: Seconds.
        sleep: Waits for seconds.

    Raises:
        UserError: If nothing changed for PATIENCE_S.
    """
    seen, since_s = sign_of_life(), clock()
    while not reached():
        sleep(POLL_S)
        if (now := sign_of_life()) != seen:
            seen, since_s = now, clock()
        elif clock() - since_s > PATIENCE_S:
            raise UserError(
                f"waited {PATIENCE_S / 60:.0f} minutes for {waiting_for}: see what the other processes say, and run "
                "all of them again to go on"
            )
