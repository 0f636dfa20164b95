"""Nothing that any test makes the library say holds a secret of the tests: log records, events, errors and their
tracebacks are searched after each test."""

from __future__ import annotations

import base64
import logging
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
        if record.exc_info and record.exc_info[1] is not None:
            self.said += words_of(record.exc_info[1])

    def leaks(self) -> list[str]:
        """What was said and holds a secret."""
        said = [*self.said, *(text for error in self.errors for text in words_of(error))]
        return [text for text in said if any(form in text for form in FORMS)]


def words_of(error: BaseException | None) -> list[str]:
    """What a traceback says of an error and of those behind it. The lines of code in between are those of the tests,
    which hold their secrets."""
    said: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # a chain may come back to where it began
        seen.add(id(error))
        said += [str(error), repr(error), repr(error.args), repr(getattr(error, "receipt", None))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said


@pytest.fixture(autouse=True)
def nothing_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Listens to everything during one test."""
    recorder = Recorder()
    announce, init = Announcer.__call__, SMTPError.__init__

    def listen(self: Announcer, event: Event, *muted: Any) -> None:
        recorder.said.append(repr(event))
        announce(self, event, *muted)

    def note(self: SMTPError, *args: Any, **options: Any) -> None:
        recorder.errors.append(self)
        init(self, *args, **options)

    monkeypatch.setattr(Announcer, "__call__", listen)
    monkeypatch.setattr(SMTPError, "__init__", note)
    logging.getLogger().addHandler(recorder)
    yield recorder
    logging.getLogger().removeHandler(recorder)
    assert recorder.leaks() == []
