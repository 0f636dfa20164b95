"""Who reads the receipts of a stream: one thread at a time, and not the iterable of the messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.faults.gates import Gate
from tests.outbox.programs import copies
from wlsmtp import ConfigError, Message, Receipt, SMTPSession
from wlsmtp.testing import SMTPServer


def message(number: int) -> Message:
    return Message(sender="ann@example.com", to="bob@example.org", subject=str(number), text="x")


def test_a_second_thread_is_told_to_call_send_many_itself() -> None:
    gate = Gate("250 2.0.0 Queued")
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
        server.reply_to("STORED", gate, 1)
        stream, receipts = session.send_many([message(number) for number in range(20)]), list[Receipt]()
        first = threading.Thread(target=lambda: receipts.extend(stream))
        first.start()
        assert gate.event.wait(30)
        for call in (stream.__next__, stream.close):
            with pytest.raises(ConfigError, match="being read already, by another thread") as caught:
                call()
            assert caught.value.hint is not None and "Call send_many once in each thread" in caught.value.hint
        gate.opened.set()
        first.join(30)
        assert len(receipts) == 20 and all(receipts)
        assert next(stream, None) is None  # nobody reads any more
        assert set(copies(server).values()) == {1} and len(server.messages) == 20


def test_threads_that_read_in_turn_miss_no_receipt() -> None:
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:
        stream, ids = session.send_many([message(number) for number in range(400)]), set[str | None]()

        def read() -> None:
            while True:
                try:
                    ids.update(receipt.message_id for receipt in stream)
                    return
                except ConfigError:  # another thread is reading
                    continue

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(ids) == 400 == len(server.messages)


def test_messages_that_depend_on_the_receipts_are_told_so() -> None:
    with SMTPServer() as server, SMTPSession(server.host, server.port) as session:

        def messages() -> Iterator[Message]:
            yield message(0)
            with pytest.raises(ConfigError, match="or by the iterable of the messages"):
                next(stream)
            yield message(1)

        stream = session.send_many(messages())
        assert [bool(receipt) for receipt in stream] == [True, True]
