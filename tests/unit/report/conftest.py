"""What is drawn of made-up reports, once for all tests of this folder."""

from pathlib import Path

import pytest

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import Measures
from cryodenoise.report.build import write_all

Variants = dict[str, tuple[Report, Measures]]


@pytest.fixture(scope="session")
def built(variants: Variants, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything was written of the report of a network with a truth."""
    folder = tmp_path_factory.mktemp("built")
    report, measures = variants["truth"]
    write_all(folder, report, measures, folder)
    return folder
