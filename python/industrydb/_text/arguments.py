"""Errors about arguments that say which one is wrong, and what to pass instead."""

from __future__ import annotations

import inspect
import operator
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from industrydb._text.near import near
from industrydb._text.others import OF, OTHERS, WITHOUT
from industrydb.industrydb import ConfigurationError, DatabaseConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

P = ParamSpec("P")
R = TypeVar("R")

# The length of a signature that `help` shows on one line, without the function's name.
SHORT = 60


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function name the argument that is meant by one that it does not have."""
    parameters = inspect.signature(function).parameters.values()
    names = [parameter.name for parameter in parameters]
    positional = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    by_place = ", ".join(name for name in positional if name != "self")

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs.keys() <= set(names):
            unknown = next(name for name in kwargs if name not in names)
            msg = f"{function.__name__}() has no argument {unknown!r}{_meant(function.__name__, unknown, names)}"
            raise TypeError(msg)
        if len(positional) < len(args) and len(positional) < len(names):
            first = f"takes {by_place} by their place, and all other" if by_place else "takes all"
            msg = f"{function.__name__}() {first} arguments by name, such as {names[len(positional)]}=…"
            raise TypeError(msg)
        return function(*args, **kwargs)

    return folded(checked)


class _Folded(inspect.Signature):
    """A signature that is shown with each argument on a line of its own if it is long."""

    def __str__(self) -> str:
        """Return the signature for `help`."""
        shown = super().__str__()
        if len(shown) <= SHORT:
            return shown
        parts, kinds = [], inspect.Parameter
        previous = None
        for parameter in self.parameters.values():
            if parameter.kind is kinds.KEYWORD_ONLY and previous not in {kinds.KEYWORD_ONLY, kinds.VAR_POSITIONAL}:
                parts.append("*")
            parts.append(str(parameter))
            previous = parameter.kind
        returned = shown[shown.rindex(") -> ") :] if ") -> " in shown else ")"
        return "(\n    " + ",\n    ".join(parts) + f",\n{returned}"


def folded(function: Callable[P, R]) -> Callable[P, R]:
    """Let `help` show the arguments of a function, or of a class, one below the other."""
    shown = inspect.signature(function)
    own = _Folded(list(shown.parameters.values()), return_annotation=shown.return_annotation)
    function.__signature__ = own  # type: ignore[attr-defined]
    return function


folded(DatabaseConfig)


def _meant(function: str, name: str, names: list[str]) -> str:
    """Return the end of a message: the argument that may be meant, or what to do without it."""
    other = OF.get(function, {}).get(name, OTHERS.get(name, ()))
    if isinstance(other, str):
        return f": {other}"
    known = next((known for known in other if known in names), None)
    if known is not None:
        return f": it is called {known} here"
    return f": {WITHOUT[name]}" if name in WITHOUT else near(name, names)


def chosen(name: str, value: object, choices: Collection[str]) -> None:
    """Raise if an argument has none of its possible values; the message names the one that may be meant."""
    if value not in choices:
        msg = f"{name} must be one of {tuple(choices)}, not {value!r}{near(value, choices)}"
        raise ConfigurationError(msg)


def whole(name: str, value: object) -> int:
    """Return an argument that must be a whole number; true and false are none, though Python counts with them."""
    try:
        if isinstance(value, bool):
            raise TypeError  # noqa: TRY301, with the message below
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        msg = f"{name} must be an int, not {type(value).__name__}"
        raise TypeError(msg) from None


def flag(name: str, value: object) -> bool:
    """Return an argument that must be true or false; a text such as "no" would be true."""
    if isinstance(value, (str, bytes)):
        msg = f"{name} must be True or False, not {type(value).__name__}"
        raise TypeError(msg)
    return bool(value)


def text(name: str, value: object, what: str = "a str") -> str:
    """Return an argument that must be a text."""
    if not isinstance(value, str):
        msg = f"{name} must be {what}, not {type(value).__name__}"
        raise TypeError(msg)
    return value
