"""The pytest plugin: fixtures with a real server. It is loaded into every pytest run, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wlsmtp.testing.server import SMTPServer


@pytest.fixture
def smtp_server() -> Iterator[SMTPServer]:
    """A plain SMTP server on 127.0.0.1; ``smtp_server.messages`` has the received messages."""
    from wlsmtp.testing.server import SMTPServer

    with SMTPServer() as server:
        yield server


@pytest.fixture
def smtp_server_factory() -> Iterator[Callable[..., SMTPServer]]:
    """Create servers with the options of ``SMTPServer``; all are closed after the test."""
    from wlsmtp.testing.server import SMTPServer

    with ExitStack() as servers:

        def make(**options: Any) -> SMTPServer:
            return servers.enter_context(SMTPServer(**options))

        yield make
