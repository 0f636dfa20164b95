"""Fixtures for all tests."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.clock import Clock
from tests.worlds import World
from wlsmtp.io.order import order
from wlsmtp.io.tls import _make_context

# No test depends on how fast the machine is; and where a failure cannot be looked into, each run tries the same.
settings.register_profile(
    "wlsmtp",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],  # how fast examples are drawn says how busy the machine is
)
settings.load_profile("wlsmtp")

order.is_checked = True  # locks that are taken in another order than theirs are found wherever that happens

pytest_plugins = ["pytester", "tests.no_secrets", "tests.postgres", "tests.rabbitmq"]


@pytest.fixture(params=["blocking", "asyncio"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Runs the test once in each world."""
    world = World(request.param)
    yield world
    world.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of both worlds."""
    return Clock(monkeypatch)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(autouse=True)
def no_session_of_another_test() -> None:
    """TLS sessions outlive the connections that they come from, and so would the mistrust of one that was refused."""
    _make_context.cache_clear()
