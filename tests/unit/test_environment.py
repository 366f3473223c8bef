import getpass
import json
import re
import socket
from pathlib import Path

import pytest

from cryodenoise import environment


def test_the_description_is_json_without_names_of_persons_hosts_or_paths() -> None:
    text = json.dumps(environment.describe())
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text
    assert not re.search(r'"/[a-z]', text)


def test_an_images_revision_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.REVISION_VARIABLE, "abc123")
    assert environment.source_revision() == "abc123"


def test_a_checkouts_revision_is_a_commit_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.REVISION_VARIABLE, raising=False)
    revision = environment.source_revision()
    assert revision is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", revision)


def test_the_source_digest_is_a_sha256() -> None:
    assert re.fullmatch("[0-9a-f]{64}", environment.source_digest())


def test_the_processors_instruction_sets_are_words() -> None:
    flags = environment.processor_flags()
    assert all(re.fullmatch(r"\S+", flag) for flag in flags)
    assert flags or not Path("/proc/cpuinfo").exists()
