import io
import threading
from pathlib import Path

import pytest

from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.sources.gather import Gathering, in_threads
from cryodenoise.sources.journal import Journal
from cryodenoise.sources.listing import Announced, Reached, SourceFile


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


def test_a_file_of_another_length_than_announced_is_moved_aside_whoever_brought_it(tmp_path: Path) -> None:
    said, brought = io.StringIO(), []

    def bring(file: SourceFile, _: Reached) -> None:
        brought.append(file.name)
        (tmp_path / file.name).write_bytes(bytes(5))

    gathering = Gathering(
        place="there",
        files=[SourceFile("a.mrc", (), Announced(9, None))],
        bring=bring,
        kept=lambda _: 0,
        journal=Journal(tmp_path),
        raw_dir=tmp_path,
        console=Console(said),
        threads=1,
        stop=threading.Event(),
    )
    with pytest.raises(
        UserError, match=r"there: 1 of 1 file did not come, the first: a\.mrc: twice .*: 5 bytes, expected 9"
    ):
        gathering.run()
    assert brought == ["a.mrc", "a.mrc"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.mrc.rejected"]
