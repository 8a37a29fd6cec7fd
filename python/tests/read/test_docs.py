"""The examples and tables of the README, the docs and the docstrings are true."""

import ast
import doctest
import inspect
import pydoc
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import psycopg
import pytest

import industrydb
import industrydb.connectorx
from tests.kit.mariadb import Pymysql
from tests.kit.pages import PROSE, ROOT, shown_dtype, type_table


def public() -> Iterator[tuple[str, object]]:
    """Yield everything public that has a docstring, with its name: modules, functions, classes and their members."""
    for module in (industrydb, industrydb.connectorx):
        yield module.__name__, module
        prefix = module.__name__.removeprefix("industrydb").removeprefix(".")
        for name in module.__all__:
            found = getattr(module, name)
            if not callable(found):
                continue
            yield f"{prefix}.{name}".removeprefix("."), found
            for member in members(found) if isinstance(found, type) else ():
                yield f"{prefix}.{name}.{member}".removeprefix("."), getattr(found, member)


def members(kind: type) -> list[str]:
    """Return the public methods and properties of a class, also those that it has from our other classes."""
    ours = [base for base in kind.__mro__ if base.__module__.startswith("industrydb")]
    names = {name for base in ours for name in vars(base) if not name.startswith("_")}
    found = {name: getattr(kind, name) for name in names}
    return sorted(name for name, member in found.items() if callable(member) or inspect.isdatadescriptor(member))


PUBLIC = dict(public())

# The width of a screen that `help` may fill.
SCREEN = 80


def test_the_readme_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """The README's marked example prints the text block behind it."""
    readme = (ROOT / "README.md").read_text()
    match = re.search(r"<!-- executed by the tests -->\n```python\n(.*?)```\n\n```text\n(.*?)```", readme, re.DOTALL)
    assert match, "the README has its example"
    code, shown = match.groups()
    printed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert printed.stdout == shown


@pytest.mark.parametrize("name", PUBLIC)
def test_the_docstring_examples_print_what_they_show(tmp_path: Path, name: str) -> None:
    """
    Every public item has examples, which print what they show; readers must imagine a `uri` and a `target`.

    The items are modules, functions, classes, and the methods and properties of classes.
    """
    path = tmp_path / "people.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO person VALUES (?, ?)", [(1, "Ada"), (2, "Grace"), (3, None)])
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(PUBLIC[name], name, globs={"uri": f"sqlite://{path}", "target": tmp_path / "files"})
    assert example.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_help_fits_a_screen(name: str) -> None:
    """No line of ``help`` is wider than a screen; a long signature has an argument on each line."""
    assert not [line for line in helped(PUBLIC[name]) if len(line) > SCREEN]


def test_help_on_the_package_fits_a_screen() -> None:
    """No line of ``help(industrydb)`` is wider than a screen, where classes and functions are indented once more."""
    lines = helped(industrydb)
    assert not [line for line in lines if len(line) > SCREEN]
    for shown in ("class DatabaseConfig(", "password_command=None,", "class BatchReader(", "read_sql("):
        assert any(shown in line for line in lines), shown


def helped(item: object) -> list[str]:
    """
    Return the lines of ``help`` on an item that we write.

    Not ours are the title, what classes inherit from those of Python, its words about ``__new__``, the tree of classes,
    and the attributes that dataclasses and generic classes get.
    """
    shown = pydoc.plain(pydoc.render_doc(item)).partition("\n")[2]
    kept, is_inherited = [], False
    for line in shown.splitlines():
        text = line.lstrip(" |")
        if inherited := re.match(r".* inherited from ([\w.]+):$", text):
            is_inherited = not inherited[1].startswith(("industrydb", *industrydb.__all__, "Reading"))
        elif text.startswith(("-----", "class ")):
            is_inherited = False
        is_given = re.match(r"__\w+__ = |Create and return a new object", text)
        is_tree = re.fullmatch(r" {8,}[\w.]+\([\w., ]+\)", line)
        if not is_inherited and not is_given and not is_tree:
            kept.append(line)
    return kept


def test_the_package_shows_only_what_is_public() -> None:
    """``dir(industrydb)`` has no inner modules."""
    assert dir(industrydb) == sorted(industrydb.__all__)


def test_the_stubs_say_what_the_module_says() -> None:
    """The stub's docstrings, which editors show, are those of the compiled module, which `help` shows."""
    stub = ast.parse((ROOT / "python" / "industrydb" / "industrydb.pyi").read_text())
    (config,) = [node for node in stub.body if isinstance(node, ast.ClassDef) and node.name == "DatabaseConfig"]
    assert inspect.getdoc(industrydb.DatabaseConfig) == ast.get_docstring(config)
    methods = [node for node in config.body if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)]
    assert len(methods) > 9
    for method in methods:
        assert inspect.getdoc(getattr(industrydb.DatabaseConfig, method.name)) == ast.get_docstring(method)


