"""raw/particles/NAME.json: what is known of a simulated micrograph."""

from typing import ClassVar

from cryodenoise.config.schema import Document, Schema


class Particle(Schema):
    """A particle of a simulated micrograph."""

    species: str
    """Kind of the particle."""
    x_px: float
    """Column of its centre, counted from the centre of the first pixel; may lie beyond the border."""
    y_px: float
    """Row of its centre, likewise."""
    radius_angstrom: float
    """Radius of the smallest sphere about the centre that holds it."""
    rot_deg: float
    """First Euler angle: RELION's rlnAngleRot, in degrees."""
    tilt_deg: float
    """Second Euler angle: rlnAngleTilt."""
    psi_deg: float
    """Third Euler angle: rlnAnglePsi."""


class ExposureRecord(Document):
    """raw/particles/NAME.json: what a simulated micrograph shows, and how it was taken."""

    FORMAT: ClassVar[str] = "cryodenoise/exposure"
    VERSION: ClassVar[int] = 1
    TASK: ClassVar[str] = "download"

    micrograph: str
    """File name of the micrograph."""
    height_px: int
    """Rows."""
    width_px: int
    """Columns."""
    pixel_size_angstrom: float
    """Pixel size in Å."""
    electrons_per_pixel: float
    """Electrons expected in a pixel where there is nothing in the beam."""
    voltage_kv: float
    """Acceleration voltage."""
    cs_mm: float
    """Spherical aberration."""
    amplitude_contrast: float
    """Share of amplitude contrast."""
    defocus_u_um: float
    """Underfocus along the axis of the larger one."""
    defocus_v_um: float
    """Underfocus across it."""
    defocus_angle_deg: float
    """Angle of that axis to the rows, from x to y, in degrees: RELION's rlnDefocusAngle."""
    drift_angstrom: list[tuple[float, float]]
    """Where each frame shows the specimen, (y, x) in Å; empty without motion."""
    particles: list[Particle]
    """Every particle of which something lies in the micrograph."""
