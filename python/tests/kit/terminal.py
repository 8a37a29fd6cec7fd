"""Convert text written to a terminal into what the terminal shows."""

import re
from collections.abc import Iterator


def screens(text: str) -> Iterator[list[str]]:
    """Yield the lines of each drawing, without cursor movements and colours."""
    for screen in re.split(r"(?:\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)*)", text):
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
        if lines := [line.rstrip() for line in plain.splitlines() if line.strip()]:
            yield lines
