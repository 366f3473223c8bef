"""Commands as processes that get a signal at a moment."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 120.0
"""How long a test waits for what must come, before it fails."""


@dataclass(frozen=True)
class Running:
    """A command as a process, which gets a signal at a moment."""

    process: subprocess.Popen[str]
    reached: Path

    def end(self) -> tuple[int, str]:
        """Wait for it and all its workers; exit code and what it said on standard error."""
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        assert self.reached.exists(), f"the moment never came: {errors}"
        assert "Traceback" not in errors
        return self.process.returncode, errors

    def wait_until_stopped(self) -> None:
        """Wait for the SIGSTOP that it sends itself."""
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)


Start = Callable[..., Running]
