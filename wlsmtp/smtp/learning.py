"""Pure: what the replies to a transaction, or their absence, show about a server; it goes into its ``ServerQuirks``.

Where an advertised extension turns out not to work, ``Misunderstood`` is raised: the connection ends, and the message
is sent again without the extension.
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
"""Words of the greetings of servers that obey the commands right behind content sent by DATA, and store them as part of
that content besides. No reply shows it, so the name has to do."""


def from_greeting(quirks: ServerQuirks, greeting: Reply) -> None:
    """The server has greeted: is it one whose fault is known by name?"""
    if any(name in greeting.text for name in STORES_WHAT_FOLLOWS):
        quirks.behind_data = Trust.BROKEN


def from_envelope(quirks: ServerQuirks, transaction: Transaction, *, is_closing: bool) -> None:
    """The envelope is answered; ``is_closing``: the server has said that it ends the connection."""
    # Another connection may have found it broken since this group was sent.
    if quirks.groups is not Trust.PROVEN and transaction.flow is not Flow.STEP_BY_STEP and not is_closing:
        _from_group(quirks, transaction)
    if transaction.probe is not None:
        _from_probe(quirks, transaction, transaction.probe)
    if transaction.with_reset:
        from_reset(quirks, transaction.replies[0], transaction)


def _from_group(quirks: ServerQuirks, transaction: Transaction) -> None:
    probed = transaction.probe.replies if transaction.probe is not None else []
    resets = [reply for reply in (*probed[:1], transaction.cleared) if reply is not None]
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
    """RSET is answered. Raises ``OutOfStep`` when a server refuses it that has accepted it before."""
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
    """The RSET right behind a content is answered. A refusal is about its place, and says nothing of RSET itself."""
    reply = trial.expectation.replies[0]
    if reply.code == 421:
        return
    is_refused = reply.is_transient or reply.is_permanent
    if not is_refused:
        from_reset(quirks, reply)
    quirks.set_behind(Trust.BROKEN if is_refused else Trust.PROVEN, by_bdat=trial.by_bdat)


def from_delivery(quirks: ServerQuirks, transaction: Transaction, window_limit: int) -> None:
    """A message was delivered."""
    if quirks.window is not None or not quirks.has_delivered:
        quirks.delivered(window_limit)
    if transaction.by_bdat and quirks.bdat is Trust.UNPROVEN:
        quirks.bdat = Trust.PROVEN


def from_refusal(quirks: ServerQuirks, transaction: Transaction) -> None:
    """A message was refused: does the server know BDAT at all?"""
    if not (transaction.by_bdat and transaction.is_wanted) or quirks.bdat is Trust.PROVEN:
        return
    if not judge.is_misunderstanding(transaction.last):
        quirks.bdat = Trust.PROVEN if quirks.bdat is Trust.UNPROVEN else quirks.bdat
        return
    quirks.bdat = Trust.BROKEN
    raise _misunderstood(transaction, Misunderstood.about(transaction.plan.server, "BDAT", transaction.last))


def from_lost_probe(quirks: ServerQuirks, transaction: Transaction, probe: ChunkProbe) -> None:
    """The connection ended at the refused BDATs with which nothing but the server was tried: it has no patience with
    errors, as Postfix has none while all its processes are busy."""
    if quirks.swallows_chunk is Trust.UNPROVEN:
        quirks.swallows_chunk = Trust.BROKEN
    _misunderstood(transaction, Misunderstood.about(transaction.plan.server, "BDAT", probe.last_reply))


def from_loss(
    quirks: ServerQuirks, in_flight: Sequence[Transaction | Trial], error: SMTPError, *, settled: int
) -> None:
    """The connection was lost with these in flight, after it had ``settled`` others, and the server had not said that
    it would end it."""
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
    """The message was not sent, whatever the replies to its recipients were: it is sent again in another way."""
    if transaction is not None:
        transaction.outcome = judge.misunderstood(transaction.plan.envelope.addresses, error)
    return error
