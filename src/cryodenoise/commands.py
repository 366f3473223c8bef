"""The words of the command line: which commands there are, and what each can be given."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path

from cryodenoise import __version__
from cryodenoise.config.denoising import DenoiseParameters
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters, TestParameters
from cryodenoise.config.schema import Parameters
from cryodenoise.config.training import TrainParameters

DOCUMENTS = {
    "download": ("cryodenoise.config.documents", "DownloadRecord"),
    "exposure": ("cryodenoise.config.exposure", "ExposureRecord"),
    "dataset": ("cryodenoise.config.documents", "DatasetRecord"),
    "training": ("cryodenoise.config.training_record", "TrainingRecord"),
    "report": ("cryodenoise.config.report", "Report"),
    "denoised": ("cryodenoise.config.denoising", "DenoisedRecord"),
    "submission": ("cryodenoise.config.submission", "Manifest"),
    "leaderboard": ("cryodenoise.config.submission", "Leaderboard"),
    "reference": ("cryodenoise.config.reference", "Reference"),
}
"""Module and name of the schema of each document."""

_ROLES = {
    "parameters_file": "run file of the task, such as run/smoke/{task}.yaml",
    "raw_dir": "folder of micrographs (MRC files)",
    "data_dir": "folder of the streaming binaries and dataset.json",
    "model_dir": "folder of checkpoints, training.json and training_log.txt",
    "results_dir": "folder of report.json, logs, report.html, figures/ and tables/",
}
_TASKS: dict[str, tuple[tuple[str, ...], str, type[Parameters]]] = {
    "download": (("raw_dir",), "put micrographs into raw_dir", DownloadParameters),
    "preprocess": (
        ("raw_dir", "data_dir"),
        "turn the micrographs of raw_dir into streaming binaries in data_dir",
        PreprocessParameters,
    ),
    "train": (("data_dir", "model_dir"), "train a network on the training split of data_dir", TrainParameters),
    "test": (
        ("data_dir", "model_dir", "results_dir"),
        "score a network, a classical filter or another program's images on the test split of data_dir",
        TestParameters,
    ),
}
_EPILOG = """\
A task can be named as MLCube names it: `cryodenoise run/smoke/train.yaml …` is `cryodenoise train
--parameters_file run/smoke/train.yaml …`. A task that was interrupted is run again to go on; one that was
finished finds nothing to do. Exit codes: 0 done; 1 a fault of the program, of a check findings, of `plan` something
that does not fit; 2 a mistake in what was given, with a message that says what to do; 130 and 143 stopped by Ctrl-C
and by SIGTERM.
"""


_PLAN = """\
Nothing is fetched, and nothing stays written: for a second or two, code of the tasks runs on made-up data, and a file
of 64 MB is written and read beside the workspace, to tell how fast this machine is. Times are estimates that rest on
that. Exit code 1 if something does not fit.
"""
_CHECK = """\
Every file is read once. Each finding is one line: a rule, the place, what was found and what was expected. Exit codes:
0 no finding, 1 findings, 2 no such folder.
"""
_CHECK_LOGS = """\
`test` writes a log for each training that it scores: result_0.txt, …. Each finding is one line. Exit codes: 0 no
finding, 1 findings, 2 no log.
"""
_SUBMIT = """\
Gathers reports, logs, weights and documents into ORG/cryodenoise/SYSTEM/DESCRIPTOR/ and an archive of it, the same
bytes from the same files. docs/RULES.md says what a valid run is. Exit codes: 0 done, 1 `check` would refuse it, and
nothing was written.
"""
_VERIFY = """\
Checks the package, scores its weights on data_dir, and holds every figure against the one submitted. Exit codes: 0 all
are within their tolerance, 1 some differ or `check` refuses the package.
"""
_LEADERBOARD = """\
Writes leaderboard.json, leaderboard.md, leaderboard.html and reports/, a page of each. Packages that `check` refuses
are named, with its findings, and not ranked.
"""
_INSPECT = """\
Writes contact_sheet.png (target, input, difference, and the truth where there is one beside the target), histograms.png
and power_spectra.png of patches spread evenly over the splits; the same dataset gives the same patches. A sample that
was altered is refused, as in training.
"""
_PICTURE = """\
Writes exposure.png (the micrograph, its particles, its truth and its halves, as far as they are there) and spectrum.png
(its power spectrum, with the zeros of the contrast transfer where the defocus is known).
"""
_DENOISE = """\
Each micrograph becomes an MRC file of its name in the output folder, in its own units, with pixel size, origin and
extended header kept; denoised.json tells of all. Run again, it goes on at the file where it was stopped. With the sums
of even and odd frames, denoised.json and the last lines tell what was gained, without bias; without them nothing is.
docs/DENOISING.md has more: STAR files, RELION, cryoSPARC. Exit codes: 0 all were denoised, 1 some were left out, 2 it
stopped at a mistake.

