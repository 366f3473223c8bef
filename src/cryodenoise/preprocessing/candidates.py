"""The files of raw/: which micrographs there are, and which other images belong to each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryodenoise import micrographs
from cryodenoise.config.documents import DownloadRecord
from cryodenoise.config.run_files import GainParameters, PairsParameters, PreprocessParameters
from cryodenoise.errors import UserError

PARTICLES = "particles"
"""Folder in raw/ with what simulated micrographs show."""
_PARTICLES_SUFFIX = ".json"


@dataclass(frozen=True)
class Source:
    """A file with an image that belongs to a micrograph.

    Attributes:
        path: The file.
        name: Its place in raw/.
        expected_digest: The digest its pixels must have, where that is known.
    """

    path: Path
    name: str
    expected_digest: str | None = None


@dataclass(frozen=True)
class Candidate:
    """One micrograph that may be used.

    Attributes:
        path: Its file; of halves from files, the even one's.
        name: Its place in raw/.
        expected_digest: The digest its pixels must have, where that is known; of a movie, those of the whole sum.
        target: Where the target comes from: the clean image, the truth, the odd half or, of halves from a movie, the
            movie again; None where it is the micrograph.
        truth: The noise-free image that is carried along for the scores.
        particles_path: What it shows, as a document.
        gain: The gain reference, if there is one.
        whole_digest: Of halves from files, the digest of the whole micrograph's pixels, where it is known.
    """

    path: Path
    name: str
    expected_digest: str | None = None
    target: Source | None = None
    truth: Source | None = None
    particles_path: Path | None = None
    gain: Source | None = None
    whole_digest: str | None = None

    @property
    def others(self) -> tuple[Source, ...]:
        """The images in files of their own beside the micrograph's."""
        return tuple(other for other in (self.target, self.truth) if other and other.path != self.path)

    @property
    def files(self) -> dict[str, Path]:
        """All files that its samples are made from, by their places in raw/."""
        paths = {self.name: self.path, **{other.name: other.path for other in self.others}}
        if self.particles_path:
            paths[f"{PARTICLES}/{self.particles_path.name}"] = self.particles_path
        if self.gain:
            paths[self.gain.name] = self.gain.path
        return paths


def find_candidates(
    raw_dir: Path, download: DownloadRecord | None, parameters: PreprocessParameters
) -> list[Candidate]:
    """The micrographs in raw/, sorted by name.

    Args:
        raw_dir: Folder of image files, and of the folders with the images that belong to them.
        download: What `download` put there; without it, every file of a kind that can be read counts.
        parameters: What to make of them.

    Raises:
        UserError: If there are none, one that download.json names or one image of a pair is missing, a gain reference
            that it names is not used, or a name cannot be written down.
    """
    if parameters.gain and not (raw_dir / parameters.gain.file).is_file():
        place = raw_dir / parameters.gain.file
        raise UserError(f"{place}: missing, though gain.file names it: put it there or correct the run file")
    for file in download.files if download else ():
        if file.role == "gain":
            require_gain(raw_dir, file.name, parameters)
    files: dict[str, str | None] = dict.fromkeys(_present(raw_dir, parameters))
    if download and parameters.pairs.kind != "given":
        files = _held_against(download, raw_dir, files, parameters)
    found = pair_up(raw_dir, files, parameters)
    for candidate in found:
        for name in candidate.files:
            if not name.isprintable():  # nor are bytes that are no UTF-8
                raise UserError(f"{str(raw_dir / name)!a}: its name is not printable UTF-8: rename the file")
    return found


def require_gain(raw_dir: Path, name: str, parameters: PreprocessParameters) -> None:
    """See that counts which came with a gain reference are corrected by it, and as it is; given pairs are finished.

    Raises:
        UserError: If the run file says otherwise.
    """
    if parameters.pairs.kind != "given" and parameters.gain != GainParameters(file=name):
        raise UserError(
            f"{raw_dir / name}: the counts are not corrected for the pixels' sensitivities, which would pass for "
            f"signal: set `gain: {{file: {name}}}`, and no more than that, in the run file of preprocess"
        )


