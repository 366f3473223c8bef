"""How a file from outside becomes a validated value, and its mistakes one clear message."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cryodenoise.errors import UserError


class Schema(BaseModel):
    """Frozen, strict about types, and closed: an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
    )


S = TypeVar("S", bound=Schema)


class Parameters(Schema):
    """The content of a run file, or of a section of one."""

    MACHINE_KEYS: ClassVar[frozenset[str]] = frozenset()
    """Keys that say how a machine does the work: what comes out depends on them by rounding at most."""

    @classmethod
    def key_lines(cls, prefix: str = "") -> Iterator[str]:
        """One line a key: its place, its default and what it is."""
        for name, field in _keys(cls).items():
            nested = _schema_in(field.annotation)
            section = nested is not None and issubclass(nested, Parameters)
            if not section or isinstance(field.default, str):
                default = (
                    "required" if field.is_required() else json.dumps(field.get_default(call_default_factory=True))
                )
                yield f"{prefix}{name} ({default}): {field.description}"
            if nested is not None and issubclass(nested, Parameters):
                yield from nested.key_lines(f"{prefix}{name}.")

    def determining(self) -> dict[str, Any]:
        """The parameters that determine the output, as JSON values."""
        return self.model_dump(mode="json", exclude=set(self.MACHINE_KEYS))

    def of_the_machine(self) -> dict[str, Any]:
        """The others, which only say how a machine does the work."""
        return self.model_dump(mode="json", include=set(self.MACHINE_KEYS))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and validate a run file.

        Raises:
            UserError: If the file is missing, no YAML or not of this schema; the message lists every finding.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such run file: give the path of one, such as run/smoke/train.yaml") from error
        except (UnicodeDecodeError, IsADirectoryError) as error:
            raise UserError(f"{path}: no text file, expected YAML: see the run files in run/") from error
        try:
            content = yaml.load(text, YamlLoader)  # noqa: S506  a SafeLoader
            as_json = json.dumps(content if content is not None else {}, default=str)
        # Beside what YAML forbids: an impossible date, an anchor within itself, a key that is a date, endless nesting.
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            raise UserError(f"{path}: not YAML: {_problem(error)}: see the run files in run/") from error
        if not isinstance(content, dict | None):
            kind = "a list" if isinstance(content, list) else json.dumps(content, default=str)
            raise UserError(f"{path}: holds {kind}, expected `key: value` lines: see the run files in run/")
        return validate(cls, as_json, path)


class Document(Schema):
    """A JSON document that a task writes: its format and version come first."""

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]
    TASK: ClassVar[str]
    """The task that writes it."""

    format: str
    """Which document this is."""
    format_version: int
    """Version of the document's layout; a reader refuses another than its own."""
    content_sha256: str = ""
    """SHA-256 of all other keys as JSON, with sorted keys, without spaces, in ASCII; set when it is written."""

    @classmethod
    def load_document(cls, path: Path) -> Self:
        """Read and validate a document.

        Raises:
            UserError: If it is no JSON, of another format or version, not of this schema, or edited.
        """
        document, edited = cls.read_document(path)
        if edited:
            raise UserError(f"{path}: {edited}: {cls.remedy()}")
        return document

    @classmethod
    def read_document(cls, path: Path) -> tuple[Self, str | None]:
        """A valid document, and what gives away that it was edited, if it was.

        Raises:
            UserError: If it is no JSON, of another format or version, or not of this schema.
        """
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            head = json.loads(text)
        except ValueError as error:
            raise UserError(f"{path}: not JSON ({error}): altered since it was written: {cls.remedy()}") from error
        found = (head.get("format"), head.get("format_version")) if isinstance(head, dict) else None
        if found != (cls.FORMAT, cls.VERSION):
            raise UserError(
                f"{path}: format {found[0] if found else None!r} version {found[1] if found else None!r}, expected "
                f"{cls.FORMAT!r} version {cls.VERSION}: {cls.remedy()}"
            )
        document = validate(cls, text, path)
        if (expected := content_sha256(head)) == document.content_sha256:
            return document, None
        return document, (
            f"content_sha256: found {document.content_sha256[:16]}…, expected {expected[:16]}…: edited since it was "
            "written"
        )

    @classmethod
    def remedy(cls) -> str:
        """What to do about a document, or the files it speaks of, that cannot be used."""
        return f"remove the folder and run `cryodenoise {cls.TASK}` again"

    def dumps(self) -> str:
        """The document as JSON text.

        Raises:
            ValueError: If a value is NaN or infinite.
        """
        content = json.loads(json.dumps(self.model_dump(mode="python"), allow_nan=False, default=str))
        content["content_sha256"] = content_sha256(content)
        return json.dumps(content, indent=1) + "\n"


