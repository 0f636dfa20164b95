"""What is not ASCII arrives at every server as it was meant, or is refused: a signed part is never changed."""

from __future__ import annotations

from email import charset, message_from_bytes, policy
from email.message import EmailMessage
from email.message import Message as OldMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.worlds import World
from wlsmtp import Status
from wlsmtp.errors import ExtensionMissing, MessageError
from wlsmtp.message.content import Content
from wlsmtp.message.model import Attachment, Message
from wlsmtp.message.render import content_of
from wlsmtp.testing import SMTPServer

HEAD = b"From: a@x.org\r\nTo: b@x.org\r\n"
UTF8_IN_8BIT: Any = charset.Charset("utf-8")
UTF8_IN_8BIT.body_encoding = None  # as Django 5 has it


def octets(content: Content) -> bytes:
    return b"".join(content.chunks())


def in_7bit(mail: Any) -> Any:
    """The message as a server without 8BITMIME gets it, read again."""
    sent = octets(content_of(mail).as_7bit())
    assert sent.isascii()
    return message_from_bytes(sent, policy=policy.default)


def text_in_8bit(text: str) -> Any:
    mail: Any = MIMEText("", "plain")
    del mail["Content-Transfer-Encoding"]
    mail.set_payload(text, UTF8_IN_8BIT)
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    return mail


SIGNED = (
    HEAD + b'Content-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n'
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n\r\n"
    b"--b\r\nContent-Type: x/y\r\n\r\nAAA\r\n--b--\r\n"
)
DKIM = b"DKIM-Signature: v=1; b=abc\r\n" + HEAD + b"Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n"


@pytest.mark.parametrize("form", [policy.compat32, policy.default])
def test_a_multipart_without_its_boundary_keeps_its_octets(form: Any) -> None:
    raw = HEAD + b'Content-Type: multipart/mixed; boundary="b"; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--c\r\n'
    assert octets(content_of(message_from_bytes(raw, policy=form))) == raw


@pytest.mark.parametrize("raw", [SIGNED, DKIM])
def test_a_signed_part_arrives_as_it_is_or_the_extension_is_missing(world: World, raw: bytes) -> None:
    for extensions in (("8BITMIME",), ()):
        with SMTPServer(extensions=extensions) as server, world.session(server.host, server.port) as session:
            for form in (raw, message_from_bytes(raw), message_from_bytes(raw, policy=policy.default)):
                if extensions:
                    session.send(form)
                    assert server.messages[-1].content == raw
                else:
                    with pytest.raises(ExtensionMissing, match=f"{server.port} does not offer 8BITMIME"):
                        session.send(form)
            assert len(server.messages) == (3 if extensions else 0)


def test_a_signed_part_in_ascii_needs_nothing() -> None:
    raw = SIGNED.replace("Grüße".encode(), b"Hello")
    mail: Any = MIMEMultipart()
    mail.attach(message_from_bytes(raw))
    mail.attach(text_in_8bit("ü"))
    assert octets(content_of(message_from_bytes(raw)).as_7bit()) == raw
    assert b"Content-Transfer-Encoding: 8bit\r\n\r\nHello" in octets(content_of(mail).as_7bit())


def test_text_whose_charset_says_8bit_goes_to_every_server(world: World) -> None:
    for extensions in (("8BITMIME",), ()):
        with SMTPServer(extensions=extensions) as server, world.session(server.host, server.port) as session:
            session.send(text_in_8bit("Text ü\n"))
        found: Any = server.messages[0].email
        assert found.get_payload(decode=True).decode().splitlines() == ["Text ü"]
        assert server.messages[0].content.isascii() is not bool(extensions)


@pytest.mark.parametrize("label", ["us-ascii", "no-such-charset", "utf-8", "iso-8859-1"])
def test_octets_are_kept_whatever_their_charset_is_called(label: str) -> None:
    raw = HEAD + f"Content-Type: text/plain; charset={label}\r\n\r\n".encode() + b"\xe4\xff a longer line of text\r\n"
    for form in (message_from_bytes(raw), message_from_bytes(raw, policy=policy.default)):
        assert in_7bit(form).get_payload(decode=True) == b"\xe4\xff a longer line of text\r\n"
    with pytest.raises(ExtensionMissing, match="8BITMIME"):
        content_of(raw).as_7bit()


def test_characters_that_are_no_octets_need_a_charset() -> None:
    mail = OldMessage()
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    mail.set_payload("Grüße\n")
    with pytest.raises(MessageError, match=r"names no charset.*set_content"):
        content_of(mail)
    mail["Content-Type"] = "text/plain; charset=utf-8"
    assert "Grüße".encode() in octets(content_of(mail))
    assert in_7bit(mail).get_content().strip() == "Grüße"
    mail.replace_header("Content-Type", "text/plain; charset=us-ascii")
    with pytest.raises(MessageError, match="'us-ascii' has no such characters"):
        content_of(mail)


