"""A package of a tiny run, and ways to falsify it as someone would who knows how packages are made."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.reference import Reference, ReferenceRun
from cryodenoise.config.report import Report
from cryodenoise.config.schema import content_sha256
from cryodenoise.submission.check import checked
from cryodenoise.submission.digests import test_digest
from workspaces import Workspace

SET = "tiny"
PACKAGE = "acme/cryodenoise/box/tiny-cnn3-closed"
"""Where `submit` puts what is made of the tiny run."""
Change = Callable[[dict[str, Any]], None]


def reference_of(workspace: Workspace, runs_required: int = 1) -> Reference:
    """A set whose closed division is the run of a workspace, with two reference runs that scatter widely."""
    report = Report.load_document(workspace / "results/report.json")
    dataset = DatasetRecord.load_document(workspace / "data/dataset.json")
    assert report.training
    assert report.download
    psnr_db = report.that_counts.denoised.psnr_db
    assert psnr_db
    train = {key: value for key, value in report.training.made_from.parameters.items() if key != "seed"}
    return Reference(
        format=Reference.FORMAT,
        format_version=Reference.VERSION,
        name=SET,
        track="added_noise",
        runs_required=runs_required,
        dataset_identity=dataset.identity,
        test_digest=test_digest(dataset),
        download=report.download.parameters,
        preprocess=report.preprocess.parameters,
        train=train,
        parameters=2625,
        runs=[ReferenceRun(seed=1, psnr_db=psnr_db - 1), ReferenceRun(seed=2, psnr_db=psnr_db + 1)],
        tolerance_db=0.1,
        environment={},
    )


@dataclass(frozen=True)
class Packed:
    """The folder of a package."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def copy(self, root: Path) -> "Packed":
        """A copy that can be falsified, below another root."""
        to = root / PACKAGE
        shutil.copytree(self.path, to)
        return Packed(to)

    def edit(self, name: str, change: Change, sign: bool = True) -> None:
        """Change a JSON document, with a new digest of its content, and name the file's digest in the manifest."""
        document = json.loads((self / name).read_text())
        change(document)
        if sign and "content_sha256" in document:
            document["content_sha256"] = content_sha256(document)
        (self / name).write_text(json.dumps(document, indent=1) + "\n")
        self.listed(name)

    def replace(self, name: str, content: bytes) -> None:
        """Put another file in the place of one, or a new one, and name its digest in the manifest."""
        (self / name).parent.mkdir(parents=True, exist_ok=True)
        (self / name).write_bytes(content)
        self.listed(name)

    def listed(self, name: str) -> None:
        """Name the digest of a file in the manifest."""
        if name == "manifest.json":
            return
        content = (self / name).read_bytes()
        told = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        self.edit("manifest.json", lambda manifest: manifest["files"].update({name: told}))

    def found(self) -> list[str]:
        """What `check` finds, each beginning with its rule."""
        with checked(self.path) as outcome:
            return told(outcome.findings)

    def for_review(self) -> list[str]:
        """What `check` names for review, likewise."""
        with checked(self.path) as outcome:
            return told(outcome.reviews)


def told(some: "list[Any]") -> list[str]:
    """Findings as lines."""
    return [f"{rule.identifier}: {finding.place}: {finding.problem}" for rule, finding in some]
