"""What a session knows for every message, and messages that are given as their fields."""

from __future__ import annotations

from email import message_from_string
from email.message import EmailMessage
from email.mime.text import MIMEText
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp import AsyncSMTPSession, ConfigError, Message, MessageError, SessionConfig, SMTPSession, Status
from wlsmtp.testing import ReceivedMessage, SMTPServer

DEFAULTS: dict[str, Any] = {
    "sender": "Shop <shop@example.com>",
    "reply_to": ["office@example.com", ("Lee, Cy", "cy@example.com")],
    "headers": {"X-Shop": "wlsmtp", "List-Id": "News <news.example.com>"},
}
HELLO: dict[str, Any] = {"to": "bob@example.org", "subject": "Hi", "text": "Hello"}


def sent(world: World, *items: Any, mode: str = "sync", **settings: Any) -> list[ReceivedMessage]:
    with SMTPServer() as server, world.session(server.host, server.port, mode=mode, **settings) as session:
        for item in items:
            receipt = session.send(**item) if isinstance(item, dict) else session.send(item)
            assert session.wait(receipt).status is Status.SENT
    return list(server.messages)


class TestDefaults:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    @pytest.mark.parametrize("many", [False, True])
    def test_a_message_gets_what_it_does_not_say(self, world: World, mode: str, many: bool) -> None:
        message = Message(**HELLO)
        with SMTPServer() as server, world.session(server.host, server.port, mode=mode, **DEFAULTS) as session:
            [receipt] = session.send_all([message]) if many else [session.send(message)]
            assert session.wait(receipt)
        [found] = server.messages
        assert found.sender == "shop@example.com" and found.header("From") == "Shop <shop@example.com>"
        assert found.header("Reply-To") == 'office@example.com, "Lee, Cy" <cy@example.com>'
        assert found.header("X-Shop") == "wlsmtp" and found.header("List-Id") == "News <news.example.com>"
        assert found.header("Message-ID") == receipt.message_id and receipt.message_id is not None
        assert receipt.message_id.endswith("@example.com>")

    def test_what_it_says_itself_counts(self, world: World) -> None:
        message = Message("ann@example.net", **HELLO, reply_to="ann@example.net", headers={"x-shop": "mine"})
        [found] = sent(world, message, **DEFAULTS)
        assert found.sender == "ann@example.net" and found.header("From") == "ann@example.net"
        assert found.header("Reply-To") == "ann@example.net" and found.email.get_all("X-Shop") == ["mine"]
        assert found.header("Message-ID") == message.message_id

    def test_the_same_message_is_the_same_octets(self, world: World) -> None:
        message = Message(**HELLO)
        first, second = sent(world, message, message, **DEFAULTS)
        assert first.header("Message-ID") == second.header("Message-ID")
        assert not message.has_sender and "shop" not in repr(message) and "sender of the session" in message.preview()

    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_messages_of_the_standard_library_get_them_too(self, world: World, mode: str) -> None:
        email, old = EmailMessage(), MIMEText("Grüße")
        for message in (email, old):
            message["To"], message["Subject"] = "bob@example.org", "Hi"
        email["Reply-To"] = None
        parsed = message_from_string("To: bob@example.org\nSubject: Hi\n\nHello\n")
        before = [str(email), str(old), str(parsed)]
        more = {"headers": {**DEFAULTS["headers"], "X-Two": ["1", "2"], "X-Long": ("Grüße " * 40).strip()}}
        for found in sent(world, email, old, parsed, mode=mode, **DEFAULTS | more):
            assert found.header("From") == "Shop <shop@example.com>"
            assert found.email.get_all("Reply-To") == ['office@example.com, "Lee, Cy" <cy@example.com>']
            assert found.header("X-Shop") == "wlsmtp" and found.header("List-Id") == "News <news.example.com>"
            assert found.email.get_all("X-Two") == ["1", "2"] and found.header("X-Long") == ("Grüße " * 40).strip()
        assert before == [str(email), str(old), str(parsed)], "the objects stay as they were"

    def test_but_what_they_say_themselves_counts(self, world: World) -> None:
        email = EmailMessage()
        email["From"], email["To"], email["reply-to"] = "ann@example.net", "bob@example.org", "ann@example.net"
        email["x-shop"] = "mine"
        [found] = sent(world, email, **DEFAULTS)
        assert found.email.get_all("Reply-To") == ["ann@example.net"] and found.email.get_all("X-Shop") == ["mine"]
        assert found.header("List-Id") == "News <news.example.com>" and found.sender == "ann@example.net"

    @pytest.mark.parametrize(
        "fields",
        [
            "DKIM-Signature: v=1\n",
            "Content-Type: multipart/signed; boundary=x\n",
            "Received: from a.example.net by b.example.net; Sun, 29 Nov 2026 10:30:00 +0100\n",
            "Resent-From: cy@example.net\nResent-To: dan@example.net\n",
        ],
    )
    def test_what_is_signed_or_may_be_of_another_sender_stays_as_it_is(self, world: World, fields: str) -> None:
        text = f"From: ann@example.net\nTo: bob@example.org\n{fields}\nHello\n"
        [found] = sent(world, message_from_string(text), **DEFAULTS)
        assert found.header("X-Shop") is None and found.header("Reply-To") is None

    def test_octets_are_sent_as_they_are(self, world: World) -> None:
        [found] = sent(world, b"From: ann@example.net\nTo: bob@example.org\n\nHello\n", **DEFAULTS)
        assert found.content == b"From: ann@example.net\r\nTo: bob@example.org\r\n\r\nHello\r\n"

    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_but_gets_a_from_field_if_it_has_none(self, world: World, mode: str) -> None:
        email, old = EmailMessage(), MIMEText("Grüße")
        for message in (email, old):
            message["To"], message["Bcc"] = "bob@example.org", "cy@example.net"
        email["From"] = None
        email.set_content("Hello")
        parsed = message_from_string("To: bob@example.org\nBcc: cy@example.net\n\nHello\n")
        raw = [b"To: bob@example.org\r\nbcc: cy@example.net\r\n\r\nHello\r\n", parsed.as_bytes()]
        before = [str(email), str(old), str(parsed)]
        given = {"sender": ("Schäfer, Jörg", "joerg@example.com")}
        for found in sent(world, email, old, parsed, *raw, bytearray(raw[0]), memoryview(raw[1]), mode=mode, **given):
            assert found.sender == "joerg@example.com" and found.recipients == ("bob@example.org", "cy@example.net")
            assert found.email.get_all("From") == ['"Schäfer, Jörg" <joerg@example.com>']
            assert found.header("Bcc") is None
        assert before == [str(email), str(old), str(parsed)], "the objects stay as they were"

    def test_a_from_field_without_anybody_is_refused_all_the_same(self, world: World) -> None:
        with world.session("localhost", **DEFAULTS) as session:
            for raw in (
                b"From:\r\nTo: b@x.org\r\n\r\n",
                b"\r\nTo: b@x.org\r\n\r\n",
                b"no field\r\nTo: b@x.org\r\n\r\n",
            ):
                with pytest.raises(MessageError):
                    session.send(raw)

    def test_the_rows_of_a_merge_have_them(self, world: World) -> None:
        letter = Message(subject="Hi", text="Hello")
        with SMTPServer() as server, world.session(server.host, server.port, **DEFAULTS) as session:
            assert all(
                session.send_all(letter.merge([{"to": "a@x.org"}, {"to": "b@x.org", "sender": "ann@example.net"}]))
            )
        assert {found.sender for found in server.messages} == {"shop@example.com", "ann@example.net"}

    def test_without_any_sender_nothing_is_sent(self, world: World) -> None:
        message = Message(**HELLO)
        with world.session("localhost") as session:
            for arguments in ({"message": message}, HELLO, {"message": message, "sender": "a@x.org"}):
                with pytest.raises(MessageError, match=r"no sender.*setting of the session"):
                    session.send(**arguments)
            [receipt] = session.send_all([message])
            assert isinstance(receipt.error, MessageError)
        for name in ("envelope", "render", "as_bytes"):
            with pytest.raises(MessageError, match="no sender"):
                getattr(message, name)()
        assert message.but(sender="ann@example.com").envelope().sender is not None
        assert message.but(text="other").has_sender is False

    def test_they_may_come_from_the_environment_or_a_url(self) -> None:
        environ = {
            "WLSMTP_SERVER": "localhost",
            "WLSMTP_SENDER": "ann@example.com",
            "WLSMTP_REPLY_TO": "cy@example.com",
        }
        config = SessionConfig.from_env(environ)
        assert (config.sender, config.reply_to) == ("ann@example.com", "cy@example.com")
        assert SMTPSession.from_url("smtp://localhost?sender=ann%40example.com").config.sender == "ann@example.com"

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"sender": "nobody"}, "sender: 'nobody' is not an email address"),
            ({"sender": ["a@x.org", "b@x.org"]}, "sender: must be a string"),
            ({"sender": ("a@x.org", "b@x.org", "c@x.org")}, "sender: must be a string"),
            ({"sender": ("Ann\r\nBcc: eve@x.org", "a@x.org")}, "sender: .*control character"),
            ({"sender": ("Ann", "a@x.org> <eve@x.org")}, "sender: .*more than one address"),
            ({"reply_to": [("Ann", "a@x.org"), ("Cy", "cy")]}, "reply_to: .*has no @"),
            ({"reply_to": "a@x.org, b@x.org"}, "reply_to: .*list"),
            ({"headers": {"X-A": "a\r\nBcc: eve@x.org"}}, "headers: X-A: .*control character"),
            ({"headers": {"From": "eve@x.org"}}, "headers: From cannot be given here; use sender="),
            ({"headers": "X-A: b"}, "headers: must be a dictionary"),
        ],
    )
    def test_a_wrong_one_is_told_before_anything_is_connected(self, settings: Any, words: str) -> None:
        for face in (SMTPSession, AsyncSMTPSession):
            with pytest.raises(ConfigError, match=words):
                face("localhost", **settings)


