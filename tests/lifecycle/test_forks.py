"""A session on both sides of a fork: each side has connections, workers and mail of its own, and each message arrives
once."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.gates import Gate
from tests.lifecycle import message
from tests.lifecycle.child import failure_of, here, in_child
from tests.outbox.programs import copies, start
from tests.outbox.stores import url_of
from tests.worlds import World
from wlsmtp import TLS, Message, Pipelining, SMTPSession, SQLiteOutbox
from wlsmtp.io.forks import watch_forks
from wlsmtp.io.order import Rank
from wlsmtp.io.thread import Lock
from wlsmtp.testing import SMTPServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def commands_of(server: SMTPServer, connection: int) -> list[bytes]:
    return [line for number, who, line in server.transcript if number == connection and who == "client"]


class TestConnections:
    def test_each_side_has_its_own(self, world: World, server: SMTPServer) -> None:
        session = world.session(server.host, server.port)
        session.send(message("before"))
        assert in_child(lambda: here(session, world).send(message("child")).status) == "sent"
        assert session.send(message("parent"))
        assert server.connections == 2
        session.close()
        assert copies(server) == {"before": 1, "child": 1, "parent": 1}
        assert [
            mail.header("Subject")
            for mail in server.messages
            if mail.recipients != (f"{mail.header('Subject')}@example.org",)
        ] == []

    @pytest.mark.parametrize("security", ["default", "ssl"])
    def test_a_child_that_closes_leaves_the_parents_alone(self, world: World, security: str) -> None:
        with SMTPServer(security=security) as server:
            options: dict[str, Any] = {"security": security, "tls": TLS(ca_file=server.ca_file)}
            session = world.session(server.host, server.port, **(options if security == "ssl" else {}))
            session.send(message("before"))

            def child() -> int:
                own = here(session, world)
                own.close()
                gc.collect()
                return own.statistics().connections_open

            assert in_child(child) == 0
            assert session.send(message("parent"))
            assert server.connections == 1
            session.close()

    def test_tls_sessions_of_the_parent_are_not_offered(self, world: World) -> None:
        with SMTPServer(security="ssl") as server:
            session = world.session(server.host, server.port, security="ssl", tls=TLS(ca_file=server.ca_file))
            session.send(message("before"))

            def child() -> tuple[str, int]:
                own = here(session, world)
                status = own.send(message("child")).status
                return str(status), own.statistics().connections_resumed

            assert in_child(child) == ("sent", 0)
            session.close()
            session.open()
            assert session.statistics().connections_resumed == 1
            session.close()

    def test_a_message_of_another_thread_is_the_parents_alone(self, world: World, server: SMTPServer) -> None:
        gate = Gate("250 2.0.0 Queued")
        server.reply_to("STORED", gate, 1)
        session = world.session(server.host, server.port)

        def fork() -> str:
            try:
                return str(in_child(lambda: here(session, world).send(message("child")).status))
            finally:
                gate.opened.set()

        first, child = world.together((None, lambda: session.face.send(message("parent"))), (gate.event, fork))
        assert first and child == "sent"
        session.close()
        assert copies(server) == {"child": 1, "parent": 1}

    def test_a_login_of_another_thread_is_not_waited_for(self, world: World) -> None:
        gate = Gate("235 2.7.0 Accepted")
        with SMTPServer(users={"ann": "secret"}) as server:
            server.reply_to("LOGIN", gate, 1)
            session = world.session(server.host, server.port, username="ann", password="secret")

            def fork() -> str:
                try:
                    return str(in_child(lambda: here(session, world).send(message("child")).status))
                finally:
                    gate.opened.set()

            first, child = world.together((None, lambda: session.face.send(message("parent"))), (gate.event, fork))
            assert first and child == "sent"
            session.close()

    def test_a_stream_of_messages_is_the_parents(self, world: World, server: SMTPServer) -> None:
        session = world.session(server.host, server.port, pipelining=Pipelining(max_in_flight=2))
        stream = session.face.send_many([message(str(number)) for number in range(10)])

        def step() -> Any:
            return next(stream) if isinstance(stream, Iterator) else world.run(anext(stream))

        def rest() -> list[Any]:
            """What the child is still given are receipts that were there before the fork."""
            if isinstance(stream, Iterator):
                return list(stream)

            async def collect() -> list[Any]:
                return [receipt async for receipt in stream]

            return World(world.name).run(collect())  # type: ignore[no-any-return]

        receipts = [step()]
        said = in_child(lambda: failure_of(rest))
        assert said.startswith("ConfigError: The stream of messages of the process that forked this one")
        while len(receipts) < 10:
            receipts.append(step())
        assert all(receipts)
        session.close()
        assert copies(server) == {str(number): 1 for number in range(10)}
        assert server.connections == 1

    @pytest.mark.parametrize("connections", [1, 3])
    def test_a_stream_that_is_dropped_in_the_child_goes_on_in_the_parent(
        self, server: SMTPServer, connections: int
    ) -> None:
        session = SMTPSession(server.host, server.port)
        stream = session.send_many([message(str(number)) for number in range(200)], connections=connections)
        receipts = [next(stream)]

        def child() -> None:
            stream.close()

        in_child(child)
        receipts += stream
        assert len(receipts) == 200 and all(receipts)
        session.close()
        assert set(copies(server).values()) == {1} and len(copies(server)) == 200
        assert server.connections == connections

    @pytest.mark.parametrize("call", ["session.send(message)", "list(session.send_many([message]))"])
    def test_what_is_sent_while_the_process_forks_is_the_parents(self, server: SMTPServer, call: str) -> None:
        """A listener forks, and the child comes back from it into the middle of the conversation."""
        program = f"""
            import os, sys, warnings
            from wlsmtp import Message, SMTPSession
            from wlsmtp.events import Line

            warnings.simplefilter("ignore")  # Python 3.12 and later warn of forks beside threads
            parent = os.getpid()

            def fork(event):
                if isinstance(event, Line) and event.text.startswith("MAIL") and os.getpid() == parent and os.fork():
                    os.wait()

            message = Message(sender="a@example.com", to="b@example.org", subject="mine", text="x")
            session = SMTPSession(sys.argv[1], int(sys.argv[2]), listeners=[fork])
            try:
                {call}
                print(os.getpid() == parent, "sent")
            except Exception as error:
                print(os.getpid() == parent, error)
            session.close()
        """
        said, errors = start(program, server.host, server.port).communicate(timeout=30)
        assert errors == ""
        childs, parents = said.splitlines()
        assert childs.startswith("False A connection of the process that forked this one cannot be used here")
        assert parents == "True sent"
        assert copies(server) == {"mine": 1}

    def test_a_closed_session_is_closed_in_the_child(self, world: World, server: SMTPServer) -> None:
        session = world.session(server.host, server.port)
        session.send(message("before"))
        session.close()
        assert "closed" in in_child(lambda: failure_of(lambda: here(session, world).send(message("child"))))


class TestOutbox:
    def test_mail_in_memory_is_the_parents(self, world: World, server: SMTPServer) -> None:
        session = world.session(server.host, server.port, mode="async")
        receipt = session.send(message("parent"), send_at=3600)

        def child() -> list[Any]:
            own = here(session, world)
            first = own.send(message("child"))
            return [
                failure_of(lambda: own.wait(receipt)),
                failure_of(lambda: own.status(receipt.id)),
                own.flush(),
                str(own.status(first.id)),
                failure_of(own.close),
            ]

        waited, asked, left, status, closed = in_child(child)
        assert waited.startswith("NotInOutbox") and "this process" in waited and waited == asked
        assert (left, status, closed) == (0, "sent", "None")
        assert session.status(receipt.id) == "pending"
        assert session.cancel(receipt.id)
        session.close()
        assert copies(server) == {"child": 1}

    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    def test_what_is_kept_elsewhere_is_used_by_both(
        self, world: World, server: SMTPServer, kind: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        session = world.session(server.host, server.port, mode="async", outbox=url_of(kind, request, tmp_path))
        receipt = session.send(message("parent"), send_at=3600)

        def child() -> list[str]:
            own = here(session, world)
            sent = own.wait(own.send(message("child")))
            asked = own.status(receipt.id)
            own.close()
            return [str(sent.status), str(asked)]

        for _ in range(2):
            assert in_child(child) == ["sent", "pending"]
        assert session.retry(receipt.id)
        assert session.wait(receipt)
        session.close()
        assert copies(server) == {"child": 2, "parent": 1}

    def test_a_file_that_could_not_be_closed_is_not_used_by_the_child(self, tmp_path: Path) -> None:
        """What SQLite knows of its locks was copied with its memory."""
        session = SMTPSession("localhost", mode="async", outbox=f"sqlite:///{tmp_path}/outbox.db", outbox_worker=False)
        large = Message(sender="a@example.com", to="b@example.org", text="x" * 1_000_000)
        session.send(large)
        [entry] = _claimed(session)
        chunks = entry.content.chunks()
        next(chunks)
        said = in_child(lambda: failure_of(lambda: session.send(message("child"))))
        assert said.startswith("OutboxError") and "open during a fork" in said
        chunks.close()
        assert in_child(lambda: failure_of(lambda: session.send(message("child"))))
        session.close()

    def test_the_child_does_not_do_what_its_parent_does_at_its_end(self, server: SMTPServer) -> None:
        program = """
            import os, sys, warnings
            from wlsmtp import Message, SMTPSession

            def send(session, subject, **when):
                session.send(Message(sender="a@example.com", to="b@example.org", subject=subject, text="x"), **when)

            parents = SMTPSession(sys.argv[1], int(sys.argv[2]), mode="async")
            send(parents, "parent", send_at=1.0)
            warnings.simplefilter("ignore")  # Python 3.12 and later warn of forks beside threads
            if os.fork() == 0:
                childs = SMTPSession(sys.argv[1], int(sys.argv[2]), mode="async")
                send(childs, "child")
                sys.exit()
            os.wait()
        """
        process = start(program, server.host, server.port)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0 and errors == ""
        assert copies(server) == {"child": 1, "parent": 1}

    def test_a_process_of_multiprocessing_sends_its_mail_before_it_ends(self, server: SMTPServer) -> None:
        program = """
            import multiprocessing, sys
            from wlsmtp import Message, SMTPSession

            session = SMTPSession(sys.argv[1], int(sys.argv[2]), mode="async")

            def send(subject):
                session.send(Message(sender="a@example.com", to="b@example.org", subject=subject, text="x"))

            send("parent")
            forks = multiprocessing.get_context("fork")
            children = [forks.Process(target=send, args=(f"child{number}",)) for number in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
        """
        process = start(program, server.host, server.port)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0 and errors == ""
        assert copies(server) == {"parent": 1, "child0": 1, "child1": 1, "child2": 1}


def _claimed(session: SMTPSession) -> Any:
    from wlsmtp.io.blocking import run

    outbox: SQLiteOutbox = session._mailer.spooler._outbox  # type: ignore[assignment]
    return run(outbox.claim("test", 1))


def test_a_lock_that_another_thread_held_is_open_in_the_child() -> None:
    lock, is_held, may_end = Lock(Rank.PACE), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            may_end.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait(30)
    assert in_child(lambda: (lock.acquire(5), lock.acquire(0))) == (True, False)
    assert not lock.acquire(0)
    may_end.set()
    thread.join()


def test_what_names_are_looked_up_with_is_there_before_a_thread_may_be_importing_it_during_a_fork() -> None:
    program = """
        import sys
        from wlsmtp import SMTPSession

        SMTPSession("mail.example.com")
        print("encodings.idna" in sys.modules)
    """
    said, _ = start(program).communicate(timeout=30)
    assert said == "True\n"


def test_who_watches_forks_is_called_on_both_sides() -> None:
    called: list[str] = []

    class Watcher:
        def before_fork(self) -> None:
            called.append("before")

        def after_fork(self) -> None:
            called.append("after")

    watcher = Watcher()
    watch_forks(watcher)
    assert in_child(lambda: called) == ["before", "after"] == called
    del watcher
    gc.collect()
    assert in_child(lambda: called) == ["before", "after"]
