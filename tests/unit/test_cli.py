import subprocess
import sys

import pytest

from cryodenoise.cli import main, normalized

COMMANDS = [
    "download", "preprocess", "train", "test", "pipeline", "plan", "check", "check_logs", "inspect", "report",
    "clean", "info", "schema", "import-weights",
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["train", "--parameters_file=a.yaml"], ["train", "--parameters_file=a.yaml"]),
        (["run/train.yaml", "--parameters_file=/io/train.yaml"], ["train", "--parameters_file=/io/train.yaml"]),
        (["run/smoke/test.yaml", "--data_dir=d"], ["test", "--data_dir=d", "--parameters_file=run/smoke/test.yaml"]),
        (["run/train.yaml", "--parameters_file", "x"], ["train", "--parameters_file", "x"]),
        ([], []),
    ],
)
def test_a_task_can_be_named_as_mlcube_names_it(given: list[str], expected: list[str]) -> None:
    assert normalized(given) == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "usage: cryodenoise" in capsys.readouterr().out


def test_the_help_of_a_task_tells_the_keys_of_its_run_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    assert "optimizer.learning_rate (0.001): Learning rate" in shown
    assert "epochs (5): Passes" in shown


@pytest.mark.parametrize("words", [[], ["trian"], ["train"], ["train", "--paramters_file=x"], ["run/nothing.yaml"]])
def test_an_unusable_command_line_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_info_names_versions_and_hardware(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("cryodenoise: ", "torch", "processor: ", "source digest: "))


def test_a_fault_of_the_program_exits_with_1_and_shows_where_only_if_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("cryodenoise.environment.describe", broken)
    assert main(["info"]) == 1
    assert capsys.readouterr().err.startswith("cryodenoise info: a fault of the program: RuntimeError: a bug")
    assert main(["info", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_help_does_not_wait_for_pytorch() -> None:
    code = "import sys, cryodenoise.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_output_that_nobody_reads_on_is_no_mistake() -> None:
    script = f"{sys.executable} -m cryodenoise schema report | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.strip() in ("141", "0")  # 0 where all was written before the reader left
