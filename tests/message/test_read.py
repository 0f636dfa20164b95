"""Messages made elsewhere are sent as they are, and their envelope is found in their headers."""

from __future__ import annotations

import re
from email import message_from_bytes, message_from_string, policy
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.message import Message as OldMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.contrib.project import configure
from wlsmtp.errors import ExtensionMissing, MessageError
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.model import Message
from wlsmtp.message.render import content_of, envelope_of
from wlsmtp.session import SMTPSession
from wlsmtp.testing import SMTPServer


def email(**fields: Any) -> EmailMessage:
    mail = EmailMessage()
    for name, value in {"From": "ann@example.com", "To": "bob@example.org", **fields}.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("text\n")
    return mail


def octets(mail: Any) -> bytes:
    return b"".join(content_of(mail).chunks())


def recipients(mail: Any) -> list[str]:
    return [str(address) for address in envelope_of(mail).recipients]


def headed(value: str) -> Any:
    """As old programs write it: the whole field in one ``Header``, addresses and all."""
    mail: Any = MIMEText("x")
    mail["From"], mail["To"] = Header("Jörg, Köln <joerg@example.com>", "utf-8"), Header(value, "utf-8")
    return mail


@pytest.mark.parametrize(
    ("value", "to"),
    [
        ("Änne <anne@example.org>", [("Änne", "anne@example.org")]),
        ("Bob, Ö <bob@example.org>", [("Bob, Ö", "bob@example.org")]),
        ("bob@example.org", [("", "bob@example.org")]),
        ("bob@example.org, cleo@example.org", [("", "bob@example.org"), ("", "cleo@example.org")]),
    ],
)
def test_addresses_that_were_encoded_with_their_names_are_seen_by_readers(
    value: str, to: list[tuple[str, str]]
) -> None:
    sent = octets(headed(value))
    found: Any = message_from_bytes(sent, policy=policy.default)
    assert [(box.display_name, box.addr_spec) for box in found["To"].addresses] == to
    assert [(box.display_name, box.addr_spec) for box in found["From"].addresses] == [
        ("Jörg, Köln", "joerg@example.com")
    ]
    assert recipients(headed(value)) == [address for _, address in to]
    assert str(envelope_of(headed(value)).sender) == "joerg@example.com"


@pytest.mark.parametrize(
    "value",
    [
        "Ä, eve@example.net, <b@x.org>",
        "eve@example.net Ä <b@x.org>",
        "Ä <a@x.org>, Ö <b@x.org>",
        "Änne",
        "Ä <a@x.org> b",
    ],
)
def test_what_was_encoded_whole_and_could_be_several_is_nobody(value: str) -> None:
    with pytest.raises(MessageError, match="an encoded word is no address"):
        recipients(headed(value))
    assert b"\r\nTo: =?utf-8?" in octets(headed(value))  # as it is, beside an envelope that is given


