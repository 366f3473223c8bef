"""What tells of a person or a machine in the texts of a package: paths, addresses of e-mail, names."""

import getpass
import json
import re
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from cryodenoise.submission.contents import MAX_TEXT_BYTES, read_bytes, require_npz, require_safetensors

_LOG_MARK = ":::MLLOG "
_SHORTEST_WORD = 3
_COMMON = frozenset({
    "admin", "administrator", "array", "batch", "benchmark", "cloud", "cluster", "compute", "cpu", "cryo",
    "cryodenoise", "data", "debian", "default", "desktop", "docker", "ec2-user", "fedora", "gpu", "guest", "head",
    "home", "host", "jovyan", "laptop", "linux", "local", "localhost", "login", "mac", "machine", "mlcube", "model",
    "node", "nobody", "none", "null", "nvidia", "ops", "play", "python", "root", "run", "runner", "server", "slurm",
    "system", "test", "torch", "train", "ubuntu", "user", "users", "vagrant", "work", "worker", "workspace",
    "workstation", "www-data",
})  # fmt: skip
"""Names of users and machines that tell nothing, or that are words of every package."""

_URL = re.compile(r"(?:https?|ftp)://[^\s\"'<>()\[\]{}|`,;\\]+", re.IGNORECASE)
_BEFORE = r"(?:^|(?<=[\s\"'`“‘«(\[{<=,;:|>!?&])|(?<=\s-[A-Za-z]))"
"""What can stand before a path: in 1/Å, patches/s and a/b it is a word."""
_PART = r"[^\s\"'`”’»<>|,;:()\[\]{}*?\\/]"
_FOUND = {
    "absolute path": re.compile(
        rf"{_BEFORE}/(?=[\w.+-]{{0,64}}[A-Za-z])(?:[A-Za-z](?=/Users/)|[A-Za-z0-9_.][\w.+-]{{1,254}})(?:/{_PART}+)+/?"
        rf"|{_BEFORE}/root(?![\w.-])",
        re.MULTILINE,
    ),
    "path in a home folder": re.compile(rf"{_BEFORE}~/(?=[A-Za-z0-9_.]){_PART}+(?:/{_PART}*)*", re.MULTILINE),
    "address of a file": re.compile(r"\b(?:file|smb|nfs|afp|sftp):/{1,3}[^\s\"'<>]+", re.IGNORECASE),
    "Windows path": re.compile(rf"(?<!\w)[A-Za-z]:(?:\\{{1,2}}|/(?!/))(?=[\w.$-])(?:{_PART}|[\\/])+"),
    "network path": re.compile(rf"(?<![\w\\])\\{{2,4}}[A-Za-z0-9][\w.-]+\\{{1,2}}[\w$](?:{_PART}|\\)*"),
    "e-mail address": re.compile(r"(?<![\w.+-])(?!git@)[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
}
"""What is looked for, but for names: what to call it, and its form. All take time in proportion to a text's length."""


def personal_data(text: str, *, words: Collection[str] = ()) -> Iterator[str]:
    """What a text tells of a person or a machine, each once and in one line, such as `absolute path '/home/ann/x'`.

    Args:
        text: As people read it, from `texts_of`; in JSON, backslashes would be doubled and ends of lines be letters.
        words: Names of users and machines, of `names_of_this_machine`; whole words are found, in any case.
    """
    text = _URL.sub(" ", text)
    found = [f"{what} {match[0]!r}" for what, form in _FOUND.items() for match in form.finditer(text)]
    for word in sorted(words):
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE):
            found.append(f"name of a user or machine {word!r}")
    yield from dict.fromkeys(found)


def names_of_this_machine() -> frozenset[str]:
    """Names of this machine and its user that tell something: not `root`, `localhost` and the like."""
    host = socket.gethostname()
    names = {host, host.partition(".")[0]}
    with suppress(KeyError, OSError):  # a user without an entry, as in containers
        names.add(getpass.getuser())
    return frozenset(name for name in names if len(name) >= _SHORTEST_WORD and name.lower() not in _COMMON)


def texts_of(path: Path) -> Iterator[str]:
    """All texts in a file of a package, by its suffix: of JSON and logs each string, of weights and arrays their names.

    Raises:
        UserError: If the file cannot be read, is too long for a text, or is not what its suffix says.
    """
    if path.suffix == ".safetensors":
        yield from _strings(require_safetensors(path))
    elif path.suffix == ".npz":
        yield from require_npz(path)
    else:
        text = read_bytes(path, MAX_TEXT_BYTES).decode(errors="replace")
        yield from _texts_in(text, json_whole=path.suffix == ".json")


def _texts_in(text: str, json_whole: bool) -> Iterator[str]:
    """The strings of a JSON text, or the text itself with the strings of the JSON that follows a log's mark."""
    if json_whole:
        yield from _parsed(text)
        return
    plain = []
    for line in text.splitlines():
        before, mark, after = line.partition(_LOG_MARK)
        plain.append(before if mark else line)
        if mark:
            yield from _parsed(after)
    yield "\n".join(plain)


def _parsed(text: str) -> Iterator[str]:
    """The strings of a JSON text; the text itself where it is none."""
    try:
        content = _loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    yield from _strings(content)


def _strings(content: object) -> Iterator[str]:
    """All keys and texts of a JSON value, also of JSON within a text."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, str):
            if value.startswith(("{", "[")):
                with suppress(ValueError, RecursionError):
                    waiting.append(_loads(value))
                    continue
            yield value


def _loads(text: str) -> object:
    """Parse JSON; mappings become lists of pairs, so that a key given twice hides nothing."""
    return json.loads(text, object_pairs_hook=list)
