"""The envelope: who a message is from and who gets it, whatever its headers say (RFC 5321 §2.3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from wlsmtp.errors import MessageError, Stage
from wlsmtp.wire.address import Address, parse_address, parse_mailbox
from wlsmtp.wire.command import rcpt


@dataclass(frozen=True, init=False)
class Envelope:
    """A reverse-path and at least one recipient, all checked. What commands need of it is worked out once, as an
    envelope may serve thousands of messages.

    >>> Envelope("bounces@example.com", ["ann@example.com", "Bob <bob@example.org>"])
    """

    sender: Address | None
    """None is the null reverse-path ``<>``: nobody is told when delivery fails (RFC 5321 §4.5.5)."""
    recipients: tuple[Address, ...]

    def __init__(self, sender: str | Address | None, recipients: str | Address | Iterable[str | Address]) -> None:
        """``sender`` may be "" or None. A repeated recipient counts once. Raises ``MessageError``."""
        self._fill(_address(sender) if sender not in (None, "") else None, _addresses(recipients))

    @classmethod
    def of_checked(cls, sender: Address | None, recipients: Sequence[Address]) -> Self:
        """An envelope of addresses that were parsed already, as those of a ``Message``. A repeated recipient counts
        once. Raises ``MessageError`` when there is none."""
        envelope = cls.__new__(cls)
        envelope._fill(sender, recipients)
        return envelope

    def _fill(self, sender: Address | None, recipients: Sequence[Address]) -> None:
        # Past the __setattr__ that refuses changes, as functools.cached_property goes.
        self.__dict__["sender"] = sender
        self.__dict__["recipients"] = _unique(recipients)

    def only(self, recipients: Iterable[Address]) -> Envelope:
        """The same envelope for some of its recipients."""
        return Envelope.of_checked(self.sender, tuple(recipients))

    @cached_property
    def needs_smtputf8(self) -> bool:
        """Whether an address has characters outside ASCII before its @ (RFC 6531)."""
        addresses = self.recipients if self.sender is None else (self.sender, *self.recipients)
        return any(address.needs_smtputf8 for address in addresses)

    @cached_property
    def mail_path(self) -> str:
        """The sender for MAIL FROM, without angle brackets; "" for the null reverse-path."""
        return "" if self.sender is None else self.sender.wire

    @cached_property
    def rcpt_lines(self) -> tuple[bytes, ...]:
        """A whole RCPT command for each recipient, without parameters. Raises ``MessageError`` for what cannot be in a
        command."""
        return tuple([rcpt(address.wire) for address in self.recipients])

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Each recipient as it was given."""
        return tuple(map(str, self.recipients))


def _unique(addresses: Sequence[Address]) -> tuple[Address, ...]:
    if not addresses:
        raise MessageError("The message has no recipient", stage=Stage.MESSAGE, hint="Fill to, cc or bcc")
    if len(addresses) == 1:
        return tuple(addresses)
    # A domain is the same in upper and lower case; a local part is not (RFC 5321 §2.4).
    unique: dict[tuple[str, str], Address] = {}
    for address in addresses:
        unique.setdefault((address.local, address.wire_domain.lower()), address)
    return tuple(unique.values())


def _addresses(given: str | Address | Iterable[str | Address]) -> list[Address]:
    if isinstance(given, str | Address):
        return [_address(given)]
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise MessageError(f"recipients: must be addresses, not {type(given).__name__}", stage=Stage.MESSAGE)
    return [_address(item) for item in given]


def _address(given: object) -> Address:
    # An Address may have been made by hand: it is checked like any text.
    return parse_address(str(given)) if isinstance(given, Address) else parse_mailbox(given).address  # type: ignore[arg-type]