def pair_up(raw_dir: Path, files: Mapping[str, str | None], parameters: PreprocessParameters) -> list[Candidate]:
    """Micrographs and what belongs to them, by the names of files alone: they may be still to come.

    Args:
        raw_dir: Where the files are, or will be.
        files: Places in raw/, each with the digest that its pixels must have, where one is known.
        parameters: What to make of them; files that they do not speak of are passed over.

    Raises:
        UserError: If there are no micrographs, one image of a pair is missing, or there are no truths where the run
            file names their folder.
    """
    pairs = parameters.pairs
    gain_name = parameters.gain.file if parameters.gain else None
    gain = Source(raw_dir / gain_name, gain_name, files.get(gain_name)) if gain_name else None
    sides: dict[str, list[Source]] = {folder: [] for folder in _folders(pairs)}
    particles: dict[str, Path] = {}
    for name, digest in sorted(files.items()):
        folder, _, plain = name.rpartition("/")
        path = raw_dir / name
        if folder in sides and micrographs.is_micrograph(path) and name != gain_name:
            sides[folder].append(Source(path, name, digest))
        elif folder == PARTICLES and pairs.kind != "given" and plain.endswith(_PARTICLES_SUFFIX):
            particles[plain.removesuffix(_PARTICLES_SUFFIX)] = path
    first_folder, second_folder = _pair_of_folders(pairs)
    for needed in (first_folder, second_folder):
        if needed is not None and not sides[needed]:
            raise _nothing_in(raw_dir, needed, pairs)
    first = sides[first_folder]
    target = _matched(raw_dir, first, first_folder, sides[second_folder], second_folder) if second_folder else {}
    beside = pairs.kind == "halves" and pairs.halves == "files" and sides[""]
    whole = _matched(raw_dir, first, first_folder, sides[""], "") if beside else {}
    carries = pairs.kind in ("added_noise", "halves") and sides[pairs.truth]
    if not carries and pairs.kind in ("added_noise", "halves") and "truth" in pairs.model_fields_set:
        raise _nothing_in(raw_dir, pairs.truth, pairs)
    truth = _matched(raw_dir, first, first_folder, sides[pairs.truth], pairs.truth) if carries else {}
    found = []
    for source in first:
        stem = micrographs.stem(source.path)
        other = source if pairs.kind == "halves" and pairs.halves == "movies" else target.get(stem)
        found.append(
            Candidate(
                source.path,
                source.name,
                source.expected_digest,
                other,
                truth.get(stem),
                particles.get(stem),
                gain,
                whole[stem].expected_digest if whole else None,
            )
        )
    for stem in sorted(particles.keys() - {micrographs.stem(source.path) for source in first}):
        raise UserError(f"{particles[stem]}: tells of no micrograph that is there: add that one, or remove this file")
    return sorted(found, key=lambda candidate: candidate.name)


def _folders(pairs: PairsParameters) -> tuple[str, ...]:
    """The folders whose images count, "" being raw/ itself."""
    match pairs.kind:
        case "given":
            return pairs.noisy, pairs.clean
        case "halves" if pairs.halves == "files":
            return "", pairs.even, pairs.odd, pairs.truth
    return "", pairs.truth


def _pair_of_folders(pairs: PairsParameters) -> tuple[str, str | None]:
    """The folder that names the micrographs, and that of their targets, where these are other files."""
    match pairs.kind:
        case "given":
            return pairs.noisy, pairs.clean
        case "truth":
            return "", pairs.truth
        case "halves" if pairs.halves == "files":
            return pairs.even, pairs.odd
    return "", None


def _present(raw_dir: Path, parameters: PreprocessParameters) -> Iterator[str]:
    """The files that may count, by their places in raw/."""
    for folder in (*_folders(parameters.pairs), PARTICLES):
        place = raw_dir / folder
        for path in place.iterdir() if place.is_dir() else ():
            wanted = path.suffix == _PARTICLES_SUFFIX if folder == PARTICLES else micrographs.is_micrograph(path)
            if wanted and not path.is_dir():
                yield f"{folder}/{path.name}" if folder else path.name


