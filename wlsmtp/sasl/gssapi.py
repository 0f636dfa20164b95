"""GSSAPI (RFC 4752): a Kerberos ticket for the service ``smtp`` on the server. Built on pyspnego."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wlsmtp.sasl.base import Confirmed, Exchange, Secrets, Unusable, unproved

if TYPE_CHECKING:
    from spnego import ContextProxy

_NO_LAYER = 1
"""The bit of the security layer "none" (§3.3); TLS provides that layer."""


def gssapi(secrets: Secrets) -> Exchange:
    """Send the ticket, then choose no security layer, sealed with the key that both sides share.

    Without a password, the ticket comes from the user's credential cache (``kinit``); with one, it is fetched for the
    principal ``username``. Raises ``Unusable`` if there is none.
    """
    context = _context(secrets)
    token = _first_token(context)
    while not context.complete:
        challenge = yield token
        with _sealed(secrets):
            token = context.step(challenge) or b""
    offer = yield token
    with _sealed(secrets):
        layers = context.unwrap(offer).data
        if len(layers) != 4 or not layers[0] & _NO_LAYER:
            raise ValueError("it insists on a security layer beside TLS")
        choice = context.wrap(bytes([_NO_LAYER, 0, 0, 0]), encrypt=False).data
    yield Confirmed(choice)


def _context(secrets: Secrets) -> ContextProxy:
    try:
        import spnego

        user, service = secrets.username or None, "smtp"
        return spnego.client(user, secrets.password, hostname=secrets.host, service=service, protocol="kerberos")
    except Exception as error:  # any exception of the Kerberos library; nothing was sent yet
        raise Unusable(f"GSSAPI cannot be used here: {error}") from None


def _first_token(context: ContextProxy) -> bytes:
    """Fetch the ticket for the server."""
    try:
        return context.step() or b""
    except Exception as error:  # as in _context
        raise Unusable(f"GSSAPI got no ticket for the server: {error}") from None


@contextmanager
def _sealed(secrets: Secrets) -> Iterator[None]:
    """Open what the server sent with the shared key: a failure means that it does not have that key."""
    try:
        yield
    except Exception as error:  # the Kerberos library's errors have no common base
        raise unproved("GSSAPI", error, secrets.server) from None
