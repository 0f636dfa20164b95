"""The outcome and the receipt of a message that was accepted for all recipients, as most are.

They keep the octets of the reply, and make the rest when it is read, which is seldom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wlsmtp.results.receipt import Outcome, Receipt, RecipientResult, RecipientStatus, Status
from wlsmtp.results.reply import Reply, reply_of

if TYPE_CHECKING:
    from wlsmtp.results.secured import TLSInfo

# A member is slow to read from its class in Python 3.11.
_SENT, _ACCEPTED = Status.SENT, RecipientStatus.ACCEPTED
_FIELDS = ("id", "status", "recipients", "reply", "message_id", "attempts", "error", "elapsed", "tls")
_new = object.__new__


def accepted_outcome(addresses: str | tuple[str, ...], line: bytes, tls: TLSInfo | None = None) -> Outcome:
    """Return the outcome for one address or several. ``line`` is the reply, of one line in ASCII, without its line end;
    ``tls`` the security of the connection."""
    outcome = _new(_AcceptedOutcome)
    outcome._addresses, outcome._line, outcome._made = addresses, line, None
    outcome.error, outcome.tls = None, tls
    return outcome


def accepted_receipt(outcome: Outcome, session: str, number: int, message_id: str | None, elapsed: float) -> Receipt:
    """Return the receipt of a message that was accepted at the first attempt. Its id is made of ``session`` and
    ``number``."""
    receipt = _new(_AcceptedReceipt)
    receipt._outcome, receipt._session, receipt._number = outcome, session, number
    receipt.status = _SENT
    receipt.message_id = message_id
    receipt.attempts = 1
    receipt.error = None
    receipt.elapsed = elapsed
    receipt.tls = outcome.tls
    return receipt


class _AcceptedOutcome(Outcome):
    __slots__ = ("_addresses", "_line", "_made")

    _addresses: str | tuple[str, ...]
    _line: bytes
    _made: tuple[tuple[RecipientResult, ...], Reply] | None

    def __new__(cls, *fields: Any, **named: Any) -> Outcome:  # type: ignore[misc]
        """Return a plain one, for ``dataclasses.replace``."""
        return Outcome(*fields, **named)

    def _make(self) -> tuple[tuple[RecipientResult, ...], Reply]:
        made = self._made
        if made is None:
            reply = reply_of(self._line)
            addresses = (self._addresses,) if isinstance(self._addresses, str) else self._addresses
            made = tuple([RecipientResult(address, _ACCEPTED, reply) for address in addresses]), reply
            self._made = made
        return made

    @property
    def recipients(self) -> tuple[RecipientResult, ...]:  # type: ignore[override]
        return self._make()[0]

    @property
    def reply(self) -> Reply:  # type: ignore[override]
        return self._make()[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return Outcome, (self.recipients, self.reply, self.error, self.tls)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in ("recipients", "reply", "error", "tls"))

    __hash__ = None  # type: ignore[assignment]


class _AcceptedReceipt(Receipt):
    __slots__ = ("_number", "_outcome", "_session")

    _outcome: Outcome
    _session: str
    _number: int

    @property
    def id(self) -> str:  # type: ignore[override]
        return f"{self._session}{self._number:08x}"

    @property
    def recipients(self) -> tuple[RecipientResult, ...]:  # type: ignore[override]
        return self._outcome.recipients

    @property
    def reply(self) -> Reply | None:  # type: ignore[override]
        return self._outcome.reply

    def __reduce__(self) -> tuple[Any, ...]:
        return Receipt, tuple(getattr(self, name) for name in _FIELDS)


# Errors of others name the class of what they were given, such as those of json.
_AcceptedOutcome.__name__ = _AcceptedOutcome.__qualname__ = Outcome.__name__
_AcceptedReceipt.__name__ = _AcceptedReceipt.__qualname__ = Receipt.__name__
