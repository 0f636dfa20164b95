"""Fixtures of the tests that talk to real servers, and the rule for machines that have none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .postfix import PostfixServer, what_is_missing
from .registry import RunningServers

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this directory `real`; pytest gives this hook the tests of the whole run."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.real)
            # On a busy disk one server's start, or taking away what it stored, has lasted longer than the usual 60 s.
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def postfix() -> Iterator[PostfixServer]:
    """A running Postfix, one for the whole test run; without it tests are skipped, and fail where CI is "true"."""
    if (reason := what_is_missing()) is not None:
        # A skipped test looks like a passed one, and CI is where these tests must have run.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    server = PostfixServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mailbox(postfix: PostfixServer) -> str:
    """An address at the real server that nobody has sent to."""
    return postfix.mailbox()


@pytest.fixture(scope="session")
def real_servers() -> Iterator[RunningServers]:
    """The real servers that are started when a test first asks for them."""
    servers = RunningServers()
    yield servers
    servers.stop()
