"""The command ``industrydb``, which reads, plans, extracts and writes from a shell."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from industrydb import (
    ConfigurationError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
)
from industrydb._cli.arguments import parsed
from industrydb._cli.messages import as_options, fail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

# The exit code of an error, by the first class that the error is an instance of.
EXIT_CODES: dict[type[Exception], int] = {
    QueryTimeoutError: 4,
    TypeConversionError: 3,
    ConfigurationError: 2,
    IndustryDbError: 1,
    UnicodeError: 2,  # an argument or a query that is not valid text
    OSError: 1,
}
INTERRUPTED = 130
PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if sys.platform != "win32":
        # Exiting by an exception removes temporary files.
        with suppress(ValueError):  # raised outside the main thread
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _end)
    try:
        options = parsed(arguments)
        if options.verbose:
            _log()
        # Imported late: the modules of most commands need Polars, which takes half a second to import.
        options.run(options)
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except KeyboardInterrupt as interrupt:
        fail(as_options(str(interrupt)) if interrupt.args else "interrupted")
        return INTERRUPTED
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        _drop_output()
        fail(as_options(str(error), of_database=isinstance(error, QueryExecutionError)))
        return code
    return 0


def _exit_code(error: Exception) -> int | None:
    """Return the exit code of an expected error, and `None` for any other."""
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(error, polars.exceptions.PolarsError):
        return 1  # a data type that the file format lacks, or a full disk
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), None)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _log() -> None:
    """Log the messages of industrydb's own loggers to standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.name.startswith("industrydb"))
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.DEBUG, handlers=[handler])


def _drop_output() -> None:
    """Flush standard output; if that fails, redirect it to the null device, since Python flushes again at exit."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
