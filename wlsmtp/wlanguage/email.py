"""Emails: the type ``Email`` with its attachments, and the structure ``Email`` of every thread."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import MessageError, SMTPError, Stage
from wlsmtp.io.thread import ThreadLocal
from wlsmtp.wire.mailboxes import mailboxes_in
from wlsmtp.wlanguage import constants
from wlsmtp.wlanguage.errors import WLanguageError, failed, function, succeeded
from wlsmtp.wlanguage.french_members import FrenchAttachment, FrenchEmail
from wlsmtp.wlanguage.members import (
    Array,
    Count,
    GrowingArray,
    Member,
    Variable,
    array,
    checked,
    flag,
    kind_of,
    one_of,
    path,
    text,
    whole_options,
)

if TYPE_CHECKING:
    from wlsmtp.message import model
    from wlsmtp.message.attachment import Attachment

__all__ = ["Email", "EmailBuildSource", "EmailReset", "EmailVariable", "emailAttach"]

_PRIORITIES = {
    name: getattr(constants, name) for name in ("emailHighPriority", "emailNormalPriority", "emailLowPriority")
}
_SENSITIVITIES = {
    name: getattr(constants, name)
    for name in ("emailNotConfidential", "emailPersonal", "emailPrivate", "emailCompanyConfidential")
}

# RFC 2156 §5.3; most programs show X-Priority.
IMPORTANCE = {constants.emailHighPriority: "high", constants.emailLowPriority: "low"}
PRIORITY = {
    constants.emailHighPriority: ("urgent", "1 (Highest)"),
    constants.emailLowPriority: ("non-urgent", "5 (Lowest)"),
}
SENSITIVITY = {
    constants.emailPersonal: "Personal",
    constants.emailPrivate: "Private",
    constants.emailCompanyConfidential: "Company-Confidential",
}


_IS_ADDRESS = re.compile(r"\S@\S")
_BRACKETED = re.compile(r"\A<([^<>]*)>\Z")


def _octets(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"must be the octets of the file, not {kind_of(value)}")
    return bytes(value)


class emailAttach(FrenchAttachment, Variable):
    """A file sent with an email."""

    __slots__ = ()
    _type = "emailAttach"
    _shown = ("Name", "ContentType", "Identifier")

    Name: Member[str] = Member(text, "")
    """The name that the recipient sees. It must be set."""
    Content: Member[bytes] = Member(_octets, b"")
    """The octets of the file; a ``str`` is encoded in UTF-8."""
    ContentType: Member[str] = Member(text, "")
    """Its media type; "": guessed from the name."""
    Identifier: Member[str] = Member(text, "")
    """The name by which the HTML refers to it, as in ``<img src="cid:logo">``."""

    def attachment(self) -> Attachment:
        """Return the attachment to send. Raises ``MessageError``."""
        from wlsmtp.message.attachment import Attachment

        if not self.Name:
            raise MessageError("Attach: the Name of an attached file must be set", stage=Stage.MESSAGE)
        if self.Identifier:
            return Attachment(self.Content, self.Name, self.ContentType or None, "inline", self.Identifier)
        return Attachment(self.Content, self.Name, self.ContentType or None)


def _file(value: object) -> str | emailAttach:
    return value if isinstance(value, emailAttach) else path(value)


_addresses = array(text, str)


def _check_domains(message: model.Message) -> None:
    """Refuse names without a domain, of which an SMTP server knows nobody."""
    from wlsmtp.message.values import with_domains

    for name in ("sender", "to", "cc", "bcc", "reply_to"):
        found = getattr(message, name)
        try:
            with_domains([found] if name == "sender" else found)
        except MessageError as error:
            raise MessageError(f"{name}: {error.message}", stage=Stage.MESSAGE) from None


class EmailVariable(FrenchEmail, Variable):
    """An email: ``message = Email()``. Setting a value of the wrong type is a ``WLanguageError``; an address or a text
    that cannot be sent makes sending fail."""

    __slots__ = ()
    _type = "Email"
    _shown = ("Sender", "Recipient", "Subject")

    Sender: Member[str] = Member(text, "")
    """``"ann@example.com"`` or ``"Ann <ann@example.com>"``, like all addresses here; or a name alone."""
    SenderAddress: Member[str] = Member(text, "")
    """The address that belongs to the name in ``Sender``. If ``Sender`` has an address itself: the reply address
    (Reply-To); "": the sender."""
    Recipient: Member[Array[str]] = Member(_addresses, "")
    Cc: Member[Array[str]] = Member(_addresses, "")
    Bcc: Member[Array[str]] = Member(_addresses, "")
    """Recipients that no header field names."""
    Subject: Member[str] = Member(text, "")
    Message: Member[str] = Member(text, "")
    """The text of the email."""
    HTML = Member(text, "")
    """The HTML version; the recipient's program shows one of both."""
    Attach: Member[Array[str | emailAttach]] = Member(array(_file, emailAttach, GrowingArray), "")
    """Paths of files, or ``emailAttach``; any number."""
    AttachIdentifier: Member[Array[str]] = Member(_addresses, "")
    """Set when an email is read; not used here."""
    Certificate: Member[str] = Member(path, "")
    """The path of a PEM file with the certificate to sign with (S/MIME, RFC 8551), intermediate certificates, and its
    private key; "": the email is not signed."""
    DispositionNotification: Member[bool] = Member(flag, False)
    """True to ask for a confirmation that the email was read (RFC 8098)."""
    ReturnReceipt: Member[bool] = Member(flag, False)
    """True to ask for a receipt; ``DispositionNotification`` has precedence."""
    Importance: Member[int] = Member(one_of(_PRIORITIES), constants.emailNormalPriority)
    Priority: Member[int] = Member(one_of(_PRIORITIES), constants.emailNormalPriority)
    Sensitivity: Member[int] = Member(one_of(_SENSITIVITIES), constants.emailNotConfidential)
    MessageID: Member[str] = Member(text, "")
    """The Message-ID field; "": a new one for each sending."""
    Reference: Member[str] = Member(text, "")
    """The References field: the Message-IDs of the emails that this one answers."""
    ID: Member[str] = Member(text, "")
    """After sending: the identifier for ``EmailStatus``."""
    MailIdentifier: Member[str] = Member(text, "")
    AsynchronousEmailIdentifier: Member[str] = Member(text, "")
    """The same as ``ID``, by the names of the structure and of asynchronous mode."""
    Source: Member[str] = Member(text, "")
    """The whole email in its Internet form, as made by ``EmailBuildSource``."""
    Error: Member[str] = Member(text, "")
    """The reason why the last sending failed; "" when it did not."""

    NbRecipient: Count = Count("Recipient")
    NbCc: Count = Count("Cc")
    NbBcc: Count = Count("Bcc")
    NbAttach: Count = Count("Attach")

    @function
    def BuildSource(self, options: int = 0) -> bool:
        """Write the email into ``Source``; False and ``ErrorInfo`` when it cannot be sent as it is.

        It names the Bcc recipients with ``emailOptionHeaderBcc`` only.
        """
        checked(whole_options, options, "BuildSource")
        try:
            source = self._source(with_bcc=bool(options & constants.emailOptionHeaderBcc))
        except SMTPError as error:
            return failed(error)
        self.Source = source.decode("utf-8", "surrogateescape")
        return succeeded()

    @function
    def ImportSource(self, source: str | None = None) -> bool:
        """Fill the members from ``Source``, or from a text in the same form. See ``EmailImportSource``."""
        from wlsmtp.wlanguage.contents import EmailImportSource

        return EmailImportSource(self, source)

    @function
    def ImportHTML(self, html: str, directory: str = "") -> bool:
        """Fill ``HTML``, and ``Attach`` with its pictures. See ``EmailImportHTML``."""
        from wlsmtp.wlanguage.contents import EmailImportHTML

        return EmailImportHTML(self, html, directory)

    @function
    def LoadAttachment(self, file: str) -> bool:
        """Add a file to ``Attach``, as it is now. See ``EmailLoadAttachment``."""
        from wlsmtp.wlanguage.contents import EmailLoadAttachment

        return EmailLoadAttachment(self, file)

    def sendable(self) -> model.Message | bytes:
        """Return the message for a session. Raises ``MessageError``, and ``ConfigError`` when signing is not
        installed."""
        # From octets, the session reads the recipients in their Bcc field, which it does not send.
        return self._source(with_bcc=True) if self.Certificate else self._composed()

    def _source(self, *, with_bcc: bool) -> bytes:
        message = self._composed()
        octets = _signed(_in_7bit(message), self.Certificate) if self.Certificate else bytes(message)
        if not with_bcc or not message.bcc:
            return octets
        return f"Bcc: {', '.join(str(mailbox.address) for mailbox in mailboxes_in(message.bcc))}\r\n".encode() + octets

    def _composed(self) -> model.Message:
        from wlsmtp.message.model import Message

        sender, reply_to = self._sender()
        message = Message(
            sender,
            to=self._filled("Recipient"),
            cc=self._filled("Cc"),
            bcc=self._filled("Bcc"),
            reply_to=reply_to,
            subject=self.Subject,
            text=self.Message if self.Message or not self.HTML else None,
            html=self.HTML or None,
            attachments=list(self._attachments()),
            headers=dict(self._headers()),
            message_id=self.MessageID or None,
        )
        _check_domains(message)
        return message

    def _sender(self) -> tuple[str | tuple[str, str], str | tuple[()]]:
        """Return the sender, and the reply address."""
        if not self.SenderAddress or _IS_ADDRESS.search(self.Sender):
            return self.Sender, self.SenderAddress or ()
        address = _BRACKETED.sub(r"\1", self.SenderAddress.strip())
        return (self.Sender, address) if self.Sender else address, ()

    def become(self, other: EmailVariable) -> None:
        """Copy the members of another email."""
        self._values = other._values

    def sent_as(self, identifier: str) -> None:
        """Store the identifier under which the email was sent."""
        self.ID = self.MailIdentifier = self.AsynchronousEmailIdentifier = identifier
        self.Error = ""

    def _filled(self, name: str) -> list[str]:
        addresses = list(getattr(self, name))
        if "" in addresses:
            words = f"{name}[{addresses.index('') + 1}] is empty, and Nb{name} is {len(addresses)}"
            raise MessageError(words, stage=Stage.MESSAGE)
        return addresses

    def _attachments(self) -> Iterator[Attachment]:
        from wlsmtp.message.attachment import Attachment

        for item in self.Attach:
            yield Attachment.from_path(item) if isinstance(item, str) else item.attachment()

    def _headers(self) -> Iterator[tuple[str, str]]:
        receipt = "Disposition-Notification-To" if self.DispositionNotification else "Return-Receipt-To"
        if self.DispositionNotification or self.ReturnReceipt:
            yield receipt, self.Sender if _IS_ADDRESS.search(self.Sender) else self.SenderAddress
        if self.Importance in IMPORTANCE:
            yield "Importance", IMPORTANCE[self.Importance]
        if self.Priority in PRIORITY:
            yield from zip(("Priority", "X-Priority"), PRIORITY[self.Priority], strict=True)
        if self.Sensitivity in SENSITIVITY:
            yield "Sensitivity", SENSITIVITY[self.Sensitivity]
        if self.Reference:
            yield "References", self.Reference


