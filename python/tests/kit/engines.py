"""The engines that read partitions of a plan in their own workers: one `Engine` for each, started when first used."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from typing import Any, TypeAlias

import pytest

import industrydb

# Otherwise Daft runs on Ray, if Ray was started before. Daft reads this once, when it runs first.
os.environ.setdefault("DAFT_RUNNER", "native")

# A frame of an engine, a value of its rows, and an argument of `plan_sql`.
Frame: TypeAlias = Any
Value: TypeAlias = Any


class Engine:
    """An engine; `read` returns what a query has, as its own rows."""

    name: str

    def frame(self, uri: str, query: str, **arguments: Value) -> Frame:
        """Return the query as the engine's own lazy frame."""
        raise NotImplementedError

    def rows(self, frame: Frame, columns: list[str]) -> list[tuple[Any, ...]]:
        """Run the frame's tasks, and return its rows."""
        raise NotImplementedError

    def filtered(self, frame: Frame, column: str, comparison: str, value: Value) -> Frame:
        """Return the rows of a frame for which a comparison holds."""
        raise NotImplementedError

    def count(self, frame: Frame) -> int:
        """Return the number of rows."""
        raise NotImplementedError

    def types(self, frame: Frame) -> dict[str, str]:
        """Return the engine's own names of the columns' types."""
        raise NotImplementedError


class Dask(Engine):
    """Dask's DataFrame with threads."""

    name = "dask"

    def frame(self, uri: str, query: str, **arguments: Value) -> Frame:
        from industrydb.dask import read_sql

        return read_sql(uri, query, **arguments)

    def rows(self, frame: Frame, columns: list[str]) -> list[tuple[Any, ...]]:
        import pandas as pd

        made = frame[columns].compute(scheduler="threads")
        missing = (None, pd.NA, pd.NaT)
        return [
            tuple(None if any(value is one for one in missing) else value for value in row)
            for row in made.itertuples(index=False, name=None)
        ]

    def filtered(self, frame: Frame, column: str, comparison: str, value: Value) -> Frame:
        return frame[OPERATORS[comparison](frame[column], value)]

    def count(self, frame: Frame) -> int:
        return len(frame)

    def types(self, frame: Frame) -> dict[str, str]:
        return {name: str(dtype) for name, dtype in frame.dtypes.items()}


class Ray(Engine):
    """Ray Data on this machine."""

    name = "ray"

    def __init__(self) -> None:
        import ray

        if not ray.is_initialized():
            ray.init(
                num_cpus=2,
                include_dashboard=False,
                logging_level="ERROR",
                log_to_driver=False,
            )
        ray.data.DataContext.get_current().enable_progress_bars = False

    def frame(self, uri: str, query: str, **arguments: Value) -> Frame:
        from industrydb.ray import read_sql

        return read_sql(uri, query, **arguments)

    def rows(self, frame: Frame, columns: list[str]) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in columns) for row in frame.select_columns(columns).take_all()]

    def filtered(self, frame: Frame, column: str, comparison: str, value: Value) -> Frame:
        from ray.data.expressions import col

        return frame.filter(expr=OPERATORS[comparison](col(column), value))

    def count(self, frame: Frame) -> int:
        found: int = frame.count()
        return found

    def types(self, frame: Frame) -> dict[str, str]:
        schema = frame.schema()
        return dict(zip(schema.names, map(str, schema.types), strict=True))


class Daft(Engine):
    """Daft's native runner."""

    name = "daft"

    def frame(self, uri: str, query: str, **arguments: Value) -> Frame:
        from industrydb.daft import read_sql

        return read_sql(uri, query, **arguments)

    def rows(self, frame: Frame, columns: list[str]) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in columns) for row in frame.select(*columns).to_pylist()]

    def filtered(self, frame: Frame, column: str, comparison: str, value: Value) -> Frame:
        return frame.where(OPERATORS[comparison](frame[column], value))

    def count(self, frame: Frame) -> int:
        found: int = frame.count_rows()
        return found

    def types(self, frame: Frame) -> dict[str, str]:
        return {field.name: str(field.dtype) for field in frame.schema()}


class Spark(Engine):
    """Spark in its local mode, which runs a failed task up to three times."""

    name = "spark"

    def __init__(self) -> None:
        from pyspark.sql import SparkSession

        from industrydb.spark import IndustryDb

        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = SparkSession.builder.master("local[2,3]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.driver.host", "127.0.0.1")
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("OFF")
        self.session.dataSource.register(IndustryDb)

    def frame(self, uri: str, query: str, **arguments: Value) -> Frame:
        names = {"partition_on": "partitionOn", "partitions": "numPartitions"}
        reader = self.session.read.format("industrydb").option("uri", uri).option("query", query)
        for name, value in arguments.items():
            given = value.token if isinstance(value, industrydb.HeldSnapshot) else value
            reader = reader.option(names.get(name, name), given)
        return reader.load()

    def rows(self, frame: Frame, columns: list[str]) -> list[tuple[Any, ...]]:
        rows = frame.select(*columns).collect()
        return [tuple(bytes(value) if isinstance(value, bytearray) else value for value in row) for row in rows]

    def filtered(self, frame: Frame, column: str, comparison: str, value: Value) -> Frame:
        return frame.where(OPERATORS[comparison](frame[column], value))

    def count(self, frame: Frame) -> int:
        found: int = frame.count()
        return found

    def types(self, frame: Frame) -> dict[str, str]:
        return dict(frame.dtypes)


OPERATORS: dict[str, Any] = {
    "=": lambda column, value: column == value,
    "<>": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}

ENGINES: dict[str, type[Engine]] = {"dask": Dask, "ray": Ray, "daft": Daft, "spark": Spark}
MODULES = {"dask": "dask.dataframe", "ray": "ray.data", "daft": "daft", "spark": "pyspark"}


@functools.cache
def _started(name: str) -> Engine:
    return ENGINES[name]()


def engine(name: str) -> Engine:
    """Return an engine; skip the test where it is not installed."""
    pytest.importorskip(MODULES[name], reason=f"{name} is not installed: `make test-engines` has it")
    if name == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java: apt-get install default-jre-headless")
    return _started(name)
