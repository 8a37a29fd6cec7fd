"""What the tests of the command share: how they run it, and a query."""

import subprocess
import sys
from typing import Any

import pytest

from industrydb._cli import main
from tests.kit.support import PATIENCE_S

COMMAND = [sys.executable, "-m", "industrydb"]
ORDERS = "SELECT id, customer, amount FROM orders"

# Runs a command at a terminal on which the test reads and types. SIGINT is reset, since background jobs ignore it.
AT_A_TERMINAL = """
import os, pty, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401, as subprocess.run has
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=PATIENCE_S, **options
    )


def in_process(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process, which is faster; return its exit code, standard output and standard error."""
    code = main(arguments)
    return code, *capfd.readouterr()