class TestEmailMessage:
    @pytest.mark.parametrize(
        "to", ['"a..b"@docomo.example', 'N <"a..b"@docomo.example>', Address("N", "a..b", "docomo.example")]
    )
    def test_dots_that_need_quotes_keep_them(self, to: Any) -> None:
        assert recipients(email(To=to)) == ['"a..b"@docomo.example'] and b'"a..b"@docomo.example' in octets(
            email(To=to)
        )
        for wrong in ("a..b@docomo.example", "b.@docomo.example"):
            with pytest.raises(MessageError):
                recipients(email(To=wrong))

    def test_bcc_is_not_in_it_and_the_object_stays(self) -> None:
        mail = email(Bcc="secret@x.org", Resent_Bcc="hidden@x.org")
        before = mail.as_bytes()
        assert b"secret" not in octets(mail) and b"hidden" not in octets(mail)
        assert mail.as_bytes() == before and mail["Bcc"] == "secret@x.org"

    def test_nothing_is_added(self) -> None:
        assert b"Date" not in octets(email()) and content_of(email()).message_id is None

    def test_the_users_parts_are_not_given_boundaries(self) -> None:
        mail, inner = MIMEMultipart(), MIMEMultipart()
        mail.attach(inner)
        inner.attach(MIMEText("x"))
        octets(mail)
        assert inner.get_boundary() is None and mail.get_boundary() is None

    @pytest.mark.parametrize("name", ["Example, Ann", 'a "b" \\', "Jörg, Müller", "e@v, " * 8])
    def test_a_comma_in_a_name_makes_no_second_address(self, name: str) -> None:
        mail = email(Cc=[Address(name.strip(), "c", "x.org"), Address("", "d", "x.org")])
        found: Any = message_from_bytes(octets(mail), policy=policy.default)["Cc"]
        assert [(item.display_name, item.addr_spec) for item in found.addresses] == [
            (name.strip(), "c@x.org"),
            ("", "d@x.org"),
        ]
        assert recipients(mail) == ["bob@example.org", "c@x.org", "d@x.org"]

    def test_an_encoded_comma_makes_no_second_address(self) -> None:
        raw = b"From: a@x.org\r\nTo: =?utf-8?q?e=40v=2Eorg=2C?= <b@x.org>\r\n\r\n"
        new: Any = message_from_bytes(raw, policy=policy.default)
        for parsed in (new, message_from_bytes(raw)):
            assert recipients(parsed) == ["b@x.org"] and octets(parsed) == raw
        assert recipients(raw) == ["b@x.org"]

    def test_long_parsed_headers_are_not_refolded(self) -> None:
        raw = (
            b'From: a@x.org\r\nTo: "'
            + b"Long, " * 30
            + b'" <b@x.org>\r\nMessage-ID: <'
            + b"y" * 200
            + b"@z>\r\n\r\nx\r\n"
        )
        new: Any = message_from_bytes(raw, policy=policy.default)
        assert octets(new) == raw

    def test_a_long_identifier_is_not_folded(self) -> None:
        identifier = f"<{'y' * 200}@z.org>"
        assert f"Message-ID: {identifier}\r\n".encode() in octets(email(Message_ID=identifier))

    def test_international_addresses(self) -> None:
        mail = email(Cc="jörg@bücher.example", Subject="Füße")
        assert "Cc: jörg@xn--bcher-kva.example\r\n".encode() in octets(mail)
        assert content_of(mail).has_utf8_headers and envelope_of(mail).needs_smtputf8
        assert not content_of(email(Cc="c@bücher.example", Subject="Füße")).is_8bit

    def test_eight_bit_parts_are_kept_and_can_be_encoded(self) -> None:
        mail = email()
        mail.set_content("é\n", cte="8bit")
        content = content_of(mail)
        assert content.is_8bit and "é".encode() in octets(mail)
        again = b"".join(content.as_7bit().chunks())
        parsed: Any = message_from_bytes(again, policy=policy.default)
        assert again.isascii() and parsed.get_content() == "é\n"

    def test_groups_stay(self) -> None:
        mail = email(Cc="undisclosed-recipients:;", Bcc="b@x.org")
        assert b"undisclosed-recipients:;" in octets(mail)
        assert recipients(mail) == ["bob@example.org", "b@x.org"]

    def test_the_old_kind_of_message(self) -> None:
        mail: Any = MIMEText("é", "plain", "utf-8")
        mail["From"], mail["To"], mail["Subject"] = '"Jörg, M" <j@x.org>', "b@x.org", Header("Füße", "utf-8")
        parsed: Any = message_from_bytes(octets(mail), policy=policy.default)
        assert parsed["Subject"] == "Füße" and parsed["From"].addresses[0].display_name == "Jörg, M"
        assert str(envelope_of(mail).sender) == "j@x.org"

    @pytest.mark.parametrize("value", ["x\nBcc: eve@x.org", "x\r\n\r\nbody", "x\ry: z", "x\n", "x\x00"])
    @pytest.mark.parametrize("line_end", ["\n", *"\v\f\x1c\x1d\x1e"])
    def test_a_value_that_adds_a_line_is_refused(self, value: str, line_end: str) -> None:
        mail = OldMessage()
        mail["From"], mail["To"], mail["Subject"] = "a@x.org", "b@x.org", value.replace("\n", line_end)
        with pytest.raises(MessageError, match="Subject"):
            content_of(mail)

    def test_what_cannot_be_written_is_a_message_error(self) -> None:
        mail: Any = OldMessage()
        mail.set_payload(b"".join)
        with pytest.raises(MessageError, match="cannot be written"):
            content_of(mail)


