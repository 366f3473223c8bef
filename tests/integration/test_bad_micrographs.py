"""Micrographs and their normalisation: mistakes end with exit code 2, one message, files as they were."""

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refusals import Refusal, WriteMrc, noisy
from workspaces import Workspace


def test_missing_raw_dir(empty: Workspace, refuse: Refusal) -> None:
    refuse(empty, "preprocess", str(empty / "raw"), "does not exist", "cryodenoise download")


def test_file_in_the_place_of_raw_dir(empty: Workspace, refuse: Refusal) -> None:
    empty.write("preprocess")
    (empty / "raw").write_text("")
    refuse(empty, "preprocess", str(empty / "raw"), "is a file")


def test_empty_raw_dir(empty: Workspace, refuse: Refusal) -> None:
    (empty / "raw").mkdir(parents=True)
    refuse(empty, "preprocess", str(empty / "raw"), "no micrograph", "empty", "cryodenoise download")


def test_raw_dir_with_other_kinds_of_files(empty: Workspace, refuse: Refusal) -> None:
    (empty / "raw").mkdir(parents=True)
    for name in ("a.jpg", "b.eer", "c.dm4"):
        (empty / "raw" / name).write_bytes(b"1")
    refuse(empty, "preprocess", str(empty / "raw"), "no micrograph", ".dm4, .eer, .jpg")


def test_micrograph_that_is_a_link_to_nowhere(own: Workspace, refuse: Refusal) -> None:
    (own / "raw/e.mrc").symlink_to(own / "elsewhere/e.mrc")
    refuse(own, "preprocess", str(own / "raw/e.mrc"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.random.default_rng(0).bytes(31_744), ["no MRC file"]),
        (b"These are my notes on the micrographs.\n" * 100, ["no MRC file"]),
        (b"", ["0 bytes", "1024"]),
        (b"MAP ", ["4 bytes", "1024"]),
        (bytes(31_744), ["no MRC file"]),
    ],
)
def test_file_that_is_no_mrc(own: Workspace, refuse: Refusal, content: bytes, words: list[str]) -> None:
    path = own / "raw/b.mrc"
    path.write_bytes(content)
    refuse(own, "preprocess", str(path), *words)


def with_header_value(position: int, value: int) -> Callable[[bytes], bytes]:
    """A change that puts one 4-byte integer into a header."""
    return lambda content: content[:position] + struct.pack("<i", value) + content[position + 4 :]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-1], ["31743 bytes", "31744", "truncated"]),
        (lambda content: content[:1024], ["1024 bytes", "31744", "truncated"]),
        (lambda content: content + b"\0", ["31745 bytes", "31744"]),
        (with_header_value(92, 1 << 30), ["31744 bytes", str(31_744 + (1 << 30))]),
        (with_header_value(92, -1024), ["31744 bytes"]),
        (with_header_value(12, 4), ["mode 4", "2", "convert"]),
        (with_header_value(12, 101), ["mode 101"]),
        (with_header_value(0, 1 << 30), ["31744 bytes"]),
        (with_header_value(0, 0), ["no MRC file"]),
    ],
    ids=["one-byte-short", "header-alone", "one-byte-long", "extended-header-beyond-the-file",
         "extended-header-negative", "complex", "packed", "width-forged", "width-0"],
)  # fmt: skip
def test_mrc_whose_header_does_not_fit_the_file(
    own: Workspace, refuse: Refusal, change: Callable[[bytes], bytes], words: list[str]
) -> None:
    path = own / "raw/c.mrc"
    path.write_bytes(change(path.read_bytes()))
    refuse(own, "preprocess", str(path), *words)


def test_stack_of_particles(own: Workspace, refuse: Refusal) -> None:
    path = own / "raw/a.mrc"
    path.write_bytes(struct.pack("<4i", 32, 32, 10_001, 0).ljust(1024, b"\0") + bytes(10_001 * 32 * 32))
    refuse(own, "preprocess", str(path), "10001 images", "no movie", "move it out of the folder")


