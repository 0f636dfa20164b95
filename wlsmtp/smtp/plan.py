"""Pure: what to say for one message, in which groups, and whether it can be said to this server at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.wire import command

if TYPE_CHECKING:
    from wlsmtp.config import Pipelining
    from wlsmtp.message.content import Content
    from wlsmtp.message.envelope import Envelope
    from wlsmtp.wire.extensions import Capabilities

MAX_GROUP = 250
"""Commands in one group: their replies, at the 512 octets of RFC 5321 §4.5.3.1.5, fit any receive buffer, so that the
server never has to wait for us to read while we wait for it to read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One mail transaction, ready to be said."""

    recipients: tuple[str, ...]
    mail: bytes
    rcpts: tuple[bytes, ...]
    content: Content
    grouped: bool
    """Whether MAIL and the RCPTs go out together (RFC 2920)."""
    data_in_group: bool
    """Whether DATA goes with them; otherwise it waits until it is known who was refused."""
    all_or_nothing: bool


def make_plan(
    envelope: Envelope,
    content: Content,
    capabilities: Capabilities,
    *,
    pipelining: Pipelining,
    all_or_nothing: bool = False,
) -> Plan:
    """Plan a transaction. Raises ``MessageError`` when the server does not take so large a message, and
    ``ExtensionMissing`` when the message needs what the server does not offer; nothing was said then."""
    if content.is_8bit and "8BITMIME" not in capabilities:
        content = content.as_7bit()
    needs_utf8 = envelope.needs_smtputf8 or content.has_utf8_headers
    if needs_utf8 and "SMTPUTF8" not in capabilities:
        words = f"The message needs SMTPUTF8 (RFC 6531), which {capabilities.name} does not offer"
        hint = "Its addresses have characters outside ASCII before the @, or its headers are raw UTF-8"
        raise ExtensionMissing(words, stage=Stage.MAIL, hint=hint)
    _check_size(content.size, capabilities)
    grouped = pipelining.enabled and "PIPELINING" in capabilities
    return Plan(
        recipients=tuple(str(address) for address in envelope.recipients),
        mail=command.mail(_path(envelope), _mail_parameters(content, capabilities, needs_utf8)),
        rcpts=tuple(command.rcpt(address.wire) for address in envelope.recipients),
        content=content,
        grouped=grouped,
        data_in_group=grouped and not all_or_nothing and content.size <= pipelining.early_content,
        all_or_nothing=all_or_nothing,
    )


def _path(envelope: Envelope) -> str:
    return envelope.sender.wire if envelope.sender is not None else ""


def _mail_parameters(content: Content, capabilities: Capabilities, needs_utf8: bool) -> list[str]:
    wanted = {
        f"SIZE={content.size}": "SIZE" in capabilities,
        "BODY=8BITMIME": content.is_8bit,
        "SMTPUTF8": needs_utf8,
    }
    return [parameter for parameter, is_wanted in wanted.items() if is_wanted]


def _check_size(size: int, capabilities: Capabilities) -> None:
    limit = capabilities.size_limit
    if limit is not None and size > limit:
        words = f"The message has {size:,} octets and {capabilities.name} takes {limit:,} at most (RFC 1870)"
        raise MessageError(words, stage=Stage.MAIL, hint="Send fewer or smaller attachments, or a link to them")
