"""What a strict server refuses and records, shown to a client that is not this library; and what it accepts."""

from __future__ import annotations

import pytest

from tests.testing.dialogue import Client
from tests.testing.test_server import CONTENT, client_of
from wlsmtp.testing import SMTPServer, Violation
from wlsmtp.testing.server import DEFAULT_EXTENSIONS
from wlsmtp.testing.strict import RULES

ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n"
LONG = b"x" * 998


def chunk(content: bytes, parameters: bytes = b"") -> bytes:
    envelope = ENVELOPE.replace(b"com>", b"com>" + parameters)
    return b"%bBDAT %d LAST\r\n%b" % (envelope, len(content), content)


REFUSED: dict[str, tuple[bytes, str]] = {
    "command-line-end": (b"NOOP\n", "500"),
    "command-line-end, CR": (b"NOOP x\rMAIL FROM:<a@b>\r\n", "500"),
    "command-line-end, NUL": (b"NOOP \0\r\n", "500"),
    "command-length": (b"VRFY " + b"x" * 506 + b"\r\n", "500"),
    "command-length, MAIL": (b"MAIL FROM:<a@example.com> AUTH=" + b"x" * 1200 + b"\r\n", "500"),
    "command-length, AUTH": (b"AUTH PLAIN " + b"x" * 12288 + b"\r\n", "500"),
    "command-syntax": (b"MAIL FROM: <a@example.com>\r\n", "501"),
    "ehlo-name": (b"EHLO my_computer\r\n", "501"),
    "ehlo-name, none": (b"HELO\r\n", "501"),
    "8bit-address": ("MAIL FROM:<ä@example.com>\r\n".encode(), "553"),
    "8bit-address, RCPT": ("MAIL FROM:<a@example.com>\r\nRCPT TO:<ä@example.org>\r\n".encode(), "250 553"),
    "parameter": (b"MAIL FROM:<a@example.com> BY=120;R\r\n", "555"),
    "parameter, BINARYMIME": (b"MAIL FROM:<a@example.com> BODY=BINARYMIME\r\n", "555"),
    "parameter, RCPT": (b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org> X=1\r\n", "250 555"),
    "group-end": (b"NOOP\r\nNOOP\r\n", "503 250"),
    "group-end, DATA": (ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n.\r\n", "250 250 503 500 500 500"),
    "content-line-length": (chunk(b"Subject: x\r\n\r\n" + LONG + b"x\r\n"), "250 250 554"),
    "content-line-end": (chunk(b"Subject: x\r\n\r\nx\n.\r\n"), "250 250 554"),
    "content-line-end, CR": (chunk(b"Subject: x\r\n\r\nx\r.\r\n"), "250 250 554"),
    "content-nul": (chunk(b"Subject: x\r\n\r\n\0\r\n"), "250 250 554"),
    "8bit-content": (chunk("Subject: x\r\n\r\nä\r\n".encode()), "250 250 554"),
    "8bit-header": (chunk("Subject: ä\r\n\r\nä\r\n".encode(), b" BODY=8BITMIME"), "250 250 554"),
    "size": (chunk(b"Subject: x\r\n\r\nxx\r\n", b" SIZE=16"), "250 250 552"),
}
NOT_OFFERED: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "group": (ENVELOPE, "503 503", ()),
    "chunk": (b"BDAT 6 LAST\r\nNOOP\r\n", "502", ("PIPELINING",)),
    "parameter, SMTPUTF8": ("MAIL FROM:<ä@example.com> SMTPUTF8\r\n".encode(), "555", ("8BITMIME",)),
    "parameter, BODY": (b"MAIL FROM:<a@example.com> BODY=8BITMIME\r\n", "555", ("SMTPUTF8",)),
}


def strict(*extensions: str) -> SMTPServer:
    return SMTPServer(strict=True, users={"ann": "s3cret"}, extensions=extensions or DEFAULT_EXTENSIONS)


def greet(client: Client) -> None:
    client.reply()
    client.send(b"EHLO client.example\r\n")
    client.reply()


def replies_to(server: SMTPServer, sent: bytes, count: int) -> str:
    with Client(server) as client:
        greet(client)
        client.send(sent)
        return " ".join(client.reply()[:3] for _ in range(count))


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_and_kept(case: str) -> None:
    sent, codes = REFUSED[case]
    with strict() as server:
        assert replies_to(server, sent, len(codes.split())) == codes
    assert [violation.rule for violation in server.violations] == [case.partition(",")[0]]
    assert server.violations[0].connection == 1 and server.messages == []


@pytest.mark.parametrize("case", REFUSED)
def test_a_server_that_is_not_strict_keeps_nothing(case: str) -> None:
    with SMTPServer(users={"ann": "s3cret"}) as server, Client(server) as client:
        greet(client)
        client.send(REFUSED[case][0])
        client.reply()
    assert server.violations == []


@pytest.mark.parametrize("case", NOT_OFFERED)
def test_what_was_not_offered_is_refused(case: str) -> None:
    sent, codes, extensions = NOT_OFFERED[case]
    with strict(*extensions, "DSN") as server:
        assert replies_to(server, sent, len(codes.split())) == codes
    assert {violation.rule for violation in server.violations} == {case.partition(",")[0]}


def test_a_group_behind_a_content_is_refused_where_none_is_offered() -> None:
    with strict("8BITMIME") as server, Client(server) as client:
        greet(client)
        for command in (*ENVELOPE.splitlines(keepends=True), b"DATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\nNOOP\r\n"):
            client.send(command)
            heard = client.reply()
        assert heard.startswith("503")
    assert [violation.rule for violation in server.violations] == ["group"]


def test_binary_content_is_for_bdat() -> None:
    with strict("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME") as server, Client(server) as client:
        greet(client)
        envelope = ENVELOPE.replace(b"com>", b"com> BODY=BINARYMIME")
        client.send(envelope + b"DATA\r\n")
        assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "503"]
        client.send(b"RSET\r\n" + chunk(b"Subject: x\r\n\r\n\0\n\r\xff" + LONG + LONG, b" BODY=BINARYMIME"))
        assert [client.reply()[:3] for _ in range(4)] == ["250"] * 4
    assert [violation.rule for violation in server.violations] == ["binary-by-data"] and len(server.messages) == 1


