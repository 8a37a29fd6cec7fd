"""Tests of TLS to PostgreSQL. The wheel's server has none: a relay in front of it decrypts, and passes the bytes on."""

import os
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError, QueryTimeoutError
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import eventually, sessions, with_options

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
# PostgreSQL's error if no line of pg_hba.conf matches.
_FIELDS = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for this\0\0"
REFUSAL = b"E" + (len(_FIELDS) + 4).to_bytes(4, "big") + _FIELDS
QUERY = "SELECT g AS id, repeat('x', g % 2000) AS text FROM generate_series(1, 20000) AS g"


class TlsRelay:
    """A relay that accepts requests for TLS, and passes the decrypted bytes on to the server's Unix socket."""

    def __init__(self, server: Path, context: ssl.SSLContext, *, refuses_tls: bool = False) -> None:
        """Listen, and let clients log in with TLS, or only without TLS if `refuses_tls`."""
        self._refuses_tls = refuses_tls
        self.sessions = 0
        self.turned_away = 0
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
                if self._refuses_tls:
                    server.connect(str(self._server))
                    server.sendall(request)
                    self._pass_on(client, server)
                    return
                self.turned_away += 1
                client.recv(int.from_bytes(request[:4], "big") - len(request), socket.MSG_WAITALL)
                client.sendall(REFUSAL)
                return
            client.sendall(b"S")
            with self._context.wrap_socket(client, server_side=True) as tls:
                self.sessions += 1
                if self._refuses_tls:
                    tls.recv(1 << 16)
                    tls.sendall(REFUSAL)
                    return
                server.connect(str(self._server))
                self._pass_on(tls, server)

    @staticmethod
    def _pass_on(client: socket.socket, server: socket.socket) -> None:
        while True:
            has_more = isinstance(client, ssl.SSLSocket) and client.pending()
            ready = [client] if has_more else select.select([client, server], [], [])[0]
            source, target = (client, server) if client in ready else (server, client)
            data = source.recv(1 << 16)
            if not data:
                return
            target.sendall(data)

    def close(self) -> None:
        """Accept no more clients, and wait for the end of the others."""
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
    """All rows arrive over TLS in `prefer` and `require`, over several sessions, without a certificate check."""
    before = relay.sessions
    frame = industrydb.read_sql(uri(relay, sslmode=sslmode), QUERY, partition_on="id", partitions=3)
    assert frame["id"].to_list() == list(range(1, 20001))
    assert frame["text"].str.len_bytes().to_list() == [number % 2000 for number in range(1, 20001)]
    assert relay.sessions - before == 3


def test_disable_asks_for_no_tls(relay: TlsRelay) -> None:
    """`sslmode=disable` opens no TLS session, so that the relay, which requires TLS, refuses the login."""
    before = relay.sessions
    with pytest.raises(DatabaseConnectionError):
        industrydb.read_sql(uri(relay, sslmode="disable"), QUERY)
    assert relay.sessions == before


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_certificates_are_checked(relay: TlsRelay, authority: tuple[trustme.CA, Path], sslmode: str) -> None:
    """An authority given by `sslrootcert` is trusted, and one that is not given is not."""
    trusting = uri(relay, sslmode=sslmode, sslrootcert=str(authority[1]))
    assert industrydb.read_sql(trusting, "SELECT 1 AS one").rows() == [(1,)]
    with pytest.raises(industrydb.IndustryDbError, match=r"certificate verify failed|needs an sslrootcert"):
        industrydb.read_sql(uri(relay, sslmode=sslmode), "SELECT 1 AS one")


def test_only_verify_full_checks_the_host(relay: TlsRelay, authority: tuple[trustme.CA, Path]) -> None:
    """Only `verify-full` refuses the address 127.0.0.1, whose certificate names localhost."""
    options = {"host": "127.0.0.1", "sslrootcert": str(authority[1])}
    assert industrydb.read_sql(uri(relay, sslmode="verify-ca", **options), "SELECT 1 AS one").height == 1
    with pytest.raises(DatabaseConnectionError, match=r"TLS handshake with 127\.0\.0\.1 failed"):
        industrydb.read_sql(uri(relay, sslmode="verify-full", **options), "SELECT 1 AS one")


