"""Queries the server itself, without mail: whether it is there, and how it behaves."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from wlsmtp.errors import SMTPError
from wlsmtp.smtp import examination
from wlsmtp.smtp.quirks import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wlsmtp.relay.loan import Loan
    from wlsmtp.relay.pool import Pool
    from wlsmtp.relay.relay import Relay
    from wlsmtp.smtp.connection import ServerInfo
    from wlsmtp.smtp.deadlines import Deadlines


async def verify(relay: Relay, deadlines: Deadlines) -> ServerInfo:
    """Connect and log in, or check that a kept connection is alive; a dead one is replaced."""
    relay.quirks.refused_login = None
    pool = relay.pool
    caller = pool.hold()
    try:
        while (info := await _verify_one(pool, deadlines)) is None:
            pass
    finally:
        pool.let_go(caller)
    return info


async def _verify_one(pool: Pool, deadlines: Deadlines) -> ServerInfo | None:
    """Return what is known about the server over one connection; None if that was kept and is dead."""
    loan = await pool.acquire(deadlines)
    connection = loan.connection
    assert connection is not None
    try:
        if connection.was_kept:  # a new connection has just answered
            await connection.noop(deadlines)
        await pool.release(loan, deadlines)
    except SMTPError as error:
        await pool.release(loan, deadlines, reason=error.message)
        return None
    except BaseException:
        await pool.release(loan, deadlines, reason="interrupted")
        raise
    return connection.info


async def examine(relay: Relay, deadlines: Deadlines) -> Mapping[str, str]:
    """Return how the server behaves, by the names of ``ServerQuirks``. What cannot be probed, because the server
    accepts no connection for it, stays unproven."""
    found, pool = examination.known(relay.quirks), relay.pool
    caller = pool.hold()
    try:
        with suppress(SMTPError):
            await _examine(relay, pool, found, deadlines)
    finally:
        pool.let_go(caller)
    examination.keep(relay.quirks, found)
    return {**relay.quirks.findings(), **{behaviour: trust.value for behaviour, trust in found.items()}}


async def _examine(relay: Relay, pool: Pool, found: dict[str, Trust], deadlines: Deadlines) -> None:
    loan: Loan | None = None
    try:
        for question in examination.QUESTIONS:
            answer, losses = None, 0
            while answer is None and losses < (question.losses or 1):
                loan = loan or await pool.acquire(deadlines)
                connection = loan.connection
                assert connection is not None
                if not question.is_due(found, connection.info.capabilities):
                    break
                answer = await question.put(connection.link, relay.io.now(), deadlines)
                # A kept connection may have been dead before the probe.
                losses += answer is None and not connection.went_stale
                if answer is not None or (losses == question.losses and not connection.is_closing):
                    found[question.behaviour] = answer or Trust.BROKEN
                if not connection.is_reusable:
                    await pool.release(loan, deadlines)
                    loan = None
    finally:
        if loan is not None and loan.connection is not None:
            # Some servers count commands that are not about mail, and close the connection.
            pool.retire(loan.connection)
            await pool.release(loan, deadlines)
