"""`picture` draws what there is of a micrograph, whoever made it."""

from pathlib import Path

import numpy as np
import pytest

from cryodenoise.cli import main
from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.micrographs import mrc
from cryodenoise.simulation.exposure import expose
from refusals import Refusal, contents, noisy
from workspaces import Workspace

FIGURES = ["exposure.png", "spectrum.png"]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with a simulated micrograph and all that belongs to it."""
    folder = tmp_path / "raw"
    made = expose(
        SyntheticParameters.model_validate({"preset": "smoke", "height_px": 200, "width_px": 160, "micrographs": 1,
                                            "specimen": {"particles": 2}, "detector": {"frames": 4}}), 0,
    )  # fmt: skip
    for name, image in (("", made.even + made.odd), ("truth", made.truth), ("even", made.even), ("odd", made.odd)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        mrc.write(folder / name / made.record.micrograph, image, 2.63)
    (folder / "particles").mkdir()
    (folder / "particles/synthetic_0000.json").write_text(made.record.dumps())
    return folder


def test_pictures_lie_beside_the_micrographs_and_are_the_same_again(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(raw)
    assert main(["picture", str(raw)]) == 0
    pictures = contents(raw.parent / "pictures")
    assert sorted(pictures) == FIGURES
    assert all(content.startswith(PNG) for content in pictures.values())
    assert str(raw.parent / "pictures/exposure.png") in capsys.readouterr().out
    assert main(["picture", str(raw), "--micrograph=synthetic_0000.mrc"]) == 0
    assert contents(raw.parent / "pictures") == pictures
    assert contents(raw) == before


def test_ones_own_micrographs_without_anything_beside_them(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    mrc.write(tmp_path / "mine/a.mrc", noisy(), 1.5)
    assert main(["picture", str(tmp_path / "mine"), f"--output_dir={tmp_path}/out"]) == 0
    assert sorted(contents(tmp_path / "out")) == FIGURES


def test_what_cannot_be_drawn_is_refused(raw: Path, refuse: Refusal, tmp_path: Path) -> None:
    refuse.command(["picture", str(tmp_path / "nowhere")], tmp_path, "nowhere", "no such folder")
    refuse.command(["picture", str(raw), "--micrograph=b.mrc"], tmp_path, "b.mrc", "synthetic_0000.mrc")
    refuse.command(["picture", str(raw), f"--output_dir={raw}/out"], tmp_path, "within", "--output_dir")
    mrc.write(raw / "truth/synthetic_0000.mrc", np.zeros((8, 8)), 1.0)
    refuse.command(["picture", str(raw)], tmp_path, "truth/synthetic_0000.mrc", "shape")
    (raw / "truth/synthetic_0000.mrc").unlink()
    mrc.write(raw / "synthetic_0000.mrc", noisy(), 1.0)
    for name in ("even", "odd"):
        (raw / name / "synthetic_0000.mrc").unlink()
    refuse.command(["picture", str(raw)], tmp_path, "particles/synthetic_0000.json", "200 × 160")
    (raw / "particles/synthetic_0000.json").write_text("{}")
    refuse.command(["picture", str(raw)], tmp_path, "particles/synthetic_0000.json")
    (tmp_path / "empty").mkdir()
    refuse.command(["picture", str(tmp_path / "empty")], tmp_path, "empty", "no micrograph")


def test_counts_are_shown_corrected_by_the_gain_reference(full: Workspace) -> None:
    assert main(["picture", str(full / "raw")]) == 0
    (full / "raw/download.json").unlink()  # then nobody knows that they are not
    assert (
        main(["picture", str(full / "raw"), "--micrograph=synthetic_0000.mrc", f"--output_dir={full / 'plain'}"]) == 0
    )
    assert contents(full / "pictures")["spectrum.png"] != contents(full / "plain")["spectrum.png"]
