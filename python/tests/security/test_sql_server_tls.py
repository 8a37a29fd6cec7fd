"""Tests of TLS to SQL Server. A relay in front of the emulator speaks TLS, and passes on what it decrypts.

A process reads its trusted authorities from ``SSL_CERT_FILE`` once, before its first session: tests that need an
authority of their own read in another process.
"""

import json
import logging
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import polars as pl
import pytest
import trustme

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError
from tests.kit.sql_server import PASSWORD, port_of
from tests.kit.support import eventually, with_options

# Values of the option ENCRYPTION in the PRELOGIN packets. OFF encrypts the login, and nothing else.
OFF, ON, NOT_SUPPORTED, REQUIRED = range(4)

PRELOGIN = 0x12  # the type of the PRELOGIN packets, and of those around a handshake
HEADER_BYTES = 8

# Without TLS, a password has each byte's halves swapped and every second bit flipped.
WIRE_PASSWORD = bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in PASSWORD.encode("utf-16-le"))

ONE = "SELECT 1 AS one"
MANY = "SELECT i * 10 + j AS id, text FROM many CROSS JOIN few"

# Values of `encrypt`; with each of them, a session with a server that requires TLS is encrypted.
ENCRYPT = [None, "true", "false", "strict"]

HEADER_IN_PARTS = pytest.mark.xfail(
    strict=True, reason="mssql-tds 0.3.0 subtracts below 0 where a packet's header comes in parts during a handshake"
)

# Reads the query of each line.
WORKER = """
import json, sys
import industrydb
for line in sys.stdin:
    try:
        answer = {"rows": industrydb.read_sql(**json.loads(line)).rows()}
    except industrydb.IndustryDbError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer), flush=True)
"""


class Cut(NamedTuple):
    """The point at which a relay stops answering."""

    answers: int
    """Number of answers that are sent whole."""
    then: int
    """Number of bytes that are sent of the next answer."""
    silent: bool = False
    """Whether the connection then stays open and silent, instead of being closed."""


