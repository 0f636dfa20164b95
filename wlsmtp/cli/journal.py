"""Reports to the administrator of a worker, on standard error, and nothing twice a minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wlsmtp.cli.screen import Screen, masked
from wlsmtp.events import Event, Retrying, log, log_event

REPEAT_AFTER = 60.0
"""Seconds after which the same words are written again."""


class Journal(logging.Handler):
    """Writes the warnings and errors of the library. Used as a listener, it warns when the server cannot be used."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._screen = Screen(err=True)
        self._said: dict[str, float] = {}
        """By their words: when they were written last."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Retrying) and event.message_id is None:  # all messages wait
            log.warning("not sent, and tried again in %.0f s: %s", event.delay, event.error)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the same words were written in the last minute. Never raises."""
        if record.funcName == log_event.__name__ and str(record.msg).startswith("message "):
            return  # each message is reported on standard output
        words, now = self.format(record), record.created
        self._said = {known: when for known, when in self._said.items() if 0 <= now - when < REPEAT_AFTER}
        if words not in self._said:
            self._said[words] = now
            with suppress(OSError, ValueError):  # standard error cannot be written any more
                self._screen.line(("wlsmtp: ", "bold"), masked(words))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write what is logged meanwhile."""
        log.addHandler(self)
        try:
            yield
        finally:
            log.removeHandler(self)
