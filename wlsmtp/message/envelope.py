"""The envelope: the sender and recipients of a message, whatever its headers say (RFC 5321 §2.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from wlsmtp.errors import MessageError, Stage
from wlsmtp.settings.options import DeliveryOptions, mail_parameters, rcpt_parameters
from wlsmtp.wire.address import (
    Address,
    foreign_mailbox,
    is_plain_address,
    local_name,
    parse_address,
    parse_mailbox,
    plain_address,
    text_of,
)
from wlsmtp.wire.command import line, mail, rcpt
from wlsmtp.wire.extensions import Capabilities

if TYPE_CHECKING:
    from email.headerregistry import Address as HeaderAddress

    from pydantic import NameEmail
else:
    HeaderAddress = NameEmail = Any  # importing them takes long

PathLike: TypeAlias = str | Address | HeaderAddress | NameEmail | tuple[str, str]
"""An address, perhaps with a name, which the envelope ignores; a pair is a name and its address."""


@dataclass(frozen=True, init=False)
class Envelope:
    """A reverse-path and at least one recipient, all checked. The commands are computed once, as an envelope may serve
    thousands of messages.

    >>> Envelope("bounces@example.com", ["ann@example.com", "Bob <bob@example.org>"])
    """

    sender: Address | None
    """None is the null reverse-path ``<>``: nobody is notified when delivery fails (RFC 5321 §4.5.5)."""
    recipients: tuple[Address, ...]
    addresses: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The recipients as they were given."""
    mail_line: bytes = field(init=False, repr=False, compare=False)
    """The MAIL command, without the parameters that depend on the content."""
    rcpt_lines: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    """A complete RCPT command for each recipient."""
    needs_smtputf8: bool = field(default=False, init=False, repr=False, compare=False)
    """True if an address has non-ASCII characters before its @ (RFC 6531)."""
    has_domains: bool = field(default=True, init=False, repr=False, compare=False)
    """True if every address has a domain; see ``local_names``."""
    is_usual: bool = field(default=True, init=False, repr=False, compare=False)
    """True if it needs neither SMTPUTF8 nor options, and every address has a domain."""
    plain_to: str | None = field(default=None, init=False, repr=False, compare=False)
    """The only recipient, in ASCII, as most envelopes have it. The other fields of recipients are then made when they
    are read."""
    options: DeliveryOptions | None = None
    """Requests to the server beyond delivery. None: those of the session's settings."""

    def __init__(
        self,
        sender: PathLike | None,
        recipients: PathLike | Iterable[PathLike],
        options: DeliveryOptions | None = None,
    ) -> None:
        """``sender`` may be "", "<>" or None: the null reverse-path. A name without a domain, such as ``root``, is for
        delivery on this machine; Postmaster is valid everywhere. A repeated recipient counts once. Raises
        ``MessageError``. A tuple of two texts is a pair (name, address); two addresses are a list."""
        if type(sender) is str and options is None:
            text = recipients[0] if type(recipients) is list and len(recipients) == 1 else recipients
            if type(text) is str and is_plain_address(text):  # the usual case
                path, line, is_usual = _reverse_path(sender)
                if is_usual:
                    _set_fields(self, {"sender": path, "plain_to": text, "mail_line": line})
                    return
        self._fill(_sender(sender), _addresses(recipients))
        if options is not None:
            self.__dict__.update(options=_checked(options), is_usual=False)

    @classmethod
    def of_checked(cls, sender: Address | None, recipients: Sequence[Address]) -> Self:
        """Return an envelope of addresses that are already parsed, such as those of a ``Message``. A repeated recipient
        counts once. Raises ``MessageError`` when there is none."""
        envelope = cls.__new__(cls)
        if len(recipients) == 1 and sender is not None and sender.domain and sender.local.isascii():
            to = recipients[0]
            text = f"{to.local}@{to.domain}"
            if to.domain and text.isascii() and text.isprintable():  # the usual case
                global _latest_path
                latest, line = _latest_path
                if latest is not sender:
                    line = mail(sender.wire)
                    _latest_path = sender, line
                own = {"sender": sender, "recipients": (to,), "plain_to": text, "mail_line": line}
                _set_fields(envelope, own)
                return envelope
        envelope._fill(sender, recipients)
        return envelope

    def _fill(self, sender: Address | None, recipients: Sequence[Address]) -> None:
        has_domains = sender is None or sender.domain != ""
        needs_smtputf8 = sender is not None and sender.needs_smtputf8
        unique = _unique(recipients)
        addresses = tuple([str(to) for to in unique])
        lines = tuple([rcpt(to.wire) for to in unique])
        has_domains = has_domains and all([to.domain for to in unique])
        needs_smtputf8 = needs_smtputf8 or any([to.needs_smtputf8 for to in unique])
        fields = self.__dict__  # bypasses the __setattr__ that refuses changes
        fields["options"] = None
        fields["is_usual"] = has_domains and not needs_smtputf8
        fields["sender"] = sender
        fields["recipients"] = unique
        fields["addresses"] = addresses
        fields["mail_line"] = mail("" if sender is None else sender.wire)
        fields["rcpt_lines"] = lines
        fields["needs_smtputf8"] = needs_smtputf8
        fields["has_domains"] = has_domains

    @property
    def local_names(self) -> tuple[str, ...]:
        """The addresses without a domain, except the recipient Postmaster, which every server knows (RFC 5321
        §4.1.1.3)."""
        names = [to.local for to in self.recipients if not to.domain and to.local.lower() != "postmaster"]
        return (*names, *([self.sender.local] if self.sender is not None and not self.sender.domain else ()))

    def only(self, recipients: Iterable[Address]) -> Envelope:
        """Return the same envelope for some of its recipients."""
        return Envelope.of_checked(self.sender, tuple(recipients))._changed(options=self.options)

    def asking(self, options: DeliveryOptions | None, default: DeliveryOptions | None) -> Envelope:
        """Return the same envelope with these options, else with its own, else with the defaults. Raises
        ``MessageError`` when they name an address that is not a recipient."""
        own = self.options if options is None else _checked(options)
        if own is not None:
            own.check_recipients(self.addresses)
        wanted = own or default
        if wanted is self.options:
            return self
        return self._changed(options=wanted)

    def asked_of(self, capabilities: Capabilities) -> Envelope:
        """Return the same envelope with commands that request the options from this server. Raises ``ExtensionMissing``
        for options that it does not offer, and ``MessageError`` for those beyond its limits."""
        options = self.options
        if options is None:
            return self
        path = "" if self.sender is None else self.sender.wire
        changed = self._changed(mail_line=line(f"MAIL FROM:<{path}>", *mail_parameters(options, capabilities)))
        if options.dsn is not None:
            lines = [rcpt(to.wire, rcpt_parameters(options, str(to), capabilities)) for to in self.recipients]
            changed.__dict__["rcpt_lines"] = tuple(lines)
        return changed

    def _changed(self, **fields: object) -> Envelope:
        envelope = type(self).__new__(type(self))
        envelope.__dict__.update(self.__dict__, **fields)
        envelope.__dict__["is_usual"] = self.is_usual and envelope.options is None
        return envelope


