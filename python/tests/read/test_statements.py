"""Statements of SQLAlchemy are compiled for the database with bound values; SQLAlchemy reads the expected rows."""

import enum
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
import pytest
import sqlalchemy as sa

import industrydb
from industrydb import ConfigurationError
from industrydb._text.statement import compiled


class Color(enum.Enum):
    """A Python enum, whose names the database stores."""

    RED = 1
    BLUE = 2


class Doubled(sa.types.TypeDecorator[int]):
    """A type of the caller's: the database stores twice the value."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, _dialect: object) -> int | None:
        """Return what the database stores."""
        return None if value is None else 2 * value

    def process_result_value(self, value: int | None, _dialect: object) -> int | None:
        """Return the value of what the database stores."""
        return None if value is None else value // 2


META = sa.MetaData()
THINGS = sa.Table(
    "some things",
    META,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("na%me", sa.String(50)),
    sa.Column("day", sa.Date),
    sa.Column("at", sa.DateTime),
    sa.Column("price", sa.Numeric(10, 2)),
    sa.Column("mark", sa.Uuid),
    sa.Column("color", sa.Enum(Color)),
    sa.Column("twice", Doubled),
)
T = THINGS.c
ROWS: list[dict[str, Any]] = [
    {
        "id": number,
        "na%me": f"it's {number}?" if number else None,
        "day": date(2024, 1, 1 + number),
        "at": datetime(2024, 1, 1, number),  # noqa: DTZ001, the column has no zone
        "price": Decimal(number) / 4,
        "mark": UUID(int=number),
        "color": Color.RED if number % 2 else Color.BLUE,
        "twice": number,
    }
    for number in range(20)
]

# Conditions on the rows; each binds at least one value.
CONDITIONS = {
    "integer": T.id == 3,
    "text": T["na%me"] == "it's 3?",
    "list": T.id.in_([1, 3, 99]),
    "no list": T.id.in_([]),
    "list and more": sa.and_(T.id > 2, T.id.in_([1, 3, 5]), T["na%me"] != "x"),
    "pairs": sa.tuple_(T.id, T.day).in_([(3, date(2024, 1, 4)), (4, date(2024, 1, 4))]),
    "date": T.day > date(2024, 1, 15),
    "datetime": T.at <= datetime(2024, 1, 1, 3),  # noqa: DTZ001, the column has no zone
    "decimal": T.price == Decimal("1.25"),
    "uuid": T.mark == UUID(int=7),
    "enum": T.color == Color.RED,
    "type of the caller's": T.twice.in_([4, 5]),
    "like": T["na%me"].like("%1_?"),
    "remainder": T.id % 5 == 2,
    "same twice": sa.or_(T.id == sa.bindparam("n", 4), T.id == sa.bindparam("n", 4) + 1),
}


@pytest.fixture(params=["postgresql", "sqlite"])
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """Create the table by SQLAlchemy, which is the independent reader."""
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{request.getfixturevalue('sqlite_file').path}", poolclass=sa.NullPool)
    else:
        uri: str = request.getfixturevalue("postgres_uri")
        made = sa.create_engine(uri.replace("postgresql://", "postgresql+psycopg://"))
    META.drop_all(made)
    META.create_all(made)
    with made.begin() as connection:
        connection.execute(sa.insert(THINGS), ROWS)
    yield made
    META.drop_all(made)
    made.dispose()


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_select_reads_what_sqlalchemy_reads(engine: sa.Engine, name: str) -> None:
    """Every kind of bound value selects the same rows, by every reader."""
    query = sa.select(T.id).where(CONDITIONS[name]).order_by(T.id)
    with engine.connect() as connection:
        expected = list(connection.execute(query).scalars())
    assert industrydb.read_sql(engine, query)["id"].to_list() == expected
    assert industrydb.read_sql(engine, query, partition_on="id", partitions=3)["id"].to_list() == expected
    assert [i for batch in industrydb.read_sql_batches(engine, query) for i in batch["id"]] == expected
    assert industrydb.scan_sql(engine, query).filter(pl.col("id") > 2).collect()["id"].to_list() == [
        i for i in expected if i > 2
    ]
    assert industrydb.plan_sql(engine, query).read()["id"].to_list() == expected
    with industrydb.Connection(engine) as connection_:
        assert connection_.execute(query)["id"].to_list() == expected


def test_limits_and_literals(engine: sa.Engine) -> None:
    """LIMIT, OFFSET and values in the list of columns are bound, too."""
    query = (
        sa.select(T.id, sa.literal("a%b").label("t"), sa.literal(2**40).label("n")).order_by(T.id).limit(2).offset(3)
    )
    assert industrydb.read_sql(engine, query).rows() == [(3, "a%b", 2**40), (4, "a%b", 2**40)]


def test_a_text_has_its_values_from_bindparams_or_params(engine: sa.Engine) -> None:
    """The values of a ``text()`` are its own or those of ``params``; one that is missing or unknown raises."""
    query = sa.text('SELECT id FROM "some things" WHERE id IN (:a, :b) ORDER BY id')
    assert industrydb.read_sql(engine, query, params={"a": 1, "b": 2})["id"].to_list() == [1, 2]
    assert industrydb.read_sql(engine, query.bindparams(a=1), params={"b": 5})["id"].to_list() == [1, 5]
    with pytest.raises(ConfigurationError, match="value is required for bind parameter 'b'"):
        industrydb.read_sql(engine, query, params={"a": 1})
    with pytest.raises(ConfigurationError, match="no parameter 'c': it has 'a', 'b'"):
        industrydb.read_sql(engine, query, params={"a": 1, "b": 2, "c": 3})
    with pytest.raises(ConfigurationError, match="must be a dict of its parameters, not list"):
        industrydb.read_sql(engine, query, params=[1, 2])


def test_values_are_bound_and_never_part_of_the_text(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """The server gets the statement with a parameter, not with the value."""
    assert postgres  # the server is there
    query = sa.text("SELECT query, :secret AS s FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    with industrydb.Connection(postgres_uri) as connection:
        [(sent, value)] = connection.execute(query, {"secret": "not in the text"}).rows()
    assert value == "not in the text"
    assert "$1" in sent
    assert "not in" not in sent


def test_statements_that_change_a_table(engine: sa.Engine) -> None:
    """A Connection runs insert, update and delete of SQLAlchemy's."""
    with industrydb.Connection(engine) as connection:
        changed = connection.execute(sa.update(THINGS).where(T.id < 3).values({"na%me": "new"}))
        assert changed["rows_affected"].to_list() == [3]
    with engine.connect() as read:
        assert read.execute(sa.select(sa.func.count()).where(T["na%me"] == "new")).scalar() == 3


def test_sql_server_gets_numbered_parameters() -> None:
    """In T-SQL, parameters are ``@p1``, …; question marks in texts, names and comments stay."""
    columns: sa.ColumnClause[Any] = sa.literal_column("'?''?', [a?]]?], \"b?\" -- ?\n, /* ? */ 1")
    query = sa.select(columns).where(T.id.in_([5, 6]), T["na%me"] == "x").order_by(T.id)
    sql, values = compiled(query, None, "mssql")
    assert values == (5, 6, "x")
    assert "'?''?', [a?]]?], \"b?\" -- ?\n, /* ? */ 1" in sql
    assert "IN (@p1, @p2) AND [some things].[na%me] = @p3" in sql


def test_wrong_values_and_statements(tmp_path: Path) -> None:
    """A value that its type cannot prepare, and a list with a statement in it, raise before anything is read."""
    uri = f"sqlite://{tmp_path}/none.db"
    with pytest.raises(ConfigurationError, match="cannot be compiled for sqlite"):
        industrydb.read_sql(uri, sa.select(T.id).where(T.color == object()))
    with pytest.raises(TypeError, match="query must be a str or a list of str, not Select"):
        industrydb.read_sql(uri, [sa.select(T.id)])  # type: ignore[list-item]
