"""Tests of `--schema-override` in each command."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

import industrydb
from tests.cli.support import ORDERS, in_process
from tests.kit.leaks import LEAKS
from tests.kit.support import SqliteFile

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
