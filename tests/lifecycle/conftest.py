"""The server that these tests send to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wlsmtp.testing import SMTPServer


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server
