"""Rotations: uniform on SO(3), and as the Euler angles of the field."""

import numpy as np


def uniform_angles(rng: np.random.Generator, count: int) -> np.ndarray:
    """Euler angles of random orientations, uniform on SO(3): the measure in them is d rot · d cos(tilt) · d psi.

    Returns:
        rot, tilt and psi in degrees, rounded to 1e-4 (as they are written to files), shape (count, 3).
    """
    draws = rng.random((count, 3))
    tilt = np.degrees(np.arccos(1 - 2 * draws[:, 1]))
    return np.round(np.stack([360 * draws[:, 0], tilt, 360 * draws[:, 2]], axis=1), 4)


def matrices(angles_deg: np.ndarray) -> np.ndarray:
    """Rotation matrices of Euler angles, ZYZ as in Heymann, Chagoyen & Belnap, J. Struct. Biol. 151, 196 (2005).

    Args:
        angles_deg: rot, tilt and psi in degrees, shape (n, 3).

    Returns:
        Shape (n, 3, 3); a point X of the particle, as (x, y, z), is seen at the first two components of A @ X, as
        RELION projects a reference under these angles.
    """
    rot, tilt, psi = np.radians(angles_deg).T
    about_z, about_y, again_z = _about_z(rot), _about_y(tilt), _about_z(psi)
    return np.asarray(again_z @ about_y @ about_z)


def _about_z(angle: np.ndarray) -> np.ndarray:
    """The axes turned by an angle about z, so that coordinates turn back."""
    zero, one, cos, sin = np.zeros_like(angle), np.ones_like(angle), np.cos(angle), np.sin(angle)
    rows = [[cos, sin, zero], [-sin, cos, zero], [zero, zero, one]]
    return np.moveaxis(np.array(rows), -1, 0)


def _about_y(angle: np.ndarray) -> np.ndarray:
    zero, one, cos, sin = np.zeros_like(angle), np.ones_like(angle), np.cos(angle), np.sin(angle)
    rows = [[cos, zero, -sin], [zero, one, zero], [sin, zero, cos]]
    return np.moveaxis(np.array(rows), -1, 0)