def canonical(value: Any) -> bytes:
    """JSON bytes that are the same for equal values: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def content_sha256(content: dict[str, Any]) -> str:
    """The digest of a document, given as JSON values."""
    rest = {key: value for key, value in content.items() if key != "content_sha256"}
    return hashlib.sha256(canonical(rest)).hexdigest()


def validate(schema: type[S], text: str, path: Path) -> S:
    """A JSON text as a value of the schema; raises a UserError that lists every finding and its place in `path`."""
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        findings = [f"{path}: {_explain(schema, detail)}" for detail in error.errors()]
        raise UserError("\n".join(findings)) from error


def _explain(schema: type[Schema], detail: ErrorDetails) -> str:
    parts = [str(part) for part in detail["loc"] if not str(part).startswith("<")]  # the tag of a union is no key
    place = ".".join(parts)
    if detail["type"] == "extra_forbidden":
        *parents, key = parts
        known = sorted(_keys_at(schema, parents))
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        return f"{place}: unknown key; {hint}"
    if detail["type"] == "missing":
        return f"{place}: missing; add it"
    problem = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if detail["type"] == "value_error" and isinstance(detail["input"], dict):  # of a whole section
        return f"{place}: {problem}" if place else problem
    for pydantics, ours in _PLAINER.items():
        problem = problem.replace(pydantics, ours)
    if detail["type"] == "too_long":
        problem = f"{detail['ctx']['max_length']} values"
    found = detail["input"]
    shown = "a mapping" if isinstance(found, dict) else json.dumps(found, default=str)
    return f"{place}: found {shown}, expected {problem}"


_PLAINER = {
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
    "a valid array": "a list",
    "an object": "a section of `key: value` lines",
    "a valid dictionary or instance of": "a section of `key: value` lines, as of",
}


def _problem(error: Exception) -> str:
    """What is wrong with a YAML text and where, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return " ".join(str(error).split())


def _keys_at(schema: type[Schema], parents: list[str]) -> set[str]:
    """The field names of the schema that stands at a place."""
    for part in parents:
        field = _keys(schema).get(part)
        schema = (_schema_in(field.annotation) if field else None) or schema
    return set(_keys(schema))


def _keys(schema: type[Schema]) -> dict[str, FieldInfo]:
    """The fields of a schema by the names that files give them."""
    return {field.alias or name: field for name, field in schema.model_fields.items()}


def _schema_in(annotation: object) -> type[Schema] | None:
    """The schema that an annotation is, or that it names beside something else."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        return annotation
    return next((found for part in get_args(annotation) if (found := _schema_in(part))), None)


class YamlLoader(yaml.SafeLoader):
    """YAML 1.2 as people mean it: 1e-3 is a number, 010 and 1:30 are none, and a key is a word, given once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are words, each given once."""
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in keys:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} given twice", key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


_NUMBERS = {
    "tag:yaml.org,2002:int": r"[-+]?(0|[1-9]\d*)",
    "tag:yaml.org,2002:float": r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    YamlLoader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list("-+.0123456789"))