class TestEnvelope:
    def test_sender_goes_before_from(self) -> None:
        assert str(envelope_of(email(Sender="s@x.org")).sender) == "s@x.org"

    def test_a_resent_message_goes_where_it_was_resent(self) -> None:
        mail = email(Resent_From="r@x.org", Resent_To="t@x.org", Resent_Bcc="u@x.org", Bcc="no@x.org")
        assert str(envelope_of(mail).sender) == "r@x.org" and recipients(mail) == ["t@x.org", "u@x.org"]

    @pytest.mark.parametrize(
        "raw",
        [
            b"Subject: x\r\n\r\n",
            b"From: a@x.org\r\n\r\nTo: b@x.org\r\n",
            b"To: b@x.org\r\n\r\n",
            b"From: a@x.org\r\nTo: b at x\r\n\r\n",
            b"From: a@x.org\r\nTo: b@x <c@x\r\n\r\n",
            b"From: a@x.org\r\nTo: \xff@x\r\n\r\n",
            b"",
        ],
    )
    def test_headers_that_do_not_tell_say_to_pass_it(self, raw: bytes) -> None:
        new: Any = message_from_bytes(raw, policy=policy.default)
        for mail in (raw, new, message_from_bytes(raw)):
            with pytest.raises(MessageError, match=r"sender=|recipients="):
                envelope_of(mail)

    def test_what_is_given_is_not_looked_for(self) -> None:
        told = envelope_of(email(), sender="")
        assert told.sender is None and [str(to) for to in told.recipients] == ["bob@example.org"]
        assert envelope_of(b"", sender="a@x.org", recipients="b@x.org").sender is not None

    def test_a_message_comes_and_goes_as_told(self) -> None:
        mail = Message("Ann <ann@x.org>", ["b@x.org", "B@X.org"], cc="c@x.org", bcc="b@X.org")
        assert envelope_of(mail) == Envelope("ann@x.org", ["b@x.org", "B@X.org", "c@x.org"])
        assert envelope_of(mail, sender="") == Envelope("", ["b@x.org", "B@X.org", "c@x.org"])
        assert envelope_of(mail, recipients="d@x.org") == Envelope("ann@x.org", "d@x.org")
        for nobody in ((), ""):
            with pytest.raises(MessageError):
                envelope_of(mail, recipients=nobody)


class TestOctets:
    RAW = b"From: a@x.org\r\nTo: b@x.org\r\n\r\nbody \xff\r\nBcc: this is text\r\n"

    def test_they_are_sent_as_they_are(self) -> None:
        for kind in (bytes, bytearray, memoryview):
            assert octets(kind(self.RAW)) == self.RAW
        assert octets(b"A: b\n\nx\ry") == b"A: b\r\n\r\nx\r\ny\r\n"
        with pytest.raises(ExtensionMissing, match="8BITMIME"):
            content_of(self.RAW).as_7bit()

    @pytest.mark.parametrize(
        "bcc", [b"Bcc: c@x.org\r\n", b"bCC : c@x.org,\r\n\tc@x.org\r\n", b"BCC:\n c@x.org\n", b"X: y\rBcc: c@x.org\r"]
    )
    def test_bcc_gets_it_and_is_not_in_it(self, bcc: bytes) -> None:
        for raw in (bcc + self.RAW, self.RAW.replace(b"\r\n\r\n", b"\r\n" + bcc + b"\r\n", 1)):
            assert octets(raw).replace(b"X: y\r\n", b"") == self.RAW
            assert recipients(raw) == ["b@x.org", "c@x.org"]


