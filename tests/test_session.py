"""What a session promises, in both worlds, against the embedded server on a real socket."""

from __future__ import annotations

import copy
import json
import pickle
import socket
import threading
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.worlds import Session, World
from wlsmtp import Envelope, MemoryTransport, Message, Receipt, RetryPolicy, SMTPSession, Status
from wlsmtp.events import Line, listener
from wlsmtp.testing import SMTPServer

AT_ONCE = RetryPolicy(backoff=0, jitter=0)
NO_RETRY = RetryPolicy(attempts=1)


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "subject": "Hi", "text": "Hello", **fields})


def receipt_of(error: wlsmtp.SMTPError) -> Receipt:
    assert error.receipt is not None
    return error.receipt


def session_to(world: World, server: SMTPServer, **options: Any) -> Any:
    return world.session(server.host, server.port, **{"retry": NO_RETRY, **options})


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class TestSend:
    def test_gives_a_receipt_with_the_servers_words(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            receipt = session.send(message())
        assert receipt.status is Status.SENT and receipt
        assert [result.address for result in receipt.accepted] == ["bob@example.org"]
        assert receipt.reply.code == 250 and receipt.queue_id
        assert receipt.message_id == server.messages[0].header("Message-ID")
        assert receipt.attempts == 1 and receipt.error is None

    def test_takes_a_stdlib_message_and_bytes_as_they_are(self, world: World) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Bcc"], mail["Subject"] = "a@example.com", "b@example.com", "c@example.com", "S"
        mail.set_content("text\n.\ndot\n")
        raw = b"From: a@example.com\r\nTo: b@example.com\r\n\r\n.\r\n..\r\nno newline at the end"
        with SMTPServer() as server, session_to(world, server) as session:
            session.send(mail)
            session.send(raw)
        first, second = server.messages
        assert set(first.recipients) == {"b@example.com", "c@example.com"}
        assert b"c@example.com" not in first.content
        assert second.content == raw + b"\r\n"

    def test_sender_and_recipients_override_the_headers(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            session.send(message(), sender="bounces@example.com", recipients=["x@example.com", "y@example.com"])
            session.send(message(), recipients="z@example.com")
            session.send(message(), sender="")
        assert [(mail.sender, mail.recipients) for mail in server.messages] == [
            ("bounces@example.com", ("x@example.com", "y@example.com")),
            ("ann@example.com", ("z@example.com",)),
            ("", ("bob@example.org",)),
        ]

    def test_uses_one_connection_for_many_messages(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            for _ in range(5):
                session.send(message())
            assert server.connections == 1

    @pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "8BITMIME", "SMTPUTF8")])
    def test_works_whatever_the_server_offers(self, world: World, extensions: tuple[str, ...]) -> None:
        with SMTPServer(extensions=extensions) as server, session_to(world, server) as session:
            receipt = session.send(message(to=[f"r{number}@example.com" for number in range(600)], text="é " * 200_000))
        assert receipt.status is Status.SENT and len(receipt.accepted) == 600
        assert server.messages[0].email.get_content().strip() == ("é " * 200_000).strip()

    def test_falls_back_to_helo(self, world: World) -> None:
        with SMTPServer(ehlo=False) as server, session_to(world, server) as session:
            assert session.send(message())

    def test_speaks_over_a_unix_socket(self, world: World, tmp_path: Any) -> None:
        path = str(tmp_path / "smtp.sock")
        with SMTPServer(unix_path=path) as server, world.session(path) as session:
            assert session.send(message())
            assert len(server.messages) == 1

    def test_speaks_over_ipv6(self, world: World) -> None:
        if not _has_ipv6():
            pytest.skip("this machine has no IPv6 loopback")
        with SMTPServer(host="::1") as server, world.from_url(server.url) as session:
            assert session.send(message())
        assert (1, "C", b"EHLO [IPv6:::1]") in server.transcript

    def test_needs_smtputf8_only_for_such_addresses(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            session.send(message(to="bob@bücher.example", subject="Füße"))
            session.send(message(to="jörg@bücher.example"))
        plain, special = server.messages
        assert plain.recipients == ("bob@xn--bcher-kva.example",) and "SMTPUTF8" not in plain.mail_parameters
        assert "SMTPUTF8" in special.mail_parameters

    def test_custom_transports_take_the_place_of_smtp(self, world: World) -> None:
        transport = MemoryTransport()
        with world.session("nowhere.invalid", transport=transport) as session:
            assert session.send(message())
        assert transport.messages[0].recipients == ("bob@example.org",)


class TestRefusals:
    def test_some_recipients_refused_is_a_partial_receipt(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            server.refuse("no@example.com", "550 5.1.1 No such user")
            receipt = session.send(message(to=["yes@example.com", "no@example.com"]))
        assert receipt.status is Status.PARTIAL and not receipt
        assert str(receipt.refused[0].reply.enhanced) == "5.1.1"
        assert server.messages[0].recipients == ("yes@example.com",)

    def test_all_or_nothing_delivers_to_nobody_then(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server, partial="abort") as session:
            server.refuse("no@example.com")
            with pytest.raises(wlsmtp.RecipientsRefused) as caught:
                session.send(message(to=["yes@example.com", "no@example.com"]))
            assert receipt_of(caught.value).status is Status.ERROR
            assert session.send(message(to="yes@example.com"))
            assert len(server.messages) == 1

    @pytest.mark.parametrize("extensions", [(), ("PIPELINING",)], ids=["one by one", "pipelined"])
    @pytest.mark.parametrize(
        ("stage", "reply", "error"),
        [
            ("MAIL", "550 5.7.1 Not you", wlsmtp.SenderRefused),
            ("MAIL", "451 4.3.0 Later", wlsmtp.SenderRefused),
            ("RCPT", "550 5.1.1 Unknown", wlsmtp.RecipientsRefused),
            ("RCPT", "450 4.2.0 Greylisted", wlsmtp.RecipientsRefused),
            ("DATA", "554 5.5.1 No", wlsmtp.ContentRefused),
            (".", "554 5.6.0 Spam", wlsmtp.ContentRefused),
            (".", "452 4.3.1 Disk full", wlsmtp.ContentRefused),
        ],
    )
    def test_a_refusal_is_told_and_the_next_message_goes_through(
        self, world: World, extensions: tuple[str, ...], stage: str, reply: str, error: type[wlsmtp.SMTPError]
    ) -> None:
        with SMTPServer(extensions=extensions) as server, session_to(world, server) as session:
            server.reply_to(stage, reply, times=1)
            with pytest.raises(error) as caught:
                session.send(message())
            assert str(caught.value.reply).startswith(reply[:9])
            assert caught.value.temporary is reply.startswith("4") and not caught.value.ambiguous
            assert receipt_of(caught.value).status is Status.ERROR
            assert session.send(message())
            assert len(server.messages) == 1 and server.connections == 1

    def test_what_is_refused_for_now_is_sent_at_the_next_try(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server, retry=AT_ONCE) as session:
            server.reply_to("RCPT", "450 4.2.0 Greylisted", times=1)
            receipt = session.send(message(to=["a@example.com", "b@example.com"]))
        assert receipt.status is Status.SENT and receipt.attempts == 2
        assert [mail.recipients for mail in server.messages] == [("b@example.com",), ("a@example.com",)]


class TestLostConnections:
    @pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
    def test_lost_before_the_end_is_not_sent_and_tried_again(self, world: World, stage: str) -> None:
        with SMTPServer(extensions=["PIPELINING"]) as server, session_to(world, server, retry=AT_ONCE) as session:
            server.reply_to(stage, server.CLOSE, times=1)
            assert session.send(message()).attempts == 2
            assert len(server.messages) == 1

    def test_with_chunking_the_end_went_before_any_answer(self, world: World) -> None:
        """Once the server was seen to swallow refused chunks: with the second message."""
        with SMTPServer() as server, session_to(world, server, retry=AT_ONCE) as session:
            assert session.send(message()) and session.send(message())
            server.reply_to("MAIL", server.CLOSE, times=1)
            with pytest.raises(wlsmtp.OutcomeUnknown):
                session.send(message())

    def test_the_content_of_a_first_message_waits_for_the_answers_to_its_envelope(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server, retry=AT_ONCE) as session:
            server.reply_to("MAIL", server.CLOSE, times=1)
            assert session.send(message()).attempts == 2

    def test_lost_after_the_end_is_unknown_and_never_tried_again(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server, retry=AT_ONCE) as session:
            server.reply_to(".", server.CLOSE, times=1)
            with pytest.raises(wlsmtp.OutcomeUnknown) as caught:
                session.send(message())
            assert caught.value.ambiguous and receipt_of(caught.value).status is Status.UNKNOWN
            assert receipt_of(caught.value).attempts == 1
            assert session.send(message())

    def test_an_idle_connection_that_died_is_replaced_silently(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            session.send(message())
            server.drop_connections()
            assert session.send(message()).attempts == 1
            assert server.connections == 2

    def test_silence_ends_at_the_deadline_and_the_next_send_works(self, world: World) -> None:
        plain = SMTPServer(extensions=["PIPELINING"])
        with plain as server, session_to(world, server, timeout=0.2) as session:
            server.reply_to("MAIL", server.SILENCE, times=1)
            with pytest.raises(wlsmtp.DeadlineExceeded) as caught:
                session.send(message())
            assert caught.value.stage is wlsmtp.Stage.RCPT or caught.value.stage is wlsmtp.Stage.MAIL
            assert session.send(message(), timeout=30)

    def test_a_closed_session_says_so_and_can_be_opened_again(self, world: World) -> None:
        with SMTPServer() as server:
            session = session_to(world, server)
            session.open()
            session.close()
            with pytest.raises(wlsmtp.ConnectionFailed, match="closed"):
                session.send(message())
            session.open()
            assert session.send(message())
            session.close()

    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_a_with_statement_opens_a_closed_session_again(self, world: World, mode: str) -> None:
        async def each_time(face: wlsmtp.AsyncSMTPSession) -> None:
            for _ in range(3):
                async with face:
                    await face.send(message())

        with SMTPServer() as server:
            face = session_to(world, server, mode=mode).face
            if isinstance(face, SMTPSession):
                for _ in range(3):
                    with face:
                        face.send(message())
            else:
                world.run(each_time(face))
            assert len(server.messages) == server.connections == 3


class TestCopies:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda face: pickle.loads(pickle.dumps(face))])
    def test_a_copy_has_the_settings_and_nothing_else(self, world: World, mode: str, copied: Any) -> None:
        with (
            SMTPServer(users={"ann": "secret"}) as server,
            session_to(world, server, mode=mode, username="ann", password="secret") as session,
        ):
            receipt = session.send(message())
            other = Session(copied(session.face), world.run)
            assert type(other.face) is type(session.face) and other.face.config == session.face.config
            assert other.statistics().connections_opened == other.statistics().sent == 0
            if mode == "async":
                with pytest.raises(wlsmtp.NotInOutbox):
                    other.status(receipt.id)
            other.send(message())
            other.close()
        assert len(server.messages) == server.connections == 2

    def test_an_outbox_is_copied_without_its_mail(self, world: World, tmp_path: Path) -> None:
        for outbox in (wlsmtp.MemoryOutbox(keep=7.0), wlsmtp.SQLiteOutbox(tmp_path / "outbox.db", lease=7.0, keep=7.0)):
            with world.session("localhost", mode="async", outbox=outbox, outbox_worker=False) as session:
                session.send(message(), send_at=3600)
                other = pickle.loads(pickle.dumps(outbox))
                assert (other.lease, other.keep) == (outbox.lease, 7.0)
                if isinstance(other, wlsmtp.MemoryOutbox):
                    with world.session("localhost", mode="async", outbox=other) as another:
                        assert another.pending() == []
                session.cancel(session.pending()[0].id)


class TestSendMany:
    def test_yields_receipts_in_order_and_goes_on_after_a_refusal(self, world: World) -> None:
        items = [
            message(to="a@example.com"),
            message(to="no@example.com"),
            b"no headers at all",
            (b"Subject: raw\r\n\r\nx", Envelope("ann@example.com", ["b@example.com"])),
        ]
        with SMTPServer() as server, session_to(world, server) as session:
            server.refuse("no@example.com")
            receipts: list[Receipt] = list(session.send_many(items))
        assert [receipt.status for receipt in receipts] == [Status.SENT, Status.ERROR, Status.ERROR, Status.SENT]
        assert isinstance(receipts[1].error, wlsmtp.RecipientsRefused)
        assert isinstance(receipts[2].error, wlsmtp.MessageError)

    def test_reads_no_more_of_its_input_than_the_window_takes(self, world: World) -> None:
        taken = []

        def endless() -> Any:
            while True:
                taken.append(1)
                yield message()

        with SMTPServer() as server, session_to(world, server) as session:
            receipts = session.send_many(endless())
            for _ in range(300):
                next(receipts)
            assert len(taken) <= 300 + 2 * wlsmtp.Pipelining().max_in_flight

    def test_what_concerns_all_is_raised(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server) as session:
            server.reply_to("CONNECT", "554 5.7.1 Not from there")
            with pytest.raises(wlsmtp.CommandRefused) as caught:
                list(session.send_many([message(), message()]))
            assert receipt_of(caught.value).status is Status.ERROR
            assert server.connections == 1


class TestSecurity:
    @pytest.mark.parametrize("security", ["tls", "ssl"])
    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
    def test_secures_and_logs_in(self, world: World, security: str, mechanism: str) -> None:
        login = {"username": "ann", "password": "pä55"}
        with SMTPServer(security=security, users={"ann": "pä55"}, mechanisms=[mechanism], require_auth=True) as server:
            tls = wlsmtp.TLS(ca_file=server.ca_file)
            with session_to(world, server, security=security, tls=tls, **login) as session:
                info = session.verify()
                assert info.username == "ann" and info.tls.protocol.startswith("TLSv1.")
                plain = json.loads(json.dumps(info.as_dict()))
                assert (
                    plain["extensions"]["AUTH"] == [mechanism] and plain["tls"]["fingerprint"] == info.tls.fingerprint
                )
                assert copy.deepcopy(info) == pickle.loads(pickle.dumps(info)) == info
                session.send(message())
        assert server.messages[0].username == "ann" and server.messages[0].tls

    @pytest.mark.parametrize("provider", ["static", "callable"])
    def test_logs_in_with_a_token(self, world: World, provider: str) -> None:
        token = "t0ken" if provider == "static" else lambda: "t0ken"
        with (
            SMTPServer(tokens={"ann": "t0ken"}, mechanisms=["XOAUTH2"]) as server,
            session_to(world, server, username="ann", token=token) as session,
        ):
            assert session.verify().username == "ann"

    def test_an_async_token_provider_is_awaited_or_refused(self, world: World) -> None:
        async def provider() -> str:
            return "t0ken"

        with (
            SMTPServer(tokens={"ann": "t0ken"}, mechanisms=["XOAUTH2"]) as server,
            session_to(world, server, username="ann", token=provider) as session,
        ):
            if world.name == "asyncio":
                assert session.verify().username == "ann"
            else:
                with pytest.raises(wlsmtp.ConfigError, match="AsyncSMTPSession"):
                    session.verify()

    def test_default_upgrades_when_tls_is_offered_and_never_unverified(self, world: World) -> None:
        with SMTPServer(security="tls") as server:
            with session_to(world, server, tls=wlsmtp.TLS(ca_file=server.ca_file)) as session:
                assert session.verify().tls is not None
            with session_to(world, server) as session, pytest.raises(wlsmtp.TLSError, match="ca_file"):
                session.verify()
            with session_to(world, server, opportunistic_tls=False) as session:
                assert session.verify().tls is None

    def test_a_pinned_certificate_needs_no_authority(self, world: World) -> None:
        with SMTPServer(security="ssl") as server:
            with session_to(world, server, security="ssl", tls=wlsmtp.TLS(verify=False)) as session:
                seen = session.verify().tls.fingerprint
            with session_to(world, server, security="ssl", tls=wlsmtp.TLS(fingerprint=seen)) as session:
                assert session.verify().tls
            wrong = wlsmtp.TLS(fingerprint="00" * 32)
            with (
                session_to(world, server, security="ssl", tls=wrong) as session,
                pytest.raises(wlsmtp.TLSError, match="pinned"),
            ):
                session.verify()

    def test_optional_authentication_goes_on_without(self, world: World) -> None:
        with SMTPServer() as server, session_to(world, server, username="a", password="b", auth="optional") as session:
            assert session.verify().username is None


def test_threads_share_a_session() -> None:
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
        receipts: list[Receipt] = []

        def work() -> None:
            receipts.extend(session.send(message()) for _ in range(10))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(receipts) == 80 and all(receipts)
        assert len({mail.header("Message-ID") for mail in server.messages}) == 80
        assert server.connections <= 4


def test_tasks_share_a_session_and_a_cancelled_one_harms_nobody() -> None:
    import asyncio

    async def main(server: SMTPServer) -> None:
        lines: list[str] = []
        listeners = (listener(Line)(lambda event: lines.append(event.text)),)
        async with wlsmtp.AsyncSMTPSession(server.host, server.port, retry=NO_RETRY, listeners=listeners) as session:
            server.reply_to(".", server.SILENCE, times=1)
            stuck = asyncio.create_task(session.send(message()))
            while not any("octets" in line for line in lines):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            stuck.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stuck
            receipts = await asyncio.gather(*(session.send(message()) for _ in range(40)))
            assert all(receipts)

    with SMTPServer() as server:
        asyncio.run(main(server))
        assert len(server.messages) == 40
