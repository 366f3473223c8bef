"""The cube in a real container engine, through the mlcube_docker that the README installs; pages in a real browser.

Where that is impossible these tests are left out and say why; with CRYODENOISE_REQUIRE_E2E=1 they fail instead.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
STRANGER = 12345  # a uid and gid without an entry in any passwd file

Completed = subprocess.CompletedProcess[str]


def _cannot(reason: str) -> NoReturn:
    if os.environ.get("CRYODENOISE_REQUIRE_E2E") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _run(*command: str | Path, caller: dict[str, Any], cwd: Path, **variables: str) -> Completed:
    """Run a command as the caller; stdout and stderr come together."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
        **caller,
    )


def _give(caller: dict[str, Any], *paths: Path) -> None:
    for path in paths:
        os.chown(path, caller.get("user", -1), caller.get("group", -1))


@pytest.fixture(scope="session")
def caller() -> dict[str, Any]:
    """How `subprocess` becomes the user who calls MLCube: never root, whose files a container's root would own too."""
    try:
        engine = subprocess.run(["docker", "ps"], capture_output=True, text=True)
    except FileNotFoundError:
        _cannot("needs a container engine: no command `docker`")
    if engine.returncode != 0:
        _cannot(f"needs a container engine: {engine.stderr.strip()}")
    if os.getuid() != 0:
        return {}
    socket = Path(os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or "/var/run/docker.sock")
    groups = [socket.stat().st_gid] if socket.exists() else []
    return {"user": STRANGER, "group": STRANGER, "extra_groups": groups}


@pytest.fixture(scope="session")
def place(caller: dict[str, Any]) -> Iterator[Path]:
    """A temporary folder of the caller that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="cryodenoise-e2e-") as name:
        Path(name).chmod(0o755)
        _give(caller, Path(name))
        yield Path(name)


@pytest.fixture(scope="session")
def mlcube_docker(place: Path, caller: dict[str, Any]) -> Path:
    """MLCube, installed by the README's recipe under a Python that the caller may run."""
    candidates = [shutil.which("python3", path=os.defpath) or "", sys.executable] if caller else [sys.executable]
    for python in candidates:
        try:
            subprocess.run([python, "-c", "import ensurepip, venv"], check=True, capture_output=True, **caller)
        except (OSError, subprocess.CalledProcessError):
            continue
        _output(python, "-m", "venv", place / "mlcube")
        _output(place / "mlcube/bin/pip", "install", "-q", "--no-deps", "-r", ROOT / "requirements-mlcube.txt")
        return place / "mlcube/bin/mlcube_docker"
    _cannot(f"needs a python3 with venv that uid {STRANGER} may run")


@pytest.fixture(scope="session")
def cube(place: Path, caller: dict[str, Any]) -> Path:
    """What git has or would take of this project, as a repository of the caller.

    Its image bears a name of its own, and its full benchmark is the smoke set with one epoch.
    """
    folder = place / "cube"
    try:
        names = _output("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    except (OSError, subprocess.CalledProcessError):
        _cannot("needs a git checkout, to know the project's files")
    for name in filter(None, names):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    definition = folder / "mlcube.yaml"
    definition.write_text(
        definition.read_text().replace("image: cryodenoise:", f"image: cryodenoise-e2e-{uuid.uuid4().hex}:")
    )
    for run_file in (folder / "run/smoke").iterdir():
        one_epoch = re.sub(r"^epochs: .*", "epochs: 1", run_file.read_text(), flags=re.MULTILINE)
        (folder / "run" / run_file.name).write_text(one_epoch)
    git = ["git", "-C", str(folder), "-c", "user.name=e2e", "-c", "user.email=e2e@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The cube under test"]):
        _output(*git, *command)
    if (ROOT / "wheelhouse").is_dir():
        shutil.copytree(ROOT / "wheelhouse", folder / "wheelhouse")
    _give(caller, folder, *folder.rglob("*"))
    return folder


