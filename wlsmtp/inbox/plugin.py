"""The pytest plugin: the fixture ``inbox``. It is loaded into every pytest run, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from wlsmtp.inbox.core import Inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """An empty inbox for one test: ``inbox.url`` is its SMTP server, and ``inbox:`` means it while the test runs."""
    from wlsmtp.inbox.core import Inbox
    from wlsmtp.inbox.store import Store
    from wlsmtp.inbox.transport import share

    with Store() as store, Inbox(store=store) as inbox:
        before = share(store)
        try:
            yield inbox
        finally:
            share(before)
