"""Tests that passwords are in no error, traceback or log, even if a URI is mistyped."""

import logging
import subprocess
import sys
import traceback
from urllib.parse import quote

import pytest

import industrydb
from tests.kit.leaks import LEAKS
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import PATIENCE_S

WHO = "SELECT current_user::text AS who, current_database()::text AS database"


@pytest.mark.parametrize("uri", LEAKS)
def test_no_message_tells_a_password(caplog: pytest.LogCaptureFixture, uri: str) -> None:
    """If the login fails or the URI is mistyped, no error, traceback or log record has the password."""
    with caplog.at_level(logging.DEBUG), pytest.raises(industrydb.IndustryDbError) as raised:
        industrydb.read_sql(uri, WHO)
    told = [str(raised.value), repr(raised.value), caplog.text, *traceback.format_exception(raised.value)]
    for secret in ("hunter2", "hun", "ter2", "123?"):
        assert not [text for text in told if secret in text]


LOG_EVERYTHING = """
import logging, sys, traceback
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
import industrydb
uri, query = sys.stdin.read().splitlines()
print(industrydb.read_sql(uri, query).rows())
try:
    industrydb.read_sql(uri.replace("/postgres", "/nowhere"), query)
except industrydb.IndustryDbError:
    traceback.print_exc(file=sys.stdout)
try:
    industrydb.read_sql(uri + "x", query)
except industrydb.IndustryDbError:
    traceback.print_exc(file=sys.stdout)
"""


@pytest.mark.parametrize("user", PASSWORDS)
def test_no_log_tells_a_password(own_server: Server, user: str) -> None:
    """The debug log of a process from its start has no password, whether the login succeeds or fails."""
    uri = tcp_uri(own_server.port, user, PASSWORDS[user])
    child = subprocess.run(
        [sys.executable, "-c", LOG_EVERYTHING],
        input=f"{uri}\n{WHO}",
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert "DEBUG:industrydb" in child.stdout
    assert f"('{user}', 'postgres')" in child.stdout
    assert "[3D000]" in child.stdout
    for secret in (PASSWORDS[user], quote(PASSWORDS[user], safe="")):
        assert secret not in child.stdout + child.stderr


def test_logging_can_be_turned_on_later(postgres_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    """Logging that is turned on after the first read takes effect, as for any Python module."""
    industrydb.read_sql(postgres_uri, WHO)
    with caplog.at_level(logging.DEBUG):
        industrydb.read_sql(postgres_uri, WHO)
    assert [record for record in caplog.records if record.name.startswith("industrydb")]
