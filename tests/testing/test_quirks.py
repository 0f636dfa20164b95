"""Each quirk, shown to a client that is not this library, and what a server without it says instead."""

from __future__ import annotations

import re

import pytest

from tests.testing.dialogue import Client, play
from tests.testing.test_server import client_of
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.conversation import ServerSide
from wlsmtp.testing.quirks import QUIRKS, Quirk

MAIL, RCPT, NOUSER = "> MAIL FROM:<a@example.com>", "> RCPT TO:<b@example.org>", "> RCPT TO:<nouser@example.org>"
ENVELOPE = f"{MAIL}\n< 250\n{RCPT}\n< 250\n"
TEXT = "> Subject: x\n>\n> x\n> .\n"
MESSAGE = f"{ENVELOPE}> DATA\n< 354\n{TEXT}< 250\n"
SPAM = f"{ENVELOPE}> DATA\n< 354\n> Subject: spam\n> .\n"
"""In the dialogues with spam the second content is refused; the recipient nouser is refused in all."""

HELLO = (
    r"250-testing.wlsmtp.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
    r"250-CHUNKING\r\n250-DSN\r\n250-SIZE 50000000\r\n250 AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2\r\n"
)
CASES = {
    "keeps-envelope": f"{MESSAGE}{SPAM}< 554\n{MAIL}\n< 503\n> RSET\n< 250\n{MESSAGE}",
    "discards-behind-content": f"{ENVELOPE}> DATA\n< 354\n{TEXT}{MAIL}\n{RCPT}\n< 250\n> VRFY x\n< 252\n{MESSAGE}",
    "refuses-behind-content": f"{ENVELOPE}> DATA\n< 354\n{TEXT}> RSET\n{MAIL}\n< 250\n< 503\n< 503\n"
    f"> VRFY x\n< 252\n{MESSAGE}",
    "drops-behind-content": f"{MESSAGE}{ENVELOPE}> DATA\n< 354\n{TEXT}> RSET\n< 250\n< closed",
    "crashes-without-rset": f"{ENVELOPE}> DATA\n< 354\n{TEXT}> RSET\n{MAIL}\n< 250\n< 250\n< 250\n{RCPT}\n< 250\n"
    f"> DATA\n< 354\n{TEXT}{MAIL}\n< 250\n< closed",
    "refuses-groups": f"{MAIL}\n{RCPT}\n< 503\n< 503\n{MESSAGE}",
    "drops-groups": f"{MESSAGE}{MAIL}\n{RCPT}\n< closed",
    "ends-at-groups": f"{MESSAGE}{MAIL}\n{RCPT}\n< 500\n< closed",
    "flushes-after-refusal": f"{MAIL}\n{NOUSER}\n{RCPT}\n> DATA\n< 250\n< 550\n> VRFY x\n< 252",
    "unread-chunk": f"{MAIL}\n{NOUSER}\n> BDAT 8 LAST\n> VRFY x\n< 250\n< 550\n< 502\n< 252",
    "bdat-unimplemented": f"{ENVELOPE}> BDAT 8 LAST\n> VRFY x\n> NOOP\n< 502\n< 250",
    "bdat-unknown": f"{ENVELOPE}> BDAT 8 LAST\n> VRFY x\n> NOOP\n< 500\n< 252\n< 250",
    "one-reply-for-chunks": f"{ENVELOPE}> BDAT 3\n> x\n> BDAT 3 LAST\n> y\n> VRFY x\n< 250 2.0.0 Ok: queued\n< 252",
    "two-replies-to-last-chunk": f"{ENVELOPE}> BDAT 3 LAST\n> x\n> VRFY x\n< 250 2.0.0 Ok: queued\n< 250\n< 252",
    "no-noop": f"> NOOP\n< 500\n{MESSAGE}",
    "no-rset": f"{MAIL}\n< 250\n> RSET\n< 502\n{RCPT}\n< 250",
    "silent-quit": f"{MESSAGE}> QUIT\n< closed",
    "354-without-recipients": f"{MAIL}\n< 250\n{NOUSER}\n< 550\n> DATA\n< 354\n> .\n< 554\n{MESSAGE}",
    "250-without-recipients": f"{MAIL}\n{NOUSER}\n> BDAT 3 LAST\n> x\n< 250\n< 550\n< 250\n{MAIL}\n{NOUSER}\n> DATA\n"
    f"< 250\n< 550\n< 354\n> .\n< 250\n{MESSAGE}",
    "max-messages:1": f"{MESSAGE}{MAIL}\n{RCPT}\n> BDAT 3 LAST\n> x\n< 421\n< 503\n< 503\n> NOOP\n< 250\n"
    f"= 2\n{MAIL}\n< 250",
    "max-messages-close:1": f"{MESSAGE}{MAIL}\n< 421\n< closed\n= 2\n{MAIL}\n< 250",
    "max-messages-452:1": f"{MESSAGE}{MAIL}\n< 452\n{RCPT}\n< 503\n= 2\n{MAIL}\n< 250",
    "max-messages-at-rset:1": f"> RSET\n< 250\n{MESSAGE}> RSET\n< 421\n< closed",
    "421-behind-content:1": f"{MESSAGE}< 421\n< closed\n= 2\n{MAIL}\n< 250",
    "max-errors:2": f"{MAIL}\n< 250\n{NOUSER}\n< 550\n{NOUSER}\n< 550\n< 421\n< closed\n= 2\n{MESSAGE}",
    "closes-silently:1": f"{MESSAGE}> NOOP\n< 250\n{MAIL}\n< closed\n= 2\n{MAIL}\n< 250",
    "max-recipients:1": f"{ENVELOPE}{RCPT}\n< 452 4.5.3\n> DATA\n< 354\n{TEXT}< 250",
    "max-recipients-451:1": f"{ENVELOPE}{RCPT}\n< 451 4.5.3\n> DATA\n< 354\n{TEXT}< 250",
    "max-connections:1": f"= 1\n{MESSAGE}= 2 raw\n< 421\n< closed",
    "max-connections-432:1": f"= 1\n= 2\n{MAIL}\n< 432\n{RCPT}\n< 503\n= 1\n{MESSAGE}",
    "idle-451": f"{MESSAGE}> NOOP\n< 250\n{MAIL}\n< 451 4.4.2\n{MAIL}\n< 451 4.4.2\n= 2\n{MAIL}\n< 250",
    "idle-421": f"> NOOP\n< 250\n{MESSAGE}> NOOP\n< 421 4.4.2\n< closed\n= 2\n{MESSAGE}> QUIT\n< 221",
    "greylists": f"{MAIL}\n< 250\n{RCPT}\n< 451\n> RSET\n< 250\n{MESSAGE}> MAIL FROM:<>\n< 250\n{RCPT}\n< 451",
    "tests-newcomers": f"{MAIL}\n< 250\n{RCPT}\n< 450\n= 2\n{MESSAGE}",
    "refuses-with-503": f"{MAIL}\n< 250\n{NOUSER}\n< 503 5.7.1\n{RCPT}\n< 250\n> DATA\n< 354",
    "refuses-with-pipelining-words": f"{MESSAGE}{SPAM}< 550 5.7.1 Rejected by our content pipeline",
    "refused-login-451": "> AUTH PLAIN AGFubgB3cm9uZw==\n< 451\n< closed\n= 2\n> AUTH PLAIN AGFubgBzM2NyZXQ=\n< 235",
    "refused-login-454": "> AUTH PLAIN AGFubgB3cm9uZw==\n< 454\n> AUTH PLAIN AGFubgBzM2NyZXQ=\n< 235",
    "odd-success-codes": f"{MAIL}\n< 200\n{RCPT}\n< 251\n> DATA\n< 354\n{TEXT}< 200\n> NOOP\n< 250",
    "bare-codes": f"= 1 raw\n< 220\\r\n> EHLO x\n< 250-\n{MAIL}\n< 250\\r\n{RCPT}\n< 250\\r\n> DATA\n< 354\\r\n{TEXT}"
    "< 250\\r\\n",
    "many-lines": f"= 1 raw\n< 220-\n> EHLO x\n< 250-\n{MAIL}\n< 250-2.1.0\n{RCPT}\n< 250-\n> DATA\n< 354-\n{TEXT}"
    "< 250-",
    "lone-lf": f"{MESSAGE}> NOOP\n< 250 2.0.0 Ok\\n",
    "odd-keywords": "> EHLO x\n< " + HELLO.replace("250 AUTH PLAIN", "250-AUTH PLAIN") + r"250-AUTH=",
    "masks-keywords": "> EHLO x\n< " + HELLO.replace("PIPELINING", "XXXXXXXXXX").replace("CHUNKING", "XXXXXXXX"),
    "ehlo-forgets-login": "> AUTH PLAIN AGFubgBzM2NyZXQ=\n< 235\n> EHLO x\n< 250\n> AUTH PLAIN AGFubgBzM2NyZXQ=\n< 235",
    "closes-at-auth-in-clear": "> AUTH PLAIN AGFubgBzM2NyZXQ=\n< closed",
}


