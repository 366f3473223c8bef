import re

from cryodenoise.sources.known import known_sha256


def test_the_30_known_digests_are_of_ebis_averaged_micrographs() -> None:
    folder = "https://ftp.ebi.ac.uk/empiar/world_availability/10025/data/14sep05c_averaged_196/"
    known = known_sha256()
    assert len(known) == len(set(known.values())) == 30
    assert all(
        re.fullmatch(re.escape(folder) + r"14sep05c_c_\d{5}gr_\d{5}sq_\d{5}hl_\d{5}es_c\.mrc", url) for url in known
    )
    assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in known.values())
    assert known[folder + "14sep05c_c_00003gr_00014sq_00004hl_00004es_c.mrc"].startswith("b62b164287625f96")