class Tls:
    """The server's end of a TLS session, without a socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Begin a session, which waits for the client's part of the handshake."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shaken(self, received: bytes) -> tuple[bytes, bool]:
        """Return the answer to a part of the handshake, and whether it is the last."""
        self._incoming.write(received)
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read(), False
        return self._outgoing.read(), True

    def decrypted(self, received: bytes) -> bytes:
        """Return the decrypted bytes."""
        self._incoming.write(received)
        data = b""
        with suppress(ssl.SSLWantReadError):
            while part := self.session.read(1 << 16):
                data += part
        return data

    def encrypted(self, data: bytes) -> bytes:
        """Return the encrypted bytes to send."""
        self.session.write(data)
        return self._outgoing.read()


class TdsRelay:
    """A relay with the given encryption, which passes the decrypted bytes on to a server without TLS."""

    def __init__(  # noqa: PLR0913
        self,
        server: int,
        certificate: trustme.LeafCert,
        encryption: int = REQUIRED,
        *,
        strict: bool = False,
        cut: Cut | None = None,
        in_parts: bool = False,
    ) -> None:
        """Listen and serve; `strict` is TLS from the first byte on, instead of after the PRELOGIN packets."""
        self.received = bytearray()
        """Bytes received from all clients, as they were sent."""
        self.sessions = 0
        """Number of sessions with TLS."""
        self.protocol: str | None = None
        """ALPN protocol of the last session with TLS."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._server = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        if strict:
            self._context.set_alpn_protocols(["tds/8.0"])
        else:
            self._context.maximum_version = ssl.TLSVersion.TLSv1_2  # TLS 1.2 sends nothing after the handshake
        self._encryption = encryption
        self._strict = strict
        self._cut = cut
        self._in_parts = in_parts
        self._answers = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # closing the listener ends it
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._server)) as server:
                self._pass_on(client, server)
            client.shutdown(socket.SHUT_WR)
            while True:
                self._received(client)  # whatever it still sends, until it goes away

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        tls = None
        if self._strict:
            tls = self._shake_hands(client)
            server.sendall(tls.decrypted(b""))  # data that came with the end of the handshake
        else:
            server.sendall(saying(NOT_SUPPORTED, read_packet(lambda: self._received(client, 1))))
            self._send(client, saying(self._encryption, read_packet(lambda: server.recv(1))))
            if self._encryption != NOT_SUPPORTED:
                tls = self._shake_hands(client)
            if tls and self._encryption == OFF:
                login = tls
                server.sendall(read_packet(lambda: login.decrypted(self._received(client))))
                tls = None
        while True:
            if client in select.select([client, server], [], [])[0]:
                data = self._received(client)
                server.sendall(tls.decrypted(data) if tls else data)
            elif data := server.recv(1 << 14):
                self._send(client, tls.encrypted(data) if tls else data)
            else:
                return

    def _shake_hands(self, client: socket.socket) -> Tls:
        tls, done = Tls(self._context), False
        while not done:
            if self._strict:
                flight, done = tls.shaken(self._received(client))
            else:
                flight, done = tls.shaken(read_packet(lambda: self._received(client, 1))[HEADER_BYTES:])
                length = (HEADER_BYTES + len(flight)).to_bytes(2, "big")
                flight = bytes([PRELOGIN, 1]) + length + bytes(4) + flight if flight else b""
            self._send(client, flight)
        self.sessions += 1
        self.protocol = tls.session.selected_alpn_protocol()
        return tls

    def _received(self, client: socket.socket, at_most: int = 1 << 16) -> bytes:
        data = client.recv(at_most)
        if not data:
            raise ConnectionError
        self.received += data
        return data

    def _send(self, client: socket.socket, answer: bytes) -> None:
        if not answer:
            return
        if self._cut and self._answers == self._cut.answers:
            client.sendall(answer[: self._cut.then])
            while self._cut.silent:
                self._received(client)  # until the client goes away
            raise ConnectionError
        self._answers += 1
        if self._in_parts:
            client.sendall(answer[:3])
            eventually(lambda: not is_unread(client))
            answer = answer[3:]
        client.sendall(answer)

    def close(self) -> None:
        """Accept no more clients, and wait for the end of the others."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()


def read_packet(receive: Callable[[], bytes]) -> bytes:
    """Return a whole packet, whose length stands in its third and fourth byte."""
    packet = b""
    while len(packet) < HEADER_BYTES or len(packet) < int.from_bytes(packet[2:4], "big"):
        packet += (data := receive())
        if not data or not packet.startswith((b"\x04", b"\x10", b"\x12")):  # an answer, a login, a PRELOGIN packet
            raise ConnectionError
    return packet


def saying(encryption: int, packet: bytes) -> bytes:
    """Return a PRELOGIN packet with another value of ENCRYPTION (option 1); each option's entry has five bytes."""
    for start in range(HEADER_BYTES, len(packet), 5):
        if packet[start] == 1:
            place = HEADER_BYTES + int.from_bytes(packet[start + 1 : start + 3], "big")
            return packet[:place] + bytes([encryption]) + packet[place + 1 :]
    return packet


def is_unread(connection: socket.socket) -> bool:
    """Tell whether the other end, on this machine, has yet to read something."""
    port = f":{connection.getpeername()[1]:04X}"
    ends = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(end[1].endswith(port) and not end[4].endswith(":00000000") for end in ends)


def heard(relay: TdsRelay) -> bytes:
    """Close a relay; return all bytes that clients have sent, in the clear or encrypted."""
    relay.close()
    return bytes(relay.received)


class Trusting:
    """Another process, which trusts our authority."""

    def __init__(self, authority: Path) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            env=os.environ | {"SSL_CERT_FILE": str(authority)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read_sql(self, uri: str, query: str) -> list[tuple[object, ...]]:
        """Read in the process; return the rows, or raise the error that was raised there."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"uri": uri, "query": query}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            error: type[Exception] = getattr(industrydb, answer["error"])
            raise error(answer["message"])
        return [tuple(row) for row in answer["rows"]]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture(scope="module")
def server(own_mssql_uri: str) -> Iterator[int]:
    """Yield the port of the emulator, which has no TLS, with two tables whose rows can be combined."""
    rows = ", ".join(f"({i}, '{'x' * (i % 300)}')" for i in range(2500))
    with industrydb.Connection.from_uri(own_mssql_uri) as connection:
        connection.execute("CREATE TABLE many (i int, text varchar(300))")
        connection.execute(f"INSERT INTO many VALUES {rows}")
        connection.execute("CREATE TABLE few (j int)")
        connection.execute("INSERT INTO few VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
        yield port_of(own_mssql_uri)
        connection.execute("DROP TABLE many")
        connection.execute("DROP TABLE few")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a certificate authority of our own."""
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusting]:
    """Yield a process that trusts the authority."""
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    process = Trusting(path)
    yield process
    process.close()