@pytest.fixture(scope="session")
def mlcube(mlcube_docker: Path, cube: Path, place: Path, caller: dict[str, Any]) -> Callable[..., Completed]:
    """Runs `mlcube_docker ARGUMENTS` in the cube as the caller; stdout and stderr come together."""
    home = place / "home"
    home.mkdir()
    _give(caller, home)

    def run(*arguments: str, **variables: str) -> Completed:
        given = {"HOME": str(home), "TORCH": "cpu", **variables}
        return _run(mlcube_docker, *arguments, caller=caller, cwd=cube, **given)

    return run


@pytest.fixture(scope="session")
def image(cube: Path, mlcube: Callable[..., Completed]) -> Iterator[str]:
    """The cube's image, built by MLCube and removed at the end."""
    name = next(line.split()[1] for line in (cube / "mlcube.yaml").read_text().splitlines() if "  image: " in line)
    result = mlcube("configure", "--mlcube=.")
    assert result.returncode == 0, result.stdout
    yield name
    _output("docker", "image", "rm", "--force", name)


@pytest.fixture(scope="session")
def workspace(image: str, mlcube: Callable[..., Completed], place: Path) -> Path:  # noqa: ARG001
    """A workspace of the caller in which the four smoke tasks ran, one after the other."""
    folder = place / "workspace"
    for task in ("download", "preprocess", "train", "test"):
        result = mlcube("run", "--mlcube=.", f"--workspace={folder}", f"--task=run/smoke/{task}.yaml")
        assert result.returncode == 0, result.stdout
    return folder


@pytest.fixture(scope="session")
def rootless(place: Path, cube: Path, caller: dict[str, Any]) -> Iterator[Callable[..., Completed]]:
    """Runs a command in the cube as a user with a rootless Podman, of which nothing is left at the end.

    Images, containers and configuration are below `place`. The configuration asks little of the machine: neither
    systemd, nor a network, nor FUSE.
    """
    if not shutil.which("podman"):
        _cannot("needs Podman: no command `podman`")
    home, runtime = place / "podman", place / "podman-runtime"
    (home / ".config/containers").mkdir(parents=True)
    runtime.mkdir(mode=0o700)
    (home / ".config/containers/storage.conf").write_text('[storage]\ndriver = "overlay"\n')
    (home / ".config/containers/containers.conf").write_text(
        '[containers]\nnetns = "none"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    _give(caller, home, *home.rglob("*"), runtime)
    user: list[str | Path] = []
    if caller:
        (place / "etc").mkdir()
        user = ["unshare", "--mount", "sh", ROOT / "tests/e2e/rootless.sh", place / "etc", str(STRANGER)]
    # No Docker: what runs is Podman's.
    given = {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "DOCKER_HOST": f"unix://{place}/no-docker.sock"}

    def run(*command: str | Path, **variables: str) -> Completed:
        return _run(*user, *command, caller={}, cwd=cube, **given, **variables)

    found = run("podman", "info", "--format", "{{.Host.Security.Rootless}} {{.Store.GraphRoot}}")
    if found.returncode != 0 or f"true {home}" not in found.stdout:
        _cannot(f"needs a rootless Podman: {found.stdout.strip()}")
    yield run
    # The first removes what is stored, the second ends the process that keeps the user's namespaces.
    for words in (("system", "reset", "--force"), ("system", "migrate")):
        ended = run("podman", *words)
        assert ended.returncode == 0, ended.stdout


def _major_version(program: str) -> str:
    found = re.search(r"\d+", _output(program, "--version"))
    return found[0] if found else ""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium without a window, driven by the driver of its own version; nothing is fetched for it."""
    driver = shutil.which("chromedriver")
    programs = [found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))]
    if not driver or not programs:
        _cannot("needs chromium and chromedriver: Debian's packages chromium and chromium-driver")
    version = _major_version(driver)
    program = next((each for each in programs if _major_version(each) == version), None)
    if not program:
        _cannot(f"needs a chromium of the version of {driver}, {version}")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _cannot("needs selenium, which requirements-dev.txt pins")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    as_root = ["--no-sandbox"] if os.getuid() == 0 else []
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--hide-scrollbars", *as_root):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()
