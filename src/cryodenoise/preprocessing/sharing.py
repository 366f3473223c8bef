"""Jobs shared among the processes of a run, and in each among its workers; what is done is noted in journals.

Process 0 claims the folder, the others join; all of them may be ended at any moment, and those that are run again go on
from the journals.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryodenoise.claims import MARKER_NAME
from cryodenoise.config.schema import Schema
from cryodenoise.console import Console
from cryodenoise.dataset.layout import DOCUMENT_NAME
from cryodenoise.dataset.writer import append_journal, mend_journal, read_journals
from cryodenoise.errors import UserError
from cryodenoise.preprocessing.workers import work_off
from cryodenoise.ranks import Rank, wait_until


class Line(Schema):
    """One line of a journal: a job that is done."""

    number: int
    """Which job, in order of the micrographs' names."""


L = TypeVar("L", bound=Line)


class AllDoneError(Exception):
    """The other processes have finished the work."""


@dataclass(frozen=True)
class Site:
    """Where the work is done, and by whom.

    Attributes:
        data_dir: The claimed folder.
        rank: This process among those that share the work.
        console: Takes what there is to say.
    """

    data_dir: Path
    rank: Rank
    console: Console

    def wait_until(self, reached: Callable[[], bool], sign_of_life: Callable[[], object], waiting_for: str) -> None:
        """Wait for the other processes.

        Raises:
            AllDoneError: If they have finished the work.
            UserError: If one of them gave it up, or nothing happens any more.
        """
        marker = self.data_dir / MARKER_NAME
        wait_until(lambda: reached() or not marker.exists(), sign_of_life, waiting_for)
        self.require_under_way()

    def require_under_way(self) -> None:
        """Raise what `wait_until` does if the work is no longer under way."""
        if (self.data_dir / DOCUMENT_NAME).exists():
            raise AllDoneError
        if not (self.data_dir / MARKER_NAME).exists():
            raise UserError(
                f"{self.data_dir}: another process of this run gave up: see what it says, mend that and run all again"
            )


@dataclass(frozen=True)
class Work:
    """Jobs of one kind.

    Attributes:
        label: What the progress is called.
        part: Name of the journals; empty for the plain ones.
        function: What does a job; called in a worker.
        jobs: Its arguments, for each job.
        is_valid: Whether a line of a journal still tells of its job.
        requirement: Makes a function that is called with each line once, in any order; it raises to end the work.
    """

    label: str
    part: str
    function: Callable[..., Any]
    jobs: Sequence[tuple[Any, ...]]
    is_valid: Callable[[Any], bool] = lambda _: True
    requirement: Callable[[], Callable[[Any], object]] = lambda: lambda _: None


def noted(kind: type[L], work: Work, site: Site) -> dict[int, L]:
    """What the journals hold, by number."""
    lines = map(kind.model_validate_json, read_journals(site.data_dir, work.part))
    return {line.number: line for line in lines if work.is_valid(line)}


def share_out(kind: type[L], work: Work, workers: int, site: Site) -> None:
    """Do this process's share of the jobs that are not noted yet, and note each when it is done."""
    rank, console = site.rank, site.console
    mend_journal(site.data_dir, rank.rank, work.part)
    done = noted(kind, work, site)
    require = work.requirement()
    for line in done.values():
        require(line)
    site.require_under_way()  # else the journals may have been removed
    share = [number for number in range(len(work.jobs)) if number % rank.world == rank.rank]
    todo = [number for number in share if number not in done]
    if len(todo) < len(share):
        console.say(f"{work.label}: going on after {len(share) - len(todo)} of {len(share)} micrographs")
    try:
        with (
            console.progress(work.label, len(share), "micrographs", done=len(share) - len(todo)) as advance,
            closing(work_off(work.function, [work.jobs[number] for number in todo], workers)) as results,
        ):
            for line in results:
                require(line)
                append_journal(site.data_dir, rank.rank, line.model_dump_json(), work.part)
                advance(1)
    except FileNotFoundError as error:
        site.require_under_way()
        raise UserError(
            f"{error.filename}: removed under way, likely as another process of this run gave up: see what it "
            "says, mend that and run all again"
        ) from error


def all_noted(kind: type[L], work: Work, site: Site) -> list[L]:
    """What all processes together have done, in the order of the jobs, as soon as that is everything."""
    site.wait_until(
        lambda: len(noted(kind, work, site)) == len(work.jobs),
        lambda: len(read_journals(site.data_dir, work.part)),
        "the other processes' micrographs",
    )
    done = noted(kind, work, site)
    if len(done) < len(work.jobs):
        site.require_under_way()
    require = work.requirement()
    for number in sorted(done):
        require(done[number])
    return [done[number] for number in range(len(work.jobs))]
