"""The command line: words become parameters, and errors a message and an exit code, here and nowhere else."""

import argparse
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from cryodenoise import __version__, commands, ranks
from cryodenoise.console import Console
from cryodenoise.errors import Interrupted, UserError
from cryodenoise.files import make_directory
from cryodenoise.interruption import ignore_signals, interruptible

EXIT_INTERNAL, EXIT_USER, EXIT_PIPE = 1, 2, 141


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
        options = commands.parser().parse_args(words)
        # Read when PyTorch is imported: threads that wait sleep instead of spinning (benchmarks/RESULTS.md).
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        return _report(options, words)


def _report(options: argparse.Namespace, words: list[str]) -> int:
    """Run a command and tell how it ended."""
    console = Console()
    try:
        in_workspace = options.command in ("pipeline", "compare")
        log_dir = options.workspace / "logs" if in_workspace else getattr(options, "log_dir", None)
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
        module, name = commands.DOCUMENTS[options.document]
        schema = getattr(import_module(module), name).model_json_schema()
        console.say(json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1))
        return 0
    task = options.command.replace("-", "_")
    command: Callable[..., int | None] = getattr(import_module(f"cryodenoise.tasks.{task}"), task)
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
