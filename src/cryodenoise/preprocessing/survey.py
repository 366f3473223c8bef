"""Which micrographs can be used, before any sample is written.

Where the samples of a micrograph go depends on which others there are, so those to be left out must be known first.
"""

from collections.abc import Sequence
from dataclasses import replace

from cryodenoise.config.documents import Skipped
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.errors import InputError, UserError
from cryodenoise.preprocessing.candidate import Candidate
from cryodenoise.preprocessing.headers import read_shape
from cryodenoise.preprocessing.images import AlteredError, never_left_out, read_images
from cryodenoise.preprocessing.memory import workers_for
from cryodenoise.preprocessing.plan import RawMicrograph
from cryodenoise.preprocessing.sharing import Line, Site, Work, all_noted, share_out


class Seen(Line):
    """A micrograph that was read."""

    stamp: str
    """Lengths and times of its files then: a file that was mended is read again."""
    digests: tuple[str, ...]
    """Digest of its pixels, and those of others that no other micrograph may share; empty if it cannot be used."""
    reason: str | None
    """Why it cannot be used."""


def sort_out(
    candidates: Sequence[Candidate], parameters: PreprocessParameters, site: Site
) -> tuple[list[RawMicrograph], list[Skipped]]:
    """The micrographs that can be used, and those that are left out.

    With `on_bad_micrograph: skip` all are read once for that, by all processes, but for truths that are only carried
    along: were they to leave micrographs out, they would decide what is trained on.

    Raises:
        UserError: If a micrograph cannot be used and none may be left out, none is left, or such a truth is unsound.
    """
    if parameters.on_bad_micrograph == "error":
        return [RawMicrograph(candidate, read_shape(candidate, parameters)) for candidate in candidates], []
    jobs = [(number, candidate, parameters) for number, candidate in enumerate(candidates)]

    def is_valid(seen: Seen) -> bool:
        return seen.number < len(candidates) and seen.stamp == _stamp(candidates[seen.number])

    work = Work("check", "survey", _see, jobs, is_valid)
    share_out(Seen, work, workers_for(candidates, parameters, site.rank), site)
    usable: list[RawMicrograph] = []
    skipped: list[Skipped] = []
    first_with: dict[str, str] = {}
    for candidate, seen in zip(candidates, all_noted(Seen, work, site), strict=True):
        twin = next((first_with[digest] for digest in seen.digests if digest in first_with), None)
        if seen.reason is not None or twin is not None:
            skipped.append(Skipped(name=candidate.name, reason=seen.reason or f"the same micrograph as {twin}"))
            continue
        first_with.update(dict.fromkeys(seen.digests, candidate.name))
        pixels = replace(candidate, expected_digest=seen.digests[0])
        try:
            usable.append(RawMicrograph(pixels, read_shape(candidate, parameters)))
        except (UserError, OSError) as error:  # the rest was read a moment ago
            raise InputError(f"{error}{never_left_out(parameters)}") from error
    for left_out in skipped:
        site.console.say(f"left out: {left_out.name}: {left_out.reason}")
    if not usable:
        raise InputError("on_bad_micrograph: not one micrograph can be used, see the reasons above: add others")
    return usable, skipped


def _see(number: int, candidate: Candidate, parameters: PreprocessParameters) -> Seen:
    """Read a micrograph to see whether it can be used."""
    digests: tuple[str, ...] = ()
    reason, stamp = None, _stamp(candidate)
    try:
        alone = replace(candidate, truth=None)
        read_shape(alone, parameters)
        digests = read_images(alone, parameters).digests
    except AlteredError:
        raise
    except UserError as error:
        reason = str(error).removeprefix(f"{candidate.source.place}: ")
        for name, path in candidate.files.items():
            reason = reason.replace(str(path), name)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    return Seen(number=number, stamp=stamp, digests=digests, reason=reason)


def _stamp(candidate: Candidate) -> str:
    found = []
    for path in candidate.files.values():
        state = path.stat() if path.exists() else None
        found.append(f"{state.st_size}-{state.st_mtime_ns}" if state else "missing")
    return " ".join(found)
