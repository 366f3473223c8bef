"""The rules of data/: `open_dataset` stops at the first thing that is wrong, these find all of them."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
import xxhash

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.console import Console
from cryodenoise.dataset.layout import (
    CHECKSUM_DTYPE,
    DOCUMENT_NAME,
    STEMS,
    Role,
    Stem,
    binary_name,
    checksums_name,
    has_truth,
    inconsistencies,
    roles_of,
    sample_bytes,
    samples_in_files,
)
from cryodenoise.dataset.origin import micrograph_name, origin_of
from cryodenoise.dataset.writer import lengths
from cryodenoise.environment import available_cores
from cryodenoise.files import sha256_of
from cryodenoise.findings import Finding, Rule, rule

_BLOCK_BYTES = 1 << 22
_MOST_THREADS = 4  # more would only make a disk seek


@dataclass(frozen=True)
class DatasetFolder:
    """A folder and what its dataset.json says; progress goes to the console."""

    path: Path
    record: DatasetRecord
    console: Console

    @property
    def sample_bytes(self) -> int:
        """Length of a sample."""
        return sample_bytes(self.record.sample_shape, self.record.dtype)

    @property
    def binaries(self) -> list[tuple[Stem, Role]]:
        """Stem and role of every binary."""
        with_truth = has_truth(self.record.segments)
        return [(stem, role) for stem in STEMS for role in roles_of(stem, with_truth)]


@rule(
    "DATA-1", "dataset.json does not contradict itself: identity, splits, lengths and digests follow from its segments"
)
def consistent(folder: DatasetFolder) -> Iterator[Finding]:
    """Every contradiction."""
    for contradiction in inconsistencies(folder.record):
        yield Finding(folder.path / DOCUMENT_NAME, f"{contradiction}: edited since it was written")


@rule("DATA-2", "every binary and every file of checksums is there, as long as its samples")
def lengths_of_files(folder: DatasetFolder) -> Iterator[Finding]:
    """Missing files, and those of another length; of a truncated one, the first sample that is lost."""
    record = folder.record
    samples, with_truth = samples_in_files(record.segments), has_truth(record.segments)
    for path, expected in lengths(folder.path, samples, record.sample_shape, record.dtype, with_truth).items():
        if not path.is_file():
            yield Finding(path, f"missing, expected {expected} bytes")
        elif (found := path.stat().st_size) != expected:
            stem = next(stem for stem in STEMS if path.name.startswith(stem))
            length = folder.sample_bytes if path.suffix == ".bin" else np.dtype(CHECKSUM_DTYPE).itemsize
            origin = origin_of(folder.record, stem, found // length) if found < expected and length else None
            lost = f"; lost from sample {found // length} on ({origin})" if origin else ""
            yield Finding(path, f"{found} bytes, expected {expected}{lost}")


@rule("DATA-3", "every file of checksums has its SHA-256")
def checksum_files(folder: DatasetFolder) -> Iterator[Finding]:
    """Altered files of checksums."""
    expected = {file.checksums: file.checksums_sha256 for file in folder.record.files}
    for name in (checksums_name(stem, role) for stem, role in folder.binaries):
        path = folder.path / name
        if path.is_file() and name in expected and (found := sha256_of(path)) != expected[name]:
            yield Finding(path, f"SHA-256 {found[:16]}…, expected {expected[name][:16]}…: altered since it was written")


@rule("DATA-4", "every sample has its XXH3-64, every segment its SHA-256, and with them every file its digest")
def content(folder: DatasetFolder) -> Iterator[Finding]:
    """Altered samples: the binaries are read once, each from its beginning to its end, by a few threads."""
    jobs = [
        (role, number)
        for stem, role in folder.binaries
        for number, segment in enumerate(folder.record.segments)
        if segment.file == stem
    ]
    there = sum(path.stat().st_size for path in _binaries(folder) if path.is_file())
    pool = ThreadPoolExecutor(min(available_cores(), _MOST_THREADS), "check")  # reading and hashing leave Python's lock
    try:
        pending: deque[Future[tuple[int, list[Finding]]]] = deque()
        with folder.console.progress("read", there, "bytes") as advance:
            while jobs or pending:
                while jobs and len(pending) < 2 * _MOST_THREADS:
                    pending.append(pool.submit(_read_segment, folder, *jobs.pop(0)))
                read_bytes, findings = pending.popleft().result()
                advance(read_bytes)
                yield from findings
    finally:
        pool.shutdown(cancel_futures=True)


RULES: tuple[Rule[DatasetFolder], ...] = (consistent, lengths_of_files, checksum_files, content)


def _binaries(folder: DatasetFolder) -> Iterator[Path]:
    return (folder.path / binary_name(stem, role) for stem, role in folder.binaries)


def _read_segment(folder: DatasetFolder, role: Role, number: int) -> tuple[int, list[Finding]]:
    """Read one segment of one binary, as far as the file goes; bytes read, and what is wrong with it."""
    segment, length = folder.record.segments[number], folder.sample_bytes
    path = folder.path / binary_name(segment.file, role)
    if not path.is_file() or length <= 0:
        return 0, []  # said by other rules
    expected = _checksums(folder.path / checksums_name(segment.file, role))
    end = min(segment.first_sample + segment.samples, path.stat().st_size // length)
    altered: dict[int, str] = {}
    digest, buffer = hashlib.sha256(), memoryview(bytearray(min(length, _BLOCK_BYTES)))
    try:
        with path.open("rb", buffering=0) as stream:
            for sample in range(segment.first_sample, end):
                checksum = xxhash.xxh3_64()
                for block in _blocks(stream, sample * length, length, buffer):
                    checksum.update(block)
                    digest.update(block)
                if sample < len(expected) and (found := checksum.intdigest()) != expected[sample]:
                    altered[sample] = f"XXH3-64 {found:016x}, expected {expected[sample]:016x}"
    except OSError as error:
        return 0, [
            Finding(path, f"segment {number}: cannot be read ({error.strerror}), expected {segment.samples} samples")
        ]
    whole = end == segment.first_sample + segment.samples
    sound = whole and digest.hexdigest() == segment.sha256.get(role)
    findings = [
        _altered(folder, role, number, first, last, f"{'of the first, ' * (last > first)}{altered[first]}", sound)
        for first, last in _runs(list(altered))
    ]
    if whole and not sound and not altered:
        name = micrograph_name(folder.record, segment.micrograph)
        sums = "though each has its checksum" if len(expected) >= end else "and there are no checksums to tell which"
        findings.append(
            Finding(
                path,
                f"segment {number} (samples {segment.first_sample} to {end - 1}, {segment.split}, {name}): SHA-256 "
                f"{digest.hexdigest()[:16]}…, expected {segment.sha256.get(role, 'none')[:16]}…, {sums}",
            )
        )
    return max(end - segment.first_sample, 0) * length, findings


def _altered(folder: DatasetFolder, role: Role, number: int, first: int, last: int, sums: str, sound: bool) -> Finding:
    """What to say of a run of samples that do not have their checksums."""
    segment, length = folder.record.segments[number], folder.sample_bytes
    samples = f"sample {first}" if first == last else f"samples {first} to {last}"
    where = f"bytes {first * length} to {(last + 1) * length - 1}; {origin_of(folder.record, segment.file, first)}"
    if sound:
        place = folder.path / checksums_name(segment.file, role)
        return Finding(place, f"{samples} ({where}): {sums}, but the segment's SHA-256 says that the bytes are right")
    return Finding(folder.path / binary_name(segment.file, role), f"{samples} ({where}): {sums}: altered")


def _runs(samples: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers, of an ascending list."""
    first = 0
    for at in range(1, len(samples) + 1):
        if at == len(samples) or samples[at] != samples[at - 1] + 1:
            yield samples[first], samples[at - 1]
            first = at


def _checksums(path: Path) -> np.ndarray:
    """What a file of checksums holds; nothing if it cannot be read."""
    with suppress(OSError):
        if path.is_file():  # a pipe would be waited for
            return np.fromfile(path, CHECKSUM_DTYPE)
    return np.empty(0, CHECKSUM_DTYPE)


def _blocks(stream: FileIO, position: int, length: int, buffer: memoryview) -> Iterator[memoryview]:
    """Yield the bytes of a file from a position on, in blocks as long as the buffer, each valid until the next."""
    while length:
        count = os.preadv(stream.fileno(), [buffer[:length]], position)
        if not count:
            return  # the file was cut since its length was asked for: its checksum will not fit
        yield buffer[:count]
        position, length = position + count, length - count
