"""The package's names are there from the start, and what is slow to import is imported when it is used."""

import subprocess
import sys
from importlib import import_module

import pytest

import industrydb
from tests.kit.support import PATIENCE_S


def test_all_names_are_there() -> None:
    """Every public name is an attribute, `dir` shows the public names only, and another name is an error."""
    assert dir(industrydb) == sorted(industrydb.__all__)
    for name in industrydb.__all__:
        value = getattr(industrydb, name)
        assert getattr(value, "__name__", name) == name
        assert getattr(import_module("industrydb"), name) is value
    with pytest.raises(AttributeError, match="module 'industrydb' has no attribute 'read_sqll'"):
        getattr(industrydb, "read_sqll")  # noqa: B009, mypy would see it as an error, which it is


IMPORTED = """
import sys
import industrydb
before = "polars" in sys.modules
from industrydb import *
print(before, read_sql.__name__, "polars" in sys.modules)
"""


def test_polars_is_imported_when_it_is_used() -> None:
    """Importing the package does not import Polars, which takes half a second; its functions do."""
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "False read_sql True\n"
