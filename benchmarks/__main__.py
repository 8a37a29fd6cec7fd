"""Run the benchmarks: ``python -m benchmarks [postgres|sqlite|skew|all]``."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from benchmarks import data, report, servers, skew
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Sample, build_bounds, measure, measure_bound

RUNS = int(os.environ.get("RUNS", "3"))
CHOSEN = os.environ.get("CONTENDERS", ",".join(CONTENDERS)).split(",")
DATABASES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "postgres": servers.postgres,
    "sqlite": lambda: nullcontext(f"sqlite://{data.sqlite_file()}"),
}


def run(database: str, uri: str) -> dict[str, list[Sample]]:
    """Measure all contenders in turn, round by round, so that what disturbs the machine disturbs all of them.

    In the first round, which warms up, each frame is compared with the generated one.
    """
    queries = data.halves()
    samples: dict[str, list[Sample]] = {name: [] for name in [report.BOUND, *CHOSEN]}
    for number in range(RUNS + 1):
        for name, taken in samples.items():
            if name == report.BOUND:
                sample = measure_bound(database, uri, queries)
            elif number == 0 or not CONTENDERS[name].slow:
                sample = measure(database, name, uri, check=number == 0)
            else:
                continue
            taken.append(sample)
            print(f"{database}, round {number}, {name}: {sample.seconds:.2f} s", file=sys.stderr)
    if len({sample.rows for taken in samples.values() for sample in taken}) != 1:
        sys.exit(f"The contenders disagree on the number of rows: {samples}")
    return samples


def run_skew() -> None:
    """Measure skewed keys in both databases."""
    with servers.postgres() as uri:
        skew.load_postgres(uri)
        found = [*skew.measure("PostgreSQL", uri), *skew.measure("SQLite", f"sqlite://{skew.sqlite_file()}")]
    report.save_skew(found)
    print(report.skew_section())


def main(chosen: str = "all") -> None:
    """Measure one database or all of them. Only a run of all contenders is recorded: ratios hold within one run."""
    if chosen not in {*DATABASES, "skew", "all"} or not {*CHOSEN} <= {*CONTENDERS}:
        sys.exit(f"usage: CONTENDERS={','.join(CONTENDERS)} python -m benchmarks [{'|'.join(DATABASES)}|skew|all]")
    if chosen in ("skew", "all"):
        run_skew()
    if chosen == "skew":
        return
    build_bounds()
    for database in DATABASES if chosen == "all" else [chosen]:
        with DATABASES[database]() as uri:
            result = report.summarize(database, run(database, uri))
        print(f"\n{report.facts(result)}\n\n{report.table(result)}\n")
        if {*CHOSEN} == {*CONTENDERS}:
            report.save(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
