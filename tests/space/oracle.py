"""Pure: what must be true after a case, from what the server recorded and what the client was told.

The truth is what the server stored, and which replies it gave before the connection ended. Readings where the RFCs
leave room:

- 2xx to DATA: the content was not sent, so nothing is stored and nobody is ``UNKNOWN``. Whether another try is made is
  left open: 2xx is no refusal, and the server may be out of step.
- 3xx where nothing was asked, and octets that are no reply: replies cannot be paired any more. What was written whole
  and not answered before that may be ``UNKNOWN``, whatever the server says afterwards. By BDAT 3xx is never asked for:
  it puts the whole message in doubt, as a reply too many may have come before it.
- RSET that is not answered 2xx: the old envelope may still be there, so what follows in the same group is not certain
  (RFC 5321 §4.1.1.5 has no refusal of RSET). It may be ``UNKNOWN``.
- 421 and the server goes on to obey (RFC 5321 §3.8 says it must not): what was written behind may be ``UNKNOWN`` to a
  client that hangs up, as 421 invites to. It must not be reported as not sent if it was stored. A server that says 421
  to every MAIL from then on (Exim) has refused, and nobody is in doubt.
- A content sent by DATA that is refused, and a connection that ends right behind the next reply, which is positive: the
  refusal may be a reply too many, and that one the reply to the content. It may be ``UNKNOWN``.
- A connection that is closed: each reply that was given before counts, also if the close becomes a reset on the way.
- 4xx or 5xx to MAIL or to RCPT is settled for whom it was said, even if the connection is cut behind it. But after 4xx
  the message may have been offered again over a connection of which nobody knew yet that it would be cut (after 421
  that is known).
- 452, 451 4.5.3 and 552 to RCPT may mean too many recipients (RFC 5321 §4.5.3.1.10): one transaction more is fine.
- 500 to 504 and 555 without an enhanced code of policy (x.7.x), or words about pipelining, may mean that an advertised
  extension does not work: another try in another manner is fine, and so is to take it as the refusal that it says.
- Two replies in the wrong order, or two that are read as one: whatever the words show, no receipt says that a message
  was sent or refused if it was not. Which reply a receipt has, and whether the message goes again, is left open.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.space.cases import ATTEMPTS, WINDOW, Case, Flow
from tests.space.server import Answer, Record, Rule, Stage, Then
from wlsmtp import DeadlineExceeded, Receipt, RecipientStatus, Status

Told = dict[int, list[Receipt]]

ACCEPTED, REFUSED = RecipientStatus.ACCEPTED, RecipientStatus.REFUSED
NOT_SENT, UNKNOWN = RecipientStatus.NOT_SENT, RecipientStatus.UNKNOWN


def faults_of(case: Case, record: Record, told: Told) -> list[str]:
    """Every promise that was broken; none, if all is well."""
    return list(_Oracle(case, record, told).faults())


class _Oracle:
    def __init__(self, case: Case, record: Record, told: Told) -> None:
        self.case = case
        self.record = record
        self.told = told
        self.after = case.count + 1

    def faults(self) -> Iterator[str]:
        """All that is wrong."""
        numbers = [*([0] if self.case.is_kept else []), *self.case.messages, self.after]
        for number in numbers:
            receipts = self.told.get(number, [])
            if len(receipts) != 1:
                yield f"m{number} has {len(receipts)} receipts"
            for receipt in receipts[:1]:
                yield from (f"m{number}: {fault}" for fault in self._message(number, receipt))
        yield from self._whole()

    def _whole(self) -> Iterator[str]:
        record = self.record
        # A server that does not obey RSET mixes the envelopes of a window itself.
        obeys = not any(rule.stage is Stage.RSET and not rule.is_positive for rule in self.case.rules)
        for stored in record.stored if obeys else ():
            if stored.subject != f"m{stored.message}":
                yield f"content of {stored.subject} was stored in the envelope of m{stored.message}"
            if strangers := [to for to in stored.recipients if not to.startswith(f"m{stored.message}")]:
                yield f"m{stored.message} was stored for {strangers}"
        in_doubt = [number for number, receipts in self.told.items() if any(one.unknown for one in receipts)]
        most = WINDOW * len(record.cut | record.out_of_step)
        if len(in_doubt) > most:
            yield f"{len(in_doubt)} messages are in doubt, and the windows of the connections lost hold {most}"
        if record.is_runaway:
            yield "one message was offered without end"
        if record.improper:
            yield f"sent what was not offered: {record.improper[:2]}"
        if record.connections > record.mails.total() + 2:
            yield f"{record.connections} connections for {record.mails.total()} MAILs"
        commands = [line for line in record.transcript if line.endswith("unknown command'")]
        if commands:
            yield f"content was sent as commands: {commands[:2]}"

    def _message(self, number: int, receipt: Receipt) -> Iterator[str]:
        rules = [rule for rule in self.case.all_rules if rule.message == number]
        # One free try; with several faults to one message, one for each.
        mails, most = self.record.mails[number], ATTEMPTS + max(1, len(rules)) + sum(map(_may_be_too_many, rules))
        if any(map(_may_be_too_many, self.case.all_rules)):
            most *= 2  # from then on each recipient has a transaction of its own
        if mails > most:
            yield f"MAIL was said {mails} times, {most} at most"
        if receipt.attempts > ATTEMPTS:
            yield f"{receipt.attempts} attempts, {ATTEMPTS} at most"
        yield from self._consistency(number, receipt)
        for result in receipt.recipients:
            yield from (f"{result.address} {fault}" for fault in self._recipient(number, result))
        strikes = [rule for rule in rules if self.record.struck[rule]]
        if len(rules) == len(self.case.all_rules) == 1 and rules[0].stage is not Stage.RSET:
            if not strikes:
                yield "the rule never struck"
            if not _is_out_of_order(rules[0]):
                yield from self._expected(receipt, rules[0], mails)
        elif not self._is_shaken and not [rule for rule in rules if rule.stage is not Stage.RSET]:
            yield from self._unharmed(number, receipt)

    @property
    def _is_shaken(self) -> bool:
        """Whether the server has sent replies out of order, so that little can be said of what was in flight then."""
        return bool(self.record.out_of_step) and any(map(_is_out_of_order, self.case.rules))

    def _consistency(self, number: int, receipt: Receipt) -> Iterator[str]:
        states = {result.status for result in receipt.recipients}
        if [result.address for result in receipt.recipients] != [f"m{number}{x}@example.test" for x in "ab"]:
            yield f"the receipt is about {[result.address for result in receipt.recipients]}"
        if receipt.status is not _overall(states):
            yield f"{receipt.status}, which its recipients {sorted(states)} do not bear out"
        if (receipt.error is None) is not (states == {ACCEPTED}):
            yield f"{sorted(states)} and the error {receipt.error!r}"
        if receipt.error is not None and receipt.error.ambiguous is not (UNKNOWN in states):
            yield f"{sorted(states)} and {type(receipt.error).__name__}.ambiguous is {receipt.error.ambiguous}"
        error: BaseException | None = receipt.error
        for _ in range(8):
            may_wait = self.case.quirks.discards or self.case.loses_replies
            if isinstance(error, DeadlineExceeded | TimeoutError) and not may_wait:
                yield f"waited in vain: {error}"
            error = error.__cause__ if error is not None else None

    def _recipient(self, number: int, result: object) -> Iterator[str]:
        address, status, reply = result.address, result.status, result.reply  # type: ignore[attr-defined]
        copies = [stored for stored in self.record.stored if stored.message == number and address in stored.recipients]
        text = None if reply is None else str(reply)
        if len(copies) > 1:
            yield f"was stored {len(copies)} times"
        if status is ACCEPTED and not copies:
            yield "accepted, and not stored"
        if status in (REFUSED, NOT_SENT) and copies:
            yield f"{status}, and stored"
        if status is UNKNOWN and not (self._is_shaken or self._may_be_in_doubt(number, address)):
            yield "unknown, and " + ("stored and acknowledged" if copies else "certainly not stored")
        if any(map(_is_out_of_order, self.case.rules)):
            return
        if status is ACCEPTED and copies and not any(self._is(text, stored.reply) for stored in copies):
            yield f"accepted with the reply {text!r}, stored with {copies[0].reply!r}"
        if status is REFUSED and text is None:
            yield "refused without a reply"
        said = self._replies(number, address)
        if status is not ACCEPTED and text is not None and not any(self._is(text, one) for one in said):
            yield f"{status} with a reply that was not given to it: {text!r}"

    def _is(self, text: str | None, said: str) -> bool:
        """Whether a reply of a receipt is that of the server, with what belongs to its form."""
        quirks = self.case.quirks
        if text is None or not (quirks.lines or quirks.mark):
            return text == said
        return text[:3] == said[:3] and said[4:] in text

    def _replies(self, number: int, address: str) -> set[str]:
        """All that was said to the message and, on the same connections, to RSET."""
        said = self.record.answers
        own = {a.text for a in said if a.message == number and a.recipient in (None, address)}
        return own | {a.text for a in said if a.stage is Stage.RSET}

    def _may_be_in_doubt(self, number: int, address: str) -> bool:
        """Whether the end of the content may have been written over a connection that ended without a word on it."""
        for connection in self.record.cut | self.record.out_of_step:
            said = [a for a in self.record.answers if a.connection == connection]
            if len(self.case.all_rules) > 1 and any(map(_may_be_too_many, self.case.all_rules)):
                return True  # several transactions of one message in the same window
            if self.case.flow is Flow.BDAT and any(a.message == number and a.klass == 3 for a in said):
                return True
            if self._is_unsure_refusal(number, said):
                return True
            said = [a for a in said if not a.is_late or (self.case.flow is not Flow.BDAT and not _settles(a))]
            own = [a for a in said if a.message == number and a.recipient in (None, address)]
            own = [a for a in own if a.stage is not Stage.RSET]
            latest = own[-1] if own else None
            is_by_data = self.case.flow is not Flow.BDAT or (latest and latest.stage in (Stage.DATA, Stage.END))
            if is_by_data and latest is not None and latest.klass != 4:
                # The end follows the 354 only.
                if _leaves_open_after_go_ahead(latest):
                    return True
            elif self.case.flow is Flow.BDAT and (
                latest is None or not _settles(latest) or any(map(_may_come_again, own))
            ):
                return True
        return False

    def _is_unsure_refusal(self, number: int, said: list[Answer]) -> bool:
        """Whether a content sent by DATA was refused, and the reply behind that was positive and one of the last. It
        may answer the content, if the refusal was a reply too many."""
        for place, answer in enumerate(said):
            if answer.message == number and answer.stage is Stage.END and answer.klass in (4, 5):
                behind = [a.klass for a in said[place + 1 :]]
                if behind[:1] == [2] and 3 not in behind:
                    return True
        return False

    def _unharmed(self, number: int, receipt: Receipt) -> Iterator[str]:
        """A message to which nothing was done is sent, unless nobody can know, or the server that says 421 to all said
        it to this one as often as the policy has attempts."""
        said = [a for a in self.record.answers if a.message == number and a.stage is Stage.MAIL]
        if sum(a.text.startswith("421") for a in said) >= ATTEMPTS:
            return
        for result in receipt.recipients:
            if result.status is not ACCEPTED and result.status is not UNKNOWN:
                yield f"{result.address} {result.status}, and nothing was done to it: {receipt.error}"

    def _expected(self, receipt: Receipt, rule: Rule, mails: int) -> Iterator[str]:
        """What one fault must come to."""
        a, b = receipt.recipients
        struck = (b,) if rule.stage is Stage.RCPT_ONE else (a, b)
        states = {result.status for result in struck}
        is_content = rule.stage in (Stage.END, Stage.BDAT)
        if is_content and not rule.is_positive and not rule.is_refusal:
            if states != {UNKNOWN}:
                yield f"{sorted(states)}, and no reply to its content was given: unknown"
        elif rule.is_positive and rule.then is Then.STAY and rule.stage is not Stage.DATA:
            if not receipt:
                yield f"{receipt.status} after 2xx: {receipt.error}"
        elif rule.is_refusal and rule.code // 100 == 5 and not _may_be_confused(rule):
            codes = {result.reply.code if result.reply is not None else None for result in struck}
            if states != {REFUSED} or codes != {rule.code}:
                yield f"{sorted(states)} with {codes}, and it was refused with {rule.code}"
            if mails > 1 and rule.then is Then.STAY and self.case.quirks.max_messages is None:
                yield f"MAIL was said {mails} times after a refusal for good"
        elif rule.times == 1 and not (rule.is_refusal and rule.code // 100 == 5) and not _is_puzzle(rule):
            if states - {ACCEPTED, UNKNOWN}:
                yield f"{sorted(states)}, and another try would have delivered it: {receipt.error}"
        elif rule.times is None and rule.code // 100 == 4 and mails < ATTEMPTS and UNKNOWN not in states:
            yield f"was offered {mails} times, and the policy has {ATTEMPTS} attempts"


def _is_out_of_order(rule: Rule) -> bool:
    return rule.then in (Then.LATE, Then.BARE)


def _is_puzzle(rule: Rule) -> bool:
    """Whether the reply says nothing that another try could follow from."""
    return rule.breaks_step or (rule.is_positive and rule.stage is Stage.DATA) or rule.code == 334


def _settles(answer: Answer) -> bool:
    """Return whether this reply settles the message for the recipient."""
    if answer.stage in (Stage.MAIL, Stage.RCPT_ONE):
        return answer.klass in (4, 5)
    return answer.stage in (Stage.DATA, Stage.END, Stage.BDAT) and answer.klass in (2, 4, 5)


def _may_come_again(answer: Answer) -> bool:
    """Whether the message may have been offered again over the same connection, before that was cut."""
    return answer.klass == 4 and not answer.text.startswith("421")


def _leaves_open_after_go_ahead(answer: Answer) -> bool:
    if answer.stage is Stage.DATA:
        return answer.klass == 3
    return answer.stage is Stage.END and answer.klass not in (2, 4, 5)


def _may_be_too_many(rule: Rule) -> bool:
    is_rcpt = rule.stage in (Stage.RCPT_ONE, Stage.RCPT_ALL)
    return is_rcpt and (rule.code in (452, 552) or rule.reply.startswith("451 4.5.3"))


def _may_be_confused(rule: Rule) -> bool:
    if "pipelin" in rule.reply:
        return True
    return (rule.code in (500, 501, 502, 503, 504, 555) and " 5.7." not in rule.reply) or _may_be_too_many(rule)


def _overall(states: set[RecipientStatus]) -> Status:
    if states == {ACCEPTED}:
        return Status.SENT
    if ACCEPTED in states:
        return Status.PARTIAL
    return Status.UNKNOWN if UNKNOWN in states else Status.ERROR