class TestBrokenSections:
    """What one reader takes for a field another takes for text: nobody may be lost, and no Bcc may be shown."""

    RAW = b"From: a@b.com\r\nTo: c@d.com\r\nX-Note: one\r\n%b\r\nCc: e@f.com\r\nBcc: g@h.com\r\n\r\nbody\r\n"

    @pytest.mark.parametrize("line", [b"second line, not folded", b"d@d.com, e@e.com", b"N\xe9: x", b": x", b"a b: x"])
    def test_a_line_that_is_no_field_is_refused_in_all_ways(self, line: bytes) -> None:
        raw = self.RAW % line
        for form in (raw, message_from_bytes(raw), message_from_bytes(raw, policy=policy.default)):
            for ask in (content_of, envelope_of):
                with pytest.raises(MessageError, match="not a field"):
                    ask(form)

    def test_without_a_bcc_and_with_recipients_octets_are_as_they_are(self) -> None:
        for raw in (b"just text\r\n", b"X: y\r\nno field\r\n\r\nBcc: text\r\n"):
            assert octets(raw) == raw
            with pytest.raises(MessageError, match="not a field"):
                envelope_of(raw)

    @pytest.mark.parametrize("before", ["\n", "\r\n\r\n", " \n\t\n", "    "])
    @pytest.mark.parametrize("field", ["From: a@b.com", "bcc : g@h.com", "Subject:x", "MIME-Version: 1.0"])
    def test_fields_behind_an_empty_line_are_not_sent_as_text(self, before: str, field: str) -> None:
        """A text in three quotation marks begins with a line end, and is often indented."""
        text = f"{before}{field}\n    To: c@d.com\n    Bcc: g@h.com\n\nbody\n"
        for form in (text.encode(), message_from_string(text), message_from_string(text, policy=policy.default)):
            for ask in (content_of, lambda it: envelope_of(it, sender="a@b.com"), envelope_of):
                with pytest.raises(MessageError, match=r"begins with an empty line or a space|not a field"):
                    ask(form)
            with pytest.raises(MessageError):
                content_of(form)

    def test_an_indented_bcc_is_not_sent_where_no_field_comes_before_it(self) -> None:
        for raw in (b"  note\r\n  Bcc: g@h.com\r\n\r\nbody\r\n", b"note\r\n\tbcc: g@h.com\r\n\r\nbody\r\n"):
            with pytest.raises(MessageError, match="not a field"):
                content_of(raw)
        assert b"  Bcc: g@h.com" in octets(b"Subject: x\r\n  Bcc: g@h.com\r\n\r\nbody\r\n"), (
            "it is a part of the subject"
        )

    def test_a_text_without_a_header_section_may_begin_with_an_empty_line(self) -> None:
        for raw in (b"\r\nhello\r\n", b"\r\nNote: this is text\r\n", b"\r\n"):
            assert octets(raw) == raw == octets(message_from_bytes(raw))

    def test_the_line_that_begins_a_message_in_a_mailbox_file_is_no_field(self) -> None:
        line, long = b"From a@x.org Sat Nov 28 10:00:00 2026\r\n", b"Subject: " + b"word " * 300 + b"\r\n"
        head = b"From: a@x.org\r\nTo: b@x.org\r\n"
        for more in (b"", long):
            raw = line + head + b"Bcc: c@x.org\r\n" + more + b"\r\nx\r\n"
            for form in (raw, message_from_bytes(raw)):
                assert recipients(form) == ["b@x.org", "c@x.org"]
            assert octets(raw).startswith(head) and octets(message_from_bytes(raw)).startswith(head)
            assert octets(b">" + raw).startswith(head), "as written by programs that quote such lines everywhere"
            assert b"c@x.org" not in octets(raw)

    def test_two_from_fields_are_refused(self) -> None:
        mail: Any = MIMEText("x")
        mail["From"], mail["To"] = "a@x.org", "b@x.org"
        mail["from"] = "eve@x.org"
        for ask in (content_of, envelope_of):
            with pytest.raises(MessageError, match=r"more than one From.*del"):
                ask(mail)
        with pytest.raises(MessageError, match="more than one From"):
            envelope_of(mail.as_bytes())


LOST = [
    "ann@example.org, bob@example.org; cleo@example.org, dan@example.org",
    "alice@example.org <bob@example.com>",
    "Joe <joe@exa mple.com>",
    "a@x.org b@y.org",
    "Doe, John <j@x.org>",
    "A: a@x.org, b@x.org",
    "Ann <a@x.org> <b@x.org>",
    "a@b@c.org",
    "a@x.org;",
    "<a@x.org",
]


