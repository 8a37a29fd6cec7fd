"""Files that say the same thing agree, and the source distribution has what a build needs."""

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

import industrydb
from tests.kit.pages import ROOT
from tests.packaging import third_party

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")


def toml(name: str) -> dict[str, Any]:
    """Return the content of a TOML file of the repository."""
    content: dict[str, Any] = tomllib.loads((ROOT / name).read_text())
    return content


WORKSPACE = toml("Cargo.toml")["workspace"]
VERSION = WORKSPACE["package"]["version"]


def test_the_module_the_crates_and_the_changelog_have_one_version() -> None:
    """The version of Cargo.toml is that of the module, of the crates as dependencies, and of the changelog's top."""
    assert industrydb.__version__ == VERSION
    assert "version" in toml("pyproject.toml")["project"]["dynamic"]
    own = {name: crate for name, crate in WORKSPACE["dependencies"].items() if name.startswith("industrydb-")}
    assert {name: crate.get("version", VERSION) for name, crate in own.items()} == dict.fromkeys(own, VERSION)
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(re.escape(VERSION) + r", (not released yet|\d{4}-\d{2}-\d{2})", headings[0])


def test_a_published_crate_depends_only_on_published_ones() -> None:
    """A crate whose dependency has no version, or is not published, could not be published itself."""
    manifests = {path.parent.name: tomllib.loads(path.read_text()) for path in ROOT.glob("crates/*/Cargo.toml")}
    private = {name for name, manifest in manifests.items() if manifest["package"]["publish"] is False}
    assert private == {"industrydb-py", "industrydb-testkit"}
    for name in manifests.keys() - private:
        assert "version" in WORKSPACE["dependencies"][name], name
        assert not private & manifests[name]["dependencies"].keys()


def test_the_oldest_rust_is_the_same_everywhere() -> None:
    """The pages for users and contributors name the oldest Rust version of Cargo.toml."""
    oldest = WORKSPACE["package"]["rust-version"]
    for page in ("docs/install.md", "CONTRIBUTING.md"):
        assert re.findall(r"Rust (\d\.\d+)", (ROOT / page).read_text()) == [oldest], page


def test_the_classifiers_begin_with_the_oldest_python() -> None:
    """The lowest Python version of the classifiers is that of requires-python and of the stable interface."""
    project = toml("pyproject.toml")["project"]
    versions = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert project["requires-python"] == f">={versions[0]}"
    assert f"abi3-py{versions[0].replace('.', '')}" in WORKSPACE["dependencies"]["pyo3"]["features"]


def test_the_workflows_call_verbs_that_the_makefile_has() -> None:
    """Each `make` in a workflow names a verb, or the environment of a dependency group."""
    makefile = (ROOT / "Makefile").read_text()
    verbs = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    verbs |= {f".venv/.{group}" for group in toml("pyproject.toml")["dependency-groups"]}
    workflows = [path.read_text() for path in ROOT.glob(".github/workflows/*.yml")]
    called = {verb for text in workflows for verb in re.findall(r"run: make (\S+)", text)}
    assert len(workflows) == len(list(ROOT.glob(".github/workflows/*")))
    assert called >= {"dist", "docs", "test"}
    assert called - verbs == set()


def test_the_licences_in_the_wheel_are_those_of_all_that_is_linked() -> None:
    """The file lists what is linked, OpenSSL and SQLite with it, and no tool of the build or crate of our own."""
    crates = third_party.linked()
    names = {crate.name for crate in crates}
    assert names >= {"libsqlite3-sys", "mssql-tds", "native-tls", "openssl-src", "polars-core", "pyo3"}
    assert names & {"cc", "industrydb-core", "proptest", "syn", "thiserror-impl", "tiberius"} == set()
    text = third_party.written(crates)
    (openssl,) = [crate for crate in crates if crate.name == "openssl-src"]
    assert any("Apache License" in licence for licence in third_party.texts(openssl))
    assert all(f"| {crate.name} | {crate.version} | {crate.licence} |" in text for crate in crates)
    bare = [crate.name for crate in crates if not list(third_party.texts(crate))]
    assert len(bare) < len(crates) / 20, bare


def test_the_licence_of_each_dependency_is_allowed() -> None:
    """Each crate in the lock file has a licence, or a choice of licences, that deny.toml allows."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    allowed = set(toml("deny.toml")["licenses"]["allow"])
    crates = [crate for crate in json.loads(printed)["packages"] if crate["source"]]
    assert len(crates) > 100
    assert [(crate["name"], crate["license"]) for crate in crates if not is_allowed(crate["license"], allowed)] == []


def is_allowed(expression: str | None, allowed: set[str]) -> bool:
    """Return whether an SPDX expression holds with the allowed licences; a slash is the old form of OR."""
    words = re.findall(r"[()]|[\w.+-]+(?: WITH [\w.-]+)?", (expression or "").replace("/", " OR "))
    operators = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    code = " ".join(operators.get(word) or str(word in allowed) for word in words)
    return bool(code) and bool(eval(code))  # noqa: S307, of True, False and operators


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("MIT", True), ("GPL-3.0", False), ("GPL-3.0/MIT", True), ("(MIT OR GPL-3.0) AND ISC", False), (None, False)],
)
def test_licence_expressions(expression: str | None, *, expected: bool) -> None:
    """The helper above understands choices, parts and a missing licence."""
    assert is_allowed(expression, {"MIT"}) is expected


def test_the_source_distribution_has_what_a_build_needs(tmp_path: Path) -> None:
    """The source distribution has the sources, SQLite's flags and the lock file, and no compiled module or server."""
    maturin = Path(sys.executable).with_name("maturin")
    subprocess.run([maturin, "sdist", "--out", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.iterdir()
    assert archive.name == f"industrydb-{VERSION}.tar.gz"
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    needed = {".cargo/config.toml", "Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "pyproject.toml"}
    needed |= {"python/industrydb/py.typed", "python/industrydb/industrydb.pyi", "crates/industrydb-sqlite/build.rs"}
    needed |= {str(path.relative_to(ROOT)) for path in ROOT.glob("crates/*/src/**/*.rs") if "testkit" not in str(path)}
    needed |= {str(path.relative_to(ROOT)) for path in ROOT.glob("python/industrydb/**/*.py")}
    assert needed - names == set()
    assert [name for name in names if name.endswith((".so", ".pyd", ".db", ".whl"))] == []


def test_the_module_is_built_with_the_flags_of_sqlite(tmp_path: Path) -> None:
    """SQLite itself reports each option that `.cargo/config.toml` builds it with."""
    flags = toml(".cargo/config.toml")["env"]["LIBSQLITE3_FLAGS"].split()
    options = [flag.removeprefix("-DSQLITE_") for flag in flags]
    assert "ENABLE_SNAPSHOT" in options
    used = ", ".join(f"sqlite_compileoption_used('{option}') AS \"{option}\"" for option in options)
    path = tmp_path / "empty.db"
    path.touch()
    frame = industrydb.read_sql(path, f"SELECT {used}")
    assert frame.to_dicts() == [dict.fromkeys(options, 1)]
