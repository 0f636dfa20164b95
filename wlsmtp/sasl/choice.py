"""The mechanisms in order of preference, and the choice among those that a server offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.sasl import scram
from wlsmtp.sasl.anonymous import anonymous
from wlsmtp.sasl.base import Mechanism, Secrets
from wlsmtp.sasl.cram_md5 import cram_md5
from wlsmtp.sasl.external import external
from wlsmtp.sasl.gssapi import gssapi
from wlsmtp.sasl.login import login
from wlsmtp.sasl.ntlm import ntlm
from wlsmtp.sasl.oauthbearer import oauthbearer
from wlsmtp.sasl.plain import plain
from wlsmtp.sasl.plugins import installed, own
from wlsmtp.sasl.xoauth2 import xoauth2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# CRAM-MD5 and NTLM come after PLAIN although they hide the password. They force servers to store passwords readable (or
# equivalents of them), many servers offer them without being able to check them, and inside TLS they protect nothing
# more. DIGEST-MD5 is left out on purpose: RFC 6331 made it historic, for weaknesses that SCRAM was made to remove.
MECHANISMS = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("OAUTHBEARER", oauthbearer, needs="token"),
        Mechanism("XOAUTH2", xoauth2, needs="token"),
        Mechanism("EXTERNAL", external, needs="certificate", by_name_only=True),
        Mechanism(
            "GSSAPI", gssapi, needs="ticket", module="spnego", extra="kerberos", is_mutual=True, is_slow=True,
            by_name_only=True,
        ),
        *scram.rows(binds=True),
        *scram.rows(binds=False),
        Mechanism("PLAIN", plain),
        Mechanism("LOGIN", login, client_first=False),
        Mechanism("CRAM-MD5", cram_md5, client_first=False),
        Mechanism("NTLM", ntlm, module="spnego", extra="ntlm", is_slow=True),
        Mechanism("ANONYMOUS", anonymous, needs="nothing", by_name_only=True),
    )
}  # fmt: skip


def choose(
    offered: Iterable[str], secrets: Secrets, allowed: Sequence[str] | None = None, excluded: Sequence[str] = ()
) -> list[Mechanism]:
    """Return the mechanisms to try, best first: offered by the server, allowed by the user, usable with the available
    secrets, and installed. With ``allowed``, its order counts, otherwise the order of ``MECHANISMS``."""
    offers = {name.upper() for name in offered}
    unwanted = {name.upper() for name in excluded}
    # A repeated name is tried once: a second wrong password may lock the account.
    names: dict[str, str] = {}
    for name in allowed or _BY_DEFAULT:
        names.setdefault(name.upper(), name)
    usable = (mechanism_named(name) for key, name in names.items() if key in offers - unwanted)
    return [mechanism for mechanism in usable if mechanism and mechanism.fits(secrets) and mechanism.is_installed]


def mechanism_named(name: str) -> Mechanism | None:
    """Return a mechanism: an object that the user gave, one of ``MECHANISMS``, or one of an installed package."""
    return own(name) or MECHANISMS.get(name.upper()) or installed(name.upper())


_BY_DEFAULT = [mechanism.name for mechanism in MECHANISMS.values() if not mechanism.by_name_only]
