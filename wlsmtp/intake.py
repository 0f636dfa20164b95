"""Converts what a user sends to an envelope, with options that the transport supports, and a content; the only place
that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.events import log
from wlsmtp.items import Item
from wlsmtp.message.defaults import Defaults
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.mail import Mail
from wlsmtp.message.merge import MergeRow
from wlsmtp.message.model import Message
from wlsmtp.message.read import raw_content
from wlsmtp.message.render import Sendable, content_of, envelope_of
from wlsmtp.message.sign import signed, signers_of, to_be_stored
from wlsmtp.message.values import with_domains
from wlsmtp.settings.config import Mode
from wlsmtp.settings.options import DeliveryOptions
from wlsmtp.wire.extensions import Capabilities

if TYPE_CHECKING:
    from wlsmtp.message.content import Content
    from wlsmtp.transports.base import Context, Transport

_ONE_CLICK = "List-Unsubscribe-Post"
_UNSIGNED = "nothing signs it here: RFC 8058 §4 wants DKIM. Sign with dkim=…, unless your server does"


class Intake:
    """Converts messages to mail, for one session and its transport."""

    def __init__(self, context: Context, transport: Transport) -> None:
        config = context.config
        self._options = config.options
        is_local = bool(config.sender or config.reply_to) and transport.serves_local_names
        self._defaults = Defaults(config.sender, config.reply_to, config.headers, is_local=is_local)
        self._has_defaults = bool(self._defaults)
        self._transport = transport
        self._wall = context.io.unix_time
        self._signers = signers_of(config.dkim) if config.dkim is not None else ()
        self._leaves_octets = (
            transport.says_options and config.options is None and not self._has_defaults and not self._signers
        )
        """True if nothing is done to octets with an envelope without options."""
        self._asks_nothing = transport.says_options and config.options is None
        """True if ``asking`` changes nothing in an envelope that is usual."""
        self._unsigned: str | None = None
        """The first message with one-click unsubscribe that was not signed; empty once that was logged."""
        self._is_stored = config.mode is Mode.ASYNC
        """True if content is stored before it is sent. It is signed when it is sent, as keys are never stored."""

    def mail_of(self, item: Item, *, options: DeliveryOptions | None = None) -> Mail:
        """Return the message with its envelope. Raises as ``parts_of`` does."""
        return Mail(*self.parts_of(item, options))

    def parts_of(self, item: Item, options: DeliveryOptions | None = None) -> tuple[Envelope, Content]:
        """Return the envelope and the content of the message. Raises ``MessageError``, and ``ExtensionMissing`` as
        ``asking`` does."""
        if self._leaves_octets and options is None and type(item) is tuple and len(item) == 2:
            message, envelope = item
            if type(message) is bytes and type(envelope) is Envelope and envelope.is_usual:
                return envelope, raw_content(message)
        if isinstance(item, MergeRow):
            made = item.item()
            try:
                return self.parts_of(made, options)
            except (MessageError, ExtensionMissing) as error:
                raise item.refusal(error) from error
        return self.parts(*self.in_two(item), options)

    def parts(
        self, message: Sendable, envelope: Envelope, options: DeliveryOptions | None = None
    ) -> tuple[Envelope, Content]:
        """Return the same for a message that has the session's defaults, and its envelope."""
        if not (self._asks_nothing and envelope.is_usual and options is None):
            envelope = self.asking(envelope, options)
        if isinstance(message, Message) and message.reply_to and not self._transport.serves_local_names:
            _check_reply_to(message)
        content = content_of(message)
        if self._signers or content.is_sealed:
            content = self.signed(content) if not self._is_stored else to_be_stored(content, self._signers)
        elif self._unsigned is None and isinstance(message, Message) and _ONE_CLICK in message.headers:
            self._unsigned = message.message_id
        return envelope, content

    def warn(self) -> None:
        """Log once that a message with one-click unsubscribe was not signed here. The caller has no role that another
        sender waits for, as handlers of ``logging`` run."""
        if self._unsigned:
            log.warning("message %s has one-click unsubscribe, and %s", self._unsigned, _UNSIGNED)
            self._unsigned = ""

    def in_two(self, item: Sendable | tuple[Sendable, Envelope]) -> tuple[Sendable, Envelope]:
        """Return the message, with the session's defaults, and its envelope. Raises ``MessageError``."""
        message: Sendable
        envelope: Envelope | None
        if isinstance(item, tuple):
            if len(item) != 2 or not (isinstance(item[1], Envelope) or item[1] is None):
                raise _not_a_pair()
            message, envelope = item
        else:
            message, envelope = item, None
        if self._has_defaults:
            message = self.filled(message)
        return message, envelope or envelope_of(message)

    def signed(self, content: Content) -> Content:
        """Return the content with a DKIM signature of each key of the session, dated now. Raises ``MessageError`` for
        content that cannot be signed, and ``ConfigError`` if it was stored to be signed, and the session has no key."""
        return signed(content, self._signers, self._wall()) if self._signers or content.awaits_signature else content

    def filled(self, message: Sendable) -> Sendable:
        """Return the message with the session's defaults, as ``Defaults.filled``."""
        return self._defaults.filled(message) if self._has_defaults else message

    def asking(self, envelope: Envelope, options: DeliveryOptions | None = None) -> Envelope:
        """Return the envelope with the options that apply to it. Raises ``MessageError`` for options that do not fit
        it, and ``ExtensionMissing`` if the transport cannot request them."""
        default = self._options
        if options is not None or envelope.options is not None or default is not None:
            envelope = envelope.asking(options, default)
        if not self._transport.says_options:
            envelope.asked_of(Capabilities(self._transport.name))
        if not envelope.has_domains and (names := envelope.local_names) and not self._transport.serves_local_names:
            words = f"{names[0]!r} has no domain: over SMTP only Postmaster needs none (RFC 5321 §4.1.1.3)"
            hint = "Add one, as in root@example.com; the setting local_names is for a server that adds its own"
            raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
        return envelope


def _check_reply_to(message: Message) -> None:
    """Refuse a reply address without a domain, which means somebody else to each recipient."""
    try:
        with_domains(message.reply_to)
    except MessageError as error:
        raise MessageError(f"reply_to: {error.message}", stage=Stage.MESSAGE, hint=error.hint) from None


def _not_a_pair() -> MessageError:
    """Return the error for a tuple that is no message with its envelope: one bad item does not end a stream."""
    words = "a tuple must be (message, Envelope)"
    return MessageError(
        words, stage=Stage.MESSAGE, hint="An Envelope has the sender and the recipients of the message before it"
    )
