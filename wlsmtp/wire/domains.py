"""Domains: letters, digits, hyphens and dots, and internationalised ones in A-labels (RFC 5890 §2.3.2.1)."""

from __future__ import annotations

import re
from functools import lru_cache

from wlsmtp.patterns import later

MAX_DOMAIN = 255
"""Maximum octets of a domain (RFC 5321 §4.5.3.1.2)."""

# RFC 5321 does not allow the underscore, but the names of many internal hosts have it.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
LDH_DOMAIN = later(rf"{_LABEL}(?:\.{_LABEL})*")
JOINERS = "\u200c\u200d"
_DEVIATIONS = frozenset("ßẞς" + JOINERS)
"""Characters for which IDNA 2003 gives another domain than IDNA 2008 (UTS 46 §7)."""


class DomainError(ValueError):
    """A text is not a domain; says why."""

    def __init__(self, words: str, hint: str | None = None) -> None:
        super().__init__(words)
        self.hint = hint


def checked_domain(domain: str) -> str:
    """Return a domain in A-labels. Raises ``DomainError`` for what cannot be one."""
    name = domain if domain.isascii() else a_labels(domain)
    if len(name) > MAX_DOMAIN:
        raise DomainError(f"the domain is longer than {MAX_DOMAIN} octets")
    if not LDH_DOMAIN.fullmatch(name):
        raise DomainError(_fault(name))
    return name


def _fault(domain: str) -> str:
    if wrong := re.search(r"[^A-Za-z0-9._-]", domain):
        return f"{wrong[0]!r} cannot be in a domain"
    labels = domain.split(".")
    if not all(labels):
        return "nothing is after the @" if not domain else "a dot in the domain is out of place"
    if any(len(label) > 63 for label in labels):
        return "a label of the domain is longer than 63 octets"
    return "a label of the domain begins or ends with a hyphen"


@lru_cache(maxsize=1024)
def a_labels(domain: str) -> str:
    """Return an internationalised domain in A-labels. Raises ``DomainError``."""
    try:
        import idna
    except ImportError:
        return _a_labels_of_2003(domain)
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise DomainError(f"the domain is not valid in IDNA 2008: {error}") from None


def _a_labels_of_2003(domain: str) -> str:
    """Convert with the standard library; refused where IDNA 2003 gives another domain."""
    if found := _DEVIATIONS.intersection(domain):
        words = f"a domain with {min(found)!r} needs IDNA 2008, from the package idna"
        raise DomainError(words, 'Install it with: pip install "wlsmtp[idna]"')
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise DomainError(f"the domain is not valid: {error}") from None
