"""TLS without I/O, with a server in memory."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.io.engine import RECORD, AnsweredInTheClear, OutgoingRecords, TLSEngine
from wlsmtp.testing.certificates import default_certificates


class Server:
    """The other end, without I/O as well."""

    def __init__(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        context = default_certificates().server_context()
        context.maximum_version = version
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def hear(self, octets: bytes) -> bytes:
        """Go on with the handshake; what the server sends then."""
        self._incoming.write(octets)
        with suppress(ssl.SSLWantReadError):
            self.object.do_handshake()
        return self._outgoing.read()

    def say(self, *texts: bytes) -> bytes:
        """A record for each text."""
        for text in texts:
            self.object.write(text)
        return self._outgoing.read()

    def read(self, octets: bytes) -> bytes:
        """What the client has sent."""
        self._incoming.write(octets)
        pieces: list[bytes] = []
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while piece := self.object.read(RECORD):
                pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> bytes:
        """close_notify."""
        with pytest.raises(ssl.SSLWantReadError):
            self.object.unwrap()
        return self._outgoing.read()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def server(request: pytest.FixtureRequest) -> Server:
    return Server(request.param)


def connected(server: Server, *, behind: tuple[bytes, ...] = ()) -> tuple[TLSEngine, bytes]:
    """A client that has done its handshake, which came octet by octet, and what it reads of what came ``behind``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(default_certificates().ca_file)
    engine = TLSEngine(context, "localhost")
    assert not engine.handshake()
    came = server.hear(engine.take())
    is_done = False
    while not is_done:
        assert came, "the server has more to say"
        octet, came = came[:1], came[1:]
        is_done = engine.handshake(octet)
        if octets := engine.take():
            came += server.hear(octets)
    return engine, engine.decrypt(came + server.say(*behind))


def in_pieces(octets: bytes, size: int) -> Iterable[bytes]:
    return (octets[start : start + size] for start in range(0, len(octets), size))


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_what_comes_in_any_pieces_is_read(server: Server, size: int) -> None:
    engine, _ = connected(server)
    came = server.say(b"250 Ok\r\n", b"x" * RECORD, b"250 Bye\r\n")
    heard = b"".join(engine.decrypt(piece) for piece in in_pieces(came, size))
    assert heard == b"250 Ok\r\n" + b"x" * RECORD + b"250 Bye\r\n" and not engine.has_ended


def test_what_comes_right_behind_the_handshake_is_read(server: Server) -> None:
    assert connected(server, behind=(b"220 Hi\r\n",))[1] == b"220 Hi\r\n"


@pytest.mark.parametrize("size", [0, 1, RECORD, RECORD + 1, 100_000])
def test_what_is_encrypted_fills_its_records(server: Server, size: int) -> None:
    engine, _ = connected(server)
    octets = engine.encrypt(b"x" * size)
    assert server.read(octets) == b"x" * size
    assert len(octets) - size <= 64 * -(-size // RECORD)


def test_the_end_comes_behind_what_was_said_and_is_answered(server: Server) -> None:
    engine, _ = connected(server)
    assert engine.decrypt(server.say(b"421 Bye\r\n") + server.close()) == b"421 Bye\r\n"
    assert engine.has_ended and engine.failure is None
    answer = engine.take()
    assert answer and server.read(answer) == b""
    assert engine.decrypt(b"more") == b""


def test_what_was_said_before_a_record_that_nobody_can_read_counts(server: Server) -> None:
    engine, _ = connected(server)
    good, bad = server.say(b"250 Ok\r\n"), bytearray(server.say(b"250 Ok\r\n"))
    bad[-1] ^= 1
    assert engine.decrypt(good + bytes(bad)) == b"250 Ok\r\n"
    assert engine.has_ended and engine.failure is not None and engine.take()
    assert engine.decrypt(good) == b""
    with pytest.raises(ssl.SSLError):
        engine.encrypt(b"secret")


@pytest.mark.parametrize("text", [b"4", b"421 Busy\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\0"])
def test_text_is_given_out_as_it_came(text: bytes) -> None:
    engine = TLSEngine(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "localhost")
    engine.handshake()
    with pytest.raises(AnsweredInTheClear) as caught:
        engine.handshake(text)
    assert caught.value.octets == text


@given(st.integers(0, 2**32))
def test_of_what_goes_out_in_pieces_that_counts_as_sent_which_the_server_can_read(seed: int) -> None:
    dice = random.Random(seed)
    server = Server()
    engine, _ = connected(server)
    records, sent, read = OutgoingRecords(), 0, 0
    for size in (10, 3 * RECORD + 1, 2 * RECORD):
        records.encrypt(engine, memoryview(b"x" * size))
        while records.unsent:
            piece = bytes(records.unsent[: dice.randint(0, 2 * RECORD)])
            sent += records.sent(len(piece))
            read += len(server.read(piece))
            assert sent == read
    assert sent == 10 + 5 * RECORD + 1


def test_what_the_engine_has_to_say_goes_out_in_its_turn_and_is_no_text(server: Server) -> None:
    engine, _ = connected(server)
    records = OutgoingRecords()
    records.encrypt(engine, memoryview(b"x" * 10))
    records.sent(3)
    records.add(b"answer")
    assert bytes(records.unsent[-6:]) == b"answer"
    assert records.sent(len(records.unsent) - 2) == 10
    records.add(b"!")
    assert bytes(records.unsent) == b"er!"
    assert records.sent(3) == 0 and not records.unsent