@pytest.fixture(scope="module")
def certificates(authority: trustme.CA) -> dict[str, trustme.LeafCert]:
    """Return a valid certificate for 127.0.0.1, and some that are not valid for it."""
    past = [datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2000, 2001)]
    return {
        "good": authority.issue_cert("127.0.0.1"),
        "unknown": trustme.CA().issue_cert("127.0.0.1"),
        "expired": authority.issue_cert("127.0.0.1", not_before=past[0], not_after=past[1]),
        "another's": authority.issue_cert("db.example", "localhost"),
    }


@pytest.fixture
def relay(server: int, certificates: dict[str, trustme.LeafCert]) -> Iterator[Callable[..., TdsRelay]]:
    """Yield a function that starts a relay with one of the certificates."""
    relays: list[TdsRelay] = []

    def serve(certificate: str = "good", **how: object) -> TdsRelay:
        relays.append(TdsRelay(server, certificates[certificate], **how))  # type: ignore[arg-type]
        return relays[-1]

    yield serve
    for serving in relays:
        serving.close()


def uri(port: int, host: str = "127.0.0.1", password: str = PASSWORD, **options: str | None) -> str:
    """Return a URI that logs in at a port."""
    where = f"mssql://sa:{quote(password, safe='')}@{host}:{port}/master"
    return with_options(where, **{name: value for name, value in options.items() if value is not None})


def refused(
    read_sql: Callable[[str, str], object], where: str, reason: str, error: type[Exception] = DatabaseConnectionError
) -> None:
    """Check that a read fails for the given reason, in whose text is no password."""
    with pytest.raises(error, match=reason) as raised:
        read_sql(where, ONE)
    assert PASSWORD not in str(raised.value)
    assert quote(PASSWORD, safe="") not in str(raised.value)


def test_a_password_without_tls_is_known_by_its_bytes(relay: Callable[..., TdsRelay]) -> None:
    """Without TLS, the password's bytes are received: in other tests, their absence means that none was sent."""
    serving = relay(encryption=NOT_SUPPORTED)
    assert industrydb.read_sql(uri(serving.port, encrypt="false"), ONE).rows() == [(1,)]
    assert WIRE_PASSWORD in heard(serving)
    assert serving.sessions == 0


@pytest.mark.parametrize("encryption", [ON, REQUIRED])
@pytest.mark.parametrize("encrypt", ENCRYPT)
def test_a_trusted_authority_is_enough(
    relay: Callable[..., TdsRelay], trusting: Trusting, encrypt: str | None, encryption: int
) -> None:
    """With a trusted authority, all that is sent is encrypted, even if the client does not ask for TLS."""
    serving = relay(encryption=encryption, strict=encrypt == "strict")
    assert trusting.read_sql(uri(serving.port, encrypt=encrypt), ONE) == [(1,)]
    assert serving.sessions > 0
    assert serving.protocol == ("tds/8.0" if encrypt == "strict" else None)
    for text in (PASSWORD, ONE):
        assert text.encode("utf-16-le") not in heard(serving)
    assert WIRE_PASSWORD not in heard(serving)


