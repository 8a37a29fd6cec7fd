"""Errors of tasks that an engine raises as errors of its own, which inherit from the class of the task's error.

Such an error has the task's error as an attribute, and no attributes of the task's error: without this module, its
`code` and `is_transient` would be those of the class, as if the database had reported none.
"""

from __future__ import annotations

from industrydb.industrydb import ConstraintViolationError, IndustryDbError

# The attributes of an error, by the class that defines them.
ATTRIBUTES = {
    IndustryDbError: ("code", "is_transient"),
    ConstraintViolationError: ("constraint", "table", "column"),
}
# Where an error of Ray, and of Dask's processes, has the task's error.
CARRIERS = ("cause", "exception")


class _OfTheTask:
    """An attribute that an error without one of its own takes from the task's error, and otherwise from its class."""

    def __init__(self, name: str, default: object) -> None:
        self._name = name
        self._default = default

    def __get__(self, error: IndustryDbError | None, _: type[IndustryDbError]) -> object:
        own = {} if error is None else vars(error)
        causes = [own[carrier] for carrier in CARRIERS if isinstance(own.get(carrier), IndustryDbError)]
        return getattr(causes[0], self._name) if causes else self._default


def keep_attributes() -> None:
    """Let an engine's error have the attributes of the task's error, in this process."""
    for kind, names in ATTRIBUTES.items():
        for name in names:
            setattr(kind, name, _OfTheTask(name, getattr(kind, name)))
