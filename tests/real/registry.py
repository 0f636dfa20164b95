"""The real servers that the common tests run against, and those of them that a test run has started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType

import pytest

from . import (
    chasquid_server,
    go_smtp_server,
    msmtpd,
    namespaced_servers,
    perl_server,
    restricted_postfix,
    submission,
    twisted_server,
)
from .server import Endpoint, RealServer

MakeServer = Callable[[], RealServer]
WhatIsMissing = Callable[[], str | None]


@dataclass(frozen=True)
class Registered:
    """A server that may be started: what makes it, and what says why it cannot be had here."""

    make: MakeServer
    what_is_missing: WhatIsMissing

    def endpoint_names(self) -> tuple[str, ...]:
        """The names of its endpoints, which are known before it runs."""
        return tuple(endpoint.name for endpoint in self.make().endpoints)


class RunningServers:
    """Servers by the callable that makes them: each started when a test first asks for it, and all ended together."""

    def __init__(self) -> None:
        self._running: dict[MakeServer, RealServer] = {}
        self._cleanup = ExitStack()

    def get(self, make: MakeServer, what_is_missing: WhatIsMissing) -> RealServer:
        """Return the server, started; without it tests are skipped, and fail where CI is "true"."""
        if make not in self._running:
            if (reason := what_is_missing()) is not None:
                (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
            server = make()
            self._cleanup.callback(server.stop)
            server.start()
            self._running[make] = server
        return self._running[make]

    def stop(self) -> None:
        """End all of them."""
        self._cleanup.close()


def endpoint_of(server: RealServer, name: str) -> Endpoint:
    """Return the endpoint of that name."""
    (found,) = (endpoint for endpoint in server.endpoints if endpoint.name == name)
    return found


def _of(module: ModuleType) -> Iterator[Registered]:
    for make in module.SERVERS:
        yield Registered(make, module.what_is_missing)


REGISTERED: tuple[Registered, ...] = (
    Registered(restricted_postfix.RestrictedPostfix, restricted_postfix.what_is_missing),
    Registered(submission.DovecotSubmission, submission.what_is_missing),
    Registered(twisted_server.TwistedServer, twisted_server.what_is_missing),
    Registered(go_smtp_server.GoSMTPServer, go_smtp_server.what_is_missing),
    Registered(chasquid_server.ChasquidServer, chasquid_server.what_is_missing),
    Registered(perl_server.PerlServer, perl_server.what_is_missing),
    Registered(msmtpd.MsmtpdServer, msmtpd.what_is_missing),
    *_of(namespaced_servers),
)
ENDPOINTS: dict[str, Registered] = {name: server for server in REGISTERED for name in server.endpoint_names()}
"""The server of each endpoint, by the name of the endpoint."""
