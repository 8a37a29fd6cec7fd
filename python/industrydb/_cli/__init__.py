"""The command ``industrydb``, which reads, plans, extracts and writes from a shell."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from industrydb import (
    ConfigurationError,
    IndustryDbError,
    QueryExecutionError,
    QueryTimeoutError,
    TypeConversionError,
)
from industrydb._cli.arguments import parsed
from industrydb._cli.messages import fail, warn
from industrydb._cli.spelling import as_options, with_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
        with nullcontext() if options.verbose else _warnings_shown():
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
        fail(with_options(error, of_database=isinstance(error, QueryExecutionError)))
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


class _Spelled(logging.Formatter):
    """A format of log records with the options of the command in place of the arguments of the Python functions."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the name of the base class
        record.message = as_options(record.message)
        return super().formatMessage(record)


class _Warnings(logging.Handler):
    """A handler that prints log records as warnings of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(as_options(record.getMessage()))


def _log() -> None:
    """Log the messages of industrydb's own loggers to standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.name.startswith("industrydb"))
    handler.setFormatter(_Spelled("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Print the warnings of industrydb's own loggers during the block."""
    logger, handler = logging.getLogger("industrydb"), _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _drop_output() -> None:
    """Flush standard output; if that fails, redirect it to the null device, since Python flushes again at exit."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
