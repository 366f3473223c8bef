"""Work spread over processes that end with this one."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from cryodenoise.errors import UserError
from cryodenoise.interruption import held_back

Result = TypeVar("Result")


def work_off(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], workers: int
) -> Generator[Result, None, None]:
    """Call a function with the arguments of each job; results as they come, in no particular order.

    With one worker or one job it is this process that works.

    Raises:
        UserError: If a worker was ended from outside.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from (function(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    life, keep_alive = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_serve, initargs=(life,))
    try:
        with held_back():  # and, for good, in the workers that start here
            pending = {pool.submit(function, *job) for job in jobs}
        for future in as_completed(pending):
            yield future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise UserError(
            f"workers: one of {workers} processes was ended from outside, often for lack of memory: set fewer in the "
            "run file and run again"
        ) from error
    finally:
        keep_alive.close()
        pool.shutdown(cancel_futures=True)
        life.close()


def _serve(life: Connection) -> None:
    """In a worker: end at once when the parent stops holding the other end of `life`; signals are the parent's.

    The kernel lets go of that end whatever way the parent ends, so no worker outlives a killed parent.
    """

    def end_with_parent() -> None:
        life.poll(None)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
