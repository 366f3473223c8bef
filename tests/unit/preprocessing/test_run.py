from pathlib import Path

import numpy as np
import pytest

from cryodenoise.config.run_files import PatchParameters, PreprocessParameters
from cryodenoise.errors import InputError
from cryodenoise.micrographs import mrc
from cryodenoise.preprocessing.candidate import Candidate, Source
from cryodenoise.preprocessing.headers import Shape
from cryodenoise.preprocessing.memory import stacks_bytes, worker_bytes
from cryodenoise.preprocessing.plan import PlannedSegment, RawMicrograph
from cryodenoise.preprocessing.run import write_micrograph
from graphenes import images, write_stack


def test_a_micrograph_that_changed_its_shape_since_the_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    mrc.write(path, np.random.default_rng(0).poisson(9, (64, 64)).astype(np.float32), 1.0)
    micrograph = RawMicrograph(Candidate(path, path.name), Shape(96, 64, 1.0))
    segment = PlannedSegment(0, "train", "train", 0, (0, 1), (0, 1))
    parameters = PreprocessParameters(patches=PatchParameters(size_px=32, stride_px=32))
    with pytest.raises(InputError, match=r"a\.mrc: another image than a moment ago"):
        write_micrograph(0, micrograph, [segment], parameters, tmp_path)


def test_large_patches_are_part_of_a_workers_memory() -> None:
    small, large = (PreprocessParameters(patches=PatchParameters(size_px=side)) for side in (1024, 8192))
    assert worker_bytes(8192**2, large) - worker_bytes(8192**2, small) == (3 + 2 * 3) * 4 * (8192**2 - 1024**2)


@pytest.mark.parametrize(
    ("pairs", "with_truth", "images"),
    [
        ({"kind": "added_noise"}, False, 1),
        ({"kind": "added_noise"}, True, 2),
        ({"kind": "given"}, False, 2),
        ({"kind": "truth"}, False, 2),
        ({"kind": "halves"}, False, 2),
        ({"kind": "halves"}, True, 3),
        ({"kind": "halves", "halves": "movies"}, False, 3),
        ({"kind": "halves", "halves": "movies"}, True, 3),
    ],
)
def test_every_image_is_part_of_a_workers_memory(pairs: dict[str, str], with_truth: bool, images: int) -> None:
    parameters = PreprocessParameters.model_validate({"pairs": pairs, "noise": {"model": "none"}})
    small, large = (worker_bytes(side**2, parameters, with_truth) for side in (1024, 8192))
    assert large - small == images * 4 * (8192**2 - 1024**2)


def test_chunks_that_stacks_keep_are_part_of_a_workers_memory(tmp_path: Path) -> None:
    for name in ("noisy.h5", "clean.h5"):
        write_stack(tmp_path / name, images(0, 64)[0], chunks=(64, 32, 32, 1))
    noisy, clean = (Source(tmp_path / name, f"{name}#00000", image=0) for name in ("noisy.h5", "clean.h5"))
    candidate = Candidate(noisy.path, noisy.name, target=clean, image=0)
    kept = stacks_bytes([candidate])
    assert kept >= 2 * 64 * 32 * 32 * 4
    parameters = PreprocessParameters()
    assert worker_bytes(32**2, parameters, cached_bytes=kept) - worker_bytes(32**2, parameters) == kept
    assert stacks_bytes([Candidate(tmp_path / "a.mrc", "a.mrc")]) == 0
