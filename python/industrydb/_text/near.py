"""The known name that may be meant by an unknown one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Other words for the values of arguments; of several values, the first one that the argument can have counts.
WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("overwrite", "truncate", "recreate"), ("replace", "restart")),
    **dict.fromkeys(("reset", "begin", "fresh", "anew"), ("restart",)),
    **dict.fromkeys(("resume", "append"), ("continue",)),
    **dict.fromkeys(("update", "upsert"), ("replace",)),
    **dict.fromkeys(("skip", "nothing"), ("ignore",)),
    **dict.fromkeys(("insert", "add"), ("append", "continue")),
    **dict.fromkeys(("raise", "abort", "error", "fail"), ("error", "fail")),
    **dict.fromkeys(("feather", "arrow"), ("ipc",)),
    **dict.fromkeys(("pyarrow", "arrow2", "pa"), ("arrow",)),
    "pl": ("polars",),
    "pd": ("pandas",),
    "pq": ("parquet",),
    "tsv": ("csv",),
    **dict.fromkeys(("gz", "zlib", "deflate"), ("gzip",)),
    **dict.fromkeys(("none", "no", "off", "false", "plain"), ("uncompressed",)),
    **dict.fromkeys(("zst", "zstandard"), ("zstd",)),
    "br": ("brotli",),
}

# The shortest name that is suggested for a part of it.
SHORTEST_PART = 3


def near(name: object, known: Iterable[str]) -> str:
    """Return the end of a message: the known name that may be meant by an unknown one; empty if there is none.

    The messages of the compiled module measure nearness in the same way.
    """
    names = list(known)
    lower = str(name).lower()
    synonym = next((word for word in WORDS.get(lower, ()) if word in names), None)
    found = [synonym] if synonym is not None else _nearest(lower, names)
    return f", did you mean {' or '.join(map(repr, found))}?" if found else ""


def _nearest(lower: str, names: list[str]) -> list[str]:
    """Return the name with the fewest mistakes, or else all of which the given one is a part."""
    measured = [(_mistakes(lower, name.lower()), -max(len(lower), len(name)), name) for name in names]
    # Of two names with as many mistakes, the longer one has more in common.
    best = min(
        ((mistakes, length, name) for mistakes, length, name in measured if mistakes <= _most(-length)), default=None
    )
    if best is not None:
        return [best[2]]
    return [name for name in names if lower in name.lower()] if len(lower) >= SHORTEST_PART else []


def _most(length: int) -> int:
    """Return how many letters of a name may be wrong, by the length of the longer of two names."""
    steps = ((1, 0), (5, 1), (11, 2))
    return next((most for end, most in steps if length <= end), length // 4)


def _mistakes(left: str, right: str) -> int:
    """Return how many letters are wrong, missing, too many, or swapped with the next one."""
    above: list[int] = []
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        two_above, above, row = above, row, [i]
        for j, other in enumerate(right, 1):
            cost = min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and left[i - 2 : i] == right[j - 2 : j][::-1]:
                cost = min(cost, two_above[j - 2] + 1)
            row.append(cost)
    return row[-1]