class TestFields:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_a_message_may_be_given_as_its_fields(self, world: World, mode: str) -> None:
        item = {
            **HELLO, "sender": ("Ann", "ann@example.com"), "cc": "cy@example.net", "bcc": ["dan@example.net"],
            "html": "<p>Hello", "attachments": [("a.txt", "text")], "headers": {"X-A": "1"}, "timeout": 20,
        }  # fmt: skip
        [found] = sent(world, item, mode=mode)
        assert found.sender == "ann@example.com" and found.header("From") == "Ann <ann@example.com>"
        assert found.recipients == ("bob@example.org", "cy@example.net", "dan@example.net")
        assert found.header("X-A") == "1" and found.header("Bcc") is None
        assert [part.get_filename() for part in found.email.iter_attachments()] == ["a.txt"]

    def test_the_session_may_know_the_sender(self, world: World) -> None:
        [found] = sent(world, HELLO, sender="shop@example.com")
        assert found.sender == "shop@example.com" and found.header("Subject") == "Hi"

    def test_the_envelope_may_go_elsewhere(self, world: World) -> None:
        [found] = sent(world, {**HELLO, "sender": "ann@example.com", "recipients": "other@example.net"})
        assert found.recipients == ("other@example.net",) and found.header("To") == "bob@example.org"

    @pytest.mark.parametrize(
        ("arguments", "fields", "kind", "words"),
        [
            ((Message("ann@example.com", **HELLO),), {"subject": "New", "text": "x"}, MessageError,
             r"a message or the fields of one, not both: subject, text\. Use send\(message\.but\(subject=…, text=…"),
            ((b"From: a@x.org\r\nTo: b@x.org\r\n\r\n",), {"to": "eve@x.org"}, MessageError, "not both: to"),
            (("bob@example.org",), {"subject": "Hi"}, MessageError, "not both: subject"),
            ((), {}, MessageError, r"nothing to send.*send\(to=…"),
            ((None,), {}, MessageError, "nothing to send"),
            ((), {"sender": "a@x.org"}, MessageError, "nothing to send"),
            ((), {**HELLO, "subjet": "x"}, TypeError, "unexpected keyword argument 'subjet'; did you mean 'subject'"),
            ((Message("ann@example.com", **HELLO),), {"nonsense": 1}, TypeError, "keyword argument 'nonsense'"),
            ((), {**HELLO, "sender": "a@x.org", "subject": "a\r\nBcc: eve@x.org"}, MessageError, "subject: .*control"),
            ((), {"sender": "a@x.org", "subject": "Hi"}, MessageError, "no recipient"),
        ],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused_before_anything_is_sent(
        self, world: World, arguments: Any, fields: Any, kind: type[Exception], words: str
    ) -> None:
        with SMTPServer() as server:
            with world.session(server.host, server.port) as session, pytest.raises(kind, match=words):
                session.send(*arguments, **fields)
            assert server.connections == 0
