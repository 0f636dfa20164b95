"""Delivery options on a message, an envelope and a session, in both worlds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import DSN, TLS, DeliverBy, DeliveryOptions, Envelope, Message, RecipientDSN, RetryPolicy, Status, Transport
from wlsmtp.receipt import Outcome, RecipientStatus
from wlsmtp.testing import SMTPServer

AT_ONCE = RetryPolicy(backoff=0, jitter=0)
MESSAGE = Message(sender="ann@example.com", to=["bob@example.org", "cleo@example.org"], text="x")
EVERYTHING = ("PIPELINING", "DSN", "DELIVERBY", "MT-PRIORITY", "FUTURERELEASE", "REQUIRETLS")


def session_to(world: World, server: SMTPServer, **options: Any) -> Any:
    return world.session(server.host, server.port, **{"retry": AT_ONCE, **options})


@pytest.mark.parametrize("pipelining", [True, False])
def test_what_is_asked_for_reaches_the_server(world: World, pipelining: bool) -> None:
    options = DeliveryOptions(
        dsn=DSN(
            notify="failure", ret="headers", envid="order 7",
            recipients=[RecipientDSN(address="cleo@example.org", notify="never", original="team@example.org")],
        ),
        deliver_by=DeliverBy(within=600),
        priority=4,
        hold_for=60,
    )  # fmt: skip
    with SMTPServer(extensions=EVERYTHING) as server, session_to(world, server, pipelining=pipelining) as session:
        assert session.send(MESSAGE, options=options)
    (mail,) = server.messages
    wanted = {"RET": "HDRS", "ENVID": "order+207", "BY": "600;R", "MT-PRIORITY": "4", "HOLDFOR": "60"}
    assert {name: mail.mail_parameters.get(name) for name in wanted} == wanted
    assert mail.recipient_parameters == {
        "bob@example.org": {"NOTIFY": "FAILURE"},
        "cleo@example.org": {"NOTIFY": "NEVER", "ORCPT": "rfc822;team@example.org"},
    }


def test_options_of_the_call_come_before_the_envelopes_and_the_sessions(world: World) -> None:
    envelope = Envelope("ann@example.com", "bob@example.org", DeliveryOptions(priority=2))
    with (
        SMTPServer(extensions=EVERYTHING) as server,
        session_to(world, server, options=DeliveryOptions(priority=1)) as session,
    ):
        session.send(MESSAGE)
        session.send(MESSAGE, options=DeliveryOptions(priority=3))
        session.send(MESSAGE, options=DeliveryOptions())
        assert all(session.send_many([MESSAGE, (MESSAGE, envelope)]))
    said = [mail.mail_parameters.get("MT-PRIORITY") for mail in server.messages]
    assert said == ["1", "3", None, "1", "2"]


def test_what_the_server_lacks_is_refused_before_a_word_of_the_message(world: World) -> None:
    with SMTPServer(extensions=["PIPELINING"]) as server, session_to(world, server) as session:
        for options in (
            DeliveryOptions(dsn=DSN(notify="success")), DeliveryOptions(priority=1), DeliveryOptions(require_tls=True),
        ):  # fmt: skip
            with pytest.raises(wlsmtp.ExtensionMissing) as caught:
                session.send(MESSAGE, options=options)
            receipt = caught.value.receipt
            assert receipt is not None and receipt.status is Status.ERROR and receipt.attempts == 1
        assert session.send(MESSAGE, options=DeliveryOptions(priority=1, optional={"priority"}))
    assert sum(line.startswith(b"MAIL") for _, _, line in server.transcript) == 1


def test_one_message_that_asks_for_too_much_does_not_stop_the_others(world: World) -> None:
    asking = Envelope("ann@example.com", "bob@example.org", DeliveryOptions(priority=2))
    with SMTPServer() as server, session_to(world, server) as session:
        receipts = list(session.send_many([MESSAGE, (MESSAGE, asking), MESSAGE]))
    assert [receipt.status for receipt in receipts] == [Status.SENT, Status.ERROR, Status.SENT]
    assert isinstance(receipts[1].error, wlsmtp.ExtensionMissing) and len(server.messages) == 2


class Deaf(Transport):
    """Carries messages, and knows nothing of options."""

    async def deliver(self, envelope: Envelope, content: Any, deadlines: Any) -> Outcome:
        return Outcome.of(envelope.addresses, RecipientStatus.ACCEPTED)


def test_a_transport_that_cannot_ask_is_not_asked_to(world: World) -> None:
    asking = Envelope("ann@example.com", "bob@example.org", DeliveryOptions(require_tls=True))
    with world.session("localhost", transport=Deaf()) as session:
        with pytest.raises(wlsmtp.ExtensionMissing, match="which Deaf does not offer"):
            session.send(MESSAGE, options=DeliveryOptions(priority=1))
        assert session.send(MESSAGE, options=DeliveryOptions(priority=1, optional={"priority"}))
        statuses = [receipt.status for receipt in session.send_many([MESSAGE, (MESSAGE, asking)])]
    assert statuses == [Status.SENT, Status.ERROR]


def test_a_combination_asks_only_if_all_its_members_do(world: World) -> None:
    options = DeliveryOptions(dsn=DSN(notify="never"))
    with SMTPServer() as one, SMTPServer() as other:
        with world.session("localhost", transport=f"failover({one.url}, {other.url})") as session:
            assert session.send(MESSAGE, options=options)
        assert one.messages[0].recipient_parameters["bob@example.org"] == {"NOTIFY": "NEVER"}
        for mixed in (f"failover({one.url}, maildir:///nowhere)", f"by_domain(a.example=maildir:///x, *={one.url})"):
            with (
                world.session("localhost", transport=mixed) as session,
                pytest.raises(wlsmtp.ExtensionMissing, match="DSN"),
            ):
                session.send(MESSAGE, options=options)


def test_a_message_of_which_parts_go_to_several_servers_asks_each(world: World) -> None:
    options = DeliveryOptions(dsn=DSN(recipients=[RecipientDSN(address="bob@b.example", notify="never")]))
    message = Message(sender="ann@example.com", to=["bob@b.example", "cleo@c.example"], text="x")
    with (
        SMTPServer() as one,
        SMTPServer() as other,
        world.session("localhost", transport=f"by_domain(b.example={one.url}, *={other.url})") as session,
    ):
        assert session.send(message, options=options)
    assert one.messages[0].recipient_parameters == {"bob@b.example": {"NOTIFY": "NEVER"}}
    assert other.messages[0].recipient_parameters == {"cleo@c.example": {}}


def test_another_try_for_some_recipients_asks_for_the_same(world: World) -> None:
    options = DeliveryOptions(
        dsn=DSN(notify="success", recipients=[RecipientDSN(address="bob@example.org", notify="never")])
    )
    with SMTPServer() as server, session_to(world, server) as session:
        server.reply_to("RCPT", "250 2.1.5 ok", times=1)
        server.reply_to("RCPT", "451 4.2.0 Later", times=1)
        session.send(MESSAGE, options=options)
    tries = [line for _, who, line in server.transcript if who == "C" and b"cleo" in line]
    assert tries == [b"RCPT TO:<cleo@example.org> NOTIFY=SUCCESS"] * 2


class TestRequireTLS:
    @pytest.mark.parametrize("security", ["tls", "ssl"])
    def test_goes_over_a_verified_link(self, world: World, security: str) -> None:
        with (
            SMTPServer(security=security, extensions=EVERYTHING) as server,
            session_to(world, server, security=security, tls=TLS(ca_file=server.ca_file)) as session,
        ):
            session.send(MESSAGE, options=DeliveryOptions(require_tls=True))
        assert server.messages[0].mail_parameters["REQUIRETLS"] is True

    @pytest.mark.parametrize("link", ["clear", "not verified"])
    def test_is_not_believed_over_any_other(self, world: World, link: str) -> None:
        settings: dict[str, Any] = {"opportunistic_tls": False} if link == "clear" else {"tls": TLS(verify=False)}
        with (
            SMTPServer(security="tls", extensions=EVERYTHING) as server,
            session_to(world, server, **settings) as session,
            pytest.raises(wlsmtp.ExtensionMissing, match="verified"),
        ):
            session.send(MESSAGE, options=DeliveryOptions(require_tls=True))
        assert server.messages == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DSN(notify=("never", "success")), "notify: is 'never'"),
        (lambda: DSN(notify=()), "notify"),
        (lambda: DSN(notify=("success", "success")), "each once"),
        (lambda: DSN(notify="sometimes"), "notify"),  # type: ignore[arg-type]
        (lambda: DSN(envid=""), "envid: must be 1 to 100"),
        (lambda: DSN(envid="a\r\nRCPT TO:<x@y>"), "envid: must be 1 to 100"),
        (lambda: DSN(envid="é"), "envid"),
        (lambda: RecipientDSN(address="bob"), "address: must be an address"),
        (lambda: RecipientDSN(address="bob@x", original="a@b\r\n"), "original: must be an address"),
        (lambda: DeliverBy(within=0), "at least a second"),
        (lambda: DeliverBy(within=10**10, late="notify"), "999999999"),
        (lambda: DeliveryOptions(priority=10), "priority"),
        (lambda: DeliveryOptions(hold_for=0), "hold_for: must be between 1"),
        (lambda: DeliveryOptions(hold_until=datetime(2027, 1, 1)), "hold_until: .*timezone"),
        (lambda: DeliveryOptions(hold_for=1, hold_until="2027-01-01T00:00:00Z"), "cannot be combined with hold_until"),
        (lambda: DeliveryOptions(submitter="a b@x\n"), "submitter: must be an address"),
        (lambda: Envelope("a@x", "b@y", {"priority": 1}), "must be DeliveryOptions, not dict"),  # type: ignore[arg-type]
    ],
)
def test_wrong_options_are_named(make: Any, words: str) -> None:
    with pytest.raises(wlsmtp.MessageError, match=words):
        make()


def test_a_report_on_somebody_who_gets_no_message_is_a_mistake(world: World) -> None:
    options = DeliveryOptions(dsn=DSN(recipients=[RecipientDSN(address="dan@example.org", notify="never")]))
    with SMTPServer() as server:
        with session_to(world, server) as session, pytest.raises(wlsmtp.MessageError, match="is not a recipient"):
            session.send(MESSAGE, options=options)
        with session_to(world, server, options=options) as session:
            assert session.send(MESSAGE)
    assert len(server.messages) == 1


def test_options_survive_being_written_as_json() -> None:
    options = DeliveryOptions(
        dsn=DSN(notify="success", recipients=[RecipientDSN(address="bob@example.org", notify="never")]),
        deliver_by=DeliverBy(within=60), hold_until="2027-01-01T00:00:00+02:00", optional={"dsn"},
    )  # fmt: skip
    assert DeliveryOptions.model_validate_json(options.model_dump_json()) == options
    assert hash(options) == hash(DeliveryOptions.model_validate_json(options.model_dump_json()))


def test_several_kinds_of_reports_may_be_one_text_as_in_the_command() -> None:
    assert DSN(notify="success, failure").notify == ("success", "failure")  # type: ignore[arg-type]
    for wrong in ("success,", "success,success", "never,failure"):
        with pytest.raises(wlsmtp.MessageError, match="notify"):
            DSN(notify=wrong)  # type: ignore[arg-type]
