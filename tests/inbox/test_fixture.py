"""The fixture, as somebody uses it who tests a program that sends mail."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from tests.inbox.browser import Browser
from tests.inbox.letters import letters
from wlsmtp import Message, SMTPSession
from wlsmtp.inbox import Inbox
from wlsmtp.inbox.store import Facts

ANN, BOB = "ann@example.com", "bob@example.org"


def register(url: str, to: str = BOB) -> None:
    """A program that somebody tests."""
    with SMTPSession.from_url(url) as session:
        session.send(Message(ANN, to, subject="Confirm your address", text="Your code is 482913.\n\nhttps://example.com/c?x=1\n",
                             html="<p>Your code is <b>482913</b>", attachments=[("terms.txt", "none")]))  # fmt: skip


@pytest.mark.parametrize("way", ["smtp", "inbox"])
def test_a_mail_is_waited_for_and_read(inbox: Inbox, way: str) -> None:
    threading.Thread(target=register, args=(inbox.url if way == "smtp" else "inbox:",)).start()
    mail = inbox.wait_for(to=BOB)
    assert mail.subject == "Confirm your address"
    assert (mail.sender, mail.recipients, mail.to) == (ANN, (BOB,), [BOB])
    assert mail.codes == ["482913"] and mail.links == ["https://example.com/c?x=1"]
    assert mail.text.startswith("Your code") and mail.html.startswith("<p>Your code")
    assert [(one.filename, one.content) for one in mail.attachments] == [("terms.txt", b"none")]
    assert mail.header("subject") == str(mail.email["Subject"]) and mail.header("X-None") is None


def test_the_one_that_fits_is_chosen(inbox: Inbox) -> None:
    for number in range(3):
        register("inbox:", f"user{number}@example.org")
    assert inbox.wait_for("USER1@example.org").recipients == ("user1@example.org",)
    assert inbox.wait_for(subject="onfirm", count=1, where=lambda mail: "user2@example.org" in mail.to).id
    assert inbox.wait_for(subject=re.compile("^Confirm"), sender=ANN, count=3).to == ["user2@example.org"]
    assert [mail.to for mail in inbox.search("to:user0")] == [["user0@example.org"]]
    inbox.clear()
    assert inbox.messages == []


def test_what_did_not_come_is_told_with_what_did(inbox: Inbox) -> None:
    register("inbox:")
    with pytest.raises(
        TimeoutError, match=r"0 of 1 messages that fit \(to cleo@example.net\).*bob@example.org: 'Confirm"
    ):
        inbox.wait_for("cleo@example.net", timeout=0)


def test_each_test_has_its_own(inbox: Inbox) -> None:
    assert inbox.messages == []


def test_a_picture_is_taken(inbox: Inbox, browser: Browser, tmp_path: Path) -> None:
    inbox.store.add(bytes(letters()[-1]), Facts())
    picture = inbox.messages[0].screenshot(tmp_path / "mail.png", width=320, height=200)
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 2000
