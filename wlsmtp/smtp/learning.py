"""Pure: what the replies to a transaction, or missing replies, show about a server. The results go into its
``ServerQuirks``.

When an advertised extension does not work, ``Misunderstood`` is raised: the connection ends, and the message is sent
again without the extension.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wlsmtp.errors import DeadlineExceeded, ProtocolError, Stage
from wlsmtp.results.reply import are_positive
from wlsmtp.smtp import judge
from wlsmtp.smtp.plan import Flow
from wlsmtp.smtp.probes import Trial
from wlsmtp.smtp.quirks import Trust
from wlsmtp.smtp.transaction import Misunderstood, OutOfStep, Shifted
from wlsmtp.smtp.wording import common_start, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wlsmtp.errors import SMTPError
    from wlsmtp.results.reply import Reply
    from wlsmtp.smtp.probes import ChunkProbe
    from wlsmtp.smtp.quirks import ServerQuirks
    from wlsmtp.smtp.transaction import Transaction
    from wlsmtp.smtp.wording import Wording


_STORES_WHAT_FOLLOWS = {
    Stage.GREETING: re.compile(r"Net::Server::Mail"),
    Stage.EHLO: re.compile(r"\S+ Service ready"),
    Stage.MAIL: re.compile(r"sender \S* ?OK"),
}
"""Net::Server::Mail (Perl) executes the commands right after content sent by DATA and also stores them as part of that
content. No reply shows this, so its wording must do. Its users often change the greeting, and seldom the others."""


def from_wording(quirks: ServerQuirks, stage: Stage, reply: Reply) -> None:
    """Learn from the wording of a reply whether this server has a fault that no reply shows."""
    pattern = _STORES_WHAT_FOLLOWS[stage]
    if pattern.search(reply.text) if stage is Stage.GREETING else pattern.fullmatch(reply.lines[0]):
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
    data = transaction.data
    if data is not None and data.is_intermediate and _keeps_envelope(transaction):
        raise _from_kept_envelope(quirks, transaction)


def _from_group(quirks: ServerQuirks, transaction: Transaction) -> None:
    from_wording(quirks, Stage.MAIL, transaction.mail)
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
    else:
        quirks.chunk_answered(Trust.PROVEN if probe.is_swallowed else Trust.BROKEN, probe.offered)
    if probe.offered not in quirks.swallows:
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
        if transaction is not None and transaction.flow is Flow.PIPELINED_BDAT and transaction.is_wanted:
            raise Shifted(f"{server} refused RSET, and accepted what came behind it", stage=Stage.RSET, reply=reply)
        quirks.rset = Trust.BROKEN
        raise _misunderstood(transaction, Misunderstood.about(server, "RSET", reply, Stage.RSET))


def _keeps_envelope(transaction: Transaction) -> bool:
    """Return whether MAIL is out of order although RSET was accepted."""
    rset = transaction.rset_reply
    return rset is not None and rset.is_positive and judge.is_misunderstanding(transaction.mail)


def _from_kept_envelope(quirks: ServerQuirks, transaction: Transaction) -> Misunderstood:
    quirks.rset = Trust.BROKEN
    return _misunderstood(
        transaction, Misunderstood.about(transaction.plan.server, "RSET", transaction.mail, Stage.RSET)
    )


def from_trial(quirks: ServerQuirks, trial: Trial) -> None:
    """Learn from the reply to an RSET right after content. A refusal is about its position and says nothing about RSET
    itself."""
    reply = trial.expectation.replies[0]
    if reply.code == 421:
        return
    is_refused = reply.is_transient or reply.is_permanent
    if not is_refused:
        from_reset(quirks, reply)
        quirks.rset_words = words_of(reply)
    quirks.set_behind(Trust.BROKEN if is_refused else Trust.PROVEN, by_bdat=trial.by_bdat)


def out_of_step_if_shifted(error: SMTPError, in_flight: Iterable[Transaction | Trial]) -> SMTPError:
    """Return ``OutOfStep`` instead of ``error`` if a reply that answers nothing makes it uncertain which replies answer
    a message. Where content waits for 354, that reply shows it, and only a refusal is uncertain that an acceptance or
    another message follows, and an acceptance that a refusal follows. Where nothing waits, or each recipient has a
    reply of its own (LMTP), one too many may have come at any place, which makes no difference only if all are
    positive."""
    surplus = error.reply
    if not isinstance(error, ProtocolError) or surplus is None:
        return error
    in_order = [*in_flight]
    for place, one in enumerate(in_order, 1):
        if isinstance(one, Trial) or not one.is_answered:
            continue
        is_whole = one.flow is Flow.PIPELINED_BDAT
        finals = one.replies if is_whole else one.content_replies
        are_good = are_positive(finals)
        if is_whole or one.plan.is_lmtp:
            matters = not (surplus.is_positive and are_good)
        elif are_good:
            matters = bool(finals) and not surplus.is_positive
        else:
            matters = surplus.is_positive or bool(in_order[place:])
        if matters and is_whole:
            return Shifted(error.message, stage=error.stage, reply=surplus)
        if matters:
            return OutOfStep(error.message, stage=error.stage, reply=surplus)
    return error


def from_surplus(quirks: ServerQuirks, error: SMTPError) -> None:
    """Learn from an error whether the server sends replies too many. By DATA the 354 shows where a message stands."""
    if isinstance(error, Shifted):
        quirks.bdat = Trust.BROKEN


def from_delivery(
    quirks: ServerQuirks,
    wording: Wording,
    transaction: Transaction,
    window_limit: int,
    next_rset: Reply | None = None,
) -> None:
    """Learn from a delivered message. ``next_rset`` answers the RSET behind it, if one has come."""
    if quirks.window is not None or not quirks.has_delivered:
        quirks.delivered(window_limit)
    if not transaction.by_bdat:
        quirks.content_words = words_of(transaction.last, -1)
        if not (transaction.plan.is_lmtp or transaction.has_surplus):
            quirks.content_start = common_start(quirks.content_start, transaction.last)
        if next_rset is not None and next_rset.is_positive:
            quirks.rset_words = words_of(next_rset)
        return
    if not wording.learn(transaction.rset_reply, transaction.mail, transaction.rcpts, transaction.last, next_rset):
        quirks.bdat = Trust.BROKEN
    if wording.is_learned:
        quirks.wording = wording
    if quirks.bdat is Trust.UNPROVEN:
        quirks.bdat = Trust.PROVEN


def from_refusal(quirks: ServerQuirks, transaction: Transaction, *, is_second: bool = False) -> None:
    """Learn from a refused message whether the server knows BDAT at all. ``is_second``: the one before it was refused,
    too. If MAIL is then out of order although RSET was accepted, the server still has the envelope of that one."""
    if is_second and _keeps_envelope(transaction):
        _from_kept_envelope(quirks, transaction)
        return
    if not quirks.had_refusal:
        quirks.had_refusal = True
        if quirks.rset is Trust.PROVEN:
            quirks.rset = Trust.UNPROVEN
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
    quirks.chunk_answered(Trust.BROKEN, probe.offered)
    _misunderstood(transaction, Misunderstood.about(transaction.plan.server, "BDAT", probe.last_reply))


def from_end_after(quirks: ServerQuirks, reply: Reply, messages: int) -> None:
    """Take 421 to MAIL or RSET after some messages, without a pause, for the server's limit, unless its words name
    another reason. If they speak of time, two connections must have ended at the same count."""
    is_limit = reply.code == 421 or judge.names_messages(reply)
    if not is_limit or judge.names_rate(reply) or judge.names_connections(reply):
        return
    if judge.names_idleness(reply):
        quirks.ended_after(messages)
    else:
        quirks.limit_messages(messages)


def from_loss(
    quirks: ServerQuirks,
    in_flight: Sequence[Transaction | Trial],
    error: SMTPError,
    *,
    settled: int,
    when_idle: int = -1,
) -> None:
    """Learn from a connection that was lost with these messages in flight, after it had ``settled`` others. The server
    had not announced that it would close. ``when_idle``: how many it had settled before a pause, which may be the
    reason for the loss."""
    head = in_flight[0]
    if len(in_flight) > 1 and head.is_answered:  # its refusal waits for the reply to what follows
        head = in_flight[1]
    if isinstance(head, Trial):
        quirks.set_behind(Trust.BROKEN, by_bdat=head.by_bdat)
        return
    answered = [*(head.probe.replies if head.probe is not None else ()), *head.replies]
    is_group = head.flow is not Flow.STEP_BY_STEP and quirks.groups is not Trust.PROVEN
    if is_group and head.end_at is None and judge.names_groups(answered):
        quirks.groups = Trust.BROKEN
        _misunderstood(head, Misunderstood.about(head.plan.server, "a group of commands", answered[-1]))
        return
    if head.probe is not None and not head.probe.is_complete and head.probe.offered not in quirks.swallows:
        from_lost_probe(quirks, head, head.probe)
        return
    if quirks.groups is Trust.UNPROVEN and head.flow is not Flow.STEP_BY_STEP:
        quirks.group_lost()
    if head.follows is not None and not head.replies and isinstance(error, DeadlineExceeded):
        quirks.set_behind(Trust.BROKEN, by_bdat=head.follows)
    count = 0 if settled == when_idle else settled
    if len(in_flight) > 1:
        quirks.window_lost(count)
    elif not head.replies:
        quirks.ended_after(count)


def _misunderstood(transaction: Transaction | None, error: Misunderstood) -> Misunderstood:
    """Record that the message was not sent, whatever the replies to its recipients were: it is sent again in another
    way."""
    if transaction is not None:
        transaction.outcome = judge.misunderstood(transaction.plan.envelope.addresses, error)
    return error
