"""A program that ends without closing its session: it does end, and no mail is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outbox.programs import copies, start
from tests.outbox.stores import url_of
from wlsmtp import SMTPSession
from wlsmtp.testing import SMTPServer

FORGETFUL = """
    import sys
    from wlsmtp import Message, SMTPSession

    options = {"outbox": sys.argv[3], "close_timeout": float(sys.argv[4])}
    session = SMTPSession(sys.argv[1], int(sys.argv[2]), mode="async", **options)
    for number in range(50):
        session.send(Message(sender="a@example.com", to="b@example.com", subject=str(number), text="x"))
    del session
"""


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


def test_what_is_in_memory_is_sent_before_the_end(server: SMTPServer) -> None:
    process = start(FORGETFUL, server.host, server.port, "memory:", 20)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and errors == ""
    assert len(copies(server)) == 50


def test_the_end_does_not_wait_for_a_server_that_does_not_answer_and_says_what_is_lost(closed_port: int) -> None:
    process = start(FORGETFUL, "127.0.0.1", closed_port, "memory:", 1)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors.startswith("wlsmtp: The program has ended with 50 messages unsent, which are lost (")
    assert "could not be reached" in errors and errors.count("\n") == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_kept_elsewhere_stays_there(
    closed_port: int, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    outbox = url_of(kind, request, tmp_path)
    process = start(FORGETFUL, "127.0.0.1", closed_port, outbox, 5)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0 and errors == ""
    counts = SMTPSession("localhost", mode="async", outbox=outbox).outbox_statistics()
    assert (counts.pending, counts.in_flight) == (50, 0)


TWO_THREADS = """
    import os
    from wlsmtp.io.exit_hooks import exit_hooks

    exit_hooks.add(lambda: os.write(1, b"first "))
    exit_hooks._kept.get()._thread = None  # as the interrupted start of the thread may leave it
    exit_hooks.add(lambda: os.write(1, b"second "))
"""


def test_threads_for_the_end_do_not_wait_for_each_other() -> None:
    output, errors = start(TWO_THREADS).communicate(timeout=20)
    assert sorted(output.split()) == ["first", "second"] and errors == ""
