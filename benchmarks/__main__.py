"""Run the benchmarks: ``python -m benchmarks [name]``.

The name is that of a database (``postgres``, ``mysql``, ``sqlite``, ``sqlite-rowid`` or ``mssql``), of another
measurement (``skew``, ``wide``, ``small``, ``write``, ``extract`` or ``engines``), or ``all``.
"""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import data, engines, extract, programs, report, servers, skew, small, wide, write
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Sample, measure, measure_program

RUNS = int(os.environ.get("RUNS", "3"))
CHOSEN = os.environ.get("CONTENDERS", ",".join(CONTENDERS)).split(",")
DATABASES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "postgres": servers.postgres,
    **({"mysql": servers.mysql} if servers.has_mariadb() else {}),
    "sqlite": lambda: nullcontext(f"sqlite://{data.sqlite_file()}"),
    "sqlite-rowid": lambda: nullcontext(f"sqlite://{data.sqlite_file(with_rowid=True)}"),
    "mssql": servers.replay,
}


def run(database: str, uri: str) -> dict[str, list[Sample]]:
    """Measure all contenders in turn, round by round, so that a disturbance of the machine affects all of them.

    Each frame of the first round, which is the warm-up, is compared with the generated one.
    """
    alone = programs.commands(database, uri)
    chosen = [name for name in CHOSEN if getattr(CONTENDERS[name], data.kind(database)) is not None]
    samples: dict[str, list[Sample]] = {name: [] for name in [*alone, *chosen]}
    for number in range(RUNS + 1):
        for name, taken in samples.items():
            if name in alone:
                sample = measure_program(alone[name])
            elif number == 0 or not CONTENDERS[name].slow:
                sample = measure(data.kind(database), name, uri, check=number == 0)
            else:
                continue
            taken.append(sample)
            print(f"{database}, round {number}, {name}: {sample.seconds:.2f} s", file=sys.stderr)
    if len({sample.rows for taken in samples.values() for sample in taken}) != 1:
        sys.exit(f"The contenders disagree on the number of rows: {samples}")
    return samples


def run_skew() -> None:
    """Measure reads by skewed keys from PostgreSQL and SQLite."""
    with servers.postgres() as uri:
        skew.load_postgres(uri)
        found = [*skew.measure("PostgreSQL", uri), *skew.measure("SQLite", f"sqlite://{skew.sqlite_file()}")]
    report.save_skew(found)
    print(report.skew_section())


def run_wide() -> None:
    """Measure reads of types that TPC-H has few of, from PostgreSQL and SQLite."""
    programs.build()
    with servers.postgres() as uri:
        wide.load_postgres(uri)
        file = wide.sqlite_file(uri)
        found = [*wide.measure("postgres", uri), *wide.measure("sqlite", f"sqlite://{file}")]
    report.save_wide(found)
    print(report.wide_section())


def run_small() -> None:
    """Measure queries of one row on PostgreSQL and SQLite."""
    with servers.postgres() as uri, TemporaryDirectory(dir=data.DATA) as folder:
        report.save_small([*small.postgres(uri), *small.sqlite(Path(folder))])
    print(report.small_section())


def run_write() -> None:
    """Measure writes into PostgreSQL, MariaDB and SQLite."""
    with servers.postgres() as uri, TemporaryDirectory(dir=data.DATA) as folder:
        found = list(write.measure("postgres", uri, uri, RUNS))
        if "mysql" in DATABASES:
            with servers.mysql() as mysql_uri:
                found += write.measure("mysql", mysql_uri, uri, RUNS)
        found += write.measure("sqlite", f"sqlite://{folder}/written.sqlite", uri, RUNS)
    report.save_write(found)
    print(report.write_section())


def run_extract() -> None:
    """Measure the extraction of lineitem into Parquet files."""
    with servers.postgres() as uri:
        report.save_extract(list(extract.measure(uri, RUNS)))
    print(report.extract_section())


def run_engines() -> None:
    """Measure reads of lineitem into the engines that are installed; only a full run with all of them is recorded."""
    with servers.postgres() as uri:
        found = list(engines.measure(uri, RUNS))
        plan_s = engines.planning(uri)
    if not found:
        return
    record = report.engines_record(plan_s, found)
    if data.SCALE == "1" and len(record["reads"]) == len(engines.READERS):
        report.save_engines(record)
    print(report.engines_section(record))


# Benchmarks other than reads of lineitem by clients.
OTHERS = {
    "skew": run_skew,
    "wide": run_wide,
    "small": run_small,
    "write": run_write,
    "extract": run_extract,
    "engines": run_engines,
}


def main(chosen: str = "all") -> None:
    """Run one benchmark or all. Only a run of all contenders is recorded, since ratios hold only within one run."""
    if chosen not in {*DATABASES, *OTHERS, "all"} or not {*CHOSEN} <= {*CONTENDERS}:
        choices = "|".join([*DATABASES, *OTHERS, "all"])
        sys.exit(f"usage: CONTENDERS={','.join(CONTENDERS)} python -m benchmarks [{choices}]")
    for name, run_other in OTHERS.items():
        if chosen in (name, "all"):
            run_other()
    if chosen in OTHERS:
        return
    programs.build()
    for database in DATABASES if chosen == "all" else [chosen]:
        with DATABASES[database]() as uri:
            result = report.summarize(database, run(database, uri))
        print(f"\n{report.facts(result)}\n\n{report.table(result)}\n")
        if {*CHOSEN} == {*CONTENDERS}:
            report.save(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
