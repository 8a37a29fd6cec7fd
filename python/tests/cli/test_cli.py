"""Tests of the command as users run it: what is printed and written, and that its page shows the same."""

import csv
import doctest
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.feather
import pyarrow.parquet
import pytest

import industrydb
from industrydb._cli import main
from tests.cli.support import COMMAND, ORDERS, in_process, run
from tests.kit.databases import Database, Feature
from tests.kit.interrupts import ENDLESS
from tests.kit.pages import commands
from tests.kit.support import PATIENCE_S, SqliteFile, eventually

ROOT = Path(__file__).parents[3]


# What the command prints


def test_a_table(orders: SqliteFile) -> None:
    """The table is printed as Polars prints it; the summary is on standard error, and `--quiet` leaves it out."""
    done = run("read", ORDERS, "--uri", orders.uri, "--partitions", "3", "--rows", "4")
    rows = orders.connection.execute(ORDERS).fetchall()
    with pl.Config(tbl_rows=4):
        expected = str(pl.DataFrame(rows, ["id", "customer", "amount"], orient="row"))
    assert (done.returncode, done.stdout) == (0, f"{expected}\n")
    assert re.fullmatch(r"100 rows, 3 columns, [\d,]+ bytes, [\d.]+ s\n", done.stderr)
    quiet = run("read", ORDERS, "--uri", orders.uri, "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert quiet.stdout == f"{pl.DataFrame(rows, ['id', 'customer', 'amount'], orient='row')}\n"


def test_rows_as_json(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """`--json` prints all rows in UTF-8, whatever the encoding of the stream; a binary column is an error."""
    done = run(
        "read", ORDERS, "-u", orders.uri, "--json", encoding="utf-8", env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0
    assert [tuple(row.values()) for row in json.loads(done.stdout)] == orders.connection.execute(ORDERS).fetchall()
    code, out, err = in_process(capfd, "read", "SELECT x'00' AS raw", "-u", orders.uri, "--json")
    assert (code, out) == (2, "")
    assert 'column "raw" is Binary, which JSON cannot hold' in err


def test_a_terminal_without_the_letters(orders: SqliteFile) -> None:
    """A character that the output's encoding lacks is printed as an escape sequence."""
    done = run("read", "SELECT 'é' AS e", "-u", orders.uri, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert r"\xe9" in done.stdout


def test_a_plan(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """`plan` prints queries that return every row when another driver runs them."""
    split = ("--partition-on", "id", "--partitions", "4")
    code, out, err = in_process(capfd, "plan", ORDERS, "-u", orders.uri, *split, "--json")
    plan = json.loads(out)
    assert (code, err, plan["note"], len(plan["partitions"])) == (0, "", None, 4)
    read = [row for part in plan["partitions"] for row in orders.connection.execute(part["sql"]).fetchall()]
    assert read == orders.connection.execute(ORDERS).fetchall()
    assert sum(part["estimated_rows"] for part in plan["partitions"]) == 100
    code, out, err = in_process(capfd, "plan", ORDERS, "-u", orders.uri, *split)
    assert (code, err) == (0, "")
    assert all(f"  {line}" in out.splitlines() for part in plan["partitions"] for line in part["sql"].splitlines())
    assert out.startswith("4 partitions, about 100 rows\n")


def test_a_schema(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """`schema` prints one column per line, or a JSON array of columns."""
    query = "SELECT id, customer, amount AS a FROM orders"
    assert in_process(capfd, "schema", query, "-u", orders.uri) == (
        0,
        "id        Int64\ncustomer  String\na         Float64\n",
        "",
    )
    code, out, err = in_process(capfd, "schema", query, "-u", orders.uri, "--json")
    assert (code, err) == (0, "")
    assert [tuple(column.values()) for column in json.loads(out)] == [
        ("id", "Int64"),
        ("customer", "String"),
        ("a", "Float64"),
    ]


def test_where_the_query_comes_from(orders: SqliteFile, tmp_path: Path) -> None:
    """The query is read from a file (with or without a byte order mark), standard input or the argument itself."""
    path = tmp_path / "query.sql"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("-- all\nSELECT 'ä' AS a;\n", encoding=encoding)
        assert json.loads(run("read", "@query.sql", "-u", orders.uri, "--json").stdout) == [{"a": "ä"}]
    assert json.loads(run("read", "-", "-u", orders.uri, "--json", input="SELECT 2 AS a").stdout) == [{"a": 2}]
    assert json.loads(run("read", "-- one\nSELECT 3 AS a", "-u", orders.uri, "--json").stdout) == [{"a": 3}]


@pytest.mark.needs(Feature.DRIVER, Feature.NUMBERED)
def test_parameters_and_setup(database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    """`--param` texts are converted to the parameters' types, and `--pre` statements run before the query."""
    marks = (database.mark(1), database.mark(2))
    setup = ("--pre", "CREATE TEMPORARY TABLE made (i int)", "--pre", "INSERT INTO made VALUES (1), (2), (3)")
    query = f"SELECT i, {marks[1]} AS t FROM made WHERE i < {marks[0]} ORDER BY i"
    parameters = ("--param", "3", "--param=-x'", "--no-snapshot", "--max-connections", "1", "--timeout", "60")
    code, out, _ = in_process(capfd, "read", query, "-u", database.uri, *setup, "--json", *parameters)
    assert (code, json.loads(out)) == (0, [{"i": 1, "t": "-x'"}, {"i": 2, "t": "-x'"}])


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the package."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capfd.readouterr().out == f"industrydb {industrydb.__version__}\n"


# What the command writes


def csv_rows(path: Path) -> list[tuple[Any, ...]]:
    """Read a CSV file."""
    with path.open(newline="") as file:
        _, *rows = csv.reader(file)
    return [(int(n), customer or None, float(amount)) for n, customer, amount in rows]


def arrow_rows(table: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401, pyarrow has no types
    """Return the rows of an Arrow table."""
    return [tuple(row.values()) for row in table.to_pylist()]


READERS: dict[str, Callable[[Path], list[tuple[Any, ...]]]] = {
    "a.parquet": lambda path: arrow_rows(pyarrow.parquet.read_table(path)),
    "a.arrow": lambda path: arrow_rows(pyarrow.feather.read_table(path)),
    "a.ipc": lambda path: arrow_rows(pyarrow.feather.read_table(path)),
    "a.feather": lambda path: arrow_rows(pyarrow.feather.read_table(path)),
    "a.csv": csv_rows,
    "A.CSV": csv_rows,
    "a.json": lambda path: [tuple(row.values()) for row in json.loads(path.read_text("utf-8"))],
    "a.jsonl": lambda path: [tuple(json.loads(line).values()) for line in path.read_text("utf-8").splitlines()],
    "a.ndjson": lambda path: [tuple(json.loads(line).values()) for line in path.read_text("utf-8").splitlines()],
}


@pytest.mark.parametrize("name", READERS)
def test_a_file(orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    """Other libraries read all rows from the written file, which replaces an older one; no other file is left."""
    folder = tmp_path / "out ü"
    folder.mkdir()
    (folder / name).write_text("what was there")
    read = ("read", ORDERS, "-u", orders.uri, "--partitions", "3", "-o")
    code, out, err = in_process(capfd, *read, str(folder / name), "--json")
    assert (code, err) == (0, "")
    assert READERS[name](folder / name) == orders.connection.execute(ORDERS).fetchall()
    assert list(folder.iterdir()) == [folder / name]
    said = json.loads(out)
    assert said.pop("seconds") >= 0
    assert said == {"output": str(folder / name), "rows": 100, "columns": 3, "bytes": (folder / name).stat().st_size}
    code, out, err = in_process(capfd, *read, str(folder / name))
    assert (code, out) == (0, "")
    assert err.startswith(f"100 rows, 3 columns, {said['bytes']:,} bytes in {folder / name}, ")


def test_a_files_mode_and_links(orders: SqliteFile, tmp_path: Path) -> None:
    """A new file has the mode of any new file, and a symbolic link stays a link."""
    (tmp_path / "plain").touch()
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert main(["read", ORDERS, "-u", orders.uri, "-o", "link.csv", "--quiet"]) == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Arguments beside the query, exit code, and part of the message.
FAILURES: list[tuple[list[str], int, str]] = [
    (["-o", "out.csv", "--timeout", "0.05"], 4, "timeout of 0.05 s"),
    (["-o", "out.xlsx"], 2, "out.xlsx has none of .parquet"),
    (["-o", "out"], 2, "out has none of .parquet"),
    (["-o", "missing/out.csv"], 1, "cannot write missing/out.csv: No such file"),
    (["-o", "folder.csv"], 1, "cannot write folder.csv: it is no regular file"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), FAILURES)
def test_what_cannot_be_written(  # noqa: PLR0913, PLR0917
    orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """A failed read leaves files as they were; if the output cannot be written, the endless query is not read."""
    (tmp_path / "out.csv").write_text("what was there")
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    found = in_process(capfd, "read", ENDLESS, "-u", orders.uri, *arguments)
    assert found[:2] == (code, "")
    assert said in found[2]
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "out.csv").read_text() == "what was there"


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow", ".json"])
def test_a_full_disk(orders: SqliteFile, tmp_path: Path, suffix: str) -> None:
    """A full disk is an error, leaves no partial file, and keeps the older file."""
    (tmp_path / f"out{suffix}").write_text("what was there")
    before = sorted(tmp_path.iterdir())
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 99999)"
    query = f"{numbers} SELECT hex(randomblob(i % 9)) AS t FROM n"
    # No file may grow beyond a few blocks, as on a disk that is full.
    limited = ["/bin/sh", "-c", 'ulimit -f 8 && exec "$@"', "sh", *COMMAND]
    done = subprocess.run(
        [*limited, "read", query, "-u", orders.uri, "-o", f"out{suffix}"],
        check=False, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match("industrydb: .*too large", done.stderr)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / f"out{suffix}").read_text() == "what was there"


LACKING = [
    ("out.csv", "SELECT '\\x00'::bytea AS c", "Binary"),
    ("out.csv", "SELECT interval '1 day' AS c", "Duration"),
    ("out.csv", "SELECT ARRAY[1, 2] AS c", "List"),
    ("out.json", "SELECT ARRAY['\\x00'::bytea] AS c", "List"),
    ("out.ndjson", "SELECT '\\x00'::bytea AS c", "Binary"),
]


@pytest.mark.parametrize(("name", "query", "dtype"), LACKING)
def test_types_that_a_file_lacks(  # noqa: PLR0913, PLR0917
    postgres_uri: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str, query: str, dtype: str
) -> None:
    """The error names the column and its type that the file format cannot hold; nothing is written."""
    code, out, err = in_process(capfd, "read", query, "-u", postgres_uri, "-o", name)
    assert (code, out) == (2, "")
    assert f'column "c" is {dtype}' in err
    assert not list(tmp_path.iterdir())
    assert main(["read", query, "-u", postgres_uri, "-o", "out.parquet", "--quiet"]) == 0


# The profile


def profiled_rows(page: Path) -> list[int]:
    """Return each partition's row count from the table of a profile page."""
    head, *lines = re.findall(r"<tr>(.*?)</tr>", page.read_text("utf-8"))
    place = re.findall(r"<th>(.*?)</th>", head).index("rows")
    return [int(re.findall(r"<td>(.*?)</td>", line)[place].replace(",", "")) for line in lines]


@pytest.mark.parametrize("name", ["ü profile.html", "P.HTM"])
def test_a_profile(orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    """`--profile` writes a page with each partition's row count, replaces an older page, and changes no output."""
    (tmp_path / "out").mkdir()
    page = tmp_path / "out" / name
    page.write_text("what was there")
    split = ("--partition-on", "id", "--partitions", "3", "-u", orders.uri)
    query = f"{ORDERS} WHERE customer <> '<b>'  AND id > ?"
    plan = industrydb.plan_sql(orders.uri, query, params=[10], partition_on="id", partitions=3)
    expected = [len(orders.connection.execute(sql, [10]).fetchall()) for sql in plan.sql]
    read = ("read", query, *split, "--param", "10", "--json")
    without = in_process(capfd, *read)
    code, out, err = in_process(capfd, *read, "--profile", str(page))
    assert (code, out) == (0, without[1])
    assert err.startswith(f"{sum(expected)} rows, 3 columns, ")
    assert profiled_rows(page) == expected
    assert list((tmp_path / "out").iterdir()) == [page]
    shown = page.read_text("utf-8")
    assert f"<title>{ORDERS} WHERE customer &lt;&gt; &#x27;&lt;b&gt;&#x27; AND id &gt; ?</title>" in shown
    assert f"{html.escape(query)}</pre>" in shown
    assert re.search(r"<dt>in all</dt><dd>[\d.]+ s</dd>", shown)
    code, out, _ = in_process(capfd, *read[:-1], "-o", "rows.csv", "--profile", str(page))
    assert (code, out) == (0, "")
    assert len(csv_rows(tmp_path / "rows.csv")) == sum(expected)


PROFILES = [
    (["--profile", "out.csv"], 2, "the profile is a page, whose name ends with .html, and out.csv does not"),
    (["--profile", "out"], 2, "and out does not"),
    (["--profile", "missing/out.html"], 1, "cannot write missing/out.html: No such file"),
    (["--profile", "out.html", "--timeout", "0.05"], 4, "timeout of 0.05 s"),
    (["--profile", "out.html", "-o", "missing/out.csv"], 1, "cannot write missing/out.csv: No such file"),
    (["--profile", "missing/out.html", "-o", "out.csv"], 1, "cannot write missing/out.html: No such file"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), PROFILES)
def test_a_profile_that_cannot_be_written(  # noqa: PLR0913, PLR0917
    orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """A failed read leaves files as they were; if the profile cannot be written, the endless query is not read."""
    for name in ("out.csv", "out.html"):
        (tmp_path / name).write_text("what was there")
    before = sorted(tmp_path.iterdir())
    found = in_process(capfd, "read", ENDLESS, "-u", orders.uri, *arguments)
    assert found[:2] == (code, "")
    assert said in found[2]
    assert found[2].count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert {(tmp_path / name).read_text() for name in ("out.csv", "out.html")} == {"what was there"}


# The documentation page


def test_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    """The commands of `docs/command-line.md`, run one after the other, print what the page shows below them."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    (database,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    subprocess.run([sys.executable, "-c", database], cwd=tmp_path, check=True, timeout=PATIENCE_S)
    (config,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    (tmp_path / "databases.ini").write_text(config, encoding="utf-8")
    (tmp_path / "industrydb").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m industrydb "$@"\n')
    (tmp_path / "industrydb").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    shown = [part for block in blocks for part in commands(block)]
    assert len(shown) > 8
    exported = ""
    for command, expected in shown:
        if command.startswith("export "):
            exported += f"{command}\n"
        done = subprocess.run(
            ["/bin/sh", "-c", f"{exported}{command}"],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            timeout=PATIENCE_S,
        )  # fmt: skip
        assert doctest.OutputChecker().check_output(expected, done.stdout, doctest.ELLIPSIS), (command, done.stdout)


def test_the_exit_codes_are_the_same_everywhere(capfd: pytest.CaptureFixture[str]) -> None:
    """The documentation page has the exit codes that `--help` has."""
    with pytest.raises(SystemExit):
        main(["read", "--help"])
    helped = re.findall(r"^  (\d+)  ", capfd.readouterr().out, re.MULTILINE)
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert helped == re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == ["0", "1", "2", "3", "4", "130", "141"]


def test_only_a_file_is_replaced(orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`-o` refuses a pipe, a link to no regular file and the database itself; a replaced file keeps its mode."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name in ("pipe.csv", "link.csv", "loop.csv"):
        code, out, err = in_process(capfd, "read", "SELECT 1 AS a", "-u", orders.uri, "-o", str(tmp_path / name))
        assert (code, out) == (1, "")
        assert f"cannot write {tmp_path / name}: " in err
    assert (tmp_path / "pipe.csv").is_fifo()
    database = tmp_path / "database.csv"
    shutil.copy(orders.path, database)
    code, _, err = in_process(capfd, "read", "SELECT 1 AS a", "-u", f"sqlite://{database}", "-o", str(database))
    assert code == 2
    assert "is the database itself" in err
    private = tmp_path / "private.csv"
    private.touch(0o600)
    assert in_process(capfd, "read", "SELECT 1 AS a", "-u", orders.uri, "-o", str(private))[0] == 0
    assert private.stat().st_mode & 0o777 == 0o600


def test_a_uri_in_a_wrong_place_is_not_repeated(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """A URI given as the query file, `-o` or `--profile` is not repeated, since it may have a password."""
    uri = "postgresql://ana:hunter2@host/db.csv"
    for arguments in (("@" + uri,), ("SELECT 1 AS a", "-o", uri), ("SELECT 1 AS a", "--profile", uri)):
        code, out, err = in_process(capfd, "read", *arguments, "-u", orders.uri)
        assert code == 2
        assert "hunter2" not in out + err


def test_a_terminated_read_leaves_no_file(orders: SqliteFile, tmp_path: Path) -> None:
    """A read ended by SIGTERM, as a scheduler ends it, leaves no temporary file."""
    command = [sys.executable, "-m", "industrydb", "read", ENDLESS, "-u", orders.uri, "-o", str(tmp_path / "out.csv")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        eventually(lambda: any(path.name.startswith(".industrydb-") for path in tmp_path.iterdir()))
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert not any(path.name.startswith(".industrydb-") for path in tmp_path.iterdir())
