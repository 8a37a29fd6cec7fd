"""Logins to MariaDB and MySQL, with TLS and without, and to a script that asks as MySQL 8 does."""

import hashlib
import os
import ssl
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import mysql.connector
import pytest
import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from pymysql import _auth

import industrydb
from industrydb import ConfigurationError, DatabaseConnectionError, IndustryDbError
from tests.kit.mariadb import PASSWORDS, MariaDb, Pymysql
from tests.kit.mysql import USERS
from tests.kit.mysql_script import NONCE, OK, Conversation, error, scripted

SECRET = "hunter2 ½"  # noqa: S105, of a script


def uri(server: MariaDb, user: str = "root", options: str = "", host: str = "127.0.0.1") -> str:
    """Return the URI of a user of the server."""
    password = quote(PASSWORDS.get(user, ""), safe="")
    return f"mysql://{user}:{password}@{host}:{server.port}/test{options}"


def cipher(address: str) -> str:
    """Return the cipher of a session's TLS; empty without TLS."""
    row = industrydb.read_sql(address, "SELECT variable_value AS v FROM information_schema.session_status "
                                       "WHERE variable_name = 'Ssl_cipher'")  # fmt: skip
    return str(row.item())


@pytest.mark.parametrize("user", ["root", "native_user", "ed25519_user", "none_user"])
@pytest.mark.parametrize("mode", ["disabled", "preferred", "required"])
def test_users_log_in(own_mysql: MariaDb, user: str, mode: str) -> None:
    """Each kind of login works with TLS and without, as the mode says."""
    assert bool(cipher(uri(own_mysql, user, f"?ssl-mode={mode}"))) == (mode != "disabled")


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("options", ["ssl-mode=required", "ssl-mode=disabled&get-server-public-key=true"])
def test_users_of_mysql_log_in(mysql_itself: MariaDb, user: str, options: str) -> None:
    """MySQL's own login is complete at the first time, and short once the server knows the password."""
    uri = f"mysql://{user}:{quote(USERS[user], safe='')}@127.0.0.1:{mysql_itself.port}/test?{options}"
    with closing(Pymysql(mysql_itself.uri)) as other:
        other.execute("FLUSH PRIVILEGES")  # the server forgets the passwords
    for _ in range(2):
        found = industrydb.read_sql(uri, "SELECT substring_index(user(), '@', 1) AS u").item()
        assert found == user
    with pytest.raises(DatabaseConnectionError, match="Access denied"):
        industrydb.read_sql(uri.replace(f"{user}:", f"{user}:not"), "SELECT 1 AS a")


@pytest.mark.parametrize("user", ["root", "native_user", "ed25519_user", "nobody"])
def test_a_wrong_password_is_refused(own_mysql: MariaDb, user: str) -> None:
    """A wrong password is a connection error with the server's number, and without the password."""
    with pytest.raises(DatabaseConnectionError) as raised:
        industrydb.read_sql(f"mysql://{user}:hunter2@127.0.0.1:{own_mysql.port}/test", "SELECT 1 AS a")
    assert raised.value.code == "1045"
    assert not raised.value.is_transient
    assert "hunter2" not in str(raised.value)


