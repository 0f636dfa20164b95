"""Pure: what to say for one message, in which groups, and whether it can be said to this server at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.message.envelope import Envelope
from wlsmtp.wire import command

if TYPE_CHECKING:
    from wlsmtp.config import Pipelining
    from wlsmtp.message.content import Content
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

    @property
    def recipients(self) -> tuple[str, ...]:
        """Each recipient as it was given."""
        return self.envelope.addresses

    @property
    def rcpts(self) -> tuple[bytes, ...]:
        """A RCPT command for each recipient."""
        return self.envelope.rcpt_lines


def make_plan(
    envelope: Envelope,
    content: Content,
    capabilities: Capabilities,
    *,
    pipelining: Pipelining,
    experience: Experience,
    all_or_nothing: bool = False,
    may_be_dead: bool = False,
) -> Plan:
    """Plan a transaction. Over a connection that ``may_be_dead`` the content does not go before there was an answer, as
    otherwise it would be in doubt. Raises ``MessageError`` when the server does not take so large a message, and
    ``ExtensionMissing`` when the message needs what the server does not offer; nothing was said then."""
    by_bdat = pipelining.chunking and experience.takes_bdat and "CHUNKING" in capabilities
    can_be_binary = by_bdat and pipelining.binary and "BINARYMIME" in capabilities
    if can_be_binary and content.size >= WORTH_BINARY:
        content = content.as_binary()
    if content.is_8bit and not content.is_binary and "8BITMIME" not in capabilities:
        content = content.as_7bit()
    needs_utf8 = envelope.needs_smtputf8 or content.has_utf8_headers
    if needs_utf8 and "SMTPUTF8" not in capabilities:
        words = f"The message needs SMTPUTF8 (RFC 6531), which {capabilities.name} does not offer"
        hint = "Its addresses have characters outside ASCII before the @, or its headers are raw UTF-8"
        raise ExtensionMissing(words, stage=Stage.MAIL, hint=hint)
    _check_size(content.size, capabilities)
    grouped = pipelining.enabled and experience.takes_groups and "PIPELINING" in capabilities
    waits = all_or_nothing or content.is_streamed or content.size > pipelining.early_content
    by_bdat = by_bdat and (waits or not may_be_dead)
    return Plan(
        envelope,
        command.mail(envelope.mail_path, _mail_parameters(content, capabilities, needs_utf8)),
        content,
        _manner(grouped, waits, by_bdat),
        by_bdat,
        all_or_nothing,
    )


def split_recipients(envelope: Envelope, capabilities: Capabilities, experience: Experience) -> list[Envelope]:
    """The envelope in as many as it takes to keep within what the server accepts in one transaction: RCPTMAX and
    RCPTDOMAINMAX (RFC 9422), or what it was found to accept."""
    limits = [limit for limit in (capabilities.limit("RCPTMAX"), experience.max_recipients) if limit]
    most, domains = min(limits, default=None), capabilities.limit("RCPTDOMAINMAX")
    if (most is None or len(envelope.recipients) <= most) and domains is None:
        return [envelope]
    groups = list(_groups(envelope.recipients, most or len(envelope.recipients), domains))
    return [envelope] if len(groups) == 1 else [envelope.only(group) for group in groups]


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


def _manner(grouped: bool, waits: bool, by_bdat: bool) -> Manner:
    if not grouped:
        return Manner.ONE_BY_ONE
    if waits:
        return Manner.ASK_FIRST
    return Manner.WHOLE if by_bdat else Manner.GROUPED


def _mail_parameters(content: Content, capabilities: Capabilities, needs_utf8: bool) -> list[str]:
    parameters = [f"SIZE={content.size}"] if "SIZE" in capabilities else []
    if content.is_binary:
        parameters.append("BODY=BINARYMIME")
    elif content.is_8bit:
        parameters.append("BODY=8BITMIME")
    if needs_utf8:
        parameters.append("SMTPUTF8")
    return parameters


def _check_size(size: int, capabilities: Capabilities) -> None:
    limit = capabilities.size_limit
    if limit is not None and size > limit:
        words = f"The message has {size:,} octets and {capabilities.name} takes {limit:,} at most (RFC 1870)"
        raise MessageError(words, stage=Stage.MAIL, hint="Send fewer or smaller attachments, or a link to them")


@lru_cache(maxsize=256)
def stages_of(recipients: int, last: Stage, reset: bool) -> tuple[Stage, ...]:
    """The stages that the replies to a group answer."""
    return (Stage.RSET,) * reset + (Stage.MAIL,) + (Stage.RCPT,) * recipients + (last,)
