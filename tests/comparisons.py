"""A comparison of systems made up for tests: two tracks, from reports whose numbers fit each other."""

import numpy as np

import reports
from cryodenoise.config.comparison import CompareParameters, ComparisonRecord
from cryodenoise.config.documents import MadeFrom
from cryodenoise.report import compared
from cryodenoise.report.compared_page import Picture

HOSTILE = "<script>alert('" + "w" * 60 + "')</script> | `rm` [x](javascript:1)"
PARAMETERS = CompareParameters.model_validate_json(
    """{
    "tracks": {
        "truth": {"title": "Truth", "about": "Simulated micrographs.", "preprocess": {}},
        "odd": {"title": "%s", "about": "%s", "preprocess": {}}
    },
    "systems": {
        "network": {"title": "A network", "about": "Of a test.", "model": "shipped", "literature": [
            {"track": "truth", "figure": "21.57 dB elsewhere", "source": "https://example.org/paper"}]},
        "slow": {"title": "Non-local means", "about": "A filter.", "model": "baseline/nlm"},
        "odd": {"title": "%s", "about": "%s", "model": "topaz", "tracks": ["odd"]}
    }}"""
    % ((HOSTILE,) * 4)
)
SMOOTHING_PX = {"network": 0.9, "slow": 1.8, "odd": 0.5}
MADE_FROM = MadeFrom(parameters={"seed": 42})


def scored(name: str) -> compared.Scored:
    """A system that was scored."""
    shown = reports.images(smoothing_px=SMOOTHING_PX[name])
    return compared.Scored(
        name,
        PARAMETERS.systems[name],
        reports.report(shown, made_from=MADE_FROM),
        reports.measures(shown, shown.truth),
    )


def record() -> ComparisonRecord:
    """The document."""
    return ComparisonRecord(
        format=ComparisonRecord.FORMAT,
        format_version=ComparisonRecord.VERSION,
        tracks=[
            compared.of_track("truth", 9, [scored("network"), scored("slow")]),
            compared.of_track("odd", 9, [scored("odd")]),
        ],
        left_out_tracks={"own": HOSTILE},
        left_out_systems={"truth, odd": "/home/mallory/x: " + HOSTILE},
        made_from=MadeFrom(parameters=PARAMETERS.determining()),
        environment={"cryodenoise": "0.1.0", "processor": HOSTILE},
    )


def pictures() -> dict[str, list[Picture]]:
    """Of each track."""
    shown = reports.images()
    images = (
        ("noisy input", shown.noisy[0], True),
        ("truth", shown.truth[0], False),
        (HOSTILE, np.zeros((48, 48)), False),
    )
    return {name: [Picture(*image) for image in images] for name in PARAMETERS.tracks}
