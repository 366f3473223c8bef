"""Everything that is wrong with a package, which is somebody else's: nothing in it is trusted before it is read."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryodenoise.config.submission import APPLICATION, Manifest
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.submission import archive, contents, division, privacy, rules
from cryodenoise.submission.events import shown
from cryodenoise.submission.package import MANIFEST_NAME, Package, names_in, open_package

SENSELESS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What may be raised by documents whose values make no sense together."""
_MOST_FINDINGS = 1000  # of a rule; those beyond are not told
_SHOWN = 2000  # characters of a finding


@dataclass
class Outcome:
    """What was found.

    Attributes:
        held: Rules that nothing was found against.
        findings: What breaks a rule, with the rule.
        reviews: What a reviewer should look at, likewise.
        package: The package; None if its documents cannot be read.
    """

    held: list[Rule[Any]] = field(default_factory=list)
    findings: list[tuple[Rule[Any], Finding]] = field(default_factory=list)
    reviews: list[tuple[Rule[Any], Finding]] = field(default_factory=list)
    package: Package | None = None

    def apply(self, some: Sequence[Rule[Any]], about: object, reviews: bool = False) -> bool:
        """Apply rules, and say whether nothing was found."""
        clean = True
        for each in some:
            found = list(_findings(each, about))
            (self.reviews if reviews else self.findings).extend((each, finding) for finding in found)
            if not found:
                self.held.append(each)
            clean = clean and not found
        return clean


def _findings(each: Rule[Any], about: object) -> Iterator[Finding]:
    """The findings of a rule; of values that it cannot even be applied to, that."""
    try:
        for count, finding in enumerate(each.findings(about), 1):
            if count > _MOST_FINDINGS:
                yield Finding(Path(MANIFEST_NAME), f"and more: the first {_MOST_FINDINGS} are told")
                return
            yield _printable(finding)
    except (*SENSELESS, OSError, UserError) as error:
        told = f"the rule cannot be applied: {type(error).__name__}: {error}"
        yield _printable(Finding(Path(MANIFEST_NAME), told))


def _printable(finding: Finding) -> Finding:
    """A finding as one line, whatever it quotes: it cannot pass for others, nor command a terminal."""
    place = Path(shown(str(finding.place), _SHOWN))
    return Finding(place, shown(finding.problem, _SHOWN))


def is_package(path: Path) -> bool:
    """Whether a path looks like a package, archived or not, rather than like a folder of a workspace."""
    return path.is_file() or _leaf(path) is not None


def _leaf(path: Path) -> Path | None:
    """The folder of a package: the path itself, or the only one below it."""
    if (path / MANIFEST_NAME).is_file():
        return path
    below = [found.parent for found in path.glob(f"*/{APPLICATION}/*/*/{MANIFEST_NAME}")]
    return below[0] if len(below) == 1 else None


@contextmanager
def checked(path: Path, words: Collection[str] = ()) -> Iterator[Outcome]:
    """Check a package; while the context lasts, its folder can be read.

    Args:
        path: An archive that `submit` wrote, or the folder in it.
        words: Names of users and machines that must not be in it. Without any, the outcome is the same everywhere.

    Raises:
        UserError: If there is no such file or folder.
    """
    if not path.exists():
        raise UserError(f"{path}: does not exist, expected a package that `cryodenoise submit` wrote")
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="cryodenoise-") as scratch:
        if outcome.apply([safe], path):
            root = path if path.is_dir() else archive.extract(path, Path(scratch) / "package")
            _check_folder(root, words, outcome)
        yield outcome


def _check_folder(root: Path, words: Collection[str], outcome: Outcome) -> None:
    """Check a folder in which there is nothing but files with harmless names."""
    folder = _leaf(root)
    loaded: list[Manifest] = []
    if not outcome.apply([_manifest(loaded)], folder):
        return
    assert folder, "a rule refuses its absence"
    listed = _Listed(folder, loaded[0], words)
    outcome.apply(_FILES, listed)
    if not (outcome.apply([harmless], listed) and listed.is_complete()):
        return
    packages: list[Package] = []
    if outcome.apply([_documents(packages)], listed):
        outcome.package = packages[0]
        outcome.apply((*rules.RULES, *division.RULES), outcome.package)
        outcome.apply(division.REVIEWS, outcome.package, reviews=True)


