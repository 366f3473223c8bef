"""Where the particles of a simulated micrograph are, as RELION 3.1 reads it: raw/particles/NAME.star.

Labels: https://relion.readthedocs.io/en/release-4.0/Reference/Conventions.html. Coordinates are in pixels from the
centre of the first one. Names stand without quotes, which RELION takes for a part of them.
"""

from collections.abc import Sequence

from gemmi import cif

from cryodenoise.config.exposure import ExposureRecord, Particle

SUFFIX = ".star"
_OPTICS_GROUP = "1"


def particles_star(record: ExposureRecord, species: Sequence[str]) -> str:
    """The particles whose centres lie within the micrograph, as text.

    Args:
        record: What the micrograph shows.
        species: All kinds of particles; rlnClassNumber is the place among these, from 1.
    """
    document = cif.Document()
    _add_table(
        document,
        "optics",
        {
            "OpticsGroup": [_OPTICS_GROUP],
            "OpticsGroupName": ["opticsGroup1"],
            "Voltage": [f"{record.voltage_kv:.3f}"],
            "SphericalAberration": [f"{record.cs_mm:.4f}"],
            "AmplitudeContrast": [f"{record.amplitude_contrast:.4f}"],
            "MicrographPixelSize": [f"{record.pixel_size_angstrom:.6f}"],
        },
    )
    inside = [particle for particle in record.particles if _is_inside(particle, record)]
    count = len(inside)
    columns = {
        "MicrographName": [record.micrograph] * count,
        "CoordinateX": [f"{particle.x_px:.3f}" for particle in inside],
        "CoordinateY": [f"{particle.y_px:.3f}" for particle in inside],
        "AngleRot": [f"{particle.rot_deg:.4f}" for particle in inside],
        "AngleTilt": [f"{particle.tilt_deg:.4f}" for particle in inside],
        "AnglePsi": [f"{particle.psi_deg:.4f}" for particle in inside],
        "ClassNumber": [str(species.index(particle.species) + 1) for particle in inside],
        "DefocusU": [f"{record.defocus_u_um * 1e4:.2f}"] * count,
        "DefocusV": [f"{record.defocus_v_um * 1e4:.2f}"] * count,
        "DefocusAngle": [f"{record.defocus_angle_deg:.4f}"] * count,
        "OpticsGroup": [_OPTICS_GROUP] * count,
    }
    _add_table(document, "particles", columns)
    text = document.as_string().rstrip() + "\n"
    # gemmi leaves out a table without rows, which RELION writes and readers of STAR files want.
    return text if inside else f"{text}loop_\n" + "".join(f"_rln{label}\n" for label in columns)


def _is_inside(particle: Particle, record: ExposureRecord) -> bool:
    """Whether a particle's centre lies on a pixel of the micrograph."""
    return -0.5 <= particle.x_px < record.width_px - 0.5 and -0.5 <= particle.y_px < record.height_px - 0.5


def _add_table(document: cif.Document, name: str, columns: dict[str, list[str]]) -> None:
    """Add a table, its values as they are to be written."""
    loop = document.add_new_block(name).init_loop("_rln", list(columns))
    for row in zip(*columns.values(), strict=True):
        loop.add_row(row)
