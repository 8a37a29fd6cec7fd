"""Expressions of MySQL: bits, years, empty texts, and parameters that decide the type of a column."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import industrydb
from industrydb import ConfigurationError
from tests.kit.mariadb import Pymysql


@pytest.fixture
def table(mysql: Pymysql, mysql_uri: str) -> Iterator[str]:
    """Make a table, and return the URI of its database."""
    mysql.execute("CREATE TABLE expressed (id int PRIMARY KEY, v int, d decimal(10,2), b bit(8), y year, s varchar(5))")
    mysql.execute(
        "INSERT INTO expressed VALUES (1, 10, 1.25, 12, 1995, ''), "
        "(2, 20, 2.50, 5, 2024, 'a'), (3, 30, 3.75, 255, 1950, NULL)"
    )
    yield mysql_uri
    mysql.execute("DROP TABLE expressed")


BITS = {
    "SELECT id, b FROM expressed": True,
    "SELECT id, b FROM expressed GROUP BY id, b ORDER BY id": True,
    "SELECT id, MAX(b) AS b FROM expressed GROUP BY id": False,
    "SELECT id, COALESCE(b, NULL) AS b FROM expressed": False,
    "SELECT id, (SELECT b FROM expressed AS x WHERE x.id = e.id) AS b FROM expressed AS e": False,
    "SELECT id, b FROM (SELECT id, IF(1, b, NULL) AS b FROM expressed) AS q": False,
    "SELECT id, MAX(b) + 0 AS b FROM expressed GROUP BY id": True,
}


@pytest.mark.parametrize("query", BITS)
def test_bits_are_right_or_refused(table: str, query: str) -> None:
    """Bits of a column, and numbers made of bits, are read; MariaDB sends digits for the bits of an expression."""
    splits: tuple[dict[str, Any], ...] = ({}, {"partition_on": "id", "partitions": 2})
    for split in splits:
        if not BITS[query]:
            with pytest.raises(ConfigurationError, match="add 0 to it"):
                industrydb.read_sql(table, query, **split)
            continue
        frame = industrydb.read_sql(table, query, **split)
        assert frame.sort("id")["b"].to_list() == [12, 5, 255]


@pytest.mark.parametrize(
    "predicate",
    [
        *(pl.col("y") > 50, pl.col("y") != 95, pl.col("y") == 1995, pl.col("y") >= 5, ~(pl.col("y") == 95)),
        *((pl.col("y") > 70) | pl.col("y").is_null(), pl.col("y").is_in([95, 1950]), pl.col("y") < 2156),
        *(pl.col("s") == "", pl.col("s").is_in(["", "a"]), (pl.col("s") == "") | pl.col("s").is_null()),
    ],
    ids=str,
)
@pytest.mark.parametrize("setup", [None, "SET sql_mode = 'EMPTY_STRING_IS_NULL'"])
def test_filters_of_years_and_empty_texts(mysql: Pymysql, table: str, predicate: pl.Expr, setup: str | None) -> None:
    """A scan has the rows that Polars keeps: the server takes 50 for 2050, and may take an empty text for NULL."""
    if setup:
        mysql.needs_mariadb("a mode of MariaDB")
    whole = industrydb.read_sql(table, "SELECT * FROM expressed", pre_execution_query=setup)
    found = industrydb.scan_sql(table, "expressed", pre_execution_query=setup).filter(predicate).collect()
    assert found.sort("id").rows() == whole.filter(predicate).sort("id").rows()


PARAMETERS: list[tuple[str, object]] = [
    ("v + ?", 5),
    ("?", 5),
    ("?", "x"),
    ("v * ?", 1.5),
    ("v * ?", Decimal("1.50")),
    ("coalesce(?, v)", None),
    ("round(d, ?)", 1),
    ("d * ?", 2),
]


@pytest.mark.parametrize(("expression", "value"), PARAMETERS)
def test_parameters_decide_the_type_of_a_column(table: str, mysql: Pymysql, expression: str, value: object) -> None:
    """Every way to read has the values and the type that the parameter's value gives."""
    query = f"SELECT id, {expression} AS p FROM expressed WHERE id < 3"
    expected = mysql.execute(query.replace("?", "%s"), [value]).fetchall()
    frame = industrydb.read_sql(table, query, params=[value])
    # MySQL declares 65 digits where a parameter is calculated with, and no decimal of Polars has so many.
    is_long = not mysql.is_mariadb and frame["p"].dtype == pl.String and isinstance(expected[0][1], Decimal)
    made = Decimal if is_long else lambda value: value
    assert sorted((number, made(p)) for number, p in frame.rows()) == sorted(expected)
    parted = industrydb.read_sql(table, query, params=[value], partition_on="id", partitions=2)
    batches = pl.concat(industrydb.read_sql_batches(table, query, params=[value]))
    scanned = industrydb.scan_sql(table, query, params=[value]).filter(pl.col("id") > 0).collect()
    for other in (parted, batches, scanned):
        assert other.equals(frame)
        assert other.schema == frame.schema