def server_with(quirk: str | None, dialogue: str) -> SMTPServer:
    tls = "tls" if quirk == "closes-at-auth-in-clear" else "default"
    server = SMTPServer(quirks=() if quirk is None else (quirk,), users={"ann": "s3cret"}, security=tls)
    server.refuse("nouser@example.org")
    if "spam" in dialogue:
        server.reply_to(".", "554 5.7.1 No", times=1, after=1)
    return server


@pytest.mark.parametrize("quirk", CASES)
def test_a_quirk_is_played(quirk: str) -> None:
    with server_with(quirk, CASES[quirk]) as server:
        play(server, CASES[quirk])


@pytest.mark.parametrize("quirk", CASES)
def test_without_it_the_server_says_something_else(quirk: str) -> None:
    with server_with(None, CASES[quirk]) as server, pytest.raises((AssertionError, TimeoutError)):
        play(server, CASES[quirk], patience=0.3)


def test_every_quirk_is_shown() -> None:
    elsewhere = {"slow-window", "max-connections-in-clear"}
    assert {name.partition(":")[0] for name in CASES} | elsewhere == set(QUIRKS)


def test_a_slow_window_reads_little_and_answers_before_it_reads_on() -> None:
    read: list[int] = []
    left: list[int] = []

    class Watched(ServerSide):
        def _fill(self) -> None:
            left.append(len(self._unsent))
            before = len(self._received)
            super()._fill()
            read.append(len(self._received) - before)

    with SMTPServer(quirks=["slow-window"]) as server:
        server.side = Watched
        play(server, "> NOOP\n" * 500 + "< 250\n" * 500)
    assert max(read) <= 512 < sum(read) and set(left[1:]) == {0}


