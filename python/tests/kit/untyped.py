"""The public functions without their types, for calls that the types refuse."""

from typing import Any

import industrydb
import industrydb.connectorx

read: Any = industrydb.read_sql
plan: Any = industrydb.plan_sql
batches: Any = industrydb.read_sql_batches
scan: Any = industrydb.scan_sql
write: Any = industrydb.write_sql
extract: Any = industrydb.extract
hold: Any = industrydb.hold_snapshot
database: Any = industrydb.database
config: Any = industrydb.DatabaseConfig
connect: Any = industrydb.Connection
connectorx: Any = industrydb.connectorx
