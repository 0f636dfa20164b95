"""Fixtures of the tests of the inbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.inbox.browser import Browser, what_is_missing
from wlsmtp.inbox import Inbox, Store


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium, one for the whole test run; without it tests are skipped, and fail where CI is "true"."""
    if (reason := what_is_missing()) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(autouse=True, scope="session")
def stores_are_closed() -> Iterator[None]:
    """Close what tests leave open, at the end: since Python 3.13 SQLite warns of it."""
    made: list[Store] = []
    begin = Store.__init__

    def noting(store: Store, *arguments: Any, **named: Any) -> None:
        begin(store, *arguments, **named)
        made.append(store)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "__init__", noting)
        yield
    for store in made:
        store.close()


@pytest.fixture
def box() -> Iterator[Inbox]:
    """An inbox of its own, in memory."""
    with Store() as store, Inbox(store=store) as inbox:
        yield inbox