def test_every_rule_is_shown() -> None:
    shown = {case.partition(",")[0] for case in (*REFUSED, *NOT_OFFERED)} | {"binary-by-data"}
    assert shown == set(RULES)


@pytest.mark.parametrize(
    "sent",
    [
        chunk(b"Subject: x\r\n\r\n" + LONG + b"\r\n", b" SIZE=1014"),
        chunk("Subject: ä\r\n\r\nä\r\n".encode(), b" BODY=8BITMIME SMTPUTF8"),
        chunk("Subject: x\r\n\r\nä\r\n".encode(), b" BODY=8BITMIME"),
        chunk(b"Subject: x\r\n\r\nx\r\n", b" RET=HDRS ENVID=" + b"x" * 100).replace(
            b"org>", b"org> NOTIFY=NEVER ORCPT=rfc822;" + b"x" * 490
        ),
    ],
    ids=["long lines", "SMTPUTF8", "8BITMIME", "DSN"],
)
def test_what_keeps_the_rules_is_stored(sent: bytes) -> None:
    with strict() as server:
        assert replies_to(server, sent, 3) == "250 250 250"
    assert server.violations == [] and len(server.messages) == 1


@pytest.mark.parametrize("security", ["default", "tls", "ssl"])
def test_a_client_that_is_not_of_this_project_breaks_no_rule(security: str) -> None:
    with SMTPServer(strict=True, security=security, users={"ann": "s3cret"}) as server, client_of(server) as client:
        client.login("ann", "s3cret")
        client.sendmail("a@example.com", ["b@example.org", "c@example.org"], CONTENT)
    assert server.violations == [] and len(server.messages) == 1


def test_a_violation_says_where_and_what() -> None:
    violation = Violation("content-line-length", 3, b"x" * 2000)
    assert "content-line-length in connection 3" in str(violation) and len(str(violation)) < 250
