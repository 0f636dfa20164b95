"""MkDocs hooks: what the site has besides the pages in docs/ (files of the repository, tables, pictures), and links."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import site_pages  # noqa: E402
import site_pictures  # noqa: E402

FROM_THE_REPOSITORY = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "explanation/benchmarks.md": "benchmarks/README.md",
    "explanation/results.md": "benchmarks/RESULTS.md",
    "explanation/window.svg": "benchmarks/window.svg",
    **{f"charts/{chart.name}": f"benchmarks/charts/{chart.name}" for chart in (ROOT / "benchmarks/charts").iterdir()},
}
"""Files of the site that are kept elsewhere in the repository, where their readers look for them."""

BOOSTS = {
    "reference/api/": 0.0005, "changelog": 0.1, "explanation/results": 0.0005, "reference/features": 0.3, "index": 0.3,
    "reference/faults": 0.0005, "reference/servers": 0.4, "reference/cli": 0.4, "migration/": 0.5,
    "explanation/robustness": 0.4, "explanation/benchmarks": 0.4,
}  # fmt: skip
"""How much the search counts a page, where not 1: guides answer questions better than lists of names. A word in a title
counts a thousand times as much as one in the text."""

PAGE_OF = {source: page for page, source in FROM_THE_REPOSITORY.items()} | {"README.md": "index.md"}
LINK = re.compile(r"(?<!\\)(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that are kept outside docs/, and the pictures that are drawn now."""
    for page, source in FROM_THE_REPOSITORY.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "explanation/round-trips.svg", content=site_pictures.round_trips()))
    for name in site_pictures.STATES:
        files.append(File.generated(config, f"explanation/states-{name}.svg", content=site_pictures.states(name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in tables, and point links between files of the repository to pages of the site."""
    name = page.file.src_uri
    if boost := next((boost for start, boost in BOOSTS.items() if name.startswith(start)), None):
        page.meta["search"] = {"boost": boost}
    source = PurePosixPath(FROM_THE_REPOSITORY.get(name, f"docs/{name}"))
    markdown = site_pages.filled(markdown)
    pieces, end = [], 0
    for fence in FENCED.finditer(markdown):
        pieces += [links_on_the_site(markdown[end : fence.start()], source, name), fence[0]]
        end = fence.end()
    return "".join([*pieces, links_on_the_site(markdown[end:], source, name)])


def links_on_the_site(text: str, source: PurePosixPath, page: str) -> str:
    """Rewrite the links in ``text`` of the file ``source``, for ``page``. A link to a file that is not a page is
    removed."""

    def rewritten(found: re.Match[str]) -> str:
        path, hash_, anchor = found[3].partition("#")
        if not path or ":" in path:
            return found[0]
        file = os.path.normpath(source.parent / path)
        if file in PAGE_OF:
            target = PAGE_OF[file]
        elif file.startswith("docs/"):
            target = file.removeprefix("docs/")
        else:
            return found[2] if (ROOT / file).exists() else found[0]
        return f"{found[1]}[{found[2]}]({os.path.relpath(target, PurePosixPath(page).parent)}{hash_}{anchor})"

    return LINK.sub(rewritten, text)
