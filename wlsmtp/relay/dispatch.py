"""One message on its way to all its recipients, in as many transactions as the server requires. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ConnectionFailed, MessageError, RecipientsRefused, ReplyError, Stage
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.retry import Again
from wlsmtp.smtp.transaction import NotStarted

if TYPE_CHECKING:
    from wlsmtp.errors import SMTPError
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.message.mail import Mail
    from wlsmtp.results.reply import Reply
    from wlsmtp.results.secured import TLSInfo
    from wlsmtp.smtp.connection import Connection
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.quirks import ServerQuirks
    from wlsmtp.smtp.run import Run
    from wlsmtp.smtp.transaction import Transaction


class Dispatch:
    """Keeps the recipients still to be sent to, and the results for the others."""

    __slots__ = (
        "_is_part", "_so_far", "deadlines", "envelope", "has_paced", "is_picky", "is_whole", "mail",
        "not_before", "outcome", "tls", "transaction", "was_refused",
    )  # fmt: skip

    def __init__(self, mail: Mail, deadlines: Deadlines) -> None:
        self.mail: Mail = mail
        self.envelope: Envelope = mail.envelope
        """The recipients that have had no transaction yet."""
        self.deadlines: Deadlines = deadlines
        self.has_paced: bool = False
        """True if it has waited as the pace requires."""
        self.was_refused: bool = False
        """True if the message itself was refused, before it is sent again."""
        self.not_before: float | None = None
        """The connection must have been opened after this time, as an older one has failed."""
        self.is_picky: bool = False
        """True if the connection should have delivered a message: another one was one too many."""
        self.transaction: Transaction | None = None
        self.outcome: Outcome | None = None
        """The outcome, once all recipients are settled."""
        self.tls: TLSInfo | None = None
        """The security of the connection that it was last planned for."""
        self._so_far: Outcome | None = None
        self._is_part = False
        self.is_whole: bool = True
        """True if its next transaction is for all recipients."""

    @property
    def content(self) -> Content:
        """The content of the mail."""
        return self.mail.content

    def next_part(self, connection: Connection, *, all_or_nothing: bool) -> Envelope:
        """Return the recipients for one transaction with this server, where ``Planner.may_split``. Raises
        ``MessageError`` when ``all_or_nothing`` was asked for and is impossible."""
        parts = connection.planner.split(self.envelope)
        self._is_part = len(parts) > 1
        self.is_whole = self.is_whole and not self._is_part
        if self._is_part and all_or_nothing:
            count = len(parts[0].recipients)
            server = connection.info.server
            words = f"{server} accepts {count} recipients per message, and partial='abort' requires them all in one"
            raise MessageError(words, stage=Stage.MAIL)
        return parts[0]

    @property
    def had_free_retry(self) -> bool:
        """True if it was already sent again for a reason outside the message."""
        return self.mail.had_free_retry

    def suspect(self) -> None:
        """Note that a connection ended when the server refused the message."""
        self.mail.is_suspect = True

    def is_resent_at_once(self, latest: Outcome, again: Again, now: float, *, all_or_nothing: bool) -> bool:
        """Return whether the message is sent again at once, over another connection, because the failure is not its
        own."""
        if again not in (Again.AT_ONCE, Again.ELSEWHERE):
            return False
        refused = {result.address for result in latest.recipients if result.is_permanent}
        if refused and all_or_nothing:
            return False
        self.transaction = None
        if refused:  # known results are kept: only the other recipients are sent to again
            self._so_far, self.is_whole = self._merged(latest), False
            self.envelope = self.envelope.only(one for one in self.envelope.recipients if str(one) not in refused)
        self.was_refused = isinstance(latest.error, ReplyError)
        # A message that was not started costs nothing, however often that happens.
        self.mail.had_free_retry = self.mail.had_free_retry or not isinstance(latest.error, NotStarted)
        self.is_picky = again is Again.ELSEWHERE
        if again is Again.AT_ONCE:
            self.not_before = now
        return True

    def interrupt(self, sent: int | None) -> None:
        """Store in the mail what is certain, since nobody waits for the outcome any more. ``sent`` is the number of
        octets written to its connection, which carries no more; None when other senders continue what was begun."""
        error = ConnectionFailed("The sender of the message was interrupted", stage=Stage.MAIL)
        transaction = self.transaction
        if self.outcome is None and transaction is None:
            self.fail(error)
        elif self.outcome is None and transaction is not None:
            if transaction.outcome is None:
                transaction.interrupt(error, sent or 0, is_going_out=sent is None)
            assert transaction.outcome is not None
            self._settle(transaction.outcome)
        self.mail.known = self.outcome

    def fail(self, error: SMTPError) -> None:
        """Fail for all remaining recipients."""
        self._settle(Outcome.of(self.envelope.addresses, RecipientStatus.NOT_SENT, error=error))

    def apply(self, latest: Outcome, quirks: ServerQuirks, *, all_or_nothing: bool) -> bool:
        """Apply the result of one transaction; return whether another one must follow at once. That is for recipients
        not sent to yet, and for those beyond the server's limit, which it reports with 452 (RFC 5321 §4.5.3.1.10)."""
        self.transaction = None
        if self.is_whole and latest.error is None:  # the usual case
            latest.tls, self.outcome = self.tls, latest
            return False
        if not self._is_part and latest.error is None:
            self._settle(latest)
            return False
        accepted = sum(result.status is RecipientStatus.ACCEPTED for result in latest.recipients)
        asked = {result.address for result in latest.recipients}
        left = {address for address in self.envelope.addresses if address not in asked}
        # LMTP answers 452 after the content too, for a mailbox.
        is_about_content = latest.error is not None and latest.error.stage is Stage.CONTENT
        if accepted and not all_or_nothing and not is_about_content:
            beyond = {result.address for result in latest.recipients if _exceeds_limit(result.status, result.reply)}
            if beyond:
                quirks.max_recipients = accepted
            left |= beyond
        # A refusal or doubt about these recipients says nothing about those not sent to yet.
        error = latest.error
        may_go_on = accepted or isinstance(error, RecipientsRefused) or (error is not None and error.ambiguous)
        if not may_go_on or not left:
            self._settle(latest)
            return False
        self._so_far, self.is_whole = self._merged(latest), False
        self.envelope = self.envelope.only(one for one in self.envelope.recipients if str(one) in left)
        return True

    def _settle(self, latest: Outcome) -> None:
        merged = self._merged(latest) if self._is_part or self._so_far is not None else latest
        self.outcome = merged if self.tls is None else Outcome(merged.recipients, merged.reply, merged.error, self.tls)

    def _merged(self, latest: Outcome) -> Outcome:
        if self._so_far is None and not self._is_part:
            return latest
        if self._so_far is None:
            known = {result.address for result in latest.recipients}
            unasked = [address for address in self.envelope.addresses if address not in known]
            rest = Outcome.of(unasked, RecipientStatus.NOT_SENT).recipients
            return Outcome((*latest.recipients, *rest), latest.reply, latest.error)
        return self._so_far.updated_by(latest)


def dispatches_of(run: Run) -> list[Dispatch]:
    """Return the messages of a run that were sent and have no outcome, each with its own transaction."""
    dispatches: list[Dispatch] = []
    for mail, transaction in zip(run.mails[len(run.outcomes) :], run.spread(), strict=False):
        dispatches.append(dispatch := Dispatch(mail, run.deadlines))
        dispatch.tls, dispatch.transaction = run.tls, transaction
    return dispatches


def _exceeds_limit(status: RecipientStatus, reply: Reply | None) -> bool:
    """Return whether a recipient exceeds the server's limit: 4.5.3, or 452 unless that is about a full mailbox or
    disk."""
    if status is not RecipientStatus.REFUSED or reply is None or not reply.is_transient:
        return False
    return str(reply.enhanced) == "4.5.3" or (reply.code == 452 and reply.enhanced is None)