@given(
    st.binary(max_size=400) | st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"a", b"\xff"]), max_size=9).map(b"".join)
)
@example(bytes(range(256)) * 4)
def test_binary_parts_keep_their_octets(data: bytes) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    mail.add_attachment(data, maintype="application", subtype="octet-stream", cte="binary")
    mail.add_attachment(data, maintype="text", subtype="csv", cte="binary", filename="a.csv")
    for sent in (octets(content_of(mail)), octets(content_of(mail).as_7bit())):
        parts: Any = list(message_from_bytes(sent).walk())[1:]
        assert [part.get_payload(decode=True) for part in parts] == [data, data]


LONG_LINES = ["word " * 400 + "\nshort\n", "w" * 2000 + "\n", "<p>" + "x" * 1100 + "</p>\r\nü\r\n", "\n" + "ü " * 700]


@pytest.mark.parametrize("text", LONG_LINES, ids=["words", "a word", "a line end of Windows", "outside ASCII"])
def test_a_line_of_a_text_that_no_server_must_take_is_encoded(world: World, text: str) -> None:
    nested: Any = MIMEMultipart()
    nested.attach(MIMEMessage(text_in_8bit(text)))
    nested["From"], nested["To"] = "a@x.org", "b@x.org"
    for mail in (text_in_8bit(text), message_from_bytes(text_in_8bit(text).as_bytes()), nested):
        before = mail.as_bytes()
        with SMTPServer(strict=True) as server, world.session(server.host, server.port) as session:
            session.send(mail)
            assert mail.as_bytes() == before
        (read,) = [part for part in server.messages[0].email.walk() if part.get_content_type() == "text/plain"]
        found: Any = read.get_payload(decode=True)
        assert found.decode().splitlines() == text.splitlines()
        assert server.violations == []


def test_a_file_with_a_long_line_keeps_its_octets() -> None:
    data = b"a;b\n" + b"x;" * 1000 + b"\r\nend"
    mail = EmailMessage()
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    part: Any = OldMessage()
    part["Content-Type"] = "application/x-table"
    part.set_payload(data.decode())
    mail.make_mixed()
    mail.attach(part)
    (read,) = list(message_from_bytes(octets(content_of(mail))).walk())[1:]
    assert read.get_payload(decode=True) == data


@pytest.mark.parametrize("raw", [SIGNED, DKIM])
def test_a_long_line_that_is_signed_stays(raw: bytes) -> None:
    raw = raw.replace("ü".encode(), b"u" * 1200)
    for form in (raw, message_from_bytes(raw), message_from_bytes(raw, policy=policy.default)):
        assert octets(content_of(form)) == raw


@pytest.mark.parametrize("encoding", [None, "7bit", "8bit", "binary"])
@pytest.mark.parametrize("data", [b"a\0b", b"\xff\0\r\n.\r\n"])
def test_a_file_with_nul_keeps_its_octets(world: World, data: bytes, encoding: str | None) -> None:
    """A strict server refuses NUL, also with 8BITMIME, and others drop it."""
    mail = MIMEApplication(data, "x-test", _encoder=lambda part: None)
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    if encoding:
        mail["Content-Transfer-Encoding"] = encoding
    with SMTPServer(strict=True) as server, world.session(server.host, server.port) as session:
        assert session.send(mail)
    assert server.messages[0].email.get_payload(decode=True) == data


def test_a_text_with_nul_is_encoded() -> None:
    mail = text_in_8bit("ü\0 and more\n")
    assert b"\0" not in octets(content_of(mail))
    assert in_7bit(mail).get_content().splitlines() == ["ü\0 and more"]


def test_lines_of_998_octets_stay() -> None:
    raw = HEAD + b"\r\n" + b"x" * 998 + b"\r\n" + b"x" * 998 + b"\r\n"
    assert octets(content_of(message_from_bytes(raw))) == raw
    old_macintosh = HEAD + b"\r\n" + b"x" * 900 + b"\r" + b"x" * 900 + b"\r"
    assert b"quoted-printable" not in octets(content_of(message_from_bytes(old_macintosh)))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1)


