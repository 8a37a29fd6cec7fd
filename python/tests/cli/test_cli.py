"""Tests of the command as users run it: what is printed and written, exit codes, and that no password is shown."""

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
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import psycopg
import pyarrow.feather
import pyarrow.parquet
import pytest

import industrydb
from industrydb._cli import main
from tests.kit.databases import Database, Feature
from tests.kit.interrupts import ENDLESS, is_being_read
from tests.kit.leaks import LEAKS
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options
from tests.kit.terminal import screens

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "industrydb"]
ORDERS = "SELECT id, customer, amount FROM orders"


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401, as subprocess.run has
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=PATIENCE_S, **options
    )


def in_process(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process, which is faster; return its exit code, standard output and standard error."""
    code = main(arguments)
    return code, *capfd.readouterr()


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


# Exit codes and errors


WRONG: list[tuple[list[str], str]] = [
    ([], "the following arguments are required: COMMAND"),
    (["rad"], "there is no command rad: did you mean read?; the commands are read, plan, "),
    (["hunter2"], "the first argument is no command; the commands are read, plan, "),
    (["read"], "the following arguments are required: QUERY"),
    (["read", "SELECT", "1"], "1 argument(s) too many"),
    (["read", "SELECT 1", "--partition", "2"], "unknown option --partition: did you mean --partitions?"),
    (["read", "SELECT 1", "--partitions", "two"], "--partitions: it must be a whole number, not 'two'"),
    (["read", "SELECT 1", "--timeout", "5s"], "--timeout: it must be a number of seconds, not '5s'"),
    (["schema", "SELECT 1", "--partitions", "2"], "unknown option --partitions"),
    (["read", "SELECT 1"], "no database is given"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--database", "x"], "not allowed with argument"),
    (["read", "SELECT 1", "-u", "sqlite:"], "URI"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--config", "x.ini"], "say which one by --database"),
    (["read", "SELECT 1", "--database", "x"], "databases.ini: No such file"),
    (["read", "sqlite://x.db", "-u", "sqlite://x.db"], "the query is a URI"),
    (["extract", "SELECT 1", "sqlite://x", "-u", "sqlite://x.db"], "TARGET begins with sqlite://"),
    (["read", "@missing.sql", "-u", "sqlite://x.db"], "cannot read the query @missing.sql: No such file"),
    (["read", "@/", "-u", "sqlite://x.db"], "cannot read the query @/: Is a directory"),
    (["read", "SELECT '\udcff'", "-u", "sqlite://x.db"], "cannot read the query"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--pre", "\udcff"], "surrogates"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--timeout", "nan"], "timeout must be"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--partitions", "0"], "partitions must be from 1"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--password"], "--password asks at a terminal"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_usage(capfd: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Wrong usage gives exit code 2 and one line that says what is wrong."""
    if "--password" in arguments:  # in this process, the terminal that runs the tests would be asked
        done = run(*arguments, start_new_session=True, input="")
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        code, out, err = in_process(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("industrydb: ")
    assert said in err
    assert err.count("\n") == 1


def test_failures_of_the_database(orders: SqliteFile, postgres_uri: str) -> None:
    """Each kind of failure has its exit code and a message without a traceback."""
    for arguments, code, said in (
        (["SELEC", "-u", orders.uri], 1, 'near "SELEC": syntax error'),
        (["SELECT 1 AS a", "-u", "sqlite://missing.db"], 1, "there is no such file"),
        (["SELECT 1 AS a", "-u", "postgresql://ana@127.0.0.1:1/db"], 1, "cannot connect"),
        (["SELECT 'NaN'::numeric AS a", "-u", postgres_uri], 3, 'column "a" (numeric), row 1'),
        (["SELECT pg_sleep(60)::text AS a", "-u", postgres_uri, "--timeout", "0.2"], 4, "timeout of 0.2 s"),
        (["SELECT pg_sleep(60)::text AS a", "-u", postgres_uri, "--pre", "SET statement_timeout = 9"], 4, "57014"),
    ):
        done = run("read", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("industrydb: ")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_closed_pipe(orders: SqliteFile) -> None:
    """If the reader of its output closes the pipe, the command ends with exit code 141 and no message."""
    query = "SELECT a.id, b.id AS other FROM orders AS a, orders AS b"
    with subprocess.Popen(
        [*COMMAND, "read", query, "-u", orders.uri, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(PATIENCE_S) == 141


def test_a_pipe_that_is_closed_already(orders: SqliteFile) -> None:
    """Output still in a buffer for a pipe closed from the start causes no error message at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [*COMMAND, "read", "SELECT 1 AS a", "-u", orders.uri]
        done = subprocess.run(command, check=False, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_missing_streams(orders: SqliteFile) -> None:
    """A closed standard stream is no failure, unless the query is to be read from it; a full device is one."""
    read = [*COMMAND, "read", "SELECT 7 AS a", "-u", orders.uri, "--json"]
    for redirection, code, shown in (
        (">&-", 0, ""),
        ("2>&-", 0, '[{"a":7}]\n'),
        (">/dev/full", 1, ""),
        ("<&-", 0, '[{"a":7}]\n'),
    ):
        child = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *read]
        done = subprocess.run(child, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout) == (code, shown), redirection
        assert "Exception" not in done.stderr
    assert "No space left" in run_in_shell(read, ">/dev/full")
    long = [*COMMAND, "read", "SELECT a.id FROM orders AS a, orders AS b", "-u", orders.uri, "--json", "--quiet"]
    assert run_in_shell(long, ">/dev/full") == "industrydb: [Errno 28] No space left on device\n"
    assert "cannot read the query -: Bad file" in run_in_shell([*COMMAND, "read", "-", "-u", orders.uri], "<&-")


def run_in_shell(command: list[str], redirection: str) -> str:
    """Run a command with a redirection; return its standard error."""
    child = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *command]
    return subprocess.run(child, check=False, capture_output=True, text=True, timeout=PATIENCE_S).stderr


@contextmanager
def interrupted(*arguments: str) -> Iterator[None]:
    """Run the command during the block, interrupt it at the end, and check its exit code and message."""
    # A process whose parent ignores Ctrl-C, such as a shell's background job, would ignore it too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            try:
                yield
                child.send_signal(signal.SIGINT)
                assert child.communicate(timeout=PATIENCE_S / 4) == ("", "industrydb: interrupted\n")
                assert child.returncode == 130
            finally:
                child.kill()
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_on_postgres(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path) -> None:
    """Ctrl-C while the command waits for the server ends the server's work too, and leaves no partial file."""
    uri = with_options(postgres_uri, application_name="interrupted command")
    with interrupted("read", "SELECT pg_sleep(60)::text AS a", "-u", uri, "-o", "out.csv"):
        eventually(lambda: [event for _, event in sessions(postgres, "interrupted command")] == ["PgSleep"])
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())
    eventually(lambda: not sessions(postgres, "interrupted command"))


def test_ctrl_c_waiting_for_a_lock(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Ctrl-C ends a read that waits for a lock of another session."""
    postgres.execute("CREATE TABLE IF NOT EXISTS locked (i int)")
    uri = with_options(postgres_uri, application_name="waiting command")
    with psycopg.connect(postgres_uri) as holder:
        holder.execute("LOCK TABLE locked")
        with interrupted("read", "SELECT * FROM locked", "-u", uri):
            eventually(lambda: [event for _, event in sessions(postgres, "waiting command")] == ["relation"])
    postgres.execute("DROP TABLE locked")


def test_ctrl_c_on_sqlite(orders: SqliteFile) -> None:
    """Ctrl-C ends the read of an SQLite query that would never end."""
    with interrupted("read", ENDLESS, "-u", orders.uri):
        eventually(lambda: is_being_read(orders.path))


# Where the database is

WHO = "SELECT current_user::text AS who"
WHO_SCRAM = [{"who": "scram_user"}]
SECRET = PASSWORDS["scram_user"]


def write_config(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a config file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


@pytest.mark.parametrize("place", ["option", "INDUSTRYDB_CONFIG", "XDG_CONFIG_HOME", "HOME"])
def test_the_config_file(
    orders: SqliteFile, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, place: str
) -> None:
    """The config file is found in each of its places; `--database` takes precedence over `INDUSTRYDB_URI`."""
    monkeypatch.setenv("INDUSTRYDB_URI", "sqlite://elsewhere.db")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg") if place == "XDG_CONFIG_HOME" else "")
    path = {"XDG_CONFIG_HOME": "xdg/industrydb/databases.ini", "HOME": ".config/industrydb/databases.ini"}.get(
        place, "x"
    )
    write_config(
        tmp_path / path, f"[my db]\nuri = {orders.uri}\n[parts]\ndb_type = sqlite\npath = {orders.path}", 0o644
    )
    arguments = ["--config", "x"] if place == "option" else []
    if place == "INDUSTRYDB_CONFIG":
        monkeypatch.setenv(place, "x")
    for name in ("my db", "parts"):
        found = in_process(capfd, "schema", "SELECT id FROM orders", "--database", name, *arguments)
        assert found == (0, "id  Int64\n", "")


def test_the_environments_uri(
    orders: SqliteFile, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`INDUSTRYDB_URI` is used if no database is given; for SQLite, `INDUSTRYDB_PASSWORD` is ignored."""
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", "hunter2")
    monkeypatch.setenv("INDUSTRYDB_URI", orders.uri)
    assert in_process(capfd, "schema", "SELECT id FROM orders") == (0, "id  Int64\n", "")
    monkeypatch.setenv("INDUSTRYDB_URI", "sqlite://elsewhere.db")
    assert in_process(capfd, "schema", "SELECT id FROM orders", "-u", orders.uri) == (0, "id  Int64\n", "")


# Texts of config files that are wrong for `--database db`, and part of the message.
CONFIGS = [
    ("[other]\n[more]", "has no section [db], but [other], [more]"),
    ("", "has no section [db], but none"),
    ("[db]\nhunter2", "line 2 of x is no [section] and no key = value"),
    ("hunter2\n[db]", "line 1 of x is no [section]"),
    ("[db]\nuri=sqlite://x\nuri=postgresql://ana:hunter2@h", "line 3 of x is no"),
    ("[db]\n[db]\npassword = hunter2", "line 2 of x is no"),
    ("[db]\nuri=sqlite://x.db\npassword=hunter2", "section [db] of x: there is a uri, which says it all, and password"),
    ("[db]\nuri=ana:hunter2@h", "section [db] of x: "),
    ("[db]\ndb_type=postgresql\nport=hunter2", "section [db] of x: the port must be"),
    (
        "[db]\ndb_type=postgresql\nsslmod=hunter2",
        'section [db] of x: unknown option "sslmod" for PostgreSQL, did you mean "sslmode"',
    ),
    ("[db]\npassword=hunter2", "section [db] of x: the dict names no database"),
]


@pytest.mark.parametrize(("text", "said"), CONFIGS)
def test_a_wrong_config_file(capfd: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str) -> None:
    """The message says where the config file is wrong, and repeats nothing that may be a password."""
    write_config(tmp_path / "x", text)
    code, out, err = in_process(capfd, "read", "SELECT 1 AS a", "--database", "db", "--config", "x")
    assert (code, out) == (2, "")
    assert said in err
    assert "hunter2" not in err
    (tmp_path / "x").write_bytes(b"[db]\nuri=\xff")
    assert "is not UTF-8" in in_process(capfd, "read", "SELECT 1", "--database", "db", "--config", "x")[2]


# Passwords


def test_passwords_that_arrive(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A password is taken from the first place that has one and never shown; one in `--uri` gives a warning."""
    without, whole = tcp_uri(own_server.port, "scram_user", None), tcp_uri(own_server.port, "scram_user", SECRET)
    keys = f"db_type=postgresql\nhost=127.0.0.1\nport={own_server.port}\nusername=scram_user\ndatabase=postgres"
    text = f"[uri]\nuri = {whole}\n[keys]\n{keys}\npassword = {SECRET}\n[without]\n{keys}"
    write_config(tmp_path / "x", text)
    read = ("read", WHO, "--json", "--quiet")
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", "wrong")
    for database in (["--database", "uri"], ["--database", "keys"]):
        code, out, err = in_process(capfd, *read, *database, "--config", "x")
        assert (code, json.loads(out), err) == (0, WHO_SCRAM, "")
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", SECRET)
    for database in (["-u", without], ["--database", "without", "--config", "x"]):
        code, out, err = in_process(capfd, *read, *database)
        assert (code, json.loads(out), err) == (0, WHO_SCRAM, "")
    monkeypatch.delenv("INDUSTRYDB_PASSWORD")
    monkeypatch.setenv("INDUSTRYDB_URI", whole)
    assert in_process(capfd, *read)[0] == 0
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert in_process(capfd, *read, "-u", without)[0] == 0
    code, out, err = in_process(capfd, *read, "-u", whole)
    assert (code, json.loads(out)) == (0, WHO_SCRAM)
    assert err.startswith("industrydb: warning: every user of this machine can see a password in --uri")
    assert err.count("\n") == 1
    assert SECRET not in err


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604, 0o400])
def test_a_config_file_that_others_read(
    own_server: Server, capfd: pytest.CaptureFixture[str], tmp_path: Path, mode: int
) -> None:
    """A config file that other users may read gives a warning if it has a password."""
    for secret, warned in ((SECRET, mode & 0o077 != 0), (None, False)):
        (tmp_path / "x").unlink(missing_ok=True)
        write_config(tmp_path / "x", f"[db]\nuri = {tcp_uri(own_server.port, 'scram_user', secret)}", mode)
        _, _, err = in_process(capfd, "read", WHO, "--quiet", "--database", "db", "--config", "x")
        assert ("warning: others may read x" in err) == warned
        assert SECRET not in err


# Runs a command at a terminal on which the test reads and types. SIGINT is reset, since background jobs ignore it.
AT_A_TERMINAL = """
import os, pty, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
@pytest.mark.parametrize(("typed", "code"), [(f"{SECRET}\n", 0), ("hunter2\n", 1), ("\x03", 130), ("\x04", 2)])
def test_a_password_that_is_asked_for(own_server: Server, typed: str, code: int) -> None:
    """A password typed for `--password` takes precedence over all others, and is not shown."""
    read = [
        *COMMAND,
        "read",
        WHO,
        "-u",
        tcp_uri(own_server.port, "scram_user", None),
        "--password",
        "--quiet",
        "--json",
    ]
    with subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, *read],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"INDUSTRYDB_PASSWORD": "wrong"},
    ) as child:  # fmt: skip
        watchdog = threading.Timer(PATIENCE_S, child.kill)
        watchdog.start()
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            shown = b""
            while not shown.endswith(b"Password for postgresql://scram_user@127.0.0.1:%d/postgres: " % own_server.port):
                shown += (byte := child.stdout.read(1))
                assert byte, shown
            child.stdin.write(typed.encode())
            child.stdin.flush()
            rest = child.stdout.read().decode()
            assert child.wait(PATIENCE_S) == code
        finally:
            watchdog.cancel()
            child.kill()
    assert ("scram_user" in rest) == (code in {0, 1})
    assert not [secret for secret in (SECRET, "hunter2") if secret in rest]


LEAKING: list[list[str]] = [
    *[["read", "SELECT 1 AS a", "--uri", uri] for uri in LEAKS],
    *[["read", "SELECT 1 AS a", f"--uri={uri}"] for uri in LEAKS[:3]],
    *[[place, "SELECT 1 AS a"] for place in LEAKS],
    *[["read", "SELECT 1 AS a", place] for place in LEAKS],
    *[["read", place, "-u", "sqlite://missing.db"] for place in LEAKS[:3]],
    *[["read", "SELECT 1 AS a", "--partitions", place] for place in LEAKS],
    ["read", "SELECT 1 AS a", f"--partitions={LEAKS[0]}"],
    ["read", "SELECT 1 AS a", "--password=hunter2"],
    ["read", "SELECT 1 AS a", "--password", "hunter2"],
    ["read", "SELECT 1 AS a", "--pass=hunter2"],
    ["read", "SELECT 1 AS a", "-phunter2"],
    ["read", "SELECT 1 AS a", f"-p{LEAKS[0]}"],
    ["read", "SELECT 1 AS a", "--json=hunter2"],
    ["extract", "SELECT 1 AS a", LEAKS[0], "-u", "sqlite://missing.db"],
    ["extract", "SELECT 1 AS a", "out", "--format", LEAKS[0]],
]


@pytest.mark.parametrize("arguments", LEAKING, ids=str)
def test_no_argument_is_repeated(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, arguments: list[str]
) -> None:
    """No output and no log repeats a password, whichever argument has it."""
    with caplog.at_level("DEBUG"):
        code, out, err = in_process(capfd, *arguments)
    assert code in {1, 2}
    assert "industrydb: " in err
    for secret in ("hunter2", "hun", "ter2", "123?"):
        assert secret not in out + err + caplog.text


@pytest.mark.parametrize("uri", LEAKS)
@pytest.mark.parametrize("place", ["INDUSTRYDB_URI", "config"])
def test_no_setting_is_repeated(  # noqa: PLR0913, PLR0917
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    place: str,
    uri: str,
) -> None:
    """No output and no log repeats a password of a URI in the environment or the config file."""
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", "hunter2")
    if place == "config":
        write_config(tmp_path / "x", f"[db]\nuri = {uri}", 0o644)
    else:
        monkeypatch.setenv(place, uri)
    arguments = ["--database", "db", "--config", "x"] if place == "config" else []
    with caplog.at_level("DEBUG"):
        code, out, err = in_process(capfd, "read", "SELECT 1 AS a", *arguments)
    assert code in {1, 2}
    for secret in ("hunter2", "hun", "ter2", "123?"):
        assert secret not in out + err + caplog.text


def test_the_log(own_server: Server) -> None:
    """`--verbose` prints the log on standard error, without the password."""
    uri = tcp_uri(own_server.port, "scram_user", None)
    for secret, code in ((SECRET, 0), ("hunter2", 1)):
        done = run("read", WHO, "-u", uri, "--json", "--verbose", env=os.environ | {"INDUSTRYDB_PASSWORD": secret})
        assert done.returncode == code
        assert ("DEBUG industrydb" in done.stderr) == (code == 0)  # a failed login logs nothing, and prints an error
        assert secret not in done.stdout + done.stderr


OVERRIDES = [
    ("amount=Decimal(10, 3)", pl.Decimal(10, 3)),
    ("amount=Decimal(precision=10, scale=3)", pl.Decimal(10, 3)),  # as the command prints it
    ("amount=pl.Float32", pl.Float32()),
    ("amount= String ", pl.String()),
    ("id=Datetime(time_unit='ms', time_zone=None)", pl.Datetime("ms")),
    ('id=Datetime("us", "Europe/Rome")', pl.Datetime("us", "Europe/Rome")),
    ("customer=Enum(['a', 'b'])", pl.Enum(["a", "b"])),
]


@pytest.mark.parametrize(("override", "dtype"), OVERRIDES)
def test_columns_are_asked_for_as_other_types(
    orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path, override: str, dtype: pl.DataType
) -> None:
    """Every command accepts `--schema-override` with a type as `schema` prints it and as Python code has it."""
    name = override.partition("=")[0]
    query = f"SELECT {name} FROM orders" if dtype != pl.Enum(["a", "b"]) else "SELECT 'a' AS customer"
    arguments = (query, "-u", orders.uri, "--schema-override", override, "--quiet")
    assert in_process(capfd, "schema", *arguments) == (0, f"{name}  {dtype}\n", "")
    assert in_process(capfd, "plan", *arguments)[::2] == (0, "")
    assert in_process(capfd, "read", *arguments, "-o", "read.parquet", "--profile", "profile.html") == (0, "", "")
    assert in_process(capfd, "extract", query, "out", *arguments[1:]) == (0, "", "")
    expected = industrydb.read_sql(orders.uri, query, schema_overrides={name: dtype})
    assert expected.schema == {name: dtype}
    for path in ("read.parquet", "out/*.parquet"):
        assert pl.read_parquet(tmp_path / path).equals(expected)


def test_names_and_types_have_signs_of_equality(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """Column names (in SQLite, an expression's text) and types may contain `=`; the option may be repeated."""
    query = "SELECT id = 1, amount * 1 AS 'a=b' FROM orders"
    overrides = ("--schema-override", "id = 1=Boolean", "--schema-override", "a=b=Decimal(precision=9, scale=3)")
    code, out, err = in_process(capfd, "schema", query, "-u", orders.uri, *overrides, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == [
        {"name": "id = 1", "type": "Boolean"},
        {"name": "a=b", "type": "Decimal(precision=9, scale=3)"},
    ]


WRONG_OVERRIDES = [
    (["amount"], "must be COLUMN=TYPE"),
    (["amount=Number"], "must be COLUMN=TYPE .* not 'amount=Number'"),
    (["amount=DataFrame()"], "must be COLUMN=TYPE"),
    (["amount=read_csv('x')"], "must be COLUMN=TYPE"),
    (["amount=Datetime('s')"], "must be COLUMN=TYPE"),
    (["amount=" + "List(" * 1000 + ")" * 1000], "must be COLUMN=TYPE .*…$"),
    (["amount=Decimal"], "how many digits"),
    (["amount=Object"], "no column can be read as Object"),
    (["amount=Int8", "amount=Int16"], "two overrides .* 'amount'"),
    (["price=Int8"], "price.*columns are .*amount"),
    ([f"amount={LEAKS[0]}"], "must be COLUMN=TYPE"),
    ([LEAKS[0]], "must be COLUMN=TYPE"),
]


@pytest.mark.parametrize(("overrides", "message"), WRONG_OVERRIDES)
def test_overrides_that_mean_nothing(
    orders: SqliteFile, capfd: pytest.CaptureFixture[str], overrides: list[str], message: str
) -> None:
    """The error says what an override must be, and repeats nothing that may be a URI."""
    options = [part for override in overrides for part in ("--schema-override", override)]
    code, out, err = in_process(capfd, "schema", ORDERS, "-u", orders.uri, *options)
    assert (code, out) == (2, "")
    assert re.search(message, err)
    assert not any(leak in err for leak in LEAKS)


# Tests of `extract`, some with a stand-in for the function


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Replace `extract` by a stand-in, and return the list of calls that the stand-in records."""
    calls: list[dict[str, Any]] = []

    def extract(**call: Any) -> SimpleNamespace:  # noqa: ANN401, the arguments of the call
        calls.append(call)
        files = (tmp_path / "part-00000.parquet", tmp_path / "part-00001.parquet")
        manifest = tmp_path / "manifest.json"
        return SimpleNamespace(rows=1234, files=files, bytes=56789, manifest=manifest, seconds=1.5, complete_since=None)

    monkeypatch.setattr(industrydb, "extract", extract, raising=False)
    return calls


def test_extract(extracted: list[dict[str, Any]], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`extract` gets every option of the command, which prints the result as text and as JSON."""
    uri = "sqlite://missing.db"
    code, out, err = in_process(capfd, "extract", "SELECT 1", "out", "-u", uri)
    assert (code, out, err) == (0, "", "1,234 rows, 2 files of 56,789 bytes in out, 1.50 s\n")
    defaults = {
        "uri": industrydb.DatabaseConfig.from_uri(uri), "query": "SELECT 1", "target": "out", "params": None,
        "schema_overrides": None, "partition_on": None, "partitions": None, "pre_execution_query": None,
        "snapshot": True, "max_connections": None, "timeout": None, "format": "parquet", "since": None,
        "resume": "continue", "compression": None, "retries": 3, "progress": True,
    }  # fmt: skip
    assert extracted.pop() == defaults
    split = ("--partition-on", "id", "--partitions", "8", "--max-connections", "2", "--timeout", "1.5", "--no-snapshot")
    job = (
        "--format",
        "csv",
        "--compression",
        "zstd",
        "--since",
        "id",
        "--resume",
        "restart",
        "--retries",
        "5",
        "--param",
        "x",
        "--pre",
        "y",
        "--schema-override",
        "z=Int8",
    )
    code, out, err = in_process(capfd, "extract", "SELECT 1", "out", "-u", uri, *split, *job, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "rows": 1234,
        "files": [str(tmp_path / "part-00000.parquet"), str(tmp_path / "part-00001.parquet")],
        "bytes": 56789,
        "manifest": str(tmp_path / "manifest.json"),
        "seconds": 1.5,
        "complete_since": None,
    }
    assert extracted.pop() == defaults | {
        "partition_on": "id", "partitions": 8, "max_connections": 2, "timeout": 1.5, "snapshot": False,
        "format": "csv", "compression": "zstd", "since": "id", "resume": "restart", "retries": 5, "params": ["x"],
        "pre_execution_query": ["y"], "schema_overrides": {"z": pl.Int8},
    }  # fmt: skip


def test_an_extract_of_expressions_goes_on(
    orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`--since` needs a type for an SQLite expression: its values decide the type, and later ones may not fit."""
    extract = ("extract", "SELECT id, amount * 1 AS price FROM orders", "out", "--since", "id", "-u", orders.uri)
    code, out, err = in_process(capfd, *extract)
    assert (code, out) == (2, "")
    assert "the values of 'price' decide" in err
    assert "--schema-override" in err
    override = ("--schema-override", "price=Float64", "--quiet")
    assert in_process(capfd, *extract, *override) == (0, "", "")
    orders.execute("INSERT INTO orders VALUES (101, NULL, 7)")
    assert in_process(capfd, *extract, *override) == (0, "", "")
    found = pl.read_parquet(tmp_path / "out" / "*.parquet")
    assert found.schema == {"id": pl.Int64, "price": pl.Float64}
    assert found["price"].to_list() == [*(n / 8 for n in range(1, 101)), 7.0]


RAISED = [
    (industrydb.DatabaseConnectionError("it broke"), 1),
    (industrydb.ConstraintViolationError("it broke"), 1),
    (industrydb.ConfigurationError("it broke"), 2),
    (industrydb.TypeConversionError("it broke"), 3),
    (industrydb.QueryTimeoutError("it broke"), 4),
    (OSError("it broke"), 1),
    (pl.exceptions.ComputeError("it broke"), 1),
]


@pytest.mark.parametrize(("error", "code"), RAISED)
def test_extracts_that_fail(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    """Each kind of error of `extract` has its exit code, the same as in the other commands."""

    def extract(**_: object) -> None:
        raise error

    monkeypatch.setattr(industrydb, "extract", extract, raising=False)
    found = in_process(capfd, "extract", "SELECT 1", "out", "-u", "sqlite://missing.db")
    assert found == (code, "", "industrydb: it broke\n")


@pytest.mark.parametrize("stops", [[], ["--quiet"], ["--verbose"]])
def test_progress_is_for_terminals(
    extracted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, stops: list[str]
) -> None:
    """`extract` is called with `progress=True`, unless with `--quiet`, or with `--verbose` at a terminal."""
    monkeypatch.setattr("industrydb._cli._log", lambda: None)  # the log would go on in other tests
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(["extract", "SELECT 1", "out", "-u", "sqlite://missing.db", *stops])
    assert extracted.pop()["progress"] is (not stops)


# At a terminal


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
@pytest.mark.parametrize("profile", [[], ["--profile", "profile.html"]])
@pytest.mark.parametrize("stops", [[], ["--quiet"]])
def test_a_read_at_a_terminal(orders: SqliteFile, tmp_path: Path, profile: list[str], stops: list[str]) -> None:
    """At a terminal, `read` draws its progress with rich (not if `--quiet`), and prints the same table below it."""
    pytest.importorskip("rich")
    rows = orders.connection.execute(ORDERS).fetchall()
    split = ["--partition-on", "id", "--partitions", "4", "--rows", "4"]
    # A new terminal has no size until it is set, and no table would fit.
    command = ["/bin/sh", "-c", 'stty rows 30 cols 120 && exec "$@"', "sh", *COMMAND]
    done = subprocess.run(
        [sys.executable, "-c", AT_A_TERMINAL, *command, "read", ORDERS, "-u", orders.uri, *split, *profile, *stops],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PATIENCE_S,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    with pl.Config(tbl_rows=4):
        table = str(pl.DataFrame(rows, ["id", "customer", "amount"], orient="row")).splitlines()
    (*_, last) = screens(done.stdout.decode())
    if stops:
        assert last == table
    else:
        bar, *printed, summed_up = last
        assert re.fullmatch(r"read ━+ 4/4 partitions, 100 rows, [\d,]+/s", bar)
        assert printed == table
        assert summed_up.startswith("100 rows, 3 columns, ")
        assert done.stdout.rindex(b"\x1b[?25h") < done.stdout.index("┌".encode()), "the cursor is back"
    assert list(tmp_path.glob("*.html")) == [tmp_path / name for name in profile[1:]]


def test_a_reads_result_is_not_where_its_progress_is(orders: SqliteFile) -> None:
    """Progress is drawn on standard error: a program that reads standard output gets nothing but the rows."""
    openpty = pytest.importorskip("pty").openpty
    ours, theirs = openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "read", ORDERS, "-u", orders.uri, "--json"],
            check=True, stdout=subprocess.PIPE, stderr=theirs, timeout=PATIENCE_S,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
        )  # fmt: skip
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert [tuple(row.values()) for row in json.loads(done.stdout)] == orders.connection.execute(ORDERS).fetchall()
    assert "1/1 partitions, 100 rows" in shown
    assert "customer" not in shown


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
    shown = [part.partition("\n") for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(shown) > 8
    exported = ""
    for command, _, expected in shown:
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
