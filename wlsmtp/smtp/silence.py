"""Handles a server that sends no greeting: it is slow, or it waits for TLS from the first byte (RFC 8314 §3.3).

A client that waits for a greeting on port 465 would wait for ever, as such a server speaks second. After a few seconds
a TLS handshake is tried over a second connection. A server that answers it will never greet. One that does not is slow,
and the first connection, on which nothing was sent, keeps waiting as long as the settings allow.
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
"""Seconds of silence after which a TLS handshake is tried."""
QUIET_ON_465 = 2.0
"""The same on the port where TLS comes first (RFC 8314 §7.3)."""
TLS_ANSWERS_IN = 3.0
"""Seconds to wait for the handshake. A server that speaks TLS answers without a look-up or an anti-spam delay."""
LEAST_PATIENCE = 2.0
"""Smallest timeout in seconds for which TLS is tried at all, after half of it has passed."""
NEVER_TLS = frozenset({24, 25})
"""Ports used between mail servers. TLS never comes first there, and some punish clients that talk before the
greeting."""
_BARE = TLS(verify=False, resumption=False)


async def wait_for_greeting(link: Link, deadline: float, io: IO, config: SessionConfig, quirks: ServerQuirks) -> None:
    """Wait until the server has begun to greet, or is known to be slow. Raises ``TLSError`` for a server that speaks
    TLS."""
    patience = deadline - io.now()
    if patience < LEAST_PATIENCE or not _may_speak_tls(link, config, quirks):
        return
    quiet = QUIET_ON_465 if config.port == 465 else QUIET
    if await _has_spoken(link, io.now() + min(quiet, patience / 2)):
        return
    if not await _answers_tls(io, config, io.now() + min(TLS_ANSWERS_IN, patience / 4)):
        quirks.is_slow_to_greet = True
        return
    if link.stream.has_input():  # the server was slow, and accepts both on one port
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
    """Wait for the first octets of the server until the deadline; the link stays usable after it."""
    data, cause = b"", None
    try:
        data = await link.stream.read(deadline)
    except TimeoutError:
        return False
    except OSError as error:
        cause = error
    try:
        link.feed(data, cause)
    finally:
        link.emit_events()
    return True


async def _answers_tls(io: IO, config: SessionConfig, end: float) -> bool:
    """Return whether the server answers a TLS handshake. Nothing else is sent, and its certificate is not checked."""
    try:
        stream = await io.connect(config.server, config.port, end, config.network, config.proxy)
    except (SMTPError, OSError, UnicodeError):
        return False
    try:
        await stream.start_tls(_BARE, config.certificate_name, end)
    except TLSError as error:
        # An alert, or a version that is not allowed here, is TLS too; text is not.
        cause = error.__cause__
        return isinstance(cause, OSError) and not getattr(cause, "octets", b"")
    except (SMTPError, OSError):
        return False
    finally:
        await stream.close()
    return True
