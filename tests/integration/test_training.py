"""The task `train`: what its keys do, what its documents tell, and what it survives."""

import json
import random
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset.order import batches, share, shuffled
from cryodenoise.models.weights import read_tensors
from outcomes import outcome
from processes import PATIENCE_S
from refusals import Refusal, flip_byte
from workspaces import Workspace


def record(workspace: Workspace) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((workspace / "model/training.json").read_text())
    return content


def weights(workspace: Workspace) -> dict[str, torch.Tensor]:
    return read_tensors(workspace / "model/best.safetensors")[0]


def test_training_killed_at_random_moments_equals_an_undisturbed_one(preprocessed: Workspace) -> None:
    """Ten SIGKILLs, at moments that the clock decides; states are saved all the time."""
    changes = {"epochs": 40, "ema_decay": 0.9, "checkpoints": {"every_min": 0.001, "keep_last": 3}}
    preprocessed.write("train", changes)
    assert preprocessed.run("train") == 0
    undisturbed = outcome(preprocessed, "train")
    shutil.rmtree(preprocessed / "model")
    moments, killed = random.Random(7), 0
    while killed < 10:
        running = subprocess.Popen(
            [sys.executable, "-m", "cryodenoise", *preprocessed.arguments("train")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            if "/40" in line[:12]:  # the row of an epoch: so each session gets on
                break
        try:
            running.wait(timeout=moments.uniform(0, 0.1))
        except subprocess.TimeoutExpired:
            running.kill()
            killed += 1
        else:
            pytest.fail(f"it ended after {killed} kills: {running.communicate()}")
        running.communicate(timeout=PATIENCE_S)
    assert preprocessed.run("train") == 0
    assert record(preprocessed)["sessions"] == 11
    assert outcome(preprocessed, "train") == undisturbed


def test_a_state_that_was_damaged_is_passed_over_for_the_one_before(
    preprocessed: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessed.write("train", {"epochs": 3})
    assert preprocessed.run("train") == 0
    undisturbed = outcome(preprocessed, "train")
    document, marker = preprocessed / "model/training.json", preprocessed / "model/unfinished.json"
    marker.write_text(json.dumps({"task": "train", "made_from": record(preprocessed)["made_from"]}))
    document.unlink()
    last = preprocessed / "model/last.safetensors"
    flip_byte(last, last.stat().st_size - 1)
    capsys.readouterr()
    assert preprocessed.run("train") == 0
    said = capsys.readouterr().out
    assert "its content was altered" in said
    assert "going on with epoch 3, step 1" in said
    assert outcome(preprocessed, "train") == undisturbed


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_as_many_states_are_kept_as_the_run_file_says(preprocessed: Workspace, keep: int) -> None:
    preprocessed.write("train", {"epochs": 6, "checkpoints": {"keep_last": keep}})
    assert preprocessed.run("train") == 0
    names = {path.name for path in (preprocessed / "model").iterdir()}
    states = {"last.safetensors", *(f"last-{number}.safetensors" for number in range(2, keep + 1))}
    assert names == {"best.safetensors", "training.json", "training_log.txt"} | states
    epochs = [
        read_tensors(preprocessed / f"model/last{suffix}.safetensors")[1]["progress"]["epoch"]
        for suffix in ("", *(f"-{number}" for number in range(2, keep + 1)))
    ]
    assert epochs == list(range(7, 7 - keep, -1))


def test_training_stops_at_the_quality_that_is_asked_for(preprocessed: Workspace) -> None:
    preprocessed.write("train", {"epochs": 30, "optimizer": {"learning_rate": 1e-2}})
    assert preprocessed.run("train") == 0
    quality = [epoch["validation_psnr_db"] for epoch in record(preprocessed)["history"]]
    wanted = sum(quality) / len(quality)
    first = next(number for number, value in enumerate(quality, 1) if value >= wanted)
    shutil.rmtree(preprocessed / "model")
    target = {"validation_psnr_db": wanted}
    preprocessed.write("train", {"epochs": 30, "optimizer": {"learning_rate": 1e-2}, "target": target})
    assert preprocessed.run("train") == 0
    found = record(preprocessed)
    assert len(found["history"]) == found["target"]["epoch"] == first
    assert found["target"]["samples_seen"] == found["history"][-1]["samples_seen"]
    assert found["target"]["elapsed_s"] == found["history"][-1]["elapsed_s"]
    assert preprocessed.run("test") == 0
    shutil.rmtree(preprocessed / "model")
    shutil.rmtree(preprocessed / "results")
    preprocessed.write("train", {"epochs": 2, "target": {"validation_psnr_db": 99.0}})
    assert preprocessed.run("train", "test") == 0
    assert record(preprocessed)["target"] is None
    report = json.loads((preprocessed / "results/report.json").read_text())
    assert any("99 dB, was not reached in 2 epochs" in remark for remark in report["remarks"])


def test_a_loss_that_is_no_number_names_step_samples_and_the_last_good_state(
    preprocessed: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessed.write("train", {"optimizer": {"name": "sgd", "learning_rate": 1e30}})
    assert preprocessed.run("train") == 2
    said = capsys.readouterr().err
    assert "the loss is no number in epoch 1, step " in said
    assert "training samples " in said
    assert "no state was saved before" in said
    assert "lower optimizer.learning_rate" in said
    assert not (preprocessed / "model").exists()


COUNTING = """
import torch

class Counting(torch.nn.Module):
    def __init__(self, after, factor):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        self.after, self.factor = after, factor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, images):
        if self.training:
            self.steps += 1
        return self.layer(images) * (self.factor if self.steps > self.after else 1.0)

build = Counting
"""
"""A network that changes for the worse after a number of training steps."""


def counting(workspace: Workspace, after: int, factor: float) -> list[str]:
    """The words of a command line that trains such a network for four epochs of ten steps."""
    (workspace / "code").mkdir()
    (workspace / "code/counting.py").write_text(COUNTING)
    own = {"import": "counting:build", "arguments": {"after": after, "factor": factor}}
    workspace.write("train", {"model": own, "epochs": 4})
    return [*workspace.arguments("train"), f"--code_dir={workspace / 'code'}"]


def test_a_loss_that_is_no_number_leaves_the_last_good_state(
    preprocessed: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = counting(preprocessed, after=25, factor=1e300)
    assert main(words) == 2
    said = capsys.readouterr().err
    last = preprocessed / "model/last.safetensors"
    assert "the loss is no number in epoch 3, step 6, training samples " in said
    assert f"the last good state is {last}" in said
    tensors, about = read_tensors(last)
    assert all(value.isfinite().all() for value in tensors.values())
    assert (about["progress"]["epoch"], about["progress"]["step"]) == (3, 0)
    order = shuffled(40, 42, 3)[20:24]
    assert ", ".join(map(str, order)) in said
    assert main(words) == 2  # and again, from there
    assert "in epoch 3, step 6" in capsys.readouterr().err


def test_a_run_that_diverged_is_flagged_in_the_report(preprocessed: Workspace) -> None:
    assert main(counting(preprocessed, after=30, factor=100.0)) == 0
    preprocessed.write("test")
    assert main([*preprocessed.arguments("test"), f"--code_dir={preprocessed / 'code'}"]) == 0
    remarks = json.loads((preprocessed / "results/report.json").read_text())["remarks"]
    assert any(remark.startswith("Training diverged: its loss rose from") for remark in remarks), remarks
    assert any("weights are those of epoch 3" in remark for remark in remarks)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"precision": "fp16"},
        {"objective": {"name": "l1", "fourier_amplitude_weight": 0.5}},
        {"optimizer": {"name": "adamw", "weight_decay": 0.01}, "schedule": {"name": "cosine", "warmup_epochs": 0.5}},
        {"optimizer": {"name": "sgd", "momentum": 0.9}, "gradient_clip_norm": 0.1, "ema_decay": 0.5},
        {"model": "unet"},
        {"model": "dncnn12"},
        {"model": "emdenoise", "micro_batch_size": 2},
        {"micro_batch_size": 3, "batch_size": 8},
    ],
    ids=lambda changes: "-".join(map(str, changes.values()))[:40],
)
def test_each_choice_trains_resumes_and_scores(preprocessed: Workspace, changes: dict[str, Any]) -> None:
    preprocessed.write("train", changes)
    assert preprocessed.run("train") == 0
    undisturbed = outcome(preprocessed, "train")
    found = record(preprocessed)
    assert found["made_from"]["parameters"]["precision"] == changes.get("precision", "fp32")
    if "micro_batch_size" in changes:
        assert found["micro_batch_size"] == changes["micro_batch_size"]
    # From the state after the first epoch, as if the second had been interrupted.
    (preprocessed / "model/training.json").rename(preprocessed / "model/unfinished.json")
    (preprocessed / "model/last-2.safetensors").replace(preprocessed / "model/last.safetensors")
    assert preprocessed.run("train", "test") == 0
    assert outcome(preprocessed, "train") == undisturbed


def test_the_document_tells_what_was_trained_on(preprocessed: Workspace) -> None:
    """Smoke's pairs, of added noise, against a few lines of numpy."""
    preprocessed.write("train", {"epochs": 1})
    assert preprocessed.run("train") == 0
    found = record(preprocessed)["trained_on"]
    dataset = DatasetRecord.load_document(preprocessed / "data/dataset.json")
    segments = [segment for segment in dataset.segments if segment.split == "train"]
    known = {"normalization": "p95", "clipped": True, "pairs": "added_noise", "dose_e_per_a2": None}
    assert {key: found[key] for key in known} == known
    assert found["micrographs"] == len(segments)
    assert found["pixel_size_angstrom"] == [dataset.micrographs[0].pixel_size_angstrom] * 2
    inputs = np.fromfile(preprocessed / "data/train_input.bin", dataset.dtype).reshape(-1, *dataset.sample_shape)
    spreads, correlations = [], []
    for segment in segments:
        chosen = inputs[segment.first_sample + (2 * np.arange(4) + 1) * segment.samples // 8].astype(np.float64)
        spreads.append(chosen.std())
        correlations.append(np.corrcoef(chosen[..., :-1].ravel(), chosen[..., 1:].ravel())[0, 1])
    assert found["standard_deviation"] == pytest.approx([min(spreads), max(spreads)], abs=1e-6)
    assert found["neighbour_correlation"] == pytest.approx([min(correlations), max(correlations)], abs=1e-6)


def test_averaged_weights_are_those_that_are_validated_and_kept(preprocessed: Workspace) -> None:
    preprocessed.write("train", {"ema_decay": 0.999, "epochs": 1})
    assert preprocessed.run("train") == 0
    tensors, _ = read_tensors(preprocessed / "model/last.safetensors")
    for name, value in weights(preprocessed).items():
        assert torch.equal(value, tensors[f"average.{name}"])
        assert not torch.equal(value, tensors[f"network.{name}"])


def test_a_network_with_batch_statistics_must_be_told_its_micro_batch(preprocessed: Workspace, refuse: Refusal) -> None:
    run_file = preprocessed.write("train", {"model": "emdenoise"})
    refuse(
        preprocessed,
        "train",
        f"{run_file}: micro_batch_size: not set",
        "emdenoise has batch normalisation or dropout",
        "batch_size (4)",
    )


def test_a_run_that_must_not_go_on_refuses_the_state_that_is_there(preprocessed: Workspace, refuse: Refusal) -> None:
    preprocessed.write("train", {"epochs": 1})
    assert preprocessed.run("train") == 0
    (preprocessed / "model/training.json").rename(preprocessed / "model/unfinished.json")
    preprocessed.write("train", {"epochs": 1, "resume": "never"})
    refuse(preprocessed, "train", str(preprocessed / "model/last.safetensors"), "resume is 'never'", "another folder")


def test_the_state_of_another_run_is_refused_with_the_difference(preprocessed: Workspace, refuse: Refusal) -> None:
    preprocessed.write("train", {"epochs": 1, "seed": 1})
    assert preprocessed.run("train") == 0
    other = (preprocessed / "model/last.safetensors").read_bytes()
    shutil.rmtree(preprocessed / "model")
    preprocessed.write("train", {"epochs": 1, "seed": 2})
    assert preprocessed.run("train") == 0
    (preprocessed / "model/training.json").rename(preprocessed / "model/unfinished.json")
    last = preprocessed / "model/last.safetensors"
    last.write_bytes(other)
    refuse(preprocessed, "train", str(last), "another run", "parameters.seed: 1 there, 2 now")


def test_the_table_has_a_row_an_epoch(preprocessed: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    preprocessed.write("train", {"epochs": 3})
    capsys.readouterr()
    assert preprocessed.run("train") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.strip()[1:3] == "/3"] == [
        "1/3", "2/3", "3/3",
    ]  # fmt: skip
    assert any("validation" in line and "remaining" in following for line, following in pairwise(lines))


def test_training_uses_each_sample_once_an_epoch_and_validation_other_micrographs(finished: Workspace) -> None:
    """By the orders of the epochs and the manifest of the dataset."""
    dataset = DatasetRecord.load_document(finished / "data/dataset.json")
    of_split: dict[str, set[int]] = {"train": set(), "validation": set(), "test": set()}
    for split, place in dataset.splits.items():
        for segment in dataset.segments:
            first, last = segment.first_sample, segment.first_sample + segment.samples
            within = range(max(first, place.first_sample), min(last, place.first_sample + place.samples))
            if segment.file == place.file and within:
                of_split[split].add(segment.micrograph)
    assert not of_split["train"] & of_split["validation"]
    assert not (of_split["train"] | of_split["validation"]) & of_split["test"]
    samples = dataset.splits["train"].samples
    for epoch in (1, 2):
        for world in (1, 2, 3):
            seen = [
                share(batch, rank, world) for batch in batches(shuffled(samples, 42, epoch), 7) for rank in range(world)
            ]
            assert sorted(np.concatenate(seen).tolist()) == list(range(samples))


def test_scalars_are_written_where_they_are_asked_for(preprocessed: Workspace) -> None:
    preprocessed.write("train", {"tensorboard": True})
    assert preprocessed.run("train") == 0
    assert list((preprocessed / "model").glob("events.out.tfevents.*"))
    assert preprocessed.run("train", "test") == 0


def test_what_it_will_take_is_told_before_the_first_step(
    preprocessed: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessed.write("train", {"memory_limit_gib": 3})
    capsys.readouterr()
    assert preprocessed.run("train") == 0
    memory, disk, elapsed, *_ = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"memory: about \d\.\d+ GiB of memory_limit_gib 3, .* GiB free; micro-batches of 4 patches, batches of 4",
        memory,
    )
    assert disk.startswith("disk: ")
    assert elapsed.startswith("time: about ")


def test_a_memory_that_holds_no_patch_is_refused_before_the_first_step(
    preprocessed: Workspace, refuse: Refusal
) -> None:
    preprocessed.write("train", {"memory_limit_gib": 1.0001})
    refuse(preprocessed, "train", "memory_limit_gib", "not even one patch of 32 × 32 fits")
    preprocessed.write("train", {"memory_limit_gib": 0.5})
    refuse(preprocessed, "train", "memory_limit_gib", "nothing is left for tensors")


def test_a_smaller_memory_leads_to_smaller_micro_batches_and_the_same_network(preprocessed: Workspace) -> None:
    changes = {"batch_size": 16, "optimizer": {"name": "sgd", "learning_rate": 0.05}}
    found = {}
    for limit in (8.0, 1.0078):
        preprocessed.write("train", {**changes, "memory_limit_gib": limit})
        assert preprocessed.run("train") == 0
        found[limit] = record(preprocessed)["micro_batch_size"], weights(preprocessed)
        shutil.rmtree(preprocessed / "model")
    (whole, expected), (smaller, other) = found.values()
    assert whole == 16
    assert 0 < smaller < 16
    for name, value in expected.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6)