@pytest.mark.parametrize(
    ("value", "name", "workers"), [(np.nan, "a", 1), (np.inf, "d", 1), (np.nan, "a", 2), (-np.inf, "d", 2)]
)
def test_pixel_that_is_no_number(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc, value: float, name: str, workers: int
) -> None:
    own.write("preprocess", {"workers": workers})
    image = noisy()
    image[7, 11] = image[90, 70] = value
    path = write_mrc(own / f"raw/{name}.mrc", image)
    refuse(own, "preprocess", str(path), "2 of 7680 pixels", "NaN or infinite", "row 7, column 11")
    path.unlink()
    assert own.run("preprocess") == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_micrograph_under_two_names_and_headers(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc, workers: int
) -> None:
    own.write("preprocess", {"workers": workers})
    write_mrc(own / "raw/copy.mrc", noisy(0), pixel_size_angstrom=2.0)
    refuse(own, "preprocess", "a.mrc", "copy.mrc", "the same micrograph", "remove one")


def test_name_that_is_not_utf_8(own: Workspace, refuse: Refusal) -> None:
    (own / "raw/a.mrc").rename(os.fsdecode(os.fsencode(own / "raw") + b"/caf\xe9.mrc"))
    refuse(own, "preprocess", "caf", "UTF-8", "rename")


def test_micrograph_beside_those_of_a_download(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "data")
    shutil.copy(finished / "raw/synthetic_0000.mrc", finished / "raw/zzz.mrc")
    refuse(finished, "preprocess", "zzz.mrc", "download.json")


def test_micrograph_smaller_than_a_patch(own: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    path = write_mrc(own / "raw/d.mrc", noisy(height_px=31))
    refuse(own, "preprocess", str(path), "31 × 80 pixels", "32 × 32", "patches.size_px")


@pytest.mark.parametrize(
    ("micrographs", "changes", "words"),
    [
        (1, {"patches": {"size_px": 48}}, ["4 lines", "size_px"]),
        (2, {"patches": {"size_px": 96, "stride_px": 16}}, ["1 lines", "size_px"]),
        (3, {"split": {"test_fraction": 0.9}}, ["2 of 3 micrographs", "test_fraction"]),
        (4, {"split": {"validation_fraction": 0.9}}, ["3 for validation", "validation_fraction"]),
    ],
)
def test_too_little_to_hold_anything_out(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc, micrographs: int, changes: dict[str, Any], words: list[str]
) -> None:
    shutil.rmtree(own / "raw")
    for number in range(micrographs):
        write_mrc(own / f"raw/{number}.mrc", noisy(number, width_px=96))
    own.write("preprocess", changes)
    refuse(own, "preprocess", *words)


def lose(path: Path) -> None:
    path.unlink()


def replace_pixels(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8] + np.array([1, 2], "<f4").tobytes())


@pytest.mark.parametrize("damage", [lose, replace_pixels])
def test_damaged_download_is_made_whole_as_the_message_says(
    finished: Workspace, refuse: Refusal, damage: Callable[[Path], None]
) -> None:
    shutil.rmtree(finished / "data")
    damage(finished / "raw/synthetic_0002.mrc")
    lost = str(finished / "raw/synthetic_0002.mrc")
    refuse(finished, "preprocess", lost, "remove the folder", "cryodenoise download")
    shutil.rmtree(finished / "raw")
    assert finished.run("download", "preprocess") == 0


# Normalisation


def test_offset_that_p95_cannot_take_is_named_with_a_rule_that_can(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc
) -> None:
    for number, name in enumerate("abcd"):
        image = np.random.default_rng(number).normal(10_000, 5, (96, 80))
        write_mrc(own / f"raw/{name}.mrc", image.astype(np.float32))
    refuse(own, "preprocess", "a.mrc", "hardly any contrast", "its scale 1.001e+04", "p1_p99")
    own.write("preprocess", {"normalization": "p1_p99"})
    assert own.run("preprocess") == 0


def test_no_positive_pixel_under_p95_is_named_with_a_rule_that_holds(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc
) -> None:
    path = write_mrc(own / "raw/b.mrc", -noisy())
    refuse(own, "preprocess", str(path), "positive", "p1_p99")
    own.write("preprocess", {"normalization": "p1_p99"})
    assert own.run("preprocess") == 0


@pytest.mark.parametrize("value", [7, 0, -3])
@pytest.mark.parametrize("rule", ["p95", "p1_p99"])
def test_constant_image_is_to_be_removed(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc, rule: str, value: float
) -> None:
    own.write("preprocess", {"normalization": rule})
    path = write_mrc(own / "raw/b.mrc", np.full((96, 80), value))
    message = refuse(own, "preprocess", str(path), "remove")
    assert "use `normalization" not in message