def test_too_many_connections_are_told_so_before_tls() -> None:
    quirks = ["max-connections-in-clear:1"]
    with SMTPServer(security="ssl", quirks=quirks) as server, client_of(server), Client(server) as client:
        client.send(b"the beginning of a handshake")
        assert client.reply().startswith("421 ") and client.reply() == ""


def test_messages_are_stored_as_the_replies_say() -> None:
    for quirk, stored in {"250-without-recipients": 1, "max-messages:1": 1, "two-replies-to-last-chunk": 1}.items():
        with server_with(quirk, "") as server:
            play(server, CASES[quirk])
            assert len(server.messages) == stored, quirk


def test_several_quirks_are_played_together() -> None:
    with SMTPServer(quirks=("max-messages:1", "no-noop", "bare-codes", "many-lines")) as server:
        play(server, f"> NOOP\n< 500-\n{MESSAGE}{MAIL}\n< 421-")


@pytest.mark.parametrize("name", ["no-nop", "", "max-messages", "max-messages:", "max-messages:many", "no-noop:3"])
def test_a_name_that_is_none_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(name))) as caught:
        SMTPServer(quirks=[name])
    assert ("no-noop" if name.startswith("no-noop") else "max-messages:N") in str(caught.value)


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS)
def test_a_quirk_says_what_it_does_and_who_does_it(quirk: Quirk) -> None:
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", quirk.name)
    assert quirk.description.endswith(".") and quirk.seen_at
