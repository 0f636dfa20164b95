"""SASL mechanisms (RFC 4422), each a pure generator: it yields responses and is sent challenges.

A new mechanism is one file with one generator, and one row in ``MECHANISMS``. Sockets, base64 and reply codes are
unknown here; ``smtp/authentication.py`` runs the exchange.
"""

from wlsmtp.sasl.base import Confirmed, Mechanism, Proof, Secrets, Unusable
from wlsmtp.sasl.choice import MECHANISMS, choose, mechanism_named

__all__ = ["MECHANISMS", "Confirmed", "Mechanism", "Proof", "Secrets", "Unusable", "choose", "mechanism_named"]
