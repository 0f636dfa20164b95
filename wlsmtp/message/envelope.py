"""The envelope: who a message is from and who gets it, whatever its headers say (RFC 5321 §2.3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wlsmtp.errors import MessageError, Stage
from wlsmtp.wire.address import Address, parse_address, parse_mailbox


@dataclass(frozen=True, slots=True, init=False)
class Envelope:
    """A reverse-path and at least one recipient, all checked.

    >>> Envelope("bounces@example.com", ["ann@example.com", "Bob <bob@example.org>"])
    """

    sender: Address | None
    """None is the null reverse-path ``<>``: nobody is told when delivery fails (RFC 5321 §4.5.5)."""
    recipients: tuple[Address, ...]

    def __init__(self, sender: str | Address | None, recipients: str | Address | Iterable[str | Address]) -> None:
        """``sender`` may be "" or None. A repeated recipient counts once. Raises ``MessageError``."""
        object.__setattr__(self, "sender", _address(sender) if sender not in (None, "") else None)
        object.__setattr__(self, "recipients", _addresses(recipients))

    @property
    def needs_smtputf8(self) -> bool:
        """Whether an address has characters outside ASCII before its @ (RFC 6531)."""
        addresses = self.recipients if self.sender is None else (self.sender, *self.recipients)
        return any(address.needs_smtputf8 for address in addresses)


def _addresses(given: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    if not isinstance(given, str | Address | Iterable) or isinstance(given, bytes):
        raise MessageError(f"recipients: must be addresses, not {type(given).__name__}", stage=Stage.MESSAGE)
    parsed = [_address(item) for item in ([given] if isinstance(given, str | Address) else given)]
    # A domain is the same in upper and lower case; a local part is not (RFC 5321 §2.4).
    unique: dict[tuple[str, str], Address] = {}
    for address in parsed:
        unique.setdefault((address.local, address.wire_domain.lower()), address)
    if not unique:
        raise MessageError("The message has no recipient", stage=Stage.MESSAGE, hint="Fill to, cc or bcc")
    return tuple(unique.values())


def _address(given: object) -> Address:
    # An Address may have been made by hand: it is checked like any text.
    return parse_address(str(given)) if isinstance(given, Address) else parse_mailbox(given).address  # type: ignore[arg-type]