@given(st.lists(TEXTS, max_size=3).map(lambda texts: [*texts, "ü"]))
def test_parts_in_8bit_read_back_in_7bit(texts: list[str]) -> None:
    mail: Any = MIMEMultipart()
    mail["From"], mail["Content-Transfer-Encoding"] = "a@x.org", "8bit"
    for text in texts:
        mail.attach(text_in_8bit(text))
    read = in_7bit(mail)
    assert str(read["Content-Transfer-Encoding"]) == "7bit"
    found = [part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in read.iter_parts()]
    assert [text.rstrip("\n") for text in found] == [text.rstrip("\n") for text in texts]


def test_an_attached_message_is_encoded_inside() -> None:
    inner = text_in_8bit("Grüße\n")
    mail: Any = MIMEMultipart()
    mail["From"], mail["To"] = "a@x.org", "b@x.org"
    part = MIMEMessage(inner)
    part["Content-Transfer-Encoding"] = "8bit"
    mail.attach(part)
    (attached,) = in_7bit(mail).iter_attachments()
    assert attached.get_content_type() == "message/rfc822" and attached["Content-Transfer-Encoding"] == "7bit"
    assert attached.get_content().get_content().strip() == "Grüße"
    assert inner["Content-Transfer-Encoding"] == "8bit", "the user's own is left alone"


@pytest.mark.parametrize(
    ("inner", "kind"), [(HEAD + b"\r\n\xc3\xbc\r\n", "message/rfc822"), (SIGNED, "application/octet-stream")]
)
def test_a_message_from_a_file_goes_as_a_message_in_8bit(world: World, inner: bytes, kind: str) -> None:
    mail = Message("a@x.org", "b@x.org", text="forwarded", attachments=[Attachment.from_bytes(inner, "mail.eml")])
    for extensions in (("8BITMIME",), ()):
        with SMTPServer(extensions=extensions) as server, world.session(server.host, server.port) as session:
            session.send(mail)
        received: Any = message_from_bytes(server.messages[0].content, policy=policy.default)
        (part,) = received.iter_attachments()
        assert part.get_content_type() == ("message/rfc822" if extensions else kind)
        assert server.messages[0].content.isascii() is not bool(extensions)
        if extensions:
            assert inner in server.messages[0].content
        elif kind != "message/rfc822":
            assert part.get_content() == inner, "a signed message goes as a file rather than changed"


@pytest.mark.parametrize("extensions", [(), ("8BITMIME",)])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_raw_utf8_in_the_headers_of_a_parsed_message_is_encoded_for_servers_without_smtputf8(
    world: World, extensions: tuple[str, ...], mode: str
) -> None:
    raw = (
        "From: Jörg Müller <joerg@example.com>\r\nTo: =?utf-8?q?=C3=84nne?= <a@example.org>,\r\n Ö <o@example.org>\r\n"
        "Subject: Grüße\r\n aus Köln\r\nX-Note: 🎉\r\nMessage-ID: <1@example.com>\r\n\r\nx\r\n"
    ).encode()
    with SMTPServer(extensions=extensions) as server, world.session(server.host, server.port, mode=mode) as session:
        for policy_ in (policy.compat32, policy.default):
            assert session.wait(session.send(message_from_bytes(raw, policy=policy_))).status is Status.SENT
        for refused, hint in (
            (raw, "message_from_bytes"),
            (message_from_bytes(b"DKIM-Signature: v=1\r\n" + raw), "before it is signed"),
        ):
            [receipt] = session.send_all([refused])
            error = session.wait(receipt).error
            assert isinstance(error, ExtensionMissing) and "SMTPUTF8" in str(error) and hint in str(error)
    assert len(server.messages) == 2
    for found in server.messages:
        assert found.content.isascii() and b"SMTPUTF8" not in found.content
        assert found.header("From") == "Jörg Müller <joerg@example.com>"
        assert found.header("To") == "Änne <a@example.org>, Ö <o@example.org>"
        assert (found.header("Subject"), found.header("X-Note")) == ("Grüße aus Köln", "🎉")


@pytest.mark.parametrize("wrap", [False, True])
def test_so_is_raw_utf8_in_the_fields_of_parts(world: World, wrap: bool) -> None:
    raw = (
        "From: a@example.com\nTo: b@example.org\nSubject: Grüße\nContent-Type: multipart/mixed; boundary=m\n\n--m\n"
        'Content-Type: application/pdf; x=y; name="Übersicht \\"1\\".pdf"\nContent-Transfer-Encoding: base64\n'
        "Content-Description: Größe\nContent-Disposition: attachment; filename=Übersicht.pdf; size=4\n\n"
        "JVBERg==\n--m--\n"
    ).encode()
    inner = message_from_bytes(raw)
    outer = MIMEMessage(inner)
    outer["From"], outer["To"] = "ann@example.com", "bob@example.org"
    with SMTPServer(extensions=()) as server, world.session(server.host, server.port) as session:
        session.send(outer if wrap else inner)
        with pytest.raises(ExtensionMissing, match="message_from_bytes"):
            session.send(raw)
    [found] = server.messages
    assert found.content.isascii()
    [part] = [part for part in found.email.walk() if part.get_content_type() == "application/pdf"]
    assert (part.get_filename(), part.get_param("name")) == ("Übersicht.pdf", 'Übersicht "1".pdf')
    assert (part.get_param("x"), part["Content-Description"]) == ("y", "Größe")
    assert part["Content-Disposition"].params["size"] == "4" and part.get_content() == b"%PDF"
    assert [part["Subject"] for part in found.email.walk() if part["Subject"]] == ["Grüße"]


