"""Queries the server itself, without mail: whether it is there, and how it behaves."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from wlsmtp.errors import SMTPError
from wlsmtp.smtp.quirks import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wlsmtp.relay.lease import Lease
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
        pool.end_hold(caller)
    return info


async def _verify_one(pool: Pool, deadlines: Deadlines) -> ServerInfo | None:
    """Return what is known about the server over one connection; None if that was kept and is dead."""
    lease = await pool.acquire(deadlines)
    connection = lease.connection
    assert connection is not None
    try:
        if connection.was_idle:  # a new connection has just answered
            await connection.noop(deadlines)
        await pool.release(lease, deadlines)
    except SMTPError as error:
        await pool.release(lease, deadlines, reason=error.message)
        return None
    except BaseException:
        await pool.release(lease, deadlines, reason="interrupted")
        raise
    return connection.info


async def examine(relay: Relay, deadlines: Deadlines) -> Mapping[str, str]:
    """Return how the server behaves, by the names of ``ServerQuirks``. What cannot be probed, because the server
    accepts no connection for it, stays unproven."""
    from wlsmtp.smtp import examination

    found, pool = examination.known(relay.quirks), relay.pool
    caller = pool.hold()
    try:
        with suppress(SMTPError):
            await _examine(relay, pool, found, deadlines)
    finally:
        pool.end_hold(caller)
    return {**relay.quirks.findings(), **{behaviour: trust.value for behaviour, trust in found.items()}}


async def _examine(relay: Relay, pool: Pool, found: dict[str, Trust], deadlines: Deadlines) -> None:
    from wlsmtp.smtp import examination

    lease: Lease | None = None
    try:
        for question in examination.QUESTIONS:
            answer, losses = None, 0
            while answer is None and losses < (question.losses or 1):
                lease = lease or await pool.acquire(deadlines)
                connection = lease.connection
                assert connection is not None
                if not question.is_due(found, connection.info.capabilities):
                    break
                answer = await question.put(connection.link, relay.io.now(), deadlines)
                # A kept connection may have been dead before the probe.
                losses += answer is None and not connection.may_be_stale
                if answer is not None or (losses == question.losses and not connection.is_closing):
                    found[question.behaviour] = trust = answer or Trust.BROKEN
                    examination.keep(relay.quirks, question.behaviour, trust, connection.planner.offered)
                if not connection.is_reusable:
                    await pool.release(lease, deadlines)
                    lease = None
    finally:
        if lease is not None and lease.connection is not None:
            # Some servers count commands that are not about mail, and close the connection.
            pool.retire(lease.connection)
            await pool.release(lease, deadlines)