def _held_against(
    download: DownloadRecord, raw_dir: Path, present: Iterable[str], parameters: PreprocessParameters
) -> dict[str, str | None]:
    """The files that count, each with the digest that download.json gives it.

    Raises:
        UserError: If one is missing that download.json names, or there that it does not name, or a key of the run file
            takes it for something else than it is.
    """
    named = {file.name: file for file in download.files}
    gain = parameters.gain.file if parameters.gain else None
    for name in present:
        if name not in named and name != gain:
            raise UserError(
                f"{raw_dir}: holds {name}, which download.json does not name: move it to a folder of its own"
            )
    for key in ("truth", "even", "odd"):
        folder = getattr(parameters.pairs, key)
        other = next((file for file in download.files if _parent(file.name) == folder and file.role != key), None)
        if other and folder in _folders(parameters.pairs):
            raise UserError(
                f"{raw_dir / folder}: pairs.{key} names it, but download.json says that {other.name} is of role "
                f"{other.role!r}, expected {key!r}: correct pairs.{key} in the run file"
            )
    counting = {*_folders(parameters.pairs), PARTICLES}
    optional = "" if _pair_of_folders(parameters.pairs)[0] else None  # halves need no micrographs beside them
    files: dict[str, str | None] = {}
    for name, file in named.items():
        folder = _parent(name)
        if folder not in counting or (not folder and file.role != "micrograph" and name != gain):
            continue
        if (raw_dir / name).is_file():
            files[name] = file.pixel_digest
        elif folder != optional:
            raise UserError(f"{raw_dir / name}: missing, though download.json names it: {DownloadRecord.remedy()}")
    return files


def _parent(name: str) -> str:
    """The folder of a place in raw/, "" being raw/ itself."""
    return name.rpartition("/")[0]


def _matched(
    raw_dir: Path, first: list[Source], first_folder: str, second: list[Source], second_folder: str
) -> dict[str, Source]:
    """The images of the second folder, by the stems of their names, which must be those of the first's."""
    here, there = _by_stem(first), _by_stem(second)
    for stem in sorted(here.keys() ^ there.keys()):
        path = (here.get(stem) or there[stem]).path
        lacking = second_folder if stem in here else first_folder
        where = f"the {lacking} folder" if lacking else f"{raw_dir} itself"
        raise UserError(f"{path}: {where} holds nothing of that name: add it, or remove this one")
    return there


def _by_stem(sources: list[Source]) -> dict[str, Source]:
    """The images of one folder by what their names have in common with those of another."""
    found: dict[str, Source] = {}
    for source in sources:
        twin = found.setdefault(micrographs.stem(source.path), source)
        if twin != source:
            raise UserError(
                f"{source.path}: named as {twin.path.name} but for the suffix: which is of the pair? remove one"
            )
    return found


def _nothing_in(raw_dir: Path, folder: str, pairs: PairsParameters) -> UserError:
    """What to say of a folder that holds no image."""
    place = raw_dir / folder
    if folder and not place.is_dir():
        keys = {"given": ("noisy", "clean"), "halves": ("even", "odd", "truth")}.get(pairs.kind, ("truth",))
        key = next(key for key in keys if getattr(pairs, key) == folder)
        return UserError(f"{place}: no such folder, though pairs.{key} names it: put the {key} micrographs there")
    here = place.iterdir() if place.is_dir() else ()
    others = sorted({path.suffix for path in here if path.is_file() and path.suffix})
    there = f"only files ending in {', '.join(others)}" if others else "no files at all"
    return UserError(
        f"{place}: holds no micrograph ({there}), expected {', '.join(micrographs.SUFFIXES)}: run `cryodenoise "
        "download` first, or give the folder of your micrographs as raw_dir (mlcube_docker creates a mistyped "
        "folder empty, and takes a relative path under the workspace)"
    )
