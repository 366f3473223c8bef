"""From results to a package, and what `check` says of one that was falsified."""

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.config.reference import Reference
from cryodenoise.models.weights import read_tensors, write_tensors
from cryodenoise.submission import archive, check, logs, reference_sets
from cryodenoise.submission import rules as rules_of_packages
from packages import PACKAGE, Packed, reference_of
from workspaces import Workspace

RUN = "runs/0"
REPORT, TRAINING, DATASET = f"{RUN}/results/report.json", f"{RUN}/model/training.json", f"{RUN}/data/dataset.json"
WEIGHTS, MEASURES, LOG = f"{RUN}/model/best.safetensors", f"{RUN}/results/measures.npz", "result_0.txt"


@pytest.fixture
def known(made_once: Workspace, monkeypatch: pytest.MonkeyPatch) -> Reference:
    """The set that the tiny run makes."""
    reference = reference_of(made_once)
    monkeypatch.setattr(reference_sets, "all", lambda: (reference,))
    return reference


@pytest.fixture(scope="module")
def packed_once(made_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("submission")
    reference = reference_of(made_once)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_sets, "all", lambda: (reference,))
        assert main(["submit", str(made_once.root), "--org=acme", "--system=box", f"--output_dir={root}"]) == 0
    return root


@pytest.fixture
def packed(packed_once: Path, known: Reference, tmp_path: Path) -> Packed:
    """A package of one's own to falsify."""
    assert known in reference_sets.all()
    return Packed(packed_once / PACKAGE).copy(tmp_path / "copy")


def rules(found: list[str]) -> set[str]:
    return {line.partition(":")[0] for line in found}


