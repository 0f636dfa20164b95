"""The page on testing shows the rules, quirks and profiles that there are."""

from __future__ import annotations

import pytest

from tests.testing.page import PAGE, TABLES, replaced


def test_the_page_shows_the_tables_of_now() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == replaced(page), "run: python -m tests.testing.page"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_on_the_page(name: str) -> None:
    assert f"<!-- {name} begin -->\n| " in PAGE.read_text(encoding="utf-8")
