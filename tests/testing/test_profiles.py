"""Every profile greets, logs in, takes mail and refuses in its own words, as clients of other projects see."""

from __future__ import annotations

import base64
import re

import pytest

from tests.testing.dialogue import Client
from tests.testing.test_server import CONTENT, client_of
from wlsmtp.testing import SMTPServer, profiles
from wlsmtp.testing.profiles import Profile, mechanisms_in

PROFILES = profiles()
EVERY = pytest.mark.parametrize("name", PROFILES)
SITUATIONS = [(name, situation) for name, profile in PROFILES.items() for situation in profile.situations]
USERS = {"ann": "s3cret"}
STAGES = {"CONNECT", "EHLO", "AUTH", "LOGIN", "MAIL", "RCPT", "DATA", ".", "RSET"}


def keywords(profile: Profile) -> list[str]:
    return profile.keywords(secured=False, offers_tls=False)


def test_there_are_those_that_people_use() -> None:
    assert {"gmail", "office365", "ses", "sendgrid", "brevo", "yahoo", "zoho", "postfix", "mailhog"} <= set(PROFILES)


@EVERY
def test_a_row_is_well_formed(name: str) -> None:
    profile = PROFILES[name]
    assert profile.title and profile.greeting.startswith("220 ") and profile.queued.startswith("250 ")
    assert profile.authenticated.startswith("235 ")
    assert all(words == words.strip() and words.isascii() for words in (*profile.clear, *profile.tls))
    for situation in profile.situations.values():
        assert situation.stage in STAGES and re.match(r"[245]\d\d[ -]", situation.reply)


@EVERY
@pytest.mark.parametrize("security", ["default", "tls", "ssl"])
def test_it_greets_logs_in_and_takes_a_message(name: str, security: str) -> None:
    with SMTPServer(profile=name, security=security, users=USERS) as server, client_of(server) as client:
        client.ehlo()
        if offers_login := "auth" in client.esmtp_features:
            client.login("ann", "s3cret")
        client.sendmail("a@example.com", ["b@example.org"], CONTENT)
        (message,) = server.messages
    assert message.content == CONTENT and message.username == ("ann" if offers_login else None)
    assert offers_login is (name != "mailcatcher")


@EVERY
def test_before_tls_it_offers_what_was_seen_there(name: str) -> None:
    with SMTPServer(profile=name, security="tls", users=USERS) as server, Client(server) as client:
        client.reply()
        client.send(b"EHLO client.example\r\n")
        offered = [line[4:] for line in client.reply().splitlines()[1:]]
    assert offered[: len(PROFILES[name].clear)] == list(PROFILES[name].clear) and "STARTTLS" in offered


def ask(client: Client, *lines: str) -> list[str]:
    """The reply to each line, said after the one before was answered."""
    replies = []
    for line in lines:
        client.send(line.encode() + b"\r\n")
        replies.append(client.reply())
    return replies


def login_lines(profile: Profile, password: str) -> list[str]:
    if "PLAIN" in mechanisms_in(keywords(profile)):
        return ["AUTH PLAIN", base64.b64encode(f"\0ann\0{password}".encode()).decode()]
    return ["AUTH LOGIN", base64.b64encode(b"ann").decode(), base64.b64encode(password.encode()).decode()]


ENVELOPE = ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>")


@EVERY
def test_a_window_of_five_is_stored_once_each(name: str) -> None:
    offered = keywords(PROFILES[name])
    with SMTPServer(profile=name) as server, Client(server) as client:
        client.reply()
        ask(client, "EHLO client.example")
        messages = [f"Subject: {number}\r\n\r\nx\r\n" for number in range(5)]
        envelope = "\r\n".join(ENVELOPE)
        if {"PIPELINING", "CHUNKING"} <= set(offered):
            client.send("".join(f"{envelope}\r\nBDAT {len(text)} LAST\r\n{text}" for text in messages).encode())
            replies = [client.reply() for _ in range(15)]
        elif "PIPELINING" in offered:
            client.send(f"{envelope}\r\nDATA\r\n".encode())
            replies = [client.reply() for _ in range(3)]
            for text in messages:
                client.send(f"{text}.\r\n{envelope}\r\nDATA\r\n".encode())
                replies += [client.reply() for _ in range(4)]
        else:
            replies = [reply for text in messages for reply in ask(client, *ENVELOPE, "DATA", f"{text}.")]
        assert {reply[:3] for reply in replies} <= {"250", "354"}
    assert [message.header("Subject") for message in server.messages] == ["0", "1", "2", "3", "4"]


@EVERY
def test_the_final_reply_has_its_form(name: str) -> None:
    with SMTPServer(profile=name) as server, Client(server) as client:
        client.reply()
        for number in (1, 2):
            message_id = f"<{number}@client.example>"
            *_, heard = ask(client, "EHLO x", *ENVELOPE, "DATA", f"Message-ID: {message_id}\r\n\r\nx\r\n.")
            assert heard == PROFILES[name].queued_as(number, f"Message-ID: {message_id}\r\n\r\nx\r\n".encode()) + "\r\n"
            assert (message_id in heard) is (name == "exchange-onprem") and "{" not in heard


