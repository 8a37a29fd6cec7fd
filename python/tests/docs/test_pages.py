"""The pages of the documentation can be pasted and run as they stand, and their links lead somewhere."""

import ast
import doctest
import os
import re
import shutil
import subprocess
import sys
from codeop import compile_command
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.kit.pages import ROOT, Block, anchors, blocks, commands, links
from tests.kit.support import PATIENCE_S

DOCS = ROOT / "docs"
# The command's page has a test of its own, beside those of the command.
EXECUTED = [path for path in sorted(DOCS.rglob("*.md")) if path.name != "command-line.md" and blocks(path)]
LINKED = [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
# Packages of the tests' group that only one page needs.
NEEDS = {"recipes": ("deltalake", "pyiceberg")}
# Characters of a line of code that the site shows without a scroll bar beside the menu and the table of contents.
CODE_WIDTH = 88
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def name_of(path: Path) -> str:
    """Return a page's path in the repository."""
    return str(path.relative_to(ROOT))


@pytest.mark.filterwarnings("default:::ray", "default:::pyspark")
@pytest.mark.parametrize("path", EXECUTED, ids=name_of)
def test_a_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """A page's blocks, run in their order in an empty folder, print what the page shows: it needs no other page."""
    if path.parent.name == "engines" and path.stem != "overview":
        pytest.importorskip(f"industrydb.{path.stem}", reason="`make test-engines` has the engines")
        monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
        if path.stem == "spark" and shutil.which("java") is None:
            pytest.skip("Spark needs Java: apt-get install default-jre-headless")
    for package in NEEDS.get(path.stem, ()):
        pytest.importorskip(package, reason=f"{package} is not installed: `make test` has it")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "industrydb"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m industrydb "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(path):
        if not block.runs:
            if block.language == "python":
                compile(block.text.replace("…", "..."), f"{path.name}:{block.line}", "exec")
        elif block.language == "pycon":
            names = run_prompts(block, names, path)
        elif block.language == "python":
            run_script(block, names, path)
        else:
            run_commands(block, path)


def run_prompts(block: Block, names: dict[str, Any], path: Path) -> dict[str, Any]:
    """Run a block of prompts and answers after the names that the page has so far, and return the names after it."""
    example = doctest.DocTestParser().get_doctest(block.text, names, path.name, str(path), block.line)
    assert len(example.examples) == len(re.findall(r"^>>> ", block.text, re.MULTILINE))
    result = doctest.DocTestRunner(optionflags=FLAGS).run(example, clear_globs=False)
    assert result.failed == 0, f"{path.name}, line {block.line}"
    return example.globs


def run_script(block: Block, names: dict[str, Any], path: Path) -> None:
    """Run a block of plain Python, and compare what it prints with the block of text behind it."""
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(block.text, f"{path.name}:{block.line}", "exec"), names)  # noqa: S102, our own page
    assert doctest.OutputChecker().check_output(block.output, printed.getvalue(), FLAGS), printed.getvalue()


def run_commands(block: Block, path: Path) -> None:
    """Run a console's commands one after the other, and compare what each prints with the lines below it."""
    for command, expected in commands(block.text):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        where = f"{path.name}, line {block.line}: {command}\n{done.stdout}"
        assert doctest.OutputChecker().check_output(expected, done.stdout, FLAGS), where


def copied(block: Block) -> list[str]:
    """Return what a reader copies of a block with prompts: its code, without the prompts and the output."""
    lines = []
    is_code = False
    for line in block.text.splitlines():
        is_code = line.startswith(">>> ") or (is_code and line.startswith("..."))
        if is_code:
            lines.append(line[4:])
    return lines


@pytest.mark.parametrize("path", EXECUTED, ids=name_of)
def test_a_block_can_be_pasted_at_a_prompt(path: Path) -> None:
    """Python's prompt takes each block line by line: a blank line ends a loop, a function and a `with` statement."""
    for block in blocks(path):
        if not block.runs or block.language == "console":
            continue
        lines = copied(block) if block.language == "pycon" else block.text.splitlines()
        typed: list[str] = []
        for line in [*lines, ""]:
            typed.append(line)
            try:
                is_whole = compile_command("\n".join(typed), symbol="single") is not None
            except SyntaxError as error:
                pytest.fail(f"{path.name}, line {block.line}: {error} at {line!r}")
            if is_whole:
                typed.clear()
        assert not typed, f"{path.name}, line {block.line}: the last statement is incomplete"


@pytest.mark.parametrize("path", LINKED, ids=name_of)
def test_prompts_are_fenced_as_such(path: Path) -> None:
    """A block is fenced as ``pycon`` if, and only if, it has Python's prompts, which the site strips there only."""
    page = path.read_text(encoding="utf-8")
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        assert (language == "pycon") == text.startswith(">>> "), text
        assert language == "pycon" or ">>> " not in text, text


def test_pages_are_executed() -> None:
    """The pages that teach by examples are among those that are run; others only show forms of calls."""
    executed = {path.stem for path in EXECUTED if any(block.runs for block in blocks(path))}
    taught = {path.stem for room in ("tutorials", "howto") for path in (DOCS / room).glob("*.md")}
    assert taught
    assert executed >= taught - {"troubleshooting", "orchestrators"}
    assert executed >= {"partitioning", "schema-overrides", "scanning", "extracting", "profiling"}
    assert executed >= {"connection", "writing", "arrow-and-pandas", "migrating", "index"}


@pytest.mark.parametrize("path", LINKED, ids=name_of)
def test_each_link_leads_somewhere(path: Path) -> None:
    """A page's links lead to files of the repository, and to headings that they have."""
    for target in links(path):
        if re.match(r"(https?|mailto):", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{name_of(path)} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{name_of(path)} links to {target}"


def test_the_menu_has_every_page() -> None:
    """The site's menu names each page once, and no page that is not there."""
    named = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2])
    assert sorted(named) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_the_reference_has_every_module() -> None:
    """The reference has a page for each module that is imported by itself."""
    public = {path.stem for path in (ROOT / "python" / "industrydb").glob("*.py") if not path.stem.startswith("_")}
    hooks = ast.parse((DOCS / "site" / "pages.py").read_text(encoding="utf-8"))
    values = (node.value for node in hooks.body if isinstance(node, ast.Assign) and "MODULES" in ast.unparse(node))
    assert set(ast.literal_eval(next(values))) == public == {"connectorx", "spark", "ray", "dask", "daft"}


def test_the_charts_show_the_records(tmp_path: Path) -> None:
    """The charts of the documentation are those that the recorded benchmarks give."""
    subprocess.run([sys.executable, "-m", "benchmarks.report", str(tmp_path)], cwd=ROOT, check=True)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert len(drawn) == 2
    assert drawn == {name: (DOCS / name).read_text(encoding="utf-8") for name in drawn}


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_code_fits_a_page(path: Path) -> None:
    """No block of code is wider than the site's column on a screen of 1280 pixels, where it would scroll."""
    page = path.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [line for block in fenced for line in block.splitlines() if len(line) > CODE_WIDTH] == []


def test_the_lines_of_the_readme_fit() -> None:
    """The README has no line of more than 120 characters."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120] == []
