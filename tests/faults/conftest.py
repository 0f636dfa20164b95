"""Here every line of every conversation is logged, so that it is searched for secrets (``tests/no_secrets.py``)."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    """As a program that looks for a fault would do."""
    caplog.set_level(logging.DEBUG, logger="wlsmtp")