def written_types() -> list[tuple[str, str, str, str]]:
    """Return the rows of the table of new columns: a Polars type, and its type in PostgreSQL, SQLite and MySQL."""
    text = (ROOT / "docs" / "writing.md").read_text()
    table = re.search(r"^## Types of new columns\n.*?\n(\|.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    assert table, "the page has a type table"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()[2:]]
    return [
        (name, postgres.strip("`"), sqlite.strip("`"), mysql.strip("`"))
        for dtypes, postgres, sqlite, _, mysql in rows
        for name in re.findall(r"`([^`]+)`", dtypes)
    ]


@pytest.mark.parametrize(("polars", "postgresql", "sqlite", "_mysql"), written_types())
def test_the_table_of_new_columns_is_true(  # noqa: PLR0913, PLR0917, the fixtures of two databases
    tmp_path: Path,
    postgres: psycopg.Connection,
    postgres_uri: str,
    polars: str,
    postgresql: str,
    sqlite: str,
    _mysql: str,
) -> None:
    """New columns have the types that the page says, or are refused. Another test checks SQL Server's."""
    dtype = eval(polars, vars(pl))  # noqa: S307, a data type of our own page
    frame = pl.DataFrame(schema={"x": dtype})
    for uri, expected in ((postgres_uri, postgresql), (f"sqlite://{tmp_path}/made.db", sqlite)):
        if not expected:
            with pytest.raises(industrydb.ConfigurationError, match="no column of this database keeps"):
                industrydb.write_sql(frame, "made", uri)
            continue
        industrydb.write_sql(frame, "made", uri, if_exists="replace")
    if sqlite:
        with closing(sqlite3.connect(tmp_path / "made.db")) as connection:
            assert connection.execute("PRAGMA table_info(made)").fetchone()[2] == sqlite
    if postgresql:
        query = "SELECT attrelid::regclass, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'x'"
        (shown,) = postgres.execute(f"{query} AND attrelid = 'made'::regclass").fetchall()
        long = shown[1].replace("timestamp with time zone", "timestamptz")
        assert long.removesuffix(" without time zone") == postgresql
        postgres.execute("DROP TABLE made")


@pytest.mark.parametrize(("polars", "_postgresql", "_sqlite", "declared"), written_types())
def test_the_table_of_new_columns_is_true_of_mysql(
    mysql: Pymysql, mysql_uri: str, polars: str, _postgresql: str, _sqlite: str, declared: str
) -> None:
    """New columns of MySQL have the types that the page says, with texts in utf8mb4, or are refused."""
    frame = pl.DataFrame(schema={"x": eval(polars, vars(pl))})  # noqa: S307, a data type of our own page
    if not declared:
        with pytest.raises(industrydb.ConfigurationError, match="no column of this database keeps"):
            industrydb.write_sql(frame, "made", mysql_uri)
        return
    industrydb.write_sql(frame, "made", mysql_uri, if_exists="replace")
    ((_, shown, collation, *_),) = mysql.execute("SHOW FULL COLUMNS FROM made").fetchall()
    # The number of digits that a client may show is no part of an integer's type; MySQL 8 has dropped it.
    assert re.sub(r"^((?!tinyint\(1\))[a-z]*int)\(\d+\)", r"\1", shown) == declared
    assert collation is None or collation.startswith("utf8mb4_")
    mysql.execute("DROP TABLE made")


@pytest.mark.parametrize(("declared", "polars"), type_table("mysql.md"))
def test_the_mysql_table_is_true(mysql: Pymysql, mysql_uri: str, declared: str, polars: str) -> None:
    """An empty column with the declared type is read as the dtype that the page says."""
    if declared in ("uuid", "inet4", "inet6"):
        mysql.needs_mariadb("a type of MariaDB")
    mysql.execute(f"DROP TABLE IF EXISTS documented; CREATE TABLE documented (x {declared})")
    dtype = industrydb.read_sql(mysql_uri, "SELECT x FROM documented")["x"].dtype
    assert shown_dtype(dtype) == polars
    mysql.execute("DROP TABLE documented")


@pytest.mark.parametrize(("declared", "polars"), type_table("sqlite.md"))
def test_the_sqlite_table_is_true(tmp_path: Path, declared: str, polars: str) -> None:
    """An empty column with the declared type is read as the dtype that the page says."""
    _, declared, polars = PROSE.get(declared, ("", declared, polars))
    path = tmp_path / "types.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE t (x {declared})")
    dtype = industrydb.read_sql(f"sqlite://{path}", "SELECT x FROM t")["x"].dtype
    assert shown_dtype(dtype) == polars


@pytest.mark.parametrize(("type_name", "polars"), type_table("postgresql.md"))
def test_the_postgresql_table_is_true(
    postgres_uri: str, postgres: psycopg.Connection, type_name: str, polars: str
) -> None:
    """A NULL of the type is read as the dtype that the page says."""
    if type_name in ("citext", "hstore", "ltree", "vector"):
        if not postgres.execute("SELECT 1 FROM pg_available_extensions WHERE name = %s", [type_name]).fetchone():
            pytest.skip("the server comes without this extension")
        postgres.execute(f"CREATE EXTENSION IF NOT EXISTS {type_name}")
    definition, type_name, polars = PROSE.get(type_name, ("", type_name, polars))
    postgres.execute(definition)
    value = "1.25" if type_name == "numeric" else "NULL"
    dtype = industrydb.read_sql(postgres_uri, f"SELECT CAST({value} AS {type_name}) AS x")["x"].dtype
    postgres.execute(definition.replace("CREATE", "DROP").partition(" AS ")[0])
    assert shown_dtype(dtype) == polars.replace("(38, s)", "(38, 2)")
