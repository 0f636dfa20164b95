"""A server that sends a reply with its greeting: the one to EHLO, before it was asked, or one that answers nothing. It
gets its mail all the same, as it does from smtplib where that reply is the one to EHLO."""

from __future__ import annotations

import pytest

from tests.faults.table import BOB, SENDER
from tests.worlds import World
from wlsmtp import Envelope, ProtocolError, Stage, Status
from wlsmtp.testing import ScriptedPeer, SMTPServer

OFFER = "S: 250-hi\nS: 250-PIPELINING\nS: 250 HELP\n"
MESSAGE = (
    f"C: MAIL FROM:<{SENDER}>\nC: RCPT TO:<{BOB}>\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 Go\n!content\nS: 250 Queued\n"
)
END = "C: QUIT\nS: 221 Bye\n"
NOT_KNOWN, HELP = "C: HELP\nS: 502 5.5.2 What\n", "C: HELP\nS: 214-MAIL\nS: 214 RCPT\n"

GOES_ON = {
    "the reply to EHLO": f"S: 220 hi\n{OFFER}C: EHLO*\n{NOT_KNOWN}{MESSAGE}{END}",
    "the reply to EHLO, and it has help": f"S: 220 hi\n{OFFER}C: EHLO*\n{HELP}{MESSAGE}{END}",
    "a second greeting": f"S: 220 hi\nS: 220 hi\nC: EHLO*\n{OFFER}{NOT_KNOWN}{MESSAGE}{END}",
    "a reply too many": f"S: 220 hi\nS: 250 hi\nC: EHLO*\n{OFFER}{HELP}{MESSAGE}{END}",
    "the reply to EHLO twice": f"S: 220 hi\n{OFFER}C: EHLO*\n{OFFER}{HELP}{MESSAGE}{END}",
}


@pytest.mark.parametrize("how", ["send", "send_many"])
@pytest.mark.parametrize("dialogue", GOES_ON.values(), ids=GOES_ON.keys())
def test_a_reply_that_comes_with_the_greeting_stops_no_mail(world: World, how: str, dialogue: str) -> None:
    with ScriptedPeer(dialogue) as peer, world.session("127.0.0.1", peer.port, timeout=10) as session:
        content = b"Subject: x\r\n\r\nx\r\n"
        if how == "send":
            receipt = session.send(content, sender=SENDER, recipients=[BOB])
        else:
            [receipt] = session.send_many([(content, Envelope(SENDER, [BOB]))])
        assert receipt.status is Status.SENT and receipt.reply is not None and receipt.reply.text == "Queued"
        assert session.capabilities is not None and "PIPELINING" in session.capabilities


@pytest.mark.parametrize(
    "rest", [(b"50 hi\r\n",), (b"5", b"0", b" ", b"h", b"i\r", b"\n"), (b"50-hi\r\n2", b"50 hi\r\n")]
)
def test_it_may_come_in_pieces(world: World, rest: tuple[bytes, ...]) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        server.reply_to("CONNECT", (b"220 hi\r\n2", *rest), 1)
        assert session.send(b"Subject: x\r\n\r\nx\r\n", sender=SENDER, recipients=[BOB])
        assert b"HELP" in [line for _, who, line in server.transcript if who == "C"]


def test_a_reply_that_answers_nothing_and_an_ehlo_without_one_is_an_error(world: World) -> None:
    dialogue = "S: 220 hi\nS: 220 hi\nC: EHLO*\nC: HELP\nS: 502 5.5.2 What\n"
    with ScriptedPeer(dialogue) as peer, world.session("127.0.0.1", peer.port, timeout=10) as session:
        with pytest.raises(ProtocolError, match="answers nothing") as caught:
            session.verify()
        assert caught.value.stage is Stage.GREETING
