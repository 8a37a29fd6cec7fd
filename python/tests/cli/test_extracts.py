"""Tests of `extract`, some with a stand-in for the function, and of progress at a terminal."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

import industrydb
from industrydb._cli import main
from tests.cli.support import AT_A_TERMINAL, COMMAND, ORDERS, in_process
from tests.kit.support import PATIENCE_S, SqliteFile
from tests.kit.terminal import screens


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
    assert "100 rows, " in shown
    assert "customer" not in shown