def test_a_submission_passes_and_says_nothing_of_this_machine(
    packed: Packed, packed_once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert packed.found() == []
    report = f"{RUN}/results/report.json"
    assert packed.for_review() == [f"REVIEW-4: {report}: test: slow_patches: 0, by default 8"]
    capsys.readouterr()
    archive = packed_once / f"{PACKAGE.replace('/cryodenoise/', '+').replace('/', '+')}.tar"
    assert main(["check", str(archive), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.removesuffix("no findings\n"))
    assert (told["passed"], told["findings"], len(told["reviews"])) == (True, [], 1)
    assert {"PACKAGE-1", "LOG-3", "CLOSED-4", "REVIEW-3"} <= set(told["held"])
    home = str(Path.home()).encode()
    assert home == b"/root" or home not in archive.read_bytes()


def test_the_checkers_of_mlperf_logging_pass_what_is_in_it(packed: Packed, tmp_path: Path) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    described = said("mlperf_logging.system_desc_checker", str(packed / "system.json"), "training", "5.1.0")
    assert "System description checker passed" in described
    said("mlperf_logging.compliance_checker", f"--config={logs.COMPLIANCE}", "--werror", str(packed / LOG))


@pytest.mark.usefixtures("known")
def test_the_same_results_give_the_same_archive(made_once: Workspace, tmp_path: Path) -> None:
    archives = []
    for number in range(2):
        root = tmp_path / f"{number}"
        assert main(["submit", str(made_once / "results"), "--org=acme", "--system=box", f"--output_dir={root}"]) == 0
        archives.append(next(root.glob("*.tar")).read_bytes())
    assert archives[0] == archives[1]


def test_a_submission_again_takes_the_place_of_the_first(packed: Packed, made_once: Workspace, tmp_path: Path) -> None:
    words = ["submit", str(made_once.root), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'copy'}"]
    (packed / "mine.txt").write_text("left")
    assert main(words) == 0
    assert packed.found() == []
    described = (tmp_path / "copy/box.yaml").read_text()
    (tmp_path / "copy/box.yaml").write_text(described.replace("cooling: not stated", "cooling: water"))
    assert main(words) == 0
    assert json.loads((packed / "system.json").read_text())["cooling"] == "water"


def scaled(path: Path) -> None:
    tensors, about = read_tensors(path)
    write_tensors(path, {name: tensor * 1.01 for name, tensor in tensors.items()}, about)


def swapped(packed: Packed) -> None:
    scaled(packed / WEIGHTS)
    packed.listed(WEIGHTS)


def line_of(packed: Packed, key: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    lines = []
    for line in (packed / LOG).read_text().splitlines():
        event = json.loads(line.removeprefix(":::MLLOG "))
        changed = change(event) if event["key"] == key else event
        if changed is not None:
            lines.append(f":::MLLOG {json.dumps(changed)}\n")
    packed.replace(LOG, "".join(lines).encode())


def pickled(packed: Packed) -> None:
    torch.save({"a": torch.ones(2)}, packed / WEIGHTS)
    packed.listed(WEIGHTS)


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hosts")


def better(scores: dict[str, Any]) -> None:
    sets = scores["against_truth"]
    sets["denoised"]["mse"] *= 0.5
    sets["denoised"]["rmse"] *= 0.5**0.5
    sets["denoised"]["psnr_db"] += 3.0102999566398120
    for method in sets["methods"].values():
        method["gain_db"] += 3.0102999566398120


def of_both(packed: Packed, change: Callable[[dict[str, Any]], None]) -> None:
    packed.edit(TRAINING, change)
    packed.edit(REPORT, lambda report: change(report["training"]))


TAMPERED: dict[str, tuple[Callable[[Packed], object], str]] = {
    "a score, not signed": (lambda p: p.edit(REPORT, better, sign=False), "PACKAGE-7"),
    "a score, signed": (lambda p: p.edit(REPORT, better), "RUN-5"),
    "a score that does not follow": (
        lambda p: p.edit(REPORT, lambda r: r["against_target"]["denoised"].update(psnr_db=99.0)), "RUN-5"
    ),
    "the log's score alone": (
        lambda p: line_of(p, "result", lambda e: {**e, "value": {**e["value"], "psnr_db": 99.0}}), "LOG-3"
    ),
    "weights": (swapped, "RUN-2"),
    "weights, not listed": (lambda p: scaled(p / WEIGHTS), "PACKAGE-3"),
    "pickled weights": (
        lambda p: pickled(p), "PACKAGE-4"
    ),
    "a digest": (
        lambda p: p.edit("manifest.json", lambda m: m["files"][REPORT].update(sha256="0" * 64)), "PACKAGE-3"
    ),
    "the manifest, not signed": (
        lambda p: p.edit("manifest.json", lambda m: m.update(division="open"), sign=False), "PACKAGE-2"
    ),
    "the seed of the training": (
        lambda p: p.edit(TRAINING, lambda t: t["made_from"]["parameters"].update(seed=7)), "RUN-1"
    ),
    "the seed that is told": (lambda p: p.edit("manifest.json", lambda m: m["runs"][0].update(seeds=[7])), "RUN-7"),
    "a missing log line": (lambda p: line_of(p, "seed", lambda _: None), "LOG-2"),
    "an epoch's accuracy": (lambda p: line_of(p, "eval_accuracy", lambda e: {**e, "value": 50.0}), "LOG-3"),
    "times of the log": (lambda p: line_of(p, "run_stop", lambda e: {**e, "time_ms": e["time_ms"] + 9}), "LOG-3"),
    "who submits, in the log": (lambda p: line_of(p, "submission_org", lambda e: {**e, "value": "other"}), "LOG-3"),
    "the dataset's segments": (
        lambda p: p.edit(DATASET, lambda d: d["segments"][-1]["sha256"].update(input="0" * 64)), "RUN-4"
    ),
    "the dataset's identity": (
        lambda p: p.edit(REPORT, lambda r: r.update(dataset_identity="0" * 64)), "RUN-4"
    ),
    "other test data": (lambda p: p.edit("manifest.json", lambda m: m.update(reference_set="smoke")), "DATA-1"),
    "another track": (lambda p: p.edit("manifest.json", lambda m: m.update(track="truth")), "DATA-1"),
    "the number of parameters": (lambda p: p.edit(TRAINING, lambda t: t.update(parameters=26)), "RUN-2"),
    "the memory, in one place": (
        lambda p: p.edit(TRAINING, lambda t: t.update(peak_host_memory_bytes=1)), "RUN-1"
    ),
    "too much memory": (lambda p: of_both(p, lambda t: t.update(peak_device_memory_bytes=9 << 30)), "CLOSED-2"),
    "the epochs, in the closed division": (
        lambda p: of_both(p, lambda t: t["made_from"]["parameters"].update(epochs=3)), "CLOSED-1"
    ),
    "another learning rate": (
        lambda p: of_both(p, lambda t: t["made_from"]["parameters"]["optimizer"].update(learning_rate=0.5)),
        "CLOSED-1",
    ),
    "the scorer's seed": (
        lambda p: p.edit(REPORT, lambda r: r["made_from"]["parameters"].update(seed=7)), "SCORER-1"
    ),
    "a self-test": (lambda p: p.edit(REPORT, lambda r: r["self_tests"][0].update(found=0.5)), "RUN-6"),
    "self-tests left out": (lambda p: p.edit(REPORT, lambda r: r.update(self_tests=[])), "RUN-6"),
    "a leaked path": (lambda p: p.replace("WRITEUP.md", b"made in /home/mallory/runs/3\n"), "PACKAGE-5"),
    "an address": (lambda p: p.replace("WRITEUP.md", b"ask mallory@example.org\n"), "PACKAGE-5"),
    "a file too many": (lambda p: p.replace("extra.txt", b"hello\n"), "PACKAGE-3"),
    "a file too few": (lambda p: (p / "WRITEUP.md").unlink(), "PACKAGE-3"),
    "a link": (lambda p: linked(p / "WRITEUP.md"), "PACKAGE-1"),
    "a field of the system": (lambda p: p.edit("system.json", lambda s: s.pop("cooling")), "SYSTEM-1"),
    "another submitter": (lambda p: p.edit("system.json", lambda s: s.update(submitter="other")), "SYSTEM-1"),
    "a heading": (lambda p: p.replace("config.yaml", b"application: cryodenoise\n"), "PACKAGE-6"),
    "a YAML bomb": (
        lambda p: p.replace("config.yaml", b"a: &a [1, 2]\nb: &b [*a, *a]\nc: [*b, *b]\n"), "PACKAGE-4"
    ),
    "endless nesting": (lambda p: p.replace(REPORT, b"[" * 100_000), "PACKAGE-4"),
    "a document of another version": (lambda p: p.edit(REPORT, lambda r: r.update(format_version=1)), "PACKAGE-7"),
    "what was trained on": (lambda p: p.edit(TRAINING, lambda t: t["trained_on"].update(micrographs=99)), "RUN-8"),
    "another normalisation": (
        lambda p: p.edit(TRAINING, lambda t: t["trained_on"].update(normalization="p1_p99")), "RUN-8"
    ),
    "no clipping": (lambda p: p.edit(TRAINING, lambda t: t["trained_on"].update(clipped=False)), "RUN-8"),
    "the truth left out": (lambda p: p.edit(REPORT, lambda r: r.update(against_truth=None)), "RUN-4"),
    "an easy baseline for the best": (
        lambda p: p.edit(REPORT, lambda r: r["against_truth"].update(best_baseline="noisy_input")), "RUN-5"
    ),
    "no such baseline": (
        lambda p: p.edit(REPORT, lambda r: r["against_truth"].update(best_baseline="magic")), "RUN-5"
    ),
    "spectra without rings": (
        lambda p: p.edit(REPORT, lambda r: r["against_target"]["spectra"].update(frequency_per_px=[])), "RUN-5"
    ),
    "correlations beyond 1": (
        lambda p: p.edit(
            REPORT,
            lambda r: r["against_target"]["spectra"]["noisy_input"].update(
                frc=[2.0 for _ in r["against_target"]["spectra"]["noisy_input"]["frc"]]
            ),
        ),
        "RUN-5",
    ),
    "memory below nothing": (lambda p: of_both(p, lambda t: t.update(peak_device_memory_bytes=-1)), "PACKAGE-7"),
    "memory beyond all machines": (
        lambda p: of_both(p, lambda t: t.update(peak_host_memory_bytes=10**4000)), "PACKAGE-7"
    ),
    "seeds without end": (
        lambda p: p.edit("manifest.json", lambda m: m["runs"][0].update(seeds=[1] * 5000, logs=[LOG] * 5000)),
        "PACKAGE-2",
    ),
    "more logs than seeds": (
        lambda p: p.edit("manifest.json", lambda m: m["runs"][0].update(logs=[LOG, LOG])), "PACKAGE-2"
    ),
    "a folder that forges lines": (
        lambda p: p.edit("manifest.json", lambda m: m["runs"][0].update(folder="x\n  ok PACKAGE-3\x1b[2J")), "PACKAGE-3"
    ),
    "measures": (lambda p: p.replace(MEASURES, (p / MEASURES).read_bytes()[:-30] + bytes(30)), "PACKAGE-4"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_falsified_is_found(what: str, packed: Packed) -> None:
    falsify, rule = TAMPERED[what]
    falsify(packed)
    found = packed.found()
    assert rule in rules(found), found
    assert all(line.isprintable() and "Traceback" not in line for line in found)


def test_no_file_outside_the_package_is_read(packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside.safetensors"
    shutil.copy(packed / WEIGHTS, outside)
    of_both(packed, lambda training: training["weights"].update(name=str(outside)))
    opened: list[Path] = []
    monkeypatch.setattr(rules_of_packages, "load_network", lambda path, _: opened.append(path))
    assert "RUN-3" in rules(packed.found())
    assert outside not in opened


def test_what_is_too_long_is_not_parsed(packed: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    packed.replace(REPORT, (packed / REPORT).read_bytes() + b" " * (1 << 24))
    monkeypatch.setattr(check, "open_package", lambda *_: pytest.fail("was read"))
    assert rules(packed.found()) == {"PACKAGE-4"}


def test_the_outcome_is_the_same_on_a_machine_of_any_name(packed: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "acme")
    monkeypatch.setenv("LOGNAME", "cnn3")
    assert packed.found() == []


def test_the_name_of_the_machine_that_packs_is_found(
    known: Reference, made_once: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert known in reference_sets.all()
    monkeypatch.setattr("socket.gethostname", lambda: "acme")
    words = ["submit", str(made_once.root), "--org=acme", "--system=box", f"--output_dir={tmp_path}"]
    assert main(words) == 1
    assert "PACKAGE-5" in capsys.readouterr().out


def test_everything_is_found_not_the_first(packed: Packed) -> None:
    packed.edit(REPORT, lambda report: report.update(self_tests=[]))
    packed.replace("WRITEUP.md", b"made in /home/mallory/runs/3\n")
    packed.edit("system.json", lambda system: system.pop("cooling"))
    assert {"RUN-6", "PACKAGE-5", "SYSTEM-1"} <= rules(packed.found())


def test_a_score_that_chance_does_not_explain_is_refused_and_a_bad_one_told(
    packed: Packed, made_once: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = reference_of(made_once)
    for offset_db, refused in ((-0.5, True), (0.5, False)):
        runs = [
            run.model_copy(update={"psnr_db": reference.runs[0].psnr_db + 1 + offset_db + 0.001 * number})
            for number, run in enumerate(reference.runs)
        ]
        other = reference.model_copy(update={"runs": runs})
        monkeypatch.setattr(reference_sets, "all", lambda other=other: (other,))
        assert ("CLOSED-4" in rules(packed.found())) == refused
        assert ("REVIEW-1" in rules(packed.for_review())) != refused


def test_too_few_seeds_are_refused(packed: Packed, made_once: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = reference_of(made_once, runs_required=5)
    monkeypatch.setattr(reference_sets, "all", lambda: (reference,))
    assert "RUN-7: manifest.json: 1 seeds, the set tiny asks for 5" in packed.found()


def test_impossible_throughput_is_named_for_review(packed: Packed) -> None:
    packed.edit(REPORT, lambda report: report["resources"].update(memory_bandwidth_bytes_per_s=1e3))
    assert "REVIEW-3" in rules(packed.for_review())


@pytest.mark.usefixtures("known")
def test_the_open_division_allows_what_the_closed_one_does_not(
    finished: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("model", "results"):
        shutil.rmtree(finished / name)
    finished.write("train", {"epochs": 1})
    assert finished.run("train", "test") == 0
    words = ["submit", str(finished.root), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'new'}"]
    assert main(words) == 1
    assert "CLOSED-1" in capsys.readouterr().out
    assert not list((tmp_path / "new").glob("**/manifest.json"))
    assert main([*words, "--division=open"]) == 0


def test_several_trainings_are_submitted_together(
    finished: Workspace, made_once: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reference = reference_of(made_once, runs_required=3)
    monkeypatch.setattr(reference_sets, "all", lambda: (reference,))
    shutil.rmtree(finished / "results")
    finished.write("train", {"repeat": 3})
    assert finished.run("train", "test") == 0
    words = ["submit", str(finished.root), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'new'}"]
    assert main(words) == 0
    packed = Packed(tmp_path / "new" / PACKAGE)
    assert packed.found() == []
    manifest = json.loads((packed / "manifest.json").read_text())
    assert manifest["runs"] == [
        {"folder": RUN, "seeds": [42, 43, 44], "logs": ["result_0.txt", "result_1.txt", "result_2.txt"]}
    ]
    again = f"{RUN}/model/repeat-2/best.safetensors"
    packed.replace(again, (packed / WEIGHTS).read_bytes())
    assert {"RUN-2", "RUN-7"} & rules(packed.found())
    assert main(["verify", str(packed.path), f"--data_dir={finished / 'data'}", "--device=cpu"]) == 1


def test_a_score_is_verified_and_swapped_weights_are_found(
    packed: Packed, made_once: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", str(packed.path), f"--data_dir={made_once / 'data'}", "--device=cpu"]
    assert main(words) == 0
    assert "verified: every figure is within its tolerance" in capsys.readouterr().out
    # Weights of which every digest was brought up to date: only scoring them again can tell.
    scaled(packed / WEIGHTS)
    packed.listed(WEIGHTS)
    digest = json.loads((packed / "manifest.json").read_text())["files"][WEIGHTS]["sha256"]
    of_both(packed, lambda training: training["weights"].update(sha256=digest))

    def rest(report: dict[str, Any]) -> None:
        report["denoiser"]["sha256"] = digest
        report["made_from"]["inputs"]["weights"] = digest

    packed.edit(REPORT, rest)
    assert packed.found() == []
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "NOT verified" in out
    assert "DIFFERS" in out


def test_a_baseline_that_was_left_out_is_missed(
    packed: Packed, made_once: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    best: dict[str, Any] = {}

    def without_the_best(report: dict[str, Any]) -> None:
        scores = report["against_truth"]
        scores["methods"] = {name: each for name, each in scores["methods"].items() if each["kind"] != "baseline"}
        best.update(best_baseline="noisy_input", gain_db=scores["methods"]["noisy_input"]["gain_db"])
        scores["best_baseline"] = scores["affine_fitted_best_baseline"] = "noisy_input"

    packed.edit(REPORT, without_the_best)
    line_of(packed, "result", lambda event: {**event, "value": {**event["value"], **best}})
    assert packed.found() == []
    assert main(["verify", str(packed.path), f"--data_dir={made_once / 'data'}", "--device=cpu"]) == 1
    differs = [line for line in capsys.readouterr().out.splitlines() if "DIFFERS" in line]
    assert len(differs) == 2
    assert "gain over the best baseline against the truth" in differs[0]
    assert "gain over the best baseline with affine fits against the truth" in differs[1]


def test_what_was_trained_in_bf16_is_verified_in_fp32(
    finished: Workspace, known: Reference, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("model", "results"):
        shutil.rmtree(finished / name)
    finished.write("train", {"precision": "bf16"})
    assert finished.run("train", "test") == 0
    assert known.train["precision"] == "fp32"  # precision is free in the closed division
    words = ["submit", str(finished.root), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'new'}"]
    assert main(words) == 0
    words = ["verify", str(tmp_path / "new" / PACKAGE), f"--data_dir={finished / 'data'}", "--device=cpu"]
    assert main(words) == 0
    assert "DIFFERS" not in capsys.readouterr().out


def test_other_data_cannot_verify(packed: Packed, finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(finished / "data")
    finished.write("preprocess", {"split": {"seed": 7}})
    assert finished.run("preprocess") == 0
    assert main(["verify", str(packed.path), f"--data_dir={finished / 'data'}", "--device=cpu"]) == 2
    assert "test data" in capsys.readouterr().err


def test_packages_are_ranked_and_bad_ones_named(packed: Packed, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    (root / "broken.tar").write_bytes(struct.pack("<Q", 7) * 200)
    shutil.copytree(packed.path, root / "zeta/cryodenoise/box/tiny-cnn3-closed")  # its names are not its folders'
    assert main(["leaderboard", str(root)]) == 0
    board = json.loads((root / "leaderboard.json").read_text())
    (entry,) = board["entries"]
    assert (entry["organization"], entry["place"], entry["seeds"]) == ("acme", 1, [42])
    assert (root / entry["page"]).is_file()
    left_out = {each["name"]: each["findings"] for each in board["left_out"]}
    assert set(left_out) == {"broken.tar", "zeta/cryodenoise/box/tiny-cnn3-closed"}
    assert left_out["broken.tar"][0].startswith("PACKAGE-1")
    assert "acme" in (root / "leaderboard.md").read_text()


def test_a_package_that_cannot_be_shown_is_left_out(packed: Packed, tmp_path: Path) -> None:
    packed.edit(REPORT, lambda report: report.update(pixel_size_angstrom=0.0))
    assert packed.found() == []
    assert main(["leaderboard", str(tmp_path / "copy")]) == 0
    board = json.loads((tmp_path / "copy/leaderboard.json").read_text())
    assert board["entries"] == []
    assert "PACKAGE-7: cannot be shown: ZeroDivisionError" in board["left_out"][0]["findings"][0]


def test_runs_that_differ_by_more_than_their_seed_are_no_submission(
    finished: Workspace, made_once: Workspace, known: Reference, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert known in reference_sets.all()
    for name in ("model", "results"):
        shutil.rmtree(finished / name)
    finished.write("train", {"seed": 7, "epochs": 1})
    assert finished.run("train", "test") == 0
    words = ["submit", str(made_once.root), str(finished.root), "--org=acme", "--system=box", "--division=open"]
    assert main([*words, f"--output_dir={tmp_path / 'new'}"]) == 1
    assert "RUN-7: runs/1/model/training.json: more differs from run 0 than the seed: parameters" in (
        capsys.readouterr().out
    )


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("folder", "place"), [("results", "."), (".", "results"), ("results", "../results"), (".", ".")]
)
def test_results_are_found_from_within(
    folder: str, place: str, made_once: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made_once / folder)
    assert main(["submit", place, "--org=acme", "--system=box", f"--output_dir={tmp_path}"]) == 0


@pytest.mark.usefixtures("known")
def test_a_workspace_with_a_submission_in_it_is_a_workspace(
    finished: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["submit", str(finished.root), "--org=acme", "--system=box", f"--output_dir={finished.root}"]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["check", str(finished.root)]) == 0
    assert "RESULTS-1" in capsys.readouterr().out


def test_a_submission_that_cannot_be_packed_leaves_the_one_before(
    packed: Packed, made_once: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "copy"
    words = ["submit", str(made_once.root), "--org=acme", "--system=box", f"--output_dir={root}"]
    assert main(words) == 0
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    (root / "box.yaml").write_text("cooling: water\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "write", full)
    assert main(words) == 2
    (root / "box.yaml").write_bytes(before[root / "box.yaml"])
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert packed.found() == []


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--org=../up", "--system=box"], "--org: found '../up'"),
        (["--org=acme", "--system=a b"], "--system: found 'a b'"),
        (["--org=acme", "--system=box", "--descriptor=.hidden"], "--descriptor"),
        (["--org=acme", "--system=box", "--description=nowhere.yaml"], "no such file"),
    ],
)
def test_names_that_are_no_folders_are_refused(
    options: list[str], says: str, made_once: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", str(made_once.root), *options, f"--output_dir={tmp_path / 'new'}"]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("new/**/manifest.json"))


def test_only_networks_on_known_data_are_submitted(
    preprocessed: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["submit", str(preprocessed.root), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'new'}"]
    assert main(words) == 2
    assert "missing" in capsys.readouterr().err
    preprocessed.write("train", {"epochs": 1})
    assert preprocessed.run("train", "test") == 0
    assert main(words) == 2
    assert "test data of none of the sets" in capsys.readouterr().err
    shutil.rmtree(preprocessed / "results")
    preprocessed.write("test", {"model": "baseline/affine"})
    assert preprocessed.run("test") == 0
    assert main(words) == 2
    assert "only a network" in capsys.readouterr().err


@pytest.mark.usefixtures("known")
def test_a_description_that_is_none_is_refused(
    made_once: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["submit", str(made_once.root), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'new'}"]
    description = tmp_path / "mine.yaml"
    for content, says in (("cooling: [1]\n", "expected text"), ("coolng: air\n", "unknown field"), ("a: [\n", "YAML")):
        description.write_text(content)
        assert main([*words, f"--description={description}"]) == 2
        assert says in capsys.readouterr().err
    description.write_text("status: Perhaps\n")
    assert main([*words, f"--description={description}"]) == 1
    assert "SYSTEM-1" in capsys.readouterr().out


@pytest.mark.usefixtures("known")
def test_results_lie_beside_shared_data_as_in_the_cube(made_once: Workspace, tmp_path: Path) -> None:
    workspace = tmp_path / "work space"
    shutil.copytree(made_once / "data", workspace / "data")
    for name in ("model", "results"):
        shutil.copytree(made_once / name, workspace / "unet" / name)
    for given in (workspace / "unet", workspace / "unet/results"):
        words = ["submit", str(given), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'new'}"]
        assert main(words) == 0
    assert Packed(tmp_path / "new" / PACKAGE).found() == []


@pytest.mark.usefixtures("known")
def test_code_of_ones_own_runs_only_if_it_is_given(
    finished: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tmp_path / "code"
    (code / "mine").mkdir(parents=True)
    (code / "mine/net_to_submit.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Conv2d(1, 1, 3, padding=1)\n"
    )
    for name in ("model", "results"):
        shutil.rmtree(finished / name)
    finished.write("train", {"model": {"import": "mine.net_to_submit:build"}})
    for task in ("train", "test"):
        assert main([*finished.arguments(task), f"--code_dir={code}"]) == 0
    words = [str(finished.root), "--org=acme", "--system=box", f"--output_dir={tmp_path / 'new'}", "--division=open"]
    assert main(["submit", *words]) == 0
    (archive,) = (tmp_path / "new").glob("*.tar")
    assert main(["check", str(archive)]) == 0
    words = ["verify", str(archive), f"--data_dir={finished / 'data'}", "--device=cpu"]
    capsys.readouterr()
    assert main(words) == 2
    assert "no code_dir was given" in capsys.readouterr().err
    assert main([*words, f"--code_dir={code}"]) == 0