def test_sockets_and_the_environment(own_mysql: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Unix socket works in place of host and port, and `MYSQL_PWD` in place of a password."""
    monkeypatch.setenv("MYSQL_PWD", PASSWORDS["root"])
    address = f"mariadb://root@/test?unix_socket={quote(str(own_mysql.socket), safe='')}"
    assert industrydb.read_sql(address, "SELECT 1 AS a").item() == 1
    with pytest.raises(DatabaseConnectionError, match="socket"):
        industrydb.read_sql("mysql://root@/test?unix_socket=/nowhere/sock", "SELECT 1 AS a")


def test_the_users_option_file(own_mysql: MariaDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the URI lacks comes from `[client]` in `~/.my.cnf`, then from the environment, and nothing shows it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MYSQL_PWD", SECRET)
    file = tmp_path / ".my.cnf"
    user, password = "native_user", PASSWORDS["native_user"]
    file.write_text(
        f'[mysqld]\nuser = mysql\n[client]\nuser = {user}\npassword = "{password}" # kept here\n'
        f"host = 127.0.0.1\nport = {own_mysql.port}\nssl_mode = REQUIRED\n[mysql]\nuser = nobody\n",
        encoding="utf-8",
    )
    asked = "SELECT substring_index(user(), '@', 1) AS u"
    assert industrydb.read_sql("mysql:///test", asked).item() == user
    assert cipher("mysql:///test")
    assert not cipher("mysql:///test?ssl-mode=disabled")
    assert industrydb.read_sql(f"mysql://127.0.0.1:{own_mysql.port}/test", asked).item() == user
    assert industrydb.read_sql(uri(own_mysql, "root"), asked).item() == "root"
    assert password not in repr(industrydb.plan_sql("mysql:///test", asked))
    with pytest.raises(DatabaseConnectionError, match="1045"):  # the file's password is another user's
        industrydb.read_sql(f"mysql://root@127.0.0.1:{own_mysql.port}/test", asked)
    file.chmod(0o666)
    with pytest.raises(DatabaseConnectionError):
        industrydb.read_sql("mysql:///test", asked)


def test_certificates_are_verified(own_mysql: MariaDb, tmp_path: Path) -> None:
    """`verify_ca` asks for the authority's signature, `verify_identity` for the host's name too."""
    authority = quote(str(own_mysql.authority), safe="")
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    assert cipher(uri(own_mysql, options=f"?ssl-mode=verify_ca&ssl-ca={authority}"))
    assert cipher(uri(own_mysql, options=f"?ssl-ca={authority}"))
    assert cipher(uri(own_mysql, options=f"?ssl-mode=verify_identity&ssl-ca={authority}", host="localhost"))
    for options, host in [
        (f"?ssl-mode=verify_identity&ssl-ca={authority}", "127.0.0.1"),
        (f"?ssl-mode=verify_ca&ssl-ca={other}", "localhost"),
        ("?ssl-mode=verify_identity", "localhost"),
    ]:
        with pytest.raises(DatabaseConnectionError, match=r"(?i)certificate"):
            industrydb.read_sql(uri(own_mysql, options=options, host=host), "SELECT 1 AS a")


def test_a_server_that_asks_for_tls_gets_it(own_mysql: MariaDb) -> None:
    """A user who must use TLS is refused without it, and let in with it."""
    with closing(Pymysql(own_mysql.uri)) as other:
        other.execute("CREATE OR REPLACE USER 'tls_user'@'%' REQUIRE SSL")
        other.execute("GRANT ALL ON test.* TO 'tls_user'@'%'")
    assert cipher(uri(own_mysql, "tls_user"))
    with pytest.raises(DatabaseConnectionError):
        industrydb.read_sql(uri(own_mysql, "tls_user", "?ssl-mode=disabled"), "SELECT 1 AS a")


# Logins of MySQL 8, by script. The proofs are checked against pymysql's, or decrypted.


def log_in(port: int, options: str = "", password: str = SECRET) -> None:
    """Log in to the script, which refuses every command after the login."""
    address = f"mysql://ana:{quote(password, safe='')}@127.0.0.1:{port}/test{options}"
    with pytest.raises(IndustryDbError, match="the script has ended") as raised:
        industrydb.read_sql(address, "SELECT 1 AS a")
    assert raised.value.code == "1235"


PROOFS = {
    "caching_sha2_password": _auth.scramble_caching_sha2,
    "mysql_native_password": _auth.scramble_native_password,
}


@pytest.mark.parametrize("plugin", PROOFS)
@pytest.mark.parametrize("switched", [False, True], ids=["proposed", "switched"])
def test_proofs_are_those_of_other_drivers(plugin: str, switched: bool) -> None:  # noqa: FBT001
    """The proof of a password is pymysql's and that of MySQL's own driver, proposed by the server or switched to."""
    expected = PROOFS[plugin](SECRET.encode(), NONCE)

    def script(with_client: Conversation) -> None:
        other = "mysql_native_password" if plugin.startswith("caching") else "caching_sha2_password"
        with_client.greet(other if switched else plugin)
        user, proof, _ = with_client.login()
        assert user == b"ana"
        if switched:
            with_client.send(b"\xfe" + plugin.encode() + b"\0" + NONCE + b"\0")
            proof = with_client.receive()
        assert proof == expected
        if plugin.startswith("caching"):
            with_client.send(b"\1\3")  # the server knows the password
        with_client.send(OK)
        with_client.refuse_all()

    with scripted(script) as port:
        log_in(port, "?ssl-mode=disabled")
    with scripted(script) as port, pytest.raises(mysql.connector.Error, match="the script has ended"):
        mysql.connector.connect(
            host="127.0.0.1", port=port, user="ana", password=SECRET, use_pure=True, ssl_disabled=True
        )


@pytest.mark.parametrize("last", [b"x", b"\0"], ids=["text", "zero"])
@pytest.mark.parametrize("plugin", ["client_ed25519", "parsec"])
@pytest.mark.parametrize("marked", [False, True], ids=["raw", "marked"])
def test_signatures_are_those_of_the_password(plugin: str, last: bytes, marked: bool) -> None:  # noqa: FBT001
    """MariaDB's own logins sign the server's nonce, which may end with a zero, by a key that the password makes."""
    nonce, salt = b"n" * 31 + last, b"eighteen bytes sal"
    password = "a password of thirty-two letters"  # noqa: S105, as long as a key, which ed25519 then makes of it

    def script(with_client: Conversation) -> None:
        with_client.greet(plugin if marked else "mysql_native_password", version="5.5.5-11.8.2-MariaDB")
        with_client.login()
        with_client.send(b"\xfe" + plugin.encode() + b"\0" + nonce)
        seed, own = password.encode(), b""
        answer = with_client.receive()
        if plugin == "parsec":
            assert answer == b""
            with_client.send(b"\1" * marked + b"P\2" + salt)
            own, answer = (signed := with_client.receive())[:32], signed[32:]
            seed = hashlib.pbkdf2_hmac("sha512", seed, salt, 4096, 32)
        ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().verify(answer, nonce + own)
        with_client.send(OK)
        with_client.refuse_all()

    with scripted(script) as port:
        log_in(port, "?ssl-mode=disabled", password)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """Make the key of a server."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return the public key as a file has it."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def decrypted(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
    """Return the password that a client has encrypted for the server."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303, MySQL's own
    mixed = key.decrypt(data, oaep)
    return bytes(byte ^ NONCE[index % len(NONCE)] for index, byte in enumerate(mixed))


@pytest.mark.parametrize("plugin", ["caching_sha2_password", "sha256_password"])
@pytest.mark.parametrize("way", ["asked for", "file"])
def test_a_password_is_encrypted_for_the_servers_key(
    tmp_path: Path, key: rsa.RSAPrivateKey, plugin: str, way: str
) -> None:
    """Without TLS, a server that wants the password itself gets it encrypted by its public key."""
    (tmp_path / "key.pem").write_bytes(pem(key))
    asked = b"\2" if plugin.startswith("caching") else b"\1"

    def script(with_client: Conversation) -> None:
        with_client.greet(plugin)
        _, first, _ = with_client.login()
        if plugin.startswith("caching"):
            with_client.send(b"\1\4")  # the server does not know the password
            first = with_client.receive()
        if way == "asked for":
            assert first == asked
            with_client.send(b"\1" + pem(key))
            first = with_client.receive()
        assert decrypted(key, first) == SECRET.encode() + b"\0"
        with_client.send(OK)
        with_client.refuse_all()

    option = "get-server-public-key=true" if way == "asked for" else f"server-public-key-path={tmp_path}/key.pem"
    with scripted(script) as port:
        log_in(port, f"?ssl-mode=disabled&{option}")


@pytest.mark.parametrize("plugin", ["caching_sha2_password", "sha256_password", "mysql_clear_password"])
def test_no_password_is_sent_in_the_clear(plugin: str) -> None:
    """Without TLS and a public key, the password is not sent, nor a key asked for, and the error says what to do."""

    def script(with_client: Conversation) -> None:
        with_client.greet(plugin)
        _, proof, _ = with_client.login()
        assert SECRET.encode() not in proof
        if plugin.startswith("caching"):
            with_client.send(b"\1\4")
        elif plugin.startswith("mysql_clear"):
            with_client.send(b"\xfe" + plugin.encode() + b"\0")
        assert with_client.receive() == b""

    with scripted(script) as port:
        address = f"mysql://ana:{quote(SECRET, safe='')}@127.0.0.1:{port}/test?ssl-mode=disabled"
        with pytest.raises((DatabaseConnectionError, ConfigurationError), match=r"TLS|ssl-mode|clear") as raised:
            industrydb.read_sql(address, "SELECT 1 AS a")
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("plugin", ["caching_sha2_password", "sha256_password"])
def test_a_password_is_sent_through_tls(tmp_path: Path, plugin: str) -> None:
    """Through TLS, a server that wants the password itself gets it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def script(with_client: Conversation) -> None:
        with_client.greet(plugin, offers_tls=True)
        _, proof, _ = with_client.login(context)
        if plugin.startswith("caching"):
            assert proof == _auth.scramble_caching_sha2(SECRET.encode(), NONCE)
            with_client.send(b"\1\4")
            proof = with_client.receive()
        assert proof == SECRET.encode() + b"\0"
        with_client.send(OK)
        with_client.refuse_all()

    with scripted(script) as port:
        log_in(port, f"?ssl-mode=verify_identity&ssl-ca={tmp_path}/ca.pem")


def test_an_empty_password_proves_nothing() -> None:
    """A user without a password sends an empty proof."""

    def script(with_client: Conversation) -> None:
        with_client.greet("caching_sha2_password")
        _, proof, _ = with_client.login()
        assert proof == b""
        with_client.send(OK)
        with_client.refuse_all()

    with scripted(script) as port:
        log_in(port, "?ssl-mode=disabled", password="")


def test_a_server_without_tls_is_refused_if_it_is_required() -> None:
    """A server that offers no TLS gets no login if TLS is required."""

    def script(with_client: Conversation) -> None:
        with_client.greet("caching_sha2_password")
        assert with_client.receive() == b""

    with scripted(script) as port, pytest.raises(DatabaseConnectionError, match="TLS"):
        industrydb.read_sql(f"mysql://ana:x@127.0.0.1:{port}/test?ssl-mode=required", "SELECT 1 AS a")


@pytest.mark.parametrize("name", ["/etc/passwd", "industrydb"])
def test_no_file_is_sent(name: str) -> None:
    """A server that asks for a file in answer to any statement gets nothing, and the error names the file."""
    asked = []

    def script(with_client: Conversation) -> None:
        with_client.greet("mysql_native_password", version="5.5.5-10.11.14-MariaDB")
        with_client.login()
        with_client.send(OK)
        while packet := with_client.receive():
            if packet[:1] not in (b"\x03", b"\x16"):  # neither a statement nor one to be prepared
                break
            asked.append(packet)
            with_client.send(b"\xfb" + name.encode())
            # An empty packet ends the file, and an error the statement.
            assert with_client.receive() == b""
            with_client.send(error(1105, "no such file"))

    with scripted(script) as port, pytest.raises(IndustryDbError, match=name):
        industrydb.read_sql(f"mysql://ana:x@127.0.0.1:{port}/test?ssl-mode=disabled", "SELECT 1 AS a")
    assert asked


@pytest.mark.parametrize("option", ["ssl-ca", "server-public-key-path"])
def test_a_pipe_in_place_of_a_file_is_refused(own_mysql: MariaDb, tmp_path: Path, option: str) -> None:
    """A path that names a pipe, whose reading might never end, raises an error that names the option."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=f"{option} .*pipe: it is no file"):
        industrydb.read_sql(f"{own_mysql.uri}?{option}={tmp_path / 'pipe'}&connect_timeout=5", "SELECT 1 AS x")
