import threading

import pytest

from cryodenoise.sources.gather import in_threads


def test_every_job_gets_its_result_or_its_error() -> None:
    def work(job: int) -> int:
        if job % 3 == 0:
            raise ValueError(str(job))
        return job * job

    results = dict(in_threads(work, list(range(50)), 4, threading.Event()))
    assert sorted(results) == list(range(50))
    assert all(str(result) == str(job) if job % 3 == 0 else result == job * job for job, result in results.items())


@pytest.mark.parametrize(("threads", "jobs"), [(1, 5), (5, 1), (3, 0)])
def test_any_number_of_threads_serves_any_number_of_jobs(threads: int, jobs: int) -> None:
    assert dict(in_threads(str, list(range(jobs)), threads, threading.Event())) == {n: str(n) for n in range(jobs)}


def test_leaving_early_starts_no_further_job() -> None:
    stop, begun = threading.Event(), list[int]()

    def work(job: int) -> None:
        begun.append(job)
        if job == 1:
            stop.wait()

    results = in_threads(work, list(range(1000)), 1, stop)
    next(results)
    results.close()
    assert stop.is_set()
    assert begun in ([0], [0, 1])
