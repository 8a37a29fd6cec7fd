"""Notebooks: tell whether the program runs in one, and show something below its cell."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def is_notebook() -> bool:
    """Tell whether the program runs in the kernel of a notebook, rather than only having imported one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def show(html: str, text: str, *, updates: bool = False) -> Any:  # noqa: ANN401, IPython has no types
    """Show HTML below the cell, or text where the notebook shows none; return a handle to update it, if asked for."""
    return import_module("IPython.display").display(bundle(html, text), raw=True, display_id=updates or None)


def bundle(html: str, text: str) -> dict[str, str]:
    """Return what `show` and an update of its handle display."""
    return {"text/html": html, "text/plain": text}