def _in_7bit(message: model.Message) -> bytes:
    """Return a signed part in 7-bit: it must pass every relay unchanged (RFC 8551 §3.1.3)."""
    content = message.render()
    return b"".join((content if content.has_utf8_headers else content.as_7bit()).chunks())


def _signed(octets: bytes, certificate: str) -> bytes:
    from wlsmtp.message.sign.smime import sign

    try:
        pem = Path(certificate).read_bytes()
    except OSError as error:
        words = f"Certificate: {certificate} cannot be read ({error.strerror})"
        raise MessageError(words, stage=Stage.MESSAGE) from None
    return sign(octets, pem)


class _Thread(ThreadLocal):
    """The structure of each thread."""

    def __init__(self) -> None:
        self.email = EmailVariable()


_thread = _Thread()


class EmailStructure:
    """``Email``: as in the original both the structure of this thread (``Email.Sender = …``) and the type of variables
    (``message = Email()``)."""

    def __call__(self) -> EmailVariable:
        return EmailVariable()

    def __getattr__(self, name: str) -> Any:
        return getattr(_thread.email, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_thread.email, name, value)

    def __repr__(self) -> str:
        return repr(_thread.email)


Email: EmailStructure = EmailStructure()

AnyEmail = EmailVariable | EmailStructure | None
"""A variable, or the structure of this thread: by its name, or None."""


@function
def EmailReset() -> None:
    """Empty the structure of this thread."""
    _thread.email = EmailVariable()


@function
def EmailBuildSource(email: AnyEmail = None, options: int = 0) -> bool:
    """Write an email, by default the structure, into its ``Source``. See ``EmailVariable.BuildSource``."""
    return variable_of(email).BuildSource(options)


def variable_of(email: object) -> EmailVariable:
    """Return the given variable, or the structure of this thread. Raises ``WLanguageError`` for anything else."""
    if email is None or email is Email:
        return _thread.email
    if isinstance(email, EmailVariable):
        return email
    raise WLanguageError(f"an email is an Email variable, not {kind_of(email)}")
