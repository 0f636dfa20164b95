"""Pure: what the replies to a transaction, or missing replies, show about a server. The results go into its
``ServerQuirks``.

When an advertised extension does not work, ``Misunderstood`` is raised: the connection ends, and the message is sent
again without the extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import DeadlineExceeded, Stage
from wlsmtp.smtp import judge
from wlsmtp.smtp.plan import Flow
from wlsmtp.smtp.quirks import Trust
from wlsmtp.smtp.transaction import Misunderstood, OutOfStep, Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wlsmtp.errors import SMTPError
    from wlsmtp.results.reply import Reply
    from wlsmtp.smtp.quirks import ServerQuirks
    from wlsmtp.smtp.transaction import ChunkProbe, Transaction


STORES_WHAT_FOLLOWS = ("Net::Server::Mail",)
"""Greetings of servers that execute the commands right after content sent by DATA and also store them as part of that
content. No reply shows this, so the name must do."""


def from_greeting(quirks: ServerQuirks, greeting: Reply) -> None:
    """Learn from the greeting whether this server has a fault known by name."""
    if any(name in greeting.text for name in STORES_WHAT_FOLLOWS):
        quirks.behind_data = Trust.BROKEN


def from_envelope(quirks: ServerQuirks, transaction: Transaction, *, is_closing: bool) -> None:
    """Learn from the replies to the envelope. ``is_closing``: the server has announced that it ends the connection."""
    # Another connection may have found it broken since this group was sent.
    if quirks.groups is not Trust.PROVEN and transaction.flow is not Flow.STEP_BY_STEP and not is_closing:
        _from_group(quirks, transaction)
    if transaction.probe is not None:
        _from_probe(quirks, transaction, transaction.probe)
    if transaction.with_reset:
        from_reset(quirks, transaction.replies[0], transaction)


def _from_group(quirks: ServerQuirks, transaction: Transaction) -> None:
    probed = transaction.probe.replies if transaction.probe is not None else []
    resets = [reply for reply in (*probed[:1], transaction.rset_reply) if reply is not None]
    if judge.mishandles_groups(resets, transaction.mail, transaction.rcpts, transaction.data, probed[1:]):
        quirks.groups = Trust.BROKEN
        raise _misunderstood(
            transaction, Misunderstood.about(transaction.plan.server, "a group of commands", transaction.last)
        )
    if quirks.groups is Trust.UNPROVEN:
        quirks.groups = Trust.PROVEN


def _from_probe(quirks: ServerQuirks, transaction: Transaction, probe: ChunkProbe) -> None:
    transaction.probe = None
    from_reset(quirks, probe.replies[0], transaction)
    if any(reply.code == 421 for reply in probe.replies):
        transaction.by_bdat = False
    elif quirks.swallows_chunk is Trust.UNPROVEN:
        quirks.swallows_chunk = Trust.PROVEN if probe.is_swallowed else Trust.BROKEN
    if quirks.swallows_chunk is not Trust.PROVEN:
        transaction.by_bdat = False
        if transaction.plan.content.is_binary:
            raise _misunderstood(transaction, Misunderstood.about(transaction.plan.server, "BDAT", probe.replies[1]))


def from_reset(quirks: ServerQuirks, reply: Reply, transaction: Transaction | None = None) -> None:
    """Learn from the reply to RSET. Raises ``OutOfStep`` when a server refuses RSET after accepting it before."""
    if reply.is_positive:
        if quirks.rset is Trust.UNPROVEN:
            quirks.rset = Trust.PROVEN
    elif reply.code != 421:
        server = transaction.plan.server if transaction is not None else "The server"
        if transaction is not None and transaction.follows is not None:
            quirks.set_behind(Trust.BROKEN, by_bdat=transaction.follows)
        if quirks.rset is Trust.PROVEN:
            raise OutOfStep(f"{server} refused RSET, which it had accepted before", stage=Stage.RSET, reply=reply)
        quirks.rset = Trust.BROKEN
        raise _misunderstood(transaction, Misunderstood.about(server, "RSET", reply, Stage.RSET))


def from_trial(quirks: ServerQuirks, trial: Trial) -> None:
    """Learn from the reply to an RSET right after content. A refusal is about its position and says nothing about RSET
    itself."""
    reply = trial.expectation.replies[0]
    if reply.code == 421:
        return
    is_refused = reply.is_transient or reply.is_permanent
    if not is_refused:
        from_reset(quirks, reply)
    quirks.set_behind(Trust.BROKEN if is_refused else Trust.PROVEN, by_bdat=trial.by_bdat)


def from_delivery(quirks: ServerQuirks, transaction: Transaction, window_limit: int) -> None:
    """Learn from a delivered message."""
    if quirks.window is not None or not quirks.has_delivered:
        quirks.delivered(window_limit)
    if transaction.by_bdat and quirks.bdat is Trust.UNPROVEN:
        quirks.bdat = Trust.PROVEN


def from_refusal(quirks: ServerQuirks, transaction: Transaction) -> None:
    """Learn from a refused message whether the server knows BDAT at all."""
    if not (transaction.by_bdat and transaction.is_wanted) or quirks.bdat is Trust.PROVEN:
        return
    if not judge.is_misunderstanding(transaction.last):
        quirks.bdat = Trust.PROVEN if quirks.bdat is Trust.UNPROVEN else quirks.bdat
        return
    quirks.bdat = Trust.BROKEN
    raise _misunderstood(transaction, Misunderstood.about(transaction.plan.server, "BDAT", transaction.last))


def from_lost_probe(quirks: ServerQuirks, transaction: Transaction, probe: ChunkProbe) -> None:
    """Learn from a connection that ended at the BDAT commands of a probe. The server does not tolerate errors, like
    Postfix while all its processes are busy."""
    if quirks.swallows_chunk is Trust.UNPROVEN:
        quirks.swallows_chunk = Trust.BROKEN
    _misunderstood(transaction, Misunderstood.about(transaction.plan.server, "BDAT", probe.last_reply))


def from_loss(
    quirks: ServerQuirks, in_flight: Sequence[Transaction | Trial], error: SMTPError, *, settled: int
) -> None:
    """Learn from a connection that was lost with these messages in flight, after it had ``settled`` others. The server
    had not announced that it would close."""
    head = in_flight[0]
    if isinstance(head, Trial):
        quirks.set_behind(Trust.BROKEN, by_bdat=head.by_bdat)
        return
    answered = [*(head.probe.replies if head.probe is not None else ()), *head.replies]
    is_group = head.flow is not Flow.STEP_BY_STEP and quirks.groups is not Trust.PROVEN
    if is_group and head.end_at is None and judge.names_groups(answered):
        quirks.groups = Trust.BROKEN
        _misunderstood(head, Misunderstood.about(head.plan.server, "a group of commands", answered[-1]))
        return
    if head.probe is not None and not head.probe.is_complete and quirks.swallows_chunk is Trust.UNPROVEN:
        from_lost_probe(quirks, head, head.probe)
        return
    if quirks.groups is Trust.UNPROVEN and head.flow is not Flow.STEP_BY_STEP:
        quirks.group_lost()
    if head.follows is not None and not head.replies and isinstance(error, DeadlineExceeded):
        quirks.set_behind(Trust.BROKEN, by_bdat=head.follows)
    if len(in_flight) > 1:
        quirks.window_lost(settled)


def _misunderstood(transaction: Transaction | None, error: Misunderstood) -> Misunderstood:
    """Record that the message was not sent, whatever the replies to its recipients were: it is sent again in another
    way."""
    if transaction is not None:
        transaction.outcome = judge.misunderstood(transaction.plan.envelope.addresses, error)
    return error
