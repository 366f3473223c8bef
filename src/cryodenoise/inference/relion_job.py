"""What RELION's pipeline wants of a program that it ran as a job of type External.

https://relion.readthedocs.io/en/release-5.0/Reference/Using-RELION.html#the-external-job-type
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryodenoise.files import make_directory, write_atomically
from cryodenoise.inference.star_text import written

SUCCESS, FAILURE, NODES = "RELION_JOB_EXIT_SUCCESS", "RELION_JOB_EXIT_FAILURE", "RELION_OUTPUT_NODES.star"
OUTPUTS = "denoised"
"""Folder within the job's that gets the micrographs, since RELION's own files lie in the job's."""
_NODE_TYPE, _NODE_TYPE_LABEL = 1, "MicrographGroupMetadata.star.relion"


def begun(job_dir: Path) -> None:
    """Take away what an earlier run said of how it ended, which RELION would believe at once."""
    for name in (SUCCESS, FAILURE):
        (job_dir / name).unlink(missing_ok=True)


@contextmanager
def told(job_dir: Path, stars: Sequence[Path]) -> Iterator[None]:
    """Tell RELION how the block ended; the first of `stars`, as it is then, lists the job's micrographs."""
    make_directory(job_dir)
    begun(job_dir)
    ok = False
    try:
        yield
        ok = True
    finally:
        finished(job_dir, stars[0] if ok and stars else None, ok)


def finished(job_dir: Path, star_path: Path | None, ok: bool) -> None:
    """Tell RELION that the job is over; what it looks for comes last, when all else is there.

    Args:
        job_dir: The job's folder, as RELION named it: its nodes are called so, relative to the project folder.
        star_path: The STAR file with the job's micrographs, for the jobs after it; None where there is none.
        ok: Whether it succeeded.
    """
    begun(job_dir)
    if star_path is not None:
        # RELION 3.1 reads the number, later versions the label.
        text = (
            "\n# version 30001\n\ndata_output_nodes\n\nloop_\n_rlnPipeLineNodeName #1\n_rlnPipeLineNodeTypeLabel #2\n"
            f"_rlnPipeLineNodeType #3\n{written(str(star_path))} {_NODE_TYPE_LABEL} {_NODE_TYPE}\n\n"
        )
        write_atomically(job_dir / NODES, text.encode())
    write_atomically(job_dir / (SUCCESS if ok else FAILURE), b"")
