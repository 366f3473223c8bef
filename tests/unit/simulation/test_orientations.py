"""Orientations are rotations, RELION's, and uniform: against the moments of the Haar measure on SO(3)."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.transform import Rotation

from cryodenoise.simulation import orientations
from simulated import DEVIATIONS

COUNT = 20_000
ANGLES = orientations.uniform_angles(np.random.default_rng(3), COUNT)
MATRICES = orientations.matrices(ANGLES)


def test_matrices_are_rotations() -> None:
    assert np.allclose(MATRICES @ MATRICES.transpose(0, 2, 1), np.eye(3), atol=1e-14)
    assert np.allclose(np.linalg.det(MATRICES), 1, atol=1e-14)


def test_matrices_are_the_published_ones() -> None:
    """Written out as in Heymann, Chagoyen & Belnap (2005): Rz(psi) Ry(tilt) Rz(rot), of the axes."""
    rot, tilt, psi = np.radians([20.0, 50.0, -70.0])
    ca, sa, cb, sb, cg, sg = (turn(angle) for angle in (rot, tilt, psi) for turn in (math.cos, math.sin))
    expected = [
        [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
        [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
        [sb * ca, sb * sa, cb],
    ]
    assert np.allclose(orientations.matrices(np.array([[20.0, 50.0, -70.0]]))[0], expected, atol=1e-15)


def test_matrices_are_the_transposes_of_intrinsic_zyz_rotations() -> None:
    """As `eulerangles` describes RELION: an active rotation takes the particle's axes into the microscope's."""
    active = Rotation.from_euler("ZYZ", ANGLES[:100], degrees=True).as_matrix()
    assert np.allclose(MATRICES[:100], active.transpose(0, 2, 1), atol=1e-12)


def test_angles_are_in_range_and_as_precise_as_files_tell_them() -> None:
    assert (ANGLES >= 0).all()
    assert (ANGLES <= [360, 180, 360]).all()
    assert np.array_equal(ANGLES, np.round(ANGLES, 4))


def test_the_first_moments_of_the_matrices_vanish() -> None:
    """E R_ij = 0, with variance 1/3."""
    assert (np.abs(MATRICES.mean(axis=0)) < DEVIATIONS * math.sqrt(1 / 3 / COUNT)).all()


def test_the_second_moments_of_the_matrices_are_those_of_uniform_rotations() -> None:
    """E R_ij R_kl = δ_ik δ_jl / 3."""
    flat = MATRICES.reshape(COUNT, 9)
    products = flat[:, :, None] * flat[:, None, :]
    errors = products.std(axis=0) / math.sqrt(COUNT)
    assert (np.abs(products.mean(axis=0) - np.eye(9) / 3) < DEVIATIONS * errors).all()


def test_angles_of_rotation_have_their_density() -> None:
    """The angle θ of a uniform rotation has the density (1 − cos θ) / π on [0, π]."""
    cosine = np.clip((np.trace(MATRICES, axis1=1, axis2=2) - 1) / 2, -1, 1)
    assert stats.kstest(np.arccos(cosine), lambda angle: (angle - np.sin(angle)) / np.pi).pvalue > 1e-6


def test_a_count_of_zero_is_none() -> None:
    assert orientations.matrices(orientations.uniform_angles(np.random.default_rng(0), 0)).shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("angles", "seen"), [((0, 0, 0), (1, 2)), ((90, 0, 0), (2, -1)), ((0, 90, 0), (-3, 2)), ((0, 0, 90), (2, -1))]
)
def test_where_a_point_is_seen(angles: tuple[float, float, float], seen: tuple[float, float]) -> None:
    """The point (1, 2, 3) at simple angles, by hand."""
    turned = orientations.matrices(np.array([angles], float))[0] @ np.array([1, 2, 3])
    assert np.allclose(turned[:2], seen, atol=1e-12)
