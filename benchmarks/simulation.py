"""The simulated exposure against a plain numpy restatement of the same steps: python benchmarks/simulation.py.

Each in a process of its own, which also tells its largest resident memory; then the smoke set as a user makes it. Takes
two minutes on two cores. What numba compiles once is compiled before.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.environment import available_cores, processor_name
from cryodenoise.simulation.contrast import contrast_spectrum
from cryodenoise.simulation.exposure import expose
from cryodenoise.simulation.scene import draw_scene

PRESETS = ("smoke", "laptop", "t20s-like")
ROUNDS = 3


def parameters_of(preset: str) -> SyntheticParameters:
    """The parameters of a preset alone."""
    return SyntheticParameters.model_validate({"preset": preset})


def restatement(parameters: SyntheticParameters) -> np.ndarray:
    """What a user would write with numpy: transforms of the same canvas, and Poisson numbers for each frame.

    The specimen's drawing and its filters are left out, in favour of the restatement.
    """
    scene = draw_scene(parameters, 0)
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft2(np.zeros(scene.canvas)) + np.fft.rfft2(rng.standard_normal(scene.canvas))
    np.fft.irfft2(spectrum, scene.canvas)
    camera = parameters.detector
    electrons = camera.dose_e_per_a2 * parameters.pixel_size_angstrom**2 * camera.quantum_efficiency / camera.frames
    expected = np.full((parameters.height_px, parameters.width_px), electrons)
    total = np.zeros(expected.shape, np.int64)
    for _ in range(camera.frames):
        total += rng.poisson(expected)
    return total


def measure(what: str, preset: str) -> dict[str, float]:
    """Seconds of each round, of the first step alone, and the process's largest memory, as one of `ROUNDS`."""
    parameters = parameters_of(preset)
    if what == "exposure":
        expose(parameters_of("smoke"), 0)  # compiles
    seconds = []
    for index in range(ROUNDS):
        started_s = time.perf_counter()
        if what == "exposure":
            expose(parameters, index)
        elif what == "contrast":
            contrast_spectrum(parameters, draw_scene(parameters, index), index)
        else:
            restatement(parameters)
        seconds.append(time.perf_counter() - started_s)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"median_s": float(np.median(seconds)), "resident_bytes": float(resident)}


def in_a_process(what: str, preset: str) -> dict[str, float]:
    """`measure`, in a process of its own."""
    command = [sys.executable, __file__, "--measure", what, preset]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def smoke_set_s() -> float:
    """Seconds of `cryodenoise download` for the smoke preset, from start to exit."""
    with tempfile.TemporaryDirectory() as folder:
        run_file = Path(folder) / "download.yaml"
        run_file.write_text("source: synthetic\nsynthetic: {preset: smoke}\n")
        command = [sys.executable, "-m", "cryodenoise", "download", f"--parameters_file={run_file}"]
        started_s = time.perf_counter()
        subprocess.run([*command, f"--raw_dir={folder}/raw"], check=True, capture_output=True)
        return time.perf_counter() - started_s


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "PRESET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    print(f"{processor_name()}, {available_cores()} cores; median of {ROUNDS}")
    for preset in PRESETS:
        for what in ("exposure", "contrast", "restatement"):
            found = in_a_process(what, preset)
            print(f"{preset:10} {what:12} {found['median_s']:8.3f} s  {found['resident_bytes'] / 1e6:7.0f} MB")
    print(f"the smoke set by `cryodenoise download`: {smoke_set_s():.2f} s")


if __name__ == "__main__":
    main()
