"""A running session with the settings it was started with, and its end without silently losing emails."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import OutboxError, SMTPError
from wlsmtp.receipt import Status
from wlsmtp.wlanguage import settings, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wlsmtp.outbox.base import Outbox
    from wlsmtp.receipt import Receipt

__all__: list[str] = []

_A_MOMENT = 1.0
"""Seconds for emails in flight when a session is replaced by another one."""
_CLOSE_AGAIN = (
    "The session stays open and continues sending; close it once more. EmailConfigure(emailParameterSpooler, …) keeps "
    "emails in files"
)
_CLOSE_BEFORE = (
    "Call EmailCloseSession before the end, or keep emails in files with EmailConfigure(emailParameterSpooler, …)"
)
_START_AGAIN = (
    "The session stays open. Started again with settings that work it sends them; EmailStatus gives up the email that "
    "it is asked for"
)


class _SessionError:
    """Listens to a session for a permanent problem with all its emails: a wrong password, a certificate, a server
    without STARTTLS, a name that does not exist."""

    error: SMTPError | None = None

    def __call__(self, event: Any) -> None:
        error = getattr(event, "error", None)
        self.error = error if _is_lasting(error) else None


def _is_lasting(error: SMTPError | None) -> bool:
    return error is not None and not error.temporary and error.stage is not None and error.stage.is_before_mail


class Running:
    """A started session. Raises what ``SMTPSession`` raises."""

    def __init__(self, name: str, wanted: Mapping[str, Any], outbox: Outbox | None = None) -> None:
        """``outbox`` is that of the session that this one replaces, with its remaining emails."""
        from wlsmtp.events import Connected, Retrying, listener
        from wlsmtp.outbox.memory import MemoryOutbox
        from wlsmtp.session import SMTPSession

        self.name = name
        self.settings = wanted
        self.is_spooling: Any = wanted.get("mode") == "async"
        self.is_in_memory: Any = self.is_spooling and wanted["outbox"] == "memory:"
        self.outbox: Outbox | None = MemoryOutbox() if outbox is None and self.is_in_memory else outbox
        if self.outbox is not None:
            self.outbox.exit_hint = _CLOSE_BEFORE
        self.is_closed: bool = False
        self._given_up: list[SMTPError] = []
        """The reasons why emails were given up, one by one."""
        self._session_error = _SessionError()
        self._successor: Running | None = None
        """The session that has its emails, and sends them."""
        named: dict[str, Any] = {**wanted, "listeners": (listener(Connected, Retrying)(self._session_error),)}
        if self.is_in_memory:
            named["outbox"] = self.outbox
        self.session: SMTPSession = SMTPSession(**named)

    @property
    def session_error(self) -> SMTPError | None:
        """The permanent problem with its emails, until the program does something about it; None if there is none."""
        return self._session_error.error if self._successor is None else self._successor.session_error

    def open(self) -> None:
        """Connect and log in, or begin to send in the background; if that fails it is closed. Emails that earlier
        settings prevented are tried at once."""
        try:
            self.session.open()
            stuck = [each for each in self.session.pending() if _is_lasting(each.error)] if self.is_spooling else []
            for receipt in stuck:
                self.session.retry(receipt.id)
        except SMTPError:
            self.session.close()
            raise

    def gives_its_emails_to(self, name: str, wanted: Mapping[str, Any]) -> bool:
        """Return whether a session with these settings sends the remaining emails of this one: one with the same server
        for the same user, perhaps with another password. If so, this one has stopped."""
        is_the_same = all(self.settings.get(each) == wanted.get(each) for each in ("server", "port", "mode", "outbox"))
        if not self.is_spooling or not is_the_same or name != self.name:
            return False
        with suppress(OutboxError):  # the remaining emails are what is passed on
            self.session.close(drain=False, timeout=_A_MOMENT)
        if self.is_in_memory and self.session.outbox_statistics().in_flight:
            self.session.open()  # an email that is being sent at this moment must not be sent by two
            return False
        return True

    def retire(self) -> bool:
        """Close it if that needs no wait and loses nothing; else it continues sending, and returns False."""
        if self.is_spooling and self.session.outbox_statistics().pending:
            return False
        with suppress(SMTPError):
            self._close_or_go_on()
        return self.is_closed

    def is_followed_by(self, successor: Running) -> None:
        """Set the session that has the emails now."""
        self._successor = successor

    def give_up(self, receipt: Receipt) -> SMTPError | None:
        """Give up an email in memory that no session can send any more; return the reason. None if it may still be
        sent: in a file it stays for the next session."""
        cause = self.session_error
        if cause is None or not self.is_in_memory or not self.session.cancel(receipt.id):
            return None
        self._given_up.append(cause)
        return cause

    def close(self) -> None:
        """Send the remaining emails, within the timeout, and close. Raises ``OutboxError`` that says why something was
        not sent. If emails in memory would be lost, it continues, and ``is_closed`` is False."""
        if self.is_in_memory and (left := self.session.flush(settings.EmailGetTimeOut())):
            hint = _START_AGAIN if self.session_error is not None else _CLOSE_AGAIN
            why = f"{_not_sent(left)}, and would be lost with the program{_because(self._cause())}"
            raise OutboxError(why, hint=hint)
        self._close_or_go_on()
        if self._given_up:
            raise OutboxError(f"{_not_sent(len(self._given_up))}{_because(self._given_up[-1])}")
        if self.session_error is not None and not self.is_in_memory:
            raise OutboxError(f"Emails stay in the spooler's file for the next session{_because(self.session_error)}")

    def _close_or_go_on(self) -> None:
        if not self.is_spooling:
            self.is_closed = True
            with suppress(SMTPError):  # a connection that ends badly has no mail of ours
                self.session.close()
            return
        try:
            self.session.close(timeout=settings.EmailGetTimeOut())
            self.is_closed = True
        except OutboxError:  # somebody has sent an email meanwhile
            self.session.open()
            raise

    def _cause(self) -> SMTPError | None:
        if self.session_error is not None:
            return self.session_error
        pending = self.session.receipts(Status.PENDING)
        try:
            return next((receipt.error for receipt in pending if receipt.error is not None), None)
        finally:
            pending.close()


def _not_sent(count: int) -> str:
    return "1 email was not sent" if count == 1 else f"{count} emails were not sent"


def _because(cause: SMTPError | None) -> str:
    if cause is None:
        return ""
    said = f". The server said: {cause.reply}" if cause.reply is not None else ""
    return f": {words.in_wlanguage(cause)}{said}"
