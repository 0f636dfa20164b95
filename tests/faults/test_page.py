"""The page shows the rows that are tested, and no others."""

from __future__ import annotations

from collections import Counter

from tests.faults.page import PAGE, SUBJECTS, replaced
from tests.faults.test_table import TABLE


def test_the_page_shows_the_table_of_now() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == replaced(page), "run: python -m tests.faults.page"


def test_every_row_is_on_the_page_under_its_own_name() -> None:
    shown = [fault for faults in SUBJECTS.values() for fault in faults]
    assert shown == TABLE
    assert [name for name, count in Counter(fault.what for fault in shown).items() if count > 1] == []
