"""Benchmarks: the same read by industrydb, by its peers, and by a loop that stores nothing.

``python -m benchmarks [postgres|sqlite|sqlite-rowid|mssql|skew|wide|write|extract|all]`` runs them. Environment
variables: ``SCALE`` (TPC-H scale factor, default 1), ``RUNS`` (measured rounds, default 3) and ``CONTENDERS`` (names
separated by commas, default all).

The modules: ``data`` generates the table and ``servers`` serves it; ``contenders`` defines how each contender reads it;
``measure`` runs one read in a process of its own, and compares the result with the generated table; ``report`` turns
the numbers into tables and a chart. ``bounds/`` holds the lower bounds, in Rust.
"""

import warnings

# A dependency of the PostgreSQL wheel gives this warning on machines without a login session.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
