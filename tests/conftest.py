"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds import World

pytest_plugins = ["pytester", "tests.no_secrets"]


@pytest.fixture(params=["blocking", "asyncio"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Runs the test once in each world."""
    world = World(request.param)
    yield world
    world.close()