keys of the run file, with their defaults; each is also a word of the command line, such as --mode float16:
"""
_REPORT = """\
Reads report.json and measures.npz of each folder, and nothing else. Of one folder it writes report.html, a page that
needs nothing but a browser, figures/ (PNG and PDF) and tables/ (Markdown and LaTeX); of several, comparison.html, on
which they stand side by side, the largest gain over the best classical baseline first.
"""
_EXPORT = """\
Writes one file that says itself how to normalise micrographs for it and how to come back (docs/FORMATS.md), once
onnxruntime was seen to compute it as PyTorch does. Needs the packages of requirements-onnx.txt.
"""
_CLEAN = """\
A folder raw/, data/, model/ or results/ of the workspace is emptied if its document (or, of unfinished work,
unfinished.json) says that it was made from this run set's run file of the task, as this version reads it. Only files
that tasks write are removed: of raw/ those that `download` noted, so neither micrographs of one's own nor the targets
of links. Anything else stays, and is named. Logs go when no other work is left.
"""


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    words = argparse.ArgumentParser(
        prog="cryodenoise",
        description="A reproducible benchmark of cryo-EM denoising: download → preprocess → train → test.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    words.add_argument("--version", action="version", version=f"cryodenoise {__version__}")
    commands = words.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[common],
            allow_abbrev=False,
        )

    for task, (directories, summary, schema) in _TASKS.items():
        command = add(task, summary, f"keys of the run file, with their defaults:\n{_keys_told(schema)}")
        for role in ("parameters_file", *directories):
            meta = "FILE" if role == "parameters_file" else "DIR"
            help_text = _ROLES[role].format(task=task)
            required = (task, role) not in (("download", "parameters_file"), ("test", "model_dir"))
            command.add_argument(f"--{role}", type=Path, required=required, metavar=meta, help=help_text)
        if task == "download":
            verify = "only check the files of raw_dir against download.json, byte by byte (needs no run file)"
            command.add_argument("--verify", action="store_true", help=verify)
        if task in ("train", "test"):
            _add_code_dir(command)
        if task == "test":
            images = "folder with images that another program made of the test inputs; they are scored if it holds any"
            command.add_argument("--predictions", type=Path, metavar="DIR", help=images)
        command.add_argument("--log_dir", type=Path, metavar="DIR", help=f"folder that gets {task}.log")
    command = add("pipeline", "run the tasks of a run set, one after the other, in one workspace")
    command.add_argument("run_set", type=Path, help="folder of run files, such as run/smoke")
    command.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="gets raw/, data/, …, logs/")
    command.add_argument("--raw_dir", type=Path, metavar="DIR", help="micrographs of your own")
    _add_code_dir(command)
    _add_denoise(add)
    _add_workspace_commands(add)
    _add_submission_commands(add)
    add("info", "print versions, source and hardware, for a bug report")
    command = add("schema", "print the JSON schema of a document that a task writes")
    command.add_argument("document", choices=sorted(DOCUMENTS))
    return words


def _keys_told(schema: type[Parameters]) -> str:
    """The keys of a run file, a paragraph each."""
    lines = schema.key_lines()
    return "\n".join(textwrap.fill(line, 100, initial_indent="  ", subsequent_indent="      ") for line in lines)


def _add_denoise(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The command that uses what was trained."""
    what = "denoise your own micrographs with a trained network, a classical filter, or the model that is shipped"
    command = add("denoise", what, _DENOISE + _keys_told(DenoiseParameters))
    inputs = "micrographs (MRC, TIFF): files, folders, patterns, or a STAR file of RELION"
    command.add_argument("inputs", nargs="*", metavar="INPUT", help=inputs)
    told = "folder that `train` wrote, package of `submit`, file of `export`, or baseline/NAME (default: shipped model)"
    command.add_argument("--model", metavar="MODEL", help=told)
    output = command.add_mutually_exclusive_group(required=True)
    where = "gets the denoised micrographs and denoised.json"
    output.add_argument("--output_dir", "--denoised_dir", type=Path, metavar="DIR", help=where)
    output.add_argument(
        "--o", dest="relion_job_dir", type=Path, metavar="DIR", help="folder of an external job of RELION"
    )
    half = "folder of the sums of {} frames, named as the micrographs are: then the gain is told"
    command.add_argument("--even", type=Path, metavar="DIR", help=half.format("even"))
    command.add_argument("--odd", type=Path, metavar="DIR", help=half.format("odd"))
    fitted = "dataset that baseline/NAME is fitted on, as `preprocess` wrote it"
    command.add_argument("--data_dir", type=Path, metavar="DIR", help=fitted)
    _add_code_dir(command)
    command.add_argument("--parameters_file", type=Path, metavar="FILE", help="run file, such as run/denoise.yaml")
    command.add_argument("--micrographs_dir", type=Path, metavar="DIR", help="an INPUT, as the cube gives it")
    command.add_argument("--in_mics", metavar="STAR", help="an INPUT, as RELION gives it")
    command.add_argument("--model_dir", type=Path, metavar="DIR", help="a MODEL, as the cube gives it: may be empty")
    command.add_argument("--j", type=int, dest="threads", metavar="N", help="threads of the processor")
    command.add_argument("--log_dir", type=Path, metavar="DIR", help="folder that gets denoise.log")
    for name, field in DenoiseParameters.model_fields.items():
        if name == "model":
            continue
        if field.annotation is bool:
            command.add_argument(f"--{name}", action="store_const", const="true", help=argparse.SUPPRESS)
        else:
            command.add_argument(f"--{name}", metavar="VALUE", help=argparse.SUPPRESS)