def test_an_authority_may_be_named_before_the_first_session(
    relay: Callable[..., TdsRelay], authority: trustme.CA, tmp_path: Path
) -> None:
    """A process may set `SSL_CERT_FILE` itself before its first session."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    script = "import os, sys, industrydb\nos.environ['SSL_CERT_FILE'] = sys.argv[1]\n"
    script += f"print(industrydb.read_sql(sys.argv[2], '{ONE}').item())"
    arguments = [sys.executable, "-c", script, str(path), uri(relay().port)]
    assert subprocess.check_output(arguments, text=True) == "1\n"


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("unknown", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("another's", "IP address mismatch"),
    ],
)
@pytest.mark.parametrize("encrypt", ENCRYPT)
def test_certificates_are_checked(
    relay: Callable[..., TdsRelay], trusting: Trusting, encrypt: str | None, certificate: str, reason: str
) -> None:
    """A certificate is checked even if the client does not ask for TLS; the message says what is wrong."""
    serving = relay(certificate, strict=encrypt == "strict")
    where = uri(serving.port, encrypt=encrypt)
    refused(trusting.read_sql, where, rf"127\.0\.0\.1:{serving.port}: .*certificate verify failed.*{reason}")
    assert WIRE_PASSWORD not in heard(serving)
    assert serving.sessions == 0


@pytest.mark.parametrize("encrypt", ["true", "strict"])
def test_nobody_is_trusted_who_was_not_named(
    relay: Callable[..., TdsRelay], caplog: pytest.LogCaptureFixture, encrypt: str
) -> None:
    """An authority that only another process trusts is refused, and the log has no password."""
    caplog.set_level(logging.NOTSET)
    serving = relay(strict=encrypt == "strict")
    refused(industrydb.read_sql, uri(serving.port, encrypt=encrypt), "certificate verify failed")
    assert PASSWORD not in caplog.text
    assert quote(PASSWORD, safe="") not in caplog.text


@pytest.mark.parametrize("encrypt", ENCRYPT)
def test_the_name_in_the_certificate(relay: Callable[..., TdsRelay], trusting: Trusting, encrypt: str | None) -> None:
    """The certificate must have the host's name, or only that of `host_name_in_certificate` if given."""
    port = relay("another's", strict=encrypt == "strict").port
    assert trusting.read_sql(uri(port, "localhost", encrypt=encrypt), ONE) == [(1,)]
    for name in ("db.example", "DB.example"):
        assert trusting.read_sql(uri(port, encrypt=encrypt, host_name_in_certificate=name), ONE) == [(1,)]
    for name in ("example", "x.db.example", "db.example.org"):
        named = uri(port, "localhost", encrypt=encrypt, host_name_in_certificate=name)
        refused(trusting.read_sql, named, "hostname mismatch")


@pytest.mark.parametrize("certificate", ["good", "unknown", "expired", "another's"])
@pytest.mark.parametrize("encrypt", [None, "true", "false"])
def test_any_certificate_may_be_trusted(relay: Callable[..., TdsRelay], encrypt: str | None, certificate: str) -> None:
    """`trust_server_certificate` accepts any certificate, and the password is still encrypted."""
    serving = relay(certificate)
    refused(industrydb.read_sql, uri(serving.port, encrypt=encrypt), "certificate verify failed")
    assert serving.sessions == 0
    where = uri(serving.port, encrypt=encrypt, trust_server_certificate="true")
    assert industrydb.read_sql(where, ONE).rows() == [(1,)]
    assert serving.sessions > 0
    assert WIRE_PASSWORD not in heard(serving)


def test_strict_trusts_no_certificate_blindly(relay: Callable[..., TdsRelay]) -> None:
    """`encrypt=strict` ignores `trust_server_certificate`, as Microsoft's drivers do."""
    serving = relay("unknown", strict=True)
    where = uri(serving.port, encrypt="strict", trust_server_certificate="true")
    refused(industrydb.read_sql, where, "certificate verify failed")
    assert serving.sessions == 0


@pytest.mark.parametrize("der", [False, True])
@pytest.mark.parametrize("certificate", ["good", "unknown", "another's"])
@pytest.mark.parametrize("encrypt", [None, "true", "strict"])
def test_the_very_certificate_needs_no_authority(  # noqa: PLR0913
    relay: Callable[..., TdsRelay],
    certificates: dict[str, trustme.LeafCert],
    tmp_path: Path,
    encrypt: str | None,
    certificate: str,
    *,
    der: bool,
) -> None:
    """The certificate of `server_certificate`, a PEM or DER file, needs neither an authority nor the host's name."""
    path = tmp_path / "größe & co"
    pem = certificates[certificate].cert_chain_pems[0].bytes()
    path.write_bytes(ssl.PEM_cert_to_DER_cert(pem.decode()) if der else pem)
    serving = relay(certificate, strict=encrypt == "strict")
    assert industrydb.read_sql(uri(serving.port, encrypt=encrypt, server_certificate=str(path)), ONE).rows() == [(1,)]
    assert serving.sessions > 0


