"""Blocking I/O: nothing suspends, addresses race, the resolver has a deadline."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wlsmtp.io.base import interleave
from wlsmtp.io.blocking import BlockingIO, BlockingStream, run
from wlsmtp.io.order import Rank
from wlsmtp.settings.config import TLS
from wlsmtp.testing import SMTPServer


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_a_coroutine_that_suspends_is_found_at_once() -> None:
    async def suspends() -> None:
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError):
        run(suspends())


def test_families_take_turns() -> None:
    assert interleave([(6, "a"), (6, "b"), (6, "c"), (4, "d")]) == [(6, "a"), (4, "d"), (6, "b"), (6, "c")]


def test_a_dead_address_does_not_hide_a_live_one(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        addresses = [closed.getsockname(), listener.getsockname()]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        io = BlockingIO()
        stream = run(io.connect("two.example", 25, io.now() + 10))
        assert stream.local_ip == "127.0.0.1"
        run(stream.close())


def test_a_resolver_that_never_answers_meets_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def never(*_: Any, flags: int = 0, **__: Any) -> Any:
        if not flags:
            released.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    io = BlockingIO()
    with pytest.raises(TimeoutError):
        run(io.connect("slow.example", 25, io.now() + 0.05))
    released.set()


class _Watched(socket.socket):
    """Reports what the stream counts as sent at the moment when the network has accepted it."""

    stream: BlockingStream
    seen: tuple[int, int] = (0, 0)

    def send(self, data: Any, flags: int = 0) -> int:
        count = super().send(data, flags)
        self.seen = self.stream.sent, count
        return count


def test_what_is_out_counts_as_sent_before_anybody_can_answer_it() -> None:
    """A thread that reads an answer must not find that the question was not sent."""
    here, there = socket.socketpair()
    watched = _Watched(fileno=here.detach())
    watched.stream = stream = BlockingStream(watched)
    with there:
        run(stream.write(b"x" * 1000, BlockingIO().now() + 10))
        counted, taken = watched.seen
        assert counted >= taken == 1000 == stream.sent
        run(stream.close())


def test_what_the_network_did_not_take_does_not_count() -> None:
    here, there = socket.socketpair()
    stream = BlockingStream(here)
    there.close()
    with pytest.raises(OSError):
        run(stream.write(b"x" * 1000, BlockingIO().now() + 10))
    assert stream.sent == 0
    run(stream.close())


class _SlowClock:
    """Each look at it takes 10 microseconds. What is waited for is there at a time that was set."""

    def __init__(self) -> None:
        self.now = self.ready_at = 0.0
        self.sleeps = 0

    def monotonic(self) -> float:
        self.now += 10e-6
        return self.now

    def within(self, seconds: float) -> bool:
        self.sleeps += seconds > 0
        self.now = min(max(self.now, self.ready_at), self.now + seconds)
        return self.now >= self.ready_at


def test_a_prompt_server_is_waited_for_awake_and_any_other_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _SlowClock()
    monkeypatch.setattr("wlsmtp.io.blocking.Readable", lambda sock: clock)
    monkeypatch.setattr("wlsmtp.io.blocking.time", clock)
    monkeypatch.setattr("wlsmtp.io.blocking.remaining", lambda deadline: deadline - clock.now)
    here, there = socket.socketpair()
    stream = BlockingStream(here)

    def sleeps_until(seconds: float) -> int:
        there.send(b"x")
        clock.sleeps, clock.ready_at = 0, clock.now + seconds
        assert run(stream.read(clock.now + 10)) == b"x"
        return clock.sleeps

    prompt, slow = 50e-6, 1.0
    with there:
        assert [sleeps_until(seconds) for seconds in (slow, prompt, prompt, prompt)] == [1, 1, 0, 0]
        # After a late reply it blocks instead of spinning, until replies are prompt again.
        assert [sleeps_until(seconds) for seconds in (slow, slow, prompt, prompt)] == [1, 1, 1, 0]
        clock.ready_at = clock.now + slow
        with pytest.raises(TimeoutError):
            run(stream.read(clock.now + slow / 2))
        run(stream.close())


def tls_stream(address: tuple[str, int], ca_file: str | None) -> BlockingStream:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    sock.connect(address)
    stream = BlockingStream(sock)
    assert ca_file is not None
    run(stream.start_tls(TLS(ca_file=Path(ca_file)), "localhost", BlockingIO().now() + 10))
    return stream


def test_every_tls_record_that_the_server_can_read_counts_as_sent() -> None:
    """OpenSSL says of a write of several records, of which some are out, that nothing was written."""
    read = 0
    with socket.create_server(("127.0.0.1", 0)) as listener, SMTPServer(security="ssl") as certified:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        assert certified.tls_context is not None
        accepted: list[Any] = []

        def serve() -> None:
            accepted.append(certified.tls_context.wrap_socket(listener.accept()[0], server_side=True))  # type: ignore[union-attr]

        server = threading.Thread(target=serve)
        server.start()
        stream = tls_stream(listener.getsockname(), certified.ca_file)
        server.join(10)
        with pytest.raises(TimeoutError):
            run(stream.write(b"x" * 4_000_000, BlockingIO().now() + 0.2))
        run(stream.close())
        with accepted[0] as secured:
            while True:
                try:
                    data = secured.recv(65536)
                except OSError:
                    break
                if not data:
                    break
                read += len(data)
    assert 0 < read <= stream.sent < 4_000_000


def test_a_thread_that_writes_never_goes_on_in_the_clear() -> None:
    """Another thread gives the connection up meanwhile."""
    with SMTPServer(security="ssl") as server:
        stream = tls_stream(server.address, server.ca_file)
        stream.abort()
        with pytest.raises(OSError):
            run(stream.write(b"secret", BlockingIO().now() + 10))
        run(stream.close())


class TestInterruptedCondition:
    """A signal handler may raise anywhere in the main thread, also between a lock and what guards it."""

    @pytest.mark.parametrize("name", ["acquire", "release"])
    @pytest.mark.parametrize("is_behind", [False, True], ids=["before", "behind"])
    def test_is_free_for_others_afterwards(self, name: str, is_behind: bool) -> None:
        condition = BlockingIO().condition(Rank.PROGRESS)
        real = getattr(condition._condition, name)

        def interrupted_once() -> None:
            setattr(condition._condition, name, real)
            if is_behind:
                real()
            raise KeyboardInterrupt

        async def use() -> None:
            async with condition:
                pass

        setattr(condition._condition, name, interrupted_once)
        with pytest.raises(KeyboardInterrupt):
            run(use())
        others = threading.Thread(target=run, args=(use(),), daemon=True)
        others.start()
        others.join(10)
        assert not others.is_alive()
