"""A server that sends one reply too many in the middle of a window, or one too few: each later reply answers another
command than the one that it seems to answer, and yet no receipt may say what is not so."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import product

import pytest

from tests.faults.table import BOB, CLEO, SENDER, Mode
from tests.faults.test_window import ONCE, check_account, content, copies, items
from tests.worlds import World
from wlsmtp import Envelope, Pipelining, SMTPError
from wlsmtp.results.reply import Reply
from wlsmtp.smtp.wording import Wording
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.conversation import ServerSide

COUNT, AT = 12, 3


class SaysOk(ServerSide):
    """A server whose accepting replies all read alike."""

    def _say_text(self, reply: str) -> None:
        is_plain = reply.startswith("25") and "\r\n" not in reply
        super()._say_text("250 OK" if is_plain else reply)


class Alike(SMTPServer):
    side = SaysOk


SURPLUS = ["250 2.0.0 Queued", "250 2.0.0 Ok", "250 2.1.5 Recipient ok", "550 5.7.1 No", "451 4.3.0 Later"]
REFUSALS = {
    "nothing": (),
    "a sender": ("MAIL",),
    "the first recipient": (f"RCPT <{BOB}>".upper(),),
    "the second recipient": (f"RCPT <{CLEO}>".upper(),),
    "all recipients": (f"RCPT <{BOB}>".upper(), f"RCPT <{CLEO}>".upper()),
    "a content": (".",),
}


SOME = list(
    product([SMTPServer, Alike], SURPLUS, ["STORED", f"RCPT <{BOB}>".upper()], [AT + 1, COUNT - 1], REFUSALS, [1, 2])
)
"""What the server says too much, behind what, which message it refuses in part, and how many recipients each has."""


@pytest.mark.parametrize(
    ("server_class", "surplus", "behind", "at", "refused", "recipients"),
    SOME,
)
def test_one_reply_too_many_falsifies_no_receipt(
    world: World,
    server_class: type[SMTPServer],
    surplus: str,
    behind: str,
    at: int,
    refused: str,
    recipients: int,
) -> None:
    with (
        server_class(extensions=Mode.CHUNKING.extensions, quirks=["slow-window"]) as server,
        world.session(server.host, server.port, retry=ONCE, pipelining=Pipelining(max_in_flight=6)) as session,
    ):
        usual = "250 2.0.0 Queued" if behind == "STORED" else "250 2.1.5 Recipient ok"
        server.reply_to(behind, (usual, surplus), 1, after=AT)
        for stage in REFUSALS[refused]:
            server.reply_to(stage, "550 5.7.1 Not here", 1, after=at)
        mails = [(message, Envelope(SENDER, [BOB, CLEO][:recipients])) for message, _ in items()]
        receipts = list(session.send_many(mails))
        assert len(receipts) == COUNT
        for number, receipt in enumerate(receipts):
            check_account(receipt, copies(server, number))
        *_, after = session.send_many([(content(COUNT + number), Envelope(SENDER, [BOB])) for number in range(COUNT)])
        assert after


class LosesCommands(ServerSide):
    """After one reply to RCPT, it loses what comes next, up to the RSET of a later message."""

    def _say_text(self, reply: str) -> None:
        super()._say_text(reply)
        server = self._server
        if reply.startswith("250 2.1.5") and isinstance(server, Lossy) and server.loses_after.pop(0) is True:
            place = -1
            for _ in range(server.loses):
                while (place := self._received.find(b"RSET\r\n", place + 1)) < 0:
                    self._fill()
            del self._received[:place]


class Lossy(SMTPServer):
    side = LosesCommands
    loses = 1
    loses_after: list[bool]


@pytest.mark.parametrize("loses", [1, 2])
@pytest.mark.parametrize("refused", REFUSALS)
def test_lost_commands_falsify_no_receipt(world: World, loses: int, refused: str) -> None:
    """The reply to the RSET behind a lost content looks like that to the content."""
    with (
        Lossy(extensions=Mode.CHUNKING.extensions) as server,
        world.session(server.host, server.port, retry=ONCE, pipelining=Pipelining(max_in_flight=6)) as session,
    ):
        server.loses_after, server.loses = [number == 5 for number in range(500)], loses
        for stage in REFUSALS[refused]:
            server.reply_to(stage, "550 5.7.1 Not here", 1, after=5 + loses)
        receipts = list(session.send_many([(message, Envelope(SENDER, [BOB])) for message, _ in items()]))
        for number, receipt in enumerate(receipts):
            check_account(receipt, copies(server, number))
        assert receipts[5].unknown
        assert session.send(content(COUNT), sender=SENDER, recipients=[BOB])


class AlikeAndSilent(LosesCommands):
    """Answers RSET as it does accepted content, and says nothing more once it has answered the RSET behind its loss."""

    said = 0

    def _say_text(self, reply: str) -> None:
        server = self._server
        assert isinstance(server, Lossy)
        if len(server.loses_after) <= 500 - 6:
            self.said += 1
        if self.said < 2:
            super()._say_text("250 2.0.0 Ok" if reply.startswith("250 2.0.0") else reply)


class Falling(Lossy):
    side = AlikeAndSilent


def test_a_lost_content_whose_rset_is_answered_in_its_words_is_in_doubt(world: World) -> None:
    with (
        Falling(extensions=Mode.CHUNKING.extensions) as server,
        world.session(server.host, server.port, retry=ONCE, timeout=1) as session,
    ):
        server.loses_after = [number == 5 for number in range(500)]
        receipts = list(session.send_many([(message, Envelope(SENDER, [BOB])) for message, _ in items()]))
        for number, receipt in enumerate(receipts):
            check_account(receipt, copies(server, number))
        assert receipts[5].unknown


def test_a_reply_too_many_before_the_first_message_of_a_connection(world: World) -> None:
    """The words of an earlier connection show it."""
    with (
        SMTPServer(extensions=Mode.CHUNKING.extensions) as server,
        world.session(server.host, server.port, retry=ONCE) as session,
    ):
        assert all(session.send_many(items()))
        server.drop_connections()
        while server.open_connections:
            threading.Event().wait(0.005)
        server.reply_to("MAIL", ("250 2.0.0 Hello again", "250 2.1.0 Sender ok"), 1)
        server.reply_to(".", "550 5.7.1 Not here", 1)
        try:
            receipt = session.send(content(COUNT), sender=SENDER, recipients=[BOB])
        except SMTPError as error:
            assert error.receipt is not None
            receipt = error.receipt
        check_account(receipt, copies(server, COUNT))
        assert session.send(content(COUNT + 1), sender=SENDER, recipients=[BOB])


POSTFIX = ("2.0.0 Ok", "2.1.0 Ok", "2.1.5 Ok", "2.0.0 Ok: queued as 4X1")
EXIM = ("Reset OK", "OK", "Accepted", "OK id=1vPqXr-000000001-1abc")
SENDMAIL = (
    "2.0.0 Reset state",
    "2.1.0 <ann@x>... Sender ok",
    "2.1.5 <bob@y>... Recipient ok",
    "2.0.0 5ATMd Message accepted",
)
SUBETHA = ("Ok", "Ok", "Ok", "Ok")


@pytest.mark.parametrize("texts", [POSTFIX, EXIM, SENDMAIL])
def test_words_show_the_place_of_a_reply(texts: tuple[str, ...]) -> None:
    rset, mail, rcpt, queued = (Reply(250, (text,)) for text in texts)
    other, refused, lost, many = Reply(250, ("Hello",)), Reply(550), "lost some commands", "sent a reply too many"
    wording = Wording()
    assert wording.learn(rset, mail, [rcpt], queued) and wording.is_learned and wording.is_known
    assert wording.is_for_content(queued) and not any(map(wording.is_for_content, (rset, mail, rcpt, other, refused)))
    for place, expected in ((queued, ""), (rcpt, many), (mail, many), (rset, lost), (other, "")):
        assert wording.what_is_wrong(rset, mail, [rcpt], place, mail) == expected
    assert wording.what_is_wrong(rset, mail, [rcpt], other, refused) == many
    assert wording.what_is_wrong(rset, mail, [rcpt], rset, None) == many
    for after in (rset, Reply(421), None):
        for place in (queued, other, refused):
            assert not wording.what_is_wrong(rset, mail, [rcpt], place, after)
    assert wording.what_is_wrong(rset, rset, [rcpt], refused, rset) == many
    assert wording.what_is_wrong(rset, mail, [rcpt], refused, queued) == many
    assert Wording(wording).is_for_content(queued) and not Wording(wording).is_known


def test_while_no_words_are_known_the_reply_to_the_next_reset_shows_the_place() -> None:
    rset, mail, rcpt, queued = (Reply(250, (text,)) for text in POSTFIX)
    wording = Wording()
    assert not wording.is_learned and not wording.is_for_content(queued)
    assert not wording.what_is_wrong(rset, mail, [rcpt], queued, rset)
    assert wording.what_is_wrong(rset, mail, [rcpt], rcpt, Reply(550)), "the content was refused"
    assert not wording.what_is_wrong(rset, mail, [rcpt], rcpt, queued), "the content was accepted"
    assert wording.what_is_wrong(rset, mail, [mail, Reply(550)], rcpt, queued), "which recipient was refused?"
    assert wording.learn(rset, mail, [rcpt], rcpt, queued) and not wording.is_learned, "but which reply answers what?"
    assert wording.learn(rset, mail, [rcpt], queued, rset) and wording.is_learned


def test_words_that_differ_from_one_content_to_the_next_count_as_far_as_they_agree() -> None:
    rset, mail, rcpt, first = (Reply(250, (text,)) for text in EXIM)
    second, third = Reply(250, ("OK id=2abcde-1",)), Reply(250, ("Oh, thank you",))
    wording = Wording()
    for known, unknown in ((first, second), (second, third)):
        assert wording.learn(rset, mail, [rcpt], known)
        assert wording.is_for_content(first) and wording.is_for_content(known) and not wording.is_for_content(unknown)
    assert wording.learn(rset, mail, [rcpt], third) and not wording.is_for_content(third), "OK begins so, too"
    assert not wording.what_is_wrong(rset, mail, [rcpt], third, rset)


@pytest.mark.parametrize("text", ["Ok", ""])
def test_a_server_that_says_the_same_to_everything_is_not_put_in_doubt(text: str) -> None:
    ok, wording = Reply(250, (text,)), Wording()
    assert not wording.learn(ok, ok, [ok], ok) and wording.is_known and not wording.is_learned
    assert not wording.what_is_wrong(ok, ok, [ok], ok, ok) and not wording.what_is_wrong(ok, ok, [ok], Reply(550), ok)
    assert wording.what_is_wrong(ok, ok, [ok], ok, Reply(503)) and wording.what_is_wrong(
        ok, ok, [ok], Reply(550), Reply(503)
    )


class InsertsReply(ServerSide):
    """Sends one reply too many behind the reply at ``place``, as late as before the next one."""

    _is_due = False

    def _say_text(self, reply: str) -> None:
        server = self._server
        assert isinstance(server, Inserting)
        if self._is_due:
            self._is_due = False
            super()._say_text(server.surplus)
            self._flush()
        super()._say_text(reply)
        server.place -= 1
        if server.place == 0:
            self._is_due = True

    def _finish(self, content: bytes, via: str) -> None:
        server = self._server
        assert isinstance(server, Inserting)
        if content in server.refused:
            server.reply_to(".", "554 5.6.0 No", 1)
        super()._finish(content, via)


class Inserting(SMTPServer):
    side = InsertsReply
    place = 0
    surplus = ""
    refused: tuple[bytes, ...] = ()


FEW = 3


@pytest.mark.parametrize("before", ["nothing", "messages", "another connection"])
@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("2.0.0 Ok", range(FEW)),  # words of RSET
        ("2.0.0 Ok", range(1, FEW - 1)),
        ("2.3.4 Hello", range(FEW - 1)),  # words of no command, which only an RSET behind the content shows
        ("2.3.4 Hello", range(1, FEW - 1)),
    ],
    ids=str,
)
def test_a_second_reply_falsifies_no_receipt_wherever_it_comes(
    world: World, before: str, words: str, refused: Sequence[int]
) -> None:
    """``before``: what was accepted earlier, so that words are known."""
    # A new connection begins with a greeting and EHLO.
    for place in range(1 if before == "messages" else 3, 4 * FEW + 6):
        with (
            Inserting(extensions=Mode.CHUNKING.extensions, quirks=["slow-window"]) as server,
            world.session(server.host, server.port, retry=ONCE) as session,
        ):
            if before != "nothing":
                assert all(
                    session.send_many([(content(COUNT + number), Envelope(SENDER, [BOB])) for number in range(2)])
                )
            if before == "another connection":
                server.drop_connections()
                while server.open_connections:
                    threading.Event().wait(0.002)
            server.refused, server.surplus, server.place = tuple(map(content, refused)), f"250 {words}", place
            receipts = list(session.send_many([(content(number), Envelope(SENDER, [BOB])) for number in range(FEW)]))
            for number, receipt in enumerate(receipts):
                check_account(receipt, copies(server, number))
