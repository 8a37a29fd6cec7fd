"""Writes the licences of all crates that the module is linked with: `make dist` puts the file into the wheels.

Run as ``python third_party.py FILE`` in the repository's root.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]
# The crate with OpenSSL's sources, a build dependency.
OPENSSL = "openssl-src"

HEAD = """\
# Third-party licences

industrydb's wheels contain the libraries below, under the licences that each names. The texts follow; a library
without one is under the standard text of its licence. A wheel for one system may lack libraries of another. OpenSSL,
in openssl-src, is in the wheels for Linux; SQLite, in libsqlite3-sys, is in the public domain.
"""


class Crate(NamedTuple):
    """A crate that is compiled into the module."""

    name: str
    version: str
    licence: str
    folder: Path


def linked() -> list[Crate]:
    """Return the crates of others that are linked, on any system: no tools of the build, and nothing of the tests."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    metadata: dict[str, Any] = json.loads(printed)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    (module,) = [key for key, package in packages.items() if package["name"] == "industrydb-py"]
    seen, left = {module}, [module]
    while left:
        for dependency in nodes[left.pop()]["deps"]:
            key = dependency["pkg"]
            if key not in seen and is_linked(packages[key], {kind["kind"] for kind in dependency["dep_kinds"]}):
                seen.add(key)
                left += [key] * (packages[key]["name"] != OPENSSL)  # which itself depends on tools
    found = [packages[key] for key in seen if packages[key]["source"]]
    crates = [
        Crate(one["name"], one["version"], one["license"] or "see below", Path(one["manifest_path"]).parent)
        for one in found
    ]
    return sorted(crates)


def is_linked(package: dict[str, Any], kinds: set[str | None]) -> bool:
    """Return whether a dependency of these kinds gets into the module: no macro or tool, but OpenSSL's sources."""
    is_macro = any("proc-macro" in target["kind"] for target in package["targets"])
    return (None in kinds and not is_macro) or package["name"] == OPENSSL


def texts(crate: Crate) -> Iterator[str]:
    """Yield the licences and notices in a crate's folder, and OpenSSL's."""
    for path in sorted([*crate.folder.iterdir(), *crate.folder.glob("LICENSES/*"), *crate.folder.glob("openssl/*")]):
        if re.match(r"(licen[cs]e|copying|copyright|notice|unlicen[cs]e)", path.name, re.IGNORECASE) and path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace").strip()


def written(crates: list[Crate]) -> str:
    """Return the content of the file: a table of the crates, then each text under the crates that have it."""
    parts = [HEAD, "\n| library | version | licence |\n|---|---|---|\n"]
    parts += [f"| {crate.name} | {crate.version} | {crate.licence} |\n" for crate in crates]
    owners: dict[str, list[str]] = {}
    shown: dict[str, str] = {}
    for crate in crates:
        for text in texts(crate):
            plain = " ".join(text.split())
            shown.setdefault(plain, text)
            owners.setdefault(plain, []).append(crate.name)
    for plain, text in shown.items():
        parts.append(f"\n## {', '.join(dict.fromkeys(owners[plain]))}\n\n```text\n{text}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(written(linked()), encoding="utf-8")
