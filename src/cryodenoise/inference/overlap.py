"""Work of three kinds on one thing after another, such that the kinds overlap: reading, computing, writing."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Content = TypeVar("Content")
Result = TypeVar("Result")

IN_FLIGHT = 3
"""Jobs whose contents or results are in memory at a time: one is read, one is computed, one is written."""


def overlapped(
    jobs: Sequence[Job],
    read: Callable[[Job], Content],
    compute: Callable[[Job, Callable[[], Content]], Result | None],
    write: Callable[[Job, Result], None],
) -> None:
    """Do all jobs, the next being read and the one before being written while one is computed in this thread.

    Args:
        jobs: What is to be done, in this order.
        read: Runs in a thread of its own.
        compute: Gets the job and a function that gives what was read, or raises what `read` raised; None writes
            nothing.
        write: Runs in a thread of its own, in the order of the jobs.

    Raises:
        Exception: The first that a function raises and `compute` does not catch; what is being written is finished
            first.
    """
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        coming = [reader.submit(read, job) for job in jobs[:1]]
        writing: Future[None] | None = None
        for number, job in enumerate(jobs):
            current = coming.pop()
            current.exception()  # waits: else two would be read while one is computed
            coming.extend(reader.submit(read, following) for following in jobs[number + 1 : number + 2])
            result = compute(job, current.result)
            del current  # and with it what was read
            if writing:
                writing.result()
            writing = None if result is None else writer.submit(write, job, result)
            del result
        if writing:
            writing.result()
