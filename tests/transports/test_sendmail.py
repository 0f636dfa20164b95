"""What a sendmail program is given, and what is made of how it ended. Postfix's own is in tests/real."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, RecipientStatus, RetryPolicy, Timeouts
from wlsmtp.transports import SendmailTransport

MESSAGE = Message(sender="ann@example.com", to=["bob@example.org", "cleo@example.net"], text="x")
LARGE = Message(sender="ann@example.com", to="bob@example.org", text="0123456789\n" * 100_000)
READ = "import sys; sys.stdin.buffer.read(); "


def failure(world: World, code: str, message: Message = MESSAGE, **options: Any) -> wlsmtp.SMTPError:
    transport = SendmailTransport(sys.executable, ["-c", code], **options)
    timeout = Timeouts(content=1 if "sleep" in code else 20)
    with (
        world.session(transport=transport, timeout=timeout, retry=RetryPolicy(attempts=1)) as session,
        pytest.raises(wlsmtp.SMTPError) as caught,
    ):
        session.send(message)
    return caught.value


def statuses(error: wlsmtp.SMTPError) -> set[RecipientStatus]:
    assert error.receipt is not None
    return {result.status for result in error.receipt.recipients}


@pytest.mark.parametrize(
    ("status", "code", "enhanced"),
    [
        (64, 500, "5.0.0"), (65, 501, "5.6.0"), (67, 550, "5.1.1"), (68, 550, "5.1.2"), (69, 554, "5.3.0"),
        (71, 451, "4.3.0"), (74, 451, "4.3.0"), (75, 450, "4.3.0"), (77, 550, "5.7.0"), (78, 554, "5.3.5"),
        (1, 554, "5.3.0"),
    ],
)  # fmt: skip
def test_an_exit_status_is_a_reply(world: World, status: int, code: int, enhanced: str) -> None:
    error = failure(world, READ + f"print('Why, it', '\\x1b[2J\\nsaid', file=sys.stderr); raise SystemExit({status})")
    assert isinstance(error, wlsmtp.ContentRefused) and statuses(error) == {RecipientStatus.REFUSED}
    assert error.reply is not None and (error.reply.code, str(error.reply.enhanced)) == (code, enhanced)
    assert error.temporary is (code < 500)
    assert "Why, it" in str(error) and "\x1b" not in str(error) and "\n" not in str(error)


def test_a_refusal_needs_no_reading(world: World) -> None:
    error = failure(world, "raise SystemExit(77)", LARGE)
    assert error.reply is not None and error.reply.code == 550


@pytest.mark.parametrize(
    ("code", "message", "is_known"),
    [
        (READ + "import time; time.sleep(600)", MESSAGE, False),
        (READ + "import os; os.kill(os.getpid(), 9)", MESSAGE, False),
        ("raise SystemExit(0)", LARGE, False),
        ("import time; time.sleep(600)", LARGE, True),
        ("import os; os.kill(os.getpid(), 9)", LARGE, True),
    ],
    ids=["hangs after it read", "dies after it read", "does not read and says yes", "hangs", "dies"],
)
def test_what_it_has_read_whole_may_have_been_queued(world: World, code: str, message: Message, is_known: bool) -> None:
    error = failure(world, code, message)
    assert error.ambiguous is not is_known
    assert (statuses(error) == {RecipientStatus.UNKNOWN}) is not is_known
    assert error.temporary is is_known


def test_sendmail_itself_says_75_of_what_it_has_queued(world: World) -> None:
    assert failure(world, READ + "raise SystemExit(75)", queues_on_tempfail=True).ambiguous


@pytest.mark.parametrize("program", ["/no/such/program", "/etc/passwd"])
def test_a_program_that_cannot_be_started_is_named(world: World, program: str) -> None:
    with world.from_url(f"sendmail://{program}", retry=RetryPolicy(attempts=1)) as session:
        for use in (session.verify, lambda: session.send(MESSAGE)):
            with pytest.raises(wlsmtp.LocalDeliveryFailed, match=program) as caught:
                use()
            assert not caught.value.temporary


def test_it_is_tried_again_when_it_says_later(world: World, tmp_path: Path) -> None:
    code = READ + f"import pathlib; was = pathlib.Path({str(tmp_path / 'was')!r}); "
    code += "there = was.exists(); was.touch(); raise SystemExit(0 if there else 75)"
    transport = SendmailTransport(sys.executable, ["-c", code])
    with world.session(transport=transport, retry=RetryPolicy(backoff=0, jitter=0)) as session:
        receipt = session.send(MESSAGE)
    assert receipt and receipt.attempts == 2


def test_arguments_of_the_url_come_first_each_one_word(world: World, tmp_path: Path) -> None:
    code = f"{READ}import pathlib;pathlib.Path({str(tmp_path / 'words')!r}).write_text(repr(sys.argv[1:]))"
    (tmp_path / "program.py").write_text(code)
    url = f"sendmail://{sys.executable}?argument={tmp_path}/program.py&argument=-C&argument=a%20b"
    with world.from_url(url) as session:
        assert session.send(Message(sender="ann@example.com", to="bob@example.org", text="ä"))
        assert session.verify().server == sys.executable
    words = ["-C", "a b", "-i", "-f", "ann@example.com", "--", "bob@example.org"]
    assert (tmp_path / "words").read_text() == repr(words)


def test_octets_above_127_are_announced(world: World, tmp_path: Path) -> None:
    code = f"{READ}import pathlib;pathlib.Path({str(tmp_path / 'words')!r}).write_text(repr(sys.argv[1:]))"
    with world.session(transport=SendmailTransport(sys.executable, ["-c", code])) as session:
        assert session.send("Subject: x\r\n\r\nä".encode(), sender="", recipients="bob@example.org")
    words = ["-i", "-B8BITMIME", "-f", "<>", "--", "bob@example.org"]
    assert (tmp_path / "words").read_text() == repr(words)


@pytest.mark.parametrize(("program", "word"), [("sendmail", "<>"), ("esmtp", "")])
def test_the_null_sender_is_written_as_the_program_reads_it(
    world: World, tmp_path: Path, program: str, word: str
) -> None:
    """Whatever the name by which it is called."""
    real, link = tmp_path / program, tmp_path / "bin"
    real.write_text(f"#!{sys.executable}\n{READ}\nprint(sys.argv[1:], file=open({str(tmp_path / 'words')!r}, 'w'))\n")
    real.chmod(0o755)
    link.symlink_to(real)
    with world.session(transport=SendmailTransport(str(link))) as session:
        assert session.send(b"Subject: x\r\n\r\nx", sender="", recipients="bob@example.org")
    assert (tmp_path / "words").read_text() == f"{['-i', '-f', word, '--', 'bob@example.org']}\n"


@pytest.mark.parametrize("program", ["dma", "ssmtp"])
def test_a_program_without_a_null_sender_is_not_given_one(world: World, tmp_path: Path, program: str) -> None:
    """It would be another sender, and a bounce would be answered with a bounce."""
    real = tmp_path / program
    real.write_text(f"#!/bin/sh\ncat >{tmp_path}/was-run\n")
    real.chmod(0o755)
    with world.session(transport=SendmailTransport(str(real))) as session:
        with pytest.raises(wlsmtp.ExtensionMissing, match=f"{program}, which cannot send .* null sender"):
            session.send(b"Subject: x\r\n\r\nx", sender="", recipients="bob@example.org")
        assert not (tmp_path / "was-run").exists()
        assert session.send(b"Subject: x\r\n\r\nx", sender="ann@example.com", recipients="bob@example.org")
