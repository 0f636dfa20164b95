"""What mode ``async`` promises, in both worlds and with every outbox, against the embedded server on a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
import wlsmtp.events
from tests.outbox.stores import KINDS, url_of
from tests.worlds import World
from wlsmtp import DSN, DeliveryOptions, Envelope, Message, Receipt, RecipientStatus, RetryPolicy, Status
from wlsmtp.testing import CLOSE, SILENCE, SMTPServer

AT_ONCE = RetryPolicy(attempts=3, backoff=0, jitter=0)
IN_AN_HOUR = RetryPolicy(attempts=3, backoff=3600, max_backoff=3600, jitter=0)


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "subject": "Hi", "text": "Hello", **fields})


@pytest.fixture(params=KINDS)
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def session_to(world: World, outbox: str) -> Callable[..., Any]:
    def make(server: SMTPServer, **options: Any) -> Any:
        return world.session(server.host, server.port, **{"mode": "async", "outbox": outbox, **options})

    return make


@pytest.fixture
def unreachable(world: World, outbox: str, closed_port: int) -> Iterator[Any]:
    """A session whose server is not there."""
    options = {"mode": "async", "outbox": outbox, "retry": IN_AN_HOUR}
    session = world.session("127.0.0.1", closed_port, **options)
    yield session
    for receipt in session.pending():
        session.cancel(receipt.id)
    session.close()


def wait_for_a_try(session: Any, id: str) -> Receipt:
    """The receipt once the mail was tried: the first flush waits for nothing that is due in an hour."""
    receipt: Receipt = session.receipt(id)
    while not receipt.attempts:
        session.flush(0.02)
        receipt = session.receipt(id)
    return receipt


class TestSend:
    def test_gives_a_pending_receipt_that_becomes_a_sent_one(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            receipt = session.send(message())
            assert receipt.status is Status.PENDING and not receipt and receipt.attempts == 0
            assert [result.status for result in receipt.recipients] == [RecipientStatus.NOT_SENT]
            final = session.wait(receipt)
            assert final.status is Status.SENT and final and final.id == receipt.id
            assert session.status(receipt.id) is Status.SENT
        assert final.queue_id and final.reply.code == 250 and final.attempts == 1 and final.error is None
        assert final.message_id == receipt.message_id == server.messages[0].header("Message-ID")
        assert final.next_attempt is None and final.elapsed >= 0

    def test_takes_what_a_session_takes(self, session_to: Any, server: SMTPServer) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Bcc"] = "a@example.com", "b@example.com", "c@example.com"
        mail.set_content("text\n.\ndot\n")
        raw = b"From: a@example.com\r\nTo: b@example.com\r\n\r\n.\r\n..\r\nno newline at the end"
        with session_to(server) as session:
            session.send(mail)
            session.send(raw)
            session.send(raw, sender="", recipients=['"a b"@example.com', "ann@bücher.example", "j@[192.0.2.1]"])
            assert session.flush() == 0
        first, second, third = server.messages
        assert set(first.recipients) == {"b@example.com", "c@example.com"} and b"c@example.com" not in first.content
        assert second.content == raw + b"\r\n"
        assert (third.sender, third.recipients) == (
            "",
            ('"a b"@example.com', "ann@xn--bcher-kva.example", "j@[192.0.2.1]"),
        )

    def test_8bit_text_is_written_anew_for_a_server_that_takes_7bit_only(self, session_to: Any) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "Füße"
        mail.set_content("Grüße", cte="8bit")
        with SMTPServer(extensions=()) as server, session_to(server) as session:
            assert session.wait(session.send(mail))
        assert server.messages[0].content.isascii()
        assert server.messages[0].email.get_content().strip() == "Grüße"

    def test_asks_the_server_for_what_the_options_say(self, session_to: Any, server: SMTPServer) -> None:
        options = DeliveryOptions(dsn=DSN(notify="failure", envid="4711"))
        with session_to(server) as session:
            assert session.wait(session.send(message(), options=options))
        assert server.messages[0].mail_parameters["ENVID"] == "4711"
        assert server.messages[0].recipient_parameters["bob@example.org"]["NOTIFY"] == "FAILURE"

    def test_what_is_wrong_is_raised_at_once_and_nothing_is_stored(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            with pytest.raises(wlsmtp.MessageError):
                session.send(b"no header at all")
            with pytest.raises(wlsmtp.MessageError):
                session.send(message(), recipients="bob@example.org\r\nRCPT TO:<eve@example.com>")
            assert session.receipts() == []

    def test_a_time_from_now_is_a_timedelta_or_seconds(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            at_once = session.send(message(), send_at=timedelta(0), expires=timedelta(hours=1))
            later, same = (session.send(message(), send_at=when) for when in (timedelta(hours=2), 7200))
            assert session.wait(at_once)
            first, second = (session.receipt(receipt.id).next_attempt for receipt in (later, same))
            assert abs(second - first) < timedelta(minutes=1) < first - datetime.now(UTC)
            assert session.cancel(later.id) and session.cancel(same.id)

    @pytest.mark.parametrize(
        "options",
        [
            {"send_at": -1},
            {"send_at": "tomorrow"},
            {"send_at": float("nan")},
            {"send_at": 1e12},
            {"send_at": 1e18},
            {"send_at": 10**400},
            {"send_at": datetime.max},
            {"send_at": timedelta(seconds=-1)},
            {"send_at": timedelta.max},
            {"send_at": datetime.min},
            {"expires": 1e300},
            {"expires": 0},
            {"expires": 10, "send_at": 20},
            {"expires": datetime(2020, 1, 1, tzinfo=UTC)},
            {"priority": 11},
            {"priority": 0.5},
            {"idempotency_key": ""},
            {"idempotency_key": 7},
            {"idempotency_key": "\ud800"},
            {"idempotency_key": "x" * 256},
        ],
        ids=ascii,
    )
    def test_a_schedule_that_cannot_be_kept_is_refused(
        self, session_to: Any, server: SMTPServer, options: dict[str, Any]
    ) -> None:
        with session_to(server) as session:
            with pytest.raises(wlsmtp.MessageError, match=next(iter(options))):
                session.send(message(), **options)
            assert session.receipts() == []

    def test_a_schedule_needs_an_outbox(self, world: World, server: SMTPServer) -> None:
        with world.session(server.host, server.port) as session:
            for options in ({"send_at": 5}, {"priority": 1}, {"expires": 9}, {"idempotency_key": "k"}):
                with pytest.raises(wlsmtp.ConfigError, match="outbox"):
                    session.send(message(), **options)
            with pytest.raises(wlsmtp.ConfigError, match="no outbox"):
                session.flush()
        assert server.messages == []

    def test_the_worker_is_counted_with_the_session(self, session_to: Any, server: SMTPServer) -> None:
        server.reply_to("MAIL", "451 4.3.0 Later", times=1)
        with session_to(server, retry=AT_ONCE) as session:
            session.wait(session.send(message()))
            counts = session.statistics()
        assert (counts.sent, counts.retries, counts.connections_opened) == (1, 1, 1)

    def test_a_closed_session_takes_no_more(self, session_to: Any, server: SMTPServer) -> None:
        session = session_to(server)
        session.send(message())
        session.close()
        for refused in (lambda: session.send(message()), session.flush, lambda: session.retry("any")):
            with pytest.raises(wlsmtp.ConnectionFailed, match="closed"):
                refused()
        session.open()
        session.send(message())
        session.close()
        assert len(server.messages) == 2

    def test_waiting_for_a_message_that_is_finished_gives_it_back(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            final = session.wait(session.send(message()))
            assert session.wait(final) is final

    def test_a_receipt_of_the_async_world_does_not_block(self, world: World, server: SMTPServer) -> None:
        if world.name == "blocking":
            pytest.skip("there wait() blocks, as it should")
        with world.session(server.host, server.port, mode="async") as session:
            receipt = session.send(message())
            with pytest.raises(wlsmtp.ConfigError, match="await"):
                receipt.wait()


class TestSendMany:
    def test_gives_pending_receipts_in_order(self, session_to: Any, server: SMTPServer) -> None:
        items = [(message(), Envelope("ann@example.com", f"r{number}@example.com")) for number in range(250)]
        with session_to(server) as session:
            receipts = list(session.send_many(items))
            assert [receipt.recipients[0].address for receipt in receipts] == [
                f"r{number}@example.com" for number in range(250)
            ]
            assert session.flush() == 0
        assert sorted(mail.recipients[0] for mail in server.messages) == sorted(
            f"r{number}@example.com" for number in range(250)
        )

    @pytest.mark.parametrize("collect", [list, iter], ids=["a list", "an iterator"])
    def test_a_wrong_message_does_not_keep_the_others_from_being_stored(
        self, session_to: Any, server: SMTPServer, collect: Callable[[Any], Any]
    ) -> None:
        with session_to(server) as session:
            receipts = list(session.send_many(collect([message(), b"no header", message()])))
            assert [receipt.status for receipt in receipts] == [Status.PENDING, Status.ERROR, Status.PENDING]
            assert isinstance(receipts[1].error, wlsmtp.MessageError)
            assert session.flush() == 0
        assert len(server.messages) == 2

    def test_of_an_iterator_each_is_stored_before_the_next_is_asked_for(
        self, session_to: Any, server: SMTPServer
    ) -> None:
        stored: list[Receipt] = []

        def items() -> Iterator[Message]:
            for number in range(3):
                assert len(stored) == number
                yield message()

        with session_to(server) as session:
            for receipt in session.send_many(items()):
                stored.append(receipt)  # noqa: PERF402 - the point is when, not where


def test_the_oldest_comes_first_also_when_the_clock_is_set_back() -> None:
    from wlsmtp.outbox.schedule import _new_ids

    ids = [id for now in (2000.0, 1000.0, 1000.0, 2000.0) for id in _new_ids(now, 2)]
    assert ids == sorted(ids) and len(set(ids)) == 8


class TestTries:
    def test_an_unreachable_server_leaves_it_pending_with_the_reason(self, unreachable: Any) -> None:
        id = unreachable.send(message()).id
        receipt = wait_for_a_try(unreachable, id)
        assert receipt.status is Status.PENDING and receipt.attempts == 1
        assert isinstance(receipt.error, wlsmtp.ConnectionFailed) and receipt.error.receipt is not None
        assert receipt.next_attempt is not None and receipt.next_attempt > datetime.now(UTC) + timedelta(minutes=50)
        assert [found.id for found in unreachable.pending()] == [id]
        counts = unreachable.outbox_statistics()
        assert (counts.pending, counts.deferred, counts.sent) == (1, 1, 0)

    def test_a_transient_refusal_is_tried_again(self, session_to: Any, server: SMTPServer) -> None:
        server.reply_to("MAIL", "451 4.3.0 Later", times=2)
        with session_to(server, retry=AT_ONCE) as session:
            final = session.wait(session.send(message()))
        assert final.status is Status.SENT and final.attempts == 3

    def test_a_permanent_refusal_is_an_error_with_the_servers_words(self, session_to: Any, server: SMTPServer) -> None:
        server.refuse("bob@example.org", "550 5.1.1 No such user")
        with session_to(server) as session:
            final = session.wait(session.send(message()))
            assert final.status is Status.ERROR and final.attempts == 1
            assert isinstance(final.error, wlsmtp.RecipientsRefused)
            assert "550 5.1.1 No such user" in str(final.error) and final.refused[0].reply.code == 550
            with pytest.raises(wlsmtp.RecipientsRefused):
                final.raise_for_status()

    def test_the_last_try_is_the_last(self, session_to: Any, server: SMTPServer) -> None:
        server.reply_to("MAIL", "451 4.3.0 Later")
        with session_to(server, retry=AT_ONCE) as session:
            final = session.wait(session.send(message()))
        assert final.status is Status.ERROR and final.attempts == 3 and final.error.temporary

    def test_only_those_who_may_be_served_later_are_tried_again(self, session_to: Any, server: SMTPServer) -> None:
        server.refuse("no@example.com", "550 5.1.1 No such user")
        server.refuse("later@example.com", "450 4.2.0 Greylisted")
        with session_to(server, retry=RetryPolicy(backoff=0.05, jitter=0)) as session:
            receipt = session.send(message(to=["yes@example.com", "no@example.com", "later@example.com"]))
            wait_for_a_try(session, receipt.id)
            server.accept("later@example.com")
            final = session.wait(receipt)
        assert [mail.recipients for mail in server.messages] == [("yes@example.com",), ("later@example.com",)]
        assert final.status is Status.PARTIAL
        assert [result.address for result in final.accepted] == ["yes@example.com", "later@example.com"]
        assert final.refused[0].address == "no@example.com"

    def test_what_is_unknown_is_not_sent_again(self, session_to: Any, server: SMTPServer) -> None:
        server.reply_to(".", CLOSE, times=1)
        with session_to(server, retry=AT_ONCE) as session:
            final = session.wait(session.send(message()))
        assert final.status is Status.UNKNOWN and isinstance(final.error, wlsmtp.OutcomeUnknown)
        assert server.messages == []

    def test_unless_that_is_wanted(self, session_to: Any, server: SMTPServer) -> None:
        server.reply_to(".", CLOSE, times=1)
        policy = AT_ONCE.model_copy(update={"resend_unknown": True})
        with session_to(server, retry=policy) as session:
            assert session.wait(session.send(message()))
        assert len(server.messages) == 1

    def test_nothing_is_waited_for_that_is_not_tried_in_time(self, world: World) -> None:
        """Behind a wrong password all is at rest for longer than anybody waits."""
        with SMTPServer(users={"ann": "secret"}) as server:
            login = {"username": "ann", "password": "wrong", "mode": "async", "outbox": "memory:"}
            session = world.session(server.host, server.port, **login)
            kept = [session.send(message()) for _ in range(2)]
            assert session.flush(timeout=900) == 2
            with pytest.raises(wlsmtp.OutboxNotEmpty):
                session.close(timeout=900)
            assert all(session.cancel(receipt.id) for receipt in kept)

    def test_a_wrong_password_refuses_no_mail(self, session_to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wlsmtp.smtp.refused_login.REFUSED_LOGIN_RESTS", 0.0)  # minutes, for a server of others
        with SMTPServer(users={"ann": "right"}, require_auth=True) as server:
            options = {
                "username": "ann",
                "password": "wrong",
                "retry": RetryPolicy(attempts=1000, max_backoff=0.05, jitter=0),
            }
            with session_to(server, **options) as session:
                receipt = session.send(message())
                waiting = wait_for_a_try(session, receipt.id)
                assert isinstance(waiting.error, wlsmtp.AuthenticationFailed)
                server.users["ann"] = "wrong"
                assert session.wait(receipt)

    def test_the_policy_is_patient_unless_another_is_given(self, world: World) -> None:
        patient = world.session("localhost", mode="async").face.config.outbox_retry
        assert patient.attempts > 100 and patient.max_backoff == 3600
        assert world.session("localhost", mode="async", retry=AT_ONCE).face.config.outbox_retry is AT_ONCE


class TestSchedule:
    def test_send_at_holds_it_back(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            when = datetime.now(UTC) + timedelta(hours=2)
            later = [session.send(message(), send_at=7200), session.send(message(), send_at=when)]
            assert session.wait(session.send(message(subject="now")))
            assert session.flush() == 2
            assert abs(later[0].next_attempt - later[1].next_attempt) < timedelta(seconds=5)
            assert [mail.header("Subject") for mail in server.messages] == ["now"]
            assert all(session.cancel(receipt.id) for receipt in later)

    def test_it_goes_when_its_time_has_come(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            assert session.wait(session.send(message(), send_at=0.05))
            naive = datetime.now() + timedelta(seconds=0.05)
            assert session.wait(session.send(message(), send_at=naive))

    def test_urgent_mail_goes_first(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            for seconds in (0.3, 3, 30):  # all are in the outbox before one is due, also on a slow machine
                when = datetime.now(UTC) + timedelta(seconds=seconds)
                for priority in (0, -5, 10, 3, 10):
                    session.send(message(subject=str(priority)), send_at=when, priority=priority)
                is_in_time = datetime.now(UTC) < when
                assert session.flush() == 0
                if is_in_time:
                    break
                server.messages.clear()
        assert [mail.header("Subject") for mail in server.messages] == ["10", "10", "3", "0", "-5"]

    def test_what_has_expired_is_not_sent(self, world: World, outbox: str, closed_port: int) -> None:
        policy = RetryPolicy(attempts=1000, backoff=0.02, max_backoff=0.02, jitter=0)
        with world.session("127.0.0.1", closed_port, mode="async", outbox=outbox, retry=policy) as session:
            final = session.wait(session.send(message(), expires=0.3))
        assert final.status is Status.ERROR and isinstance(final.error, wlsmtp.DeadlineExceeded)
        assert "expired" in final.error.message and "connect" in final.error.message.lower()

    def test_an_idempotency_key_stores_one_message(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            first = session.send(message(subject="first"), idempotency_key="order 7")
            second = session.send(message(subject="second"), idempotency_key="order 7")
            assert second.id == first.id
            session.wait(second)
            third = session.send(message(subject="third"), idempotency_key="order 7")
            assert third.id == first.id and third.status is Status.SENT
            session.send(message(subject="fourth"), idempotency_key="order 8")
        assert [mail.header("Subject") for mail in server.messages] == ["first", "fourth"]

    def test_cancel_takes_it_back(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            receipt = session.send(message(), send_at=3600)
            assert session.cancel(receipt.id) and not session.cancel(receipt.id)
            gone = session.receipt(receipt.id)
            assert gone.status is Status.ERROR and isinstance(gone.error, wlsmtp.MessageCancelled)
            assert session.wait(receipt).id == receipt.id
        assert server.messages == []

    def test_who_waits_hears_of_the_cancellation(self, world: World, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            receipt = session.send(message(), send_at=3600)
            session.cancel(receipt.id)
            assert isinstance(session.wait(receipt).error, wlsmtp.MessageCancelled)

    def test_sent_mail_cannot_be_cancelled(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            receipt = session.wait(session.send(message()))
            assert not session.cancel(receipt.id) and not session.retry(receipt.id)

    def test_retry_sends_to_those_whom_it_did_not_reach(self, session_to: Any, server: SMTPServer) -> None:
        server.refuse("no@example.com", "550 5.7.1 Not today")
        with session_to(server) as session:
            final = session.wait(session.send(message(to=["yes@example.com", "no@example.com"])))
            assert final.status is Status.PARTIAL
            server.accept("no@example.com")
            assert session.retry(final.id)
            assert session.flush() == 0
            again = session.receipt(final.id)
        assert again.status is Status.SENT and again.attempts == 2 and again.error is None
        assert server.messages[1].recipients == ("no@example.com",)

    def test_retry_makes_a_deferred_message_due_now(self, session_to: Any, server: SMTPServer) -> None:
        server.reply_to("MAIL", "451 4.3.0 Later", times=1)
        with session_to(server, retry=IN_AN_HOUR) as session:
            receipt = session.send(message())
            wait_for_a_try(session, receipt.id)
            assert session.retry(receipt.id)
            assert session.wait(receipt)

    def test_a_receipt_stands_for_its_id(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            later = session.send(message(), send_at=3600)
            assert session.status(later) is session.receipt(later).status is Status.PENDING
            assert session.retry(later) and session.wait(later)
            assert not session.cancel(later)
            with pytest.raises(wlsmtp.ConfigError, match="the id of a receipt"):
                session.status(7)

    def test_an_unknown_id_is_an_error(self, session_to: Any, server: SMTPServer) -> None:
        with session_to(server) as session:
            for ask in (session.status, session.receipt, session.cancel, session.retry):
                with pytest.raises(wlsmtp.NotInOutbox) as caught:
                    ask("nothing")
                assert isinstance(caught.value, LookupError)


class TestClose:
    def test_drains(self, session_to: Any, server: SMTPServer) -> None:
        session = session_to(server)
        for _ in range(30):
            session.send(message())
        session.close()
        assert len(server.messages) == 30

    def test_without_draining_a_durable_outbox_keeps_the_rest(
        self, world: World, tmp_path: Path, server: SMTPServer
    ) -> None:
        options = {"mode": "async", "outbox": f"sqlite:///{tmp_path}/outbox.db"}
        session = world.session(server.host, server.port, **options)
        session.send(message(), send_at=0.3)
        session.close(drain=False)
        assert server.messages == []
        with world.session(server.host, server.port, **options) as session:
            assert session.flush() == 0
        assert len(server.messages) == 1

    def test_a_durable_outbox_is_not_waited_for_when_nobody_answers(
        self, world: World, tmp_path: Path, closed_port: int
    ) -> None:
        options = {"mode": "async", "outbox": f"sqlite:///{tmp_path}/outbox.db"}
        with world.session("127.0.0.1", closed_port, **options) as session:
            ids = [session.send(message()).id for _ in range(3)]
        later = world.session("127.0.0.1", closed_port, **options)
        assert [receipt.id for receipt in later.pending()] == ids
        later.close(drain=False)

    def test_an_outbox_in_memory_does_not_lose_mail_in_silence(
        self, world: World, closed_port: int, server: SMTPServer
    ) -> None:
        session = world.session("127.0.0.1", closed_port, mode="async", retry=IN_AN_HOUR)
        sent = session.send(message(to=["b@example.com", "c@example.com"]))
        with pytest.raises(wlsmtp.OutboxNotEmpty, match="1 messages") as caught:
            session.close(timeout=0.2)
        [left] = caught.value.left
        assert left.receipt.id == sent.id and left.mail.envelope.addresses == ("b@example.com", "c@example.com")
        assert b"Hello" in b"".join(left.mail.content.chunks())
        with pytest.raises(wlsmtp.OutboxNotEmpty):
            session.close(drain=False)
        session.open()
        assert session.cancel(sent.id)
        session.close()

    def test_mail_that_is_far_away_is_not_waited_for(self, world: World, server: SMTPServer) -> None:
        session = world.session(server.host, server.port, mode="async")
        receipt = session.send(message(), send_at=86400)
        with pytest.raises(wlsmtp.OutboxNotEmpty):
            session.close()
        session.open()
        session.cancel(receipt.id)
        session.close()

    def test_what_is_on_its_way_is_finished(self, session_to: Any) -> None:
        with SMTPServer(extensions=()) as server:
            server.reply_to("MAIL", SILENCE, times=1)
            session = session_to(server, timeout=0.3, retry=AT_ONCE)
            session.send(message())
            session.close()
            assert len(server.messages) == 1

    def test_an_unused_session_makes_no_file(self, world: World, tmp_path: Path) -> None:
        with world.session("localhost", mode="async", outbox=f"sqlite:///{tmp_path}/outbox.db"):
            pass
        assert list(tmp_path.iterdir()) == []


class TestCallbacks:
    def test_tell_how_each_message_ended(self, session_to: Any, server: SMTPServer) -> None:
        server.refuse("no@example.com", "550 5.1.1 No such user")
        good: list[Receipt] = []
        bad: list[Receipt] = []
        with session_to(server, on_sent=good.append, on_error=bad.append) as session:
            sent = session.send(message())
            partial = session.send(message(to=["no@example.com", "yes@example.com"]))
            failed = session.send(message(to="no@example.com"))
        assert [receipt.id for receipt in good] == [sent.id]
        assert [(receipt.id, receipt.status) for receipt in bad] == [
            (partial.id, Status.PARTIAL),
            (failed.id, Status.ERROR),
        ]

    def test_one_that_fails_harms_no_mail(
        self, session_to: Any, server: SMTPServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(receipt: Receipt) -> None:
            raise ZeroDivisionError

        with session_to(server, on_sent=fails) as session:
            session.send(message())
            session.send(message())
            assert session.flush() == 0
        assert len(server.messages) == 2 and "a callback failed" in caplog.text

    def test_may_be_async_in_the_async_world(
        self, world: World, session_to: Any, server: SMTPServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: list[str] = []

        async def tell(receipt: Receipt) -> None:
            told.append(receipt.id)

        with session_to(server, on_sent=tell) as session:
            receipt = session.wait(session.send(message()))
        assert told == ([receipt.id] if world.name == "asyncio" else [])
        assert ("cannot be used by SMTPSession" in caplog.text) is (world.name == "blocking")

    def test_events_tell_the_same(self, session_to: Any, server: SMTPServer) -> None:
        server.reply_to("MAIL", "451 4.3.0 Later", times=1)
        events: list[wlsmtp.events.Event] = []
        with session_to(server, retry=AT_ONCE, listeners=(events.append,)) as session:
            session.send(message())
        kinds = [type(event).__name__ for event in events if not isinstance(event, wlsmtp.events.Line)]
        assert [kind for kind in kinds if kind in ("Retrying", "Sent")] == ["Retrying", "Sent"]
