"""SASL mechanisms (RFC 4422), each a pure generator: it yields responses and is sent challenges.

A new mechanism is one file with one generator, and one row in ``MECHANISMS``. Sockets, base64 and reply codes are
unknown here; ``smtp/authentication.py`` runs the exchange.
"""

from typing import TYPE_CHECKING, Any

from wlsmtp.sasl.base import Confirmed, Mechanism, Proof, Secrets, Unusable

if TYPE_CHECKING:
    from wlsmtp.sasl.choice import MECHANISMS, choose, mechanism_named

__all__ = ["MECHANISMS", "Confirmed", "Mechanism", "Proof", "Secrets", "Unusable", "choose", "mechanism_named"]


def __getattr__(name: str) -> Any:
    """Import the mechanisms when they are asked for: settings need none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wlsmtp.sasl import choice

    return getattr(choice, name)
