"""The command line: words become parameters, and errors a message and an exit code, here and nowhere else."""

import argparse
import io
import json
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from cryodenoise import __version__, ranks
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters, TestParameters
from cryodenoise.config.schema import Parameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.console import Console
from cryodenoise.errors import Interrupted, UserError
from cryodenoise.files import make_directory
from cryodenoise.interruption import ignore_signals, interruptible

EXIT_INTERNAL, EXIT_USER, EXIT_PIPE = 1, 2, 141

_ROLES = {
    "parameters_file": "run file of the task, such as run/smoke/{task}.yaml",
    "raw_dir": "folder of micrographs (MRC files)",
    "data_dir": "folder of the streaming binaries and dataset.json",
    "model_dir": "folder of checkpoints and training.json",
    "results_dir": "folder of report.json, report.html, figures/ and tables/",
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
_DOCUMENTS = {
    "download": ("cryodenoise.config.documents", "DownloadRecord"),
    "exposure": ("cryodenoise.config.exposure", "ExposureRecord"),
    "dataset": ("cryodenoise.config.documents", "DatasetRecord"),
    "training": ("cryodenoise.config.training_record", "TrainingRecord"),
    "report": ("cryodenoise.config.report", "Report"),
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
_INSPECT = """\
Writes contact_sheet.png (target, input, difference, and the truth where there is one beside the target), histograms.png
and power_spectra.png of patches spread evenly over the splits; the same dataset gives the same patches. A sample that
was altered is refused, as in training.
"""
_PICTURE = """\
Writes exposure.png (the micrograph, its particles, its truth and its halves, as far as they are there) and spectrum.png
(its power spectrum, with the zeros of the contrast transfer where the defocus is known).
"""
_REPORT = """\
Reads report.json and measures.npz of each folder, and nothing else. Of one folder it writes report.html, a page that
needs nothing but a browser, figures/ (PNG and PDF) and tables/ (Markdown and LaTeX); of several, comparison.html, on
which they stand side by side, the largest gain over the best classical baseline first.
"""
_CLEAN = """\
A folder raw/, data/, model/ or results/ of the workspace is emptied if its document (or, of unfinished work,
unfinished.json) says that it was made from this run set's run file of the task, as this version reads it. Only files
that tasks write are removed: of raw/ those that `download` noted, so neither micrographs of one's own nor the targets
of links. Anything else stays, and is named. Logs go when no other work is left.
"""


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="cryodenoise",
        description="A reproducible benchmark of cryo-EM denoising: download → preprocess → train → test.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cryodenoise {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

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
        keys = "\n".join(
            textwrap.fill(line, 100, initial_indent="  ", subsequent_indent="      ") for line in schema.key_lines()
        )
        command = add(task, summary, f"keys of the run file, with their defaults:\n{keys}")
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
    _add_workspace_commands(add)
    add("info", "print versions, source and hardware, for a bug report")
    command = add("schema", "print the JSON schema of a document that a task writes")
    command.add_argument("document", choices=sorted(_DOCUMENTS))
    return parser


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
    command = add("check", "hold a folder that a task wrote, or a whole workspace, against its documents", _CHECK)
    command.add_argument("directory", type=Path, metavar="DIR", help="raw/, data/, model/, results/ or a workspace")
    _add_code_dir(command)
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
    command = add("clean", "remove what the tasks of a run set left in a workspace, asking first", _CLEAN)
    command.add_argument("run_set", type=Path, metavar="RUN_SET", help=run_set)
    command.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="folder of raw/, data/, …, logs/")
    command.add_argument("--yes", action="store_true", help="do not ask")


def _add_code_dir(command: argparse.ArgumentParser) -> None:
    code = "folder with the Python code of a network of your own, `model: {import: package.module:build}`"
    command.add_argument("--code_dir", type=Path, metavar="DIR", help=code)


def normalized(arguments: Sequence[str]) -> list[str]:
    """Turn a run file in the place of the command, which is what MLCube gives, into a task and its run file."""
    first, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if not first.endswith((".yaml", ".yml")):
        return list(arguments)
    if not any(word.split("=")[0] == "--parameters_file" for word in rest):
        rest.append(f"--parameters_file={first}")
    return [Path(first).stem, *rest]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    with interruptible():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that knows no → still gets the rest
        words = normalized(sys.argv[1:] if arguments is None else arguments)
        options = _parser().parse_args(words)
        # Read when PyTorch is imported: threads that wait sleep instead of spinning (benchmarks/RESULTS.md).
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        return _report(options, words)


def _report(options: argparse.Namespace, words: list[str]) -> int:
    """Run a command and tell how it ended."""
    console = Console()
    try:
        log_dir = options.workspace / "logs" if options.command == "pipeline" else getattr(options, "log_dir", None)
        rank = ranks.of_environment().rank if options.command in ("preprocess", "train") else 0
        if log_dir:
            make_directory(log_dir)
        if log_dir or rank:
            # Of processes that share a task, the first speaks for all.
            name = f"{options.command}.{rank}.log" if rank else f"{options.command}.log"
            console = Console(io.StringIO() if rank else None, log_dir / name if log_dir else None)
            console.log(f"cryodenoise {__version__}: {' '.join(words)}")
        return _run(options, console)
    except Interrupted as error:
        return _fail(console, options, f"stopped by {error}: run the same command again to go on", error.exit_code)
    except BrokenPipeError:  # who read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # and what is still buffered goes nowhere
        return EXIT_PIPE
    except (UserError, OSError) as error:
        return _fail(console, options, _message(error), EXIT_USER)
    except Exception as error:  # noqa: BLE001  the last place that can tell the user
        what = f"a fault of the program: {type(error).__name__}: {error} (--debug shows where; please report it)"
        return _fail(console, options, what, EXIT_INTERNAL)
    finally:
        console.close()


def _run(options: argparse.Namespace, console: Console) -> int:
    """A command's exit code; its code is imported only when it runs: `--help` need not wait for PyTorch."""
    if options.command == "schema":
        module, name = _DOCUMENTS[options.document]
        schema = getattr(import_module(module), name).model_json_schema()
        console.say(json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1))
        return 0
    command: Callable[..., int | None] = getattr(import_module(f"cryodenoise.tasks.{options.command}"), options.command)
    given = {name: value for name, value in vars(options).items() if name not in ("command", "debug", "log_dir")}
    return command(**given, console=console) or 0


def _message(error: UserError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}: mend that and run the same command again"
    return str(error)


def _fail(console: Console, options: argparse.Namespace, message: str, code: int) -> int:
    ignore_signals()  # the program is ending; `main` puts the handlers back
    text = "\n".join(f"cryodenoise {options.command}: {line}" for line in message.splitlines())
    print(text, file=sys.stderr)
    console.log(text)
    console.log(traceback.format_exc())
    if options.debug:
        traceback.print_exc()
    return code
