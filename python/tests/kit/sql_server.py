"""A server that speaks SQL Server's protocol, for the length of a test session.

It is an emulator, which understands a part of T-SQL; ``INDUSTRYDB_TEST_MSSQL_URI`` names a real server to test
instead, whose database should be an empty one.
"""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.kit.servers import free_port
from tests.kit.support import eventually

URI_VARIABLE = "INDUSTRYDB_TEST_MSSQL_URI"
PASSWORD = "Pass/word:1"  # noqa: S105, of a server that ends with the tests
_BINARY = Path(__file__).parents[3] / "target" / "tools" / "bin" / "iridium-server"

# What the emulator cannot do, which the tests leave out of what they ask from it:
# - sp_executesql as a remote call, and so parameters;
# - sp_describe_first_result_set with the columns that SQL Server has: a result without rows tells instead;
# - `date` and NULL without a type, whose columns it announces in a way that is not SQL Server's.


@contextmanager
def sql_server() -> Iterator[str]:
    """Serve; yields the URI."""
    binary = shutil.which("iridium-server") or str(_BINARY)
    port = free_port()
    arguments = [binary, "--memory", "--no-tls", "--host", "127.0.0.1", "--port", str(port), "-u", "sa", "-P", PASSWORD]
    server = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _listens(port))
        with _without_encryption(port) as relayed:
            yield f"mssql://sa:Pass%2Fword%3A1@127.0.0.1:{relayed}/master?encrypt=false"
    finally:
        server.terminate()
        server.wait()


def given_uri() -> str | None:
    """Return the URI of a server to test instead."""
    return os.environ.get(URI_VARIABLE)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def _without_encryption(port: int) -> Iterator[int]:
    """Relay to a server, whose first answer then says that it has no encryption, instead of none unless asked for."""
    ends: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket, *, answers: bool) -> None:
        with suppress(OSError):
            if answers:
                target.sendall(_corrected(_packet(source)))
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):  # closing the listener ends it
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                ends.extend((client, server))
                threading.Thread(target=pump, args=(client, server), kwargs={"answers": False}, daemon=True).start()
                threading.Thread(target=pump, args=(server, client), kwargs={"answers": True}, daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for end in (listener, *ends):
            end.close()


def _packet(source: socket.socket) -> bytes:
    """Return a whole packet, whose length stands in its third and fourth byte."""
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
    """The error that a server answers with, in place of what it would do, so many times more."""

    def __init__(self, number: int, times: int, statement: str | None) -> None:
        """Refuse statements that end with a text, or logins."""
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
        """Tell whether a packet of the client is refused, and count it."""
        if self._statement is None:
            is_meant = packet[:1] == b"\x10"
        else:
            is_meant = packet[:1] == b"\1" and packet.endswith(self._statement.encode("utf-16-le"))
        is_meant = is_meant and self.given < self.times
        self.given += is_meant
        return is_meant


@contextmanager
def refusing(port: int, number: int, times: int, statement: str | None = None) -> Iterator[tuple[int, Refusal]]:
    """Relay to a server; its first logins, or the first statements that end with a text, fail with an error number."""
    refusal = Refusal(number, times, statement)
    ends: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket, *, asks: bool) -> None:
        with suppress(OSError):
            while data := _packet(source) if asks else source.recv(1 << 16):
                if asks and refusal.is_of(data):
                    source.sendall(refusal.answer)
                else:
                    target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):  # closing the listener ends it
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                ends.extend((client, server))
                threading.Thread(target=pump, args=(client, server), kwargs={"asks": True}, daemon=True).start()
                threading.Thread(target=pump, args=(server, client), kwargs={"asks": False}, daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], refusal
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for end in (listener, *ends):
            end.close()
