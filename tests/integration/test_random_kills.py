"""Preprocessing killed again and again, wherever it is."""

import random
import shutil
import subprocess
import sys

from outcomes import outcome
from workspaces import Workspace

KILLS = 20


def test_preprocessing_killed_at_random_moments_equals_an_undisturbed_one(empty: Workspace) -> None:
    empty.write("download", {"synthetic": {"micrographs": 24, "height_px": 256, "width_px": 256}})
    empty.write("preprocess", {"patches": {"size_px": 64, "stride_px": 16}, "workers": 2})
    assert empty.run("download", "preprocess") == 0
    undisturbed = outcome(empty, "preprocess")
    shutil.rmtree(empty / "data")
    moments = random.Random(42)
    command = [sys.executable, "-m", "cryodenoise", *empty.arguments("preprocess")]
    kills = 0
    while kills < KILLS:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                assert process.wait(moments.uniform(0.3, 2.5)) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
                continue
        assert outcome(empty, "preprocess") == undisturbed
        shutil.rmtree(empty / "data")
    assert empty.run("preprocess") == 0
    assert outcome(empty, "preprocess") == undisturbed
