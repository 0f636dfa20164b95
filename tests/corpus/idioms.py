"""The ways in which programs make messages today: each writes a ``Letter`` as its users do, and says how it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import encoders, message_from_bytes, policy
from email.charset import QP, Charset
from email.header import Header
from email.headerregistry import Address, Group
from email.message import EmailMessage
from email.message import Message as OldMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.mime.text import MIMEText
from email.utils import formataddr, parsedate_to_datetime
from typing import Any

from tests.contrib.project import configure
from tests.corpus.letters import File, Letter, Person, letters
from tests.corpus.octets import write


@dataclass(frozen=True)
class Sending:
    """A message, and from whom and to whom, where that is not for its fields to say."""

    message: Any
    sender: str | None = None
    recipients: list[str] | None = None


@dataclass(frozen=True)
class Case:
    """A letter in an idiom. ``make`` makes it anew each time."""

    letter: Letter
    idiom: str
    make: Callable[[], Sending]

    @property
    def name(self) -> str:
        """Its name among all cases."""
        return f"{self.letter.name} ({self.idiom})"


def cases() -> Iterator[Case]:
    """All letters in all idioms that can say them."""
    for letter in letters():
        for idiom, make in IDIOMS.items():
            if not letter.only_in or any(idiom.startswith(name) for name in letter.only_in):
                yield Case(letter, idiom, lambda make=make, letter=letter: make(letter))  # type: ignore[misc]


def explicit(letter: Letter, message: Any) -> Sending:
    """From and to whom, as it is given to ``sendmail``."""
    return Sending(message, letter.sender[1], [address for _, address in letter.people])


def with_mimetext(letter: Letter) -> Sending:
    """As tutorials have it: the classes of ``email.mime``, addresses by ``formataddr``, texts as they are."""
    message = _with_files(letter, _alternative(letter))
    message["Subject"] = letter.subject
    message["From"] = formataddr(letter.sender)
    for name, people in _lists(letter):
        listed = ", ".join(map(formataddr, people))
        message[name] = f"{letter.group}: {listed};" if name == "To" and letter.group else listed
    for name, value in letter.fields:
        message[name] = value
    return Sending(message)


def _alternative(letter: Letter) -> Any:
    text = _text(letter, letter.text, "plain")
    if not letter.html:
        return text
    alternative = MIMEMultipart("alternative")
    alternative.attach(text)
    alternative.attach(_text(letter, letter.html, "html"))
    return alternative


def _text(letter: Letter, text: str, subtype: str) -> MIMEText:
    charset: Any = letter.charset
    if letter.encoding == "quoted-printable":
        charset = Charset(letter.charset)
        charset.body_encoding = QP
    is_default = letter.charset == "utf-8" and not letter.encoding
    part = MIMEText(text, subtype) if is_default else MIMEText(text, subtype, charset)
    for name, value in letter.parameters:
        part.set_param(name, value)
    return part


def _with_files(letter: Letter, text: Any) -> Any:
    if not letter.files:
        return text
    message = MIMEMultipart(letter.shape)
    if letter.shape == "signed":
        message.set_param("protocol", letter.files[0].type)
    message.attach(text)
    for file in letter.files:
        message.attach(_part(file))
    return message


def _part(file: File) -> Any:
    kind, _, parameters = file.type.partition("; ")
    main, sub = kind.split("/")
    if main == "message":
        part: Any = MIMEBase(main, sub)
        inner = message_from_bytes(b"%s: x\n\n%s" % (b"X", file.data)) if sub != "rfc822" else None
        part.set_payload([message_from_bytes(file.data)] if inner is None else _blocks(file.data))
        return part
    part = MIMENonMultipart(main, sub)
    for parameter in filter(None, parameters.split("; ")):
        part.set_param(*parameter.split("="))
    part.set_payload(file.data)
    encoders.encode_base64(part)
    if file.name:
        part.add_header("Content-Disposition", "inline" if file.identifier else "attachment", filename=file.name)
    if file.identifier:
        part.add_header("Content-ID", f"<{file.identifier}>")
    return part


def _blocks(data: bytes) -> list[OldMessage]:
    """The fields of a delivery status, one message for each block of them."""
    return [message_from_bytes(block) for block in data.split(b"\n\n")]


def with_email_message(letter: Letter) -> Sending:
    """``EmailMessage``, with objects for addresses."""
    message = EmailMessage()
    message["Subject"] = letter.subject
    message["From"] = _address(letter.sender)
    for name, people in _lists(letter):
        boxes = [_address(person) for person in people]
        message[name] = Group(letter.group, tuple(boxes)) if name == "To" and letter.group else boxes
    for name, value in letter.fields:
        message[name] = value
    encoding: Any = {"cte": letter.encoding or None, "charset": letter.charset}
    message.set_content(letter.text, params=dict(letter.parameters) or None, **encoding)
    if letter.html:
        message.add_alternative(letter.html, subtype="html", charset=letter.charset)
    for file in letter.files:
        _add_file(message, file)
    return Sending(message)


def _address(person: Person) -> Address:
    name, address = person
    if "@" not in address:
        return Address(name, address)
    local, _, domain = address.rpartition("@")
    return Address(name, local.strip('"'), domain)


def _add_file(message: EmailMessage, file: File) -> None:
    main, sub = file.type.split("/")
    if main == "message":
        message.add_attachment(message_from_bytes(file.data, policy=policy.default))
    elif file.identifier:
        (html,) = [part for part in message.iter_parts() if part.get_content_type() == "text/html"]
        content: Any = {"cid": f"<{file.identifier}>", "filename": file.name}
        html.add_related(file.data, main, sub, **content)
    else:
        message.add_attachment(file.data, maintype=main, subtype=sub, filename=file.name)


def with_old_code(letter: Letter) -> Sending:
    """``Message`` and ``Header`` objects, as programs from the days of Python 2 still have them."""
    charset = Charset(letter.charset)
    if letter.encoding == "8bit":
        charset.body_encoding = None  # type: ignore[assignment]
    elif letter.encoding == "quoted-printable" or letter.charset == "iso-8859-1":
        charset.body_encoding = QP
    text = OldMessage()
    text.set_payload(letter.text, charset)
    for name, value in letter.parameters:
        text.set_param(name, value)
    message = _with_files(letter, text)
    if letter.html:
        message = MIMEMultipart("alternative")
        html = MIMEBase("text", "html")
        html.set_payload(letter.html, charset)
        message.attach(text)
        message.attach(html)
        message = _with_files(letter, message)
    message["Subject"] = Header(letter.subject, None if letter.subject.isascii() else letter.charset)
    message["From"] = _header([letter.sender], letter.charset)
    for name, people in _lists(letter):
        header = _header(people, letter.charset)
        if name == "To" and letter.group:
            header = Header(f"{letter.group}: {header};")
        message[name] = header
    for name, value in letter.fields:
        message[name] = value if value.isascii() else Header(value, "utf-8", header_name=name)
    return Sending(message)


def _header(people: tuple[Person, ...] | list[Person], charset: str) -> Header:
    """A list of addresses by ``Header.append``, word by word."""
    header = Header()
    for number, (name, address) in enumerate(people):
        comma = "," if number < len(people) - 1 else ""
        if name and not name.isascii():
            header.append(name, charset)
            header.append(f"<{address}>{comma}", "us-ascii")
        else:
            header.append(formataddr((name, address)) + comma, "us-ascii")
    return header


def _lists(letter: Letter) -> Iterator[tuple[str, tuple[Person, ...]]]:
    lists = (("To", letter.to), ("Cc", letter.cc), ("Bcc", letter.bcc), ("Reply-To", letter.reply_to))
    for name, people in lists:
        if people or (name == "To" and letter.group):
            yield name, people


def with_octets(letter: Letter) -> Sending:
    """Octets, as they are given to ``sendmail``: header fields and text in raw UTF-8."""
    return explicit(letter, write(letter, encoded=False, line_end="\r\n"))


def parsed(letter: Letter) -> Sending:
    """A message that another program wrote and that was read from a file."""
    return Sending(message_from_bytes(write(letter, encoded=True, line_end="\n")))


def parsed_anew(letter: Letter) -> Sending:
    """The same, read with the newer policy."""
    return Sending(message_from_bytes(write(letter, encoded=True, line_end="\n"), policy=policy.default))


def with_django(letter: Letter) -> Sending:
    """Django's ``EmailMultiAlternatives``, sent as its backend does."""
    from django.core.mail import EmailMultiAlternatives
    from django.core.mail.message import sanitize_address

    configure()
    mail = EmailMultiAlternatives(
        letter.subject,
        letter.text,
        _written(letter.sender),
        [*map(_written, letter.to)],
        bcc=[*map(_written, letter.bcc)],
        cc=[*map(_written, letter.cc)],
        reply_to=[*map(_written, letter.reply_to)],
        headers=dict(letter.fields),
    )
    mail.encoding = letter.charset
    if letter.html:
        mail.attach_alternative(letter.html, "text/html")
    for file in letter.files:
        mail.attach(file.name, file.data, file.type)
    addresses = [sanitize_address(address, "utf-8") for address in (mail.from_email, *mail.recipients())]
    return Sending(mail.message(), addresses[0], addresses[1:])


