import hashlib
import io
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.errors import UserError
from cryodenoise.submission import archive, names, ustar
from cryodenoise.submission.archive import extract, judge, judge_folder, write

TOP = "ORG/cryodenoise/box/first"
FILES = {
    "manifest.json": b"{}",
    "README.md": b"",
    "runs/0/model/best.safetensors": bytes(range(256)) * 5,
    "runs/0/model/repeat-2/best.safetensors": b"x" * 512,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a package in it."""
    for name, content in FILES.items():
        path = tmp_path / "made" / TOP / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "made"


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_packed_is_unpacked(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "a.tar"
    write(root / TOP, root, package)
    assert judge(package) == []
    old = os.umask(0o077)
    try:
        folder = extract(package, tmp_path / "out")
    finally:
        os.umask(old)
    assert folder == tmp_path / "out" / TOP
    assert files_below(folder) == FILES
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "made", "out"]


def test_equal_files_are_equal_bytes(root: Path, tmp_path: Path) -> None:
    write(root / TOP, root, tmp_path / "a.tar")
    other = tmp_path / "other"
    old = os.umask(0o077)
    try:
        for name, content in reversed(FILES.items()):
            path = other / TOP / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o700)
            os.utime(path, (1e9, 1e9))
        write(other / TOP, other, tmp_path / "b.tar")
    finally:
        os.umask(old)
    assert digest(tmp_path / "a.tar") == digest(tmp_path / "b.tar")


def test_the_bytes_are_those_of_the_format(tmp_path: Path) -> None:
    """As Python's own writer makes them, which knows the format independently; but for its filling up of records."""
    path = tmp_path / TOP / "a.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"some text")
    write(tmp_path / TOP, tmp_path, tmp_path / "a.tar")
    info = tarfile.TarInfo(f"{TOP}/a.txt")
    info.size, info.mode = 9, 0o644
    expected = info.tobuf(tarfile.USTAR_FORMAT)
    found = (tmp_path / "a.tar").read_bytes()
    assert found[:329] == expected[:329].replace(
        expected[148:156], found[148:156]
    )  # its device numbers depend on Python
    assert found[512:] == b"some text".ljust(512, b"\0") + bytes(1024)


def test_other_programs_read_it(root: Path, tmp_path: Path) -> None:
    write(root / TOP, root, tmp_path / "a.tar")
    (tmp_path / "out").mkdir()
    told = subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path / "out"], capture_output=True, check=True)
    assert told.stderr == b""
    assert files_below(tmp_path / "out" / TOP) == FILES
    with tarfile.open(tmp_path / "a.tar") as stream:
        assert stream.getnames() == sorted(f"{TOP}/{name}" for name in FILES)
        assert {(entry.mtime, entry.uid, entry.uname, entry.mode) for entry in stream} == {(0, 0, "", 0o644)}


@pytest.mark.parametrize("form", ["ustar", "gnu"])
def test_what_other_programs_pack_is_read(root: Path, tmp_path: Path, form: str) -> None:
    package = tmp_path / "a.tar"
    subprocess.run(["tar", f"--format={form}", "-C", root, "-cf", package, "ORG"], check=True)
    assert judge(package) == []
    assert files_below(extract(package, tmp_path / "out")) == FILES


@pytest.mark.parametrize("length", [60, 100, 101, 200])
def test_long_names_are_split(tmp_path: Path, length: int) -> None:
    folder = tmp_path / "O" / "cryodenoise" / "S" / "D"
    name = "/".join(["d" * 40] * 5)[: length - 20].strip("/") + "/e.txt"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("x")
    write(folder, tmp_path, tmp_path / "a.tar")
    assert files_below(extract(tmp_path / "a.tar", tmp_path / "out")) == {name: b"x"}
    with tarfile.open(tmp_path / "a.tar") as stream:
        assert stream.getnames() == [f"O/cryodenoise/S/D/{name}"]