def test_an_expired_certificate_is_refused(own_server: Server, authority: tuple[trustme.CA, Path]) -> None:
    """An expired certificate is refused by `verify-ca`, and accepted by `require` without `sslrootcert`."""
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
    """A missing file of `sslrootcert` is an error that names it, before anything is sent."""
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigurationError, match=r"sslrootcert .*missing\.pem"):
        industrydb.read_sql(uri(relay, sslmode="require", sslrootcert=str(missing)), "SELECT 1 AS one")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the certificate of an authority that has signed nothing here."""
    path = tmp_path_factory.mktemp("strangers") / "stranger.pem"
    trustme.CA(organization_name="strangers").cert_pem.write_to_path(str(path))
    return path


def agrees_with_libpq(where: str) -> bool:
    """Tell whether libpq can connect, and check that `read_sql` can if libpq can, and only then."""
    try:
        psycopg.connect(where).close()
    except psycopg.OperationalError:
        with pytest.raises(DatabaseConnectionError):
            industrydb.read_sql(where, "SELECT 1 AS one")
        return False
    assert industrydb.read_sql(where, "SELECT 1 AS one").rows() == [(1,)]
    return True


MODES = ["prefer", "require", "verify-ca", "verify-full"]


@pytest.mark.parametrize("sslmode", MODES)
def test_an_authority_that_is_named_is_asked_in_every_mode(
    relay: TlsRelay, authority: tuple[trustme.CA, Path], strangers: Path, sslmode: str
) -> None:
    """With `sslrootcert`, a certificate of another authority is refused in every mode, as by libpq."""
    assert agrees_with_libpq(uri(relay, sslmode=sslmode, sslrootcert=str(authority[1])))
    before = relay.sessions
    assert not agrees_with_libpq(uri(relay, sslmode=sslmode, sslrootcert=str(strangers)))
    assert relay.sessions == before


@pytest.mark.parametrize("sslmode", MODES)
def test_all_certificates_of_a_bundle_count(
    relay: TlsRelay, authority: tuple[trustme.CA, Path], strangers: Path, tmp_path: Path, sslmode: str
) -> None:
    """Every certificate of a bundle is trusted, in any order, and with any text between the certificates."""
    right, wrong = authority[1].read_text(), strangers.read_text()
    for number, content in enumerate((wrong + right, right + wrong, f"# one\n{wrong}\nthe other:\n{right}", wrong)):
        bundle = tmp_path / f"{number}.pem"
        bundle.write_text(content)
        assert agrees_with_libpq(uri(relay, sslmode=sslmode, sslrootcert=str(bundle))) == (right in content)


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_bundle_without_certificates_is_named(relay: TlsRelay, tmp_path: Path, content: str) -> None:
    """A bundle without certificates is an error that names it; it would otherwise trust no server, or any."""
    bundle = tmp_path / "none.pem"
    bundle.write_text(content)
    with pytest.raises(ConfigurationError, match=r"sslrootcert .*none\.pem"):
        industrydb.read_sql(uri(relay, sslmode="require", sslrootcert=str(bundle)), "SELECT 1 AS one")


@pytest.mark.parametrize("sslmode", ["prefer", "require", "verify-full"])
def test_the_authority_in_the_users_home_is_asked_too(  # noqa: PLR0913, PLR0917, fixtures
    relay: TlsRelay,
    authority: tuple[trustme.CA, Path],
    strangers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sslmode: str,
) -> None:
    """The authority in `~/.postgresql/root.crt` is used, as by libpq."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    for path, is_right in ((authority[1], True), (strangers, False)):
        (tmp_path / ".postgresql" / "root.crt").write_bytes(path.read_bytes())
        assert agrees_with_libpq(uri(relay, sslmode=sslmode)) == is_right


SCRIPT = "import sys, industrydb; print(industrydb.read_sql(sys.argv[1], 'SELECT 1 AS one').rows())"


