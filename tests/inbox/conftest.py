"""Fixtures of the tests of the inbox."""

from __future__ import annotations

import os
from collections.abc import Iterator

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


@pytest.fixture
def box() -> Iterator[Inbox]:
    """An inbox of its own, in memory."""
    with Store() as store, Inbox(store=store) as inbox:
        yield inbox
