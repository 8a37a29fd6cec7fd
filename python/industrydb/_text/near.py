"""The known name that may be meant by an unknown one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from industrydb.industrydb import near_names

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


def near(name: object, known: Iterable[str]) -> str:
    """Return the end of a message: the known name that may be meant by an unknown one; empty if there is none."""
    names = list(known)
    lower = str(name).lower()
    synonym = next((word for word in (lower, *WORDS.get(lower, ())) if word in names), None)
    found = near_names(lower, names) if synonym is None else [synonym]
    return f", did you mean {' or '.join(map(repr, found))}?" if found else ""
