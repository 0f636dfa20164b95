"""Pure: what to send for one message, in which groups, and whether it can be sent to this server at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.smtp.probes import ChunkProbe
from wlsmtp.smtp.quirks import BROKEN, PROVEN, UNPROVEN

if TYPE_CHECKING:
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.settings.limits import Pipelining
    from wlsmtp.smtp.quirks import ServerQuirks, Trust
    from wlsmtp.wire.address import Address
    from wlsmtp.wire.extensions import Capabilities

WORTH_BINARY = 64 * 1024
"""Size in octets from which a message is re-encoded in binary to see whether it becomes smaller."""


class Flow(Enum):
    """The order in which the steps of a transaction follow each other."""

    STEP_BY_STEP = auto()
    """Each command waits for the reply to the one before."""
    ENVELOPE_FIRST = auto()
    """MAIL and all RCPTs in one group; the content waits until their replies are known."""
    PIPELINED = auto()
    """MAIL, RCPTs and DATA in one group; the content follows the 354 (RFC 2920)."""
    PIPELINED_BDAT = auto()
    """MAIL, RCPTs, BDAT and the content at once (RFC 3030 §4.2)."""


STEP_BY_STEP, ENVELOPE_FIRST, PIPELINED, PIPELINED_BDAT = Flow
"""For what is asked for every message: a member is slow to read from its class in Python 3.11."""


@dataclass(slots=True)
class Plan:
    """One mail transaction, ready to be sent."""

    envelope: Envelope
    mail: bytes
    """The MAIL command."""
    content: Content
    waits: bool = False
    """True if the content waits for the replies to the recipients: it is large, or it depends on them. The message then
    needs a connection that no other one shares."""
    is_large: bool = False
    """True if the content is written piece by piece, over a connection that no other message shares."""
    all_or_nothing: bool = False
    is_lmtp: bool = False
    """True if the content is answered once for each accepted recipient (RFC 2033 §4.2)."""
    may_be_dead: bool = False
    """True if the connection may have died unnoticed, so that no content is sent before a reply has come."""
    expects_more: bool = False
    """True if further messages are likely, so that probing what the server supports is worth it."""
    server: str = "The server"
    """The server's name in errors: host and port."""
    is_suspect: bool = False
    """True if nothing may follow it before it is answered: a connection ended when the server refused it."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """The recipients as they were given."""
        return self.envelope.addresses


class Planner:
    """Plans transactions for one connection."""

    def __init__(
        self,
        capabilities: Capabilities,
        pipelining: Pipelining,
        quirks: ServerQuirks,
        *,
        server: str = "the server",
        all_or_nothing: bool = False,
        is_lmtp: bool = False,
    ) -> None:
        offered = capabilities.extensions
        self.offered: tuple[str, ...] = tuple(offered)
        """The names of the extensions that the server offers, in its order. They tell servers of several makers apart
        that share a name."""
        # Errors name host and port: the greeting may claim any name.
        self._capabilities = replace(capabilities, name=server)
        self._early_content = pipelining.early_content
        self._quirks = quirks
        self._all_or_nothing = all_or_nothing
        self._is_lmtp = is_lmtp
        self.takes_size: bool = "SIZE" in offered
        """True if MAIL may say the size."""
        self._size_limit = capabilities.size_limit
        self._takes_8bit, self._takes_utf8 = "8BITMIME" in offered, "SMTPUTF8" in offered
        self._takes_groups = pipelining.enabled and "PIPELINING" in offered
        # Without groups, DATA does as well, and there is nothing to probe.
        self._takes_bdat = self._takes_groups and pipelining.chunking and "CHUNKING" in offered and not is_lmtp
        self._takes_binary = pipelining.binary and "BINARYMIME" in offered
        self._may_send_whole = self._takes_bdat and not all_or_nothing
        self.most_whole: int = min(pipelining.early_content, WORTH_BINARY - 1)
        """Octets of content that are sent whole, if ``sends_whole``."""
        if self._size_limit is not None:
            self.most_whole = min(self.most_whole, self._size_limit)
        self._max_recipients, self._max_domains = capabilities.limit("RCPTMAX"), capabilities.limit("RCPTDOMAINMAX")
        self._has_limits = self._max_recipients is not None or self._max_domains is not None

    @property
    def may_group(self) -> bool:
        """True if several messages may be in flight."""
        return self._groups_commands and not self._is_lmtp

    @property
    def _groups_commands(self) -> bool:
        return self._takes_groups and self._quirks.groups is not BROKEN

    def plan(
        self, envelope: Envelope, content: Content, *, may_be_dead: bool = False, expects_more: bool = False
    ) -> Plan:
        """Plan a transaction. Raises ``MessageError`` if the server does not accept a message of this size, and
        ``ExtensionMissing`` if it does not offer an extension that the message needs. Nothing has been sent then."""
        if envelope.options is not None:
            envelope = envelope.asked_of(self._capabilities)
        if self._takes_binary and content.size >= WORTH_BINARY and self._may_use_bdat:
            content = content.as_binary()
        if content.is_8bit and not content.is_binary and self._wants_7bit(envelope, content):
            content = content.as_7bit(self._capabilities.name)
        size = content.size
        if self._size_limit is not None and size > self._size_limit:
            raise self._too_large(size)
        if content.is_8bit or envelope.needs_smtputf8:
            mail = self._mail(envelope, content, size)
        else:
            mail = b"%b SIZE=%d\r\n" % (envelope.mail_line[:-2], size) if self.takes_size else envelope.mail_line
        is_large = size > self._early_content or content.is_streamed
        waits = is_large or self._is_lmtp or self._all_or_nothing
        return Plan(
            envelope, mail, content, waits, is_large, self._all_or_nothing, self._is_lmtp, may_be_dead, expects_more,
            self._capabilities.name,
        )  # fmt: skip

    def flow(self, plan: Plan, *, behind: bool, reset: bool) -> tuple[Flow, bool, ChunkProbe | None]:
        """Return how to send a plan now: the flow, whether the content goes by BDAT, and the probe of a refused chunk
        that goes first, if any. ``behind``: other messages are in flight; ``reset``: RSET comes first."""
        quirks = self._quirks
        # Nearly all messages end at the first two conditions, which therefore avoid calls.
        if not self._takes_groups or quirks.groups is BROKEN:
            return _ONE_BY_ONE
        if not self._takes_bdat or quirks.swallows_chunk is BROKEN or quirks.bdat is BROKEN:
            return _ENVELOPE if plan.waits else _GROUP
        is_trusted = quirks.groups is PROVEN and self.offered in quirks.swallows
        # Until the words of its replies are known, only a reply behind the content shows that all are in their places.
        may_be_whole = quirks.wording is not None and (quirks.rset is PROVEN or not (behind or reset))
        if is_trusted and may_be_whole and not plan.waits and not plan.may_be_dead:
            return WHOLE
        if is_trusted:
            waits = plan.waits or plan.content.is_binary or not may_be_whole
            return (ENVELOPE_FIRST, True, None) if waits else _GROUP
        is_worth_asking = plan.waits or plan.expects_more or plan.content.is_binary
        if is_worth_asking and not behind and quirks.rset is not BROKEN:
            return ENVELOPE_FIRST, True, ChunkProbe(self.offered)
        return _ENVELOPE if plan.waits else _GROUP

    @property
    def sends_whole(self) -> bool:
        """True if messages of the usual kind are sent whole behind others, without a plan for each."""
        quirks = self._quirks
        is_trusted = self.offered in quirks.swallows and quirks.groups is PROVEN and quirks.rset is PROVEN
        is_trusted = is_trusted and quirks.behind_bdat is PROVEN and quirks.bdat is PROVEN
        is_trusted = is_trusted and quirks.wording is not None
        return is_trusted and self._may_send_whole and not self.may_split()

    def window_trust(self) -> Trust:
        """Return the trust in sending messages one after another without waiting."""
        quirks = self._quirks
        if not self._takes_groups:
            return UNPROVEN  # whatever other servers of that name take
        if not self._takes_bdat or quirks.swallows_chunk is BROKEN or quirks.bdat is BROKEN:
            return quirks.behind_data
        return quirks.behind_bdat if self.offered in quirks.swallows else UNPROVEN

    @property
    def _may_use_bdat(self) -> bool:
        return self._takes_bdat and self._quirks.uses_bdat

    def may_split(self) -> bool:
        """Return whether there is any limit on recipients."""
        return self._has_limits or self._quirks.max_recipients is not None

    def split(self, envelope: Envelope) -> list[Envelope]:
        """Split the envelope to stay within what the server accepts in one transaction: RCPTMAX and RCPTDOMAINMAX (RFC
        9422), or a limit that was detected."""
        limits = [limit for limit in (self._max_recipients, self._quirks.max_recipients) if limit]
        most, domains = min(limits, default=len(envelope.recipients)), self._max_domains
        if len(envelope.recipients) <= most and domains is None:
            return [envelope]
        groups = list(_groups(envelope.recipients, most, domains))
        return [envelope] if len(groups) == 1 else [envelope.only(group) for group in groups]

    def _wants_7bit(self, envelope: Envelope, content: Content) -> bool:
        if not self._takes_8bit:
            return True
        return not self._takes_utf8 and not envelope.needs_smtputf8 and content.has_utf8_headers

    def _mail(self, envelope: Envelope, content: Content, size: int) -> bytes:
        needs_utf8 = envelope.needs_smtputf8 or (content.is_8bit and content.has_utf8_headers)
        if needs_utf8 and not self._takes_utf8:
            words = f"The message needs SMTPUTF8 (RFC 6531), which {self._capabilities.name} does not offer"
            hint = "Its addresses have characters outside ASCII before the @, or its headers are raw UTF-8"
            raise ExtensionMissing(words, stage=Stage.MAIL, hint=hint)
        parameters = b" SIZE=%d" % size if self.takes_size else b""
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
    # Recipients of one domain stay together, so that few transactions are needed.
    ordered = recipients if domains is None else sorted(recipients, key=lambda address: address.wire_domain.lower())
    for address in ordered:
        domain = address.wire_domain.lower()
        if len(group) == most or (domains is not None and domain not in seen and len(seen) == domains):
            yield tuple(group)
            group, seen = [], set()
        group.append(address)
        seen.add(domain)
    yield tuple(group)


WHOLE = (PIPELINED_BDAT, True, None)
"""The result of ``flow`` for a whole message at once."""
_GROUP = (PIPELINED, False, None)
_ENVELOPE = (ENVELOPE_FIRST, False, None)
_ONE_BY_ONE = (STEP_BY_STEP, False, None)
"""The result of ``flow`` for commands sent one at a time."""


@lru_cache(maxsize=256)
def stages_of(recipients: int, last: Stage | None, reset: bool) -> tuple[Stage, ...]:
    """Return the stages that the replies to a group answer."""
    return (Stage.RSET,) * reset + (Stage.MAIL,) + (Stage.RCPT,) * recipients + ((last,) if last else ())
