"""The files of raw/: which micrographs there are, and which other images belong to each."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cryodenoise import micrographs
from cryodenoise.config.documents import DownloadRecord
from cryodenoise.config.run_files import PARTS, GainParameters, PairsParameters, PreprocessParameters
from cryodenoise.errors import InputError, UserError
from cryodenoise.files import sha256_of
from cryodenoise.micrographs import hdf5
from cryodenoise.preprocessing.candidate import PARTICLES, Candidate, Source

_PARTICLES_SUFFIX = ".json"


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


def require_as_downloaded(raw_dir: Path, download: DownloadRecord, candidates: Iterable[Candidate]) -> None:
    """See that the stacks that are used are those that were downloaded: images of theirs have no digests to be held to.

    Each is read once for that.

    Raises:
        InputError: If one was altered.
    """
    used = {name for candidate in candidates for name in candidate.files}
    for file in download.files:
        path = raw_dir / file.name
        if file.role != "stack" or file.name not in used:
            continue
        size_bytes = path.stat().st_size
        if size_bytes != file.size_bytes:
            problem = f"{size_bytes} bytes, expected {file.size_bytes}"
        elif (found := sha256_of(path)) != file.sha256:
            problem = f"SHA-256 {found[:16]}…, expected {file.sha256[:16]}…"
        else:
            continue
        raise InputError(f"{path}: {problem}, as download.json says: {DownloadRecord.remedy()}")


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
    if parameters.split.by == "folders":
        return sorted(
            (candidate for part in PARTS for candidate in _paired(raw_dir, files, parameters, f"{part}/")),
            key=lambda candidate: candidate.name,
        )
    return _paired(raw_dir, files, parameters, "")


def _paired(
    raw_dir: Path, files: Mapping[str, str | None], parameters: PreprocessParameters, part: str
) -> list[Candidate]:
    """Those of raw/ itself, or of the part of a split: `train/` or `test/`."""
    pairs = parameters.pairs
    gain_name = parameters.gain.file if parameters.gain else None
    gain = Source(raw_dir / gain_name, gain_name, files.get(gain_name)) if gain_name else None
    sides: dict[str, list[Source]] = {folder: [] for folder in _folders(pairs, part)}
    particles: dict[str, Path] = {}
    for name, digest in sorted(files.items()):
        folder, _, plain = name.rpartition("/")
        path = raw_dir / name
        stack, _, number = name.rpartition("#")
        if stack in sides and hdf5.is_stack(stack):
            sides[stack].append(Source(raw_dir / stack, name, digest, int(number)))
        elif folder in sides and micrographs.is_micrograph(path) and name != gain_name:
            sides[folder].append(Source(path, name, digest))
        elif folder == PARTICLES and pairs.kind != "given" and plain.endswith(_PARTICLES_SUFFIX):
            particles[plain.removesuffix(_PARTICLES_SUFFIX)] = path
    first_folder, second_folder = _pair_of_folders(pairs, part)
    for needed in (first_folder, second_folder):
        if needed is not None and not sides[needed]:
            raise _nothing_in(raw_dir, needed, pairs, part)
    first = sides[first_folder]
    target = _matched(raw_dir, first, first_folder, sides[second_folder], second_folder) if second_folder else {}
    beside = pairs.kind == "halves" and pairs.halves == "files" and sides[""]
    whole = _matched(raw_dir, first, first_folder, sides[""], "") if beside else {}
    carries = pairs.kind in ("added_noise", "halves") and sides[pairs.truth]
    if not carries and pairs.kind in ("added_noise", "halves") and "truth" in pairs.model_fields_set:
        raise _nothing_in(raw_dir, pairs.truth, pairs, part)
    truth = _matched(raw_dir, first, first_folder, sides[pairs.truth], pairs.truth) if carries else {}
    found = []
    for source in first:
        stem = source.stem
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
                source.image,
            )
        )
    for stem in sorted(particles.keys() - {source.stem for source in first}):
        raise UserError(f"{particles[stem]}: tells of no micrograph that is there: add that one, or remove this file")
    return sorted(found, key=lambda candidate: candidate.name)


def _folders(pairs: PairsParameters, part: str = "") -> tuple[str, ...]:
    """The folders, or stacks, whose images count, "" being raw/ itself; of given pairs those in a part of a split."""
    match pairs.kind:
        case "given":
            return part + pairs.noisy, part + pairs.clean
        case "halves" if pairs.halves == "files":
            return "", pairs.even, pairs.odd, pairs.truth
    return "", pairs.truth


def _pair_of_folders(pairs: PairsParameters, part: str = "") -> tuple[str, str | None]:
    """The folder that names the micrographs, and that of their targets, where these are other files."""
    match pairs.kind:
        case "given":
            return part + pairs.noisy, part + pairs.clean
        case "truth":
            return "", pairs.truth
        case "halves" if pairs.halves == "files":
            return pairs.even, pairs.odd
    return "", None


def _present(raw_dir: Path, parameters: PreprocessParameters) -> Iterator[str]:
    """The files that may count, by their places in raw/."""
    parts = [f"{part}/" for part in PARTS] if parameters.split.by == "folders" else [""]
    for folder in (*(folder for part in parts for folder in _folders(parameters.pairs, part)), PARTICLES):
        place = raw_dir / folder
        if hdf5.is_stack(folder) and place.is_file():
            count = hdf5.read_header(place).count
            yield from (hdf5.member(folder, index, count) for index in range(count))
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
    if hdf5.is_stack(first_folder) and len(here) != len(there):
        raise UserError(
            f"{raw_dir / first_folder}: {len(here)} images, but {second_folder} has {len(there)}: give as many of both"
        )
    for stem in sorted(here.keys() ^ there.keys()):
        path = (here.get(stem) or there[stem]).place
        lacking = second_folder if stem in here else first_folder
        where = f"the {lacking} folder" if lacking else f"{raw_dir} itself"
        raise UserError(f"{path}: {where} holds nothing of that name: add it, or remove this one")
    return there


def _by_stem(sources: list[Source]) -> dict[str, Source]:
    """The images of one folder by what their names have in common with those of another."""
    found: dict[str, Source] = {}
    for source in sources:
        twin = found.setdefault(source.stem, source)
        if twin != source:
            raise UserError(
                f"{source.path}: named as {twin.path.name} but for the suffix: which is of the pair? remove one"
            )
    return found


def _nothing_in(raw_dir: Path, folder: str, pairs: PairsParameters, part: str) -> UserError:
    """What to say of a folder that holds no image."""
    place = raw_dir / folder
    if folder and not place.is_dir():
        keys = {"given": ("noisy", "clean"), "halves": ("even", "odd", "truth")}.get(pairs.kind, ("truth",))
        key = next(key for key in keys if part + getattr(pairs, key) == folder)
        if hdf5.is_stack(folder):
            return UserError(
                f"{place}: no such file, though pairs.{key} names it: run `cryodenoise download` first, or put the "
                "file there"
            )
        return UserError(f"{place}: no such folder, though pairs.{key} names it: put the {key} micrographs there")
    here = place.iterdir() if place.is_dir() else ()
    others = sorted({path.suffix for path in here if path.is_file() and path.suffix})
    there = f"only files ending in {', '.join(others)}" if others else "no files at all"
    return UserError(
        f"{place}: holds no micrograph ({there}), expected {', '.join(micrographs.SUFFIXES)}: run `cryodenoise "
        "download` first, or give the folder of your micrographs as raw_dir (mlcube_docker creates a mistyped "
        "folder empty, and takes a relative path under the workspace)"
    )
