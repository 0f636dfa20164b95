"""Fixtures for all tests."""

from __future__ import annotations

import importlib
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

# pytest parses each module of a plugin that is imported, and two threads that parse at once fail in Python 3.11
# (gh-106905): what sessions import when they need it is imported here.
for name in (
    "io.aio", "io.aio_dialing", "io.aio_prompt", "io.blocking", "mailer", "message.read",
    "outbox.audit", "outbox.choice", "outbox.memory", "outbox.spooler", "outbox.sqlite",
):  # fmt: skip
    importlib.import_module(f"wlsmtp.{name}")

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
