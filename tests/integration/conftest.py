"""Fixtures of refusals and of processes under way."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import Signals

import pytest

from downloads_simulated import FULL, made
from processes import Running, Start
from refusals import Refusal, noisy
from workspaces import Workspace

WriteMrc = Callable[..., Path]


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Sees a command refuse."""
    return Refusal(capsys)


@pytest.fixture
def own(empty: Workspace, write_mrc: WriteMrc) -> Workspace:
    """A workspace with four micrographs of one's own, `a.mrc` to `d.mrc`."""
    for number, name in enumerate("abcd"):
        write_mrc(empty / f"raw/{name}.mrc", noisy(number))
    return empty


MOMENTS = Path(__file__).parent / "moments"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a command as a process which sends itself a signal at a moment.

    A moment is an event, the end of a file's path or a module's name, and the how-manieth of its kind:
    "open journal.jsonl 2", "rename best.safetensors 1", "remove journal.jsonl 1", "import torch 1", "step 3".
    """
    started: list[subprocess.Popen[str]] = []

    def begin(arguments: list[str], moment: str, sent: Signals, process: str = "main", group: bool = False) -> Running:
        event, *name, count = moment.split()
        reached = tmp_path / f"reached-{len(started)}"
        wanted = {
            "process": process, "event": event, "name": "".join(name), "count": int(count), "sent": int(sent),
            "group": group, "reached": str(reached),
        }  # fmt: skip
        places = os.pathsep.join(filter(None, [str(MOMENTS), os.environ.get("PYTHONPATH")]))
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "cryodenoise", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": places, "CRYODENOISE_MOMENT": json.dumps(wanted)},
            )
        )
        return Running(started[-1], reached)

    yield begin
    for process in started:
        with process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def _full(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return made(tmp_path_factory.mktemp("full") / "workspace", **FULL)


@pytest.fixture
def full(_full: Workspace, tmp_path: Path) -> Workspace:
    """A copy of a download with all kinds of files."""
    shutil.copytree(_full.root, tmp_path / "full")
    return Workspace(tmp_path / "full")