@pytest.mark.parametrize(
    ("sslmode", "named", "told"),
    [
        ("verify-full", None, "[(1,)]"),
        ("verify-full", "system", "[(1,)]"),
        ("verify-full", "strangers", "certificate verify failed"),
        ("require", "system", "goes with sslmode=verify-full only"),
    ],
)
def test_the_systems_authorities_count_where_none_is_named(  # noqa: PLR0913, PLR0917, fixtures
    relay: TlsRelay, authority: tuple[trustme.CA, Path], strangers: Path, sslmode: str, named: str | None, told: str
) -> None:
    """The system's authorities, the tests' own among them here, are trusted unless `sslrootcert` names another."""
    options = {"sslmode": sslmode}
    if named:
        options["sslrootcert"] = str(strangers) if named == "strangers" else named
    command = [sys.executable, "-c", SCRIPT, uri(relay, **options)]
    environment = {
        **os.environ,
        "SSL_CERT_FILE": str(authority[1]),
        "SSL_CERT_DIR": "",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told in ran.stdout + ran.stderr


READ_AND_REMOVE = (
    "import os, sys, industrydb\n"
    "read = lambda: industrydb.read_sql(sys.argv[1], 'SELECT 1 AS one').item()\n"
    "first = read()\n"
    "os.remove(os.environ['SSL_CERT_FILE'])\n"
    "print(first, read())"
)


@pytest.mark.parametrize("server", ["postgresql", "mysql"])
def test_the_systems_authorities_are_loaded_once(
    request: pytest.FixtureRequest, authority: tuple[trustme.CA, Path], tmp_path: Path, server: str
) -> None:
    """The first session that verifies loads the system's authorities, and the later ones do not look at their files."""
    trusted = tmp_path / "trusted.pem"
    if server == "mysql":
        own = request.getfixturevalue("own_mysql")
        trusted.write_bytes(own.authority.read_bytes())
        where = own.uri.replace("127.0.0.1", "localhost") + "?ssl-mode=verify_identity"
    else:
        authority[0].cert_pem.write_to_path(str(trusted))
        where = uri(request.getfixturevalue("relay"), sslmode="verify-full")
    environment = {
        **os.environ,
        "SSL_CERT_FILE": str(trusted),
        "SSL_CERT_DIR": "",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", READ_AND_REMOVE, where]
    assert subprocess.check_output(command, env=environment, text=True) == "1 1\n"


@pytest.mark.parametrize("server", ["postgresql", "mysql"])
def test_a_file_of_authorities_may_be_replaced(
    request: pytest.FixtureRequest, authority: tuple[trustme.CA, Path], strangers: Path, tmp_path: Path, server: str
) -> None:
    """A file that the URI names is read for each session, so that a new authority counts from then on."""
    trusted = tmp_path / "trusted.pem"
    if server == "mysql":
        own = request.getfixturevalue("own_mysql")
        right = own.authority.read_bytes()
        where = f"{own.uri.replace('127.0.0.1', 'localhost')}?ssl-mode=verify_identity&ssl-ca={quote(str(trusted))}"
    else:
        right = authority[1].read_bytes()
        where = uri(request.getfixturevalue("relay"), sslmode="verify-full", sslrootcert=str(trusted))
    for pem, is_right in [(right, True), (strangers.read_bytes(), False), (right, True)]:
        trusted.write_bytes(pem)
        if is_right:
            assert industrydb.read_sql(where, "SELECT 1 AS one").item() == 1
        else:
            with pytest.raises(DatabaseConnectionError, match="certificate verify failed"):
                industrydb.read_sql(where, "SELECT 1 AS one")


SLEEP = (
    "SELECT i, CASE WHEN i = 3000 THEN (SELECT count(*) FROM pg_sleep(600)) END AS n FROM generate_series(1, 3000) AS i"
)


def ended_by_timeout(where: str) -> None:
    """Read for longer than the timeout."""
    with pytest.raises(QueryTimeoutError):
        industrydb.read_sql(where, SLEEP, timeout=0.3)


def let_go(where: str) -> None:
    """Take one batch, and close the reader."""
    with closing(industrydb.read_sql_batches(where, SLEEP, batch_size=10)) as batches:
        next(batches)


def scanned(where: str) -> None:
    """Collect a scan for longer than the timeout."""
    with pytest.raises(QueryTimeoutError):
        industrydb.scan_sql(where, SLEEP, timeout=0.3).collect()


@pytest.mark.parametrize("sslmode", MODES)
@pytest.mark.parametrize("leave", [ended_by_timeout, let_go, scanned])
def test_cancel_requests_go_over_tls(
    relay: TlsRelay,
    authority: tuple[trustme.CA, Path],
    postgres: psycopg.Connection,
    leave: Callable[[str], None],
    sslmode: str,
) -> None:
    """A cancel request goes over TLS if its session does: whoever reads its key can end the session's statements."""
    name = f"{leave.__name__} {sslmode}"
    before = relay.turned_away
    leave(uri(relay, sslmode=sslmode, sslrootcert=str(authority[1]), application_name=name))
    assert relay.turned_away == before
    eventually(lambda: not sessions(postgres, name))


@pytest.fixture(scope="module")
def own_certificate(authority: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of a client's certificate, and of its key."""
    issued = authority[0].issue_cert("ana@example.org")
    folder = tmp_path_factory.mktemp("client")
    certificate, key = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    loaded = load_pem_private_key(issued.private_key_pem.bytes(), None)
    key.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    return certificate, key


def test_a_client_shows_its_certificate(
    own_server: Server, authority: tuple[trustme.CA, Path], own_certificate: tuple[Path, Path]
) -> None:
    """A client shows its certificate to a server that requires one."""
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


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer", "require"])
@pytest.mark.parametrize("refuses_tls", [False, True])
def test_rules_for_sessions_with_and_without_tls(
    own_server: Server,
    authority: tuple[trustme.CA, Path],
    sslmode: str,
    refuses_tls: bool,  # noqa: FBT001
) -> None:
    """If a server refuses logins with TLS, or without, `allow` and `prefer` try the other way, as libpq does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost").configure_cert(context)
    picky = TlsRelay(own_server.socket, context, refuses_tls=refuses_tls)
    try:
        is_let_in = sslmode != ("require" if refuses_tls else "disable")
        assert agrees_with_libpq(uri(picky, sslmode=sslmode)) == is_let_in
    finally:
        picky.close()


@pytest.fixture(scope="module")
def strict(own_server: Server, authority: tuple[trustme.CA, Path]) -> Iterator[TlsRelay]:
    """Serve TLS to clients that show a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost").configure_cert(context)
    authority[0].configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    serving = TlsRelay(own_server.socket, context)
    yield serving
    serving.close()


PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


@pytest.mark.parametrize("kind", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
@pytest.mark.parametrize("before", ["", "Bag Attributes\n    friendlyName: ana\n", PARAMETERS], ids=["", "text", "EC"])
def test_keys_are_read_in_each_form_that_openssl_writes(  # noqa: PLR0913, PLR0917, all of them matter
    strict: TlsRelay,
    authority: tuple[trustme.CA, Path],
    tmp_path: Path,
    kind: trustme.KeyType,
    form: PrivateFormat,
    before: str,
) -> None:
    """Keys in PKCS #1, SEC1 and PKCS #8 are read, with any text that OpenSSL may write in front of them."""
    issued = authority[0].issue_cert("ana@example.org", key_type=kind)
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    loaded = load_pem_private_key(issued.private_key_pem.bytes(), None)
    key.write_bytes(before.encode() + loaded.private_bytes(Encoding.PEM, form, NoEncryption()))
    key.chmod(0o600)
    assert agrees_with_libpq(uri(strict, sslmode="require", sslcert=str(certificate), sslkey=str(key)))


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_a_key_with_a_password_says_so(
    strict: TlsRelay, authority: tuple[trustme.CA, Path], tmp_path: Path, form: PrivateFormat
) -> None:
    """A key with a password is an error that says so, and how to write the key without one."""
    issued = authority[0].issue_cert("ana@example.org")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    loaded = load_pem_private_key(issued.private_key_pem.bytes(), None)
    key.write_bytes(loaded.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"hunter2")))
    key.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"client\.key: the key is encrypted.*openssl pkey"):
        industrydb.read_sql(
            uri(strict, sslmode="require", sslcert=str(certificate), sslkey=str(key)), "SELECT 1 AS one"
        )


def test_the_certificate_in_the_users_home_is_shown(
    strict: TlsRelay, own_certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's certificate and key in `~/.postgresql` are used, as by libpq."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not agrees_with_libpq(uri(strict, sslmode="require"))
    (tmp_path / ".postgresql").mkdir()
    for path, name in zip(own_certificate, ("postgresql.crt", "postgresql.key"), strict=True):
        (tmp_path / ".postgresql" / name).write_bytes(path.read_bytes())
        (tmp_path / ".postgresql" / name).chmod(0o600)
    assert agrees_with_libpq(uri(strict, sslmode="require"))


@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----"]
)
def test_a_key_that_is_none_is_named(
    relay: TlsRelay, own_certificate: tuple[Path, Path], tmp_path: Path, content: bytes | None
) -> None:
    """A file that is no key is an error that names the options."""
    key = tmp_path / "some.key"
    if content is not None:
        key.write_bytes(content)
        key.chmod(0o600)
    for sslmode in ("require", "prefer"):
        options = {"sslmode": sslmode, "sslcert": str(own_certificate[0]), "sslkey": str(key)}
        with pytest.raises(ConfigurationError, match="sslcert and sslkey: "):
            industrydb.read_sql(uri(relay, **options), "SELECT 1 AS one")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644, 0o660, 0o606])