class _Later:
    """A field of an envelope with ``plain_to``, made when it is read, which is seldom."""

    def __init__(self, name: str, make: Callable[[str], object]) -> None:
        self._name, self._make = name, make

    def __get__(self, envelope: Envelope | None, _: object = None) -> tuple[Any, ...]:
        if envelope is None:
            raise AttributeError(self._name)
        assert envelope.plain_to is not None
        made = envelope.__dict__[self._name] = (self._make(envelope.plain_to),)
        return made


Envelope.recipients = _Later("recipients", parse_address)  # type: ignore[assignment]
Envelope.addresses = _Later("addresses", str)  # type: ignore[assignment]
Envelope.rcpt_lines = _Later("rcpt_lines", rcpt)  # type: ignore[assignment]
_latest_path: tuple[Address | None, bytes] = None, b""
"""The latest sender and its MAIL command: many messages have the same sender, which is the same object."""
_set_fields = vars(Envelope)["__dict__"].__set__


@lru_cache(maxsize=1024)
def _reverse_path(sender: str) -> tuple[Address | None, bytes, bool]:
    """Return the sender, its MAIL command, and whether an envelope with it may be usual."""
    path = _sender(sender)
    if path is None:
        return None, mail(""), True
    return path, mail(path.wire), not path.needs_smtputf8 and path.domain != ""


def _checked(options: object) -> DeliveryOptions:
    if isinstance(options, DeliveryOptions):
        return options
    raise MessageError(f"options: must be DeliveryOptions, not {type(options).__name__}", stage=Stage.MESSAGE)


def _unique(addresses: Sequence[Address]) -> tuple[Address, ...]:
    if not addresses:
        raise MessageError("The message has no recipient", stage=Stage.MESSAGE, hint="Fill to, cc or bcc")
    # Domains ignore case; local parts do not (RFC 5321 §2.4).
    unique: dict[tuple[str, str], Address] = {}
    for address in addresses:
        unique.setdefault((address.local, address.wire_domain.lower()), address)
    return tuple(unique.values())


def _addresses(given: PathLike | Iterable[PathLike]) -> list[Address]:
    if isinstance(given, (str, Address)):
        return [_address(given)]
    if isinstance(given, tuple) and len(given) == 2 and text_of(given[0]) is not None and text_of(given[1]) is not None:
        return [_address(given)]  # a pair (name, address), or refused
    if isinstance(given, (list, tuple)):  # the usual case; the next test takes longer
        return [_address(given[0])] if len(given) == 1 else [_address(item) for item in given]
    if text_of(given) is not None or foreign_mailbox(given) is not None:
        return [_address(given)]
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise MessageError(f"recipients: must be addresses, not {type(given).__name__}", stage=Stage.MESSAGE)
    return [_address(item) for item in given]


def _sender(given: object) -> Address | None:
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        return _address(given)
    # Many messages share a sender, which the parser caches; recipients differ.
    try:
        return parse_mailbox(given).address
    except MessageError:
        if given != "<>" and local_name(given) is None:
            raise
        return local_name(given)


def _address(given: object) -> Address:
    if type(given) is str and (plain := plain_address(given)) is not None:
        return plain
    # An Address may have been constructed directly: it is checked like any text.
    text = str(given) if isinstance(given, Address) else text_of(given)
    if text is None and (found := foreign_mailbox(given)) is not None:
        text = found[1]
    if isinstance(given, tuple):
        text = _of_pair(given)
    if text is not None and (name := local_name(text)) is not None:
        return name
    if isinstance(given, Address):
        return parse_address(str(given))
    return parse_mailbox(given if text is None else text).address  # type: ignore[arg-type]


def _of_pair(given: tuple[object, ...]) -> str | None:
    """Return the address of a pair (name, address) among several recipients, as Flask-Mail uses them; None for another
    tuple. Raises ``MessageError`` if it may be two addresses, one of which would be lost."""
    name, address = map(text_of, given) if len(given) == 2 else (None, None)
    if name is None or address is None:
        return None
    if "@" in name or "@" not in address:
        words = f"{given!r} is not a pair of a name and an address, which is what a tuple of two texts means"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Give two addresses as a list, [a, b]")
    return address
