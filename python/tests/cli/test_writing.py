"""The commands that write into a table, list the databases, and profile an extract."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from industrydb._cli import main
from tests.kit.databases import Database, Feature
from tests.kit.support import PATIENCE_S, SqliteFile

ROWS = [(1, "Ada", 1.5), (2, None, -2.25), (3, 'é, "x"', 1e300)]
FRAME = pl.DataFrame(ROWS, ["id", "name", "amount"], orient="row")


def written(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame into a file with Polars."""
    writers: dict[str, Any] = {
        ".csv": pl.DataFrame.write_csv,
        ".json": pl.DataFrame.write_json,
        ".ndjson": pl.DataFrame.write_ndjson,
        ".parquet": pl.DataFrame.write_parquet,
        ".arrow": pl.DataFrame.write_ipc,
    }
    writers[path.suffix](frame, path)


@pytest.mark.needs(Feature.DRIVER)
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "json", "ndjson"])
def test_a_file_becomes_a_table(
    database: Database, capfd: pytest.CaptureFixture[str], tmp_path: Path, suffix: str
) -> None:
    """Another driver reads the rows of a file of any format; `--if-exists` decides about a table that is there."""
    database.script("DROP TABLE IF EXISTS written")
    path = tmp_path / f"rows.{suffix}"
    written(FRAME, path)
    write = ["write", str(path), "written", "-u", database.uri]
    assert main([*write, "--json"]) == 0
    assert json.loads(capfd.readouterr().out).items() >= {"table": "written", "rows": 3}.items()
    assert database.rows("SELECT id, name, amount FROM written ORDER BY id") == ROWS
    assert main(write) == 1
    assert "written" in capfd.readouterr().err
    assert main([*write, "--if-exists", "append"]) == 0
    assert "3 rows written into written, " in capfd.readouterr().err  # below a warning of a password in the URI
    assert len(database.rows("SELECT id FROM written")) == 6
    assert main([*write, "--if-exists", "replace", "--quiet"]) == 0
    assert len(database.rows("SELECT id FROM written")) == 3
    database.script("DROP TABLE written")


# The texts of a CSV column, and the type that it has in a new table: no text may change.
COLUMNS = [
    (["1", "-20", ""], pl.Int64),
    (["007", "8", "9"], pl.String),
    (["1.5", "2.50", "3.0"], pl.Float64),
    (["1.5", "0.1000000000000000055511151231257827", "3"], pl.String),
    (["2024-02-29", "", "2024-03-01"], pl.Date),
    (["2024-02-29 12:30:00", "2024-03-01T00:00:00.5", ""], pl.Datetime("us")),
    (["true", "false", ""], pl.Boolean),
    (["True", "FALSE", ""], pl.String),
    (["a", "1", "2024-02-29"], pl.String),
    (["99999999999999999999", "1", ""], pl.String),
]


