"""Benchmarks: the same read by industrydb, by its peers, and by a loop that stores nothing.

``python -m benchmarks [postgres|sqlite|all]`` runs them. The environment chooses: ``SCALE`` (TPC-H scale factor,
default 1), ``RUNS`` (measured rounds, default 3) and ``CONTENDERS`` (names with commas between, default all).

One read's way: ``data`` generates the table and ``servers`` serves it; ``contenders`` says how each reads it;
``measure`` does one read in a process of its own, and compares what came out with what was generated; ``report`` makes
tables and a chart of the numbers. ``bounds/`` holds the lower bounds, in Rust.
"""

import warnings

# A dependency of the PostgreSQL wheel says so on machines without a login session.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
