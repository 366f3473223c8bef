"""Pages from the templates beside this file: what is put into them is text, never markup."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent


def rendered(template: str, **shown: Any) -> str:
    """A template with what it shows."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**shown) + "\n"


def source(name: str) -> str:
    """A style sheet or script beside this file, as it is."""
    return (_FOLDER / name).read_text(encoding="utf-8")
