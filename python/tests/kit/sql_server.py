"""A server that speaks SQL Server's protocol, for the length of a test session.

By default an emulator that understands a part of T-SQL. ``INDUSTRYDB_TEST_MSSQL_URI`` names a real server to test
instead; its database should be empty.
"""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.kit.servers import free_port
from tests.kit.support import eventually

URI_VARIABLE = "INDUSTRYDB_TEST_MSSQL_URI"
PASSWORD = "Pass/word:1"  # noqa: S105, of a server that ends with the tests
_BINARY = Path(__file__).parents[3] / "target" / "tools" / "bin" / "iridium-server"

# Limits of the emulator; the tests do not ask it for these:
# - sp_executesql as a remote call, and so parameters;
# - sp_describe_first_result_set with SQL Server's columns; a result without rows describes the columns instead;
# - `date` and untyped NULL, whose columns it announces differently from SQL Server.


@contextmanager
def sql_server() -> Iterator[str]:
    """Start the emulator; yield its URI."""
    binary = shutil.which("iridium-server") or str(_BINARY)
    if not Path(binary).exists():
        pytest.skip("needs an emulator of SQL Server: make target/tools/bin/iridium-server")
    port = free_port()
    arguments = [binary, "--memory", "--no-tls", "--host", "127.0.0.1", "--port", str(port), "-u", "sa", "-P", PASSWORD]
    server = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _listens(port))
        with _carrying(port, _copy, _copy_with_encryption_denied) as carried:
            yield f"mssql://sa:Pass%2Fword%3A1@127.0.0.1:{carried}/master?encrypt=false"
    finally:
        server.terminate()
        server.wait()


def given_uri() -> str | None:
    """Return the URI of a real server to test against, if given."""
    return os.environ.get(URI_VARIABLE)


def port_of(uri: str) -> int:
    """Return the port of a URI that has one."""
    port = urlsplit(uri).port
    assert port is not None
    return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


# Forwards what one end sends to the other until the sender stops.
Carry = Callable[[socket.socket, socket.socket], None]


@contextmanager
def _carrying(port: int, questions: Carry, answers: Carry) -> Iterator[int]:
    """Listen in front of a server; yield the port, and forward client data and server answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    conversations: list[threading.Thread] = []
    ends: set[socket.socket] = set()

    def one_way(source: socket.socket, target: socket.socket, carry: Carry) -> None:
        with suppress(OSError):
            carry(source, target)
        _shut(source, target)

    def converse(client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
            both = {client, server}
            ends.update(both)
            answering = threading.Thread(target=one_way, args=(server, client, answers))
            answering.start()
            one_way(client, server, questions)
            answering.join()
            ends.difference_update(both)

    def serve() -> None:
        with suppress(OSError):  # shutting down the listener ends the loop
            while True:
                conversations.append(threading.Thread(target=converse, args=(listener.accept()[0],)))
                conversations[-1].start()

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield listener.getsockname()[1]
    finally:
        _shut(listener)
        serving.join()
        _shut(*ends)
        for conversation in conversations:
            conversation.join()
        listener.close()


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(1 << 16):
        target.sendall(data)


def _copy_with_encryption_denied(source: socket.socket, target: socket.socket) -> None:
    """Copy answers; change the first one to "encryption not supported" where it says "encryption off"."""
    target.sendall(_corrected(_packet(source)))
    _copy(source, target)


def _packet(source: socket.socket) -> bytes:
    """Return a whole packet; its third and fourth bytes are its length."""
    packet = b""
    while len(packet) < 4 or len(packet) < int.from_bytes(packet[2:4], "big"):
        if not (data := source.recv(1)):
            break
        packet += data
    return packet


def _corrected(answer: bytes) -> bytes:
    """Return a PRELOGIN answer whose option ENCRYPTION (1) is 2, "not supported", where it was 0, "off"."""
    header, option = 8, 5
    for start in range(header, len(answer), option):
        if answer[start] == 1:
            place = header + int.from_bytes(answer[start + 1 : start + 3], "big")
            return answer[:place] + b"\2" + answer[place + 1 :]
    return answer


class Refusal:
    """A number of refusals: errors sent instead of forwarding a login or a statement."""

    def __init__(self, number: int, times: int, statement: str | None) -> None:
        """Refuse statements that end with a text, or logins if `statement` is `None`."""
        self.given = 0
        self.times = times
        self._statement = statement
        message = "refused".encode("utf-16-le")
        body = (
            number.to_bytes(4, "little")
            + b"\1\x10"
            + (len(message) // 2).to_bytes(2, "little")
            + message
            + b"\0\0"
            + bytes(4)
        )
        tokens = b"\xaa" + len(body).to_bytes(2, "little") + body + b"\xfd\2\0" + bytes(10)
        self.answer = b"\4\1" + (len(tokens) + 8).to_bytes(2, "big") + b"\0\0\1\0" + tokens

    def is_of(self, packet: bytes) -> bool:
        """Tell whether a client's packet is to be refused; count it if so."""
        if self._statement is None:
            is_meant = packet[:1] == b"\x10"
        else:
            is_meant = packet[:1] == b"\1" and packet.endswith(self._statement.encode("utf-16-le"))
        is_meant = is_meant and self.given < self.times
        self.given += is_meant
        return is_meant


@contextmanager
def refusing(port: int, number: int, times: int, statement: str | None = None) -> Iterator[tuple[int, Refusal]]:
    """Relay to a server; fail the first `times` logins, or statements ending with a text, with an error number."""
    refusal = Refusal(number, times, statement)

    def ask(client: socket.socket, server: socket.socket) -> None:
        while packet := _packet(client):
            if refusal.is_of(packet):
                client.sendall(refusal.answer)
            else:
                server.sendall(packet)

    with _carrying(port, ask, _copy) as carried:
        yield carried, refusal
