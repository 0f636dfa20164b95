"""Pure: what to say for one message, in which groups, and whether it can be said to this server at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from wlsmtp.errors import ExtensionMissing, MessageError, Stage

if TYPE_CHECKING:
    from wlsmtp.config import Pipelining
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.smtp.experience import Experience
    from wlsmtp.wire.address import Address
    from wlsmtp.wire.extensions import Capabilities

WORTH_BINARY = 64 * 1024
"""Octets from which on a message is written again in binary, to see whether it is smaller."""


class Manner(Enum):
    """How a transaction is said."""

    ONE_BY_ONE = auto()
    """Each command waits for the reply to the one before."""
    ASK_FIRST = auto()
    """MAIL and all RCPTs in one group; the content waits until it is known who was refused."""
    GROUPED = auto()
    """MAIL, RCPTs and DATA in one group; the content, and the next message's group with it, follows the 354."""
    WHOLE = auto()
    """MAIL, RCPTs, BDAT and the content at once (RFC 3030 §4.2), and the next message's without waiting."""


@dataclass(slots=True)
class Plan:
    """One mail transaction, ready to be said."""

    envelope: Envelope
    mail: bytes
    """The MAIL command."""
    content: Content
    manner: Manner
    by_bdat: bool
    """Whether the content goes by BDAT rather than DATA."""
    all_or_nothing: bool
    is_lmtp: bool = False
    """Whether the content is answered once for each accepted recipient (RFC 2033 §4.2)."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Each recipient as it was given."""
        return self.envelope.addresses

    @property
    def rcpts(self) -> tuple[bytes, ...]:
        """A RCPT command for each recipient."""
        return self.envelope.rcpt_lines


class Planner:
    """Plans transactions for one connection."""

    def __init__(
        self,
        capabilities: Capabilities,
        pipelining: Pipelining,
        experience: Experience,
        *,
        all_or_nothing: bool = False,
        is_lmtp: bool = False,
    ) -> None:
        offered = capabilities.extensions
        self._capabilities = capabilities
        self._pipelining = pipelining
        self._experience = experience
        self._all_or_nothing = all_or_nothing
        self._is_lmtp = is_lmtp
        self._takes_size, self._size_limit = "SIZE" in offered, capabilities.size_limit
        self._takes_8bit, self._takes_utf8 = "8BITMIME" in offered, "SMTPUTF8" in offered
        self._takes_groups = pipelining.enabled and "PIPELINING" in offered
        self._takes_bdat = pipelining.chunking and "CHUNKING" in offered and not is_lmtp
        self._takes_binary = pipelining.binary and "BINARYMIME" in offered
        self._has_limits = "LIMITS" in offered
        self._max_recipients, self._max_domains = capabilities.limit("RCPTMAX"), capabilities.limit("RCPTDOMAINMAX")

    @property
    def may_group(self) -> bool:
        """Whether several messages may be on their way."""
        return self._groups_commands and not self._is_lmtp

    @property
    def _groups_commands(self) -> bool:
        return self._takes_groups and self._experience.takes_groups

    def plan(self, envelope: Envelope, content: Content, *, may_be_dead: bool = False) -> Plan:
        """Plan a transaction. Over a connection that ``may_be_dead`` the content does not go before there was an
        answer, as otherwise it would be in doubt. Raises ``MessageError`` when the server does not take so large a
        message, and ``ExtensionMissing`` when the message needs what the server does not offer; nothing was said
        then."""
        envelope = envelope.asked_of(self._capabilities)
        by_bdat = self._takes_bdat and self._experience.takes_bdat
        if by_bdat and self._takes_binary and content.size >= WORTH_BINARY:
            content = content.as_binary()
        if content.is_8bit and not content.is_binary and not self._takes_8bit:
            content = content.as_7bit()
        size = content.size
        if self._size_limit is not None and size > self._size_limit:
            raise self._too_large(size)
        # How many answers come to LMTP's content is known once the recipients are answered.
        waits = self._is_lmtp or self._all_or_nothing or size > self._pipelining.early_content or content.is_streamed
        by_bdat = by_bdat and (waits or not may_be_dead)
        mail = self._mail(envelope, content, size)
        return Plan(envelope, mail, content, self._manner(waits, by_bdat), by_bdat, self._all_or_nothing, self._is_lmtp)

    @property
    def may_split(self) -> bool:
        """Whether there is any limit on recipients."""
        return self._has_limits or self._experience.max_recipients is not None

    def split(self, envelope: Envelope) -> list[Envelope]:
        """The envelope in as many as it takes to keep within what the server accepts in one transaction: RCPTMAX and
        RCPTDOMAINMAX (RFC 9422), or what it was found to accept."""
        limits = [limit for limit in (self._max_recipients, self._experience.max_recipients) if limit]
        most, domains = min(limits, default=len(envelope.recipients)), self._max_domains
        if len(envelope.recipients) <= most and domains is None:
            return [envelope]
        groups = list(_groups(envelope.recipients, most, domains))
        return [envelope] if len(groups) == 1 else [envelope.only(group) for group in groups]

    def _manner(self, waits: bool, by_bdat: bool) -> Manner:
        if not self._groups_commands:
            return Manner.ONE_BY_ONE
        if waits:
            return Manner.ASK_FIRST
        return Manner.WHOLE if by_bdat else Manner.GROUPED

    def _mail(self, envelope: Envelope, content: Content, size: int) -> bytes:
        needs_utf8 = envelope.needs_smtputf8 or (content.is_8bit and content.has_utf8_headers)
        if needs_utf8 and not self._takes_utf8:
            words = f"The message needs SMTPUTF8 (RFC 6531), which {self._capabilities.name} does not offer"
            hint = "Its addresses have characters outside ASCII before the @, or its headers are raw UTF-8"
            raise ExtensionMissing(words, stage=Stage.MAIL, hint=hint)
        parameters = b" SIZE=%d" % size if self._takes_size else b""
        if content.is_8bit:
            parameters += b" BODY=BINARYMIME" if content.is_binary else b" BODY=8BITMIME"
        if needs_utf8:
            parameters += b" SMTPUTF8"
        return envelope.mail_line[:-2] + parameters + b"\r\n"

    def _too_large(self, size: int) -> MessageError:
        words = f"The message has {size:,} octets and {self._capabilities.name} takes {self._size_limit:,} at most"
        hint = "Send fewer or smaller attachments, or a link to them"
        return MessageError(f"{words} (RFC 1870)", stage=Stage.MAIL, hint=hint)


def _groups(recipients: tuple[Address, ...], most: int, domains: int | None) -> Iterator[tuple[Address, ...]]:
    group: list[Address] = []
    seen: set[str] = set()
    # Those of one domain are together, so that few transactions are needed.
    ordered = recipients if domains is None else sorted(recipients, key=lambda address: address.wire_domain.lower())
    for address in ordered:
        domain = address.wire_domain.lower()
        if len(group) == most or (domains is not None and domain not in seen and len(seen) == domains):
            yield tuple(group)
            group, seen = [], set()
        group.append(address)
        seen.add(domain)
    yield tuple(group)


@lru_cache(maxsize=256)
def stages_of(recipients: int, last: Stage, reset: bool) -> tuple[Stage, ...]:
    """The stages that the replies to a group answer."""
    return (Stage.RSET,) * reset + (Stage.MAIL,) + (Stage.RCPT,) * recipients + (last,)
