"""A handler of ``logging`` that mails what is logged, many records in one mail, and never makes the program wait.

>>> handler = MailHandler("smtp://localhost", sender="site@example.com", to="ops@example.com")
>>> logging.getLogger().addHandler(handler)
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from wlsmtp import ConfigError, Message, SMTPError, SMTPSession
from wlsmtp.io.exit_hooks import exit_hooks
from wlsmtp.results.reply import shortened


class _Batch:
    """The first records of a mail, and how many there were beyond them."""

    def __init__(self, limits: tuple[int, int]) -> None:
        self.limits, self.characters = limits, 0
        self.texts: list[str] = []
        self.level, self.subject = -1, ""  # of the first of the gravest records
        self.dropped = self.lost = 0  # for want of room; with mails before this one, which could not be sent

    def add(self, level: int, subject: str, *texts: str) -> None:
        if level > self.level:
            self.level, self.subject = level, subject
        for text in texts:
            has_room = len(self.texts) < self.limits[0] and self.characters + len(text) <= self.limits[1]
            self.texts += [text] * has_room
            self.characters += len(text) * has_room
            self.dropped += not has_room

    def __len__(self) -> int:
        return len(self.texts) + self.dropped + self.lost

    def mail(self) -> tuple[str, str]:
        """Return its subject and text."""
        lines, room = [*self.texts], "{} records and {} characters".format(*self.limits)
        lines += [f"{self.dropped} more were dropped: a mail has at most {room}."] if self.dropped else []
        lines += [f"{self.lost} of before are in no mail, as sending failed."] if self.lost else []
        return self.subject + (f" (+{len(self) - 1})" if len(self) > 1 else ""), "\n".join(lines)


class MailHandler(logging.Handler):
    """Mails records. A call of the logger puts its record into a queue, and a thread sends the queue as one mail.

    The first record is mailed at once. Those of the ``interval`` seconds behind a mail wait for the next one, and so
    does a mail that cannot be sent for now. What the logger ``wlsmtp`` and that thread say causes no mail.
    """

    def __init__(
        self, session: SMTPSession | str, *, to: str | Sequence[str], sender: str | None = None,
        subject: str = "%(levelname)s: %(message)s", interval: float = 60.0, max_per_hour: int = 30,
        max_records: int = 1000, max_characters: int = 500_000, close_timeout: float = 10.0, level: int | str = "ERROR",
    ) -> None:  # fmt: skip
        """``session`` is a session, or the URL of one that the handler makes for itself and closes.

        ``subject`` is formatted with the first of the gravest records; its first line counts. ``interval`` is in
        seconds, from mail to mail. A mail has ``max_records`` records and ``max_characters`` characters at most, and
        says how many more there were. ``close_timeout`` is how long, in seconds, ``flush``, ``close`` and the end of
        the program wait for the last mail. Raises ``ConfigError`` and ``MessageError`` for what cannot work.
        """
        super().__init__(level)
        self.session: SMTPSession = SMTPSession.from_url(session) if isinstance(session, str) else session
        if not isinstance(self.session, SMTPSession):
            raise ConfigError("session: must be an SMTPSession, or the URL of one")
        self.interval, self.max_per_hour, self.close_timeout = interval, max_per_hour, close_timeout
        if not (interval >= 0 <= close_timeout and max_per_hour >= 1 and max_records >= 1 and max_characters >= 1):
            raise ConfigError("interval, close_timeout, max_per_hour, max_records, max_characters: must be positive")
        self._limits, self._is_closed = (max_records, max_characters), False
        self._owns_session = isinstance(session, str)
        self._to, self._sender = [to] if isinstance(to, str) else [*to], sender or self.session.config.sender
        if not (self._to and self._sender):
            raise ConfigError("to, sender: must be given, as addresses")
        self._mail("-", "-")  # raises for an address that is invalid
        self._subject, self._times = logging.Formatter(subject, validate=False), deque[float](maxlen=max_per_hour)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._begin()

    def _begin(self) -> None:
        """As new. A forked child begins so: the records of its parent are the parent's, and it has no thread."""
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._batch = _Batch(self._limits)
        self._thread: threading.Thread | None = None
        self._is_sending = self._is_urgent = False
        self._forget: Callable[[], None] | None = None
        self._end: float | None = None
        self._is_late = False  # at the end of the program, flush and close are called several times

    def filter(self, record: logging.LogRecord) -> Any:  # bool; from Python 3.12 on perhaps a record
        """Leave out what the mail itself causes, before any lock is taken."""
        is_own = record.name.partition(".")[0] == "wlsmtp" or threading.current_thread() is self._thread
        return False if is_own or self._is_closed else super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Put a record into the queue."""
        try:
            if self._process != os.getpid():
                self._begin()
            text = self.format(record).encode("utf-8", "backslashreplace").decode()
            first_line = next(iter(self._subject.format(record).splitlines()), record.levelname)
            subject = "".join(letter if letter.isprintable() else " " for letter in first_line[:150])
            text = shortened(text, max(1, self._limits[1] - 50))  # and its mark
            with self._changed:
                self._batch.add(record.levelno, subject, text)
                self._changed.notify_all()
            if self._thread is None or not self._thread.is_alive():
                self._forget = self._forget or exit_hooks.add(self._flush_last)
                self._thread = threading.Thread(target=self._work, name="wlsmtp-log", daemon=True)
                self._thread.start()
        except Exception:
            self.handleError(record)

    def _work(self) -> None:
        while not self._is_closed:
            with self._changed:
                while (pause := self._pause()) != 0 and not self._is_closed:
                    self._changed.wait(pause)
            self._send()

    def _send(self) -> None:
        """Mail the queue. What cannot be sent for now stays at its head."""
        with self._changed:
            batch, self._batch = self._batch, _Batch(self._limits)
            self._is_sending, self._is_urgent = True, False
            self._times.append(time.monotonic())
        left = _Batch(self._limits)
        try:
            if batch.texts:
                self.session.send(self._mail(*batch.mail()))
        except Exception as error:
            self._say(f"a mail with {len(batch)} log records was not sent: {error}")
            if isinstance(error, SMTPError) and error.temporary:
                left = batch
            elif not (isinstance(error, SMTPError) and error.ambiguous):
                left.lost = len(batch)
        with self._changed:
            later, self._batch, self._is_sending = self._batch, left, False
            left.add(later.level, later.subject, *later.texts)
            left.dropped, left.lost = left.dropped + later.dropped, left.lost + later.lost
            self._changed.notify_all()

    def _pause(self) -> float | None:
        """Seconds until the next mail; None while there is nothing to send."""
        if self._is_urgent or not (self._batch.texts and self._times):
            return 0 if self._batch.texts else None
        pause = 3600 if len(self._times) == self.max_per_hour else 0
        return max(0, max(self._times[-1] + self.interval, self._times[0] + pause) - time.monotonic())

    def _mail(self, subject: str, text: str) -> Message:
        headers = {"Auto-Submitted": "auto-generated"}  # so that no vacation answers (RFC 3834)
        return Message(sender=self._sender, to=self._to, subject=subject, text=text, headers=headers)

    def flush(self) -> None:
        """Have what is in the queue sent now, and wait for it, ``close_timeout`` seconds at most."""
        if self._process != os.getpid() or threading.current_thread() is self._thread:
            return
        has_worker = self._thread is not None and self._thread.is_alive()
        with self._changed:
            self._is_urgent = bool(self._batch.texts)
            self._changed.notify_all()
            left = (self._end or time.monotonic() + self.close_timeout) - time.monotonic()
            if has_worker and not self._changed.wait_for(lambda: not (self._is_urgent or self._is_sending), left):
                if not self._is_late:
                    self._say(f"log records were not mailed within {self.close_timeout:g} seconds")
                self._is_late = self._end is not None
        if not has_worker and self._is_urgent:  # a late end of the program, when no thread can be started
            self._send()

    def _flush_last(self) -> None:
        """At the end, and before ``logging`` closes its handlers, when it is too late for some that sending needs."""
        self._end = self._end or time.monotonic() + self.close_timeout
        self.flush()

    def close(self) -> None:
        """Send what is in the queue, and mail nothing more. Called at the end of the program by ``logging``."""
        if self._process != os.getpid():
            self._begin()
        self._flush_last()
        self._is_closed = True
        with self._changed:
            self._changed.notify_all()
        if self._forget is not None:
            self._forget()
        if self._owns_session:
            self.session.close(timeout=max(0.1, (self._end or 0) - time.monotonic()))
        super().close()

    def _say(self, words: str) -> None:
        if logging.raiseExceptions and sys.stderr:  # as handlers do
            sys.stderr.write(f"wlsmtp: {words}\n")
