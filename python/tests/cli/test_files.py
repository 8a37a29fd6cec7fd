"""The files that `write` reads: texts become exact values, and a broken file is an error that says where."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from industrydb._cli import main
from industrydb._cli.reading import read_file
from industrydb._cli.texts import from_text, guessed
from tests.kit.support import PATIENCE_S, SqliteFile

COMMAND = [sys.executable, "-m", "industrydb"]

# A type, texts, and what these become, written by hand; None is a text that is no value of the type.
TEXTS: list[tuple[pl.DataType, dict[str, str | None]]] = [
    (
        pl.Date(),
        {
            "2024-02-29": "2024-02-29",
            "0001-01-01": "0001-01-01",
            "+10000-01-01": "+10000-01-01",
            "2023-02-29": None,
            "2024-1-5": None,
            "01/02/2024": None,
            "2024-02-29T00:00:00": None,
            "٢٠٢٤-01-01": None,
            "": None,
        },
    ),
    (pl.Time(), {"12:30": "12:30:00", "23:59:59": "23:59:59", "24:00:00": None, "1:00:00": None, "12:60": None}),
    (
        pl.Datetime("ms"),
        {
            "2024-02-29T12:30:00.123": "2024-02-29 12:30:00.123",
            "2024-02-29": "2024-02-29 00:00:00.000",
            "9999-12-31 23:59:59": "9999-12-31 23:59:59.000",
            "2024-02-29 12:30:00.1234": None,
            "2024-02-29 12:30:00Z": None,
            "2024-02-30 12:30:00": None,
        },
    ),
    (
        pl.Datetime("us"),
        {"2024-02-29 12:30:00.1234560": "2024-02-29 12:30:00.123456", "2024-02-29 12:30:00.1234567": None},
    ),
    (
        pl.Datetime("ns"),
        {
            "1969-12-31 23:59:59.999999999": "1969-12-31 23:59:59.999999999",
            "1677-09-23": "1677-09-23 00:00:00.000000000",
            "1600-01-01": None,
            "9999-12-31": None,
        },
    ),
    (
        pl.Datetime("us", "Europe/Rome"),
        {
            "2024-06-29T12:30:00Z": "2024-06-29 14:30:00.000000+02:00",
            "2024-06-29T12:30:00.000000+0200": "2024-06-29 12:30:00.000000+02:00",
            "2024-06-29 12:30:00+00": "2024-06-29 14:30:00.000000+02:00",
            "2024-06-29 12:30:00-03:30": "2024-06-29 18:00:00.000000+02:00",
            "2024-02-29 12:30:00": "2024-02-29 12:30:00.000000+01:00",
            "2024-03-31 02:30:00": None,  # the clocks went from 02:00 to 03:00
            "2024-10-27 02:30:00": None,  # this was twice
        },
    ),
    (
        pl.Decimal(10, 2),
        {"1.5": "1.50", "1.500": "1.50", "-.05": "-0.05", "+2": "2.00", "1.505": None, "123456789": None, "x": None},
    ),
    (pl.Decimal(10, 0), {"100": "100", "1.0": "1", ".5": None}),
    (pl.Boolean(), {"true": "true", "FALSE": "false", "1": "true", "yes": None}),
    (pl.Int8(), {"127": "127", "128": None, "1.0": None}),
    (pl.List(pl.Int8()), {"1": None}),
]


@pytest.mark.parametrize(("dtype", "texts"), TEXTS, ids=str)
def test_a_text_becomes_exactly_what_it_says(dtype: pl.DataType, texts: dict[str, str | None]) -> None:
    """A text becomes the value that it says, without rounding, or none at all; NULL stays NULL."""
    made = from_text(pl.Series("c", [*texts, None], dtype=pl.String), dtype)
    assert (made.name, made.dtype) == ("c", dtype)
    assert made.is_null().to_list() == [text is None for text in [*texts.values(), None]]
    if not dtype.is_nested():
        assert made.cast(pl.String).to_list() == [*texts.values(), None]


@pytest.mark.parametrize("dtype", [pl.Date(), pl.Time(), pl.Datetime("us", "Asia/Tokyo"), pl.Datetime("ns")], ids=str)
@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_what_polars_writes_is_read_back(tmp_path: Path, kind: str, dtype: pl.DataType) -> None:
    """Days and times in a file that Polars has written are the same values again."""
    values = pl.Series("c", [0, 1_709_209_845_123_456_000, None]).cast(pl.Int64)
    if dtype == pl.Date:
        values = pl.Series("c", [0, 19_782, None])
    elif dtype == pl.Time:
        values = pl.Series("c", [0, 86_399_000_000_000, None])
    elif dtype == pl.Datetime("us", "Asia/Tokyo"):
        values = values // 1000
    frame = pl.DataFrame({"c": values.cast(dtype)})
    path = tmp_path / f"x.{kind}"
    frame.write_csv(path) if kind == "csv" else frame.write_ndjson(path)
    assert read_file(path.read_bytes(), "x", kind, {"c": dtype}).equals(frame)


def test_days_of_any_spelling_stay_text(sqlite_file: SqliteFile) -> None:
    """Days that are not written as in ISO 8601 stay text, also where a column mixes spellings."""
    Path("x.csv").write_text("a,b\n01/02/2024,01/02/2024\n31/12/2024,2024-01-05\n")
    assert main(["write", "x.csv", "t", "-u", sqlite_file.uri, "--quiet"]) == 0
    rows = sqlite_file.connection.execute("SELECT a, b FROM t").fetchall()
    assert rows == [("01/02/2024", "01/02/2024"), ("31/12/2024", "2024-01-05")]


def test_the_first_rows_do_not_decide() -> None:
    """A text far below others that look like numbers makes the column text."""
    assert guessed(pl.Series(["1"] * 5000 + ["x"])).dtype == pl.String
    assert guessed(pl.Series([None] * 5000 + ["1"])).dtype == pl.Int64


# A file's name and bytes, options, the exit code, and the whole message.
BROKEN: list[tuple[str, bytes, list[str], int, str]] = [
    (
        "x.csv",
        b"id,day\n1,2024-01-01\n2,01/02/2024\n",
        ["--schema-override", "day=Date"],
        3,
        "x.csv, row 2, column 'day': '01/02/2024' is no Date; correct the file, or name a type that has the value by",
    ),
    ("x.ndjson", b'{"n":1}\n{"n":300}\n', ["--schema-override", "n=Int8"], 3, "x.ndjson, row 2, column 'n': 300 is no"),
    ("x.json", b'[{"n":1.5}]', ["--schema-override", "n=Int8"], 3, "x.json, row 1, column 'n': 1.5 is no Int8;"),
    ("x.csv", b"n\nx\n", ["--schema-override", "n=List(Int8)"], 3, "x.csv, row 1, column 'n': 'x' is no List(Int8);"),
    (
        "x.csv",
        b'id,day\n1,"a\nb"\n1,2,3\n',
        [],
        1,
        "x.csv, line 4: 3 fields, and the header has 2 fields (id, day): put quotes around a value that has a comma",
    ),
    ("x.csv", b"id;n\n1;2,5\n", [], 1, "x.csv, line 2: 2 fields, and the header has 1 field (id;n): divide fields by "),
    ("x.csv", b'id\n1\n"2\n3\n', [], 1, "x.csv, line 3: a quote begins here and is not closed as in CSV"),
    ("x.csv", b"n,m,n\n1,2,3\n", [], 1, "x.csv, line 1: fields 1 and 3 of the header are both named 'n': rename one"),
    ("x.csv", b"", [], 1, "x.csv is empty: there is nothing to write into a table"),
    ("x.csv", b"\n", [], 1, "x.csv is empty"),
    ("x.json", b" ", [], 1, "x.json is empty"),
    ("x.ndjson", b"\n", [], 1, "x.ndjson is empty"),
    ("x.parquet", b"", [], 1, "x.parquet is empty"),
    ("x.csv", b"n\n1\n\xe9\n", [], 1, "x.csv, line 3: the byte 0xe9 is not UTF-8: save it as UTF-8"),
    ("x.ndjson", b'{"n":"\xe9"}\n', [], 1, "x.ndjson, line 1: the byte 0xe9 is not UTF-8"),
    ("x.json", b'[{"n":1},{', [], 1, "x.json, line 1, letter 11: no valid JSON, expecting property name"),
    ("x.json", b'{"n":1}\n{"n":2}\n', [], 1, "x.json, line 2, letter 1: no valid JSON, extra data; for an object per "),
    ("x.json", b"[1]", [], 1, 'x.json, row 1: 1 is no object, such as {"id": 1}'),
    ("x.json", b'[{"n":1,"n":2}]', [], 1, "x.json, row 1: two values are named 'n': rename one in the file"),
    ("x.ndjson", b'{"n":1}\n{"n":\n', [], 1, "x.ndjson, line 2, letter 6: no valid JSON, expecting value"),
    ("x.ndjson", b'{"n":NaN}\n', [], 1, "x.ndjson, line 1: no valid JSON, which has no NaN"),
    ("x.ndjson", b'[{"n":1}]', [], 1, 'x.ndjson, line 1: [{"n": 1}] is no object, such as {"id": 1}: use --format'),
    ("x.ndjson", b'{"n":1,"n":2}\n', [], 1, "x.ndjson, row 1: two values are named 'n'"),
    ("x.parquet", b"no parquet", [], 1, "x.parquet cannot be read as parquet ("),
    ("x.arrow", b"no arrow", [], 1, "x.arrow cannot be read as arrow ("),
    ("x.arrow", b"ARROW1 but no more", [], 1, "x.arrow cannot be read as arrow ("),
    ("other", b"", ["--format", "csv"], 2, "cannot read x: No such file or directory"),
    (
        "x.csv",
        b"n\n1\n",
        ["--schema-override", "n=Decimal"],
        2,
        "--schema-override asks for column 'n' as Decimal: say how many digits",
    ),
]


@pytest.mark.parametrize(("name", "data", "options", "code", "said"), BROKEN, ids=str)
def test_a_broken_file(  # noqa: PLR0913, PLR0917
    sqlite_file: SqliteFile,
    capfd: pytest.CaptureFixture[str],
    name: str,
    data: bytes,
    options: list[str],
    code: int,
    said: str,
) -> None:
    """The message says file, line or row, column and value, without arguments of Python; no table is made."""
    Path(name).write_bytes(data)
    given = name if name.startswith("x.") else "x"
    assert main(["write", given, "t", "-u", sqlite_file.uri, *options]) == code
    err = capfd.readouterr().err
    assert err.startswith(f"industrydb: {said}")
    assert err.count("\n") == 1
    assert not any(word in err for word in ("infer_schema", "ignore_errors", "truncate_ragged", "schema_overrides"))
    assert sqlite_file.connection.execute("SELECT * FROM sqlite_master").fetchall() == []


@pytest.mark.parametrize("kind", ["arrow", "csv", "json", "ndjson", "jsonl", "parquet"])
def test_a_result_goes_through_a_pipe_into_a_table(orders: SqliteFile, kind: str) -> None:
    """What `read -o -` writes in any format, `write -` reads."""
    read = [*COMMAND, "read", "SELECT * FROM orders", "-u", orders.uri, "-o", "-", "--format", kind, "--quiet"]
    written = subprocess.run(read, check=True, capture_output=True, timeout=PATIENCE_S).stdout
    write = [*COMMAND, "write", "-", "copy", "-u", orders.uri, "--format", kind, "--quiet"]
    subprocess.run(write, check=True, input=written, timeout=PATIENCE_S)
    copied, given = (orders.connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("copy", "orders"))
    assert copied == given
