import io
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.evaluation.npz import problem_of


def arrays(**found: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, **found)
    return stream.getvalue()


@settings(deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,20}", fullmatch=True).filter(lambda name: name not in ("file", "allow_pickle")),
        st.tuples(
            st.lists(st.integers(1, 5), max_size=5), st.sampled_from(["<f8", "<f4", "<f2", "<i8", "u1", "?", ">f4"])
        ),
        min_size=1,
        max_size=5,
    )
)
def test_plain_arrays_are_accepted(made: dict[str, tuple[list[int], str]]) -> None:
    problem = problem_of(arrays(**{name: np.zeros(shape, dtype) for name, (shape, dtype) in made.items()}))
    if any(dtype == ">f4" for _, dtype in made.values()):
        assert problem is not None
        assert "no array of plain numbers" in problem
    else:
        assert problem is None


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names given twice
        for name, content in members:
            out.writestr(name, content)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def declared(content: bytes, size_bytes: int) -> bytes:
    """An archive whose first header and directory say that its last member unpacks to so many bytes."""
    forged = bytearray(content)
    for start in (forged.rindex(b"PK\x01\x02") + 24, 22):
        forged[start : start + 4] = struct.pack("<I", size_bytes)
    return bytes(forged)


ONES = npy(np.ones(3))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no archive of numpy arrays"),
        (ONES, "no archive of numpy arrays"),
        (zipped(("a.npy", ONES))[:-10], "no archive of numpy arrays"),
        (zipped(("a.npy", ONES)).replace(ONES[-8:], bytes(8), 1), "no archive of numpy arrays (Bad CRC-32"),
        (declared(zipped(("a.npy", ONES)), 300 << 20), "314572800 bytes unpacked, expected at most 268435456"),
        (declared(zipped(("a.npy", ONES)), 100), "a.npy: compressed, expected plain bytes"),
        (zipped(("a.npy", ONES), method=zipfile.ZIP_DEFLATED), "a.npy: compressed, expected plain bytes"),
        (zipped(("../a.npy", ONES)), "member '../a.npy', expected arrays"),
        (zipped(("a/b.npy", ONES)), "member 'a/b.npy', expected arrays"),
        (zipped(("a\nb.npy", ONES)), r"member 'a\nb.npy'"),
        (zipped(("a.txt", ONES)), "member 'a.txt'"),
        (zipped(("a.npy", ONES), ("a.npy", ONES)), "two members of one name"),
        (zipped(*((f"a{number}.npy", ONES) for number in range(65))), "65 members, expected at most 64"),
        (zipped(("a.npy", b"")), "no archive of numpy arrays"),
        (zipped(("a.npy", b"x" * 200)), "no array of numpy"),
        (zipped(("a.npy", ONES.replace(b"NUMPY\x01", b"NUMPY\x02"))), "version 1.0"),
        (zipped(("a.npy", ONES.replace(b"(3,)", b"(9,)"))), "a.npy: 152 bytes, expected 200 by its shape"),
        (zipped(("a.npy", ONES.replace(b"(3,), }     ", b"(999999999,)"))), "a.npy: no array of plain numbers"),
        (zipped(("a.npy", ONES.replace(b"(3,), }        ", b"(999999999,), }"))), "bytes, expected 8000000120 by its"),
        (zipped(("a.npy", ONES.replace(b"<f8", b"|O8"))), "a.npy: no array of plain numbers"),
        (zipped(("a.npy", ONES.replace(b"<f8", b"<f1"))), "a.npy: no array of plain numbers"),
        (zipped(("a.npy", ONES.replace(b"(3,)", b"(3 )"))), "a.npy: no array of plain numbers"),
        (arrays(a=np.array([None])), "a.npy: no array of plain numbers"),
        (arrays(a=np.array(["text"])), "a.npy: no array of plain numbers"),
        (arrays(a=np.zeros(3, [("b", "f4")])), "a.npy: no array of plain numbers"),
        (arrays(a=np.zeros((0, 3))), "a.npy: no array of plain numbers, or an empty one"),
        (arrays(a=np.zeros((1,) * 9)), "a.npy: no array of plain numbers"),
    ],
)  # fmt: skip
def test_other_arrays_are_refused(content: bytes, told: str) -> None:
    problem = problem_of(content)
    assert problem is not None
    assert told in problem
    assert problem.isprintable()


def test_a_bomb_is_found_without_unpacking() -> None:
    bomb = declared(zipped(("a.npy", ONES + bytes(8 << 20)), method=zipfile.ZIP_DEFLATED), len(ONES))
    tracemalloc.start()
    assert problem_of(bomb) == "a.npy: compressed, expected plain bytes"
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 600), st.integers(1, 255))
def test_a_changed_byte_is_found_or_read(position: int, change: int) -> None:
    content = bytearray(zipped(("a.npy", ONES), ("b.npy", ONES)))
    content[position % len(content)] ^= change
    if problem_of(bytes(content)) is None:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            for name in archive.files:
                assert archive[name].nbytes == 24


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_judged(content: bytes) -> None:
    assert problem_of(content)
    assert problem_of(content + zipped(("a.npy", content)))
