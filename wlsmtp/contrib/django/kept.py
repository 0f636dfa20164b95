"""The sessions that a process keeps for the mailers of Django."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable

from wlsmtp.contrib.django.translation import Fields, config_of
from wlsmtp.errors import SMTPError
from wlsmtp.io.exit_hooks import exit_hooks
from wlsmtp.session import SMTPSession

log: logging.Logger = logging.getLogger("wlsmtp")

_kept: dict[str | None, tuple[Fields, SMTPSession]] = {}
"""By alias: the settings of a session, and the session. Threads may share it, and a forked child may use it."""


def session_of(alias: str | None, fields: Fields, database: str | None) -> SMTPSession:
    """Return the session of a mailer, made at the first use. Raises as ``config_of`` does."""
    kept = _kept.get(alias)
    if kept is None:
        kept = _kept.setdefault(alias, (fields, SMTPSession(config_of(fields, database, alias))))
    elif kept[0] != fields:  # the settings have changed, as tests do
        before, kept = kept[1], (fields, SMTPSession(config_of(fields, database, alias)))
        _kept[alias] = kept
        _close(before)
    return kept[1]


def _close(session: SMTPSession) -> None:
    try:
        session.close()
    except SMTPError as error:
        log.error("%s", error)


@atexit.register
def close_all() -> None:
    while _kept:
        _close(_kept.popitem()[1][1])


def close_at_exit() -> None:
    """Close the sessions before their own work at the end of the program, which leaves mail in a file unsent."""
    _forget_exit[-1]()
    _forget_exit[:] = [exit_hooks.add(close_all)]


_forget_exit: list[Callable[[], None]] = [lambda: None]