@dataclass(frozen=True)
class _Listed:
    """A package's folder, what its manifest says is in it, and names that must not be in it."""

    path: Path
    manifest: Manifest
    words: Collection[str]

    def names(self) -> set[str]:
        """The places of all files that are there but the manifest."""
        files = (found for found in self.path.rglob("*") if not found.is_dir())
        return {found.relative_to(self.path).as_posix() for found in files} - {MANIFEST_NAME}

    def is_complete(self) -> bool:
        """Whether all that documents are read from is there, and nothing else."""
        return self.names() == names_in(self.manifest)


@rule("PACKAGE-1", "the archive or folder holds plain files with harmless names, not too many and not too large")
def safe(path: Path) -> Iterator[Finding]:
    """Everything that could do harm when it is unpacked or read."""
    yield from archive.judge_folder(path) if path.is_dir() else archive.judge(path)


def _manifest(loaded: list[Manifest]) -> Rule[Path | None]:
    """The rule about manifest.json, which is appended to `loaded` where it can be read."""

    def findings(folder: Path | None) -> Iterator[Finding]:
        name = Path(MANIFEST_NAME)
        if folder is None:
            yield Finding(name, f"expected one, in ORGANIZATION/{APPLICATION}/SYSTEM/DESCRIPTOR/")
            return
        try:
            contents.read_json(folder / MANIFEST_NAME)
            loaded.append(Manifest.load_document(folder / MANIFEST_NAME))
        except UserError as error:
            for line in str(error).splitlines():
                yield Finding(name, line.removeprefix(f"{folder / MANIFEST_NAME}: "))

    return Rule("PACKAGE-2", "manifest.json is of this version, as its schema says and as it was written", findings)


@rule("PACKAGE-3", "all files are there that a package has, each with its digest, and no others")
def listed(package: _Listed) -> Iterator[Finding]:
    """Missing, additional and altered files."""
    there, expected, told = package.names(), names_in(package.manifest), package.manifest.files
    yield from (Finding(Path(name), "missing, expected in every package") for name in sorted(expected - there))
    yield from (Finding(Path(name), "found what no package has: remove it") for name in sorted(there - expected))
    yield from (Finding(Path(name), "not named in manifest.json") for name in sorted(there - told.keys()))
    yield from (Finding(Path(name), "missing, manifest.json names it") for name in sorted(told.keys() - there))
    for name in sorted(there & told.keys()):
        path = package.path / name
        if path.stat().st_size != told[name].size_bytes or sha256_of(path) != told[name].sha256:
            yield Finding(Path(name), "altered: its length and SHA-256 are not those of manifest.json")


@rule("PACKAGE-4", "weights are safetensors, and every other file is plain data that no reader can be harmed by")
def harmless(package: _Listed) -> Iterator[Finding]:
    """Pickles, bombs, and text that is none."""
    for name in sorted(package.names() & names_in(package.manifest)):
        try:
            _require_harmless(package.path / name)
        except UserError as error:
            yield Finding(Path(name), str(error).removeprefix(f"{package.path / name}: "))


def _require_harmless(path: Path) -> None:
    """Raise a UserError unless a file is what its suffix says."""
    readers: dict[str, Callable[[Path], object]] = {
        ".json": contents.read_json,
        ".yaml": contents.read_yaml,
        ".npz": contents.require_npz,
        ".safetensors": contents.require_safetensors,
    }
    readers.get(path.suffix, contents.read_text)(path)


@rule("PACKAGE-5", "nothing names a person, a machine or a place on one")
def impersonal(package: _Listed) -> Iterator[Finding]:
    """Absolute paths, addresses and the like; when it is made, also the names of the machine and its user."""
    for name in sorted(package.names() & names_in(package.manifest)):
        try:
            found = {
                told
                for text in privacy.texts_of(package.path / name)
                for told in privacy.personal_data(text, words=package.words)
            }
        except UserError:
            continue  # PACKAGE-4 tells of it
        yield from (Finding(Path(name), told) for told in sorted(found))


def _documents(packages: list[Package]) -> Rule[_Listed]:
    """The rule about the documents, from which the package is made and appended where all can be read."""

    def findings(package: _Listed) -> Iterator[Finding]:
        try:
            packages.append(open_package(package.path, package.manifest))
        except UserError as error:
            for line in str(error).splitlines():
                place, _, problem = line.partition(": ")
                yield Finding(Path(place), problem)

    return Rule("PACKAGE-7", "report.json, training.json and dataset.json are of this version and unedited", findings)


_FILES: tuple[Rule[_Listed], ...] = (listed, impersonal)


def every_rule() -> list[Rule[Any]]:
    """All rules, and what is named for review."""
    return [safe, _manifest([]), *_FILES, harmless, _documents([]), *rules.RULES, *division.RULES, *division.REVIEWS]
