"""The command `import-weights`: files of v28f become a model folder that every other command knows."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.config.imported_record import ImportedRecord
from cryodenoise.config.report import Report
from cryodenoise.inference.onnx_model import open_onnx
from cryodenoise.models.weights import read_tensors
from refusals import Refusal, contents, edit, flip_byte
from v28f_files import write
from workspaces import Workspace

SCHEMA = Path(__file__).resolve().parents[2] / "docs/schemas/imported.schema.json"
RIGHT, OLD, TRANSPOSED = "out-in-kh-kw", "kh-kw-in-out", "out-in-kw-kh"


@pytest.fixture(scope="session")
def learnt_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose network comes below the noisy input's error."""
    workspace = Workspace(tmp_path_factory.mktemp("learnt") / "workspace")
    workspace.write("train", {"epochs": 40, "optimizer": {"learning_rate": 0.01}})
    assert workspace.run("download", "preprocess", "train", "test") == 0
    return workspace


def renamed_copy(workspace: Workspace, root: Path) -> Workspace:
    """A copy of a workspace in which model/ and results/ have the names trained and scored."""
    shutil.copytree(workspace.root, root)
    for name, to in (("model", "trained"), ("results", "scored")):
        (root / name).rename(root / to)
    return Workspace(root)


@pytest.fixture
def learnt(learnt_once: Workspace, tmp_path: Path) -> Workspace:
    """Such a copy, without a model."""
    return renamed_copy(learnt_once, tmp_path / "workspace")


def files(workspace: Workspace, order: str, name: str = "epoch_0005") -> Path:
    """The network that was trained, as v28f's files in an order."""
    return write(workspace / name, read_tensors(workspace / "trained/best.safetensors")[0], order)


def words(workspace: Workspace, folder: Path, *more: str, to: str = "model") -> list[str]:
    given = ["import-weights", "--from=v28f", str(folder), f"--data_dir={workspace / 'data'}"]
    return [*given, f"--output_dir={workspace / to}", *more]


