"""Which mechanism to use: a table in order of preference, and the choice from what a server offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.sasl.base import Mechanism, Secrets
from wlsmtp.sasl.cram_md5 import cram_md5
from wlsmtp.sasl.login import login
from wlsmtp.sasl.plain import plain
from wlsmtp.sasl.xoauth2 import xoauth2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# CRAM-MD5 comes last although it hides the password: it forces servers to store passwords readable, many offer it
# without being able to check it, and inside TLS it protects nothing more.
MECHANISMS = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("XOAUTH2", xoauth2, by_token=True),
        Mechanism("PLAIN", plain),
        Mechanism("LOGIN", login, client_first=False),
        Mechanism("CRAM-MD5", cram_md5, client_first=False),
    )
}


def choose(offered: Iterable[str], secrets: Secrets, allowed: Sequence[str] | None = None) -> list[Mechanism]:
    """The mechanisms to try, best first: offered by the server, allowed by the user, and fed by the secrets at hand.

    With ``allowed`` its order counts, otherwise the order of ``MECHANISMS``.
    """
    offers = {name.upper() for name in offered}
    # A name given twice is tried once: a second wrong password may lock the account.
    names = dict.fromkeys(name.upper() for name in allowed or MECHANISMS)
    usable = (MECHANISMS[name] for name in names if name in MECHANISMS and name in offers)
    return [mechanism for mechanism in usable if mechanism.by_token == (secrets.token is not None)]
