"""Help, completion and what the command says about mistakes: near names, and options instead of Python's arguments."""

import importlib.util
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import industrydb
from industrydb import ConfigurationError
from industrydb._cli import main
from industrydb._cli.arguments import QUERIES
from industrydb._cli.help_texts import COMMANDS
from industrydb._cli.spelling import as_options, with_options
from industrydb._extract.manifest import Difference
from tests.kit.support import PATIENCE_S, SqliteFile
from tests.kit.terminal import at_a_terminal

COMMAND = [sys.executable, "-m", "industrydb"]


def helped(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the help of a command."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return capfd.readouterr().out


def test_help_has_groups_and_examples(capfd: pytest.CaptureFixture[str]) -> None:
    """The help of each command has its options in groups, and examples that name the command."""
    assert all(re.search(rf"^    {name} ", helped(capfd), re.MULTILINE) for name in COMMANDS)
    for name in COMMANDS:
        text = helped(capfd, name)
        assert f"examples:\n  industrydb {name} " in text or f"| industrydb {name} " in text
        assert max(map(len, text.splitlines())) <= 80
        assert ("\nquery:\n" in text) == (name in QUERIES)
        assert ("\ndatabase:\n" in text) == (name in {*QUERIES, "write"})
    groups = re.findall(r"^(.*):$", helped(capfd, "write"), re.MULTILINE)
    assert groups[:6] == ["arguments", "options", "the database", "the file", "the table", "messages"]
    assert "examples:\n  industrydb read " in helped(capfd)
    groups = re.findall(r"^(.*):$", helped(capfd, "read"), re.MULTILINE)
    assert groups[:7] == ["arguments", "options", "the database", "partitions", "the query", "the result", "messages"]


def examples(text: str) -> list[str]:
    """Return the commands of a help's examples, each with its lines joined."""
    block = text.partition("examples:\n")[2].partition("\n\n")[0].replace("\\\n", " ")
    return [line.strip() for line in block.splitlines() if "industrydb" in line]


@pytest.mark.skipif(os.name != "posix", reason="runs a shell")
def test_the_examples_of_the_help_run(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every example of every help runs without an error, one after the other, on tables and files of their names."""
    orders = {"id": [1, 2], "day": ["2024-01-01", "2024-02-29"]}
    industrydb.write_sql(orders, "orders", tmp_path / "orders.db")
    industrydb.write_sql({"l_orderkey": list(range(1, 129))}, "lineitem", tmp_path / "orders.db")
    (tmp_path / "report.sql").write_text("SELECT * FROM orders WHERE day > ?")
    for path in (tmp_path / "databases.ini", tmp_path / ".config" / "industrydb" / "databases.ini"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[warehouse]\nuri = sqlite://orders.db\n")
    for folder in (".local/share/bash-completion/completions", ".config/fish/completions"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "industrydb").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m industrydb "$@"\n')
    (tmp_path / "industrydb").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CONFIG_HOME"}
    environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "INDUSTRYDB_URI": "sqlite://orders.db"}
    commands = [command for name in COMMANDS for command in examples(helped(capfd, name))]
    commands += [command for command in examples(helped(capfd)) if "write" not in command or "orders_copy" in command]
    assert len(commands) >= 16
    for command in commands:
        if "fpath" in command or ("completion" in command and importlib.util.find_spec("shtab") is None):
            continue  # a variable of zsh
        again = command.replace("write orders.parquet orders_copy", "write orders.parquet orders_again")
        done = subprocess.run(
            ["/bin/sh", "-c", again], check=False, capture_output=True, text=True, env=environment, timeout=PATIENCE_S
        )
        assert (done.returncode, "industrydb: " in done.stderr) == (0, False), (command, done.stderr)
    days = (
        sqlite3.connect(tmp_path / "orders.db").execute("SELECT type FROM pragma_table_info('orders_copy')").fetchall()
    )
    assert days == [("INTEGER",), ("DATE",)]


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
def test_help_has_colours_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help and errors have colours at a terminal, unless NO_COLOR is set, and help is no wider than the terminal."""
    shown = at_a_terminal([*COMMAND, "read", "--help"], columns=80)
    assert "\x1b[1mpartitions:\x1b[0m" in shown
    assert "\x1b[36m--partition-on\x1b[0m" in shown
    plain = re.sub(r"\x1b\[\d*m", "", shown).partition("examples:")[0]
    assert max(map(len, plain.splitlines())) <= 80
    failing = ["/bin/sh", "-c", '"$@" || true', "sh", *COMMAND, "raed"]
    assert "\x1b[1;31mindustrydb:\x1b[0m there is no command raed" in at_a_terminal(failing)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in at_a_terminal([*COMMAND, "read", "--help"])
    assert "\x1b" not in at_a_terminal(failing)


NEAR = [
    (["rad"], "there is no command rad: did you mean read?"),
    (["databse"], "there is no command databse: did you mean databases?"),
    (["read", "SELECT 1", "--partition-no", "id"], "unknown option --partition-no: did you mean --partition-on?"),
    (["read", "SELECT 1", "--outptu=x"], "unknown option --outptu: did you mean --output?"),
    (["extract", "SELECT 1", "x", "--fromat", "csv"], "unknown option --fromat: did you mean --format?"),
    (["version"], "there is no command version: did you mean --version?"),
    (["help"], "there is no command help: did you mean --help?"),
    (["export"], "there is no command export: did you mean read?"),
    (["query"], "there is no command query: did you mean read?"),
    (["import"], "there is no command import: did you mean write?"),
    (["frobnicate"], "there is no command frobnicate; the commands are read, "),
    (["SELECT 1"], "the first argument is a query, and no command: write industrydb read QUERY"),
    (["read", "SELECT 1", "--format", "cvs"], "'cvs' is none of parquet, arrow, csv, json, ndjson: did you mean csv?"),
    (["completion", "bsh"], "'bsh' is none of bash, zsh, fish: did you mean bash?"),
    (["write", "a.csv", "t", "--if-exists", "overwrite"], "is none of fail, append, replace: did you mean replace?"),
    (["extract", "SELECT 1", "x", "--resume", "overwrite"], "is none of continue, restart: did you mean restart?"),
    (["read", "SELECT 1", "--limit", "3"], "unknown option --limit: put LIMIT into the query, or use --rows to "),
    (["plan", "SELECT 1", "--limit", "3"], "unknown option --limit: put LIMIT into the query;"),
    (["read", "SELECT 1", "--file", "x.csv"], "unknown option --file: write a file by -o FILE;"),
    (["extract", "SELECT 1", "x", "--overwrite"], "unknown option --overwrite: use --resume restart;"),
    (["write", "a.csv", "t", "--overwrite"], "unknown option --overwrite: use --if-exists replace;"),
    (["write", "a.csv", "t", "--limit", "3"], "unknown option --limit; industrydb write --help"),
    (["read", "SELECT 1", "--host", "db"], "unknown option --host: that is a part of --uri;"),
    (["read", "q.sql", "-u", "sqlite://x.db"], "the query q.sql is the name of a file: write @q.sql to take"),
    (["read", ".tables", "-u", "sqlite://x.db"], "the query begins with .tables, a command of another program: "),
    (["schema", "\\d t", "-u", "sqlite://x.db"], "or @FILE to take one from a file, as in @q.sql"),
    (["databases", "warehouse"], "databases lists all of them, and --database NAME chooses one for another command"),
    (["databases", "--config", "none.ini"], "there is no config file none.ini: write one, with a section for each "),
    (["read", "SELECT 1", "-u", "shop.db"], "-u shop.db is a path, and no URI: write -u sqlite://shop.db"),
    (["read", "SELECT 1", "--xyz"], "unknown option --xyz; industrydb read --help says which there are"),
]


@pytest.mark.parametrize(("arguments", "said"), NEAR)
def test_near_names(capfd: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """A command or an option that does not exist gives the one that is nearest."""
    assert main(arguments) == 2
    assert said in capfd.readouterr().err


# Messages of the functions, and the same of the command.
SPELLINGS = [
    (
        "use another directory, or resume='restart' to write it",
        "use another directory, or --resume restart to write it",
    ),
    ('pass if_exists="append"', "pass --if-exists append"),
    ("and since='id' adds rows", "and --since id adds rows"),
    ("say by schema_overrides, or", "say by --schema-override, or"),
    ("partition_on and partitions divide a query", "--partition-on and partitions divide a query"),
    ("snapshot=False reads without one", "--no-snapshot reads without one"),
    ("max_connections must be at least 1, not 0", "--max-connections must be at least 1, not 0"),
    ('partition_on="nope" is not a column', '--partition-on "nope" is not a column'),
    ("timeout must be a number", "--timeout must be a number"),
    (
        "the query has 1 parameter(s), and params has 0 value(s)",
        "the query has 1 parameter(s), and --param has 0 value(s)",
    ),
    ("compression of csv must be one of ('a', 'b'), not 'c'", "--compression of csv must be one of a, b, not 'c'"),
    ("such as {'p': pl.Decimal(38, 10)} or pl.String", "such as 'p=Decimal(38, 10)' or String"),
    (
        "[Errno 17] target must be a directory, and this is a file: 'x'",
        "TARGET must be a directory, and this is a file: 'x'",
    ),
    ("nothing was read; resume='restart' writes it anew", "nothing was read; --resume restart writes it anew"),
    (
        "no rows: read_sql takes a SELECT, and has not run this; Connection.execute runs any statement",
        "no rows: the command takes a SELECT, and has not run this",
    ),
    (
        "HINT: parameters are written ? (with params a list) or :name (with params a dict) here, in place of %s",
        "HINT: parameters are written ? (their values by --param) here, in place of %s",
    ),
    (
        "HINT: parameters are written @P1, @P2, … (with params a list) or @name (with params a dict) here",
        "HINT: parameters are written @P1, @P2, … (their values by --param) here",
    ),
    ("write ? for each, and pass a list", "write ? for each, and give their values by --param"),
    (
        "but perhaps a path: pass it as a pathlib.Path, or with the scheme of a file in front",
        "but perhaps a path: write sqlite:// in front, as in -u sqlite://shop.db",
    ),
    ("would end with this call: write into a file, or use a Connection", "would end with this call: write into a file"),
    (
        "but a word: industrydb.database(name) returns a database of the config file",
        "but a word: --database NAME is one of the config file",
    ),
    ("the same call goes on with the others", "the same command goes on with the others"),
    ("timeout expired, or ('a', 'b') is no row", "timeout expired, or ('a', 'b') is no row"),
    ('no column "partition_on", t.max_connections', 'no column "partition_on", t.max_connections'),
]


@pytest.mark.parametrize(("said", "expected"), SPELLINGS)
def test_arguments_are_options(said: str, expected: str) -> None:
    """Python's arguments in a message become options of the command; names of columns stay."""
    assert as_options(said) == expected


DIFFERENCES = [
    (Difference("queries", ["SELECT 'a', b"], ["SELECT 'a; x'"]), "QUERY is SELECT 'a', b, and was SELECT 'a; x'"),
    (Difference("params", is_hidden=True), "--param has other values"),
    (Difference("schema_overrides", [["a", "Int8"]], []), "--schema-override is a=Int8, and was not given"),
    (Difference("format", "csv", "parquet"), "--format is csv, and was parquet"),
    (Difference("partitions", 2, None), "--partitions is 2, and was not given"),
    (Difference("since", "partitions is 2, and was 3.", "id"), "--since is partitions is 2, and was 3., and was id"),
]


def test_differences_of_extracts_are_options() -> None:
    """An extract that differs from its directory's is described by options, whatever texts its values have."""
    shown = "; ".join(str(difference) for difference, _ in DIFFERENCES)
    error = ConfigurationError(f"x has another extract: {shown}. Use resume='restart'")
    error.differences = tuple(difference for difference, _ in DIFFERENCES)
    expected = "; ".join(option for _, option in DIFFERENCES)
    assert with_options(error) == f"x has another extract: {expected}. Use --resume restart"
    assert with_options(ConfigurationError("partitions must be 1")) == "--partitions must be 1"


def test_no_python_is_spoken(orders: SqliteFile, capfd: pytest.CaptureFixture[str]) -> None:
    """What the functions say about an argument is said about the option."""
    uri = ("-u", orders.uri)
    for arguments, option in (
        (["read", "SELECT * FROM orders", *uri, "--max-connections", "0"], "--max-connections must be at least 1"),
        (["plan", "SELECT * FROM orders", *uri, "--partition-on", "nothing"], "--partition-on"),
    ):
        assert main(arguments) == 2
        said = capfd.readouterr().err
        assert option in said
        assert not re.search(r"max_connections|partition_on\b", said)
    assert main(["extract", "SELECT id FROM orders", "out", *uri, "--quiet"]) == 0
    assert main(["extract", "SELECT amount FROM orders", "out", *uri]) == 2
    said = capfd.readouterr().err
    assert "--resume restart" in said
    assert "QUERY is SELECT amount FROM orders, and was SELECT id FROM orders" in said
    assert "resume=" not in said


def test_the_log_speaks_of_options(orders: SqliteFile) -> None:
    """The log of `--verbose` names options, and a warning without it is one of the command."""
    extract = [*COMMAND, "extract", "SELECT id FROM orders", "out", "-u", orders.uri, "--verbose"]
    for _ in range(2):
        done = subprocess.run(extract, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert "nothing was read; --resume restart writes it anew" in done.stderr
    assert "resume=" not in done.stderr
    read = [*COMMAND, "read", "SELECT id FROM orders LIMIT 9", "-u", orders.uri, "--partitions", "4"]
    done = subprocess.run(read, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stderr.startswith("industrydb: warning: the query has a LIMIT")


STARTING = """
import sys
from industrydb._cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("polars" in sys.modules)
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["read", "--help"], ["completion", "bash"], ["rad"]])
def test_a_quick_start(arguments: list[str]) -> None:
    """Version, help, completion and mistakes do not wait for the import of Polars."""
    if "completion" in arguments:
        pytest.importorskip("shtab")
    command = [sys.executable, "-c", STARTING, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.splitlines()[-1] == "False"


# Words at a prompt, the last one unfinished, and what they complete to.
COMPLETED = [
    (["ext"], {"extract"}),
    (["read", "--partit"], {"--partition-on", "--partitions"}),
    (["read", "--format", "p"], {"parquet"}),
    (["completion", ""], {"bash", "zsh", "fish"}),
    (["read", "--profile", "pro"], {"profile.html"}),
    (["plan", "--outp"], set()),
]


@pytest.mark.parametrize(("words", "expected"), COMPLETED)
def test_bash_completes(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], expected: set[str]
) -> None:
    """Bash completes commands, options, their choices and files by the script of `completion bash`."""
    pytest.importorskip("shtab")
    bash = shutil.which("bash") or pytest.skip("needs bash")
    (tmp_path / "profile.html").touch()
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capfd.readouterr().out)
    asked = """
        source ./script
        function=$(complete -p industrydb | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        COMP_WORDS=(industrydb "$@"); COMP_CWORD=$#
        "$function" industrydb "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run([bash, "-c", asked, "bash", *words], check=False, capture_output=True, text=True)
    assert (set(filter(None, done.stdout.splitlines())), done.stderr) == (expected, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_script(capfd: pytest.CaptureFixture[str], tmp_path: Path, shell: str) -> None:
    """The script of each shell names all commands, and has no error of syntax where the shell is installed."""
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capfd.readouterr().out
    assert all(name in script for name in COMMANDS)
    if path := shutil.which(shell):
        (tmp_path / "script").write_text(script)
        done = subprocess.run([path, "-n", "script"], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_completion_without_shtab(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Without shtab, `completion` says how to install it."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install 'industrydb[cli]'" in capfd.readouterr().err
