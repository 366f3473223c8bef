"""Command `info`: the environment, for a bug report."""

import json

from cryodenoise import environment
from cryodenoise.console import Console


def info(console: Console) -> None:
    """Print versions, source and hardware."""
    for key, value in environment.describe().items():
        shown = ", ".join(f"{name} {version}" for name, version in value.items()) if isinstance(value, dict) else value
        console.say(f"{key.replace('_', ' ')}: {shown if isinstance(shown, str) else json.dumps(shown)}")
