import pytest

import reports
from cryodenoise.config.scores import Interval
from cryodenoise.report import wording


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/mallory/raw/a.mrc: ends", "…/a.mrc: ends"),
        ("found '/data/x/', expected", "found '…/x', expected"),
        ("~mallory/code", "…/code"),
        (r"C:\Users\mallory\x.mrc", "…/x.mrc"),
        ("file:///home/mallory/a.mrc", "…/a.mrc"),
        ("https://mallory:secret@host/data/a?token=1#b", "https://host/data/a"),
        ("https://ftp.ebi.ac.uk/empiar/10025", "https://ftp.ebi.ac.uk/empiar/10025"),
        ("35.2 patches/s at 0.5/Å, either / or, and/or", "35.2 patches/s at 0.5/Å, either / or, and/or"),
        ("truth/a.mrc", "truth/a.mrc"),
        ("[/srv/a/b, /srv/c]", "[…/b, …/c]"),
    ],
)
def test_places_on_a_machine_are_shortened(text: str, shown: str) -> None:
    report = reports.report(remarks=[text])
    assert wording.public(report).remarks == [shown]


def test_a_public_report_is_else_the_same() -> None:
    report = reports.report(remarks=[], skipped=[], download=None)
    assert wording.public(report) == report


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (wording.number(-1.23456, 2), "−1.23"),
        (wording.number(None, 2), "–"),
        (wording.psnr(None), "∞"),
        (wording.gain(0.5), "+0.50"),
        (wording.gain(-0.5), "−0.50"),
        (wording.gain(None), "–"),
        (wording.interval(Interval(low=-0.5, high=0.25), 2, signed=True), "[−0.50, +0.25]"),
        (wording.interval(None, 2), ""),
        (wording.bytes_of_memory(5 * 2**20), "5 MiB"),
        (wording.bytes_of_memory(3 * 2**29), "1.50 GiB"),
        (wording.bytes_of_memory(None), "–"),
        (wording.duration(90), "90.0 s"),
        (wording.duration(900), "15.0 min"),
        (wording.duration(9000), "2.5 h"),
        (wording.frequency(0.25, 2.0), "8.0 Å (0.1250/Å)"),
        (wording.frequency(0.25, None), "0.250/px"),
        (wording.frequency(None, 2.0), "nowhere"),
        (wording.percent(0.0312, 2), "3.12 %"),
        (wording.pieces(1, "patch"), "1 patch"),
        (wording.pieces(1200, "patch"), "1,200 patches"),
        (wording.pieces(2, "run"), "2 runs"),
    ],
)
def test_numbers_read_as_they_should(shown: str, expected: str) -> None:
    assert shown == expected
