"""Pure: what the replies of one transaction mean for each recipient.

The class of a reply is its first digit. Nothing that is known is discarded: a refused recipient stays refused, with its
reply, whatever happened to the connection afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wlsmtp.errors import ContentRefused, OutcomeUnknown, SenderRefused, SMTPError, Stage
from wlsmtp.receipt import Outcome, RecipientResult, RecipientStatus, refusal
from wlsmtp.results.reply import are_positive

if TYPE_CHECKING:
    from wlsmtp.results.reply import Reply

_ACCEPTED = RecipientStatus.ACCEPTED
_SERVER = "The server"
"""The server's name in errors where the real one is not known."""
_OUT_OF_ORDER = frozenset({500, 502, 503})
"""Unknown, not implemented, bad sequence of commands (RFC 5321 §4.2.4)."""
_POLICY = 7
"""The subject of enhanced codes that name a policy (RFC 3463 §3.8)."""
_NAMES_GROUPS = re.compile("pipelin|synchroni[sz]", re.IGNORECASE)
NAMES_CONNECTIONS = re.compile(
    r"\b(?:too many|trop de|number of) (?:[\w-]+ ){0,2}(?:connections|connexions|sessions)\b|"
    r"\b(?:concurrent|concurrency|simultaneous)\b|(?<!per[ -])\b(?:connection|thread) limit|"
    r"\bmax(?:\.|imum)?(?: (?:allowed|permitted|number of|client|open|smtp))* (?:connections|sessions)\b"
    r"(?! per (?:sec|min|h|day))",
    re.IGNORECASE,
)
"""Words about too many connections at once."""
NAMES_RATE = re.compile(
    r"\btoo much mail|\brates?\b|rate.?limit|\bthrottl|\bslow(?:ing)? down\b|\bper (?:second|minute|hour|day)\b",
    re.IGNORECASE,
)
"""Words about too much mail in a period of time."""
_NAMES_MESSAGES = re.compile(
    r"\b(?:too many (?:messages|mails|e-?mails|transactions)|(?:message|mail|transaction)s? limit) "
    r"(?:\w+ ){0,3}(?:connection|session)\b|"
    r"\b(?:messages|mails|e-?mails|transactions) per (?:smtp )?(?:connection|session)\b",
    re.IGNORECASE,
)
_NAMES_IDLENESS = re.compile(r"time.?out|timed out|\bidle\b|inactiv", re.IGNORECASE)
_NEEDS_TRANSITION = "4.7.12"


def sender_refused(recipients: Sequence[str], reply: Reply, server: str = _SERVER) -> Outcome:
    """Return the outcome when MAIL was refused: nobody gets the message."""
    error = SenderRefused(f"{server} refused the sender", stage=Stage.MAIL, reply=reply)
    return Outcome.of(recipients, RecipientStatus.REFUSED, reply=reply, error=error)


def recipients_refused(recipients: Sequence[str], replies: Sequence[Reply | None], server: str = _SERVER) -> Outcome:
    """Return the outcome when nothing is delivered: all recipients were refused, or some while ``all_or_nothing`` was
    set."""
    results = _by_recipient(recipients, replies, RecipientStatus.NOT_SENT, None)
    return Outcome(results, error=refusal(results, server=server))


def content_refused(
    recipients: Sequence[str], replies: Sequence[Reply | None], reply: Reply, stage: Stage, server: str = _SERVER
) -> Outcome:
    """Return the outcome when DATA or the content was refused, which refuses the message for the accepted
    recipients."""
    error = ContentRefused(f"{server} refused the message", stage=stage, reply=reply)
    return Outcome(_by_recipient(recipients, replies, RecipientStatus.REFUSED, reply), reply, error)


def delivered(
    recipients: Sequence[str], replies: Sequence[Reply | None], reply: Reply, server: str = _SERVER
) -> Outcome:
    """Return the outcome when the content was acknowledged, for the accepted recipients."""
    results = _by_recipient(recipients, replies, RecipientStatus.ACCEPTED, reply)
    is_partial = any(result.status is RecipientStatus.REFUSED for result in results)
    return Outcome(results, reply, refusal(results, server=server) if is_partial else None)


def accepted(recipients: Sequence[str], reply: Reply) -> Outcome:
    """Return the outcome when every recipient gets the message."""
    if len(recipients) == 1:  # the usual case
        return Outcome((RecipientResult(recipients[0], _ACCEPTED, reply),), reply)
    return Outcome(tuple([RecipientResult(address, _ACCEPTED, reply) for address in recipients]), reply)


def concluded(
    recipients: Sequence[str], rcpts: Sequence[Reply], last: Reply, stage: Stage, server: str = _SERVER
) -> Outcome:
    """Return the outcome when everything was answered and some recipient was accepted. ``last`` is the reply to the
    content, or to DATA when that was refused."""
    if not last.is_positive:
        return content_refused(recipients, rcpts, last, stage, server)
    if are_positive(rcpts):
        return accepted(recipients, last)
    return delivered(recipients, rcpts, last, server)


def out_of_step(recipients: Sequence[str], error: SMTPError, *, end_written: bool) -> Outcome:
    """Return the outcome when replies and commands no longer correspond. If the end of the message was written, nothing
    is known about it, not even what the replies to its recipients seemed to say."""
    if end_written:
        return Outcome.of(recipients, RecipientStatus.UNKNOWN, error=_unknown(error))
    return Outcome.of(recipients, RecipientStatus.NOT_SENT, error=error)


