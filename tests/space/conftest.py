"""Thousands of messages fail here, as they should: what the library logs about them is not shown."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Only the complaint of the test is to be read."""
    caplog.set_level(logging.CRITICAL, logger="wlsmtp")
