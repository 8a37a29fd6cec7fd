"""The command ``completion``: a script by which a shell completes the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from industrydb import ConfigurationError
from industrydb._cli.arguments import command_parser, commands_of
from industrydb._cli.messages import output

if TYPE_CHECKING:
    import argparse

# The arguments that are names of files or folders, by their placeholders in the help.
FILES = {"FILE": "FILE", "TARGET": "DIRECTORY"}


def completion(options: argparse.Namespace) -> None:
    """Print the script."""
    try:
        import shtab  # noqa: PLC0415, it is optional
    except ImportError:
        msg = "the completion of a shell needs shtab: pip install 'industrydb[cli]'"
        raise ConfigurationError(msg) from None
    parser = command_parser()
    for command in commands_of(parser).values():
        for action in command._actions:  # noqa: SLF001, argparse has no other way to them
            if (kind := FILES.get(str(action.metavar))) and action.choices is None:
                action.complete = getattr(shtab, kind)  # type: ignore[attr-defined]
    output(shtab.complete(parser, options.shell))
