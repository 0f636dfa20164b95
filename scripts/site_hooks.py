"""MkDocs hooks: files of the repository that are pages of the site, and the links to them."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent

FROM_THE_REPOSITORY = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "explanation/benchmarks.md": "benchmarks/README.md",
    "explanation/results.md": "benchmarks/RESULTS.md",
    "explanation/window.svg": "benchmarks/window.svg",
}
"""Pages of the site whose text is kept elsewhere in the repository, where its readers look for it."""

PAGE_OF = {source: page for page, source in FROM_THE_REPOSITORY.items()} | {"README.md": "index.md"}
LINK = re.compile(r"(?<!\\)(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose text is kept outside docs/."""
    for page, source in FROM_THE_REPOSITORY.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links between files of the repository to pages of the site."""
    name = page.file.src_uri
    source = PurePosixPath(FROM_THE_REPOSITORY.get(name, f"docs/{name}"))
    pieces, end = [], 0
    for fence in FENCED.finditer(markdown):
        pieces += [links_on_the_site(markdown[end : fence.start()], source, name), fence[0]]
        end = fence.end()
    return "".join([*pieces, links_on_the_site(markdown[end:], source, name)])


def links_on_the_site(text: str, source: PurePosixPath, page: str) -> str:
    """Rewrite the links in ``text`` of the file ``source``, for ``page``. A file that is no page loses its link."""

    def rewritten(found: re.Match[str]) -> str:
        path, hash_, anchor = found[3].partition("#")
        if not path or ":" in path:
            return found[0]
        file = os.path.normpath(source.parent / path)
        if file.startswith("docs/"):
            target = file.removeprefix("docs/")
        elif file in PAGE_OF:
            target = PAGE_OF[file]
        else:
            return found[2] if (ROOT / file).exists() else found[0]
        return f"{found[1]}[{found[2]}]({os.path.relpath(target, PurePosixPath(page).parent)}{hash_}{anchor})"

    return LINK.sub(rewritten, text)
