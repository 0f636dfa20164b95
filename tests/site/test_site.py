"""The documentation site is whole, and works without a network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)  # the first test builds the site, ten seconds on a quiet core

DOCS = Path(__file__).parents[2] / "docs"


def test_each_page_of_docs_is_a_page_of_the_site(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file(), page


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*", text) == [], (
            page
        )


def test_the_search_index_can_be_read_from_a_file(site: Path) -> None:
    """Browsers do not fetch JSON from file://, so the index is a script as well."""
    text = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("var __index = "))
    assert len(index["docs"]) > 100
    assert "iframe-worker" in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["contributing.html", "changelog.html", "explanation/benchmarks.html"])
def test_files_outside_docs_are_pages_too(site: Path, target: str) -> None:
    assert (site / target).is_file()
