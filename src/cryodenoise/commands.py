"""The words of the command line: which commands there are, and what each can be given."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path

from cryodenoise import __version__, epilogs
from cryodenoise.config.denoising import DenoiseParameters
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters, TestParameters
from cryodenoise.config.schema import Parameters
from cryodenoise.config.training import TrainParameters

DOCUMENTS = {
    "download": ("cryodenoise.config.documents", "DownloadRecord"),
    "exposure": ("cryodenoise.config.exposure", "ExposureRecord"),
    "dataset": ("cryodenoise.config.documents", "DatasetRecord"),
    "training": ("cryodenoise.config.training_record", "TrainingRecord"),
    "imported": ("cryodenoise.config.imported_record", "ImportedRecord"),
    "report": ("cryodenoise.config.report", "Report"),
    "denoised": ("cryodenoise.config.denoising", "DenoisedRecord"),
    "submission": ("cryodenoise.config.submission", "Manifest"),
    "leaderboard": ("cryodenoise.config.submission", "Leaderboard"),
    "reference": ("cryodenoise.config.reference", "Reference"),
    "comparison": ("cryodenoise.config.comparison", "ComparisonRecord"),
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


def parser() -> argparse.ArgumentParser:
    """Of all commands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    words = argparse.ArgumentParser(
        prog="cryodenoise",
        description="A reproducible benchmark of cryo-EM denoising: download → preprocess → train → test.",
        epilog=epilogs.EPILOG,
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
    _add_compare(add)
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


def _add_compare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The command that sets systems side by side."""
    command = add("compare", "train and score several systems on the same tracks, side by side", epilogs.COMPARE)
    command.add_argument("parameters_file", type=Path, metavar="RUN_FILE", help="such as run/compare.yaml")
    command.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="gets a folder for each track")
    own = "micrographs of your own, for the tracks that download none"
    command.add_argument("--raw_dir", type=Path, metavar="DIR", help=own)
    _add_code_dir(command)
    where = "gets tables and page (default: the workspace)"
    command.add_argument("--output_dir", type=Path, metavar="DIR", help=where)
    command.add_argument("--tracks", nargs="+", metavar="NAME", help="these tracks alone")
    command.add_argument("--leave_out", nargs="+", default=[], metavar="NAME", help="all systems but these")


def _add_denoise(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The command that uses what was trained."""
    what = "denoise your own micrographs with a trained network, a classical filter, or the model that is shipped"
    command = add("denoise", what, epilogs.DENOISE + _keys_told(DenoiseParameters))
    inputs = "micrographs (MRC, TIFF): files, folders, patterns, or a STAR file of RELION"
    command.add_argument("inputs", nargs="*", metavar="INPUT", help=inputs)
    told = "folder that `train` wrote, package of `submit`, file of `export`, baseline/NAME, or topaz/NAME"
    command.add_argument("--model", metavar="MODEL", help=f"{told} (default: shipped model)")
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
    command = add("plan", "tell what the tasks of a run set will take, against what this machine has", epilogs.PLAN)
    command.add_argument("run_set", type=Path, metavar="RUN_SET", help=run_set)
    command.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="folder that will get raw/, data/, … (default: .)"
    )
    command.add_argument("--raw_dir", type=Path, metavar="DIR", help="micrographs that are there already")
    _add_code_dir(command)
    what = "hold a folder that a task wrote, a whole workspace, or a submission against its documents and the rules"
    command = add("check", what, epilogs.CHECK)
    given = "raw/, data/, model/, results/, a workspace, or a package that `submit` wrote"
    command.add_argument("directory", type=Path, metavar="PLACE", help=given)
    command.add_argument("--json", action="store_true", help="tell what was found as JSON, and nothing else")
    _add_code_dir(command)
    command = add(
        "check_logs", "hold the logs in results_dir against MLCommons' compliance checker", epilogs.CHECK_LOGS
    )
    command.add_argument("--results_dir", type=Path, required=True, metavar="DIR", help=_ROLES["results_dir"])
    command.add_argument("--log_dir", type=Path, metavar="DIR", help="folder that gets check_logs.log")
    command = add(
        "inspect", "draw patches of a dataset, their histograms and power spectra as PNG files", epilogs.INSPECT
    )
    command.add_argument("data_dir", type=Path, metavar="DATA_DIR", help=_ROLES["data_dir"])
    command.add_argument(
        "--output_dir", type=Path, metavar="DIR", help="gets the figures (default: figures/ beside DATA_DIR)"
    )
    command.add_argument(
        "--patches", type=int, default=6, metavar="N", help="how many patches to look at, 3 to 24 (default: 6)"
    )
    command = add(
        "picture", "draw a micrograph, what is known of it, and its power spectrum as PNG files", epilogs.PICTURE
    )
    command.add_argument("raw_dir", type=Path, metavar="RAW_DIR", help="folder of micrographs")
    command.add_argument("--micrograph", metavar="NAME", help="file name of one of them (default: the first)")
    command.add_argument(
        "--output_dir", type=Path, metavar="DIR", help="gets the figures (default: pictures/ beside RAW_DIR)"
    )
    command = add("report", "draw page, figures and tables of results, or several results side by side", epilogs.REPORT)
    command.add_argument("results_dirs", type=Path, nargs="+", metavar="RESULTS", help=_ROLES["results_dir"])
    where = "gets the files (default: RESULTS itself, if it is but one)"
    command.add_argument("--output_dir", type=Path, metavar="DIR", help=where)
    command = add("export", "write a trained network as an ONNX file for other programs", epilogs.EXPORT)
    told = "folder that `train` wrote, or package of `submit` (default: shipped model)"
    command.add_argument("--model", metavar="MODEL", help=told)
    command.add_argument("--output", type=Path, required=True, metavar="FILE.onnx", help="the file")
    _add_code_dir(command)
    command = add("import-weights", "make a model folder of another program's weights, as docs/SYSTEMS.md tells")
    command.add_argument("--from", dest="origin", choices=("v28f",), required=True, help="the program")
    command.add_argument("directory", type=Path, metavar="DIR", help="folder of conv1_weights.bin, …, conv3_bias.bin")
    command.add_argument("--data_dir", type=Path, required=True, metavar="DATA", help="tells which order is right")
    command.add_argument("--output_dir", type=Path, required=True, metavar="MODEL", help="gets what `test` can score")
    command.add_argument("--order", default="auto", metavar="NAME", help="of the values (default: auto, the best)")
    command = add("clean", "remove what the tasks of a run set left in a workspace, asking first", epilogs.CLEAN)
    command.add_argument("run_set", type=Path, metavar="RUN_SET", help=run_set)
    command.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="folder of raw/, data/, …, logs/")
    command.add_argument("--yes", action="store_true", help="do not ask")


def _add_submission_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that hand results in, and that judge those handed in."""
    command = add("submit", "pack results so that anyone can check, verify and rank them", epilogs.SUBMIT)
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
    command = add("verify", "recompute the scores of a package from its weights", epilogs.VERIFY)
    command.add_argument("package", type=Path, metavar="PACKAGE", help="what `submit` wrote: archive or folder")
    command.add_argument("--data_dir", type=Path, required=True, metavar="DIR", help="your own copy of the dataset")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    _add_code_dir(command)
    command = add("leaderboard", "check the packages of a folder and rank them", epilogs.LEADERBOARD)
    command.add_argument("folder", type=Path, metavar="FOLDER", help="holds packages: archives, or folders")
    command.add_argument("--output_dir", type=Path, metavar="DIR", help="gets the leaderboard (default: FOLDER)")


def _add_code_dir(command: argparse.ArgumentParser) -> None:
    code = "folder with the Python code of a network of your own, `model: {import: package.module:build}`"
    command.add_argument("--code_dir", type=Path, metavar="DIR", help=code)
