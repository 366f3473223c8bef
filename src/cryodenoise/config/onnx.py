"""What an ONNX file says of the denoiser in it: `metadata_props` that begin with `cryodenoise.`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from cryodenoise.config.documents import Digest
from cryodenoise.config.schema import Schema, canonical, validate
from cryodenoise.config.training_record import TrainedOn
from cryodenoise.errors import UserError

PREFIX = "cryodenoise."
_TEXTS = ("name", "weights_sha256", "normalization")
"""Keys whose value is written as it is; the others are JSON."""
_DESCRIBED = 'docs/FORMATS.md describes them in the section "ONNX"'


class OnnxMetadata(Schema):
    """All that must be known of a denoiser beside its graph (docs/FORMATS.md, section "ONNX")."""

    format_version: Literal[1]
    """Version of these keys."""
    name: str | None = Field(None, pattern=r"^[^\x00-\x1f\x7f]{1,200}$")
    """What messages and documents call it; null takes the file's name."""
    weights_sha256: Digest | None = Field(None, pattern="^[0-9a-f]{64}$")
    """SHA-256 of the file of weights that it was made from; null if there was none."""
    normalization: str
    """Rule by which intensities come to the range that it was trained on."""
    clipped: bool
    """Whether it was trained on intensities clipped to [0, 1]."""
    multiple_px: int = Field(ge=1, le=1024)
    """Height and width must be multiples of it."""
    reach_px: int | None = Field(None, ge=0, le=65536)
    """An output pixel depends on no input pixel further away than that, along rows or columns; null where that is
    unknown or without limit."""
    bytes_per_px: float = Field(gt=0, le=1e6)
    """Bytes of the tensors that live at a time at most, per pixel of its input."""
    trained_on: TrainedOn | None = None
    """What it saw in training; null where nothing is known of it."""

    def properties(self) -> dict[str, str]:
        """As keys and values of `metadata_props`, sorted; without those that are null."""
        values = {key: value for key, value in self.model_dump(mode="json").items() if value is not None}
        return {
            PREFIX + key: value if key in _TEXTS else canonical(value).decode() for key, value in sorted(values.items())
        }


def read_properties(properties: Mapping[str, str], path: Path) -> OnnxMetadata:
    """The metadata of an ONNX file.

    Args:
        properties: Its `metadata_props`; keys without the prefix are another program's.
        path: The file, for messages.

    Raises:
        UserError: If keys are missing or unknown, or their values make no sense.
    """
    given = {key.removeprefix(PREFIX): value for key, value in properties.items() if key.startswith(PREFIX)}
    needed = [key for key, field in OnnxMetadata.model_fields.items() if field.is_required()]
    if missing := [PREFIX + key for key in needed if key not in given]:
        raise UserError(
            f"{path}: metadata_props: {', '.join(missing)} missing, expected keys that tell how to normalise and to "
            f"cut micrographs: {_DESCRIBED}; `cryodenoise export` writes them, others must be added"
        )
    values = {key: value if key in _TEXTS else _json(value) for key, value in given.items()}
    try:
        return validate(OnnxMetadata, json.dumps(values), path)
    except UserError as error:
        lines = [line.replace(f"{path}: ", f"{path}: metadata_props: {PREFIX}", 1) for line in str(error).splitlines()]
        raise UserError("\n".join([*lines, f"{path}: mend its metadata_props: {_DESCRIBED}"])) from error


def _json(text: str) -> Any:
    """A value; what is no JSON stays text, which the schema refuses."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