@pytest.mark.parametrize("trust", [None, "true"])
@pytest.mark.parametrize("encrypt", [None, "true", "strict"])
def test_another_certificate_is_refused(  # noqa: PLR0913, PLR0917
    relay: Callable[..., TdsRelay],
    authority: trustme.CA,
    trusting: Trusting,
    tmp_path: Path,
    encrypt: str | None,
    trust: str | None,
) -> None:
    """A certificate other than `server_certificate` is refused, even a trusted one, before the password is sent."""
    path = tmp_path / "other.pem"
    authority.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(str(path))
    serving = relay(strict=encrypt == "strict")
    where = uri(serving.port, encrypt=encrypt, server_certificate=str(path), trust_server_certificate=trust)
    refused(trusting.read_sql, where, "presented a different certificate than expected")
    assert WIRE_PASSWORD not in heard(serving)


def test_the_very_certificate_must_be_valid(
    relay: Callable[..., TdsRelay], certificates: dict[str, trustme.LeafCert], tmp_path: Path
) -> None:
    """An expired certificate is refused, even if it is the one of `server_certificate`."""
    path = tmp_path / "expired.pem"
    certificates["expired"].cert_chain_pems[0].write_to_path(str(path))
    where = uri(relay("expired").port, server_certificate=str(path))
    refused(industrydb.read_sql, where, "certificate has expired")


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"no certificate", "it is neither PEM nor DER")]
)
def test_a_file_that_is_no_certificate_is_named(
    relay: Callable[..., TdsRelay], tmp_path: Path, content: bytes | None, reason: str
) -> None:
    """A file of `server_certificate` that is no certificate is an error that names it; nothing is sent."""
    path = tmp_path / "given.pem"
    if content:
        path.write_bytes(content)
    serving = relay()
    where = uri(serving.port, server_certificate=str(path), trust_server_certificate="true")
    refused(industrydb.read_sql, where, rf"given\.pem: {reason}", ConfigurationError)
    assert not heard(serving)


@pytest.mark.parametrize("options", [{"host_name_in_certificate": "127.0.0.1"}, {"encrypt": "false"}])
def test_the_very_certificate_is_all_that_counts(relay: Callable[..., TdsRelay], options: dict[str, str]) -> None:
    """`server_certificate` with a host name to check, or with `encrypt=false`, is an error."""
    serving = relay()
    where = uri(serving.port, server_certificate="given.pem", **options)
    refused(industrydb.read_sql, where, "goes neither with", ConfigurationError)
    assert not heard(serving)


@pytest.mark.parametrize(
    ("encryption", "reason"), [(NOT_SUPPORTED, "does not support encryption"), (OFF, "disallowed encryption")]
)
@pytest.mark.parametrize("encrypt", [None, "true"])
@pytest.mark.parametrize("trust", [None, "true"])
def test_nothing_is_sent_to_a_server_without_tls(
    relay: Callable[..., TdsRelay], encrypt: str | None, trust: str | None, encryption: int, reason: str
) -> None:
    """A server without TLS is sent a PRELOGIN packet, and nothing else."""
    serving = relay(encryption=encryption)
    refused(industrydb.read_sql, uri(serving.port, encrypt=encrypt, trust_server_certificate=trust), reason)
    sent = heard(serving)
    assert sent[0] == PRELOGIN
    assert len(sent) == int.from_bytes(sent[2:4], "big")


def test_the_login_alone_may_be_encrypted(relay: Callable[..., TdsRelay]) -> None:
    """If neither end asks for more, only the login is encrypted, by any certificate, as in Microsoft's drivers."""
    serving = relay("unknown", encryption=OFF)
    assert industrydb.read_sql(uri(serving.port, encrypt="false"), ONE).rows() == [(1,)]
    assert serving.sessions > 0
    assert WIRE_PASSWORD not in heard(serving)
    assert ONE.encode("utf-16-le") in heard(serving)


@pytest.mark.parametrize(("encrypt", "strict"), [("strict", False), ("true", True), ("false", True)])
def test_both_ends_must_begin_in_the_same_way(
    relay: Callable[..., TdsRelay],
    encrypt: str,
    strict: bool,  # noqa: FBT001
) -> None:
    """If only one end begins with TLS, and the other with a PRELOGIN packet, the login fails without a password."""
    serving = relay(strict=strict)
    refused(industrydb.read_sql, uri(serving.port, encrypt=encrypt, trust_server_certificate="true"), str(serving.port))
    assert WIRE_PASSWORD not in heard(serving)


