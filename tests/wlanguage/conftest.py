"""Every test begins with the defaults, an empty structure and no session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wlsmtp import wlanguage
from wlsmtp.wlanguage import sessions, settings


def reset() -> None:
    for _, name in list(sessions._registry):
        wlanguage.EmailCloseSession(name)
    wlanguage.EmailSetTimeOut(600)
    for parameter, value in settings._DEFAULTS.items():
        wlanguage.EmailConfigure(parameter, value)
    wlanguage.EmailReset()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    reset()
    yield
    reset()