@pytest.mark.parametrize(("texts", "dtype"), COLUMNS)
def test_csv_columns_have_types_that_lose_nothing(
    sqlite_file: SqliteFile, capfd: pytest.CaptureFixture[str], texts: list[str], dtype: pl.DataType
) -> None:
    """A CSV column gets another type than text only if every text of it can be written again from its values."""
    Path("x.csv").write_text("n,c\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts)))
    assert main(["write", "x.csv", "t", "-u", sqlite_file.uri, "--quiet"]) == 0
    assert main(["schema", "SELECT c FROM t", "-u", sqlite_file.uri]) == 0
    assert capfd.readouterr().out == f"c  {pl.DataFrame(schema={'c': dtype}).schema['c']}\n"
    if dtype == pl.String:
        found = [text for (text,) in sqlite_file.connection.execute("SELECT c FROM t ORDER BY n")]
        assert found == [text or None for text in texts]


def test_a_table_from_a_pipe(sqlite_file: SqliteFile) -> None:
    """`write -` reads standard input, and `--schema-override` names the type of a column."""
    command = [sys.executable, "-m", "industrydb", "write", "-", "t", "-u", sqlite_file.uri, "--format", "csv"]
    command += ["--schema-override", "price=Decimal(10, 2)"]
    done = subprocess.run(
        command, check=True, input="price\n1.50\n2.25\n", capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.stderr.startswith("2 rows written into t, ")
    assert sqlite_file.connection.execute("SELECT type FROM pragma_table_info('t')").fetchall() == [("DECIMAL(10,2)",)]
    assert sqlite_file.connection.execute("SELECT price FROM t").fetchall() == [(1.5,), (2.25,)]


WRONG = [
    (["missing.csv", "t"], 2, "cannot read missing.csv: No such file"),
    (["x.xlsx", "t"], 2, "x.xlsx has none of .parquet"),
    (["-", "t"], 2, "standard input needs --format"),
    (["postgresql://ana:hunter2@host/db.csv", "t"], 2, "a URI is given in the place of a file"),
    (
        ["x.csv", "t", "--schema-override", "b=Int8"],
        2,
        "--schema-override names 'b', and the columns of the file are a",
    ),
    (["x.csv", "t", "--schema-override", "a=Int8"], 3, "x.csv, row 1, column 'a': 'x' is no Int8"),
    (["broken.parquet", "t"], 1, "parquet"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), WRONG)
def test_what_cannot_be_read(
    sqlite_file: SqliteFile, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """A file that cannot be read is an error of one kind or the other, and makes no table."""
    Path("x.csv").write_text("a\nx\n")
    Path("broken.parquet").write_text("no parquet")
    assert main(["write", *arguments, "-u", sqlite_file.uri]) == code
    err = capfd.readouterr().err
    assert said in err
    assert "hunter2" not in err
    assert sqlite_file.connection.execute("SELECT * FROM sqlite_master").fetchall() == []


CONFIG = """
[orders]
uri = sqlite://orders.db
[warehouse]
db_type = postgresql
host = db.example.com
database = warehouse
username = ana
password = hunter2
[wrong]
db_type = postgresql
sslmod = hunter2
"""


def test_databases(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`databases` lists the sections of the config file without passwords, and says what is wrong with one."""
    (tmp_path / "x").write_text(CONFIG)
    (tmp_path / "x").chmod(0o600)
    assert main(["databases", "--config", "x"]) == 0
    out, err = capfd.readouterr()
    names = [line.split()[0] for line in out.splitlines()]
    assert names == ["orders", "warehouse", "wrong"]
    assert "postgresql://ana@db.example.com" in out
    assert 'wrong: unknown option "sslmod"' in out
    assert (err, "hunter2" in out) == ("3 databases in x\n", False)
    assert main(["databases", "--config", "x", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert [(one["name"], one["uri"] is None, one["error"] is None) for one in told["databases"]] == [
        ("orders", False, True),
        ("warehouse", False, True),
        ("wrong", True, False),
    ]
    assert main(["databases", "--config", "missing"]) == 2
    assert main(["read", "SELECT 1", "--database", "warehuose", "--config", "x"]) == 2
    assert "did you mean warehouse?" in capfd.readouterr().err


def test_the_profile_of_an_extract(orders: SqliteFile, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`extract --profile` writes a page with the rows of each file, and none where nothing was read."""
    extract = ["extract", "SELECT id, customer FROM orders", "out", "-u", orders.uri, "--partition-on", "id"]
    assert main([*extract, "--partitions", "4", "--profile", "p.html", "--quiet"]) == 0
    page = Path("p.html").read_text("utf-8")
    head, *lines = re.findall(r"<tr>(.*?)</tr>", page)
    place = re.findall(r"<th>(.*?)</th>", head).index("rows")
    rows = [int(re.findall(r"<td>(.*?)</td>", line)[place]) for line in lines]
    assert rows == [pl.read_parquet(path).height for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert "write_s" in head
    Path("p.html").unlink()
    assert main([*extract, "--partitions", "4", "--profile", "p.html"]) == 0
    assert "complete since" in capfd.readouterr().err
    assert not Path("p.html").exists()
    assert main([*extract, "--profile", "p.csv"]) == 2
    assert "the profile is a page" in capfd.readouterr().err
