"""Tests of the command's exit codes, of closed streams and of Ctrl-C."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.cli.support import COMMAND, in_process, run
from tests.kit.interrupts import ENDLESS, is_being_read
from tests.kit.support import PATIENCE_S, SqliteFile, eventually, sessions, with_options

# Exit codes and errors


WRONG: list[tuple[list[str], str]] = [
    ([], "the following arguments are required: COMMAND"),
    (["rad"], "there is no command rad: did you mean read?; the commands are read, plan, "),
    (["hunter2"], "the first argument is no command; the commands are read, plan, "),
    (["read"], "the following arguments are required: QUERY"),
    (["read", "SELECT", "1"], "1 argument(s) too many"),
    (["read", "SELECT 1", "--partition", "2"], "unknown option --partition: did you mean --partitions?"),
    (["read", "SELECT 1", "--partitions", "two"], "--partitions: it must be a whole number, not 'two'"),
    (["read", "SELECT 1", "--timeout", "5s"], "--timeout: it must be a number of seconds, not '5s'"),
    (["schema", "SELECT 1", "--partitions", "2"], "unknown option --partitions"),
    (["read", "SELECT 1"], "no database is given"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--database", "x"], "not allowed with argument"),
    (["read", "SELECT 1", "-u", "sqlite:"], "URI"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--config", "x.ini"], "say which one by --database"),
    (["read", "SELECT 1", "--database", "x"], "databases.ini: No such file"),
    (["read", "sqlite://x.db", "-u", "sqlite://x.db"], "the query is a URI"),
    (["extract", "SELECT 1", "sqlite://x", "-u", "sqlite://x.db"], "TARGET begins with sqlite://"),
    (["read", "@missing.sql", "-u", "sqlite://x.db"], "cannot read the query @missing.sql: No such file"),
    (["read", "@/", "-u", "sqlite://x.db"], "cannot read the query @/: Is a directory"),
    (["read", "SELECT '\udcff'", "-u", "sqlite://x.db"], "cannot read the query"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--pre", "\udcff"], "surrogates"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--timeout", "nan"], "timeout must be"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--partitions", "0"], "partitions must be from 1"),
    (["read", "SELECT 1", "-u", "sqlite://x.db", "--password"], "--password asks at a terminal"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_usage(capfd: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Wrong usage gives exit code 2 and one line that says what is wrong."""
    if "--password" in arguments:  # in this process, the terminal that runs the tests would be asked
        done = run(*arguments, start_new_session=True, input="")
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        code, out, err = in_process(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("industrydb: ")
    assert said in err
    assert err.count("\n") == 1


def test_failures_of_the_database(orders: SqliteFile, postgres_uri: str) -> None:
    """Each kind of failure has its exit code and a message without a traceback."""
    for arguments, code, said in (
        (["SELEC", "-u", orders.uri], 1, 'near "SELEC": syntax error'),
        (["SELECT 1 AS a", "-u", "sqlite://missing.db"], 1, "there is no such file"),
        (["SELECT 1 AS a", "-u", "postgresql://ana@127.0.0.1:1/db"], 1, "cannot connect"),
        (["SELECT 'NaN'::numeric AS a", "-u", postgres_uri], 3, 'column "a" (numeric), row 1'),
        (["SELECT pg_sleep(60)::text AS a", "-u", postgres_uri, "--timeout", "0.2"], 4, "timeout of 0.2 s"),
        (["SELECT pg_sleep(60)::text AS a", "-u", postgres_uri, "--pre", "SET statement_timeout = 9"], 4, "57014"),
    ):
        done = run("read", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("industrydb: ")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_closed_pipe(orders: SqliteFile) -> None:
    """If the reader of its output closes the pipe, the command ends with exit code 141 and no message."""
    query = "SELECT a.id, b.id AS other FROM orders AS a, orders AS b"
    with subprocess.Popen(
        [*COMMAND, "read", query, "-u", orders.uri, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(PATIENCE_S) == 141


def test_a_pipe_that_is_closed_already(orders: SqliteFile) -> None:
    """Output still in a buffer for a pipe closed from the start causes no error message at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [*COMMAND, "read", "SELECT 1 AS a", "-u", orders.uri]
        done = subprocess.run(command, check=False, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_missing_streams(orders: SqliteFile) -> None:
    """A closed standard stream is no failure, unless the query is to be read from it; a full device is one."""
    read = [*COMMAND, "read", "SELECT 7 AS a", "-u", orders.uri, "--json"]
    for redirection, code, shown in (
        (">&-", 0, ""),
        ("2>&-", 0, '[{"a":7}]\n'),
        (">/dev/full", 1, ""),
        ("<&-", 0, '[{"a":7}]\n'),
    ):
        child = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *read]
        done = subprocess.run(child, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode, done.stdout) == (code, shown), redirection
        assert "Exception" not in done.stderr
    assert "No space left" in run_in_shell(read, ">/dev/full")
    long = [*COMMAND, "read", "SELECT a.id FROM orders AS a, orders AS b", "-u", orders.uri, "--json", "--quiet"]
    assert run_in_shell(long, ">/dev/full") == "industrydb: No space left on device\n"
    assert "cannot read the query -: Bad file" in run_in_shell([*COMMAND, "read", "-", "-u", orders.uri], "<&-")


def run_in_shell(command: list[str], redirection: str) -> str:
    """Run a command with a redirection; return its standard error."""
    child = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *command]
    return subprocess.run(child, check=False, capture_output=True, text=True, timeout=PATIENCE_S).stderr


@contextmanager
def interrupted(*arguments: str) -> Iterator[None]:
    """Run the command during the block, interrupt it at the end, and check its exit code and message."""
    # A process whose parent ignores Ctrl-C, such as a shell's background job, would ignore it too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            try:
                yield
                child.send_signal(signal.SIGINT)
                assert child.communicate(timeout=PATIENCE_S / 4) == ("", "industrydb: interrupted\n")
                assert child.returncode == 130
            finally:
                child.kill()
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_on_postgres(postgres: psycopg.Connection, postgres_uri: str, tmp_path: Path) -> None:
    """Ctrl-C while the command waits for the server ends the server's work too, and leaves no partial file."""
    uri = with_options(postgres_uri, application_name="interrupted command")
    with interrupted("read", "SELECT pg_sleep(60)::text AS a", "-u", uri, "-o", "out.csv"):
        eventually(lambda: [event for _, event in sessions(postgres, "interrupted command")] == ["PgSleep"])
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())
    eventually(lambda: not sessions(postgres, "interrupted command"))


def test_ctrl_c_waiting_for_a_lock(postgres: psycopg.Connection, postgres_uri: str) -> None:
    """Ctrl-C ends a read that waits for a lock of another session."""
    postgres.execute("CREATE TABLE IF NOT EXISTS locked (i int)")
    uri = with_options(postgres_uri, application_name="waiting command")
    with psycopg.connect(postgres_uri) as holder:
        holder.execute("LOCK TABLE locked")
        with interrupted("read", "SELECT * FROM locked", "-u", uri):
            eventually(lambda: [event for _, event in sessions(postgres, "waiting command")] == ["relation"])
    postgres.execute("DROP TABLE locked")


def test_ctrl_c_on_sqlite(orders: SqliteFile) -> None:
    """Ctrl-C ends the read of an SQLite query that would never end."""
    with interrupted("read", ENDLESS, "-u", orders.uri):
        eventually(lambda: is_being_read(orders.path))
