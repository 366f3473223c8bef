"""platforms/slurm/train.sbatch with stand-ins for srun and scontrol: what it starts is the real torchrun."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workspaces import Workspace

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "platforms/slurm/train.sbatch"


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job: the stand-in of srun runs its command, that of scontrol notes its words."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "srun").write_text('#!/bin/bash\nshift\nexec "$@"\n')
    (programs / "scontrol").write_text(
        f'#!/bin/bash\n[ "$1" = show ] && echo localhost || echo "$@" >> {tmp_path}/asked\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    return os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_JOB_NUM_NODES": "1",
        "PROCESSES": "2",
        "OMP_NUM_THREADS": "1",
        "CRYODENOISE_PYTHON": sys.executable,
    }


def start(workspace: Workspace, cluster: dict[str, str]) -> subprocess.Popen[str]:
    variables = {"WORKSPACE": str(workspace.root), "RUN_FILE": str(workspace / "run/train.yaml")}
    return subprocess.Popen(
        ["bash", SCRIPT], env=cluster | variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_a_job_trains_to_the_end(preprocessed: Workspace, cluster: dict[str, str], tmp_path: Path) -> None:
    preprocessed.write("train", {"epochs": 1})
    job = start(preprocessed, cluster)
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 0, said
    assert (preprocessed / "model/training.json").exists()
    assert not (tmp_path / "asked").exists()


def test_a_job_whose_time_is_up_is_requeued_and_goes_on(
    preprocessed: Workspace, cluster: dict[str, str], tmp_path: Path
) -> None:
    preprocessed.write("train", {"epochs": 500})
    job = start(preprocessed, cluster)
    assert job.stdout is not None
    for line in job.stdout:  # the first rows of the table: training is under way
        if line.split()[:1] == ["2/500"]:
            break
    job.send_signal(signal.SIGTERM)
    said, _ = job.communicate(timeout=120)
    assert job.returncode not in (0, 2), said
    assert "run again to go on" in said
    assert (tmp_path / "asked").read_text() == f"requeue {os.getpid()}\n"
    assert (preprocessed / "model/last.safetensors").exists()


def test_a_job_with_a_mistake_is_not_requeued(preprocessed: Workspace, cluster: dict[str, str], tmp_path: Path) -> None:
    preprocessed.write("train", {"model": "cnn4"})
    job = start(preprocessed, cluster)
    said, _ = job.communicate(timeout=120)
    assert job.returncode not in (0,), said
    assert "did you mean 'cnn3'" in said
    assert not (tmp_path / "asked").exists()


def test_the_manifest_of_kubernetes_names_what_is_there() -> None:
    job = yaml.safe_load((ROOT / "platforms/kubernetes/train.yaml").read_text())
    cube = yaml.safe_load((ROOT / "mlcube.yaml").read_text())
    for replica in job["spec"]["pytorchReplicaSpecs"].values():
        pod = replica["template"]["spec"]
        (container,) = pod["containers"]
        assert container["name"] == "pytorch"
        assert container["image"] == cube["docker"]["image"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        places = [mount["mountPath"] for mount in container["volumeMounts"]]
        for word in container["args"][1:]:
            assert any(word.split("=")[1].startswith(place) for place in places)
