"""Pure: the account of what clients reported and what the server has stored. It must balance exactly."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.letters import Letter
from wlsmtp import Receipt, RecipientStatus
from wlsmtp.receipt import RecipientResult, overall_status
from wlsmtp.testing import ReceivedMessage

UNTOLD = "untold"
"""The state of the recipients of a letter whose sender did not wait for the receipt."""


@dataclass
class Balance:
    """The results of all letters, counted by recipient."""

    letters: int = 0
    states: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    """Copies that the server has stored, by the state that the client reported."""
    retried: int = 0
    faults: list[str] = field(default_factory=list)
    """Every promise that was broken; none, if all is well."""

    def __iadd__(self, other: Balance) -> Balance:
        self.letters += other.letters
        self.retried += other.retried
        self.states += other.states
        self.stored += other.stored
        self.faults += other.faults
        return self


class Account:
    """Records what each sender reported. ``resends`` says that messages in doubt may have been sent again."""

    def __init__(self, *, resends: bool = False) -> None:
        self._resends = resends
        self._told: list[tuple[Letter, Receipt | None]] = []

    def told(self, letter: Letter, receipt: Receipt | None) -> None:
        """Record the result of a letter; None if its sender did not wait for the reply. Threads may call it."""
        self._told.append((letter, receipt))

    def close(self, sent: Iterable[Letter], stored: list[ReceivedMessage]) -> Balance:
        """Compare: ``sent`` is what should have been accounted for."""
        balance = Balance(letters=len(self._told))
        copies = _copies(stored)
        times = Counter(letter.message_id for letter, _ in self._told)
        for letter in sent:
            if times[letter.message_id] != 1:
                balance.faults.append(f"{letter.message_id} has {times[letter.message_id]} receipts")
        for letter, receipt in self._told:
            self._enter(balance, letter, receipt, copies.pop(letter.message_id, {}))
        balance.faults += [f"{message_id} was stored, and nobody has sent it" for message_id in copies]
        return balance

    def _enter(self, balance: Balance, letter: Letter, receipt: Receipt | None, copies: _Copies) -> None:
        balance.faults += [f"{letter.message_id} {fault}" for fault in _faults_of(letter, receipt, copies)]
        balance.retried += receipt is not None and receipt.attempts > 1
        results = {result.address: result for result in receipt.recipients} if receipt is not None else {}
        for address in letter.recipients:
            result, numbers = results.get(address), [number for number, _ in copies.get(address, [])]
            state = result.status.value if result is not None else UNTOLD
            balance.states[state] += 1
            balance.stored[state] += len(numbers)
            fault = self._fault(result, numbers)
            if fault:
                balance.faults.append(f"{letter.message_id} to {address}: {state}, and {fault}")

    def _fault(self, result: RecipientResult | None, numbers: list[int]) -> str | None:
        status = result.status if result is not None else RecipientStatus.UNKNOWN
        if status is RecipientStatus.ACCEPTED and not numbers:
            return "not stored"
        if status in (RecipientStatus.REFUSED, RecipientStatus.NOT_SENT) and numbers:
            return f"stored as {numbers}"
        if len(numbers) > 1 and not self._resends:
            return f"stored {len(numbers)} times, as {numbers}"
        if result is not None and status is RecipientStatus.ACCEPTED:
            said = result.reply.queue_id if result.reply is not None else None
            if said not in [f"{number:010X}" for number in numbers]:
                return f"queued as {said}, stored as {numbers}"
        return None


_Copies = dict[str, list[tuple[int, bytes]]]
"""By recipient: number in the server's store, content."""


def _copies(stored: list[ReceivedMessage]) -> dict[str, _Copies]:
    copies: dict[str, _Copies] = defaultdict(lambda: defaultdict(list))
    for number, message in enumerate(stored, start=1):
        message_id = message.content.partition(b"\r\n")[0].removeprefix(b"Message-ID: ").decode()
        for recipient in message.recipients:
            copies[message_id][recipient].append((number, message.content))
    return dict(copies)


def _faults_of(letter: Letter, receipt: Receipt | None, copies: _Copies) -> list[str]:
    faults = [f"was stored for {address}" for address in copies if address not in letter.recipients]
    contents = [content for address in copies for _, content in copies[address]]
    faults += ["was stored with other octets" for content in contents if content != letter.content]
    if receipt is None:
        return faults
    if tuple(result.address for result in receipt.recipients) != letter.recipients:
        faults.append("has a receipt for other recipients")
    if receipt.status is not overall_status(receipt.recipients):
        faults.append(f"is said to be {receipt.status}, which its recipients do not bear out")
    if bool(receipt.unknown) is not (receipt.error is not None and receipt.error.ambiguous):
        faults.append(f"has {len(receipt.unknown)} recipients in doubt, and the error {receipt.error!r}")
    if receipt.message_id not in (None, letter.message_id):
        faults.append(f"has the receipt of {receipt.message_id}")
    return faults
