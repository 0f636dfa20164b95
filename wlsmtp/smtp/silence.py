"""A server that does not greet: is it slow, or does it wait for TLS from the first byte (RFC 8314 §3.3)?

A client that waits for a greeting on port 465 waits for ever, as such a server speaks second. After a few seconds a TLS
handshake is begun over a connection of its own. A server that answers it will never greet. One that does not is slow,
and its own connection, over which nothing was said, goes on waiting as long as the settings allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.results.errors import SMTPError, Stage, TLSError
from wlsmtp.settings.config import TLS

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.settings.config import SessionConfig
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.quirks import ServerQuirks

QUIET = 5.0
"""Seconds of silence after which the server is asked for TLS."""
QUIET_ON_465 = 2.0
"""The same on the port where TLS comes first (RFC 8314 §7.3)."""
TLS_ANSWERS_IN = 3.0
"""Seconds for the answer: a server that speaks TLS needs no look-up, and no pause against spammers, to say so."""
LEAST_PATIENCE = 2.0
"""Seconds of a time-out from which on the server is asked at all, half of the time after the connection was made."""
NEVER_TLS = frozenset({24, 25})
"""Ports of mail servers among themselves: TLS never comes first there, and some punish those who talk before the
greeting."""
_BARE = TLS(verify=False, resumption=False)


async def wait_for_greeting(link: Link, deadline: float, io: IO, config: SessionConfig, quirks: ServerQuirks) -> None:
    """Wait until the server has begun to greet, or is known to be slow. Raises ``TLSError`` for one that speaks TLS."""
    patience = deadline - io.now()
    if patience < LEAST_PATIENCE or not _may_speak_tls(link, config, quirks):
        return
    quiet = QUIET_ON_465 if config.port == 465 else QUIET
    if await _has_spoken(link, io.now() + min(quiet, patience / 2)):
        return
    if not await _answers_tls(io, config, io.now() + min(TLS_ANSWERS_IN, patience / 4)):
        quirks.is_slow_to_greet = True
        return
    if link.stream.has_input():  # it was slow, and does both on one port
        return
    raise TLSError(
        f"{config.address} does not greet, and answers a TLS handshake: it speaks TLS from the first byte",
        stage=Stage.GREETING,
        hint="Use security='ssl' (customary on port 465); security='tls' is for port 587",
    )


def _may_speak_tls(link: Link, config: SessionConfig, quirks: ServerQuirks) -> bool:
    is_odd = config.is_unix or config.network.connector is not None or config.port in NEVER_TLS
    return link.stream.tls is None and not is_odd and not quirks.is_slow_to_greet


async def _has_spoken(link: Link, deadline: float) -> bool:
    """Wait for the first octets of the server until the deadline, after which the link goes on."""
    data, cause = b"", None
    try:
        data = await link.stream.read(deadline)
    except TimeoutError:
        return False
    except OSError as error:
        cause = error
    try:
        link.hear(data, cause)
    finally:
        link.tell()
    return True


async def _answers_tls(io: IO, config: SessionConfig, end: float) -> bool:
    """Whether the server answers a TLS handshake. Nothing else is said to it, and its certificate is not looked at."""
    try:
        stream = await io.connect(config.server, config.port, end, config.network, config.proxy)
    except (SMTPError, OSError, UnicodeError):
        return False
    try:
        await stream.start_tls(_BARE, config.tls.server_hostname or config.server, end)
    except TLSError as error:
        # An alert, or a version that is not allowed here, is TLS as well; text is not.
        cause = error.__cause__
        return isinstance(cause, OSError) and not getattr(cause, "octets", b"")
    except (SMTPError, OSError):
        return False
    finally:
        await stream.close()
    return True
