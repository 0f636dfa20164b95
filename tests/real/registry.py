"""The real servers that a test run has started: each when a test first asks for it, and all ended together."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from .server import Endpoint, RealServer

MakeServer = Callable[[], RealServer]
WhatIsMissing = Callable[[], str | None]


class RunningServers:
    """Servers by the callable that makes them."""

    def __init__(self) -> None:
        self._running: dict[MakeServer, RealServer] = {}
        self._cleanup = ExitStack()

    def get(self, make: MakeServer, what_is_missing: WhatIsMissing) -> RealServer:
        """Return the server, started; without it tests are skipped, and fail where CI is "true"."""
        if make not in self._running:
            if (reason := what_is_missing()) is not None:
                (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
            server = make()
            server.start()
            self._cleanup.callback(server.stop)
            self._running[make] = server
        return self._running[make]

    def stop(self) -> None:
        """End all of them."""
        self._cleanup.close()


def endpoint_of(server: RealServer, name: str) -> Endpoint:
    """Return the endpoint of that name."""
    (found,) = (endpoint for endpoint in server.endpoints if endpoint.name == name)
    return found
