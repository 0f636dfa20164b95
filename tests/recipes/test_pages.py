"""The pages of docs/recipes say what a reader must know, and each has a test that runs its programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.recipes import DOCS

PAGES = sorted(page.stem for page in (DOCS / "recipes").glob("*.md") if page.stem != "index")
INDEX = (DOCS / "recipes" / "index.md").read_text(encoding="utf-8")
TESTS = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_ends_with_what_happens_when_the_server_is_down(page: str) -> None:
    text = (DOCS / "recipes" / f"{page}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-1] == "When the server is down"
    assert f"({page}.md)" in INDEX


@pytest.mark.parametrize("page", PAGES)
def test_a_program_has_a_test(page: str) -> None:
    """Examples without a title are run by ``tests/test_readme.py``; what happens when the server is down has a test."""
    assert f'"{page}"' in TESTS or f'"recipes/{page}"' in TESTS
