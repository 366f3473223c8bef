from pathlib import Path

import numpy as np
import pytest

from cryodenoise import micrographs
from cryodenoise.inference import star_text
from cryodenoise.inference.inputs import gather
from cryodenoise.inference.relion_job import begun, finished
from cryodenoise.inference.star import write_star
from cryodenoise.micrographs import mrc
from cryodenoise.micrographs.faithful import naming, write_denoised


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's folder, named as RELION names it, in the project folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("External/job004")
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(("ok", "name"), [(True, "RELION_JOB_EXIT_SUCCESS"), (False, "RELION_JOB_EXIT_FAILURE")])
def test_relion_learns_how_a_job_ended(job: Path, ok: bool, name: str) -> None:
    finished(job, None, not ok)
    finished(job, job / "micrographs.star", ok)
    assert sorted(path.name for path in job.iterdir()) == [name, "RELION_OUTPUT_NODES.star"]
    assert (job / name).read_bytes() == b""


def test_the_micrographs_are_a_node_of_the_pipeline(job: Path) -> None:
    finished(job, job / "micrographs.star", True)
    (table,) = star_text.tables((job / "RELION_OUTPUT_NODES.star").read_text())
    assert table.block == "output_nodes"
    assert [{label: token.value for label, token in row.items()} for row in table.rows] == [
        {
            "_rlnPipeLineNodeName": "External/job004/micrographs.star",
            "_rlnPipeLineNodeTypeLabel": "MicrographGroupMetadata.star.relion",
            "_rlnPipeLineNodeType": "1",
        }
    ]


def test_a_job_from_one_star_file_to_the_next(job: Path) -> None:
    for name in ("a", "b"):
        path = Path(f"MotionCorr/job002/{name}.mrc")
        path.parent.mkdir(parents=True, exist_ok=True)
        mrc.write(path, np.eye(8, 9, dtype=np.float32), 1.0)
    text = "# version 50001\n\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n"
    rows = ["MotionCorr/job002/a.mrc 1\n", "MotionCorr/job002/b.mrc 1\n"]
    Path("mics.star").write_text(text + "".join(rows))
    inputs = gather(["mics.star"], job / "denoised")
    (job / "denoised").mkdir()
    outputs = {one.path: job / "denoised" / one.name for one in inputs.micrographs[:1]}
    for source, target in outputs.items():
        write_denoised(target, micrographs.read(source), source, None, "float32", naming("cnn3", "0" * 64))
    write_star(job / "micrographs.star", inputs.stars[0], outputs)
    finished(job, job / "micrographs.star", True)
    assert (job / "micrographs.star").read_text() == text + "External/job004/denoised/a.mrc 1\n"
    (again,) = gather([str(job / "micrographs.star")], Path("twice")).micrographs
    assert np.array_equal(micrographs.read(again.path), np.eye(8, 9))


def test_without_micrographs_there_is_no_node(job: Path) -> None:
    finished(job, None, False)
    assert [path.name for path in job.iterdir()] == ["RELION_JOB_EXIT_FAILURE"]


def test_a_job_that_begins_again_has_not_ended(job: Path) -> None:
    finished(job, None, True)
    begun(job)
    assert not list(job.iterdir())
