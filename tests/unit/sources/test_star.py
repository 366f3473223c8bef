from gemmi import cif

from cryodenoise.config.exposure import ExposureRecord, Particle
from cryodenoise.sources.star import particles_star

SPECIES = ("t20s", "apoferritin")


def exposure(*places: tuple[str, float, float]) -> ExposureRecord:
    return ExposureRecord(
        format=ExposureRecord.FORMAT,
        format_version=ExposureRecord.VERSION,
        micrograph="m.mrc",
        height_px=96,
        width_px=80,
        pixel_size_angstrom=1.25,
        electrons_per_pixel=50.0,
        voltage_kv=200.0,
        cs_mm=1.4,
        amplitude_contrast=0.1,
        defocus_u_um=1.61239,
        defocus_v_um=1.6,
        defocus_angle_deg=12.5,
        drift_angstrom=[],
        particles=[
            Particle(
                species=species, x_px=x, y_px=y, radius_angstrom=60.0, rot_deg=1.5, tilt_deg=90.25, psi_deg=359.9999
            )
            for species, x, y in places
        ],
    )


def table(text: str, name: str) -> list[dict[str, str]]:
    """The rows of a table, as a reader of STAR files gives them."""
    loop = cif.read_string(text).find_block(name).find_loop("_rlnOpticsGroup").get_loop()
    rows = (loop.values[at : at + loop.width()] for at in range(0, len(loop.values), loop.width()))
    return [dict(zip(loop.tags, row, strict=True)) for row in rows]


def test_optics_and_particles_are_told_in_relions_units() -> None:
    text = particles_star(exposure(("t20s", 12.3456, 7.0), ("apoferritin", 1.0, 2.0)), SPECIES)
    assert table(text, "optics") == [
        {
            "_rlnOpticsGroup": "1", "_rlnOpticsGroupName": "opticsGroup1", "_rlnVoltage": "200.000",
            "_rlnSphericalAberration": "1.4000", "_rlnAmplitudeContrast": "0.1000",
            "_rlnMicrographPixelSize": "1.250000",
        }
    ]  # fmt: skip
    first, second = table(text, "particles")
    assert first == {
        "_rlnMicrographName": "m.mrc", "_rlnCoordinateX": "12.346", "_rlnCoordinateY": "7.000",
        "_rlnAngleRot": "1.5000", "_rlnAngleTilt": "90.2500", "_rlnAnglePsi": "359.9999", "_rlnClassNumber": "1",
        "_rlnDefocusU": "16123.90", "_rlnDefocusV": "16000.00", "_rlnDefocusAngle": "12.5000", "_rlnOpticsGroup": "1",
    }  # fmt: skip
    assert second["_rlnClassNumber"] == "2"


def test_only_particles_whose_centres_are_on_a_pixel_are_listed() -> None:
    inside = [("t20s", -0.5, -0.5), ("t20s", 79.499, 95.499)]
    outside = [("t20s", -0.501, 5.0), ("t20s", 79.5, 5.0), ("t20s", 5.0, 95.5), ("t20s", 5.0, -0.501)]
    rows = table(particles_star(exposure(*outside[:2], *inside, *outside[2:]), SPECIES), "particles")
    assert [(row["_rlnCoordinateX"], row["_rlnCoordinateY"]) for row in rows] == [
        ("-0.500", "-0.500"), ("79.499", "95.499"),
    ]  # fmt: skip


def test_pure_ice_has_a_table_of_particles_without_rows() -> None:
    text = particles_star(exposure(), SPECIES)
    assert table(text, "particles") == []
    assert len(table(text, "optics")) == 1
    columns = text.partition("data_particles")[2].split()
    assert columns == particles_star(exposure(("t20s", 1.0, 2.0)), SPECIES).partition("data_particles")[2].split()[:-11]
