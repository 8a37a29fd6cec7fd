"""Help, completion and what the command says about mistakes: near names, and options instead of Python's arguments."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from industrydb._cli import main
from industrydb._cli.arguments import COMMANDS
from industrydb._cli.messages import as_options
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
    groups = re.findall(r"^(.*):$", helped(capfd, "read"), re.MULTILINE)
    assert groups[:7] == ["arguments", "options", "the database", "partitions", "the query", "the result", "messages"]


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
    ("timeout expired, or ('a', 'b') is no row", "timeout expired, or ('a', 'b') is no row"),
    ('no column "partition_on", t.max_connections', 'no column "partition_on", t.max_connections'),
]


@pytest.mark.parametrize(("said", "expected"), SPELLINGS)
def test_arguments_are_options(said: str, expected: str) -> None:
    """Python's arguments in a message become options of the command; names of columns stay."""
    assert as_options(said) == expected


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
    assert "resume=" not in said


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