def _add_workspace_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that look at a workspace before and after the tasks."""
    run_set = "folder of run files, such as run/smoke"
    command = add("plan", "tell what the tasks of a run set will take, against what this machine has", _PLAN)
    command.add_argument("run_set", type=Path, metavar="RUN_SET", help=run_set)
    command.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="folder that will get raw/, data/, … (default: .)"
    )
    command.add_argument("--raw_dir", type=Path, metavar="DIR", help="micrographs that are there already")
    _add_code_dir(command)
    what = "hold a folder that a task wrote, a whole workspace, or a submission against its documents and the rules"
    command = add("check", what, _CHECK)
    given = "raw/, data/, model/, results/, a workspace, or a package that `submit` wrote"
    command.add_argument("directory", type=Path, metavar="PLACE", help=given)
    command.add_argument("--json", action="store_true", help="tell what was found as JSON, and nothing else")
    _add_code_dir(command)
    command = add("check_logs", "hold the logs in results_dir against MLCommons' compliance checker", _CHECK_LOGS)
    command.add_argument("--results_dir", type=Path, required=True, metavar="DIR", help=_ROLES["results_dir"])
    command.add_argument("--log_dir", type=Path, metavar="DIR", help="folder that gets check_logs.log")
    command = add("inspect", "draw patches of a dataset, their histograms and power spectra as PNG files", _INSPECT)
    command.add_argument("data_dir", type=Path, metavar="DATA_DIR", help=_ROLES["data_dir"])
    command.add_argument(
        "--output_dir", type=Path, metavar="DIR", help="gets the figures (default: figures/ beside DATA_DIR)"
    )
    command.add_argument(
        "--patches", type=int, default=6, metavar="N", help="how many patches to look at, 3 to 24 (default: 6)"
    )
    command = add("picture", "draw a micrograph, what is known of it, and its power spectrum as PNG files", _PICTURE)
    command.add_argument("raw_dir", type=Path, metavar="RAW_DIR", help="folder of micrographs")
    command.add_argument("--micrograph", metavar="NAME", help="file name of one of them (default: the first)")
    command.add_argument(
        "--output_dir", type=Path, metavar="DIR", help="gets the figures (default: pictures/ beside RAW_DIR)"
    )
    command = add("report", "draw page, figures and tables of results, or several results side by side", _REPORT)
    command.add_argument("results_dirs", type=Path, nargs="+", metavar="RESULTS", help=_ROLES["results_dir"])
    where = "gets the files (default: RESULTS itself, if it is but one)"
    command.add_argument("--output_dir", type=Path, metavar="DIR", help=where)
    command = add("export", "write a trained network as an ONNX file for other programs", _EXPORT)
    told = "folder that `train` wrote, or package of `submit` (default: shipped model)"
    command.add_argument("--model", metavar="MODEL", help=told)
    command.add_argument("--output", type=Path, required=True, metavar="FILE.onnx", help="the file")
    _add_code_dir(command)
    command = add("clean", "remove what the tasks of a run set left in a workspace, asking first", _CLEAN)
    command.add_argument("run_set", type=Path, metavar="RUN_SET", help=run_set)
    command.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="folder of raw/, data/, …, logs/")
    command.add_argument("--yes", action="store_true", help="do not ask")


def _add_submission_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that hand results in, and that judge those handed in."""
    package = "a package that `submit` wrote: its archive, or the folder"
    command = add("submit", "pack results so that anyone can check, verify and rank them", _SUBMIT)
    results = "workspaces, or folders that `test` wrote: runs of one network on one set"
    command.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help=results)
    command.add_argument("--org", required=True, metavar="NAME", help="who submits")
    command.add_argument("--system", required=True, dest="system_name", metavar="NAME", help="what it ran on")
    command.add_argument("--division", choices=("closed", "open"), default="closed", help="default: closed")
    tells = "tells it from others of that system (default: set, network and division)"
    command.add_argument("--descriptor", metavar="NAME", help=tells)
    told = "what is known of the machine, as YAML (default: SYSTEM.yaml in output_dir, drafted if missing)"
    command.add_argument("--description", type=Path, metavar="FILE", help=told)
    command.add_argument(
        "--output_dir",
        type=Path,
        default=Path("submission"),
        metavar="DIR",
        help="gets the package (default: submission)",
    )
    command = add("verify", "recompute the scores of a package from its weights", _VERIFY)
    command.add_argument("package", type=Path, metavar="PACKAGE", help=package)
    command.add_argument("--data_dir", type=Path, required=True, metavar="DIR", help="your own copy of the dataset")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    _add_code_dir(command)
    command = add("leaderboard", "check the packages of a folder and rank them", _LEADERBOARD)
    command.add_argument("folder", type=Path, metavar="FOLDER", help="holds packages: archives, or folders")
    command.add_argument("--output_dir", type=Path, metavar="DIR", help="gets the leaderboard (default: FOLDER)")


def _add_code_dir(command: argparse.ArgumentParser) -> None:
    code = "folder with the Python code of a network of your own, `model: {import: package.module:build}`"
    command.add_argument("--code_dir", type=Path, metavar="DIR", help=code)
