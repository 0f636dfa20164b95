"""The end of a program whose other threads go on sending. From Python 3.12 on no thread can be started once the main
thread has ended; the programs here behave like that in every version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.outbox.programs import copies, start
from wlsmtp import SMTPSession
from wlsmtp.testing import SMTPServer

BEGIN = """
    import sys, threading
    from wlsmtp import Message, PoolLimits, SMTPSession

    start = threading.Thread.start

    def start_while_main_lives(thread):
        if not threading.main_thread().is_alive():
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    threading.Thread.start = start_while_main_lives
    session = SMTPSession(sys.argv[1], int(sys.argv[2]), mode="async", outbox=sys.argv[3], close_timeout=5)

    def message(number):
        return Message(sender="a@example.com", to="b@example.com", subject=str(number), text="x")

    def ended():
        threading.main_thread().join()
"""


@pytest.fixture(params=["memory:", "sqlite"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return request.param if request.param == "memory:" else f"sqlite:///{tmp_path}/outbox.db"


def run(program: str, server: SMTPServer, outbox: str) -> tuple[str, str]:
    process = start(BEGIN + program, server.host, server.port, outbox)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    return output, errors


def pending(outbox: str) -> int:
    if outbox == "memory:":
        return 0
    return SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False).outbox_statistics().pending


def test_a_thread_that_sends_first_after_the_end_of_the_main_thread_does_the_work_itself(
    server: SMTPServer, outbox: str
) -> None:
    program = """
    def work():
        ended()
        for number in range(3):
            print(session.send(message(number)).wait(10).status)
        session.send(message("many"))
        print(len(session.send_all(message(number) for number in range(3, 6))), session.flush(10))

    threading.Thread(target=work).start()
    """
    output, errors = run(program, server, outbox)
    assert (output.split(), errors) == (["sent"] * 3 + ["3", "0"], "")
    assert copies(server) == {**{str(number): 1 for number in range(6)}, "many": 1}


def test_several_such_threads_send_each_message_once(server: SMTPServer, outbox: str) -> None:
    program = """
    def work(name):
        ended()
        for number in range(10):
            session.send(message(f"{name}-{number}"))

    for name in "abcd":
        threading.Thread(target=work, args=(name,)).start()
    """
    _, errors = run(program, server, outbox)
    arrived = copies(server)
    assert errors == "" and max(arrived.values()) == 1 and arrived.total() + pending(outbox) == 40
    if outbox == "memory:":
        assert arrived.total() == 40


def test_what_must_wait_is_tried_again_while_somebody_waits_for_it(server: SMTPServer, outbox: str) -> None:
    server.reply_to("MAIL", "451 4.3.0 Later", 1)
    program = """
    from wlsmtp import RetryPolicy
    session = SMTPSession(session.config, retry=RetryPolicy(backoff=0.1, jitter=0))

    def work():
        ended()
        receipt = session.send(message("deferred"))
        print(receipt.status, receipt.wait(10).status)

    threading.Thread(target=work).start()
    """
    output, errors = run(program, server, outbox)
    assert (output.split(), errors) == (["pending", "sent"], "")
    assert copies(server) == {"deferred": 1}


def test_what_is_left_in_memory_is_sent_or_named_at_the_end(server: SMTPServer) -> None:
    program = """
    def work():
        ended()
        session.send(message("soon"), send_at=0.3)
        print(session.send(message("never"), send_at=3600).id)

    threading.Thread(target=work).start()
    """
    output, errors = run(program, server, "memory:")
    assert copies(server) == {"soon": 1}
    assert "1 messages unsent" in errors and output.strip() in errors and "Traceback" not in errors


def test_many_connections_need_no_threads(server: SMTPServer) -> None:
    program = """
    session = SMTPSession(sys.argv[1], int(sys.argv[2]))

    def work():
        ended()
        print(sum(map(bool, session.send_many(map(message, range(20)), connections=4))))

    threading.Thread(target=work).start()
    """
    output, errors = run(program, server, "memory:")
    assert (output.strip(), errors) == ("20", "")
    assert set(copies(server).values()) == {1}


@pytest.mark.parametrize("first", [False, True], ids=["unused", "used"])
def test_what_atexit_runs_may_send(server: SMTPServer, outbox: str, first: bool) -> None:
    program = f"""
    import atexit

    def last():
        print(session.send(message("last")).wait(10).status)

    atexit.register(last)
    if {first}:
        session.send(message("first"))
    """
    output, errors = run(program, server, outbox)
    arrived = copies(server)
    assert (output.split(), errors, arrived["last"]) == (["sent"], "", 1)
    if first:
        assert arrived["first"] + (pending(outbox) if outbox != "memory:" else 0) == 1


def test_what_atexit_runs_is_told_what_is_lost(server: SMTPServer) -> None:
    program = """
    import atexit

    def last():
        try:
            session.send(message("last"), send_at=3600)
        except Exception as error:
            print(type(error).__name__)

    atexit.register(last)
    """
    assert run(program, server, "memory:") == ("OutboxNotEmpty\n", "")


def test_what_is_sent_while_the_interpreter_is_torn_down_hangs_nobody(server: SMTPServer, outbox: str) -> None:
    program = """
    class Late:
        def __init__(self):
            self.itself = self
            self.session, self.message = session, message(1)

        def __del__(self):
            try:
                self.session.send(self.message)
            except Exception:
                pass

    late = Late()
    """
    run(program, server, outbox)
    assert copies(server).total() <= 1


def test_a_listener_that_always_raises_neither_holds_up_mail_nor_the_end(server: SMTPServer, outbox: str) -> None:
    program = """
    def listener(event):
        raise SystemExit

    import logging
    logging.disable()
    session = SMTPSession(session.config, listeners=[listener])
    session.send(message(1))
    """
    _, errors = run(program, server, outbox)
    assert errors == "" and copies(server)["1"] + pending(outbox) == 1
    if outbox == "memory:":
        assert copies(server) == {"1": 1}
