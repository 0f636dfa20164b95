"""Header fields by their meaning, and how they stay with a message that is varied."""

from __future__ import annotations

import pickle
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from tests.message.sign.keys import key, verified
from tests.worlds import World
from wlsmtp.errors import MessageError
from wlsmtp.message.model import Message
from wlsmtp.testing import SMTPServer

ONE_CLICK = "https://lists.example.com/u?t=a,b"


def written(**fields: Any) -> EmailMessage:
    octets = Message(**{"sender": "Ann <ann@example.com>", "to": "bob@example.org", **fields}).as_bytes()
    return message_from_bytes(octets, policy=policy.default)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"unsubscribe": ONE_CLICK},
            {"List-Unsubscribe": f"<{ONE_CLICK}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        ),
        (
            {"unsubscribe": (ONE_CLICK, "mailto:u@example.com?subject=stop")},
            {"List-Unsubscribe": f"<{ONE_CLICK}>, <mailto:u@example.com?subject=stop>"},
        ),
        ({"list_id": "news.example.com"}, {"List-Id": "<news.example.com>"}),
        ({"list_id": "Our News <news.example.com>"}, {"List-Id": '"Our News" <news.example.com>'}),
        ({"list_id": "Grüße <news.example.com>"}, {"List-Id": "Grüße <news.example.com>"}),
        ({"importance": "high"}, {"Importance": "high", "X-Priority": "1 (Highest)"}),
        ({"importance": "low"}, {"Importance": "low", "X-Priority": "5 (Lowest)"}),
        ({"priority": "urgent"}, {"Priority": "urgent", "Importance": None}),
        ({"read_receipt": True}, {"Disposition-Notification-To": "Ann <ann@example.com>"}),
        (
            {"read_receipt": ["a@x.org", ("Lee, B", "b@x.org")]},
            {"Disposition-Notification-To": 'a@x.org, "Lee, B" <b@x.org>'},
        ),
        ({"auto_submitted": True}, {"Auto-Submitted": "auto-generated"}),
        ({"auto_submitted": "auto-replied"}, {"Auto-Submitted": "auto-replied"}),
        ({"in_reply_to": "<a@b>"}, {"In-Reply-To": "<a@b>", "References": "<a@b>"}),
        (
            {"in_reply_to": "a@b", "references": ["<0@b>", "<a@b>"]},
            {"In-Reply-To": "<a@b>", "References": "<0@b> <a@b>"},
        ),
        ({"references": "<0@b> <a@b>"}, {"In-Reply-To": None, "References": "<0@b> <a@b>"}),
        ({"unsubscribe": None, "read_receipt": False}, {"List-Unsubscribe": None, "Disposition-Notification-To": None}),
    ],
)  # fmt: skip
def test_a_meaning_is_written_as_its_fields(given: dict[str, Any], expected: dict[str, str | None]) -> None:
    found = written(**given)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"unsubscribe": "http://x.org/u"}, "unsubscribe: .*https"),
        ({"unsubscribe": "mailto:u@x.org"}, "unsubscribe: one click needs an https"),
        ({"unsubscribe": ("mailto:u@x.org", ONE_CLICK)}, "unsubscribe: .*comes first"),
        ({"unsubscribe": "https://user:word@x.org/"}, "unsubscribe: "),
        ({"unsubscribe": "https://x.org/ü"}, "unsubscribe: .*ASCII"),
        ({"unsubscribe": "https://x.org/>, <https://evil"}, "unsubscribe: "),
        ({"unsubscribe": "https://x.org/\r\nBcc: eve@x.org"}, "unsubscribe: .*control"),
        ({"unsubscribe": b"https://x.org"}, "unsubscribe: must be a str"),
        ({"unsubscribe": []}, "unsubscribe: is empty"),
        ({"list_id": "News"}, "list_id: .*RFC 2919"),
        ({"list_id": "A\r\nB <news.example.com>"}, "list_id: .*control"),
        ({"importance": "urgent"}, "importance: must be 'high' or 'normal' or 'low'"),
        ({"priority": "high"}, "priority: .*the importance"),
        ({"priority": 1}, "priority: must be a str"),
        ({"read_receipt": "nobody"}, "read_receipt: 'nobody'"),
        ({"read_receipt": []}, "read_receipt: names nobody"),
        ({"auto_submitted": "yes"}, "auto_submitted: "),
        ({"in_reply_to": "a b>"}, "in_reply_to: "),
        ({"references": " "}, "references: names no message"),
        ({"importance": "high", "headers": {"importance": "low"}}, "headers: Importance is given here and"),
        ({"importance": "high", "headers": {"X": "a\nb"}}, "headers: X: .*control"),
    ],
)
def test_what_cannot_be_written_is_refused_by_its_name(given: dict[str, Any], words: str) -> None:
    with pytest.raises(MessageError, match=f"^{words}"):
        written(**given)


