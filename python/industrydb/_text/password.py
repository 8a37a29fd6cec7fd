"""Passwords that are asked for at each login."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from typing import TypeAlias

# A function that returns a password.
Ask: TypeAlias = Callable[[], str]

# The number of seconds that a command may take.
PATIENCE_S = 60


class PasswordCommand:
    """A command whose output is a password; each call runs it."""

    def __init__(self, command: str | Sequence[str]) -> None:
        self._arguments = shlex.split(command) if isinstance(command, str) else list(command)

    def __call__(self) -> str:
        """Run the command without a shell; return the first line of its output."""
        if not self._arguments:
            msg = "password_command is empty"
            raise ValueError(msg)
        run = subprocess.run(  # noqa: S603, the caller's own command
            self._arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        if run.returncode != 0:
            said = run.stderr.strip().splitlines()[-1:] or ["nothing"]
            msg = f"password_command {self._arguments[0]!r} ended with {run.returncode}, and said {said[0]!r}"
            raise RuntimeError(msg)
        return run.stdout.partition("\n")[0].rstrip("\r")

    def __repr__(self) -> str:
        """Return the name of the program alone: an argument may be a secret."""
        return f"PasswordCommand({self._arguments[:1]!r}, …)"
