"""Task `test` ends with the line that says whether a run was reproduced, also when there is nothing to do."""

import shutil

import pytest

from cryodenoise.config.reference import Reference, ReferenceRun
from cryodenoise.config.report import Report
from cryodenoise.submission import reference_sets
from workspaces import Workspace


def of(report: Report, psnr_db: float) -> Reference:
    """A set that the report's run was made of, with a score for its seed and one for another."""
    assert report.training is not None
    assert report.download is not None
    parameters = dict(report.training.made_from.parameters)
    seed = parameters.pop("seed")
    return reference_sets.of("smoke").model_copy(
        update={
            "name": "tiny", "dataset_identity": report.dataset_identity, "download": report.download.parameters,
            "preprocess": report.preprocess.parameters, "train": parameters,
            "runs": [ReferenceRun(seed=seed, psnr_db=psnr_db), ReferenceRun(seed=seed + 1, psnr_db=psnr_db)],
        }
    )  # fmt: skip


def test_the_task_says_whether_its_run_was_reproduced(
    finished: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_line() -> str:
        capsys.readouterr()
        assert finished.run("test") == 0  # a score that is off is a score
        return capsys.readouterr().out.splitlines()[-1]

    report = Report.load_document(finished / "results/report.json")
    psnr_db = (report.against_truth or report.against_target).denoised.psnr_db
    assert psnr_db is not None
    same, other = of(report, psnr_db), of(report, psnr_db - 1)
    assert "nothing to do" in last_line()
    monkeypatch.setattr(reference_sets, "all", lambda: (same,))
    assert last_line().startswith("reproduced: dataset identity as in reference/tiny.json; PSNR ")
    monkeypatch.setattr(reference_sets, "all", lambda: (other,))
    assert "off by +1.000 dB" in last_line()
    shutil.rmtree(finished / "results")
    assert "off by +1.000 dB" in last_line()
