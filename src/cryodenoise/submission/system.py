"""system.json: the machine of a submission, in the fields that MLCommons asks for, all of them text."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from cryodenoise.config.report import Report
from cryodenoise.config.submission import Manifest
from cryodenoise.errors import UserError
from cryodenoise.findings import Finding

UNKNOWN = "not stated"
STATUS = "Research, Development, or Internal (RDI)"
_RULESET = ("training", "5.1.0")
_STATED = {
    "status": STATUS,
    "number_of_nodes": "1",
    "host_processors_per_node": UNKNOWN,
    "host_processor_vcpu_count": UNKNOWN,
    "host_processor_frequency": UNKNOWN,
    "host_processor_caches": UNKNOWN,
    "host_processor_interconnect": UNKNOWN,
    "host_storage_type": UNKNOWN,
    "host_storage_capacity": UNKNOWN,
    "host_networking": UNKNOWN,
    "host_networking_topology": UNKNOWN,
    "host_memory_configuration": UNKNOWN,
    "accelerator_host_interconnect": UNKNOWN,
    "accelerator_frequency": UNKNOWN,
    "accelerator_on-chip_memories": UNKNOWN,
    "accelerator_memory_configuration": UNKNOWN,
    "accelerator_interconnect": UNKNOWN,
    "accelerator_interconnect_topology": UNKNOWN,
    "cooling": UNKNOWN,
    "hw_notes": "",
    "sw_notes": "",
}
"""What no program can tell of a machine that is not this one, and what stands there until a person says it."""
_DRAFT_HEAD = """\
# The machine of a submission, and what was done: fill in what is known, and run `cryodenoise submit` again.
# The fields are those of MLCommons; status is one of: Available on-premise; Available cloud; Preview;
# Research, Development, or Internal (RDI).
"""
_WRITE_UP = "write_up"
_WRITE_UP_DRAFT = "The run files as they are, and nothing else."


def of_report(report: Report, organization: str, system: str, division: str) -> dict[str, str]:
    """The fields that a report tells of the machine that trained."""
    assert report.training, "a rule refuses reports of anything but a training"
    about = report.training.environment
    gpus = about.get("gpus") or []
    names = sorted({str(gpu["name"]) for gpu in gpus})
    packages = about.get("packages", {})
    return {
        "submitter": organization,
        "division": division,
        "system_name": system,
        "host_processor_model_name": str(about.get("processor", UNKNOWN)),
        "host_processor_core_count": str(about.get("cores", UNKNOWN)),
        "host_memory_capacity": f"{about.get('memory_gib', UNKNOWN)} GiB",
        "accelerators_per_node": str(len(gpus)),
        "accelerator_model_name": ", ".join(names) or "none",
        "accelerator_memory_capacity": f"{gpus[0]['memory_gib']} GiB" if gpus else "none",
        "framework": f"PyTorch {packages.get('torch', UNKNOWN)}",
        "other_software_stack": ", ".join(f"{name} {version}" for name, version in sorted(packages.items())),
        "operating_system": str(about.get("system", UNKNOWN)),
    }


def draft() -> str:
    """A description for a person to fill in, as YAML."""
    content = {**_STATED, _WRITE_UP: _WRITE_UP_DRAFT}
    return _DRAFT_HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def stated(path: Path) -> tuple[dict[str, str], str]:
    """What a person wrote into a draft: fields, and the write-up.

    Raises:
        UserError: If it is no YAML, or holds other keys or values than the draft.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())}): mend it, or remove it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no `field: text` lines: remove it, and a new draft is written")
    if unknown := sorted(str(key) for key in content if key not in _STATED and key != _WRITE_UP):
        raise UserError(f"{path}: unknown field {unknown[0]!r}, expected some of {', '.join((*_STATED, _WRITE_UP))}")
    for key, value in content.items():
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise UserError(f"{path}: {key}: found {json.dumps(value, default=str)}, expected text")
    text = {key: str(value) for key, value in content.items()}
    write_up = text.pop(_WRITE_UP, _WRITE_UP_DRAFT)
    return {**_STATED, **text}, write_up


def status(path: Path) -> Any:
    """The status that system.json tells."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content.get("status") if isinstance(content, dict) else None


def findings(path: Path, manifest: Manifest) -> Iterator[Finding]:
    """What mlperf-logging's checker says of a system.json, and where it differs from the manifest."""
    from mlperf_logging.system_desc_checker import system_desc_checker

    name = Path(path.name)
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        yield Finding(name, "found values that are no text, expected `field: text` for all")
        return
    for field, expected in (
        ("submitter", manifest.organization), ("system_name", manifest.system), ("division", manifest.division)
    ):  # fmt: skip
        if content.get(field) != expected:
            yield Finding(name, f"{field}: {content.get(field)!r}, manifest.json says {expected!r}")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        valid, *_ = system_desc_checker.check_system_desc(str(path), *_RULESET)
    if not valid:
        missing = sorted({*of_fields()} - content.keys())
        what = f"fields {', '.join(missing)} are missing" if missing else f"status: {content.get('status')!r}"
        yield Finding(name, f"mlperf-logging's checker refuses it: {what}")


def of_fields() -> tuple[str, ...]:
    """Names of all fields."""
    told = (
        "submitter", "division", "system_name", "host_processor_model_name", "host_processor_core_count",
        "host_memory_capacity", "accelerators_per_node", "accelerator_model_name", "accelerator_memory_capacity",
        "framework", "other_software_stack", "operating_system",
    )  # fmt: skip
    return (*told, *_STATED)
