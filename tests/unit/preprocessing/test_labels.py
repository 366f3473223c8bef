from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryodenoise.config.graphene import GrapheneSimulation
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.errors import InputError
from cryodenoise.micrographs import mrc
from cryodenoise.preprocessing.candidate import Candidate, Source
from cryodenoise.preprocessing.labels import exchanged, fine_noise, require_noisier
from cryodenoise.simulation.graphene import flake, rendered
from cryodenoise.simulation.graphene import noisy as noisy_graphene


@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_of_white_noise_the_estimate_is_its_deviation(sigma: float) -> None:
    image = np.random.default_rng(0).normal(0, sigma, (301, 200)).astype(np.float32)
    assert fine_noise(image) == pytest.approx(sigma, rel=0.02)


def test_a_plane_has_no_noise() -> None:
    y, x = np.mgrid[:64, :65]
    assert fine_noise((3 * y - 2 * x).astype(np.float32)) == 0


SIDE = 96
PART = PreprocessParameters.model_validate({"pairs": {"kind": "given"}, "noise": {"model": "none"}})
FOLDERS = PreprocessParameters.model_validate(
    {"pairs": {"kind": "given"}, "noise": {"model": "none"}, "split": {"by": "folders"}}
)


def spots(rng: np.random.Generator) -> np.ndarray:
    """One-pixel spots on a grid of 3 px."""
    image = np.zeros((SIDE, SIDE))
    image[rng.integers(3) :: 3, rng.integers(3) :: 3] = 1
    return image


def waves(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    wave: np.ndarray = 0.5 + 0.4 * np.sin(y / rng.uniform(2, 6) + x / rng.uniform(2, 6))
    return wave


def graphene_image(rng: np.random.Generator) -> np.ndarray:
    section = GrapheneSimulation(side_px=SIDE)
    clean: np.ndarray = rendered(section, flake(section, "train", int(rng.integers(1000)))).astype("f8")
    return clean


SIGNALS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "spots": spots,
    "chequers": lambda rng: np.indices((SIDE, SIDE)).sum(axis=0) % 2 * rng.uniform(0.5, 1),
    "dust": lambda rng: (rng.random((SIDE, SIDE)) < 0.1).astype("f8"),
    "grain": lambda rng: gaussian_filter(rng.random((SIDE, SIDE)), 0.5),
    "waves": waves,
    "blobs": lambda rng: 20 * gaussian_filter(rng.random((SIDE, SIDE)) ** 8, 4),
    "graphene": graphene_image,
}
WHITE: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "gaussian": lambda clean, rng: clean + rng.normal(0, 0.3, clean.shape),
    "much": lambda clean, rng: clean + rng.normal(0, 2, clean.shape),
    "poisson": lambda clean, rng: rng.poisson(20 * clean) / 20,
    "few electrons": lambda clean, rng: rng.poisson(0.5 * clean) / 0.5,
    "beam": lambda clean, rng: noisy_graphene(GrapheneSimulation(side_px=SIDE), clean, rng).astype("f8"),
}
SMOOTH: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "smooth": lambda clean, rng: clean + 3 * gaussian_filter(rng.normal(size=clean.shape), 2),
    "very smooth": lambda clean, rng: clean + 30 * gaussian_filter(rng.normal(size=clean.shape), 10),
    "nearly white": lambda clean, rng: clean + gaussian_filter(rng.normal(size=clean.shape), 0.5),
    "rows": lambda clean, rng: clean + rng.normal(size=(SIDE, 1)),
    "none": lambda clean, _: clean.copy(),
}


def drawn(signal: str, noise: str, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (noisy, clean), as an image's pixels are read."""
    found = []
    for number in range(count):
        rng = np.random.default_rng([number, len(signal), len(noise)])
        clean = SIGNALS[signal](rng)
        noisy = {**WHITE, **SMOOTH}[noise](clean, rng)
        found.append((noisy.astype(np.float32), clean.astype(np.float32)))
    return found


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("noise", [*WHITE, *SMOOTH])
@pytest.mark.parametrize("signal", SIGNALS)
def test_right_labels_pass_whatever_the_clean_signal_is(signal: str, noise: str, count: int) -> None:
    assert not exchanged(drawn(signal, noise, count))


@pytest.mark.parametrize("factor", [1.0, 0.01])
@pytest.mark.parametrize("noise", WHITE)
@pytest.mark.parametrize("signal", ["waves", "blobs", "graphene"])
def test_exchanged_labels_are_seen_under_white_noise(signal: str, noise: str, factor: float) -> None:
    pairs = drawn(signal, noise, 4)
    assert exchanged([(np.float32(factor) * clean, noisy) for noisy, clean in pairs])


def test_constant_images_are_not_the_noisy_ones() -> None:
    flat, noise = np.zeros((8, 8), np.float32), np.random.default_rng(0).random((8, 8), np.float32)
    assert not exchanged([(noise, flat)])
    assert not exchanged([(flat, flat)])


def candidates(folder: Path, exchange: bool, prefix: str = "") -> list[Candidate]:
    """Three pairs in files."""
    found = []
    for number, (noisy, clean) in enumerate(drawn("waves", "gaussian", 3)):
        names = [f"{prefix}{side}/{number}.mrc" for side in ("noisy", "clean")]
        for name, pixels in zip(names, (clean, noisy) if exchange else (noisy, clean), strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            mrc.write(folder / name, pixels, 1.0)
        target = Source(folder / names[1], names[1])
        found.append(Candidate(folder / names[0], names[0], target=target))
    return found


def test_exchanged_pairs_are_refused(tmp_path: Path) -> None:
    require_noisier(candidates(tmp_path / "right", False), PART)
    with pytest.raises(InputError) as caught:
        require_noisier(candidates(tmp_path, True), PART)
    assert str(caught.value) == (
        f"{tmp_path}/clean/0.mrc: the clean images are noisier than the noisy ones (by 3 pairs: the clean ones are the "
        "noisy ones plus white noise): exchange pairs.noisy and pairs.clean in the run file, or mend the names"
    )


@pytest.mark.parametrize(
    ("wrong", "where", "what"),
    [
        (["test/"], "in test/ the clean", "exchange the two in test/, or mend"),
        (["train/"], "in train/ the clean", "exchange the two in train/, or mend"),
        (["train/", "test/"], "in train/, test/ the clean", "exchange pairs.noisy and pairs.clean in the run file"),
    ],
)
def test_each_part_is_looked_at_by_itself(tmp_path: Path, wrong: list[str], where: str, what: str) -> None:
    found = [each for part in ("train/", "test/") for each in candidates(tmp_path, part in wrong, part)]
    with pytest.raises(InputError) as caught:
        require_noisier(found, FOLDERS)
    assert str(caught.value).startswith(f"{tmp_path}/{wrong[0]}clean/0.mrc: {where} images are noisier")
    assert what in str(caught.value)
