"""Nothing that any test makes the library say holds a secret of the tests: log records, events, errors and their
tracebacks are searched after each test."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from wlsmtp.errors import SMTPError
from wlsmtp.events import Announcer, Event

SECRETS = ("s3cret-Pa55", "s3cret")
USER = "ann"


def forms_of(secret: str) -> list[str]:
    """The secret, and what AUTH makes of it."""
    said = (secret, f"\0{USER}\0{secret}", f"user={USER}\1auth=Bearer {secret}\1\1")
    return [secret, *(base64.b64encode(text.encode()).decode() for text in said)]


FORMS = [form for secret in SECRETS for form in forms_of(secret)]


class Recorder(logging.Handler):
    """Keeps all that is said."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []
        self.errors: list[SMTPError] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if record.exc_info:
            self.said.append("".join(traceback.format_exception(*record.exc_info)))

    def leaks(self) -> list[str]:
        """What was said and holds a secret."""
        for error in self.errors:
            self.said += [str(error), repr(error), repr(error.args), repr(error.receipt)]
            self.said += traceback.format_exception(error)
        return [text for text in self.said if any(form in text for form in FORMS)]


@pytest.fixture(autouse=True)
def nothing_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Listens to everything during one test."""
    recorder = Recorder()
    announce, init = Announcer.__call__, SMTPError.__init__

    def listen(self: Announcer, event: Event) -> None:
        recorder.said.append(repr(event))
        announce(self, event)

    def note(self: SMTPError, *args: Any, **options: Any) -> None:
        recorder.errors.append(self)
        init(self, *args, **options)

    monkeypatch.setattr(Announcer, "__call__", listen)
    monkeypatch.setattr(SMTPError, "__init__", note)
    logging.getLogger().addHandler(recorder)
    yield recorder
    logging.getLogger().removeHandler(recorder)
    assert recorder.leaks() == []
