"""Tests of where the command finds its database and the password, and that no password is shown."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.support import AT_A_TERMINAL, COMMAND, in_process, run
from tests.kit.leaks import LEAKS
from tests.kit.servers import PASSWORDS, Server, tcp_uri
from tests.kit.support import PATIENCE_S, SqliteFile

# Where the database is

WHO = "SELECT current_user::text AS who"
WHO_SCRAM = [{"who": "scram_user"}]
SECRET = PASSWORDS["scram_user"]


def write_config(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a config file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


@pytest.mark.parametrize("place", ["option", "INDUSTRYDB_CONFIG", "XDG_CONFIG_HOME", "HOME"])
def test_the_config_file(
    orders: SqliteFile, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, place: str
) -> None:
    """The config file is found in each of its places; `--database` takes precedence over `INDUSTRYDB_URI`."""
    monkeypatch.setenv("INDUSTRYDB_URI", "sqlite://elsewhere.db")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg") if place == "XDG_CONFIG_HOME" else "")
    path = {"XDG_CONFIG_HOME": "xdg/industrydb/databases.ini", "HOME": ".config/industrydb/databases.ini"}.get(
        place, "x"
    )
    write_config(
        tmp_path / path, f"[my db]\nuri = {orders.uri}\n[parts]\ndb_type = sqlite\npath = {orders.path}", 0o644
    )
    arguments = ["--config", "x"] if place == "option" else []
    if place == "INDUSTRYDB_CONFIG":
        monkeypatch.setenv(place, "x")
    for name in ("my db", "parts"):
        found = in_process(capfd, "schema", "SELECT id FROM orders", "--database", name, *arguments)
        assert found == (0, "id  Int64\n", "")


def test_the_environments_uri(
    orders: SqliteFile, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`INDUSTRYDB_URI` is used if no database is given; for SQLite, `INDUSTRYDB_PASSWORD` is ignored."""
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", "hunter2")
    monkeypatch.setenv("INDUSTRYDB_URI", orders.uri)
    assert in_process(capfd, "schema", "SELECT id FROM orders") == (0, "id  Int64\n", "")
    monkeypatch.setenv("INDUSTRYDB_URI", "sqlite://elsewhere.db")
    assert in_process(capfd, "schema", "SELECT id FROM orders", "-u", orders.uri) == (0, "id  Int64\n", "")


# Texts of config files that are wrong for `--database db`, and part of the message.
CONFIGS = [
    ("[other]\n[more]", "has no section [db], but [other], [more]"),
    ("", "has no section [db], but none"),
    ("[db]\nhunter2", "line 2 of x is no [section] and no key = value"),
    ("hunter2\n[db]", "line 1 of x is no [section]"),
    ("[db]\nuri=sqlite://x\nuri=postgresql://ana:hunter2@h", "line 3 of x is no"),
    ("[db]\n[db]\npassword = hunter2", "line 2 of x is no"),
    ("[db]\nuri=sqlite://x.db\npassword=hunter2", "section [db] of x: there is a uri, which says it all, and password"),
    ("[db]\nuri=ana:hunter2@h", "section [db] of x: "),
    ("[db]\ndb_type=postgresql\nport=hunter2", "section [db] of x: the port must be"),
    (
        "[db]\ndb_type=postgresql\nsslmod=hunter2",
        'section [db] of x: unknown option "sslmod" for PostgreSQL, did you mean "sslmode"',
    ),
    ("[db]\npassword=hunter2", "section [db] of x: the dict names no database"),
]


@pytest.mark.parametrize(("text", "said"), CONFIGS)
def test_a_wrong_config_file(capfd: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str) -> None:
    """The message says where the config file is wrong, and repeats nothing that may be a password."""
    write_config(tmp_path / "x", text)
    code, out, err = in_process(capfd, "read", "SELECT 1 AS a", "--database", "db", "--config", "x")
    assert (code, out) == (2, "")
    assert said in err
    assert "hunter2" not in err
    (tmp_path / "x").write_bytes(b"[db]\nuri=\xff")
    assert "is not UTF-8" in in_process(capfd, "read", "SELECT 1", "--database", "db", "--config", "x")[2]


# Passwords