@pytest.mark.parametrize("encrypt", ENCRYPT)
@pytest.mark.parametrize("partitions", [1, 3])
def test_what_comes_through_tls_is_whole(
    relay: Callable[..., TdsRelay],
    certificates: dict[str, trustme.LeafCert],
    tmp_path: Path,
    encrypt: str | None,
    partitions: int,
) -> None:
    """All rows arrive with each value of `encrypt`, over several sessions, even if only the login is encrypted."""
    path = tmp_path / "given.pem"
    certificates["good"].cert_chain_pems[0].write_to_path(str(path))
    serving = relay(encryption=OFF if encrypt == "false" else REQUIRED, strict=encrypt == "strict")
    where = uri(serving.port, encrypt=encrypt, server_certificate=None if encrypt == "false" else str(path))
    frame = industrydb.read_sql(where, MANY, partition_on="id", partitions=partitions).sort("id")
    assert frame["id"].to_list() == list(range(25_000))
    assert frame["text"].equals(pl.Series("text", ["x" * (number // 10 % 300) for number in range(25_000)]))
    assert serving.sessions >= partitions


@pytest.mark.parametrize("encrypt", ["true", "strict"])
def test_wrong_passwords_are_refused_by_the_server(
    relay: Callable[..., TdsRelay], trusting: Trusting, encrypt: str
) -> None:
    """A wrong password is refused with the server's message, which has no password."""
    serving = relay(strict=encrypt == "strict")
    with pytest.raises(DatabaseConnectionError, match="Login failed") as raised:
        trusting.read_sql(uri(serving.port, password="wrong-secret", encrypt=encrypt), ONE)  # noqa: S106
    assert "wrong-secret" not in str(raised.value)


@pytest.mark.parametrize("encrypt", ["true", "false", "strict"])
def test_a_server_that_says_nothing_is_waited_for_so_long(encrypt: str) -> None:
    """A read waits for a silent server until `connect_timeout`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = uri(listener.getsockname()[1], encrypt=encrypt, connect_timeout="1")
        refused(industrydb.read_sql, where, "(does|did) not answer")


@pytest.mark.skipif(sys.platform != "linux", reason="needs to see what a connection has not read yet")
@pytest.mark.parametrize("encrypt", [pytest.param("true", marks=HEADER_IN_PARTS), "strict"])
def test_answers_may_come_in_parts(relay: Callable[..., TdsRelay], trusting: Trusting, encrypt: str) -> None:
    """Answers that come in parts, as networks deliver them, are read."""
    serving = relay(strict=encrypt == "strict", in_parts=True)
    assert trusting.read_sql(uri(serving.port, encrypt=encrypt), ONE) == [(1,)]


# The answers in order: the PRELOGIN packet, the server's part of the handshake, its end, the login; with strict, the
# PRELOGIN packet comes third.
@pytest.mark.parametrize(("encrypt", "answers"), [("true", 1), ("true", 3), ("true", 4), ("strict", 0), ("strict", 2)])
def test_silence_within_a_session_is_silence(
    relay: Callable[..., TdsRelay], trusting: Trusting, encrypt: str, answers: int
) -> None:
    """`connect_timeout` also limits the handshake, the login and the first statements of a session."""
    serving = relay(strict=encrypt == "strict", cut=Cut(answers, 20, silent=True))
    refused(trusting.read_sql, uri(serving.port, encrypt=encrypt, connect_timeout="1"), "(does|did) not answer")


@pytest.mark.parametrize(
    ("encrypt", "answers", "then"),
    [(encrypt, answers, then) for encrypt in ("true", "strict") for answers in range(4) for then in (0, 1, 8, 9, 40)],
)
def test_a_server_may_go_away_at_any_time(
    relay: Callable[..., TdsRelay], trusting: Trusting, encrypt: str, answers: int, then: int
) -> None:
    """A server that goes away at any point of the login is an error that names the server."""
    serving = relay(strict=encrypt == "strict", cut=Cut(answers, then))
    refused(trusting.read_sql, uri(serving.port, encrypt=encrypt), rf"cannot connect .*127\.0\.0\.1:{serving.port}")