def _written(person: Person) -> str:
    """As people write it into a text: with quotes where there must be some."""
    name, address = person
    if not name:
        return address
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f"{name} <{address}>" if name.replace(" ", "").isalnum() else f'"{escaped}" <{address}>'


def with_flask_mail(letter: Letter) -> Sending:
    """Flask-Mail's ``Message``."""
    import flask
    import flask_mail

    app = flask.Flask(__name__)
    flask_mail.Mail(app)
    with app.app_context():
        mail = flask_mail.Message(
            letter.subject,
            [*letter.to],
            letter.text,
            letter.html or None,
            sender=letter.sender if letter.sender[0] else letter.sender[1],
            cc=[*letter.cc],
            bcc=[*letter.bcc],
            reply_to=letter.reply_to[0] if letter.reply_to else None,
            charset=letter.charset,
            extra_headers={name: value for name, value in letter.fields if name not in ("Date", "Message-ID")},
        )
        fields = dict(letter.fields)
        mail.msgId, mail.date = fields["Message-ID"], parsedate_to_datetime(fields["Date"]).timestamp()
        for file in letter.files:
            mail.attach(file.name, file.type, file.data)
        return explicit(letter, mail._message())


IDIOMS: dict[str, Callable[[Letter], Sending]] = {
    "MIMEText": with_mimetext,
    "EmailMessage": with_email_message,
    "old code": with_old_code,
    "octets": with_octets,
    "parsed": parsed,
    "parsed by policy.default": parsed_anew,
    "Django": with_django,
    "Flask-Mail": with_flask_mail,
}