def test_a_key_that_others_may_read_is_refused(
    strict: TlsRelay, own_certificate: tuple[Path, Path], tmp_path: Path, mode: int
) -> None:
    """A key that other users may read is refused, as by libpq."""
    key = tmp_path / "own.key"
    key.write_bytes(own_certificate[1].read_bytes())
    key.chmod(mode)
    where = uri(strict, sslmode="require", sslcert=str(own_certificate[0]), sslkey=str(key))
    if mode in (0o600, 0o400):
        assert agrees_with_libpq(where)
        return
    with pytest.raises(psycopg.OperationalError, match="permissions"):
        psycopg.connect(where)
    with pytest.raises(ConfigurationError, match=r"own\.key: others may read it: chmod 0600"):
        industrydb.read_sql(where, "SELECT 1 AS one")


def test_a_certificate_in_the_users_home_needs_its_key(
    strict: TlsRelay, own_certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate in the user's home without its key is an error, as in libpq, and is not left out of the login."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "postgresql.crt").write_bytes(own_certificate[0].read_bytes())
    where = uri(strict, sslmode="require")
    with pytest.raises(psycopg.OperationalError, match="private key"):
        psycopg.connect(where)
    with pytest.raises(ConfigurationError, match=r"its key postgresql\.key is not"):
        industrydb.read_sql(where, "SELECT 1 AS one")


@pytest.mark.parametrize("sslmode", ["verify-full", "verify-ca", "require"])
def test_a_list_of_what_was_revoked_is_not_passed_over(
    relay: TlsRelay, authority: tuple[trustme.CA, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sslmode: str
) -> None:
    """A list of revoked certificates, `~/.postgresql/root.crl`, is an error: libpq reads it, and we do not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crl").write_text("some")
    with pytest.raises(ConfigurationError, match=r"root\.crl lists certificates"):
        industrydb.read_sql(uri(relay, sslmode=sslmode, sslrootcert=str(authority[1])), "SELECT 1 AS one")


def test_verify_ca_wants_an_authority(relay: TlsRelay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`verify-ca`, which checks no name, needs an `sslrootcert`: the system's authorities sign for anybody."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(psycopg.OperationalError, match="root certificate file"):
        psycopg.connect(uri(relay, sslmode="verify-ca"))
    with pytest.raises(ConfigurationError, match="needs an sslrootcert of its own"):
        industrydb.read_sql(uri(relay, sslmode="verify-ca"), "SELECT 1 AS one")