@pytest.mark.parametrize("to", LOST)
def test_what_the_standard_library_would_lose_is_refused_and_shown(to: str) -> None:
    new = EmailMessage()
    new["From"], new["To"] = "me@example.com", to
    old: Any = MIMEText("x")
    old["From"], old["To"] = "me@example.com", to
    for mail in (new, old, old.as_bytes(), message_from_bytes(old.as_bytes(), policy=policy.default)):
        with pytest.raises(MessageError) as caught:
            envelope_of(mail)
        assert to[:12] in caught.value.message and caught.value.message.startswith("To: ")
    if "A:" not in to:
        with pytest.raises(MessageError):
            content_of(new)


RFC_5322_APPENDIX_A = [
    (
        b"From: John Doe <jdoe@machine.example>\nSender: Michael Jones <mjones@machine.example>\n"
        b"To: Mary Smith <mary@example.net>",
        "mjones@machine.example mary@example.net",
    ),
    (
        b'From: "Joe Q. Public" <john.q.public@example.com>\n'
        b"To: Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>\n"
        b'Cc: <boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
        "john.q.public@example.com mary@x.test jdoe@example.org one@y.test boss@nil.test sysservices@example.net",
    ),
    (
        b"From: Pete <pete@silly.example>\nTo: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;\n"
        b"Cc: Undisclosed recipients:;",
        "pete@silly.example c@a.test joe@where.test jdoe@one.test",
    ),
    (
        b"From: Mary Smith <mary@example.net>\nTo: John Doe <jdoe@machine.example>\n"
        b'Reply-To: "Mary Smith: Personal Account" <smith@home.example>\nSubject: Re: Saying Hello\n'
        b"In-Reply-To: <1234@local.machine.example>\nReferences: <1234@local.machine.example>",
        "mary@example.net jdoe@machine.example",
    ),
    (
        b"From: John Doe <jdoe@machine.example>\n"
        b'To: "Mary Smith: Personal Account" <smith@home.example>\nSubject: Re: Saying Hello',
        "jdoe@machine.example smith@home.example",
    ),
    (
        b"Resent-From: Mary Smith <mary@example.net>\nResent-To: Jane Brown <j-brown@other.example>\n"
        b"Resent-Date: Mon, 24 Nov 1997 14:22:01 -0800\nResent-Message-ID: <78910@example.net>\n"
        b"From: John Doe <jdoe@machine.example>\nTo: Mary Smith <mary@example.net>",
        "mary@example.net j-brown@other.example",
    ),
    (
        b"Received: from x.y.test\n  by example.net\n  via TCP\n  with ESMTP\n  id ABC12345\n"
        b"  for <mary@example.net>;  21 Nov 1997 10:05:43 -0600\n"
        b"Received: from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600\n"
        b"From: John Doe <jdoe@node.example>\nTo: Mary Smith <mary@example.net>",
        "jdoe@node.example mary@example.net",
    ),
    (
        b"From: John Doe <jdoe@machine.example>\nTo: Mary Smith <mary@example.net>\nDate: 21 Nov 97 09:55:06 GMT",
        "jdoe@machine.example mary@example.net",
    ),
    (
        b"From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\nTo:A Group(Some people)\n"
        b"     :Chris Jones <c@(Chris's host.)public.example>,\n         joe@example.org,\n"
        b"  John <jdoe@one.test> (my dear friend); (the end of the group)\n"
        b"Cc:(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
        "pete@silly.test c@public.example joe@example.org jdoe@one.test",
    ),
    (
        b"From: Joe Q. Public <john.q.public@example.com>\n"
        b"To: Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
        "john.q.public@example.com mary@example.net jdoe@test.example",
    ),
    (
        b"From  : John Doe <jdoe@machine(comment).  example>\nTo    : Mary Smith\n  \n          <mary@example.net>",
        "jdoe@machine.example mary@example.net",
    ),
]


@pytest.mark.parametrize(("head", "found"), RFC_5322_APPENDIX_A)
def test_the_examples_of_rfc_5322(head: bytes, found: str) -> None:
    raw = head + b"\nSubject: x\n\nx\n"
    for form in (raw, message_from_bytes(raw), message_from_bytes(raw, policy=policy.default)):
        if b"  :" in head[:10] and form is not raw:  # the standard library's parser does not read so far
            with pytest.raises(MessageError, match="not a field"):
                envelope_of(form)
            continue
        assert [str(envelope_of(form).sender), *recipients(form)] == found.split()
        assert octets(form).endswith(b"\r\n\r\nx\r\n")