def mishandles_groups(
    resets: Sequence[Reply], mail: Reply, rcpts: Sequence[Reply], data: Reply | None, others: Sequence[Reply] = ()
) -> bool:
    """Return whether the replies to a first group show that the server handles one command at a time only. Such a
    server does not know RSET or commands after accepted ones, calls them out of order, or objects in words."""
    if names_groups([*resets, *others, mail, *rcpts, *([data] if data is not None else [])]):
        return True
    if any(is_misunderstanding(reply) for reply in resets):
        return True
    if not mail.is_positive:
        return False
    if any(is_misunderstanding(reply) for reply in rcpts):
        return True
    return data is not None and any(reply.is_positive for reply in rcpts) and is_misunderstanding(data)


def names_groups(replies: Iterable[Reply]) -> bool:
    """Return whether a refusal says that commands must not come in groups."""
    return any(not reply.is_positive and _NAMES_GROUPS.search(reply.text) for reply in replies)


def is_misunderstanding(reply: Reply) -> bool:
    """Return whether the server seems not to know a command, or calls it out of order, rather than refusing it by
    policy."""
    return reply.code in _OUT_OF_ORDER and (reply.enhanced is None or reply.enhanced.subject != _POLICY)


def is_closing(reply: Reply) -> bool:
    """Return whether a server ends the connection with this reply, or accepts no more mail over it. That is 421, 4.4.2
    (Amazon SES says it after a pause), or words about too many messages in one connection."""
    if reply.code == 421:
        return True
    return reply.is_transient and (str(reply.enhanced) == "4.4.2" or names_messages(reply))


def names_messages(reply: Reply) -> bool:
    """Return whether a temporary refusal says that this connection has carried enough messages."""
    return reply.is_transient and _NAMES_MESSAGES.search(reply.text) is not None


def names_connections(reply: Reply) -> bool:
    """Return whether a refusal says that the client has too many connections: 432, as Exchange says it, or in words."""
    if reply.code == 432 and str(reply.enhanced) != _NEEDS_TRANSITION:
        return True
    return reply.is_transient and NAMES_CONNECTIONS.search(reply.text) is not None


def names_rate(reply: Reply) -> bool:
    """Return whether a refusal says that the client sends too much mail in a period of time."""
    return not reply.is_positive and NAMES_RATE.search(reply.text) is not None


def names_idleness(reply: Reply) -> bool:
    """Return whether a server says that it has waited too long."""
    return not reply.is_positive and _NAMES_IDLENESS.search(reply.text) is not None


def answered_each(
    recipients: Sequence[str],
    replies: Sequence[Reply | None],
    finals: Sequence[Reply],
    broken: SMTPError | None = None,
    *,
    server: str = _SERVER,
) -> Outcome:
    """Return the outcome of LMTP, which answers the content once for each accepted recipient, in order (RFC 2033 §4.2).
    If the connection is ``broken``, recipients without an answer are in doubt."""
    answers = iter(finals)
    words = [reply if reply is not None and not reply.is_positive else next(answers, None) for reply in replies]
    results = tuple(map(_answered, recipients, words))
    best = min(finals, key=lambda reply: reply.code, default=None)
    if broken is not None and any(word is None or word.is_intermediate for word in words):
        return Outcome(results, best, _unknown(broken))
    is_partial = any(result.status is RecipientStatus.REFUSED for result in results)
    return Outcome(results, best, refusal(results, Stage.CONTENT, server) if is_partial else None)


def _answered(address: str, word: Reply | None) -> RecipientResult:
    if word is None or word.is_intermediate:
        return RecipientResult(address, RecipientStatus.UNKNOWN)
    return RecipientResult(address, RecipientStatus.ACCEPTED if word.is_positive else RecipientStatus.REFUSED, word)


def misunderstood(recipients: Sequence[str], error: SMTPError) -> Outcome:
    """Return the outcome when nothing was sent and the replies say nothing about the message: they answer other
    input."""
    return Outcome.of(recipients, RecipientStatus.NOT_SENT, error=error)


def interrupted(
    recipients: Sequence[str],
    replies: Sequence[Reply | None],
    error: SMTPError,
    *,
    end_written: bool,
    mail: Reply | None = None,
    server: str = _SERVER,
) -> Outcome:
    """Return the outcome when the connection failed. Before the end of the content was written nothing is delivered.
    After it, the result is unknown for all but the refused recipients."""
    if mail is not None and not mail.is_positive:
        return sender_refused(recipients, mail, server)
    if all(reply is not None and not reply.is_positive for reply in replies):
        return recipients_refused(recipients, replies, server)
    if not end_written:
        return Outcome(_by_recipient(recipients, replies, RecipientStatus.NOT_SENT, None), None, error)
    return Outcome(_by_recipient(recipients, replies, RecipientStatus.UNKNOWN, None), None, _unknown(error))


def _unknown(error: SMTPError) -> OutcomeUnknown:
    unknown = OutcomeUnknown(
        f"The whole message was sent and no reply came ({error.message})",
        stage=Stage.CONTENT,
        reply=error.reply,
        hint="It may or may not have been delivered: sending it again may deliver it twice",
    )
    unknown.__cause__ = error
    return unknown


def _by_recipient(
    recipients: Sequence[str], replies: Sequence[Reply | None], status: RecipientStatus, reply: Reply | None
) -> tuple[RecipientResult, ...]:
    """Return ``status`` for all recipients except those whose RCPT was refused."""
    return tuple(
        RecipientResult(address, RecipientStatus.REFUSED, own)
        if own is not None and not own.is_positive
        else RecipientResult(address, status, reply)
        for address, own in zip(recipients, replies, strict=True)
    )
