from pathlib import Path

import pytest

from cryodenoise.claims import MARKER_NAME
from cryodenoise.console import Console
from cryodenoise.dataset.layout import DOCUMENT_NAME
from cryodenoise.errors import UserError
from cryodenoise.preprocessing.sharing import AllDoneError, Site
from cryodenoise.ranks import Rank


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, Rank(1, 2), Console())


def test_waiting_ends_as_all_done_when_the_document_is_there(site: Site) -> None:
    (site.data_dir / DOCUMENT_NAME).touch()
    with pytest.raises(AllDoneError):
        site.wait_until(lambda: False, lambda: None, "nothing")


def test_waiting_ends_when_another_process_gave_up(site: Site) -> None:
    with pytest.raises(UserError, match="another process of this run gave up: see what it says"):
        site.wait_until(lambda: False, lambda: None, "nothing")


def test_work_under_way_goes_on(site: Site) -> None:
    (site.data_dir / MARKER_NAME).touch()
    site.wait_until(lambda: True, lambda: None, "nothing")
