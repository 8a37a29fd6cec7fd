"""Run programs at a real terminal, and convert what is written to it into what the terminal shows."""

import os
import re
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence

import pytest

from tests.kit.support import PATIENCE_S


def screens(text: str) -> Iterator[list[str]]:
    """Yield the lines of each drawing, without cursor movements and colours."""
    for screen in re.split(r"(?:\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)*)", text):
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
        if lines := [line.rstrip() for line in plain.splitlines() if line.strip()]:
            yield lines


def at_a_terminal(command: Sequence[str], *, columns: int = 120, lines: int = 30) -> str:
    """Run a command whose input and output are a new terminal; return everything that it writes."""
    fcntl = pytest.importorskip("fcntl")
    openpty = pytest.importorskip("pty").openpty
    termios = pytest.importorskip("termios")
    ours, theirs = openpty()
    chunks: list[bytes] = []

    def watch() -> None:
        try:
            while chunk := os.read(ours, 65_536):
                chunks.append(chunk)
        except OSError:  # the other end is closed
            pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        subprocess.run(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}, check=True,
            timeout=PATIENCE_S,
        )  # fmt: skip
    finally:
        os.close(theirs)
        watcher.join(PATIENCE_S)
        os.close(ours)
    return b"".join(chunks).decode()