PIECES = [b"Bcc", b"bCC", b"Resent-", b"X", b"\xe9", b":", b" ", b"\t", b"\r", b"\n", b"\r\n", b"c@x.org"]


def test_what_the_standard_library_s_writer_fails_on_is_a_message_error() -> None:
    """And not an error of its own."""
    mails: list[Any] = [MIMEMultipart(), MIMEText("x"), MIMEMultipart()]
    mails[0].attach("no part")
    mails[1]["Subject"] = Header("a\nBcc: eve@x.org")
    mails[2].attach(MIMEMultipart())
    mails[2].get_payload()[0].attach(b"no part")
    for mail in mails:
        mail["From"], mail["To"] = "a@x.org", "b@x.org"
        with pytest.raises(MessageError, match=r"holds messages, and here it has (str|bytes)|Subject.*line end"):
            content_of(mail)


def test_a_space_before_a_colon_is_not_sent() -> None:
    """For Python's parser it ends the header section."""
    raw = b"From: a@x.org\r\nTo\t : b@x.org,\r\n c : d\r\nSubject : x : y\r\n\r\nText : x\r\n"
    assert octets(raw) == raw.replace(b"To\t :", b"To:").replace(b"Subject :", b"Subject:")
    signed = b"DKIM-Signature: v=1\r\n" + raw
    assert octets(signed) == signed, "what is signed is not changed"


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
@example(b"X: y\rBcc: c@x.org\r\n c@x.org\n\nBcc: text")
@example(b"BCC: c@x.org")
@example(b"X: y\nno field\nBcc: c@x.org")
@example(b"X : y\n\tX : y\nX\t:")
def test_octets_are_what_they_are_line_by_line(raw: bytes) -> None:
    is_start_missing = re.match(rb"(?=\s)\s*(resent-)?bcc[ \t]*:", raw, re.IGNORECASE)
    assume(not is_start_missing)
    lines = re.split(b"\r\n|\r|\n", raw)
    lines = lines if lines[-1] else lines[:-1]
    kept, in_head, in_bcc, has_bcc, is_clear, in_field = [], True, False, False, True, False
    for line in lines:
        in_head = in_head and line != b""
        in_field = bool(re.match(rb"[!-9;-~]+[ \t]*:", line) or (in_field and line[:1] in b" \t"))
        is_clear &= in_field or not in_head
        in_bcc = in_head and (in_bcc if line[:1] in b" \t" else bool(re.match(rb"(?i:(resent-)?bcc)[ \t]*:", line)))
        has_bcc |= in_bcc or (in_head and re.match(rb"(?i:[ \t]*(resent-)?bcc)[ \t]*:", line) is not None)
        if in_head:
            line = re.sub(rb"^([!-9;-~]+)[ \t]+:", rb"\1:", line)
        kept += [] if in_bcc else [line + b"\r\n"]
    if has_bcc and not is_clear:
        with pytest.raises(MessageError, match="not a field"):
            content_of(raw)
        return
    content = content_of(raw)
    assert octets(raw) == b"".join(kept) and content.size == len(octets(raw))


@pytest.mark.parametrize("name", ["To", "Cc", "Bcc", "Reply-To"])
def test_nor_is_it_in_the_newer_kind_of_message(name: str) -> None:
    """There the standard library writes "None"."""
    mail: Any = EmailMessage()
    mail["From"] = "a@x.org"
    mail["Cc" if name == "To" else "To"] = "b@x.org"
    mail[name] = None
    mail.set_content("None")
    assert [str(address) for address in envelope_of(mail).recipients] == ["b@x.org"]
    assert octets(mail).count(b"None") == 1 and f"{name}:".encode() not in octets(mail)