def test_names_too_long_for_the_format_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "/".join(["O" * 64, "cryodenoise", "S" * 64, "D" * 64])
    (folder / "runs/0/model/repeat-2").mkdir(parents=True)
    (folder / "runs/0/model/repeat-2/best.safetensors").write_text("x")
    with pytest.raises(UserError, match="more than a tar can hold: shorten the names"):
        write(folder, tmp_path, tmp_path / "a.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["O" * 64]


@settings(deadline=None)
@given(
    st.lists(st.from_regex(r"[A-Za-z0-9_]{1,60}", fullmatch=True), min_size=1, max_size=6), st.integers(0, 8**11 - 1)
)
def test_headers_are_read_as_written(parts: list[str], size_bytes: int) -> None:
    name = "/".join(parts)
    try:
        block = ustar.pack(name, size_bytes)
    except UserError:
        assert len(name) > 100
        return
    assert ustar.unpack(block) == ustar.Header(name, ustar.FILE, size_bytes)
    info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    assert (info.name, info.size, info.isreg()) == (name, size_bytes, True)


def test_a_package_that_would_be_refused_is_not_packed(root: Path, tmp_path: Path) -> None:
    (root / TOP / "link").symlink_to("README.md")
    (root / TOP / "a b").touch()
    with pytest.raises(UserError, match=r"'link': a symbolic link(.|\n)*'a b' is no name"):
        write(root / TOP, root, tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()


# What strangers make


def tar(*entries: tuple[str, dict[str, object], bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """An archive of entries: names, what else a header says, and content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as out:
        for name, attributes, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            out.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def named(*found: str) -> bytes:
    return tar(*((name, {}, b"x") for name in found))


def kind(letter: bytes, **others: object) -> bytes:
    return tar((GOOD, {}, b"x"), (f"{TOP}/odd", {"type": letter, "linkname": "README.md", **others}, b""))


def forged(content: bytes, change: Callable[[bytearray], object]) -> bytes:
    """An archive whose first header was changed, with the checksum that it then has."""
    block = bytearray(content)
    change(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


def put(start: int, value: bytes) -> Callable[[bytearray], object]:
    return lambda block: block.__setitem__(slice(start, start + len(value)), value)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        out.writestr(GOOD, "x")
    return stream.getvalue()


def compressed(mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{mode}") as out:  # type: ignore[call-overload]
        out.addfile(tarfile.TarInfo(GOOD), io.BytesIO())
    return stream.getvalue()


GOOD = f"{TOP}/README.md"
ATTACKS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty, expected an uncompressed tar"),
    "zeros": (bytes(10240), "holds no files"),
    "text": (b"not at all " * 200, "no tar of the USTAR format"),
    "short": (b"\x01" * 100, "no tar of the USTAR format"),
    "zip": (zipped(), "a zip archive, expected an uncompressed tar"),
    "gzip": (compressed("gz"), "a gzip file, expected"),
    "bzip2": (compressed("bz2"), "a bzip2 file, expected"),
    "xz": (compressed("xz"), "an xz file, expected"),
    "cut within a file": (tar((GOOD, {}, bytes(5000)))[:2000], "5000 bytes, but the archive ends after 1488"),
    "cut after a file": (named(GOOD)[:1024], "truncated: it does not end with two blocks of zeros"),
    "cut within a header": (named(GOOD)[:1300], "truncated: it does not end"),
    "one block at the end": (named(GOOD)[:1536], "truncated: it ends with one block of zeros"),
    "garbage behind": (named(GOOD) + b"more".ljust(512), "more behind its end"),
    "half a block behind": (named(GOOD) + bytes(100), "100 bytes too long"),
    "an archive behind": (named(GOOD)[:1536] + named(f"{TOP}/b"), "more behind its end"),
    "absolute": (named(GOOD, "/etc/passwd"), "'/etc/passwd': an absolute path"),
    "a drive": (named(GOOD, "C:/x"), "'C:/x': an absolute path"),
    "up": (named(GOOD, f"{TOP}/../../../../../x"), "leads out of its folder by '..'"),
    "up alone": (named(GOOD, ".."), "leads out of its folder"),
    "here": (named(GOOD, f"./{GOOD}2"), "'.' is no name"),
    "no name": (named(GOOD, ""), "'' is no name"),
    "double slash": (named(GOOD, f"{TOP}//x"), "'' is no name"),
    "backslash": (named(GOOD, f"{TOP}/a\\..\\x"), "is no name for a file"),
    "newline": (named(GOOD, f"{TOP}/a\nb"), r"a\nb"),
    "escape": (named(GOOD, f"{TOP}/a\x1b[2J"), r"a\x1b[2J"),
    "right to left": (named(GOOD, f"{TOP}/a\u202egpj.exe"), r"\u202e"),
    "leading dash": (named(GOOD, f"{TOP}/-rf"), "'-rf' is no name"),
    "hidden": (named(GOOD, f"{TOP}/.ssh"), "'.ssh' is no name"),
    "dot at the end": (named(GOOD, f"{TOP}/a."), "'a.' is no name"),
    "space at the end": (named(GOOD, f"{TOP}/a "), "'a ' is no name"),
    "stream of Windows": (named(GOOD, f"{TOP}/a:b"), "'a:b' is no name"),
    "device of Windows": (named(GOOD, f"{TOP}/Nul.txt"), "'Nul.txt' is a device of Windows"),
    "no UTF-8": (forged(named(GOOD), put(len(GOOD), b"\xff")), "is no name"),
    "by case": (named(GOOD, GOOD.upper()), "differs from"),
    "file by case": (named(GOOD, f"{TOP}/readme.md"), "'ORG/cryodenoise/box/first/readme.md': differs from"),
    "folder by case": (named(f"{TOP}/runs/a", f"{TOP}/Runs/b"), f"differs from '{TOP}/Runs' by case alone"),
    "by Unicode": (named(GOOD, f"{TOP}/\u00e9", f"{TOP}/e\u0301"), "is no name for a file"),
    "symbolic link": (kind(tarfile.SYMTYPE), "a symbolic link"),
    "hard link": (kind(tarfile.LNKTYPE), "a hard link"),
    "character device": (kind(tarfile.CHRTYPE), "a character device"),
    "block device": (kind(tarfile.BLKTYPE), "a block device"),
    "FIFO": (kind(tarfile.FIFOTYPE), "a FIFO"),
    "contiguous": (kind(tarfile.CONTTYPE), "a contiguous file"),
    "sparse": (kind(tarfile.GNUTYPE_SPARSE), "a sparse file"),
    "volume": (kind(b"V"), "a GNU label"),
    "unknown": (kind(b"Z"), "the unknown kind b'Z'"),
    "through a link": (
        tar((f"{TOP}/out", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}, b""), (f"{TOP}/out/x", {}, b"x")),
        "a symbolic link",
    ),
    "PAX name": (tar((GOOD, {"pax_headers": {"path": "../x"}}, b"x"), form=tarfile.PAX_FORMAT), "a PAX header"),
    "PAX size": (tar((GOOD, {"pax_headers": {"size": "1"}}, b"x"), form=tarfile.PAX_FORMAT), "a PAX header"),
    "GNU name": (tar((f"{TOP}/{'n' * 120}", {}, b"x"), form=tarfile.GNU_FORMAT), "a GNU long name"),
    "GNU link": (
        tar((GOOD, {"type": tarfile.SYMTYPE, "linkname": "n" * 120}, b""), form=tarfile.GNU_FORMAT),
        "a GNU long link name",
    ),
    "PAX for all": (forged(named(GOOD), put(156, b"g")), "a PAX header"),
    "binary size": (forged(named(GOOD), put(124, b"\x80" + bytes(10) + b"\x01")), "a number that is not octal"),
    "negative size": (forged(named(GOOD), put(124, b"-0000000001\0")), "a number that is not octal"),
    "huge size": (forged(named(GOOD), put(124, b"77777777777\0")), "truncated: 8589934591 bytes"),
    "checksum": (named(GOOD).replace(b"README", b"READYE", 1), "does not have its checksum"),
    "old header": (forged(named(GOOD), put(257, bytes(8))), "no tar of the USTAR format"),
    "old second header": (named(GOOD)[:1024] + forged(named(GOOD), put(257, bytes(8))), "no header of a plain tar"),
    "GNU prefix": (forged(named(GOOD), lambda b: put(257, b"ustar  \0")(b) or put(345, b"up")(b)), "other programs"),
    "behind the name": (forged(named(GOOD), put(60, b"hidden")), "more behind its end"),
    "twice": (named(GOOD, GOOD), "there twice"),
    "file and folder": (named(GOOD, f"{GOOD}/x"), "a file, but also the folder of others"),
    "folder and file": (tar((GOOD, {"type": tarfile.DIRTYPE}, b""), (GOOD, {}, b"x")), "there twice"),
    "folder with content": (forged(named(GOOD), put(156, b"5")), "a folder of 1 bytes, expected none"),
    "deep": (named(f"{TOP}/{'/'.join('d' * 9)}"), "13 parts deep, expected at most 12"),
    "outside": (named(GOOD, "elsewhere.txt"), "'elsewhere.txt': expected all files below"),
    "another benchmark": (named("ORG/other/box/first/README.md"), "expected all files below"),
    "two packages": (named(GOOD, "ORG/cryodenoise/box/second/README.md"), "holds 2 packages, expected one"),
    "odd organization": (named("_x/cryodenoise/box/first/README.md"), "expected all files below"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_found_before_anything_is_written(tmp_path: Path, name: str) -> None:
    content, told = ATTACKS[name]
    package = tmp_path / "a.tar"
    package.write_bytes(content)
    found = judge(package)
    assert any(told in finding.problem for finding in found), found
    assert all(finding.place == package and finding.problem.isprintable() for finding in found)
    assert len(set(found)) == len(found)
    with pytest.raises(UserError, match=r"a\.tar: "):
        extract(package, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_every_finding_is_told(tmp_path: Path) -> None:
    package = tmp_path / "a.tar"
    package.write_bytes(
        tar(
            (GOOD, {}, b""), ("/etc/passwd", {}, b""), ("../x", {}, b""), (GOOD, {}, b""),
            (f"{TOP}/l", {"type": tarfile.SYMTYPE, "linkname": "x"}, b""),
        )
    )  # fmt: skip
    told = "\n".join(finding.problem for finding in judge(package))
    for problem in ("absolute", "'..'", "there twice", "a symbolic link"):
        assert problem in told


def test_limits_of_number_and_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a.tar"
    package.write_bytes(named(*(f"{TOP}/f{number}" for number in range(names.MAX_FILES))))
    assert judge(package) == []
    package.write_bytes(named(*(f"{TOP}/f{number}" for number in range(names.MAX_FILES + 1))))
    assert [finding.problem for finding in judge(package)] == ["more than 500 entries"]
    monkeypatch.setattr(names, "MAX_FILE_BYTES", 10)
    monkeypatch.setattr(names, "MAX_BYTES", 25)
    package.write_bytes(tar(*((f"{TOP}/{name}", {}, bytes(10)) for name in "abc"), (f"{TOP}/d", {}, bytes(11))))
    assert [finding.problem for finding in judge(package)] == [
        f"'{TOP}/d': 11 bytes, expected at most 10",
        "41 bytes in all, expected at most 25",
    ]
    monkeypatch.setattr(archive, "_MAX_ARCHIVE_BYTES", 5000)
    assert [finding.problem for finding in judge(package)] == ["10240 bytes, expected at most 5000"]


def test_a_huge_archive_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.tar").open("wb") as stream:
        stream.write(named(GOOD))
        stream.truncate(1 << 40)  # a hole, which takes no room
    assert [finding.problem[:14] for finding in judge(tmp_path / "a.tar")] == [f"{1 << 40} "]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=3000))
def test_any_bytes_are_judged(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    package = tmp_path_factory.getbasetemp() / "any.tar"
    package.write_bytes(content)
    assert judge(package)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 1023), st.integers(1, 255), st.booleans())
def test_a_changed_byte_never_leads_out(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int, mend: bool
) -> None:
    content = bytearray(named(GOOD))
    content[position] ^= change
    folder = tmp_path_factory.mktemp("changed")
    package = folder / "a.tar"
    package.write_bytes(forged(bytes(content), lambda _: None) if mend and position < 512 else content)
    if judge(package):
        with pytest.raises(UserError):
            extract(package, folder / "out")
        assert [path.name for path in folder.iterdir()] == ["a.tar"]
    else:
        found = extract(package, folder / "out")
        assert found.resolve().is_relative_to(folder / "out")
        assert sum(path.is_file() for path in folder.rglob("*")) == 2


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert [finding.problem[:7] for finding in judge(tmp_path / "fifo")] == ["no file"]
    assert [finding.problem[:7] for finding in judge(tmp_path)] == ["no file"]
    assert [finding.problem[:7] for finding in judge(tmp_path / "none")] == ["missing"]


def test_only_a_new_or_empty_folder_is_written(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "a.tar"
    write(root / TOP, root, package)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for place in ("full", "full/x", "link"):
        with pytest.raises(UserError, match="not empty, expected a new folder"):
            extract(package, tmp_path / place)
    (tmp_path / "empty").mkdir()
    assert files_below(extract(package, tmp_path / "empty")) == FILES


# Packages that are folders


def test_a_sound_folder_has_no_findings(root: Path) -> None:
    assert judge_folder(root) == judge_folder(root / TOP) == []


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    assert [finding.problem[:9] for finding in judge_folder(tmp_path / "none")] == ["no folder"]


def test_odd_things_in_a_folder_are_found(root: Path) -> None:
    folder = root / TOP
    (folder / "to-file").symlink_to("README.md")
    (folder / "to-folder").symlink_to("/")
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "socket", stat.S_IFSOCK | 0o600)  # a bound one's path must be short
    (folder / "a\\b").touch()
    (folder / "c\nd").touch()
    (folder / "Readme.md").touch()
    (folder / "e\u0301").touch()
    os.close(os.open(os.fsencode(folder) + b"/\xff", os.O_CREAT))
    (folder / "con").mkdir()
    deep = folder.joinpath(*"d" * 14)
    deep.mkdir(parents=True)
    found = judge_folder(folder)
    told = "\n".join(finding.problem for finding in found)
    for problem in (
        "'to-file': a symbolic link", "'to-folder': a symbolic link", "'fifo': a FIFO", "'socket': a socket",
        "is no name for a file", r"c\nd", "differs from 'README.md' by case", "e\u0301", r"\udcff", "'con' is a device",
        "13 parts deep",
    ):  # fmt: skip
        assert problem in told
    assert all(finding.problem.isprintable() for finding in found)


def test_limits_of_a_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (root / TOP / "huge.bin").open("wb") as stream:
        stream.truncate(names.MAX_BYTES + 1)
    told = "\n".join(finding.problem for finding in judge_folder(root / TOP))
    assert "'huge.bin': 1073741825 bytes, expected at most 536870912" in told
    assert "bytes in all, expected at most 1073741824" in told
    monkeypatch.setattr(archive, "MAX_FILES", 4)
    assert "more than 4 files and folders" in "\n".join(finding.problem for finding in judge_folder(root / TOP))
