"""Which letters an output can show."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO

# Letters of tables and bars that are not ASCII.
DRAWN = "│┆═…━─"


def is_ascii_only(stream: IO[str] | None) -> bool:
    """Tell whether a stream shows ASCII only: its encoding lacks the letters of tables, or the locale is ``C``."""
    try:
        DRAWN.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return True
    if os.environ.get("PYTHONIOENCODING"):
        return False
    # In the C locale, Python encodes as UTF-8 nevertheless, and sets LC_CTYPE to C.UTF-8 for its child processes.
    kind = os.environ.get("LC_CTYPE")
    names = (os.environ.get("LC_ALL"), None if kind == "C.UTF-8" else kind, os.environ.get("LANG"))
    return next(filter(None, names), None) in {"C", "POSIX"}
