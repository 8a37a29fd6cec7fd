"""What the help says: the commands, their examples, and what is explained below them."""

from __future__ import annotations

from typing import NamedTuple

QUERY = """\
query:
  A statement that returns rows, @FILE to take it from a file, or - for
  standard input.
"""
DATABASE = """\
database:
  That of --uri; or of --database, a section of a config file; or of
  $INDUSTRYDB_URI. The config file is that of --config, or of
  $INDUSTRYDB_CONFIG, or ~/.config/industrydb/databases.ini.
"""
CONFIG = """\
config file:
  That of --config, or of $INDUSTRYDB_CONFIG, or
  ~/.config/industrydb/databases.ini. It has a section for each database:

    [orders]
    uri = sqlite://orders.db
"""
CODES = """\
exit codes:
  0    done
  1    the database failed, or a file is broken or cannot be written
  2    the arguments or the configuration are wrong
  3    a value does not fit the type of its column
  4    it took longer than --timeout, or than the database allows
  130  interrupted by Ctrl-C
  141  nobody read the output to its end
"""


class Command(NamedTuple):
    """A command: the module that has it, what it does, its arguments, examples, and what is explained below them."""

    module: str
    about: str
    arguments: str
    examples: str
    explained: tuple[str, ...] = (QUERY, DATABASE, CODES)


COMMANDS = {
    "read": Command(
        "commands",
        "read a query's result, and print or write it",
        " QUERY",
        """
  industrydb read "SELECT * FROM orders" --partitions 8 -o orders.parquet
  industrydb read @report.sql --database warehouse --param 2024-01-01
  industrydb read "SELECT * FROM orders" -o - --format csv \\
    | gzip > orders.csv.gz""",
    ),
    "plan": Command(
        "commands",
        "show the partitions that a read would have",
        " QUERY",
        """
  industrydb plan "SELECT * FROM lineitem" --partition-on l_orderkey \\
    --partitions 8""",
    ),
    "schema": Command(
        "commands",
        "show the columns of a query's result and their types",
        " QUERY",
        """
  industrydb schema "SELECT * FROM orders" --uri sqlite://orders.db""",
    ),
    "extract": Command(
        "commands",
        "write a query's result into a folder, a file per partition, with resume",
        " QUERY TARGET",
        """
  industrydb extract "SELECT * FROM lineitem" lineitem \\
    --partition-on l_orderkey --partitions 64
  industrydb extract "SELECT * FROM orders" orders --since id
    # again each night: appends the new rows""",
    ),
    "write": Command(
        "writing",
        "write a file into a table, all of its rows or none",
        " FILE TABLE",
        """
  industrydb write orders.parquet orders --if-exists append
  gzip -dc orders.csv.gz | industrydb write - orders_copy --format csv \\
    --schema-override day=Date""",
        (DATABASE, CODES),
    ),
    "databases": Command(
        "databases",
        "list the databases of the config file, without their passwords",
        "",
        """
  industrydb databases --config databases.ini""",
        (CONFIG,),
    ),
    "completion": Command(
        "completion",
        "print a script by which a shell completes this command",
        " SHELL",
        """
  industrydb completion bash \\
    > ~/.local/share/bash-completion/completions/industrydb
  industrydb completion zsh > "${fpath[1]}/_industrydb"
  industrydb completion fish > ~/.config/fish/completions/industrydb.fish""",
        (),
    ),
}

# Below the help of the command itself.
EXAMPLES = """\
examples:
  industrydb read "SELECT * FROM orders" --uri sqlite://orders.db
  industrydb read @report.sql --database warehouse --param 2024-01-01
  industrydb write orders.parquet orders_copy --uri sqlite://orders.db
  industrydb read --help
"""
EPILOG = f"{EXAMPLES}\n{DATABASE}\n{CODES}"


def below(command: Command) -> str:
    """Return what stands below the help of a command."""
    return "\n".join((f"examples:{command.examples}\n", *command.explained))