@pytest.fixture(scope="session")
def brought_once(learnt_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = renamed_copy(learnt_once, tmp_path_factory.mktemp("brought") / "workspace")
    assert main(words(workspace, files(workspace, RIGHT))) == 0
    assert workspace.run("test") == 0
    return workspace


@pytest.fixture
def brought(brought_once: Workspace, tmp_path: Path) -> Workspace:
    """A workspace with imported weights, scored."""
    shutil.copytree(brought_once.root, tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")


def scores(report: Report) -> dict[str, Any]:
    """All that was measured but for times and names."""
    told = report.model_dump(mode="json")
    return {name: told[name] for name in ("against_target", "against_truth", "halves", "region_snr", "blank", "subset")}


@pytest.mark.parametrize("order", [RIGHT, OLD, "scrambled"])
def test_files_of_each_era_are_recognised_and_scored_as_what_was_trained(
    learnt: Workspace, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = files(learnt, order)
    assert main(words(learnt, folder)) == 0
    said = capsys.readouterr().out
    assert f"the files are in the order {order}: 0.00" in said
    assert ", worse than the noisy input (0.00" in said
    record = ImportedRecord.load_document(learnt / "model/imported.json")
    assert (record.order, record.origin, record.model, record.parameters) == (order, "v28f", "cnn3", 2625)
    assert record.validation_samples == 16
    errors = {name: score.mse for name, score in record.orders.items()}
    assert record.order == min(errors, key=lambda name: errors[name] or 0) or record.orders[order].like_best
    trained, _ = read_tensors(learnt / "trained/best.safetensors")
    found, about = read_tensors(learnt / "model/imported.safetensors")
    assert about == {"model": "cnn3"}
    assert all(torch.equal(found[name], value) for name, value in trained.items())

    assert learnt.run("test") == 0
    ours, theirs = (Report.load_document(learnt / f"{name}/report.json") for name in ("results", "scored"))
    assert scores(ours) == scores(theirs)
    assert (ours.denoiser.kind, ours.denoiser.name) == ("network", "cnn3, imported from v28f")
    assert (ours.denoiser.parameters, ours.training) == (2625, None)
    assert any("not trained here but imported from files of v28f" in remark for remark in ours.remarks)


def test_the_document_follows_its_schema_and_names_what_was_read(brought: Workspace) -> None:
    text = (brought / "model/imported.json").read_text()
    jsonschema.validate(json.loads(text), json.loads(SCHEMA.read_text()))
    assert str(brought.root) not in text
    record = ImportedRecord.load_document(brought / "model/imported.json")
    assert record.made_from.parameters == {"from": "v28f", "order": "auto"}
    assert record.made_from.inputs["files"] == {file.name: file.sha256 for file in record.files}
    assert len(record.files) == 6
    assert (record.normalization, record.clipped) == ("p95", True)
    assert sorted(path.name for path in (brought / "model").iterdir()) == ["imported.json", "imported.safetensors"]


def test_a_wrong_order_is_refused_with_the_right_one(learnt: Workspace, refuse: Refusal) -> None:
    folder = files(learnt, RIGHT)
    message = refuse.command(
        words(learnt, folder, f"--order={OLD}"), learnt.root, f"--order {OLD}: read so, the files give",
        "worse than the noisy input", "give --order out-in-k",
    )  # fmt: skip
    assert "best affine" not in message
    assert not (learnt / "model").exists()


def test_a_misspelt_order_is_refused(learnt: Workspace, refuse: Refusal) -> None:
    refuse.command(words(learnt, files(learnt, RIGHT), "--order=out-in-kh-wk"), learnt.root, "did you mean 'out-in-k")


def test_an_order_with_transposed_kernels_is_taken_where_it_is_asked_for_and_said_to_be_alike(
    learnt: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(learnt, files(learnt, TRANSPOSED), f"--order={TRANSPOSED}")) == 0
    assert f"the patches cannot tell {TRANSPOSED} from {RIGHT}" in capsys.readouterr().out
    trained, _ = read_tensors(learnt / "trained/best.safetensors")
    found, _ = read_tensors(learnt / "model/imported.safetensors")
    assert all(torch.equal(found[name], value) for name, value in trained.items())
    assert learnt.run("test") == 0
    report = Report.load_document(learnt / "results/report.json")
    assert any(f"could not be told from {RIGHT}" in remark for remark in report.remarks)


def test_values_in_no_order_are_refused_with_all_scores(learnt: Workspace, refuse: Refusal) -> None:
    folder = files(learnt, RIGHT)
    for path in folder.glob("*_weights.bin"):
        np.random.default_rng(0).permutation(np.fromfile(path, "<f4")).tofile(path)
    refuse.command(
        words(learnt, folder), learnt.root, "in none of the known orders do the files denoise", "scrambled 0.",
        "out-in-kh-kw 0.", "normalization p95 and pairs added_noise",
    )  # fmt: skip
    assert not (learnt / "model").exists()


def test_damaged_files_are_refused(learnt: Workspace, refuse: Refusal) -> None:
    folder = files(learnt, RIGHT)
    (folder / "conv2_bias.bin").write_bytes(b"\0" * 60)
    refuse.command(words(learnt, folder), learnt.root, "conv2_bias.bin: 60 bytes, 15 values, expected 64 bytes")


def test_the_same_again_is_nothing_to_do_and_another_thing_is_refused(
    brought: Workspace, refuse: Refusal, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(brought.root)
    folder = brought / "epoch_0005"
    capsys.readouterr()
    assert main(words(brought, folder)) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert contents(brought.root) == before
    refuse.command(words(brought, folder, f"--order={RIGHT}"), brought.root, "made from something else", "order")
    weights = folder / "conv1_bias.bin"
    np.zeros(16, "<f4").tofile(weights)
    refuse.command(words(brought, folder), brought.root, "files.conv1_bias.bin")
    refuse.command(words(brought, folder, to="trained"), brought.root, "which `import-weights` did not put there")


def test_training_refuses_the_folder(brought: Workspace, refuse: Refusal) -> None:
    refuse(brought, "train", "imported.json, which `train` did not put there")


def test_it_cannot_be_submitted(brought: Workspace, refuse: Refusal) -> None:
    submit = ["submit", str(brought.root), "--org=acme", "--system=box", f"--output_dir={brought / 'submission'}"]
    refuse.command(submit, brought.root, "cnn3, imported from v28f", "no training here to hand in")


@pytest.mark.parametrize("name", [".", "model"])
def test_check_finds_it_sound(brought: Workspace, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for scratch in ("trained", "scored"):
        shutil.rmtree(brought / scratch)
    capsys.readouterr()
    assert main(["check", str(brought / name)]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "weights of cnn3, imported from v28f" in said
    assert all(f"ok IMPORTED-{number}: " in said for number in (1, 2))


def alter(folder: Path) -> None:
    flip_byte(folder / "imported.safetensors", -1)


def lose(folder: Path) -> None:
    (folder / "imported.safetensors").unlink()


def exchange(folder: Path) -> None:
    edit(folder / "imported.json", lambda document: document.update(order=OLD))


def miscount(folder: Path) -> None:
    edit(folder / "imported.json", lambda document: document.update(parameters=2626))


def add(folder: Path) -> None:
    (folder / "best.safetensors").write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (alter, "IMPORTED-2"),
        (lose, "IMPORTED-2"),
        (exchange, "IMPORTED-1"),
        (miscount, "IMPORTED-1"),
        (add, "FOLDER-2"),
    ],
)
def test_check_finds_what_was_altered(
    brought: Workspace, change: Callable[[Path], None], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(brought / "model")
    capsys.readouterr()
    assert main(["check", str(brought / "model")]) == 1
    found = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith(f"  {rule}: ")]
    assert len(found) == 1


@pytest.mark.parametrize("change", [alter, lose])
def test_altered_weights_are_not_scored(brought: Workspace, refuse: Refusal, change: Callable[[Path], None]) -> None:
    shutil.rmtree(brought / "results")
    change(brought / "model")
    refuse(brought, "test", "imported.safetensors: ", "run `cryodenoise import-weights` again")


def test_check_of_a_workspace_finds_results_of_other_weights(
    brought: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(brought / "model")
    assert main(words(brought, files(brought, TRANSPOSED, "other"), f"--order={RIGHT}")) == 0
    capsys.readouterr()
    assert main(["check", str(brought.root)]) == 1
    assert "denoiser.sha256: found" in capsys.readouterr().out


def test_it_denoises_and_nothing_is_claimed_of_its_training(
    brought: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    output = brought / "denoised"
    given = ["denoise", str(brought / "raw/synthetic_0000.mrc"), f"--model={brought / 'model'}", "--device=cpu"]
    assert main([*given, f"--output_dir={output}"]) == 0
    said = capsys.readouterr().out
    assert "cnn3, imported from v28f: its data are not known" in said
    assert "nothing is recorded of what cnn3, imported from v28f was trained on" in said
    denoised = json.loads((output / "denoised.json").read_text())
    assert (denoised["trained_on"], denoised["normalization"], denoised["clipped"]) == (None, "p95", True)


@pytest.mark.parametrize("given", [".", "model"])
def test_an_unfinished_folder_is_not_taken_for_a_package(brought: Workspace, refuse: Refusal, given: str) -> None:
    document = brought / "model/imported.json"
    made_from = json.loads(document.read_text())["made_from"]
    (brought / "model/unfinished.json").write_text(json.dumps({"task": "import-weights", "made_from": made_from}))
    document.unlink()
    command = ["denoise", str(brought / "raw"), f"--model={brought / given}", f"--output_dir={brought / 'denoised'}"]
    message = refuse.command(command, brought.root)
    assert message == (
        f"cryodenoise denoise: --model: {brought / 'model'}: unfinished: run `cryodenoise import-weights` there again, "
        "to its end\n"
    )


def test_it_is_exported(brought: Workspace, tmp_path: Path) -> None:
    output = tmp_path / "cnn3.onnx"
    assert main(["export", f"--model={brought.root}", f"--output={output}"]) == 0
    model = open_onnx(output, torch.device("cpu"))
    assert (model.name, model.trained_on, model.normalization) == ("cnn3, imported from v28f", None, "p95")


def test_results_are_drawn_and_the_folder_outlives_clean(
    brought: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(brought / "results")]) == 0
    page = (brought / "results/report.html").read_text()
    assert "cnn3, imported from v28f" in page
    capsys.readouterr()
    assert main(["clean", str(brought / "run"), f"--workspace={brought.root}", "--yes"]) == 0
    assert "model: stays: it holds weights that `import-weights` wrote" in capsys.readouterr().out
    assert sorted(path.name for path in (brought / "model").iterdir()) == ["imported.json", "imported.safetensors"]
    assert not (brought / "results").exists()
