"""Tables fit the terminal without breaking a value, in ASCII where needed; results go to pipes in any format."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from industrydb._cli import main
from industrydb._cli.table import as_table
from tests.kit.support import PATIENCE_S, SqliteFile
from tests.kit.terminal import at_a_terminal

COMMAND = [sys.executable, "-m", "industrydb"]
ORDERS = "SELECT id, customer, amount FROM orders"
DAYS = pl.DataFrame(
    {f"day_{n}": [date(2024, 1, 1) + timedelta(days=n + row) for row in range(30)] for n in range(12)}
).with_columns(at=pl.col("day_0").cast(pl.Datetime("us")), text=pl.lit("x" * 80))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("names", [["day_1", "day_2", "at"], DAYS.columns, ["text", "at"]], ids=len)
def test_no_date_is_broken(names: list[str], width: int) -> None:
    """A table is no wider than asked for, as long as two columns fit, and every date in it is whole."""
    text = as_table(DAYS.select(names), None, None, width)
    if width >= 80 or "text" not in names:
        shown = re.findall(r"\d{4}-\d\d-\d\d", text)
        assert len(shown) % 10 == 0
        assert len(shown) >= 10
        assert not re.search(r"\d{4}-\d?\d?-? *[│┆]", text)
        assert max(map(len, text.splitlines())) <= width


def test_wide_letters_and_many_columns() -> None:
    """Letters that take two places at a terminal are counted so, and a thousand columns are no work."""
    text = as_table(pl.DataFrame({f"c{n}": ["漢字" * 5, "x"] for n in range(6)}), None, None, 60)
    border, *_ = [line for line in text.splitlines() if line.startswith("┌")]
    assert len(border) <= 60
    many = pl.DataFrame({f"c{n}": [n] for n in range(3000)})
    assert "┆ … ┆" in as_table(many, None, -1, 80)
    for width in (0, 1, 10):
        assert as_table(many, None, None, width)


def test_rows_columns_and_width(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """`--rows`, `--columns` and `--width` limit a table; -1 means all."""
    wide = ", ".join(f"{n} AS column_{n}" for n in range(40))

    def shown(*options: str) -> list[str]:
        assert main(["read", f"SELECT {wide} FROM orders", "-u", orders.uri, *options, "--quiet"]) == 0
        return capfd.readouterr().out.splitlines()

    assert max(map(len, shown("--columns", "-1", "--width", "150"))) <= 150
    assert "column_39" in shown("--columns", "-1", "--width", "-1")[2]
    assert shown("--columns", "3")[2].split() == ["│", "column_0", "┆", "column_1", "┆", "…", "┆", "column_39", "│"]
    assert len(shown("--rows", "-1")) == 7 + 100
    assert len(shown("--rows", "4")) == 7 + 2 + 1 + 2
    assert main(["read", ORDERS, "-u", orders.uri, "--rows", "-2"]) == 2
    assert "--rows must be a number from 0, or -1 for all, not -2" in capfd.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
def test_a_table_fits_the_terminal(orders: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table is as wide as the terminal allows, and in ASCII in the C locale, where Python writes UTF-8 too."""
    query = "SELECT id, '2024-02-29 12:30:45' AS a, '2024-02-29 12:30:45' AS b, '2024-02-29' AS c FROM orders LIMIT 3"
    read = [*COMMAND, "read", query, "-u", orders.uri, "--quiet"]
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for columns, dates in ((50, 3), (80, 6), (120, 9)):
        text = at_a_terminal(read, columns=columns)
        assert max(map(len, text.splitlines())) <= columns
        assert len(re.findall("2024-02-29", text)) >= dates
    assert "┌" in text
    for name, value in (("LC_ALL", "C"), ("LANG", "C")):
        for unset in ("LC_ALL", "LC_CTYPE", "LANG"):
            monkeypatch.delenv(unset, raising=False)
        monkeypatch.setenv(name, value)
        assert at_a_terminal(read, columns=80).isascii()


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
def test_a_query_from_the_terminal(orders: SqliteFile) -> None:
    """`read -` says that it waits for a query from the terminal, and how to end it."""
    script = (
        "import os, pty, sys\n"
        "pid, fd = pty.fork()\n"
        "if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n"
        "shown = b''\n"
        "while b'Ctrl-D' not in shown: shown += os.read(fd, 1000)\n"
        "os.write(fd, b'SELECT 7 AS seven\\n\\x04')\n"
        "try:\n"
        "    while chunk := os.read(fd, 1000): shown += chunk\n"
        "except OSError: pass\n"
        "print(shown.decode(), os.waitpid(pid, 0)[1])\n"
    )
    command = [sys.executable, "-c", script, *COMMAND, "read", "-", "-u", orders.uri, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert "the query is read from this terminal: end it with Ctrl-D" in done.stdout
    assert '[{"seven":7}]' in done.stdout
    assert done.stdout.rstrip().endswith(" 0")


PIPES: dict[str, Callable[[bytes], list[tuple[Any, ...]]]] = {
    "csv": lambda data: [
        (int(n), customer or None, float(amount))
        for n, customer, amount in list(csv.reader(io.StringIO(data.decode())))[1:]
    ],
    "json": lambda data: [tuple(row.values()) for row in json.loads(data)],
    "ndjson": lambda data: [tuple(json.loads(line).values()) for line in data.decode().splitlines()],
    "parquet": lambda data: [
        tuple(row.values()) for row in pyarrow.parquet.read_table(pa.BufferReader(data)).to_pylist()
    ],
    "arrow": lambda data: [tuple(row.values()) for row in pa.ipc.open_stream(data).read_all().to_pylist()],
}


@pytest.mark.parametrize("kind", PIPES)
def test_a_result_goes_to_a_pipe(orders: SqliteFile, kind: str) -> None:
    """`-o -` writes the rows to standard output in the format that `--format` names, and nothing else."""
    command = [*COMMAND, "read", ORDERS, "-u", orders.uri, "-o", "-", "--format", kind]
    done = subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    assert PIPES[kind](done.stdout) == orders.connection.execute(ORDERS).fetchall()
    assert done.stderr.startswith(b"100 rows, 3 columns, ")


@pytest.mark.parametrize("kind", PIPES)
def test_a_pipe_that_breaks(orders: SqliteFile, kind: str) -> None:
    """A pipe that nobody reads ends the command with 141 and no message; a full device is an error."""
    read = [*COMMAND, "read", f"{ORDERS}, (SELECT 1 FROM orders, orders)", "-u", orders.uri, "--quiet", "-o", "-"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*read, "--format", kind], check=False, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE_S
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
    with open("/dev/full", "wb") as full:  # noqa: PTH123, a device
        done = subprocess.run(
            [*read, "--format", kind], check=False, stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_S
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_does_not_go_to_a_pipe(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """A missing format, a format without an output, and a type that the format lacks are errors."""
    for arguments, said in (
        ((ORDERS, "-o", "-"), "-o - needs --format: parquet, arrow, csv, json, ndjson"),
        ((ORDERS, "--format", "csv"), "--format is that of an output"),
        ((ORDERS, "-o", "-", "--json"), "use --format json"),
        (("SELECT x'00' AS raw", "-o", "-", "--format", "csv"), 'column "raw" is Binary, which CSV cannot hold'),
        (("SELECT x'00' AS raw", "-o", "-", "--format", "ndjson"), 'column "raw" is Binary, which NDJSON cannot hold'),
    ):
        assert main(["read", *arguments, "-u", orders.uri]) == 2
        out, err = capfd.readouterr()
        assert (out, said in err) == ("", True)
    failing = ["/bin/sh", "-c", '"$@" || true', "sh", *COMMAND, "read", ORDERS, "-u", orders.uri, "-o", "-"]
    assert "parquet is no text for a terminal" in at_a_terminal([*failing, "--format", "parquet"])


def test_a_format_beside_the_name(orders: SqliteFile) -> None:
    """`--format` names the format of a file whose name does not."""
    assert main(["read", ORDERS, "-u", orders.uri, "-o", "rows.txt", "--format", "ndjson", "--quiet"]) == 0
    assert pl.read_ndjson("rows.txt").rows() == orders.connection.execute(ORDERS).fetchall()


@pytest.mark.parametrize("width", [5, 12, 15, 18])
def test_a_table_of_one_column_keeps_dates_whole(width: int) -> None:
    """A date is not broken at any width: a table of one column is wider than asked for instead."""
    for frame in (DAYS, DAYS.select("at")):
        text = as_table(frame, None, None, width)
        assert len(re.findall(r"2024-\d\d-\d\d", text)) == 10
    assert max(map(len, as_table(DAYS.select("text"), None, None, width).splitlines()[1:])) <= max(width, 7)


def test_no_rows_are_a_header() -> None:
    """`--rows 0` prints the shape, the names and the types."""
    shape, *lines = as_table(DAYS.select("day_0", "day_1"), 0, None, 80).splitlines()
    assert shape == "shape: (30, 2)"
    assert lines == str(DAYS.select("day_0", "day_1").clear()).splitlines()[1:]


@pytest.mark.parametrize("columns", ["'é漢' AS \"ü\", 1 AS b", "1 AS b, 'é漢字' AS c, 'x' AS d"])
@pytest.mark.parametrize("rows", ["-1", "2", "5"])
def test_escapes_do_not_move_the_border(orders: SqliteFile, columns: str, rows: str) -> None:
    """Where the encoding lacks letters, their escapes are as wide as the table counts them."""
    read = [*COMMAND, "read", f"SELECT {columns} FROM orders LIMIT 20", "-u", orders.uri, "--rows", rows]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(read, check=True, capture_output=True, text=True, timeout=PATIENCE_S, env=environment)
    shape, *table = done.stdout.splitlines()
    assert shape.startswith("shape: (20, ")
    assert r"\xe9\u6f22" in done.stdout
    assert len({len(line) for line in table}) == 1


def test_nested_texts_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters in lists, structs and categories are escaped too."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    frame = pl.DataFrame({"l": [["é"]], "s": [{"a": "é"}], "c": pl.Series(["é"], dtype=pl.Categorical)})
    shape, *table = as_table(frame, None, None, 80).splitlines()
    assert shape == "shape: (1, 3)"
    assert "".join(table).count(r"\xe9") == 3
    assert len({len(line) for line in table}) == 1


def test_json_in_a_pipe_ends_its_line(orders: SqliteFile) -> None:
    """The array that `-o - --format json` prints ends with a line break, as every text of a shell."""
    read = [*COMMAND, "read", "SELECT 1 AS a", "-u", orders.uri, "-o", "-", "--format", "json", "--quiet"]
    assert subprocess.run(read, check=True, capture_output=True, timeout=PATIENCE_S).stdout == b'[{"a":1}]\n'


@pytest.mark.parametrize(("given", "kind"), [("jsonl", "ndjson"), ("JSONL", "ndjson"), ("feather", "arrow")])
def test_a_format_by_the_ending_of_its_files(orders: SqliteFile, given: str, kind: str) -> None:
    """`--format` takes the ending of a file, too."""
    for name, asked in (("a", given), ("b", kind)):
        assert main(["read", ORDERS, "-u", orders.uri, "-o", name, "--format", asked, "--quiet"]) == 0
    assert Path("a").read_bytes() == Path("b").read_bytes()
