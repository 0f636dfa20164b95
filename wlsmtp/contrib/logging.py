"""A handler of ``logging`` that mails what is logged, many records in one mail, and never makes the program wait.

>>> handler = MailHandler("smtp://localhost", sender="site@example.com", to="ops@example.com")
>>> logging.getLogger().addHandler(handler)
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from wlsmtp.contrib._log_batch import Batch, say
from wlsmtp.errors import ConfigError, SMTPError
from wlsmtp.io.exit_hooks import exit_hooks
from wlsmtp.message.model import Message
from wlsmtp.results.reply import shortened
from wlsmtp.session import SMTPSession

LINES = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SUBJECT = "%(levelname)s: %(message)s"


class MailHandler(logging.Handler):
    """Mails records. A call of the logger puts its record into a queue, and a thread sends the queue as one mail.

    The first record is mailed at once; what comes within ``interval`` seconds of a mail waits for the next one. A mail
    that could not be sent for now is sent with the next one. What the logger ``wlsmtp`` and the
    thread that sends have to say is not mailed: a failure of the mail causes no further mail.
    """

    def __init__(
        self, session: SMTPSession | str, *, to: str | Sequence[str], sender: str | None = None,
        subject: str = SUBJECT, interval: float = 60.0, max_per_hour: int = 30, max_records: int = 1000,
        max_characters: int = 500_000, close_timeout: float = 10.0, level: int | str = logging.ERROR,
    ) -> None:  # fmt: skip
        """``session`` is a session, or the URL of one that the handler makes for itself and closes.

        ``subject`` is formatted with the first of the gravest records of a mail; its first line counts. ``interval`` is
        in seconds, from one mail to the next. A mail has ``max_records`` records and ``max_characters`` characters at
        most, and says how many more there were. ``close_timeout`` is how long, in seconds, ``flush``, ``close`` and the
        end of the program wait for the last mail. Raises ``ConfigError`` and ``MessageError`` for what cannot work.
        """
        super().__init__(level)
        self.session: SMTPSession = SMTPSession.from_url(session) if isinstance(session, str) else session
        if not isinstance(self.session, SMTPSession):
            raise ConfigError("session: must be an SMTPSession, or the URL of one")
        self.interval: float = interval
        self.max_per_hour: int = max_per_hour
        self.close_timeout: float = close_timeout
        self.max_records: int = max_records
        self.max_characters: int = max_characters
        if not (interval >= 0 <= close_timeout and max_per_hour >= 1 and max_records >= 1 and max_characters >= 1):
            raise ConfigError("interval, close_timeout, max_per_hour, max_records, max_characters: must be positive")
        self._owns_session, self._is_closed = isinstance(session, str), False
        self._to, self._sender = [to] if isinstance(to, str) else [*to], sender or self.session.config.sender
        self._subject = logging.Formatter(subject)
        if not (self._to and self._sender):
            raise ConfigError("to, sender: must be given, as addresses")
        self._mail("-", "-")  # raises for an address that is invalid
        self._times: deque[float] = deque(maxlen=max_per_hour)
        self.setFormatter(logging.Formatter(LINES))
        self._begin()

    def _begin(self) -> None:
        """As new. A forked child begins so: the records of its parent are the parent's, and it has no thread."""
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._batch = self._new_batch()
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
            text = shortened(text, max(1, self.max_characters - 50))  # and its mark
            first_line = next(iter(self._subject.format(record).splitlines()), record.levelname)
            subject = "".join(letter if letter.isprintable() else " " for letter in first_line[:150])
            with self._changed:
                self._batch.add(text, record.levelno, subject)
                self._changed.notify_all()
            self._hire()
        except Exception:
            self.handleError(record)

    def _hire(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            if self._forget is None:
                self._forget = exit_hooks.add(self._at_exit)
            self._thread = threading.Thread(target=self._work, name="wlsmtp-log", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._is_closed:
            with self._changed:
                while (pause := self._pause()) != 0 and not self._is_closed:
                    self._changed.wait(pause)
            self._send_batch()

    def _send_batch(self) -> None:
        with self._changed:
            batch, self._batch = self._batch, self._new_batch()
            self._is_sending, self._is_urgent = True, False
            self._times.append(time.monotonic())
        left = self._send(batch) if batch.texts else batch
        with self._changed:
            later, self._batch = self._batch, left
            left.dropped, left.lost = left.dropped + later.dropped, left.lost + later.lost
            for text in later.texts:
                left.add(text, later.level, later.subject)
            self._is_sending = False
            self._changed.notify_all()

    def _pause(self) -> float | None:
        """Seconds until the next mail; None while there is nothing to send."""
        if not self._batch.texts:
            return None
        if self._is_urgent or not self._times:
            return 0
        due = self._times[-1] + self.interval
        if len(self._times) == self.max_per_hour:
            due = max(due, self._times[0] + 3600)
        return max(0, due - time.monotonic())

    def _send(self, batch: Batch) -> Batch:
        """Send a mail. Returns what the next one is to say."""
        nothing = self._new_batch()
        try:
            self.session.send(self._mail(batch.title, batch.text))
        except Exception as error:
            say(f"a mail with {len(batch)} log records was not sent: {error}")
            if isinstance(error, SMTPError) and error.temporary:
                return batch
            if not (isinstance(error, SMTPError) and error.ambiguous):
                nothing.lost = len(batch)
        return nothing

    def _new_batch(self) -> Batch:
        return Batch(self.max_records, self.max_characters)

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
            if has_worker and not self._changed.wait_for(
                lambda: not (self._is_urgent or self._is_sending), self._time_left()
            ):
                if not self._is_late:
                    say(f"log records were not mailed within {self.close_timeout:g} seconds")
                self._is_late = self._end is not None
        if not has_worker and self._is_urgent:  # a late end of the program, when no thread can be started
            self._send_batch()

    def _time_left(self) -> float:
        return self.close_timeout if self._end is None else max(0.0, self._end - time.monotonic())

    def _at_exit(self) -> None:
        """Before ``logging`` closes its handlers, when it is too late for some that sending needs."""
        self._end = time.monotonic() + self.close_timeout
        self.flush()

    def close(self) -> None:
        """Send what is in the queue, and mail nothing more. Called at the end of the program by ``logging``."""
        if self._process != os.getpid():
            self._begin()
        self._end = time.monotonic() + self._time_left()
        self.flush()
        self._is_closed = True
        with self._changed:
            self._changed.notify_all()
        if self._forget is not None:
            self._forget()
        if self._owns_session:
            self.session.close(timeout=max(0.1, self._time_left()))
        super().close()
