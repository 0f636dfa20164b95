"""``before_send`` and ``after_send``: what a user's functions make of a message, and what they learn of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from tests.message.sign.keys import key, verified
from tests.worlds import World
from wlsmtp import ConfigError, Envelope, Message, MessageError, Receipt, SMTPError
from wlsmtp.testing import SMTPServer

LETTER = Message("ann@example.com", "bob@example.org", subject="Hi", text="Hello")
Make = Callable[..., Any]


def subjects(server: SMTPServer) -> list[str | None]:
    return [message.header("Subject") for message in server.messages]


def tagged(message: Any, envelope: Envelope) -> Any:
    return message.replace(subject=f"[{envelope.addresses[0]}] {message.subject}")


async def tagged_later(message: Any, envelope: Envelope) -> Any:
    return tagged(message, envelope)


def hook_of(world: World) -> Make:
    return tagged_later if world.name == "asyncio" else tagged


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_each_message_is_what_the_hook_returns(world: World, mode: str) -> None:
    letter = LETTER.but(to=())
    rows: list[Any] = [{"to": "cy@example.org"}, {"to": "rubbish"}, {"to": "di@example.org"}]
    with SMTPServer() as server:
        settings = {"mode": mode, "before_send": hook_of(world), "dkim": key("ed")}
        with world.session(server.host, server.port, **settings) as session:
            session.send(LETTER)
            receipts = session.send_all([LETTER, *letter.merge(rows), (LETTER, Envelope("", ["ed@example.org"]))])
            if mode == "async":
                assert session.flush() == 0
    assert subjects(server) == [
        "[bob@example.org] Hi", "[bob@example.org] Hi", "[cy@example.org] Hi", "[di@example.org] Hi",
        "[ed@example.org] Hi",
    ]  # fmt: skip
    assert all(verified(message.content) == ["ed"] for message in server.messages)
    assert [receipt.error is None for receipt in receipts] == [True, True, False, True, True]
    assert receipts[2].error is not None and "rows[1]" in str(receipts[2].error)


def test_several_hooks_see_what_the_one_before_returned(world: World) -> None:
    seen: list[Any] = []

    def to_octets(message: Any, envelope: Envelope) -> bytes:
        seen.append((type(message), message.sender.address.domain))
        return bytes(message)

    def to_another(message: Any, envelope: Envelope) -> tuple[bytes, Envelope]:
        seen.append(type(message))
        return message, Envelope(envelope.sender, ["archive@example.org"])

    settings = {"before_send": [to_octets, to_another], "sender": "ann@example.com"}
    with SMTPServer() as server, world.session(server.host, server.port, **settings) as session:
        session.send(to="bob@example.org", text="Hello")
    assert seen == [(Message, "example.com"), bytes]
    assert server.messages[0].recipients == ("archive@example.org",)


def test_messages_of_any_kind_go_through_it(world: World) -> None:
    seen: list[type] = []

    def look(message: Any, envelope: Envelope) -> Any:
        seen.append(type(message))
        return message

    email = EmailMessage()
    email["From"], email["To"] = "ann@example.com", "bob@example.org"
    with SMTPServer() as server, world.session(server.host, server.port, before_send=look) as session:
        for message in (LETTER, email, bytes(LETTER)):
            session.send(message)
    assert seen == [Message, EmailMessage, bytes] and len(server.messages) == 3


def nothing(message: Any, envelope: Envelope) -> None: ...


def broken(message: Any, envelope: Envelope) -> Any:
    raise KeyError("words of the program")


def refusing(message: Any, envelope: Envelope) -> Any:
    raise MessageError("no key for bob@example.org")


WRONG = [
    (nothing, "returned nothing"),
    (broken, r"before_send failed \(KeyError\)"),
    (refusing, "no key for bob"),
    (lambda message, envelope: 7, "before_send returned int, not a message"),
    (
        lambda message, envelope: (message, "bob@example.org"),
        "returned tuple, not a message.*the pair of it and an Envelope",
    ),
]


@pytest.mark.parametrize(("hook", "words"), WRONG, ids=["nothing", "broken", "refusing", "number", "pair"])
def test_a_message_is_not_sent_when_its_hook_fails(world: World, hook: Make, words: str) -> None:
    calls: list[Receipt] = []
    settings = {"before_send": hook, "after_send": calls.append}
    with SMTPServer() as server, world.session(server.host, server.port, **settings) as session:
        with pytest.raises(MessageError, match=words) as caught:
            session.send(LETTER)
        assert "words of the program" not in str(caught.value)
        receipts = session.send_all([LETTER, *LETTER.merge([{}])])
    assert not any(receipts) and not server.messages
    assert "rows[0]" in str(receipts[1].error)
    assert [receipt.id for receipt in calls] == [receipt.id for receipt in receipts]


def test_an_async_hook_needs_asyncio() -> None:
    session = World("blocking").session("smtp.example.com", before_send=tagged_later)
    for send in (session.send, session.send_all):
        with (
            session,
            pytest.raises(ConfigError, match=r"async function cannot be used by SMTPSession\. Use AsyncSMTPSession"),
        ):
            send(LETTER if send == session.send else [LETTER])


def test_a_hook_that_hangs_ends_at_the_timeout() -> None:
    import asyncio

    async def hang(message: Any, envelope: Envelope) -> Any:
        await asyncio.Event().wait()

    world = World("asyncio")
    session = world.session("smtp.example.com", before_send=hang, timeout=0.05)
    with session, pytest.raises(MessageError, match="took longer than"):
        session.send(LETTER)
    world.close()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_each_final_receipt_is_told(world: World, mode: str) -> None:
    told: list[Receipt] = []

    async def tell_later(receipt: Receipt) -> None:
        told.append(receipt)

    tell: Any = tell_later if world.name == "asyncio" else told.append
    with SMTPServer() as server:
        server.refuse("nobody@example.org")
        with world.session(server.host, server.port, mode=mode, after_send=tell) as session:
            receipts = session.send_all([LETTER, LETTER.but(to="nobody@example.org")])
            if mode == "async":
                receipts = [session.wait(receipt) for receipt in receipts]
            with pytest.raises(SMTPError):
                session.wait(session.send(LETTER.but(to="nobody@example.org"))).raise_for_status()
            session.close()
    assert [bool(receipt) for receipt in told] == [True, False, False]
    assert [receipt.id for receipt in told[:2]] == [receipt.id for receipt in receipts]


def test_what_goes_wrong_after_the_message_has_gone_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail(receipt: Receipt) -> None:
        raise KeyError("x")

    with (
        SMTPServer() as server,
        world.session(server.host, server.port, after_send=fail) as session,
        caplog.at_level(logging.ERROR, "wlsmtp"),
    ):
        assert session.send(LETTER)
    assert "after_send failed" in caplog.text


def test_after_send_may_send() -> None:
    world = World("blocking")
    sessions: list[Any] = []

    def alert(receipt: Receipt) -> None:
        sessions[0].send(LETTER.but(subject="Sent"))

    with SMTPServer() as server, world.session(server.host, server.port, after_send=alert) as session:
        sessions.append(session)
        session.send(LETTER)
        session.send_all([LETTER])
    assert sorted(map(str, subjects(server))) == ["Hi", "Hi", "Sent", "Sent"]


@pytest.mark.parametrize("setting", ["before_send", "after_send"])
def test_what_is_no_function(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        World("blocking").session("smtp.example.com", **{setting: "print"})
