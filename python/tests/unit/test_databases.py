"""Databases that have a name in the config file, and the one in the environment, are there for every function."""

import logging
import sys
from pathlib import Path

import pytest

import industrydb
from industrydb import ConfigurationError

SECRET = "hunter2"  # noqa: S105, of no real account


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a config file that only its owner may read."""
    for name in ("INDUSTRYDB_URI", "INDUSTRYDB_PASSWORD", "INDUSTRYDB_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "databases.ini"
    path.write_text(
        f"""[shop]
db_type = postgresql
host = db
port = 5433
username = ana

[file]
uri = sqlite://{tmp_path}/shop.db

[asked]
db_type = postgresql
host = db
password_command = {sys.executable} -c "print('{SECRET}')"

[secret]
uri = postgresql://ana:{SECRET}@db/shop
"""
    )
    path.chmod(0o600)
    return path


def test_a_section_is_a_database(config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section is found in the given file, in ``INDUSTRYDB_CONFIG`` or in the home, and every function takes it."""
    assert industrydb.database("shop", config_file=config_file).to_uri() == "postgresql://ana@db:5433"
    monkeypatch.setenv("INDUSTRYDB_CONFIG", str(config_file))
    file = industrydb.database("file")
    assert industrydb.write_sql({"a": [1]}, "t", file) == 1
    assert industrydb.read_sql(file, "SELECT * FROM t").item() == 1
    monkeypatch.delenv("INDUSTRYDB_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "industrydb").mkdir(parents=True)
    config_file.rename(tmp_path / "home" / "industrydb" / "databases.ini")
    assert industrydb.database("file") == file


def test_the_environment_names_a_database(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``INDUSTRYDB_URI`` is the database without a name; ``INDUSTRYDB_PASSWORD`` is for servers that have none."""
    with pytest.raises(ConfigurationError, match="set INDUSTRYDB_URI"):
        industrydb.database()
    monkeypatch.setenv("INDUSTRYDB_URI", "postgresql://ana@db/shop")
    assert "password" not in industrydb.database().to_dict(include_secrets=True)
    monkeypatch.setenv("INDUSTRYDB_PASSWORD", "other")
    assert industrydb.database().to_dict(include_secrets=True).get("password") == "other"
    for name in ("secret", "asked", "file"):
        parts = industrydb.database(name, config_file=config_file).to_dict(include_secrets=True)
        assert parts.get("password") != "other"
    with pytest.raises(ConfigurationError, match="pass the name"):
        industrydb.database(config_file=config_file)


def test_a_command_of_the_file_is_asked(config_file: Path) -> None:
    """``password_command`` is not run until a login asks for the password."""
    config = industrydb.database("asked", config_file=config_file)
    ask = config.to_dict(include_secrets=True)["password"]
    assert callable(ask)
    assert ask() == SECRET
    assert SECRET not in repr(config)


def test_what_is_wrong_is_told(config_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A missing section suggests another one, a wrong one is named, and a file that others may read is warned of."""
    with pytest.raises(ConfigurationError, match=r"no section \[shp\], but \[shop\].*did you mean shop"):
        industrydb.database("shp", config_file=config_file)
    with pytest.raises(ConfigurationError, match="cannot read the config file"):
        industrydb.database("shop", config_file=config_file.parent / "none.ini")
    config_file.write_text(config_file.read_text() + "[wrong]\ndb_type = postgresql\nhots = db\n")
    with pytest.raises(ConfigurationError, match=r"section \[wrong\].*hots"):
        industrydb.database("wrong", config_file=config_file)
    config_file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        industrydb.database("shop", config_file=config_file)
        assert not caplog.records
        industrydb.database("secret", config_file=config_file)
    assert "chmod 600" in caplog.text
    assert SECRET not in caplog.text