def test_a_name_in_another_charset_leaves_its_address_known(world: World) -> None:
    raw = "From: J\xf6rg <a@example.com>\r\nTo: M\xfcller, \xc4nne <b@example.org>\r\n\r\nx\r\n"
    raw = raw.replace("M\xfcller, ", "M\xfcller <c@example.org>, ")
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for form in (raw.encode("latin-1"), message_from_bytes(raw.encode("latin-1"))):
            session.send(form)
            assert server.messages[-1].recipients == ("c@example.org", "b@example.org")
            assert server.messages[-1].sender == "a@example.com" and server.messages[-1].content == raw.encode(
                "latin-1"
            )
        for wrong in (b"b\xf6b@example.org", b"<bob@b\xfccher.example>", b"\xff <bob@example.org> \xfe <eve"):
            with pytest.raises(MessageError):
                session.send(b"From: a@example.com\r\nTo: %b\r\n\r\nx\r\n" % wrong)


def test_headers_in_another_charset_do_not_claim_to_be_utf8(world: World) -> None:
    raw = HEAD + "Subject: Grüße\r\n\r\nx\r\n".encode("latin-1")
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        for form in (raw, message_from_bytes(raw), raw.decode("latin-1").encode()):
            session.send(form)
    assert [bool(mail.mail_parameters.get("SMTPUTF8")) for mail in server.messages] == [False, False, True]
    assert [mail.content for mail in server.messages[:2]] == [raw, raw]
    with pytest.raises(ExtensionMissing, match="8BITMIME"):
        content_of(raw).as_7bit()


OLD = """From: "J\xf6rg" <a@example.com>
To: M\xfcller <b@example.org>
Subject: Gr\xfc\xdfe aus K\xf6ln
X-Name: B\xfcro
Content-Type: text/plain; charset={}; name="\xdcber.txt"
Content-Transfer-Encoding: 8bit

Gr\xfc\xdfe
"""


@pytest.mark.parametrize("policy", [policy.compat32, policy.default], ids=["Message", "EmailMessage"])
def test_fields_in_the_charset_of_the_text_are_encoded_for_a_server_without_8bitmime(world: World, policy: Any) -> None:
    with (
        SMTPServer(extensions=["PIPELINING"], strict=True) as server,
        world.session(server.host, server.port) as session,
    ):
        for charset in ("iso-8859-1", '"Windows-1252"'):
            session.send(message_from_bytes(OLD.format(charset).encode("latin-1"), policy=policy))
            found = server.messages[-1].email
            assert server.messages[-1].content.isascii() and found.get_content().rstrip() == "Gr\xfc\xdfe"
            shown = [found[name] for name in ("From", "To", "Subject", "X-Name")]
            assert shown == [
                "J\xf6rg <a@example.com>",
                "M\xfcller <b@example.org>",
                "Gr\xfc\xdfe aus K\xf6ln",
                "B\xfcro",
            ]
            assert found.get_filename() or found["Content-Type"].params["name"] == "\xdcber.txt"
        for charset in ("us-ascii", "iso-8859-99", "utf-8"):  # which nobody knows: octets are not guessed
            text = OLD.format(charset).replace("\n\nGr\xfc\xdfe", "\n\nHello")
            with pytest.raises(ExtensionMissing, match="8BITMIME"):
                session.send(message_from_bytes(text.encode("latin-1"), policy=policy))


def test_an_address_in_an_old_charset_stays_what_it_is(world: World) -> None:
    text = OLD.format("iso-8859-1").replace("X-Name: B\xfcro", "Reply-To: b\xf6b@example.com")
    email = message_from_bytes(text.encode("latin-1"))
    missing = pytest.raises(ExtensionMissing)
    with (
        SMTPServer(extensions=["PIPELINING"]) as server,
        world.session(server.host, server.port) as session,
        missing,
    ):
        session.send(email)
    assert not server.messages