def test_a_read_receipt_for_the_sender_needs_one() -> None:
    with pytest.raises(MessageError, match=r"^read_receipt: .*no.* yet.*Give the address"):
        Message(to="bob@example.org", read_receipt=True)


def test_a_keyword_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'unsubscribed'; did you mean 'unsubscribe'"):
        Message(unsubscribed="https://x.org")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'body'; it is text= here"):
        Message(body="Hello")  # type: ignore[call-arg]


def test_a_varied_message_keeps_them_and_may_lose_or_change_each() -> None:
    marks: dict[str, Any] = {"unsubscribe": ONE_CLICK, "importance": "high", "read_receipt": True}
    letter = Message("ann@example.com", headers={"X-A": "1"}, **marks)
    for varied in (letter.but(text="x"), pickle.loads(pickle.dumps(letter)).but(to="bob@example.org").but(text="x")):
        assert varied.headers == letter.headers
    other = letter.but(headers={"X-B": "2"}, sender="eve@example.com", importance=None)
    assert "X-A" not in other.headers and other.headers["X-B"] == ("2",) and "Importance" not in other.headers
    assert other.headers["Disposition-Notification-To"] == ("eve@example.com",)
    assert other.but(unsubscribe="https://y.org/").headers["List-Unsubscribe"] == ("<https://y.org/>",)


def one_click(number: int, **fields: Any) -> Message:
    return Message("ann@example.com", f"{number}@example.org", text="…", unsubscribe=ONE_CLICK, **fields)


@pytest.mark.parametrize("way", ["send", "send_all", "memory:"])
def test_a_session_that_signs_nothing_warns_once(world: World, way: str, caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"mode": "async", "outbox": way} if way == "memory:" else {}
    with SMTPServer() as server, world.session(server.host, server.port, **options) as session:
        for number in range(2):
            one = one_click(number)
            session.send(one) if way == "send" else session.send_all([one, one.but(to="x@example.org")])
    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warnings) == 1 and "one-click unsubscribe, and nothing signs it" in warnings[0]


def test_both_fields_are_signed_where_a_key_signs(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, dkim=key("ed")) as session:
        session.send(one_click(1))
        session.send(one_click(2, dkim=None))
    signed, unsigned = server.messages
    covered = (signed.header("DKIM-Signature") or "").lower().partition("h=")[2].partition(";")[0]
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(covered.replace(" ", "").split(":"))
    assert verified(signed.content) == ["ed"]
    assert unsigned.header("DKIM-Signature") is None and not caplog.records


def test_rows_of_a_merge_and_the_session_know_them(world: World) -> None:
    letter = Message(subject="News", text="…", list_id="news.example.com")
    rows = [{"to": f"user{n}@example.org", "unsubscribe": f"https://x.org/{n}"} for n in range(2)]
    defaults = {"List-Unsubscribe": "<https://default.example.com>", "X-Shop": "books"}
    with (
        SMTPServer() as server,
        world.session(server.host, server.port, sender="a@example.com", headers=defaults) as session,
    ):
        assert all(session.send_all(letter.merge(rows)))
        session.send(to="user2@example.org", text="…", importance="low")
    first, second, third = server.messages
    assert [one.header("List-Unsubscribe") for one in (first, second)] == ["<https://x.org/0>", "<https://x.org/1>"]
    assert first.header("X-Shop") == "books" and first.header("List-Id") == "<news.example.com>"
    assert third.header("Importance") == "low" and third.header("List-Unsubscribe") == "<https://default.example.com>"