def test_a_list_of_texts_is_a_list_of_addresses() -> None:
    mail: Any = EmailMessage()
    mail["From"] = ["Jörg <a@x.org>"]
    mail["To"] = ("b@x.org", '"Doe, J" <c@x.org>', Address("D", "d", "x.org"))
    mail["Bcc"] = iter(["e@x.org", "Team: f@x.org;"])
    mail.set_content("x")
    assert [str(address) for address in envelope_of(mail).recipients] == [f"{name}@x.org" for name in "bcdef"]
    assert b'To: b@x.org, "Doe, J" <c@x.org>, D <d@x.org>\r\n' in octets(mail)
    for wrong in (["b@x.org", None], [("Bob", "b@x.org")], ["b@x.org\nBcc: eve@x.org"], ["b@x.org c@x.org"], [5]):
        del mail["To"]
        try:
            mail["To"] = wrong
        except (TypeError, ValueError):
            continue
        for ask in (envelope_of, content_of):
            with pytest.raises(MessageError, match="To"):
                ask(mail)


@pytest.mark.parametrize("name", ["Subject", "To", "Cc", "Bcc", "Sender", "Reply-To", "X-A"])
def test_a_field_that_was_set_to_none_is_not_there(name: str) -> None:
    """It reads so, and the standard library's client skips its recipients."""
    mail: Any = MIMEText("x")
    mail["From"] = "a@x.org"
    mail["Cc" if name == "To" else "To"] = "b@x.org"
    mail[name] = None
    assert [str(address) for address in envelope_of(mail).recipients] == ["b@x.org"]
    assert str(envelope_of(mail).sender) == "a@x.org"
    assert b"None" not in octets(mail) and f"\n{name}:".encode() not in octets(mail)
    assert mail[name] is None and name in mail


@pytest.mark.parametrize("name", ["To", "Cc", "From"])
def test_octets_that_are_no_utf8_are_told_in_plain_words(name: str) -> None:
    head = {"From": b"a@x.org", "To": b"b@x.org", name: b"Bjorn <c\xf6@x.org>"}
    raw = b"".join(b"%s: %s\r\n" % (field.encode(), value) for field, value in head.items())
    for message in (raw, message_from_bytes(raw)):
        with pytest.raises(MessageError, match=f"{name}: has octets that are neither ASCII nor UTF-8"):
            envelope_of(message)


@pytest.mark.parametrize(
    ("package", "advice"),
    [
        ("django.core.mail.message", r"mail\.message\(\), sender=mail\.from_email"),
        ("flask_mail", r"mail\.as_bytes\(\)"),
    ],
)
def test_the_message_of_a_framework_is_told_how_it_is_sent(package: str, advice: str) -> None:
    """Its class may have the name of one that is taken."""
    thing: Any = type("EmailMessage", (), {"__module__": package})()
    for ask in (content_of, envelope_of):
        with pytest.raises(MessageError, match=rf"not {package}\.EmailMessage\. .*{advice}"):
            ask(thing)


def test_what_is_advised_for_a_message_of_django_keeps_its_bcc(smtp_server: SMTPServer) -> None:
    pytest.importorskip("django")
    configure()
    mail = pytest.importorskip("django.core.mail").EmailMultiAlternatives(
        "Grüße", "Hallo\n", "Ann Ä <a@x.org>", ["Bob Ö <b@x.org>"], bcc=["c@x.org"], cc=["d@x.org"]
    )
    with SMTPSession(smtp_server.host, smtp_server.port) as session:
        session.send(mail.message(), sender=mail.from_email, recipients=mail.recipients())
    [received] = smtp_server.messages
    assert received.sender == "a@x.org" and set(received.recipients) == {"b@x.org", "c@x.org", "d@x.org"}
    assert received.header("Bcc") is None and received.header("Subject") == "Grüße"


def test_several_messages_are_for_send_many() -> None:
    with pytest.raises(MessageError, match="send_many and send_all take several messages"):
        content_of([b"From: a@x.org\r\n\r\n"])  # type: ignore[arg-type]


@pytest.mark.parametrize("thing", ["From: a@x.org\n\nx", None, 5, ["x"]])
def test_nothing_else_is_a_message(thing: Any) -> None:
    for ask in (content_of, envelope_of):
        with pytest.raises(MessageError, match="a Message, an EmailMessage or bytes"):
            ask(thing)