@EVERY
def test_a_wrong_password_is_refused_in_its_words(name: str) -> None:
    profile = PROFILES[name]
    if not mechanisms_in(keywords(profile)):
        return
    with SMTPServer(profile=name, users=USERS, require_auth=True) as server, Client(server) as client:
        client.reply()
        *_, heard = ask(client, "EHLO x", *login_lines(profile, "wrong"))
        known = profile.situations.get("wrong password")
        assert heard == (known.reply + "\r\n" if known else "535 5.7.8 Authentication credentials invalid\r\n")
        if not (known and known.closes):
            known = profile.situations.get("mail without login")
            *first, last = ask(client, *ENVELOPE[: 2 if known and known.stage == "RCPT" else 1])
            assert last.startswith(known.reply if known else "530 ") and all(reply[0] == "2" for reply in first)
    assert server.messages == []


@pytest.mark.parametrize(("name", "situation"), SITUATIONS, ids=[f"{name}, {what}" for name, what in SITUATIONS])
def test_a_situation_is_played_at_its_stage(name: str, situation: str) -> None:
    profile, known = PROFILES[name], PROFILES[name].situations[situation]
    server = SMTPServer(profile=name, users=USERS)
    server.reply_as(situation, times=1)  # before a client is greeted
    with server, Client(server) as client:
        heard = {"CONNECT": client.reply()}
        for stage, lines in {
            "EHLO": ["EHLO x"], "AUTH": login_lines(profile, "s3cret")[:1], "LOGIN": login_lines(profile, "s3cret")[1:],
            "MAIL": ENVELOPE[:1], "RCPT": ENVELOPE[1:], "DATA": ["DATA"], ".": ["Subject: x\r\n."], "RSET": ["RSET"],
        }.items():  # fmt: skip
            if known.stage in heard:
                break
            if mechanisms_in(keywords(profile)) or stage not in ("AUTH", "LOGIN"):
                heard[stage] = ask(client, *lines)[-1]
        assert heard.popitem() == (known.stage, known.reply + "\r\n")
        assert not any(reply[0] in "45" for reply in heard.values())
        if known.closes or known.reply.startswith("421"):
            assert client.reply() == ""


def test_a_prompt_need_not_be_base64() -> None:
    with SMTPServer(profile="mailgun", users=USERS) as server, Client(server) as client:
        client.reply()
        assert ask(client, "EHLO x", "AUTH PLAIN")[1] == "334 Go ahead\r\n"
    with SMTPServer(profile="netease", users=USERS) as server, Client(server) as client:
        client.reply()
        assert ask(client, "EHLO x", "AUTH LOGIN")[1] == "334 dXNlcm5hbWU6\r\n"


def test_an_idle_connection_is_ended_in_its_words() -> None:
    with SMTPServer(profile="ses", idle_timeout=0.05) as server, Client(server) as client:
        assert client.reply().startswith("220 email-smtp.amazonaws.com")
        assert client.reply() == "451 4.4.2 Timeout waiting for data from client.\r\n" and client.reply() == ""


def test_limits_are_kept() -> None:
    with SMTPServer(profile="office365") as server:
        clients = [Client(server) for _ in range(4)]
        heard = []
        for client in clients:
            client.reply()
            heard.append(ask(client, "EHLO x", ENVELOPE[0])[1])
        for client in clients:
            client.close()
    assert [reply[:3] for reply in heard] == ["250", "250", "250", "432"]


def test_what_is_given_is_not_the_profile_s() -> None:
    options = {"size_limit": 1000, "hostname": "mine.example", "mechanisms": ["PLAIN"], "quirks": ["no-noop"]}
    with SMTPServer(profile="gmail", **options) as server, Client(server) as client:  # type: ignore[arg-type]
        client.reply()
        hello, noop = ask(client, "EHLO x", "NOOP")
    assert hello.startswith("250-mine.example at your service\r\n250-SIZE 1000\r\n") and "AUTH PLAIN\r\n" in hello
    assert noop.startswith("500") and "NOTHING" not in hello
    with SMTPServer(profile="gmail", extensions=["8BITMIME"]) as server, Client(server) as client:
        client.reply()
        assert "PIPELINING" not in ask(client, "EHLO x")[0]


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'gmial' is not a profile; known are: .*gmail"):
        SMTPServer(profile="gmial")
    with SMTPServer(profile="ses") as server, pytest.raises(ValueError, match=r"known are: .*quota exceeded"):
        server.reply_as("out of coffee")
    with SMTPServer() as server, pytest.raises(ValueError, match="without a profile"):
        server.reply_as("quota exceeded")