def test_passwords_that_arrive(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A password is taken from the first place that has one and never shown; one in `--uri` gives a warning."""
    without, whole = tcp_uri(own_server.port, "scram_user", None), tcp_uri(own_server.port, "scram_user", SECRET)
    keys = f"db_type=postgresql\nhost=127.0.0.1\nport={own_server.port}\nusername=scram_user\ndatabase=postgres"
    text = f"[uri]\nuri = {whole}\n[keys]\n{keys}\npassword = {SECRET}\n[without]\n{keys}"
    write_config(tmp_path / "x", text)
    read = ("read", WHO, "--json", "--quiet")
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", "wrong")
    for database in (["--database", "uri"], ["--database", "keys"]):
        code, out, err = in_process(capfd, *read, *database, "--config", "x")
        assert (code, json.loads(out), err) == (0, WHO_SCRAM, "")
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", SECRET)
    for database in (["-u", without], ["--database", "without", "--config", "x"]):
        code, out, err = in_process(capfd, *read, *database)
        assert (code, json.loads(out), err) == (0, WHO_SCRAM, "")
    monkeypatch.delenv("INDUSTRYDB_PASSWORD")
    monkeypatch.setenv("INDUSTRYDB_URI", whole)
    assert in_process(capfd, *read)[0] == 0
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert in_process(capfd, *read, "-u", without)[0] == 0
    code, out, err = in_process(capfd, *read, "-u", whole)
    assert (code, json.loads(out)) == (0, WHO_SCRAM)
    assert err.startswith("industrydb: warning: every user of this machine can see a password in --uri")
    assert err.count("\n") == 1
    assert SECRET not in err


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604, 0o400])
def test_a_config_file_that_others_read(
    own_server: Server, capfd: pytest.CaptureFixture[str], tmp_path: Path, mode: int
) -> None:
    """A config file that other users may read gives a warning if it has a password."""
    for secret, warned in ((SECRET, mode & 0o077 != 0), (None, False)):
        (tmp_path / "x").unlink(missing_ok=True)
        write_config(tmp_path / "x", f"[db]\nuri = {tcp_uri(own_server.port, 'scram_user', secret)}", mode)
        _, _, err = in_process(capfd, "read", WHO, "--quiet", "--database", "db", "--config", "x")
        assert ("warning: others may read x" in err) == warned
        assert SECRET not in err


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
@pytest.mark.parametrize(("typed", "code"), [(f"{SECRET}\n", 0), ("hunter2\n", 1), ("\x03", 130), ("\x04", 2)])
def test_a_password_that_is_asked_for(own_server: Server, typed: str, code: int) -> None:
    """A password typed for `--password` takes precedence over all others, and is not shown."""
    read = [
        *COMMAND,
        "read",
        WHO,
        "-u",
        tcp_uri(own_server.port, "scram_user", None),
        "--password",
        "--quiet",
        "--json",
    ]
    with subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, *read],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"INDUSTRYDB_PASSWORD": "wrong"},
    ) as child:  # fmt: skip
        watchdog = threading.Timer(PATIENCE_S, child.kill)
        watchdog.start()
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            shown = b""
            while not shown.endswith(b"Password for postgresql://scram_user@127.0.0.1:%d/postgres: " % own_server.port):
                shown += (byte := child.stdout.read(1))
                assert byte, shown
            child.stdin.write(typed.encode())
            child.stdin.flush()
            rest = child.stdout.read().decode()
            assert child.wait(PATIENCE_S) == code
        finally:
            watchdog.cancel()
            child.kill()
    assert ("scram_user" in rest) == (code in {0, 1})
    assert not [secret for secret in (SECRET, "hunter2") if secret in rest]


LEAKING: list[list[str]] = [
    *[["read", "SELECT 1 AS a", "--uri", uri] for uri in LEAKS],
    *[["read", "SELECT 1 AS a", f"--uri={uri}"] for uri in LEAKS[:3]],
    *[[place, "SELECT 1 AS a"] for place in LEAKS],
    *[["read", "SELECT 1 AS a", place] for place in LEAKS],
    *[["read", place, "-u", "sqlite://missing.db"] for place in LEAKS[:3]],
    *[["read", "SELECT 1 AS a", "--partitions", place] for place in LEAKS],
    ["read", "SELECT 1 AS a", f"--partitions={LEAKS[0]}"],
    ["read", "SELECT 1 AS a", "--password=hunter2"],
    ["read", "SELECT 1 AS a", "--password", "hunter2"],
    ["read", "SELECT 1 AS a", "--pass=hunter2"],
    ["read", "SELECT 1 AS a", "-phunter2"],
    ["read", "SELECT 1 AS a", f"-p{LEAKS[0]}"],
    ["read", "SELECT 1 AS a", "--json=hunter2"],
    ["extract", "SELECT 1 AS a", LEAKS[0], "-u", "sqlite://missing.db"],
    ["extract", "SELECT 1 AS a", "out", "--format", LEAKS[0]],
]


@pytest.mark.parametrize("arguments", LEAKING, ids=str)
def test_no_argument_is_repeated(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, arguments: list[str]
) -> None:
    """No output and no log repeats a password, whichever argument has it."""
    with caplog.at_level("DEBUG"):
        code, out, err = in_process(capfd, *arguments)
    assert code in {1, 2}
    assert "industrydb: " in err
    for secret in ("hunter2", "hun", "ter2", "123?"):
        assert secret not in out + err + caplog.text


@pytest.mark.parametrize("uri", LEAKS)
@pytest.mark.parametrize("place", ["INDUSTRYDB_URI", "config"])
def test_no_setting_is_repeated(  # noqa: PLR0913, PLR0917
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    place: str,
    uri: str,
) -> None:
    """No output and no log repeats a password of a URI in the environment or the config file."""
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", "hunter2")
    if place == "config":
        write_config(tmp_path / "x", f"[db]\nuri = {uri}", 0o644)
    else:
        monkeypatch.setenv(place, uri)
    arguments = ["--database", "db", "--config", "x"] if place == "config" else []
    with caplog.at_level("DEBUG"):
        code, out, err = in_process(capfd, "read", "SELECT 1 AS a", *arguments)
    assert code in {1, 2}
    for secret in ("hunter2", "hun", "ter2", "123?"):
        assert secret not in out + err + caplog.text


def test_the_log(own_server: Server) -> None:
    """`--verbose` prints the log on standard error, without the password."""
    uri = tcp_uri(own_server.port, "scram_user", None)
    for secret, code in ((SECRET, 0), ("hunter2", 1)):
        done = run("read", WHO, "-u", uri, "--json", "--verbose", env=os.environ | {"INDUSTRYDB_PASSWORD": secret})
        assert done.returncode == code
        assert ("DEBUG industrydb" in done.stderr) == (code == 0)  # a failed login logs nothing, and prints an error
        assert secret not in done.stdout + done.stderr
