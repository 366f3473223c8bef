from pathlib import Path

import pytest

from cryodenoise.config.documents import RawFile
from cryodenoise.sources import journal
from cryodenoise.sources.journal import Begun, Journal

FILE = RawFile(name="a.mrc", size_bytes=3, sha256="0" * 64, pixel_digest=None)


def begun(name: str) -> Begun:
    return Begun(name=name, url=f"http://h/{name}", size_bytes=9, validator='"v"')


def test_what_was_noted_is_known_afterwards(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.begin(begun("a.mrc"))
    first.finish(FILE)
    for known in (first, Journal(tmp_path)):
        assert known.begun == {"a.mrc": begun("a.mrc")}
        assert known.finished == {"a.mrc": FILE}


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff\0", b'{"begun": {"name": "b', b"[1]", b'{"else": 1}'])
def test_a_line_that_cannot_be_read_does_not_count(tmp_path: Path, line: bytes) -> None:
    first = Journal(tmp_path)
    first.begin(begun("a.mrc"))
    with (tmp_path / "journal.jsonl").open("ab") as stream:
        stream.write(line + b"\n")
    first.finish(FILE)
    known = Journal(tmp_path)
    assert (list(known.begun), list(known.finished)) == (["a.mrc"], ["a.mrc"])


def test_a_line_that_a_full_disk_tore_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Journal(tmp_path)
    known.begin(begun("a.mrc"))

    def tear(raw_dir: Path, _rank: int, line: str) -> None:
        with (raw_dir / "journal.jsonl").open("a") as stream:
            stream.write(line[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(journal, "append_journal", tear)
        known.begin(begun("b.mrc"))
    known.begin(begun("c.mrc"))
    assert list(Journal(tmp_path).begun) == ["a.mrc", "c.mrc"]


def test_journals_of_others_are_neither_read_nor_removed(tmp_path: Path) -> None:
    Journal(tmp_path).finish(FILE)
    (tmp_path / "journal.jsonl").rename(tmp_path / "journal.1.jsonl")
    assert Journal(tmp_path).finished == {}
    journal.drop(tmp_path)
    assert (tmp_path / "journal.1.jsonl").exists()
