"""The blocking world: nothing suspends, addresses race, the resolver has a deadline."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from wlsmtp.io.base import interleave
from wlsmtp.io.blocking import BlockingIO, run


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
        stream.abort()


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
