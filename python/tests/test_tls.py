"""TLS to PostgreSQL. The wheel's server has none: a relay in front of it speaks TLS and passes on what it decrypts."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError

from .servers import PASSWORDS, Server, tcp_uri
from .support import with_options

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
QUERY = "SELECT g AS id, repeat('x', g % 2000) AS text FROM generate_series(1, 20000) AS g"


class TlsRelay:
    """Answers the request for TLS with yes, and takes what is inside to the server's Unix socket."""

    def __init__(self, server: Path, context: ssl.SSLContext) -> None:
        """Listen and serve."""
        self.sessions = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self._server = server
        self._context = context
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # closing the listener ends it
            while True:
                client, _ = self.listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.socket(socket.AF_UNIX) as server:
            request = client.recv(len(SSL_REQUEST), socket.MSG_WAITALL)
            if request != SSL_REQUEST:  # a cancel request, or a client that does without TLS
                return
            client.sendall(b"S")
            server.connect(str(self._server))
            with self._context.wrap_socket(client, server_side=True) as tls:
                self.sessions += 1
                while True:
                    ready = [tls] if tls.pending() else select.select([tls, server], [], [])[0]
                    source, target = (tls, server) if tls in ready else (server, tls)
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    target.sendall(data)

    def close(self) -> None:
        """Let no more in, and wait for who is in."""
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self.listener.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """Return a certificate authority of our own, and its certificate's file."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, path


@pytest.fixture(scope="module")
def relay(own_server: Server, authority: tuple[trustme.CA, Path]) -> Iterator[TlsRelay]:
    """Serve TLS as the host named localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost").configure_cert(context)
    serving = TlsRelay(own_server.socket, context)
    yield serving
    serving.close()


def uri(relay: TlsRelay, host: str = "localhost", **options: str) -> str:
    """Return a URI that logs in through the relay; over a Unix socket the server asks for no password."""
    where = tcp_uri(relay.port, "postgres", PASSWORDS["scram_user"]).replace("127.0.0.1", host)
    return with_options(where, **options)


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
def test_what_comes_through_tls_is_whole(relay: TlsRelay, sslmode: str) -> None:
    """In both modes that take it, also over several sessions, whose certificate nobody checks."""
    before = relay.sessions
    frame = industrydb.read_sql(uri(relay, sslmode=sslmode), QUERY, partition_on="id", partitions=3)
    assert frame["id"].to_list() == list(range(1, 20001))
    assert frame["text"].str.len_bytes().to_list() == [number % 2000 for number in range(1, 20001)]
    assert relay.sessions - before == 3


def test_disable_asks_for_no_tls(relay: TlsRelay) -> None:
    """The relay takes nothing else, and so refuses."""
    before = relay.sessions
    with pytest.raises(DatabaseConnectionError):
        industrydb.read_sql(uri(relay, sslmode="disable"), QUERY)
    assert relay.sessions == before


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_certificates_are_checked(relay: TlsRelay, authority: tuple[trustme.CA, Path], sslmode: str) -> None:
    """An authority that is given is trusted, one that is not is not."""
    trusting = uri(relay, sslmode=sslmode, sslrootcert=str(authority[1]))
    assert industrydb.read_sql(trusting, "SELECT 1 AS one").rows() == [(1,)]
    with pytest.raises(DatabaseConnectionError, match="certificate verify failed"):
        industrydb.read_sql(uri(relay, sslmode=sslmode), "SELECT 1 AS one")


def test_only_verify_full_checks_the_host(relay: TlsRelay, authority: tuple[trustme.CA, Path]) -> None:
    """The certificate names localhost, and not its address."""
    options = {"host": "127.0.0.1", "sslrootcert": str(authority[1])}
    assert industrydb.read_sql(uri(relay, sslmode="verify-ca", **options), "SELECT 1 AS one").height == 1
    with pytest.raises(DatabaseConnectionError, match=r"TLS handshake with 127\.0\.0\.1 failed"):
        industrydb.read_sql(uri(relay, sslmode="verify-full", **options), "SELECT 1 AS one")


def test_an_expired_certificate_is_refused(own_server: Server, authority: tuple[trustme.CA, Path]) -> None:
    """By whoever checks certificates at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    authority[0].issue_cert("localhost", not_before=yesterday, not_after=yesterday).configure_cert(context)
    late = TlsRelay(own_server.socket, context)
    try:
        trusting = uri(late, sslmode="verify-ca", sslrootcert=str(authority[1]))
        with pytest.raises(DatabaseConnectionError, match="expired"):
            industrydb.read_sql(trusting, "SELECT 1 AS one")
        assert industrydb.read_sql(uri(late, sslmode="require"), "SELECT 1 AS one").height == 1
    finally:
        late.close()


def test_a_missing_authority_is_named(relay: TlsRelay, tmp_path: Path) -> None:
    """Before anything is sent."""
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigurationError, match=r"sslrootcert .*missing\.pem"):
        industrydb.read_sql(uri(relay, sslmode="require", sslrootcert=str(missing)), "SELECT 1 AS one")


@pytest.fixture(scope="module")
def own_certificate(authority: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of a client's certificate, and of its key."""
    issued = authority[0].issue_cert("ana@example.org")
    folder = tmp_path_factory.mktemp("client")
    certificate, key = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    loaded = load_pem_private_key(issued.private_key_pem.bytes(), None)
    key.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


def test_a_client_shows_its_certificate(
    own_server: Server, authority: tuple[trustme.CA, Path], own_certificate: tuple[Path, Path]
) -> None:
    """To a server that lets nobody in without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost").configure_cert(context)
    authority[0].configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    strict = TlsRelay(own_server.socket, context)
    try:
        certificate, key = map(str, own_certificate)
        shown = uri(strict, sslmode="require", sslcert=certificate, sslkey=key)
        assert industrydb.read_sql(shown, "SELECT 1 AS one").rows() == [(1,)]
        with pytest.raises(DatabaseConnectionError):
            industrydb.read_sql(uri(strict, sslmode="require"), "SELECT 1 AS one")
    finally:
        strict.close()


@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----"]
)
def test_a_key_that_is_none_is_named(
    relay: TlsRelay, own_certificate: tuple[Path, Path], tmp_path: Path, content: bytes | None
) -> None:
    """With what it should be, and nothing of its content."""
    key = tmp_path / "some.key"
    if content is not None:
        key.write_bytes(content)
    for sslmode in ("require", "prefer"):
        options = {"sslmode": sslmode, "sslcert": str(own_certificate[0]), "sslkey": str(key)}
        with pytest.raises(ConfigurationError, match="sslcert and sslkey: "):
            industrydb.read_sql(uri(relay, **options), "SELECT 1 AS one")
