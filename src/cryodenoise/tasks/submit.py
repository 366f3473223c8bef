"""Command `submit`: results become a package that anyone can check, verify and rank."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryodenoise.config.submission import NAME_PATTERN, Division
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import make_directory, require_space, write_atomically
from cryodenoise.interruption import held_back
from cryodenoise.submission import archive, build, privacy, system
from cryodenoise.submission.check import checked
from cryodenoise.submission.package import folder_in
from cryodenoise.tasks.findings_told import tell


def submit(
    results: Sequence[Path],
    org: str,
    system_name: str,
    division: Division,
    descriptor: str | None,
    description: Path | None,
    output_dir: Path,
    console: Console,
) -> int:
    """Package results, unless `check` would refuse the package.

    Args:
        results: Folders that `test` wrote, or workspaces with one: the runs of one network on one set.
        org: Who submits.
        system_name: What it ran on.
        division: Whose rules it keeps.
        descriptor: What tells it from other submissions of that system; None makes one of set, network and division.
        description: What no program can tell of the machine, as YAML; None takes SYSTEM.yaml in output_dir, which is
            drafted where there is none.
        output_dir: Gets ORG/cryodenoise/SYSTEM/DESCRIPTOR/ and its archive.
        console: Takes what is to be said.

    Returns:
        The exit code: 0, or 1 if the package would break a rule; then none is written.

    Raises:
        UserError: If results are missing, unfinished, altered, or of different sets, or a name cannot be a folder's.
    """
    if len({path.resolve() for path in results}) < len(results):
        raise UserError("a folder of results is given twice: give each once")
    runs = [build.find(path) for path in results]
    descriptor = descriptor or build.descriptor_of(runs, division)
    for option, name in (("--org", org), ("--system", system_name), ("--descriptor", descriptor)):
        if not re.match(NAME_PATTERN, name) or name.endswith("."):
            raise UserError(
                f"{option}: found {name!r}, expected at most 64 letters, digits, dots, hyphens and underscores of "
                "ASCII, a letter or digit first: it becomes a folder's name on other machines"
            )
    make_directory(output_dir)
    stated = _description(description, output_dir / f"{system_name}.yaml", console)
    weights = sum((folder / record.weights.name).stat().st_size for run in runs for folder, record in run.trainings)
    require_space(output_dir, 3 * weights)
    with tempfile.TemporaryDirectory(dir=output_dir, prefix=".submission-") as scratch:
        staged = build.stage(Path(scratch), runs, org, system_name, descriptor, division, stated)
        with checked(staged, privacy.names_of_this_machine()) as outcome:
            if outcome.findings:
                tell(outcome, console)
                console.say("nothing was written: `check` would refuse this package")
                return 1
            tell(outcome, console, held=False)
        folder = folder_in(output_dir, org, system_name, descriptor)
        packed = output_dir / f"{org}+{system_name}+{descriptor}.tar"  # no name holds a plus
        written = Path(scratch) / packed.name
        archive.write(staged, Path(scratch), written)
        with held_back():  # the folder and its archive are of one submission
            build.put(staged, folder)
            written.replace(packed)
    console.say(f"package: {packed}, {packed.stat().st_size / 1e6:.1f} MB; the same as a folder: {folder}")
    return 0


def _description(given: Path | None, drafted: Path, console: Console) -> tuple[dict[str, str], str]:
    """What a person says of the machine; a draft where nobody has said anything yet."""
    path = given or drafted
    if given is None and not drafted.exists():
        write_atomically(drafted, system.draft().encode())
        console.say(f"{drafted}: drafted; fill in what is known of the machine, and submit again")
    if not path.is_file():
        raise UserError(f"{path}: no such file: leave --description out, and a draft is written")
    return system.stated(path)
