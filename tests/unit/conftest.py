"""Made-up reports, for the tests of all that reads some."""

import pytest

import reports
from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import Measures


@pytest.fixture(scope="session")
def variants() -> dict[str, tuple[Report, Measures]]:
    """Reports of all sorts with their measures."""
    return reports.variants()
