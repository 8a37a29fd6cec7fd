"""The pages of the site that no Markdown file has: the reference, from the docstrings, and the changelog.

MkDocs calls these functions while it builds. The reference has a page for each public name, one for each module
that is imported by itself, and one for the errors: whatever `industrydb.__all__` names is there.
"""

import ast
import re
from pathlib import Path
from posixpath import dirname, join, normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Classes that a program constructs; calls return the others, whose constructors are nobody's business.
CONSTRUCTED = ("Connection", "DatabaseConfig")
# Modules that are imported by themselves. The site is built without the engines: their docstrings are read.
MODULES = ("connectorx", "spark", "ray", "dask", "daft")


def public_names() -> list[str]:
    """Return what `import industrydb` offers, without importing it: the site is built without a compiler."""
    module = ast.parse((ROOT / "python" / "industrydb" / "__init__.py").read_text(encoding="utf-8"))
    (names,) = (
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return [name for name in names if not name.startswith("_")]


def reference() -> dict[str, str]:
    """Return the Markdown of each page of the reference, by its title.

    Functions come first, then classes and errors. `extract` and `Extract` share a page, since some file systems do not
    tell their names apart.
    """
    names = sorted(public_names(), key=lambda name: (name[0].isupper(), name.lower()))
    pages: dict[str, str] = {}
    for name in names:
        title = "Errors" if name.endswith("Error") else next((t for t in pages if t.lower() == name.lower()), name)
        pages.setdefault(title, "# Errors\n" if title == "Errors" else "")
        options = f"heading_level: {1 if title == name else 2}, merge_init_into_class: {name in CONSTRUCTED}"
        options += "" if title == "Errors" else ", show_bases: false"
        pages[title] += f"\n::: industrydb.{name}\n    options: {{{options}}}\n"
    errors = pages.pop("Errors")
    for module in (f"industrydb.{name}" for name in MODULES):
        pages[module] = f"# {module}\n\n::: {module}\n    options: {{show_root_heading: false}}\n"
    return pages | {"Errors": errors}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference and the changelog to the menu."""
    for section in config.nav:
        if "Reference" in section:
            section["Reference"] = [{title: f"reference/{title}.md"} for title in reference()]
        if "Why" in section:
            section["Why"].append({"Changelog": "changelog.md"})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages themselves."""
    for title, text in reference().items():
        files.append(File.generated(config, f"reference/{title}.md", content=text))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changelog.md", content=changelog.replace("](docs/", "](")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that leave the documentation, to a source file for example, lead to the repository."""
    place = dirname(page.file.src_uri)

    def link(match: re.Match[str]) -> str:
        path = normpath(join(place, match[1]))
        return f"]({config.extra['sources']}/{path.removeprefix('../')})" if path.startswith("../") else match[0]

    return re.sub(r"\]\((\.\./[^)\s]+)\)", link, markdown)
